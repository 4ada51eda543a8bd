"""End-diastole and end-systole, from headers where they say so, else from the images.

Both are looked for in a disc around the intersection of the planes on the middle short-axis slices. End-systole is where the images
differ most from the first one, as in the Imperial group's ``cardiacphasedetection``: on real studies it is right where the blood
pool misleads, as on a basal slice. End-diastole is where the blood pool, which is bright, is largest.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter

from cmr_planes.cine.acquisitions import CineSlice
from cmr_planes.geometry import ImagePlane
from cmr_planes.geometry.arrays import BoolArray, FloatArray, IntArray

MIN_SEARCH_FRAMES = 8
"""With fewer frames end-systole is not searched."""
ED_WINDOW = 0.15
"""End-diastole is looked for within this share of the cycle before and after the R wave (frame 0)."""
ES_WINDOW = (0.15, 0.65)
"""End-systole is looked for in this part of the cycle."""
REGION_RADIUS_MM = 60.0
"""Radius of the disc around the intersection in which images are compared."""
BLUR_PX = 2.0
"""Standard deviation of the Gaussian that takes noise from the images before they are compared, in pixels."""
N_SEARCH_SLICES = 3
"""Number of slices around the middle of the stack whose curves are added."""
MIN_ED_GAIN = 0.05
"""Another frame than the first is taken for end-diastole only if its blood pool is larger by this share of the curve's range."""
MIN_EJECTION = 0.4
"""... and only if the pool falls by this share of its range from there to end-systole: elsewhere it is no measure of volume."""


@dataclass(frozen=True, slots=True)
class CyclePhases:
    """End-diastole and end-systole as fractions of the cardiac cycle, 0 at the R wave."""

    ed: float
    """End-diastole, 0 to 1."""
    es: float | None
    """End-systole, 0 to 1; None if there are too few frames to tell."""


def nearest_frame(fraction: float, n_frames: int) -> int:
    """Return the frame, of ``n_frames`` evenly spread over the cycle, nearest to a fraction of it; the cycle closes on itself."""
    return round(fraction * n_frames) % n_frames


def search_frames(n_frames: int) -> IntArray:
    """Return the frames in which ED or ES may lie, ascending, shape (k,)."""
    fraction = np.arange(n_frames) / n_frames
    wanted = (fraction <= ES_WINDOW[1]) | (fraction >= 1 - ED_WINDOW)
    return np.flatnonzero(wanted)


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
    low, high = np.percentile(pixels, [2, 98])
    if high <= low:
        return np.zeros(len(pixels))
    threshold = otsu_threshold(pixels, low, high)
    dark, bright = pixels[pixels < threshold].mean(), pixels[pixels >= threshold].mean()
    curve: FloatArray = np.clip((pixels - dark) / (bright - dark), 0, 1).sum(axis=1)
    return curve


def otsu_threshold(pixels: FloatArray, low: float, high: float, n_bins: int = 128) -> float:
    """Return the intensity that splits ``pixels`` into two classes of least variance (Otsu 1979), searched from low to high."""
    counts, edges = np.histogram(pixels, bins=n_bins, range=(low, high))
    middles = (edges[:-1] + edges[1:]) / 2
    below = np.cumsum(counts)
    above = below[-1] - below
    sums = np.cumsum(counts * middles)
    with np.errstate(divide="ignore", invalid="ignore"):
        between = below * above * (sums / below - (sums[-1] - sums) / above) ** 2
    return float(edges[1:][int(np.nanargmax(np.where(above > 0, between, np.nan)))])


def difference_curve(images: FloatArray, mask: BoolArray) -> FloatArray:
    """Measure how far each image is from the first.

    Parameters
    ----------
    images
        Shape (frames, rows, columns).
    mask
        The region, shape (rows, columns); not empty.

    Returns
    -------
        Shape (frames,): root of the mean squared difference in the region, after a slight blur.
    """
    rows, columns = (slice(indices.min(), indices.max() + 1) for indices in np.nonzero(mask))
    blurred = gaussian_filter(images[:, rows, columns], (0, BLUR_PX, BLUR_PX))[:, mask[rows, columns]]
    curve: FloatArray = np.sqrt(((blurred - blurred[0]) ** 2).mean(axis=1))
    return curve


def find_phases(pool: FloatArray, difference: FloatArray) -> CyclePhases:
    """Find end-diastole and end-systole.

    Parameters
    ----------
    pool
        Blood pool, shape (frames,), evenly spread over the cycle from the R wave; NaN outside :func:`search_frames`.
    difference
        Difference from the first frame, likewise.

    Returns
    -------
        The fractions of the largest pool around the R wave (of the first frame, where the pool does not decide) and of the largest
        difference in systole.
    """
    n_frames = len(pool)
    difference = _smoothed(difference)  # the pool is not: a mean with the next frame would take end-diastole off the R wave
    fraction = np.arange(n_frames) / n_frames
    near_r_wave = np.minimum(fraction, 1 - fraction) <= ED_WINDOW
    in_systole = (fraction >= ES_WINDOW[0]) & (fraction <= ES_WINDOW[1])
    if n_frames < MIN_SEARCH_FRAMES or not (difference[in_systole] > 0).any() or not np.isfinite(pool[near_r_wave]).any():
        return CyclePhases(ed=0.0, es=None)
    ed = int(np.nanargmax(np.where(near_r_wave, pool, np.nan)))
    es = int(np.nanargmax(np.where(in_systole, difference, np.nan)))
    span = np.nanmax(pool) - np.nanmin(pool)
    if pool[ed] - pool[0] <= MIN_ED_GAIN * span or pool[ed] - pool[es] < MIN_EJECTION * span:
        ed = 0
    return CyclePhases(ed=ed / n_frames, es=es / n_frames)


def phases_from_headers(cine: CineSlice) -> tuple[int | None, int | None]:
    """Return the frames that CardiacCyclePosition (0018,9236) calls END_DIASTOLE and END_SYSTOLE, None where it names none."""
    positions = [frame.cardiac_cycle_position for frame in cine.frames]
    ed, es = (positions.index(name) if name in positions else None for name in ("END_DIASTOLE", "END_SYSTOLE"))
    return ed, es


def combine_curves(curves: Sequence[FloatArray]) -> FloatArray:
    """Average curves of different length on the grid of the longest; shape (frames,).

    A frame counts as unknown (NaN) only if it is unknown in every curve.
    """
    n_frames = max(len(curve) for curve in curves)
    total = np.zeros(n_frames)
    known = np.zeros(n_frames)
    for curve in curves:
        index = [nearest_frame(frame / n_frames, len(curve)) for frame in range(n_frames)]
        resampled = curve[index]
        present = np.isfinite(resampled)
        total[present] += resampled[present]
        known += present
    return np.where(known > 0, total / np.maximum(known, 1), np.nan)


def _smoothed(curve: FloatArray) -> FloatArray:
    """Return the cyclic mean of three neighbours, weights 1, 2, 1; neighbours that are unknown (NaN) are left out."""
    values = np.stack([np.roll(curve, 1), curve, np.roll(curve, -1)])
    weights = np.array([1.0, 2.0, 1.0])[:, None] * np.isfinite(values)
    smooth = np.where(np.isfinite(values), values, 0.0)
    total = (weights * smooth).sum(axis=0) / np.maximum(weights.sum(axis=0), 1e-12)
    return np.where(np.isfinite(curve), total, np.nan)
