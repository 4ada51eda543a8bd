"""From headers to cine slices: what one run of the scanner gave at one plane, in the order of the cardiac cycle.

:mod:`cmr_planes.cine.grouping` finds the frames of one protocol and plane, :mod:`cmr_planes.cine.takes` the single runs among them,
and :mod:`cmr_planes.cine.frame_order` their order. What is lost on the way has a row among the planes that were skipped.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from statistics import median

from cmr_planes.cine.frame_order import order_frames
from cmr_planes.cine.grouping import common_plane, group_by_plane, unique_frames
from cmr_planes.cine.left_out import (
    copy_notes,
    fates,
    order_notes,
    order_rejections,
    place_notes,
    place_rejections,
    placeless_fates,
    series_label,
)
from cmr_planes.cine.moments import OrderedBy
from cmr_planes.cine.takes import MIN_CINE_FRAMES, expected_frames, join_pieces, split_takes
from cmr_planes.dicom.frames import FrameHeader
from cmr_planes.errors import Finding, NoteCode
from cmr_planes.fates import Fate, PlaneFate
from cmr_planes.geometry import ImagePlane, angle_between_normals_deg
from cmr_planes.system.text import either, part
from cmr_planes.views import CardiacView

MIN_SPAN_SHARE = 0.7
"""An acquisition that shows less of the cycle, as a share of what another one shows, is a piece. Heart rates differ less."""
WHOLE_SPAN_SHARE = 0.9
"""An acquisition of fewer frames than usual is whole all the same, if it shows this share of the usual part of the cycle."""


@dataclass(frozen=True, kw_only=True, eq=False)
class CineSlice:
    """One acquisition of one plane over the cardiac cycle."""

    plane: ImagePlane
    """Where it lies."""
    frames: tuple[FrameHeader, ...]
    """Its frames, ordered by time."""
    ordered_by: OrderedBy
    """The attribute that gave the order."""
    irregularity: str
    """How frames without a time of their own were treated, as part of a sentence; empty if there are none."""
    name_view: CardiacView | None = None
    """The view that the series' name hints at."""
    is_stress: bool = False
    """Whether its name says that the heart was under stress."""
    doubt: str = ""
    """What makes it less likely to be a cine than others, as part of a sentence; empty for nothing."""

    @property
    def header(self) -> FrameHeader:
        """The first frame's header, for what all frames share."""
        return self.frames[0]

    @property
    def n_expected_frames(self) -> int:
        """CardiacNumberOfImages, or 0 where no header gives one that can be meant for a cine."""
        return expected_frames(self.frames)

    @cached_property
    def span_ms(self) -> float:
        """How long a part of the cycle it shows: its frames times their usual step; 0 if not known."""
        times_ms = [frame.trigger_time_ms for frame in self.frames if frame.trigger_time_ms is not None]
        if self.ordered_by is not OrderedBy.TRIGGER_TIME or len(times_ms) < MIN_CINE_FRAMES:
            return 0.0
        return len(self.frames) * median(later - earlier for earlier, later in pairwise(times_ms))

    @property
    def recency(self) -> tuple[str, int, int, int, str, float]:
        """Sorts acquisitions by when they were made; where nothing tells, all takes of the longer cycle come last."""
        return (
            max(frame.acquired_at for frame in self.frames),
            _known(self.header.series_number),
            max(_known(frame.acquisition_number) for frame in self.frames),
            max(_known(frame.instance_number) for frame in self.frames),
            max(frame.content_at for frame in self.frames),
            self.span_ms,
        )

    @property
    def label(self) -> str:
        """How messages name the series: by its number, since descriptions are free text and may identify a person."""
        return series_label(self.header.series_number)


@dataclass(frozen=True, slots=True, kw_only=True)
class CineStudy:
    """The cine slices of one study, and what was skipped on the way to them."""

    slices: tuple[CineSlice, ...]
    """All cine slices, in a fixed order."""
    n_single_frames: int
    """Planes with one frame only."""
    defects: tuple[Finding, ...]
    """Distinct reasons why frames have no plane or no order: rejections, where nothing else is left."""
    excluded: dict[str, int] = field(default_factory=dict)
    """Number of frames left out since they are no cine of the views or have no order, by reason."""
    findings: tuple[Finding, ...] = ()
    """What is worth knowing about the study: copies of images, frames without a place or an order."""
    passed_over: tuple[PlaneFate, ...] = ()
    """Planes that are no cine slices, counted by series."""


