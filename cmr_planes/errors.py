"""Errors and the reasons for which something is left out.

The tree::

    CmrPlanesError
    ├── DicomError            a file or a header value is not usable
    │   ├── UnreadableFileError
    │   ├── UnreadablePixelsError
    │   ├── SourceChangedError
    │   ├── MissingAttributeError
    │   └── InvalidAttributeError
    ├── GeometryError         planes that give no positions
    │   ├── InvalidPlaneError          (NaN, spacing, matrix)
    │   │   └── InvalidOrientationError
    │   ├── ParallelPlanesError
    │   ├── LinesTooCloseError
    │   ├── WeakAlignmentError
    │   ├── IntersectionOutsideImageError
    │   ├── TooFewBoxesError
    │   └── OverlappingBoxesError
    ├── StudyError            a study, or a view of it, that cannot be used
    ├── SourceError           nothing usable was found at the given path
    ├── AnnotationError       an annotation file that cannot be used
    ├── ShardError            the output is not ours, differs, or is damaged
    ├── ExportError           a catalogue cannot be exported as asked, or not to that folder
    ├── ClusterError          a cluster cannot be reached, or its workers cannot do the work
    ├── PacsError             a PACS cannot be reached, refuses, or answers what it should not
    └── InUseError            another run works on the output

Every error that can end a subject or a view carries a :class:`RejectionCode`; its text is the sentence that stands in the
catalogue. Programming mistakes stay ``ValueError`` and ``TypeError``.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import ClassVar


class ExitCode(IntEnum):
    """What a command returns to the shell."""

    DONE = 0
    """Done; subjects that were left out are reported and are no failure."""
    FAILED = 1
    """The job failed, or ``--strict`` was given and something was left out."""
    BAD_ARGUMENTS = 2
    """The command line cannot be carried out as it stands."""
    NOTHING_USABLE = 3
    """The source holds nothing from which positions could be made."""
    INTERRUPTED = 130
    """Interrupted; what is sealed stays, and the next run resumes there."""


class RejectionCode(StrEnum):
    """Why a subject or a view is left out. The values are stable: scripts may rely on them."""

    NO_DICOM = "no_dicom"
    """No readable DICOM image among the subject's files."""
    UNREADABLE_SOURCE = "unreadable_source"
    """The subject's folder or zip cannot be read: permission, damage, or hostile content."""
    SEVERAL_PERSONS = "several_persons"
    """The files are of several persons, or of several examinations that nothing says to be of one person."""
    SOURCE_CHANGED = "source_changed"
    """A file vanished or changed while the subject was read: its headers may not be those of its images."""
    NO_IMAGE = "no_image"
    """A NIfTI file that stands for an image is a label map: it holds a few different values only."""
    UNREADABLE_PIXELS = "unreadable_pixels"
    """The pixel data of a frame that is needed cannot be decoded."""
    MISSING_ATTRIBUTE = "missing_attribute"
    """A header lacks a value without which the image has no place in the patient."""
    INVALID_ATTRIBUTE = "invalid_attribute"
    """A header value is not what the standard allows."""
    INVALID_PLANE = "invalid_plane"
    """Position, orientation, spacing or matrix do not describe an image plane."""
    NO_CINE = "no_cine"
    """No plane with two or more cardiac phases."""
    NO_FRAME_ORDER = "no_frame_order"
    """No time and no number in the headers orders the frames of a cine."""
    NO_SAX = "no_sax"
    """No short-axis view was found."""
    NO_2CH = "no_2ch"
    """No two-chamber view of the left ventricle was found."""
    NO_4CH = "no_4ch"
    """No four-chamber view was found."""
    MIRRORED = "mirrored"
    """The planes are those of a mirrored heart: dextrocardia, or mirrored headers."""
    AMBIGUOUS_VIEW = "ambiguous_view"
    """Neither geometry nor the name tells which view it is, or the two contradict each other."""
    PARALLEL_PLANES = "parallel_planes"
    """Two planes that should cross are parallel or the same."""
    LINES_TOO_CLOSE = "lines_too_close"
    """The two lines meet at too small an angle for nine separate boxes."""
    WEAK_ALIGNMENT = "weak_alignment"
    """A line runs so nearly across its deciding patient axis that its ends cannot be distinguished."""
    INTERSECTION_OUTSIDE = "intersection_outside"
    """The intersection of the three planes lies outside the image."""
    TOO_FEW_BOXES = "too_few_boxes"
    """Fewer than five of the nine boxes are inside the image."""
    OVERLAPPING_BOXES = "overlapping_boxes"
    """Two boxes share pixels."""
    LOW_AGREEMENT = "low_agreement"
    """The images disagree along their common line by more than ``--min-agreement`` allows."""
    STATED_PLANES = "stated_planes"
    """A table of planes was given, and it has no usable row for a plane that is needed."""
    UNUSABLE_LABELS = "unusable_labels"
    """An annotation file cannot be read, or does not lie on the subject's images."""
    OTHER_GRID = "other_grid"
    """The image on whose grid label maps are wanted is missing, or its voxels are not those of the slices."""
    UNEXPECTED_ERROR = "unexpected_error"
    """An error that the software did not foresee; please report it."""


