"""The kinds of sources: how each finds its subjects, their annotations and their views.

What only NIfTI or annotations need is loaded where it is used.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from cmr_planes.annotations.files import LabelFile
from cmr_planes.annotations.model import Annotation, LabelFormat
from cmr_planes.discovery.naming import KnownSubjects
from cmr_planes.discovery.subjects import SubjectSource, find_subjects
from cmr_planes.extraction.dicom_reader import open_dicom
from cmr_planes.extraction.options import ExtractOptions
from cmr_planes.extraction.subject_views import SubjectViews

LabelFiles = Mapping[str, Sequence[LabelFile]]
"""The annotation files of each subject that has any."""


@dataclass(frozen=True, slots=True)
class SourceFormat:
    """What an extraction needs to know of a kind of source."""

    find: Callable[[Sequence[Path], KnownSubjects], list[SubjectSource]]
    """Finds the subjects, given those of an earlier run; raises SourceError."""
    label_files: Callable[[ExtractOptions, Sequence[SubjectSource]], LabelFiles]
    """Finds their annotation files; raises SourceError where some were promised and there are none."""
    open: Callable[[SubjectSource, ExtractOptions, Sequence[Annotation]], AbstractContextManager[SubjectViews]]
    """Reads one subject, given its annotations; raises nothing that the data causes."""


def format_of(options: ExtractOptions) -> SourceFormat:
    """Return the kind of the sources."""
    return NIFTI if options.nifti else DICOM


def _assigned_labels(options: ExtractOptions, subjects: Sequence[SubjectSource]) -> LabelFiles:
    """Find the annotation files that the options name, and whose they are."""
    if options.labels is None:
        return {}
    from cmr_planes.extraction.annotating import assign_labels

    keys, participants = [subject.key for subject in subjects], [subject.participant for subject in subjects]
    return assign_labels(options.labels, keys, participants, options.pseudonyms)


def _labels_beside(options: ExtractOptions, subjects: Sequence[SubjectSource]) -> LabelFiles:  # noqa: ARG001  # they lie beside the images
    """Return the label maps among each subject's files."""
    from cmr_planes.discovery.nifti_sets import files_of

    return {
        subject.key: [
            LabelFile(file.path, "", (f"{file.words}.nii",), LabelFormat.NIFTI) for file in files_of(subject) if file.name.is_label
        ]
        for subject in subjects
    }


def _find_nifti(sources: Sequence[Path], known: KnownSubjects) -> list[SubjectSource]:  # noqa: ARG001  # the files' names are keys
    from cmr_planes.discovery.nifti_sets import find_nifti_subjects

    return find_nifti_subjects(sources)


def _open_nifti(
    source: SubjectSource, options: ExtractOptions, annotations: Sequence[Annotation]
) -> AbstractContextManager[SubjectViews]:
    from cmr_planes.extraction.nifti_reader import open_nifti

    return open_nifti(source, options, annotations)


DICOM = SourceFormat(find_subjects, _assigned_labels, open_dicom)
NIFTI = SourceFormat(_find_nifti, _labels_beside, _open_nifti)
