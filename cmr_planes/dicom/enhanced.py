"""Frames of multi-frame instances: Enhanced MR, and classic MR converted to it.

Where a frame lies and when stands in its item of PerFrameFunctionalGroupsSequence, or in SharedFunctionalGroupsSequence for all
frames; what neither has is taken from the top level, attribute by attribute. The order of the frames is not trusted for anything.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TypeVar

from pydicom.datadict import tag_for_keyword
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.filereader import read_dataset

from cmr_planes.dicom import tags
from cmr_planes.dicom.archive import ByteSource
from cmr_planes.dicom.elements import Elements, Encoding, dataset_stream, find_encoding
from cmr_planes.dicom.frames import FrameHeader
from cmr_planes.dicom.other_elements import PARSE_ERRORS
from cmr_planes.dicom.quiet import quiet_pydicom
from cmr_planes.dicom.values import (
    code_strings,
    decimal_number,
    double,
    read_plane,
    single,
    text,
    unsigned_long,
    unsigned_longs,
    unsigned_short,
)
from cmr_planes.errors import UnreadableFileError

MAX_FRAMES = 20_000
"""More frames in one instance than any cine has: the number is wrong."""

GROUPS_LIMIT = 64 << 20
"""Bytes of one file or member that are read in search of functional groups, which can take tens of MiB."""

_T = TypeVar("_T")
_FIRST_READ = 256 << 10
_GROWTH = 4
_PIXEL_GROUP = 0x7FE0_0000
_TAGS = (
    tags.PULSE_SEQUENCE_NAME,
    tags.ROWS,
    tags.COLUMNS,
    tags.SHARED_FUNCTIONAL_GROUPS_SEQUENCE,
    tags.PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE,
)


def read_multi_frame(first: FrameHeader, top_level: Elements, source: ByteSource) -> list[FrameHeader]:
    """Return the headers of all frames of an instance.

    Parameters
    ----------
    first
        What the top level of the header says.
    top_level
        The same as raw values.
    source
        The instance's bytes.

    Returns
    -------
        One header a frame, in the order in which the frames are stored. ``instance_number`` is the frame's number in it.

    Raises
    ------
    UnreadableFileError
        The functional groups cannot be read, or there are more frames than can be.
    """
    if first.n_frames > MAX_FRAMES:
        raise UnreadableFileError(f"has NumberOfFrames (0028,0008) {first.n_frames}: at most {MAX_FRAMES} are expected")
    with quiet_pydicom():
        dataset, encoding = _read_groups(source)
        try:
            shared = _items(dataset, "SharedFunctionalGroupsSequence")
            own = _items(dataset, "PerFrameFunctionalGroupsSequence")
            sequence_name = first.sequence_name or text(_raw(dataset, "PulseSequenceName"))
            first = replace(first, sequence_name=sequence_name)
            count = min(first.n_frames, len(own)) if own else first.n_frames
            groups = [
                _Groups((*own[index : index + 1], *shared[:1]), top_level.values, encoding.is_little) for index in range(count)
            ]
            frames = [_frame(first, index, top_level.matrix, group) for index, group in enumerate(groups)]
        except PARSE_ERRORS as error:
            raise UnreadableFileError("has functional groups that cannot be read; export it again") from error
    if all(frame.trigger_time_ms is None for frame in frames):
        return [replace(frame, trigger_time_ms=first.trigger_time_ms) for frame in frames]
    return frames


@dataclass(frozen=True, slots=True)
class _Groups:
    """Where the attributes of one frame stand: its own functional groups, the shared ones, the top level."""

    items: tuple[Dataset, ...]
    top_level: Mapping[int, bytes]
    is_little: bool

    def raw(self, sequence: str, keyword: str) -> bytes:
        """Return an attribute's raw value from the first place that has it; empty if none has."""
        return self.own(sequence, keyword) or self.top_level.get(tag_for_keyword(keyword) or 0, b"")

    def own(self, sequence: str, keyword: str) -> bytes:
        """Return an attribute's raw value from the first functional group that has it; empty if none has."""
        groups = (group for item in self.items for group in _items(item, sequence)[:1])
        return next(filter(None, (_raw(group, keyword) for group in groups)), b"")

    def double(self, sequence: str, keyword: str) -> float | None:
        """Return a binary double."""
        return double(self.raw(sequence, keyword), is_little=self.is_little)


