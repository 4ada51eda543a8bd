"""Reading of the header values that are needed, and of no others.

Files are listed in a fixed order and called by their number in it, because file names may be identifiers. Whatever is wrong with
a file ends in :attr:`HeaderScan.unreadable`, never in an exception.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import repeat
from pathlib import Path
from typing import Any, NamedTuple

from cmr_planes.dicom import tags
from cmr_planes.dicom.archive import Archive, ByteSource, FileBytes
from cmr_planes.dicom.elements import Elements, read_elements
from cmr_planes.dicom.examinations import read_identity
from cmr_planes.dicom.frames import FileRef, FrameHeader, Repair
from cmr_planes.dicom.listing import is_member_candidate, is_zip, list_files
from cmr_planes.dicom.manifest import cross_check, is_manifest, read_manifest
from cmr_planes.dicom.quiet import quiet_pydicom
from cmr_planes.dicom.values import (
    code_strings,
    decimal_number,
    double,
    integer,
    point_in_time,
    read_plane,
    single,
    text,
    unsigned_short,
)
from cmr_planes.errors import Finding, NoteCode, UnreadableFileError
from cmr_planes.system.reasons import reason

IDENTITY_TAGS = (tags.PATIENT_ID, tags.PATIENT_BIRTH_DATE, tags.STUDY_DATE, tags.STUDY_TIME, tags.STUDY_INSTANCE_UID)
"""The elements from which :func:`read_identity` tells whose and which examination a file is of, in the order of its arguments."""

HEADER_TAGS = (
    tags.SPECIFIC_CHARACTER_SET,
    tags.IMAGE_TYPE,
    tags.SOP_CLASS_UID,
    tags.SOP_INSTANCE_UID,
    tags.STUDY_DATE,
    tags.SERIES_DATE,
    tags.ACQUISITION_DATE,
    tags.CONTENT_DATE,
    tags.ACQUISITION_DATE_TIME,
    tags.STUDY_TIME,
    tags.SERIES_TIME,
    tags.ACQUISITION_TIME,
    tags.CONTENT_TIME,
    tags.MODALITY,
    tags.MANUFACTURER,
    tags.SERIES_DESCRIPTION,
    tags.COMPLEX_IMAGE_COMPONENT,
    tags.PATIENT_ID,
    tags.PATIENT_BIRTH_DATE,
    tags.SCAN_OPTIONS,
    tags.SEQUENCE_NAME,
    tags.SLICE_THICKNESS,
    tags.ECHO_TIME,
    tags.INVERSION_TIME,
    tags.MAGNETIC_FIELD_STRENGTH,
    tags.SPACING_BETWEEN_SLICES,
    tags.PROTOCOL_NAME,
    tags.TRIGGER_TIME,
    tags.NOMINAL_INTERVAL,
    tags.HEART_RATE,
    tags.CARDIAC_NUMBER_OF_IMAGES,
    tags.STUDY_INSTANCE_UID,
    tags.SERIES_INSTANCE_UID,
    tags.SERIES_NUMBER,
    tags.ACQUISITION_NUMBER,
    tags.INSTANCE_NUMBER,
    tags.IMAGE_POSITION_PATIENT,
    tags.IMAGE_ORIENTATION_PATIENT,
    tags.FRAME_OF_REFERENCE_UID,
    tags.TEMPORAL_POSITION_IDENTIFIER,
    tags.NOMINAL_CARDIAC_TRIGGER_DELAY_TIME,
    tags.NOMINAL_PERCENTAGE_OF_CARDIAC_PHASE,
    tags.SAMPLES_PER_PIXEL,
    tags.NUMBER_OF_FRAMES,
    tags.ROWS,
    tags.COLUMNS,
    tags.PIXEL_SPACING,
    tags.RESCALE_INTERCEPT,
    tags.RESCALE_SLOPE,
)
"""The elements that are read of single-frame images. None lies above RescaleSlope, where long private groups may follow."""

_WANTED = frozenset(HEADER_TAGS)
_OWN_TAGS = (
    tags.SOP_INSTANCE_UID,
    tags.ACQUISITION_DATE,
    tags.CONTENT_DATE,
    tags.ACQUISITION_DATE_TIME,
    tags.ACQUISITION_TIME,
    tags.CONTENT_TIME,
    tags.TRIGGER_TIME,
    tags.INSTANCE_NUMBER,
    tags.TEMPORAL_POSITION_IDENTIFIER,
    tags.NOMINAL_CARDIAC_TRIGGER_DELAY_TIME,
    tags.NOMINAL_PERCENTAGE_OF_CARDIAC_PHASE,
)
_SHARED_TAGS = tuple(tag for tag in HEADER_TAGS if tag not in _OWN_TAGS)
"""The elements that the images of a slice have in common as a rule."""
_BEFORE_PIXEL_DATA = 0x7FDF_FFFF
_PLANE_TAGS = (tags.IMAGE_POSITION_PATIENT, tags.IMAGE_ORIENTATION_PATIENT, tags.ROWS, tags.COLUMNS, tags.PIXEL_SPACING)


@dataclass(frozen=True, slots=True, kw_only=True)
class HeaderScan:
    """What the headers of a subject's files say."""

    frames: tuple[FrameHeader, ...]
    """Every frame of every image, in the order of the files."""
    n_files: int
    """Files that were examined; a zip or folder that cannot be opened counts as one."""
    damaged_zips: tuple[Finding, ...]
    """Those of ``unreadable`` that are zips: all their members are lost."""
    unreadable: tuple[Finding, ...]
    """Files, folders and zips that could not be read; each sentence begins with ``file 12 of 700`` or ``zip 1 of 2``, in the order
    in which they are listed, never with a name."""
    notes: tuple[Finding, ...]
    """What else is worth knowing."""


