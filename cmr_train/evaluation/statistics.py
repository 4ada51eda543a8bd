"""Whether one method is better than another on the same subjects: paired differences."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

CONFIDENCE = 0.95
"""Of the intervals."""

N_RESAMPLES = 10_000
"""Bootstrap samples; the ends of an interval then vary by about 1 % of its width with the seed."""

_VALUES_AT_ONCE = 1 << 22


@dataclass(frozen=True, slots=True, kw_only=True)
class PairedDifference:
    """The difference of two methods over subjects, in the unit of what was compared."""

    n_pairs: int
    """Subjects with both values."""
    n_left_out: int
    """Subjects without one or both."""
    mean: float
    """Mean difference; NaN without pairs."""
    low: float
    """Lower end of its confidence interval; NaN with fewer than two pairs."""
    high: float
    """Upper end."""
    p_value: float
    """Two-sided p of Wilcoxon's signed-rank test; 1 where all differences are zero, NaN without pairs."""


def paired_difference(values: ArrayLike, baseline: ArrayLike, *, seed: int = 0) -> PairedDifference:
    """Compare two methods on the same subjects.

    Parameters
    ----------
    values
        Shape (subjects,): of the method, NaN where there is none.
    baseline
        Shape (subjects,): of the method that it is compared with, in the same order.
    seed
        Of the bootstrap.

    Returns
    -------
        Values minus baseline: the mean, its percentile bootstrap interval over subjects, and Wilcoxon's signed-rank test.

    Raises
    ------
    ValueError
        The two differ in shape.

    Examples
    --------
    >>> difference = paired_difference([0.8, 0.9, 0.7], [0.7, 0.7, 0.7])
    >>> round(difference.mean, 3), difference.n_pairs
    (0.1, 3)
    """
    first, second = (np.asarray(array, dtype=np.float64) for array in (values, baseline))
    if first.ndim != 1 or first.shape != second.shape:
        raise ValueError(f"the values of both methods must have one shape (subjects,), and have {first.shape} and {second.shape}")
    differences = (first - second)[~(np.isnan(first) | np.isnan(second))]
    low, high = _bootstrap_interval(differences, np.random.default_rng(seed))
    return PairedDifference(
        n_pairs=len(differences),
        n_left_out=len(first) - len(differences),
        mean=float(differences.mean()) if len(differences) else np.nan,
        low=low,
        high=high,
        p_value=signed_rank_p(differences),
    )


def crossed_interval(values: ArrayLike, *, seed: int = 0) -> tuple[float, float]:
    """Return the bootstrap interval of a mean over subjects and seeds, both resampled in every draw.

    The same subjects are scored by the network of every seed, so the two vary each in its own direction: a sample draws rows and
    columns apart (Owen, *Ann. Appl. Stat.* 1, 2007), and the interval is as wide as
    the seeds differ.

    Parameters
    ----------
    values
        Shape (subjects, seeds); NaN where there is no value.
    seed
        Of the bootstrap.

    Returns
    -------
        Lower and upper end; NaN where there is but one value, or none.

    Examples
    --------
    >>> crossed_interval([[0.5, 0.7], [0.5, 0.7]])
    (0.5, 0.7)
    """
    given = np.asarray(values, dtype=np.float64)
    is_there = ~np.isnan(given)
    given, is_there = (array[is_there.any(axis=1)][:, is_there.any(axis=0)] for array in (given, is_there))
    if given.size < 2:
        return np.nan, np.nan
    n_subjects, n_seeds = given.shape
    rng = np.random.default_rng(seed)
    sums, numbers = np.zeros(N_RESAMPLES), np.zeros(N_RESAMPLES)
    step = max(1, _VALUES_AT_ONCE // given.size)
    filled = np.where(is_there, given, 0.0)
    for start in range(0, N_RESAMPLES, step):
        part = slice(start, min(start + step, N_RESAMPLES))
        subjects = rng.multinomial(n_subjects, np.full(n_subjects, 1 / n_subjects), size=part.stop - part.start)
        seeds = rng.multinomial(n_seeds, np.full(n_seeds, 1 / n_seeds), size=part.stop - part.start)
        sums[part] = ((subjects @ filled) * seeds).sum(axis=1)
        numbers[part] = ((subjects @ is_there) * seeds).sum(axis=1)
    is_drawn = numbers > 0
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(sums[is_drawn] / numbers[is_drawn], (tail, 1 - tail))
    return float(low), float(high)


def _bootstrap_interval(differences: NDArray[np.float64], rng: np.random.Generator) -> tuple[float, float]:
    """Return the percentile interval of the mean over resampled subjects."""
    n_pairs = len(differences)
    if n_pairs < 2:
        return np.nan, np.nan
    step = max(1, _VALUES_AT_ONCE // n_pairs)
    means = np.concatenate(
        [
            differences[rng.integers(n_pairs, size=(min(step, N_RESAMPLES - start), n_pairs))].mean(axis=1)
            for start in range(0, N_RESAMPLES, step)
        ]
    )
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(means, (tail, 1 - tail))
    return float(low), float(high)


def signed_rank_p(differences: NDArray[np.float64]) -> float:
    """Return the two-sided p of Wilcoxon's test; differences of zero say nothing and are left out (Wilcoxon's own rule)."""
    from scipy import stats  # half a second and 50 MB, which a training that imports this room does not need

    if not len(differences):
        return np.nan
    nonzero = differences[differences != 0]
    return float(stats.wilcoxon(nonzero).pvalue) if len(nonzero) else 1.0