class NoteCode(StrEnum):
    """What is worth knowing about a view that was used, or about a subject. The values are stable."""

    SUPERSEDED = "superseded"
    """A repeated acquisition at one place was skipped for the latest complete one."""
    PASSED_OVER = "passed_over"
    """Images beside the chosen ones were skipped: the right ventricle's plane, slices of a long-axis stack, other channels."""
    SLICE_LEFT_OUT = "slice_left_out"
    """A slice of a stack was left out: another matrix size, or no positions on it."""
    STACK_ANGLE = "stack_angle"
    """The angle of the short-axis stack changes on the way: some of its slices are turned against the others."""
    NAME_CONFLICT = "name_conflict"
    """The series description names another view than the geometry; geometry was followed."""
    REST_AND_STRESS = "rest_and_stress"
    """The study has cines at rest and under stress; one state is used for all views, or both where neither has all views."""
    DOUBTFUL_CINE = "doubtful_cine"
    """Headers or names say something that a cine's usually do not: derived images, real-time imaging; there is no better cine."""
    FRAME_OF_REFERENCE = "frame_of_reference"
    """The planes carry different frames of reference; they were used as if they shared one."""
    NO_STUDY_UID = "no_study_uid"
    """StudyInstanceUID is empty, or another in every file or series; the files were taken as one study."""
    SEVERAL_PATIENT_IDS = "several_patient_ids"
    """PatientID is another in every file or series of what is otherwise one study; the files were taken as one person's."""
    SEVERAL_STUDIES = "several_studies"
    """Files of several studies of one person lie together; the one with most frames was used."""
    COPIED_FILES = "copied_files"
    """The same files lie in several places of the sources; they were read once."""
    EQUAL_IMAGES = "equal_images"
    """Another subject of the catalogue has the same images."""
    IDENTIFYING_KEY = "identifying_key"
    """The subject's key, which is made from names of folders, looks like a person's name or a UID."""
    NO_TRIGGER_TIME = "no_trigger_time"
    """TriggerTime is missing; frames were ordered by another attribute."""
    IRREGULAR_TIMES = "irregular_times"
    """Some frames have no time of their own: they were put where the others leave a gap, or left out."""
    UNREADABLE_FRAMES = "unreadable_frames"
    """Frames in which ED and ES are searched for are black or cannot be decoded; the phases are among the others."""
    NO_FRAME_ORDER = "no_frame_order"
    """Frames were left out because no time and no number orders them."""
    NO_PLACE = "no_place"
    """Frames were left out because their headers do not say where they lie in the patient."""
    DUPLICATE_INSTANCES = "duplicate_instances"
    """Images are there more than once; each was used once."""
    MISSING_FRAMES = "missing_frames"
    """Fewer frames than CardiacNumberOfImages or than the other slices have."""
    FEW_FRAMES = "few_frames"
    """End-systole could not be determined: too few frames, or images that do not show it. Only end-diastole was kept."""
    CYCLE_TIME_UNKNOWN = "cycle_time_unknown"
    """It is not known when in the cardiac cycle the frames of a view were taken: it has no end-systole."""
    PHASE_NOT_COVERED = "phase_not_covered"
    """No frame of some slices was taken near a phase; the nearest one was used."""
    PIXEL_VALUES = "pixel_values"
    """Pixel values or their rescaling contradict the header, and were mended."""
    REPAIRED_HEADER = "repaired_header"
    """Header values break the standard and were read all the same: decimal commas, rounded cosines, elements out of order."""
    UNREADABLE_FILES = "unreadable_files"
    """Some files could not be read as DICOM images and were skipped."""
    MANIFEST = "manifest"
    """The manifest of a zip disagrees with the headers; headers were followed."""
    LOW_AGREEMENT = "low_agreement"
    """The images disagree along their common line: a breath-hold shift, or a wrong header."""
    NOT_ALIGNED = "not_aligned"
    """``--align`` was given, and how far slices lie from the other views could not be determined: lines are the headers'."""
    NO_POSITIONS = "no_positions"
    """Images were kept without positions: ``--keep-all`` asks for it, or they are annotated."""
    NIFTI_GEOMETRY = "nifti_geometry"
    """A NIfTI header contradicts itself, or the labels; the sentence says what was taken."""
    NO_SIZES = "no_sizes"
    """The voxel sizes of a NIfTI file are not those of a heart: lengths in mm are not known, and there are no positions."""
    NO_DIRECTIONS = "no_directions"
    """A NIfTI file does not say where anterior, left and head are: there are no letters at the edges of its pictures."""
    NOT_A_NUMBER = "not_a_number"
    """Voxels of a NIfTI file hold no number (NaN) and were set to 0."""
    LABELS = "labels"
    """What of the annotations was not used, or is incomplete."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that was found about a subject or one of its views; the subject is named where the finding is recorded."""

    view: str
    """The view's value (``"sax"``), or empty for the whole subject."""
    code: RejectionCode | NoteCode
    """The stable reason; its kind says whether something was left out."""
    sentence: str
    """What was found, where, what was expected, and what to do."""

    @property
    def is_rejection(self) -> bool:
        """Whether the subject or view was left out; else it was used, and this is worth knowing about it."""
        return isinstance(self.code, RejectionCode)