@dataclass(slots=True)
class _Progress:
    """What was read so far."""

    members: frozenset[str]
    frames: list[FrameHeader] = field(default_factory=list)
    failures: list[tuple[str, int, UnreadableFileError]] = field(default_factory=list)
    notes: list[Finding] = field(default_factory=list)
    n_files: int = 0
    n_containers: int = 0

    def add(self, ref: FileRef, source: ByteSource) -> None:
        """Read one file's header."""
        self.frames += _read_file(ref, source)


def read_headers(paths: Sequence[Path], members: Sequence[str] = ()) -> HeaderScan:
    """Read the headers of all of a subject's files.

    Parameters
    ----------
    paths
        Folders, zips and files, in the order in which they are read.
    members
        Names of the members of a zip that are read; none to read all.

    Returns
    -------
        What was read and what could not be. Zip members are streamed, as far as their headers reach.
    """
    progress = _Progress(frozenset(members))
    with quiet_pydicom():
        for path in paths:
            progress.n_containers += 1
            if is_zip(path.name) and not path.is_dir():
                _read_zip(path, progress)
            else:
                _read_path(path, progress)
    counts = {"file": progress.n_files, "zip": len(paths), "folder": len(paths)}
    unreadable = tuple(
        Finding("", error.code, f"{kind} {index} of {counts[kind]} {error}") for kind, index, error in progress.failures
    )
    return HeaderScan(
        frames=tuple(progress.frames),
        n_files=progress.n_files,
        damaged_zips=tuple(finding for finding, (kind, _, _) in zip(unreadable, progress.failures, strict=True) if kind == "zip"),
        unreadable=unreadable,
        notes=tuple(progress.notes),
    )


def _read_zip(path: Path, progress: _Progress) -> None:
    """Read the headers of a zip's members."""
    try:
        archive = Archive(path)
    except UnreadableFileError as error:
        progress.n_files += 1
        progress.failures.append(("zip", progress.n_containers, error))
        return
    first = len(progress.frames)
    with archive:
        names = archive.members
        for name in names:
            if not is_member_candidate(name) or (progress.members and name not in progress.members):
                continue
            progress.n_files += 1
            try:
                _refuse_zip(name)
                progress.add(FileRef(path, name, archive.file.state), archive.member(name))
            except UnreadableFileError as error:
                progress.failures.append(("file", progress.n_files, error))
        for name in () if progress.members else filter(is_manifest, names):
            rows = read_manifest(archive, name)
            progress.notes += [
                Finding("", NoteCode.MANIFEST, sentence) for sentence in cross_check(rows, names, progress.frames[first:])
            ]


