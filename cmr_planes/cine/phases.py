"""End-diastole and end-systole, from headers where they say so, else from the images.

Both are searched for in a disc around the intersection of the planes on the middle short-axis slices. Times are fractions of the RR
interval (:mod:`cmr_planes.cine.cycle_time`). End-systole is where the images differ most from the one at the R wave, as in the
Imperial group's ``cardiacphasedetection``: on real studies it is right where the blood pool misleads, as on a basal slice.
End-diastole is where the blood pool, which is bright, is largest.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

import numpy as np

from cmr_planes.cine.acquisitions import CineSlice
from cmr_planes.cine.cycle_time import FrameTiming, cyclic_distance, frame_step, r_wave_frame
from cmr_planes.cine.sampling import smooth
from cmr_planes.geometry import ImagePlane
from cmr_planes.geometry.arrays import BoolArray, FloatArray, IntArray, distinct, percentiles_of_sorted

MIN_SEARCH_FRAMES = 8
"""With fewer frames end-systole is not searched."""
ED_WINDOW = 0.15
"""End-diastole is searched for within less than this share of the cycle before and after the R wave."""
ES_WINDOW = (0.15, 0.65)
"""End-systole is searched for in this part of the cycle."""
REGION_RADIUS_MM = 60.0
"""Radius of the disc around the intersection in which images are compared."""
BLUR_PX = 2.0
"""Standard deviation of the Gaussian that takes noise from the images before they are compared, in pixels."""
N_SEARCH_SLICES = 3
"""Number of slices around the middle of the stack whose curves are added."""
SAME_POOL = 0.05
"""Blood pools that differ by less than this share of the curve's range are equally large: the one nearest to the R wave is ED."""
MIN_EJECTION = 0.4
"""The pool decides only if it falls by this share of its range to end-systole: elsewhere it is no measure of volume."""
MAX_GAP = 2.5
"""A curve is known between two of its frames that are at most this many frames apart."""
MAX_HOLE = 0.2
"""End-systole may lie beside frames that are missing for at most this part of the cycle, or for :data:`MAX_GAP` frames."""
MIN_PART = 0.1
"""End-systole may lie at the end of the frames only if they end within this part of the cycle of the end of its window."""
_ROUNDING = 1e-6


@dataclass(frozen=True, slots=True)
class CyclePhases:
    """End-diastole and end-systole as fractions of the cardiac cycle, 0 at the R wave."""

    ed: float
    """End-diastole, 0 to 1."""
    es: float | None
    """End-systole, 0 to 1; None if it cannot be determined."""
    lack: str = ""
    """What end-systole could not be determined for, as a clause."""
    n_unreadable: int = 0
    """Frames in which they were to be searched for and that are black or cannot be decoded."""


@dataclass(frozen=True, slots=True, eq=False)
class CycleCurves:
    """What the images of one slice, or of several together, show over the cycle."""

    times: FloatArray
    """Shape (frame,): fractions of the cycle, in the order of the frames."""
    pool: FloatArray
    """Shape (frame,): size of the blood pool, NaN where not known."""
    difference: FloatArray
    """Shape (frame,): difference from the image at the R wave, in the same form."""


def search_frames(times: FloatArray) -> IntArray:
    """Return the frames in which ED or ES may lie, ascending, shape (k,); ``times`` of shape (frame,)."""
    return np.flatnonzero((times <= ES_WINDOW[1] + _ROUNDING) | (times >= 1 - ED_WINDOW - _ROUNDING))


def systole_share(times: FloatArray, known: BoolArray) -> float:
    """Return the part of the window of end-systole that frames span, 0 to 1.

    Parameters
    ----------
    times
        Times of all frames of a slice, shape (frame,).
    known
        Which of them are there, shape (frame,).
    """
    points = np.linspace(*ES_WINDOW, 51)
    return float(np.isfinite(_resampled(times, np.where(known, 0.0, np.nan), points)).mean())


def disc_mask(plane: ImagePlane, centre_px: FloatArray, radius_mm: float = REGION_RADIUS_MM) -> BoolArray:
    """Return the pixels within ``radius_mm`` of ``centre_px`` (column, row), shape (rows, columns)."""
    rows = (np.arange(plane.rows) - centre_px[1]) * plane.row_spacing_mm
    columns = (np.arange(plane.columns) - centre_px[0]) * plane.column_spacing_mm
    mask: BoolArray = rows[:, None] ** 2 + columns**2 <= radius_mm**2
    return mask


