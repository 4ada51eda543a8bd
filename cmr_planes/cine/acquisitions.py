"""From headers to cine slices: frames of one series at one plane, in the order of the cardiac cycle."""

import posixpath
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from statistics import median

import numpy as np

from cmr_planes.dicom.frames import FrameHeader
from cmr_planes.errors import Finding, NoteCode
from cmr_planes.fates import PlaneFate
from cmr_planes.geometry import ImagePlane, angle_between_normals_deg
from cmr_planes.views import CardiacView

JITTER_MM = 0.1
"""Frames whose image corners differ by less lie on one plane, in mm: some scanners jitter positions from frame to frame."""

MIN_CINE_FRAMES = 2
"""Planes with fewer frames are localisers or single shots, not cine."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CineSlice:
    """One acquisition of one plane over the cardiac cycle."""

    plane: ImagePlane
    """Where it lies."""
    frames: tuple[FrameHeader, ...]
    """Its frames, ordered by time."""
    is_ordered_by_trigger_time: bool
    """Whether the headers' trigger times gave the order."""
    name_view: CardiacView | None = None
    """The view that the series' name hints at."""
    doubt: str = ""
    """What makes it less likely to be a cine than others, as part of a sentence; empty for nothing."""

    @property
    def header(self) -> FrameHeader:
        """The first frame's header, for what all frames share."""
        return self.frames[0]

    @property
    def n_expected_frames(self) -> int:
        """CardiacNumberOfImages, or 0 where the header gives none that can be meant for a cine."""
        expected = self.header.cardiac_number_of_images or 0
        return expected if expected >= MIN_CINE_FRAMES else 0

    @property
    def recency(self) -> tuple[str, int]:
        """Sorts acquisitions by when they were made."""
        number = self.header.series_number
        return max(frame.acquired_at for frame in self.frames), -1 if number is None else number

    @property
    def label(self) -> str:
        """How messages name the series: by its number, since descriptions are free text and may identify a person."""
        number = self.header.series_number
        return "a series without number" if number is None else f"series {number}"


@dataclass(frozen=True, slots=True, kw_only=True)
class CineStudy:
    """The cine slices of one study, and what was passed over on the way to them."""

    slices: tuple[CineSlice, ...]
    """All cine slices, in a fixed order."""
    n_single_frames: int
    """Planes with one frame only."""
    defects: tuple[Finding, ...]
    """Distinct reasons why frames have no plane."""
    excluded: dict[str, int] = field(default_factory=dict)
    """Number of frames left out since they are no cine of the views, by reason."""
    passed_over: tuple[PlaneFate, ...] = ()
    """Planes that are no cine slices, counted by series."""


def choose_study(frames: Sequence[FrameHeader]) -> tuple[list[FrameHeader], list[Finding]]:
    """Keep the frames of one study.

    Parameters
    ----------
    frames
        All frames of a subject.

    Returns
    -------
        The frames of the study with most of them, and findings about study identifiers.
    """
    by_study = Counter(frame.study_uid for frame in frames)
    findings = []
    if by_study.get(""):
        findings.append(
            Finding("", NoteCode.NO_STUDY_UID, "StudyInstanceUID (0020,000D) is empty; all files were taken as one study")
        )
        return list(frames), findings
    largest = max(sorted(by_study), key=lambda uid: by_study[uid], default="")
    if len(by_study) > 1:
        others = len(frames) - by_study[largest]
        sentence = f"{len(by_study)} studies lie together; the largest was used and {others} frames of the others were passed over"
        findings.append(Finding("", NoteCode.SEVERAL_STUDIES, f"{sentence}; give each study a folder of its own to use them all"))
    return [frame for frame in frames if frame.study_uid == largest], findings


def find_cine_slices(frames: Iterable[FrameHeader]) -> CineStudy:
    """Group the frames of a study into acquisitions, whatever they show.

    Parameters
    ----------
    frames
        The frames of one study, in any order.

    Returns
    -------
        The acquisitions of two or more frames, ordered by series number, place and recency, and what was passed over.
        :func:`cmr_planes.cine.cine_evidence.keep_cines` tells which are cines.
    """
    defects: dict[str, Finding] = {}
    by_series: defaultdict[tuple[object, ...], list[FrameHeader]] = defaultdict(list)
    for frame in frames:
        if frame.plane is not None:
            by_series[_series_key(frame)].append(frame)
        elif frame.defect is not None:
            defects.setdefault(frame.defect.sentence, frame.defect)

    slices: list[CineSlice] = []
    n_single_frames = 0
    for series in by_series.values():
        for plane, members in _by_plane(series):
            for acquisition in _split_repeats(members):
                if len(acquisition) < MIN_CINE_FRAMES:
                    n_single_frames += 1
                    continue
                ordered, by_time = _in_order_of_time(acquisition)
                slices.append(
                    CineSlice(
                        plane=plane,
                        frames=tuple(ordered),
                        is_ordered_by_trigger_time=by_time,
                    )
                )
    slices.sort(key=_fixed_order)
    return CineStudy(
        slices=tuple(slices),
        n_single_frames=n_single_frames,
        defects=tuple(defects.values()),
    )


def is_complete(cine: CineSlice, among: Sequence[CineSlice]) -> bool:
    """Tell whether an acquisition has all its frames: those the header promises, else as many as is usual ``among`` its like."""
    expected = cine.n_expected_frames or int(median(len(other.frames) for other in among))
    return len(cine.frames) >= expected


