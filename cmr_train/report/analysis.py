"""What a study's numbers say: means, intervals and differences, learning curves, and the paper's numbers beside. Pure."""

import csv
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import resources

import numpy as np
from numpy.typing import NDArray

from cmr_planes.views import CardiacView
from cmr_train.choices import TransferMode
from cmr_train.evaluation.metrics import Metric
from cmr_train.evaluation.scores import MEAN, Spread, spread
from cmr_train.evaluation.statistics import crossed_interval, signed_rank_p
from cmr_train.report.results import CellResult, Curve, StudyResults

METRICS = (Metric.DICE, Metric.BAI2019)
"""What the report is about."""

THRESHOLDS = (0.5, 0.6, 0.7, 0.8)
"""Values of Dice; for each, the report gives the iterations after which it was first reached."""

OF_BEST = 0.95
"""Share of the best final Dice that is one more threshold."""

FLAT = 0.01
"""A curve is on its plateau where its trend over the last quarter changes Dice by less than this."""

_MIN_VALIDATIONS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """A method minus scratch, on the same subjects with the same seeds."""

    mean: float
    low: float
    """Lower end of the interval over subjects and seeds; NaN with a single pair."""
    high: float
    p_value: float
    """Of Wilcoxon's signed-rank test over subjects, each the mean of its seeds."""
    n_subjects: int
    n_seeds: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One method at one number of annotated subjects: one metric and structure."""

    variant: str
    subjects: int
    mode: TransferMode
    metric: Metric
    structure: str
    """Name of a structure, or ``mean``."""
    spread: Spread
    """Over all subjects and seeds."""
    low: float
    """Lower end of the interval of the mean over subjects and seeds; NaN with one value."""
    high: float
    n_seeds: int
    """Seeds with a value."""
    n_scored: int
    """Values of single structures: subjects, seeds and structures."""
    n_wanted: int
    """The same number if none were missing from the finished runs."""
    difference: Difference | None
    """From scratch; None for scratch itself, and where there is no pair."""

    @property
    def exists(self) -> bool:
        """Whether there is any value."""
        return self.spread.n_subjects > 0


def entries(results: StudyResults) -> tuple[Entry, ...]:
    """Return every entry of the tables, by variant, metric, structure, number of subjects and method."""
    return tuple(
        entry
        for variant in results.variants
        for metric in METRICS
        for structure in (MEAN, *results.structures)
        for entry in entries_of(results, variant, metric, structure)
    )


def entries_of(results: StudyResults, variant: str, metric: Metric, structure: str) -> tuple[Entry, ...]:
    """Return the entries of one variant, metric and structure, by number of subjects and method."""
    return tuple(
        _entry(results, variant, subjects, mode, metric, structure) for subjects in results.subjects for mode in results.modes
    )


def best(row: Sequence[Entry]) -> frozenset[TransferMode]:
    """Return the methods of a row with the best mean as it is printed, to three digits; empty unless there are two that differ.

    A method that lacks more values than another (distances where it found nothing) is not compared with it.
    """
    present = [entry for entry in row if entry.exists]
    most = max((entry.n_scored / entry.n_wanted for entry in present), default=0.0)
    present = [entry for entry in present if entry.n_scored / entry.n_wanted == most]
    if len(present) < 2:
        return frozenset()
    choose = max if present[0].metric is Metric.DICE else min
    target = choose(round(entry.spread.mean, 3) for entry in present)
    winners = frozenset(entry.mode for entry in present if round(entry.spread.mean, 3) == target)
    return winners if len(winners) < len(present) else frozenset()


def compare_with_scratch(values: NDArray[np.float64], baseline: NDArray[np.float64]) -> Difference | None:
    """Compare a method with scratch, shapes (subjects, seeds); None without a common pair."""
    difference = values - baseline
    is_there = ~np.isnan(difference)
    if not is_there.any():
        return None
    low, high = crossed_interval(difference)
    rows = [row[present].mean() if present.any() else math.nan for row, present in zip(difference, is_there, strict=True)]
    return Difference(
        mean=float(difference[is_there].mean()),
        low=low,
        high=high,
        p_value=signed_rank_p(np.array([row for row in rows if not math.isnan(row)])),
        n_subjects=int(is_there.any(axis=1).sum()),
        n_seeds=int(is_there.any(axis=0).sum()),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class PaperRow:
    """One row of the paper's table."""

    n_images: int
    dice: dict[TransferMode, tuple[float, float]]
    """Mean and standard deviation of each method."""