def _refuse_zip(name: str) -> None:
    """Raise UnreadableFileError for a member that is a zip itself."""
    if is_zip(name.rpartition("/")[2]):
        raise UnreadableFileError("is a zip inside a zip; unpack the outer one into a folder")


def _read_path(path: Path, progress: _Progress) -> None:
    """Read the headers of a file, or of the files under a folder."""

    def fail(error: OSError) -> None:
        progress.n_files += 1
        progress.failures.append(
            ("folder", progress.n_containers, UnreadableFileError(f"cannot be listed in full ({reason(error)})"))
        )

    for file in list_files(path, fail) if path.is_dir() else iter([path]):
        progress.n_files += 1
        try:
            with FileBytes(file) as source:
                progress.add(FileRef(file, state=source.state), source)
        except UnreadableFileError as error:
            progress.failures.append(("file", progress.n_files, error))


def _read_file(ref: FileRef, source: ByteSource) -> list[FrameHeader]:
    """Return the frames of one file, none if it is no image; raises UnreadableFileError."""
    elements = read_elements(source, _WANTED, last=tags.RESCALE_SLOPE)
    if _lacks_plane(elements):
        elements, repairs = _read_to_the_end(source, elements)
    else:
        repairs = ()
    frame = _single_frame(ref, elements, repairs)
    if frame is None:
        return []
    if not _is_multi_frame(frame):
        return [frame]
    from cmr_planes.dicom.enhanced import read_multi_frame

    return read_multi_frame(frame, elements, source)


def _is_multi_frame(first: FrameHeader) -> bool:
    """Tell whether an image's frames must be searched for in functional groups."""
    return first.n_frames > 1 or (first.plane is None and first.sop_class_uid != tags.MR_IMAGE_STORAGE)


def _lacks_plane(elements: Elements) -> bool:
    """Tell whether a single-frame MR image lacks an element that each one has."""
    is_mr = text(elements.values.get(tags.SOP_CLASS_UID, b"")) in ("", tags.MR_IMAGE_STORAGE)
    return is_mr and not all(elements.values.get(tag) for tag in _PLANE_TAGS)


def _read_to_the_end(source: ByteSource, elements: Elements) -> tuple[Elements, tuple[Repair, ...]]:
    """Look for missing elements behind those of higher tags, which some converters write first."""
    try:
        whole = read_elements(source, _WANTED, last=_BEFORE_PIXEL_DATA)
    except UnreadableFileError:
        return elements, ()
    return (whole, (Repair.OUT_OF_ORDER,)) if len(whole.values) > len(elements.values) else (elements, ())


def _single_frame(ref: FileRef, elements: Elements, repairs: tuple[Repair, ...]) -> FrameHeader | None:
    """Make the header of a single-frame image from its raw elements; None if it is no image."""
    raw, is_little = elements.values.get, elements.encoding.is_little
    shared = _shared_values(is_little, tuple(map(raw, _SHARED_TAGS, repeat(b""))))
    if shared is None:
        return None
    trigger_time_ms = decimal_number(raw(tags.TRIGGER_TIME, b""))
    if trigger_time_ms is None:
        trigger_time_ms = double(raw(tags.NOMINAL_CARDIAC_TRIGGER_DELAY_TIME, b""), is_little=is_little)
    return FrameHeader(
        file=ref,
        sop_instance_uid=raw(tags.SOP_INSTANCE_UID, b"").decode("ascii", "replace").strip("\0 "),
        instance_number=integer(raw(tags.INSTANCE_NUMBER, b"")),
        acquired_at=_acquired_at(elements),
        content_at=point_in_time("", text(raw(tags.CONTENT_DATE, b"")), text(raw(tags.CONTENT_TIME, b""))),
        trigger_time_ms=trigger_time_ms,
        temporal_position=integer(raw(tags.TEMPORAL_POSITION_IDENTIFIER, b"")),
        cycle_percentage=single(raw(tags.NOMINAL_PERCENTAGE_OF_CARDIAC_PHASE, b""), is_little=is_little),
        repairs=(*repairs, *shared.repairs) if repairs else shared.repairs,
        **shared.fields,
    )