def order_findings(view: CardiacView, slices: Sequence[CineSlice]) -> list[Finding]:
    """Say which slices of a chosen view lack trigger times or frames."""
    findings = []
    unordered = sum(not cine.is_ordered_by_trigger_time for cine in slices)
    if unordered:
        by = "TemporalPositionIdentifier or InstanceNumber"
        sentence = f"{unordered} of {len(slices)} slices have no usable TriggerTime (0018,1060); frames were ordered by {by}"
        findings.append(Finding(view.value, NoteCode.NO_TRIGGER_TIME, sentence))
    short = [cine for cine in slices if not is_complete(cine, slices)]
    if short:
        counts = ", ".join(str(len(cine.frames)) for cine in short)
        expected = max(short[0].n_expected_frames, int(median(len(cine.frames) for cine in slices)))
        sentence = f"{len(short)} of {len(slices)} slices have fewer frames than the expected {expected} ({counts})"
        findings.append(Finding(view.value, NoteCode.MISSING_FRAMES, sentence))
    return findings


def _series_key(frame: FrameHeader) -> tuple[object, ...]:
    """Identify a series; without SeriesInstanceUID by folder, number and description. Image types are kept apart."""
    if frame.series_uid:
        return frame.series_uid, frame.image_type, frame.complex_component
    folder = posixpath.dirname(frame.file.member) if frame.file.member else ""
    return (
        str(frame.file.path if frame.file.member else frame.file.path.parent),
        folder,
        frame.series_number,
        frame.series_description,
        frame.image_type,
        frame.complex_component,
    )


def _by_plane(series: Sequence[FrameHeader]) -> list[tuple[ImagePlane, list[FrameHeader]]]:
    """Group frames of a series by plane, joining planes that differ by jitter only."""
    groups: list[tuple[ImagePlane, list[FrameHeader]]] = []
    by_identity: dict[int, list[FrameHeader]] = {}
    for frame in series:
        plane = frame.plane
        if plane is None:
            continue
        members = by_identity.get(id(plane))
        if members is None:
            members = next((known for other, known in groups if _same_plane(plane, other)), None)
            if members is None:
                members = []
                groups.append((plane, members))
            by_identity[id(plane)] = members
        members.append(frame)
    return groups


def _same_plane(first: ImagePlane, second: ImagePlane) -> bool:
    """Tell whether two images cover the same pixels in the patient, within ``JITTER_MM`` at their corners."""
    if (first.rows, first.columns) != (second.rows, second.columns):
        return False
    if np.abs(first.position_mm - second.position_mm).max() > JITTER_MM:
        return False
    corners = np.array([[first.columns - 1, 0], [0, first.rows - 1]])
    return bool(np.abs(first.pixel_to_patient(corners) - second.pixel_to_patient(corners)).max() <= JITTER_MM)


def _split_repeats(frames: Sequence[FrameHeader]) -> list[list[FrameHeader]]:
    """Split frames of one plane in which each trigger time occurs k times into k acquisitions, earlier ones first."""
    by_time: defaultdict[float | None, list[FrameHeader]] = defaultdict(list)
    for frame in frames:
        by_time[frame.trigger_time_ms].append(frame)
    counts = {len(same) for same in by_time.values()}
    repeats = counts.pop() if len(counts) == 1 else 1
    if repeats < 2 or len(by_time) < MIN_CINE_FRAMES or None in by_time:
        return [list(frames)]
    ranked = [sorted(same, key=lambda frame: (frame.acquired_at, *_stable_order(frame))) for same in by_time.values()]
    return [[same[repeat] for same in ranked] for repeat in range(repeats)]


def _in_order_of_time(frames: Sequence[FrameHeader]) -> tuple[list[FrameHeader], bool]:
    """Order frames by trigger time, else temporal position, else instance number; also tell whether trigger time served."""
    criteria: tuple[Callable[[FrameHeader], float | None], ...] = (
        lambda frame: frame.trigger_time_ms,
        lambda frame: frame.temporal_position,
        lambda frame: None if frame.instance_number is None else frame.instance_number + frame.frame_index / (frame.n_frames + 1),
    )
    for rank, criterion in enumerate(criteria):
        values = [criterion(frame) for frame in frames]
        known = [value for value in values if value is not None]
        if len(set(known)) == len(frames):
            order = np.argsort(known, kind="stable")
            return [frames[index] for index in order], rank == 0
    return sorted(frames, key=_stable_order), False


def _stable_order(frame: FrameHeader) -> tuple[int, str, str, int]:
    """Return a fixed place for a frame that no time orders."""
    return frame.instance_number or 0, str(frame.file.path), frame.file.member, frame.frame_index


def _fixed_order(cine: CineSlice) -> tuple[object, ...]:
    """Sort slices by series and place, whatever the order of files."""
    number = cine.header.series_number
    return (
        -1 if number is None else number,
        cine.header.series_uid,
        *cine.plane.position_mm.tolist(),
        *cine.recency,
        _stable_order(cine.header),
    )


def share_orientation(first: CineSlice, second: CineSlice, limit_deg: float) -> bool:
    """Tell whether two slices are parallel within ``limit_deg``."""
    return angle_between_normals_deg(first.plane.normal, second.plane.normal) <= limit_deg