def paper_rows(view: CardiacView) -> dict[int, PaperRow]:
    """Return the paper's numbers by number of annotated subjects: Table 1 for SAX, Table 2 for 4Ch; empty for other views."""
    names = {CardiacView.SAX: "table1_short_axis_dice.csv", CardiacView.FOUR_CHAMBER: "table2_long_axis_dice.csv"}
    if view not in names:
        return {}
    text = (resources.files("cmr_train.report") / "paper" / names[view]).read_text(encoding="utf-8")
    return {
        int(row["subjects"]): PaperRow(
            n_images=int(row["slices"]),
            dice={mode: (float(row[f"{mode.value}_mean"]), float(row[f"{mode.value}_std"])) for mode in TransferMode},
        )
        for row in csv.DictReader(text.splitlines())
    }


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
        return "too few looks to tell"
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
    is_of_best: bool
    """Whether the threshold is a share of the best final Dice rather than one of :data:`THRESHOLDS`."""
    median: float
    """Over seeds, a seed that never came there counting as infinite; NaN without curves."""
    n_reached: int
    n_seeds: int


def needed(found: Sequence[Learning]) -> tuple[tuple[Needed, ...], ...]:
    """Return what each method needed for each threshold; the methods are those of one number of subjects."""
    finals = [method.final for method in found if not math.isnan(method.final)]
    thresholds = [(threshold, False) for threshold in THRESHOLDS] + ([(OF_BEST * max(finals), True)] if finals else [])
    return tuple(tuple(_needed(method, threshold, is_of_best) for method in found) for threshold, is_of_best in thresholds)


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


def _entry(results: StudyResults, variant: str, subjects: int, mode: TransferMode, metric: Metric, structure: str) -> Entry:
    values = results.values(variant, subjects, mode, metric, structure)
    low, high = crossed_interval(values)
    names = results.structures if structure == MEAN else (structure,)
    n_scored = sum(int((~np.isnan(results.values(variant, subjects, mode, metric, name))).sum()) for name in names)
    tables = [cell.run.table for cell in results.select(variant, subjects, mode)]
    difference = None
    if mode is not TransferMode.SCRATCH:
        difference = compare_with_scratch(values, results.values(variant, subjects, TransferMode.SCRATCH, metric, structure))
    return Entry(
        variant=variant,
        subjects=subjects,
        mode=mode,
        metric=metric,
        structure=structure,
        spread=spread(values.ravel()),
        low=low,
        high=high,
        n_seeds=int((~np.isnan(values)).any(axis=0).sum()),
        n_scored=n_scored,
        n_wanted=len(names) * sum(len(table.subjects) for table in tables if table is not None),
        difference=difference,
    )


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


def _needed(method: Learning, threshold: float, is_of_best: bool) -> Needed:
    first = []
    for curve in method.curves:
        reached = np.flatnonzero(curve.dice[MEAN] >= threshold)
        first.append(float(curve.iterations[reached[0]]) if len(reached) else math.inf)
    ordered = sorted(first)
    middle = len(ordered) // 2
    median = ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2
    return Needed(
        threshold=threshold,
        is_of_best=is_of_best,
        median=median,
        n_reached=sum(math.isfinite(iterations) for iterations in first),
        n_seeds=len(first),
    )
