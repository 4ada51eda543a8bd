"""What the cells of a study scored on the test set."""

import csv
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cmr_train.choices import TransferMode
from cmr_train.metrics import Metric
from cmr_train.recipes.study_job import is_done
from cmr_train.recipes.study_plan import Cell, Plan
from cmr_train.score_files import PER_SUBJECT_NAME, number
from cmr_train.scores import Spread, phase_group, spread
from cmr_train.statistics import PairedDifference, paired_difference


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """One way of transfer at one number of annotated subjects."""

    variant: str
    """Name of the variant."""
    subjects: int
    """Annotated subjects that were learnt from."""
    mode: TransferMode
    """The way of transfer."""
    dice: Spread
    """Dice of all test subjects, the mean of phases and structures, over all seeds."""
    difference: PairedDifference | None
    """From scratch, a test subject's mean over seeds each; None for scratch, or where it is missing."""
    n_seeds: int
    """Seeds that are finished."""


def results(plan: Plan, folder: Path) -> tuple[Result, ...]:
    """Return what the finished cells of a study scored: by variant, number of subjects and mode.

    Parameters
    ----------
    plan
        The study.
    folder
        Its folder.
    """
    found = []
    groups: dict[tuple[str, int, TransferMode], list[Cell]] = {}
    for cell in plan.cells:
        if is_done(folder / cell.folder):
            groups.setdefault((cell.variant, cell.subjects, cell.mode), []).append(cell)
    for variant, subjects in dict.fromkeys((cell.variant, cell.subjects) for cell in plan.cells):
        scratch = _scores(groups.get((variant, subjects, TransferMode.SCRATCH), []), folder)
        for mode in plan.study.modes:
            cells = groups.get((variant, subjects, mode), [])
            scores = _scores(cells, folder)
            difference = None
            if mode is not TransferMode.SCRATCH and scores and scratch:
                both = [key for key in scores if key in scratch]
                means = ([float(_mean(values[key])) for key in both] for values in (scores, scratch))
                difference = paired_difference(*means)
            everything = [value for values in scores.values() for value in values]
            found.append(
                Result(
                    variant=variant,
                    subjects=subjects,
                    mode=mode,
                    dice=spread(everything),
                    difference=difference,
                    n_seeds=len(cells),
                )
            )
    return tuple(found)


def results_json(found: Sequence[Result]) -> list[dict[str, Any]]:
    """Return results, as JSON can hold them."""
    return [
        {
            "variant": each.variant,
            "subjects": each.subjects,
            "mode": each.mode.value,
            "seeds": each.n_seeds,
            "dice_mean": number(each.dice.mean),
            "dice_std": number(each.dice.std),
            "difference": None if each.difference is None else number(each.difference.mean),
            "difference_low": None if each.difference is None else number(each.difference.low),
            "difference_high": None if each.difference is None else number(each.difference.high),
            "p_value": None if each.difference is None else number(each.difference.p_value),
        }
        for each in found
    ]


def dice_of_subjects(path: Path) -> dict[str, float]:
    """Read a ``per_subject.csv``; return each subject's Dice: the mean over frames, then structures, then phases."""
    cells: dict[str, dict[str, dict[str, list[float]]]] = {}
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            value = float(row[Metric.DICE.value]) if row[Metric.DICE.value] else math.nan
            phases = cells.setdefault(row["subject"], {})
            phases.setdefault(phase_group(row["phase"]), {}).setdefault(row["structure"], []).append(value)
    return {
        subject: _mean([_mean([_mean(frames) for frames in structures.values()]) for structures in phases.values()])
        for subject, phases in cells.items()
    }


def _scores(cells: Sequence[Cell], folder: Path) -> dict[str, list[float]]:
    """Return each test subject's Dice, one a seed."""
    found: dict[str, list[float]] = {}
    for cell in cells:
        for subject, value in dice_of_subjects(folder / cell.folder / PER_SUBJECT_NAME).items():
            found.setdefault(subject, []).append(value)
    return found


def _mean(values: Sequence[float]) -> float:
    """Average what exists."""
    present: NDArray[np.float64] = np.array([value for value in values if not math.isnan(value)])
    return float(present.mean()) if len(present) else math.nan
