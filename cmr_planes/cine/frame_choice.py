"""Which frames are wanted, and their images: the search for end-diastole and end-systole on a subject's slices."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from statistics import mode
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from cmr_planes.cine.cycle_time import cycle_times, cyclic_distance, frame_step, is_far, nearest_frame, r_wave_frame
from cmr_planes.cine.phases import (
    MIN_SEARCH_FRAMES,
    N_SEARCH_SLICES,
    CycleCurves,
    CyclePhases,
    blood_pool_curve,
    combine_curves,
    difference_curve,
    disc_mask,
    find_phases,
    search_frames,
    systole_share,
)
from cmr_planes.cine.slices import Slice
from cmr_planes.errors import GeometryError
from cmr_planes.geometry import VIEW_LINES, ImagePlane, intersect_three_planes, middle_slice
from cmr_planes.geometry.arrays import FloatArray, IntArray
from cmr_planes.views import CardiacPhase, CardiacView, PhaseChoice

MAX_SEARCH_PIXELS = 1 << 24
"""Pixels of all frames of a slice in which end-systole is searched; 50 frames of 512 × 512 pixels have 13 million."""
WHOLE_PART = 0.9
"""A slice that spans less than this part of what the best one spans of systole is a piece: it names no phase for others."""
N_NEIGHBOURS = 3
"""Where the nearest frame to a phase is black or damaged, one of this many nearest ones may stand for it."""
UNKNOWN_FRAME = -1
"""Stands for the frame of a slice of which it is not known when its frames were taken."""

SliceTimes: TypeAlias = tuple[FloatArray | None, ...]
"""Of each slice the times of its frames in the cycle, shape (frame,), None where not known."""


def time_views(views: Mapping[CardiacView, Sequence[Slice]]) -> dict[CardiacView, SliceTimes]:
    """Place the frames of all slices of a subject in the cardiac cycle."""
    order = _short_axis_first(views)
    slices = [one for view in order for one in views[view]]
    times = iter(cycle_times([one.timing for one in slices]))
    return {view: tuple(next(times) for _ in views[view]) for view in order}


def find_cycle_phases(views: Mapping[CardiacView, Sequence[Slice]], times: Mapping[CardiacView, SliceTimes]) -> CyclePhases:
    """Find end-diastole and end-systole.

    Parameters
    ----------
    views
        The chosen slices of each view, one at least.
    times
        Times of their frames, of :func:`time_views`.

    Returns
    -------
        The phases, from the middle short-axis slices around the planes' intersection; without a short axis, from the first view
        there is. Frames that cannot be read are left out of the search, and so are slices that have only a piece of the cycle,
        where others have more.
    """
    view = next((view for view in _short_axis_first(views) if any(one is not None for one in times[view])), None)
    if view is None:
        return CyclePhases(ed=0.0, es=None, lack="nothing tells when in the cardiac cycle the frames were taken")
    slices = views[view]
    n_frames = max(one.n_frames for one in slices)
    if n_frames < MIN_SEARCH_FRAMES:
        lack = f"the cines have {n_frames} frame{'s' * (n_frames != 1)}, and at least {MIN_SEARCH_FRAMES} are needed"
        return CyclePhases(ed=_r_wave(times[view]), es=None, lack=lack)
    curves = _search_curves(slices, times[view], _region_centre(views, slices[middle_slice([one.plane for one in slices])].plane))
    if not curves:
        return CyclePhases(ed=_r_wave(times[view]), es=None, lack="no image of the middle slices can be read")
    return replace(find_phases(combine_curves(_whole_ones(curves))), n_unreadable=_n_unreadable(curves))


def choose_frames(
    slices: Sequence[Slice], times: SliceTimes, cycle: CyclePhases, choice: PhaseChoice
) -> tuple[tuple[str, ...], IntArray]:
    """Choose the frames of a view.

    Parameters
    ----------
    slices
        The view's slices.
    times
        Times of their frames.
    cycle
        The subject's end-diastole and end-systole.
    choice
        Which phases are kept.

    Returns
    -------
        The names of the phases, and the frame of each phase and slice, shape (phase, slice), zero-based: the frame that the source
        names, else the nearest in time that can be read. Of a slice whose times are not known the first frame is end-diastole, and
        the frame of end-systole is ``UNKNOWN_FRAME``.
    """
    if choice is PhaseChoice.ALL:
        return _every_frame(slices, times)
    moments = phase_moments(cycle)
    names = (CardiacPhase.ED.value, CardiacPhase.ES.value)[: len(moments)]
    columns = [_frames_at(one, known, moments) for one, known in zip(slices, times, strict=True)]
    return names, np.array(columns).T


def phase_moments(cycle: CyclePhases) -> list[float]:
    """Return the times of the phases that are known: end-diastole, and end-systole."""
    return [cycle.ed] if cycle.es is None else [cycle.ed, cycle.es]


def far_slices(times: SliceTimes, frame_index: IntArray, moments: Sequence[float]) -> list[list[int]]:
    """Find slices whose frames are all far from a phase.

    Parameters
    ----------
    times
        Times of the slices' frames.
    frame_index
        Shape (phase, slice): the chosen frames.
    moments
        The time of each phase.

    Returns
    -------
        Of each phase the slices that have no frame near it, and whose nearest frame was chosen.
    """
    return [
        [
            index
            for index, known in enumerate(times)
            if known is not None and is_far(known, moment) and chosen[index] == nearest_frame(known, moment)
        ]
        for chosen, moment in zip(frame_index, moments, strict=True)
    ]


def count_replaced(slices: Sequence[Slice], times: SliceTimes, frame_index: IntArray, moments: Sequence[float]) -> int:
    """Count images of which the nearest frame cannot be read; ``frame_index`` of :func:`choose_frames`, shape (phase, slice)."""
    return sum(
        known is not None and not one.stated_phases[phase] and chosen[index] != nearest_frame(known, moment)
        for phase, (chosen, moment) in enumerate(zip(frame_index, moments, strict=True))
        for index, (one, known) in enumerate(zip(slices, times, strict=True))
    )


def end_diastolic_image(one: Slice, times: FloatArray | None, cycle: CyclePhases) -> NDArray[np.uint16]:
    """Return the end-diastolic image of a slice, shape (row, column)."""
    return one.image(_frames_at(one, times, [cycle.ed])[0])


def _short_axis_first(views: Iterable[CardiacView]) -> list[CardiacView]:
    """Return views in the order in which phases are searched on them."""
    return sorted(views, key=lambda view: view is not CardiacView.SAX)


def _frames_at(one: Slice, times: FloatArray | None, moments: Sequence[float]) -> list[int]:
    """Return the frames of a slice at end-diastole and end-systole; of unstated ones that cannot be read a neighbour."""
    frames = [_frame_at(one, times, phase, moment) for phase, moment in enumerate(moments)]
    if times is None or one.readable(frames).all():
        return frames
    return [
        frame if one.stated_phases[phase] else _readable_near(one, times, moments[phase], frame)
        for phase, frame in enumerate(frames)
    ]


def _readable_near(one: Slice, times: FloatArray, moment: float, nearest: int) -> int:
    """Return the first of the frames near a moment that can be read, ``nearest`` if none can."""
    others = np.argsort(cyclic_distance(times, moment), kind="stable")[:N_NEIGHBOURS].tolist()
    return next((frame for frame in [nearest, *others] if one.readable([frame]).all()), nearest)


def _frame_at(one: Slice, times: FloatArray | None, phase: int, moment: float) -> int:
    """Return the frame of a slice at a phase: the one that the source names; of several, or of all, the nearest in time."""
    stated = one.stated_phases[phase]
    if len(stated) == 1:
        return stated[0]
    if times is None:
        return UNKNOWN_FRAME if phase else 0
    if stated:
        return stated[nearest_frame(times[list(stated)], moment)]
    return nearest_frame(times, moment)


def _every_frame(slices: Sequence[Slice], times: SliceTimes) -> tuple[tuple[str, ...], IntArray]:
    """Return all frames in order: those of the usual number, and of slices that differ the ones nearest in time."""
    n_frames = mode(one.n_frames for one in slices)
    names = tuple(f"{frame:03d}" for frame in range(n_frames))
    usual = next((known for known in times if known is not None and len(known) == n_frames), None)
    columns = [_like(usual, known, n_frames, one.n_frames) for one, known in zip(slices, times, strict=True)]
    return names, np.stack(columns, axis=1)


def _like(usual: FloatArray | None, known: FloatArray | None, n_wanted: int, n_frames: int) -> IntArray:
    """Return the frames of a slice, ``n_frames`` at times ``known``, that show the moments of another one, ``n_wanted``."""
    if usual is None or known is None:
        return np.round(np.arange(n_wanted) * n_frames / n_wanted).astype(np.int64) % n_frames
    if n_frames == n_wanted and (cyclic_distance(known, usual) <= frame_step(usual)).all():
        return np.arange(n_frames)
    return np.array([nearest_frame(known, moment) for moment in usual.tolist()])


def _r_wave(times: SliceTimes) -> float:
    """Return the time of the frame at the R wave on the first slice whose times are known."""
    known = next(one for one in times if one is not None)
    return float(known[r_wave_frame(known)])


def _search_curves(slices: Sequence[Slice], times: SliceTimes, centre_mm: FloatArray) -> list[CycleCurves]:
    """Measure the middle slices over the cycle; if one cannot be read, its neighbour."""
    curves = (_curves(one, known, centre_mm) for one, known in _middle_first(slices, times))
    return list(islice((one for one in curves if _share(one) > 0), N_SEARCH_SLICES))


def _whole_ones(curves: Sequence[CycleCurves]) -> list[CycleCurves]:
    """Leave out slices that have only a piece of systole, where others have more."""
    best = max(map(_share, curves))
    return [one for one in curves if _share(one) >= WHOLE_PART * best]


def _share(curves: CycleCurves) -> float:
    """Return the part of systole that a slice shows."""
    return systole_share(curves.times, np.isfinite(curves.difference))


def _n_unreadable(curves: Sequence[CycleCurves]) -> int:
    """Count the frames of which a slice was to be measured and could not be."""
    return sum(int(np.isnan(one.difference[search_frames(one.times)]).sum()) for one in curves)


def _middle_first(slices: Sequence[Slice], times: SliceTimes) -> Iterator[tuple[Slice, FloatArray]]:
    """Return the slices on which phases are searched, and their times, those in the middle of the stack first."""
    timed = {index: known for index, known in enumerate(times) if known is not None}
    shares = {index: systole_share(known, np.ones(len(known), dtype=np.bool_)) for index, known in timed.items()}
    whole = [index for index, share in shares.items() if share >= WHOLE_PART * max(shares.values())]
    middle = middle_slice([one.plane for one in slices])
    start = max(0, min(middle - N_SEARCH_SLICES // 2, len(slices) - N_SEARCH_SLICES))
    for index in sorted(whole, key=lambda index: (abs(index - start - N_SEARCH_SLICES // 2), index)):
        yield slices[index], timed[index]


def _region_centre(views: Mapping[CardiacView, Sequence[Slice]], middle: ImagePlane) -> FloatArray:
    """Return where the blood pool is expected: the planes' intersection, else the middle of the image; LPS, mm."""
    lines = [views[line.view][0].plane for line in VIEW_LINES[CardiacView.SAX] if line.view in views]
    try:
        return intersect_three_planes(middle, *lines).point_mm if len(lines) == 2 else middle.centre_mm
    except GeometryError:
        return middle.centre_mm


def _curves(one: Slice, times: FloatArray, centre_mm: FloatArray) -> CycleCurves:
    """Measure the blood pool of a slice and its difference from the image at the R wave; NaN where no frame is needed or read."""
    pool, difference = np.full((2, one.n_frames), np.nan)
    wanted = search_frames(times)
    wanted = wanted[one.readable(wanted.tolist())]
    mask = disc_mask(one.plane, one.plane.patient_to_pixel(centre_mm))
    if len(wanted) and mask.any() and len(wanted) * mask.size <= MAX_SEARCH_PIXELS:
        rows, columns = (slice(int(indices.min()), int(indices.max()) + 1) for indices in np.nonzero(mask))
        stack = np.stack([one.intensities(frame, (rows, columns)) for frame in wanted.tolist()])
        mask = mask[rows, columns]
        pool[wanted] = blood_pool_curve(stack[:, mask])
        difference[wanted] = difference_curve(stack, mask, r_wave_frame(times[wanted]))
    return CycleCurves(times, pool, difference)