def _frame(first: FrameHeader, index: int, matrix: tuple[int, int], groups: _Groups) -> FrameHeader:
    """Make the header of one frame."""
    frame_type, content, timing, measures, values = (
        "MRImageFrameTypeSequence",
        "FrameContentSequence",
        "CardiacSynchronizationSequence",
        "PixelMeasuresSequence",
        "PixelValueTransformationSequence",
    )
    reading = read_plane(
        groups.raw("PlanePositionSequence", "ImagePositionPatient"),
        groups.raw("PlaneOrientationSequence", "ImageOrientationPatient"),
        groups.raw(measures, "PixelSpacing"),
        *matrix,
    )
    trigger_time_ms = double(groups.own(timing, "NominalCardiacTriggerDelayTime"), is_little=groups.is_little)
    if trigger_time_ms is None:
        trigger_time_ms = decimal_number(groups.own("UnassignedPerFrameConvertedAttributesSequence", "TriggerTime"))
    percentage = single(groups.raw(timing, "NominalPercentageOfCardiacPhase"), is_little=groups.is_little)
    number = unsigned_short(groups.raw(content, "FrameAcquisitionNumber"), is_little=groups.is_little)
    position = unsigned_long(groups.raw(content, "TemporalPositionIndex"), is_little=groups.is_little)
    slope, intercept = decimal_number(groups.raw(values, "RescaleSlope")), decimal_number(groups.raw(values, "RescaleIntercept"))
    return replace(
        first,
        frame_index=index,
        instance_number=index + 1,
        complex_component=text(groups.raw(frame_type, "ComplexImageComponent")) or first.complex_component,
        echo_time_ms=_first_known(groups.double("MREchoSequence", "EffectiveEchoTime"), first.echo_time_ms),
        inversion_time_ms=_first_known(groups.double("MRModifierSequence", "InversionTimes"), first.inversion_time_ms),
        image_type=code_strings(groups.raw(frame_type, "FrameType")) or first.image_type,
        acquired_at=text(groups.raw(content, "FrameAcquisitionDateTime")) or first.acquired_at,
        acquisition_number=_first_known(number, first.acquisition_number),
        content_at=text(groups.raw(content, "FrameReferenceDateTime")) or first.content_at,
        dimension_index=unsigned_longs(groups.raw(content, "DimensionIndexValues"), is_little=groups.is_little),
        cycle_percentage=_first_known(percentage, first.cycle_percentage),
        trigger_time_ms=trigger_time_ms,
        temporal_position=_first_known(position, first.temporal_position),
        nominal_interval_ms=_first_known(groups.double(timing, "RRIntervalTimeNominal"), first.nominal_interval_ms),
        cardiac_cycle_position=text(groups.raw(content, "CardiacCyclePosition")),
        slice_thickness_mm=_first_known(decimal_number(groups.raw(measures, "SliceThickness")), first.slice_thickness_mm),
        spacing_between_slices_mm=_first_known(
            decimal_number(groups.raw(measures, "SpacingBetweenSlices")), first.spacing_between_slices_mm
        ),
        rescale=(
            first.rescale[0] if slope is None else slope,
            first.rescale[1] if intercept is None else intercept,
        ),
        plane=reading.plane,
        defect=reading.defect,
        repairs=tuple(dict.fromkeys((*first.repairs, *reading.repairs))),
    )


def _first_known(*values: _T | None) -> _T | None:
    return next((value for value in values if value is not None), None)


def _items(dataset: Dataset, keyword: str) -> list[Dataset]:
    """Return the items of a sequence, none if it is missing or empty."""
    return list(dataset.get(keyword) or [])


def _raw(dataset: Dataset, keyword: str) -> bytes:
    """Return the raw bytes of a value, empty if it is missing."""
    element: object = dataset.get_item(keyword) if keyword in dataset else None
    return element.value or b"" if isinstance(element, RawDataElement) else b""


def _read_groups(source: ByteSource) -> tuple[Dataset, Encoding]:
    """Read the header's functional groups, looking at as many bytes as that needs."""
    count = _FIRST_READ
    while True:
        data = source.head(count)
        is_whole = len(data) >= source.size or len(data) < count
        encoding, _ = find_encoding(data)
        dataset, is_complete = _parse_groups(data, encoding)
        if dataset is not None and (is_complete or is_whole):
            return dataset, encoding
        if is_whole:
            raise UnreadableFileError("has a header that cannot be read; export it again")
        if count >= GROUPS_LIMIT:
            raise UnreadableFileError(f"has a header of more than {GROUPS_LIMIT >> 20} MiB, which was not read")
        count = min(count * _GROWTH, GROUPS_LIMIT)


def _parse_groups(data: bytes, encoding: Encoding) -> tuple[Dataset | None, bool]:
    """Return the functional groups in ``data``, None if they cannot be read, and whether the pixel data were reached."""
    reached: list[int] = []

    def stop(tag: int, vr: str | None, length: int) -> bool:  # noqa: ARG001  # pydicom's signature
        if int.__ge__(tag, _PIXEL_GROUP):
            reached.append(tag)
        return bool(reached)

    try:
        stream = dataset_stream(data, encoding, GROUPS_LIMIT)
        dataset = read_dataset(stream, encoding.is_implicit, encoding.is_little, stop_when=stop, specific_tags=list(_TAGS))
    except PARSE_ERRORS:
        return None, False
    return dataset, bool(reached)