def in_order(findings: Iterable[Finding]) -> list[Finding]:
    """Return rejections before notes, each in the order in which they were found."""
    return sorted(findings, key=lambda finding: not finding.is_rejection)


@dataclass(frozen=True, slots=True)
class CatalogueFinding:
    """A :class:`Finding` as a catalogue lists it, with the subject that it is about."""

    subject: str
    """The subject's key."""
    view: str
    """The view's value (``"sax"``), or empty for the whole subject."""
    code: RejectionCode | NoteCode
    """The stable reason."""
    sentence: str
    """What was found, where, what was expected, and what to do."""


class CmrPlanesError(Exception):
    """Base of all errors that the data, not the programmer, causes. ``str(error)`` is one sentence."""

    code: ClassVar[RejectionCode] = RejectionCode.UNEXPECTED_ERROR


class DicomError(CmrPlanesError):
    """A DICOM file or one of its values is not usable."""


class UnreadableFileError(DicomError):
    """A file, zip or zip member cannot be read."""

    code = RejectionCode.UNREADABLE_SOURCE


class UnreadablePixelsError(DicomError):
    """The pixel data of a frame cannot be decoded."""

    code = RejectionCode.UNREADABLE_PIXELS


class SourceChangedError(DicomError):
    """A file is no longer what it was when its header was read; the whole subject is left out."""

    code = RejectionCode.SOURCE_CHANGED


class MissingAttributeError(DicomError):
    """A header lacks an attribute that is needed."""

    code = RejectionCode.MISSING_ATTRIBUTE


class InvalidAttributeError(DicomError):
    """A header value is not what the standard allows."""

    code = RejectionCode.INVALID_ATTRIBUTE


class GeometryError(CmrPlanesError):
    """Planes that do not give nine positions."""

    code = RejectionCode.INVALID_PLANE


class InvalidPlaneError(GeometryError):
    """Position, spacing or matrix do not describe an image plane."""


class InvalidOrientationError(InvalidPlaneError):
    """ImageOrientationPatient is not two perpendicular unit vectors."""


class ParallelPlanesError(GeometryError):
    """Planes that should cross do not, or only in a badly conditioned point."""

    code = RejectionCode.PARALLEL_PLANES


class LinesTooCloseError(GeometryError):
    """The two lines meet at too small an angle."""

    code = RejectionCode.LINES_TOO_CLOSE


class WeakAlignmentError(GeometryError):
    """A line's ends cannot be distinguished by its deciding patient axis."""

    code = RejectionCode.WEAK_ALIGNMENT


class IntersectionOutsideImageError(GeometryError):
    """The planes meet outside the image."""

    code = RejectionCode.INTERSECTION_OUTSIDE


class TooFewBoxesError(GeometryError):
    """Too few of the nine boxes are inside the image."""

    code = RejectionCode.TOO_FEW_BOXES


class OverlappingBoxesError(GeometryError):
    """Two boxes share pixels."""

    code = RejectionCode.OVERLAPPING_BOXES


class StudyError(CmrPlanesError):
    """A study, or one view of it, that cannot be used; carries its own code."""

    def __init__(self, code: RejectionCode, sentence: str) -> None:
        super().__init__(code, sentence)
        self.code = code  # type: ignore[misc]  # the class variable is the default, the instance knows better
        self.sentence = sentence

    def __str__(self) -> str:
        return self.sentence


class SourceError(CmrPlanesError):
    """Nothing usable was found at a path that the user gave."""

    code = RejectionCode.UNREADABLE_SOURCE


class AnnotationError(CmrPlanesError):
    """An annotation file that cannot be read, or that does not belong to the images."""

    code = RejectionCode.UNUSABLE_LABELS


class ShardError(CmrPlanesError):
    """An output is not ours, was made with another configuration, or is damaged."""


class ExportError(CmrPlanesError):
    """A catalogue cannot be exported in the form that was asked for, or not to the folder that was given."""


class ClusterError(CmrPlanesError):
    """A Dask cluster cannot be reached, or its workers cannot do the work."""


class PacsError(CmrPlanesError):
    """A PACS cannot be reached, refuses what is asked, or answers what it should not."""


class InUseError(CmrPlanesError):
    """Another run works on the output."""