def find_cine_slices(frames: Iterable[FrameHeader]) -> CineStudy:
    """Group the frames of a study into acquisitions, whatever they show.

    Parameters
    ----------
    frames
        The frames of one study, in any order.

    Returns
    -------
        The acquisitions of two or more frames, ordered by series number, place and recency, and what was skipped.
        :func:`cmr_planes.cine.cine_evidence.keep_cines` tells which are cines.
    """
    unique, n_copies = unique_frames(frames)
    placeless = [frame for frame in unique if frame.plane is None]
    slices: list[CineSlice] = []
    singles: list[FrameHeader] = []
    unordered: list[list[FrameHeader]] = []
    for take in join_pieces([take for group in group_by_plane(unique) for take in split_takes(group)]):
        order = order_frames(take) if len(take) >= MIN_CINE_FRAMES else None
        if order is not None:
            plane = common_plane(take)
            slices.append(CineSlice(plane=plane, frames=order.frames, ordered_by=order.by, irregularity=order.irregularity))
        elif len(take) >= MIN_CINE_FRAMES:
            unordered.append(take)
        else:
            singles += take
    slices.sort(key=_fixed_order)
    rows = [
        *fates(singles, Fate.SINGLE_FRAME, "one frame: a localiser or a single shot"),
        *placeless_fates(placeless),
        *fates([frame for take in unordered for frame in take], Fate.NOT_USED, "no attribute orders its frames"),
    ]
    return CineStudy(
        slices=tuple(slices),
        n_single_frames=len(singles),
        defects=(*order_rejections(unordered), *place_rejections(placeless, are_all=len(placeless) == len(unique))),
        excluded={"without an order": sum(map(len, unordered))} if unordered else {},
        findings=(*copy_notes(n_copies, len(unique)), *place_notes(placeless), *(order_notes(unordered) if slices else [])),
        passed_over=tuple(sorted(rows, key=lambda row: (_known(row.series_number), row.fate, row.sentence))),
    )


def is_complete(cine: CineSlice, among: Sequence[CineSlice]) -> bool:
    """Tell whether an acquisition is a whole cycle.

    Parameters
    ----------
    cine
        An acquisition.
    among
        Its like: acquisitions of the same view, ``cine`` among them.

    Returns
    -------
        Whether it has all frames that its header promises, and shows its whole RR interval or no much smaller part of the cycle
        than another one: a take that was broken off promises no more than it has.
    """
    n_frames, n_others = len(cine.frames), [len(other.frames) for other in among]
    if n_frames < cine.n_expected_frames:
        return False
    span_ms, spans_ms = cine.span_ms, [other.span_ms for other in among if other.span_ms]
    if not span_ms:
        return n_frames >= MIN_SPAN_SHARE * max(n_others) and (n_frames >= int(median(n_others)) or cine.n_expected_frames > 0)
    if span_ms >= WHOLE_SPAN_SHARE * (cine.header.nominal_interval_ms or float("inf")):
        return True
    if span_ms < MIN_SPAN_SHARE * max(spans_ms):
        return False
    return cine.n_expected_frames > 0 or n_frames >= int(median(n_others)) or span_ms >= WHOLE_SPAN_SHARE * median(spans_ms)


def order_findings(view: CardiacView, slices: Sequence[CineSlice]) -> list[Finding]:
    """Say which slices of a chosen view lack trigger times or frames."""
    findings = []
    others = Counter(cine.ordered_by for cine in slices if cine.ordered_by is not OrderedBy.TRIGGER_TIME)
    if others:
        by = ", ".join(f"{attribute} ({count})" if len(others) > 1 else attribute for attribute, count in sorted(others.items()))
        sentence = (
            f"{part(others.total(), len(slices), 'slice')} {either(others.total(), 'has', 'have')} no usable "
            f"TriggerTime (0018,1060); frames were ordered by {by}"
        )
        findings.append(Finding(view.value, NoteCode.NO_TRIGGER_TIME, sentence))
    irregular = [cine.irregularity for cine in slices if cine.irregularity]
    if irregular:
        sentence = f"{part(len(irregular), len(slices), 'slice')} {either(len(irregular), 'has', 'have')} {irregular[0]}"
        findings.append(Finding(view.value, NoteCode.IRREGULAR_TIMES, sentence))
    short = [cine for cine in slices if not is_complete(cine, slices)]
    if short:
        counts = ", ".join(str(len(cine.frames)) for cine in short)
        expected = max(max(cine.n_expected_frames for cine in slices), int(median(len(cine.frames) for cine in slices)))
        sentence = (
            f"{part(len(short), len(slices), 'slice')} {either(len(short), 'has', 'have')} fewer frames than the "
            f"expected {expected} ({counts})"
        )
        findings.append(Finding(view.value, NoteCode.MISSING_FRAMES, sentence))
    return findings


def _known(number: int | None) -> int:
    """Return a number, -1 if it is not known."""
    return -1 if number is None else number


def _fixed_order(cine: CineSlice) -> tuple[object, ...]:
    """Sort slices by series and place, whatever the order of files."""
    header = cine.header
    return (
        _known(header.series_number),
        header.series_uid,
        *cine.plane.position_mm.tolist(),
        *cine.recency,
        (header.instance_number or 0, str(header.file.path), header.file.member, header.frame_index),
    )


def join_labels(slices: Iterable[CineSlice]) -> str:
    """Name the series of slices, each once."""
    return "; ".join(sorted({cine.label for cine in slices}))


def share_orientation(first: CineSlice, second: CineSlice, limit_deg: float) -> bool:
    """Tell whether two slices are parallel within ``limit_deg``."""
    return angle_between_normals_deg(first.plane.normal, second.plane.normal) <= limit_deg
