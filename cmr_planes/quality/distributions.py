"""How a measure is distributed: counts in bins, quantiles, and the rows at its ends; values count units of the last decimal."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cmr_planes.geometry.arrays import IntArray
from cmr_planes.quality.cohort import VIEWS, Cohort
from cmr_planes.quality.measures import Measure

MAX_BINS = 40
"""Bars of a histogram."""

NO_VALUE = np.iinfo(np.int32).min
"""Stands for a value that is not known."""

Quantised = NDArray[np.int32]
"""Values times ten to the power of the measure's decimals, rounded; :data:`NO_VALUE` where there is none."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ViewSpread:
    """How a measure is distributed over the rows of one view."""

    view: str
    """The view's value."""
    n: int
    """Rows that have a value."""
    quantiles: tuple[float, ...]
    """In the measure's unit: the least value, those below which 5 %, half and 95 % lie, the largest."""
    low: tuple[int, ...]
    """Rows with the smallest values, the smallest first; only values below the median."""
    high: tuple[int, ...]
    """Rows with the largest values, the largest first; only values above the median."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Distribution:
    """How one measure is distributed."""

    measure: Measure
    """The measure."""
    values: Quantised
    """Shape (rows,)."""
    start: int
    """Where the first bin starts."""
    step: int
    """Width of a bin: bin k holds values from ``start + k * step`` to below ``start + (k + 1) * step``."""
    counts: IntArray
    """Shape (views, bins), views as in :data:`cmr_planes.quality.cohort.VIEWS`."""
    spreads: tuple[ViewSpread, ...]
    """One for each view that has values."""


def quantise(values: NDArray[np.float32], digits: int) -> Quantised:
    """Round values of shape (rows,) to a number of decimals.

    Examples
    --------
    >>> quantise(np.array([0.126, np.nan, -3.0], dtype=np.float32), 2).tolist() == [13, NO_VALUE, -300]
    True
    """
    scaled = np.round(values.astype(np.float64) * 10**digits)
    is_known = np.isfinite(scaled) & (np.abs(scaled) < -NO_VALUE)
    return np.where(is_known, scaled, NO_VALUE).astype(np.int32)


def distribution(cohort: Cohort, measure: Measure, n_ends: int) -> Distribution | None:
    """Count a measure's values.

    Parameters
    ----------
    cohort
        The rows.
    measure
        The measure.
    n_ends
        Rows listed at each end of each view, at most.

    Returns
    -------
        The distribution, None where no row has a value.
    """
    values = quantise(cohort.values[measure.name], measure.digits)
    known = np.flatnonzero(values != NO_VALUE)
    if not len(known):
        return None
    start, step, n_bins = bins(int(values[known].min()), int(values[known].max()))
    counts = np.zeros((len(VIEWS), n_bins), dtype=np.int64)
    np.add.at(counts, (cohort.view[known], (values[known] - start) // step), 1)
    return Distribution(
        measure=measure,
        values=values,
        start=start,
        step=step,
        counts=counts,
        spreads=tuple(
            _spread(measure, VIEWS[view], known[cohort.view[known] == view], values, n_ends)
            for view in np.unique(cohort.view[known]).tolist()
        ),
    )


def bins(least: int, largest: int) -> tuple[int, int, int]:
    """Return start, step and number of at most :data:`MAX_BINS` bins that hold whole numbers from ``least`` to ``largest``.

    Examples
    --------
    >>> bins(-100, 100), bins(7, 7), bins(3, 12)
    ((-100, 10, 21), (7, 1, 1), (3, 1, 10))
    """
    step = 1
    while largest // step - least // step >= MAX_BINS:
        step = _next_step(step)
    start = least // step * step
    return start, step, largest // step - least // step + 1


def _next_step(step: int) -> int:
    """Return the step after one of the steps 1, 2, 5, 10, 20, 50 and so on."""
    return step * 5 // 2 if str(step)[0] == "2" else step * 2


def _spread(measure: Measure, view: str, rows: IntArray, values: Quantised, n_ends: int) -> ViewSpread:
    """Describe the rows of one view."""
    of_view = values[rows].astype(np.int64)
    quantiles = np.quantile(of_view, (0, 0.05, 0.5, 0.95, 1))
    below, above = of_view < quantiles[2], of_view > quantiles[2]
    low = rows[below][np.argsort(of_view[below], kind="stable")[:n_ends]] if measure.has_low_end else rows[:0]
    high = rows[above][np.argsort(-of_view[above], kind="stable")[:n_ends]] if measure.has_high_end else rows[:0]
    return ViewSpread(
        view=view,
        n=len(rows),
        quantiles=tuple((quantiles / 10**measure.digits).tolist()),
        low=tuple(low.tolist()),
        high=tuple(high.tolist()),
    )