class _SharedValues(NamedTuple):
    """What the images of a slice have in common."""

    fields: Mapping[str, Any]
    """Of a :class:`FrameHeader`, by name."""
    repairs: tuple[Repair, ...]


@lru_cache(maxsize=512)
def _shared_values(is_little: bool, shared: tuple[bytes, ...]) -> _SharedValues | None:
    """Turn the values of ``_SHARED_TAGS`` into fields of headers, once for all images of a slice; None if they are of no image."""
    raw = dict(zip(_SHARED_TAGS, shared, strict=True))
    rows, columns = (unsigned_short(raw[tag], is_little=is_little) for tag in (tags.ROWS, tags.COLUMNS))
    if rows is None or columns is None:
        return None
    characters = raw[tags.SPECIFIC_CHARACTER_SET]
    slope, intercept = decimal_number(raw[tags.RESCALE_SLOPE]), decimal_number(raw[tags.RESCALE_INTERCEPT])
    reading = read_plane(
        raw[tags.IMAGE_POSITION_PATIENT], raw[tags.IMAGE_ORIENTATION_PATIENT], raw[tags.PIXEL_SPACING], rows, columns
    )
    fields = {
        "frame_index": 0,
        "n_frames": integer(raw[tags.NUMBER_OF_FRAMES]) or 1,
        "sop_class_uid": text(raw[tags.SOP_CLASS_UID]),
        "modality": text(raw[tags.MODALITY]),
        "image_type": code_strings(raw[tags.IMAGE_TYPE]),
        "identity": read_identity(*(raw[tag] for tag in IDENTITY_TAGS)),
        "study_uid": text(raw[tags.STUDY_INSTANCE_UID]),
        "series_uid": text(raw[tags.SERIES_INSTANCE_UID]),
        "frame_of_reference_uid": text(raw[tags.FRAME_OF_REFERENCE_UID]),
        "series_number": integer(raw[tags.SERIES_NUMBER]),
        "series_description": text(raw[tags.SERIES_DESCRIPTION], characters),
        "protocol_name": text(raw[tags.PROTOCOL_NAME], characters),
        "sequence_name": text(raw[tags.SEQUENCE_NAME]),
        "scan_options": code_strings(raw[tags.SCAN_OPTIONS]),
        "samples_per_pixel": unsigned_short(raw[tags.SAMPLES_PER_PIXEL], is_little=is_little) or 1,
        "complex_component": text(raw[tags.COMPLEX_IMAGE_COMPONENT]),
        "echo_time_ms": decimal_number(raw[tags.ECHO_TIME]),
        "inversion_time_ms": decimal_number(raw[tags.INVERSION_TIME]),
        "manufacturer": text(raw[tags.MANUFACTURER], characters),
        "field_strength_t": decimal_number(raw[tags.MAGNETIC_FIELD_STRENGTH]),
        "acquisition_number": integer(raw[tags.ACQUISITION_NUMBER]),
        "nominal_interval_ms": decimal_number(raw[tags.NOMINAL_INTERVAL]),
        "heart_rate_bpm": decimal_number(raw[tags.HEART_RATE]),
        "cardiac_number_of_images": integer(raw[tags.CARDIAC_NUMBER_OF_IMAGES]),
        "cardiac_cycle_position": "",
        "slice_thickness_mm": decimal_number(raw[tags.SLICE_THICKNESS]),
        "spacing_between_slices_mm": decimal_number(raw[tags.SPACING_BETWEEN_SLICES]),
        "rescale": (1.0 if slope is None else slope, 0.0 if intercept is None else intercept),
        "plane": reading.plane,
        "defect": reading.defect,
    }
    return _SharedValues(fields, reading.repairs)


def _acquired_at(elements: Elements) -> str:
    """Return when the image, else its series, was acquired."""
    acquired, date, time, series_date, series_time = (
        text(elements.values.get(tag, b""))
        for tag in (tags.ACQUISITION_DATE_TIME, tags.ACQUISITION_DATE, tags.ACQUISITION_TIME, tags.SERIES_DATE, tags.SERIES_TIME)
    )
    return point_in_time(acquired, date or series_date, time) if acquired or time else point_in_time("", series_date, series_time)