def blood_pool_curve(pixels: FloatArray) -> FloatArray:
    """Measure the blood pool over time.

    Parameters
    ----------
    pixels
        Shape (frames, pixels): intensities of the region.

    Returns
    -------
        Shape (frames,): for each frame the number of pixels as bright as blood, counted in part near the threshold so that a
        pixel half filled with blood counts half.
    """
    ordered = np.sort(pixels, axis=None)  # once: each of the numbers below is read from it
    low, high = percentiles_of_sorted(ordered, (2, 98))
    if high <= low:
        return np.zeros(len(pixels))
    n_dark = int(np.searchsorted(ordered, otsu_threshold(ordered, low, high)))
    dark, bright = ordered[:n_dark].mean(), ordered[n_dark:].mean()
    curve: FloatArray = np.clip((pixels - dark) / (bright - dark), 0, 1).sum(axis=1)
    return curve


def otsu_threshold(ordered: FloatArray, low: float, high: float, n_bins: int = 128) -> float:
    """Return the intensity that splits ascending ones, shape (n,), into two classes of least variance, from low to high.

    References
    ----------
    Otsu, IEEE Transactions on Systems, Man, and Cybernetics 9 (1979) 62-66.
    """
    edges = np.linspace(low, high, n_bins + 1)
    counts = np.diff(np.searchsorted(ordered, edges[:-1]), append=np.searchsorted(ordered, high, side="right"))
    middles = (edges[:-1] + edges[1:]) / 2
    below = np.cumsum(counts)
    above = below[-1] - below
    sums = np.cumsum(counts * middles)
    with np.errstate(divide="ignore", invalid="ignore"):
        between = below * above * (sums / below - (sums[-1] - sums) / above) ** 2
    return float(edges[1:][int(np.nanargmax(np.where(above > 0, between, np.nan)))])


def difference_curve(images: FloatArray, mask: BoolArray, reference: int = 0) -> FloatArray:
    """Measure how far each image is from one of them.

    Parameters
    ----------
    images
        Shape (frames, rows, columns).
    mask
        The region, shape (rows, columns); not empty.
    reference
        The image to compare with.

    Returns
    -------
        Shape (frames,): root of the mean squared difference in the region, after a slight blur.
    """
    rows, columns = (slice(indices.min(), indices.max() + 1) for indices in np.nonzero(mask))
    blurred = smooth(images[:, rows, columns], (BLUR_PX, BLUR_PX))[:, mask[rows, columns]]
    curve: FloatArray = np.sqrt(((blurred - blurred[reference]) ** 2).mean(axis=1))
    return curve


def find_phases(curves: CycleCurves) -> CyclePhases:
    """Find end-diastole and end-systole.

    Parameters
    ----------
    curves
        Curves at ascending times, as :func:`combine_curves` returns them.

    Returns
    -------
        The times of the largest pool around the R wave (of the frame at the R wave, where the pool does not decide; of equally
        large ones of the nearest) and of the largest difference in systole.
    """
    times, pool, difference = curves.times, curves.pool, curves.difference
    near_r_wave = (cyclic_distance(times, 0.0) < ED_WINDOW - _ROUNDING) & np.isfinite(pool)
    in_systole = (times >= ES_WINDOW[0] - _ROUNDING) & (times <= ES_WINDOW[1] + _ROUNDING) & np.isfinite(difference)
    if not near_r_wave.any():
        return CyclePhases(ed=0.0, es=None, lack="no image around the R wave can be read")
    r_wave = int(np.flatnonzero(near_r_wave)[r_wave_frame(times[near_r_wave])])
    lack = _lack(times[in_systole], difference[in_systole], max(MAX_HOLE, MAX_GAP * frame_step(times)))
    if lack:
        return CyclePhases(ed=float(times[r_wave]), es=None, lack=lack)
    es = int(np.nanargmax(np.where(in_systole, difference, np.nan)))
    span = np.nanmax(pool) - np.nanmin(pool)
    largest = pool[near_r_wave].max()
    is_full = near_r_wave & (pool >= largest - SAME_POOL * span)
    ed = int(np.flatnonzero(is_full)[r_wave_frame(times[is_full])]) if largest - pool[es] >= MIN_EJECTION * span else r_wave
    return CyclePhases(ed=float(times[ed]), es=float(times[es]))


def _lack(times: FloatArray, difference: FloatArray, largest_step: float) -> str:
    """Say why images at ascending times of systole, in steps up to ``largest_step``, do not tell its end, or nothing."""
    first, last = ES_WINDOW
    if len(times) < 2:
        return f"no images between {first:.0%} and {last:.0%} of the cardiac cycle can be read"
    if not (difference > 0).any():
        return "the images do not change over the cardiac cycle"
    es = int(np.argmax(difference))
    if es == len(times) - 1 and times[es] < last - MIN_PART:
        return f"the frames end at {times[es]:.0%} of the cardiac cycle, while the heart still contracts"
    if es == 0 and times[es] > first + MIN_PART:
        return f"the frames of systole begin at {times[es]:.0%} of the cardiac cycle, when the heart already relaxes"
    for start, end in pairwise(times[max(0, es - 1) : es + 2].tolist()):
        if end - start > largest_step + _ROUNDING:
            return f"frames are missing between {start:.0%} and {end:.0%} of the cardiac cycle, where the heart contracts most"
    return ""


