"""How networks learnt: validation curves, their end, and the iterations that each method needed. Pure."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from statistics import median

import numpy as np
from numpy.typing import NDArray

from cmr_train.choices import TransferMode
from cmr_train.evaluation.scores import MEAN
from cmr_train.report.analysis import MISSED
from cmr_train.report.results import CellResult, Curve, StudyResults

THRESHOLDS = (0.5, 0.6, 0.7, 0.8)
"""Values of Dice; for each, the report gives the iterations after which it was first reached."""

OF_BEST = 0.95
"""Share of the best final Dice that is one more threshold."""

FLAT = 0.01
"""A curve is on its plateau where its trend over the last quarter changes Dice by less than this."""

_MIN_VALIDATIONS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Learning:
    """How the networks of one method at one number of subjects learnt, judged on the validation set."""

    variant: str
    subjects: int
    mode: TransferMode
    curves: tuple[Curve, ...]
    """One per seed."""
    mean: Curve
    """Over seeds."""
    final: float
    """Last value of the mean over structures."""
    change: float
    """Of the trend over the last quarter, in Dice; NaN with fewer than three validations in it."""

    @property
    def verdict(self) -> str:
        """Judgement of the end of the curve, in words."""
        return verdict(self.change)


def verdict(change: float) -> str:
    """Judge in words the end of a curve, by the change of its trend over its last quarter."""
    if math.isnan(change):
        return "too few validations"
    if abs(change) < FLAT:
        return "plateau"
    return "still rising" if change > 0 else "falling"


def learning(results: StudyResults) -> tuple[Learning, ...]:
    """Return the learning curves that there are, by variant, number of subjects and method."""
    return tuple(_learning(results))


@dataclass(frozen=True, slots=True, kw_only=True)
class Needed:
    """The iterations after which a method first had a Dice on the validation set."""

    threshold: float
    """Dice."""
    meaning: str
    """Where the threshold comes from; empty for those of :data:`THRESHOLDS`."""
    median: float
    """Over seeds, a seed that never came there counting as infinite."""
    n_reached: int
    n_seeds: int


def needed(found: Sequence[Learning]) -> tuple[tuple[Needed, ...], ...]:
    """Return what each method needed for each threshold; the methods are those of one number of subjects."""
    finals = [method.final for method in found if not math.isnan(method.final)]
    thresholds = [(threshold, "") for threshold in THRESHOLDS]
    if finals and max(finals) >= MISSED:
        thresholds.append((OF_BEST * max(finals), f"{OF_BEST:.0%} of the best final".replace("%", " %")))
    of_scratch = _final_of_scratch(found)
    if of_scratch >= MISSED:
        thresholds.append((of_scratch, "the final of scratch"))
    return tuple(tuple(_needed(method, threshold, meaning) for method in found) for threshold, meaning in thresholds)


def needed_for_scratch(found: Sequence[Learning]) -> dict[tuple[int, TransferMode], Needed]:
    """Return what each method of one variant needed for the final Dice of scratch, by number of subjects and method."""
    needs: dict[tuple[int, TransferMode], Needed] = {}
    for subjects, group in groupby(found, key=lambda method: method.subjects):
        methods = [*group]
        threshold = _final_of_scratch(methods)
        if threshold >= MISSED:
            needs |= {(subjects, method.mode): _needed(method, threshold, "the final of scratch") for method in methods}
    return needs


def _final_of_scratch(found: Sequence[Learning]) -> float:
    """Return the final Dice of scratch among methods of one number of subjects; NaN without."""
    return next((method.final for method in found if method.mode is TransferMode.SCRATCH), math.nan)


def mean_curve(curves: Sequence[Curve]) -> Curve:
    """Average curves over seeds, at every iteration at which any of them has a value."""
    iterations = np.unique(np.concatenate([curve.iterations for curve in curves]))
    names = dict.fromkeys(name for curve in curves for name in curve.dice)
    dice = {}
    for name in names:
        stacked = np.full((len(curves), len(iterations)), np.nan)
        for row, curve in enumerate(curves):
            if name in curve.dice:
                stacked[row, np.searchsorted(iterations, curve.iterations)] = curve.dice[name]
        n_values = (~np.isnan(stacked)).sum(axis=0)
        total = np.nansum(stacked, axis=0)
        dice[name] = np.divide(total, n_values, out=np.full(len(iterations), np.nan), where=n_values > 0)
    return Curve(iterations=iterations, dice=dice)


def last_quarter_change(iterations: NDArray[np.int64], dice: NDArray[np.float64]) -> float:
    """Return by how much the straight line through the last quarter of a curve changes along it; NaN with too few points."""
    is_late = (iterations >= 0.75 * iterations[-1]) & ~np.isnan(dice)
    if is_late.sum() < _MIN_VALIDATIONS:
        return math.nan
    x, y = iterations[is_late].astype(np.float64), dice[is_late]
    x = x - x.mean()
    return float((x @ y) / (x @ x) * (x[-1] - x[0]))


def _learning(results: StudyResults) -> Iterator[Learning]:
    for variant in results.variants:
        for subjects in results.subjects:
            for mode in results.modes:
                cells: tuple[CellResult, ...] = results.select(variant, subjects, mode)
                curves = tuple(cell.run.curve for cell in cells if cell.run.curve is not None and MEAN in cell.run.curve.dice)
                if curves:
                    yield make_learning(variant, subjects, mode, curves)


def make_learning(variant: str, subjects: int, mode: TransferMode, curves: tuple[Curve, ...]) -> Learning:
    """Judge the curves of one method, one per seed, each with a ``mean``."""
    mean = mean_curve(curves)
    present = mean.dice[MEAN][~np.isnan(mean.dice[MEAN])]
    return Learning(
        variant=variant,
        subjects=subjects,
        mode=mode,
        curves=curves,
        mean=mean,
        final=float(present[-1]) if len(present) else math.nan,
        change=last_quarter_change(mean.iterations, mean.dice[MEAN]),
    )


def _needed(method: Learning, threshold: float, meaning: str) -> Needed:
    first = []
    for curve in method.curves:
        reached = np.flatnonzero(curve.dice[MEAN] >= threshold)
        first.append(float(curve.iterations[reached[0]]) if len(reached) else math.inf)
    return Needed(
        threshold=threshold,
        meaning=meaning,
        median=median(first),
        n_reached=sum(math.isfinite(iterations) for iterations in first),
        n_seeds=len(first),
    )
