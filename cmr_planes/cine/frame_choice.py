"""Which frames are wanted, and their images: the search for end-diastole and end-systole on a subject's slices."""

from collections.abc import Mapping, Sequence
from statistics import mode

import numpy as np
from numpy.typing import NDArray

from cmr_planes.cine.phases import (
    N_SEARCH_SLICES,
    CyclePhases,
    blood_pool_curve,
    combine_curves,
    difference_curve,
    disc_mask,
    find_phases,
    nearest_frame,
    search_frames,
)
from cmr_planes.cine.slices import Slice
from cmr_planes.errors import GeometryError
from cmr_planes.geometry import VIEW_LINES, ImagePlane, intersect_three_planes, middle_slice
from cmr_planes.geometry.arrays import FloatArray, IntArray
from cmr_planes.views import CardiacPhase, CardiacView, PhaseChoice

MAX_SEARCH_PIXELS = 1 << 24
"""Pixels of all frames of a slice in which end-systole is searched; 50 frames of 512 × 512 pixels have 13 million."""


def find_cycle_phases(views: Mapping[CardiacView, Sequence[Slice]]) -> CyclePhases:
    """Find end-diastole and end-systole.

    Parameters
    ----------
    views
        The chosen slices of each view, one at least.

    Returns
    -------
        The phases, from the middle short-axis slices around the planes' intersection; without a short axis, from the first view
        there is. Frames that cannot be read are left out of the search.
    """
    slices = views.get(CardiacView.SAX) or next(iter(views.values()))
    middle = middle_slice([one.plane for one in slices])
    start = max(0, min(middle - N_SEARCH_SLICES // 2, len(slices) - N_SEARCH_SLICES))
    centre_mm = _region_centre(views, slices[middle].plane)
    curves = [_curves(one, centre_mm) for one in slices[start : start + N_SEARCH_SLICES]]
    curves = [(pool, difference) for pool, difference in curves if np.isfinite(pool).any()]
    if not curves:
        return CyclePhases(ed=0.0, es=None)
    pools, differences = zip(*curves, strict=True)
    return find_phases(combine_curves(pools), combine_curves(differences))


def choose_frames(slices: Sequence[Slice], cycle: CyclePhases, choice: PhaseChoice) -> tuple[tuple[str, ...], IntArray]:
    """Choose the frames of a view.

    Parameters
    ----------
    slices
        The view's slices.
    cycle
        The subject's end-diastole and end-systole.
    choice
        Which phases are kept.

    Returns
    -------
        The names of the phases, and the frame of each phase and slice, shape (phase, slice), zero-based: the frame that the source
        names, else the one at the same fraction of its own slice's cycle.
    """
    if choice is PhaseChoice.ALL:
        n_frames = mode(one.n_frames for one in slices)
        fractions = [frame / n_frames for frame in range(n_frames)]
        names = tuple(f"{frame:03d}" for frame in range(n_frames))
        stated: list[tuple[int | None, int | None]] = [(None, None)] * len(slices)
    else:
        fractions = [cycle.ed] if cycle.es is None else [cycle.ed, cycle.es]
        names = (CardiacPhase.ED.value, CardiacPhase.ES.value)[: len(fractions)]
        stated = [one.stated_phases for one in slices]
    index = np.array([[nearest_frame(fraction, one.n_frames) for one in slices] for fraction in fractions])
    for column, by_source in enumerate(stated):
        for phase, frame in enumerate(by_source[: len(fractions)]):
            if frame is not None:
                index[phase, column] = frame
    return names, index


def end_diastolic_image(one: Slice, cycle: CyclePhases) -> NDArray[np.uint16]:
    """Return the end-diastolic image of a slice, shape (row, column)."""
    stated, _ = one.stated_phases
    return one.image(nearest_frame(cycle.ed, one.n_frames) if stated is None else stated)


def _region_centre(views: Mapping[CardiacView, Sequence[Slice]], middle: ImagePlane) -> FloatArray:
    """Return where the blood pool is looked for: the planes' intersection, else the middle of the image; LPS, mm."""
    lines = [views[line.view][0].plane for line in VIEW_LINES[CardiacView.SAX] if line.view in views]
    try:
        return intersect_three_planes(middle, *lines).point_mm if len(lines) == 2 else middle.centre_mm
    except GeometryError:
        return middle.centre_mm


def _curves(one: Slice, centre_mm: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Measure the blood pool of a slice and its difference from the first frame over the cycle.

    Both have shape (frames,), and NaN where a frame is not needed or cannot be read.
    """
    pool, difference = np.full((2, one.n_frames), np.nan)
    wanted = search_frames(one.n_frames)
    wanted = wanted[one.readable(wanted.tolist())]
    mask = disc_mask(one.plane, one.plane.patient_to_pixel(centre_mm))
    if len(wanted) and mask.any() and len(wanted) * mask.size <= MAX_SEARCH_PIXELS:
        stack = np.stack([one.intensities(frame) for frame in wanted.tolist()])
        pool[wanted] = blood_pool_curve(stack[:, mask])
        difference[wanted] = difference_curve(stack, mask)
    return pool, difference