def phases_from_headers(cine: CineSlice) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return the frames that CardiacCyclePosition (0018,9236) calls END_DIASTOLE, and those that it calls END_SYSTOLE."""
    positions = [frame.cardiac_cycle_position for frame in cine.frames]
    if not any(positions):
        return (), ()
    ed, es = (
        tuple(index for index, position in enumerate(positions) if position == name) for name in ("END_DIASTOLE", "END_SYSTOLE")
    )
    return ed, es


def timing_from_headers(cine: CineSlice) -> FrameTiming:
    """Return what headers say about the times of a slice's frames: of values that should be equal, the median."""
    frames = cine.frames
    percentages = [frame.cycle_percentage for frame in frames]
    known = [percentage / 100.0 for percentage in percentages if percentage is not None]
    return FrameTiming(
        times_ms=np.array([np.nan if frame.trigger_time_ms is None else frame.trigger_time_ms for frame in frames]),
        nominal_interval_ms=_median_of(frame.nominal_interval_ms for frame in frames),
        heart_rate_bpm=_median_of(frame.heart_rate_bpm for frame in frames),
        stated=np.array(known) if len(known) == len(frames) else None,
    )


def _median_of(values: Iterable[float | None]) -> float | None:
    """Return the median of the values that are given and above 0, None if there is none."""
    known = [value for value in values if value is not None and value > 0]
    return median(known) if known else None


def combine_curves(curves: Sequence[CycleCurves]) -> CycleCurves:
    """Average the curves of several slices.

    Returns
    -------
        Curves at the times of all their frames, ascending. The difference is smoothed; the pool is not, since a mean with the next
        frame would take end-diastole off the R wave. A point counts as unknown (NaN) unless every curve is known there.
    """
    times = distinct(np.concatenate([one.times for one in curves]))
    pool = np.mean([_resampled(one.times, one.pool, times) for one in curves], axis=0)
    difference = np.mean([_resampled(one.times, _smoothed(one.times, one.difference), times) for one in curves], axis=0)
    return CycleCurves(times, pool, difference)


def _resampled(times: FloatArray, curve: FloatArray, points: FloatArray) -> FloatArray:
    """Interpolate a cyclic curve linearly between its frames; NaN where those are more than :data:`MAX_GAP` frames apart.

    Parameters
    ----------
    times, curve
        Shape (frame,); unknown values are NaN. Frames of equal times are averaged.
    points
        Shape (point,).
    """
    known = np.isfinite(curve)
    if not known.any():
        return np.full(len(points), np.nan)
    at, place = np.unique(times[known], return_inverse=True)
    values = np.bincount(place, curve[known]) / np.bincount(place)
    around = np.concatenate([at[-1:] - 1.0, at, at[:1] + 1.0])
    after = np.searchsorted(around, points, side="left").clip(1, len(around) - 1)
    gap = around[after] - around[after - 1]
    is_frame = np.minimum(around[after] - points, points - around[after - 1]) <= _ROUNDING
    is_known = is_frame | (gap <= MAX_GAP * frame_step(times) + _ROUNDING)
    return np.where(is_known, np.interp(points, around, np.concatenate([values[-1:], values, values[:1]])), np.nan)


def _smoothed(times: FloatArray, curve: FloatArray) -> FloatArray:
    """Return the cyclic mean of three neighbours, weights 1, 2, 1; neighbours that are unknown (NaN) or far are left out.

    Both have shape (frame,).
    """
    order = np.argsort(times, kind="stable")
    ordered, at = curve[order], times[order]
    values = np.stack([np.roll(ordered, 1), ordered, np.roll(ordered, -1)])
    apart = np.stack([(at - np.roll(at, 1)) % 1.0, np.zeros(len(at)), (np.roll(at, -1) - at) % 1.0])
    is_near = np.isfinite(values) & (apart <= MAX_GAP * frame_step(times) + _ROUNDING)
    weights = np.array([1.0, 2.0, 1.0])[:, None] * is_near
    total = (weights * np.where(is_near, values, 0.0)).sum(axis=0) / np.maximum(weights.sum(axis=0), 1e-12)
    smooth = np.empty(len(curve))
    smooth[order] = np.where(np.isfinite(ordered), total, np.nan)
    return smooth
