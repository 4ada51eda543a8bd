"""Scores as files: a table with one row per volume, and a summary for machines."""

import csv
import io
import math
from typing import Any

from cmr_planes.system.csv_text import csv_text
from cmr_planes.views import CardiacView
from cmr_train.evaluation.metrics import Metric, Score
from cmr_train.evaluation.scores import Comparison, GroupSummary, ScoredVolume, ScoreTable

PER_SUBJECT_NAME, SUMMARY_NAME = "per_subject.csv", "summary.json"
"""What an evaluation writes."""

PER_SUBJECT_COLUMNS = (
    "subject",
    "view",
    "phase",
    "structure",
    *(metric.value for metric in Metric),
    "n_slices_scored",
    "n_slices_missed",
    "n_slices_invented",
    "is_empty",
    "is_failure",
)
"""Columns of ``per_subject.csv``. A value that does not exist is an empty cell; ``is_empty`` and ``is_failure`` say why."""


def per_subject_csv(table: ScoreTable, view: CardiacView) -> str:
    """Return ``per_subject.csv``: one row for each subject, phase and structure."""
    return csv_text(PER_SUBJECT_COLUMNS, (_row(volume, view) for volume in table.volumes))


def read_per_subject_csv(text: str) -> ScoreTable:
    """Read what :func:`per_subject_csv` gave.

    Raises
    ------
    ValueError
        It lacks a column, or a value is no number.
    """
    rows = csv.DictReader(io.StringIO(text))
    missing = [name for name in PER_SUBJECT_COLUMNS if name not in (rows.fieldnames or ())]
    if missing:
        raise ValueError(f"it has no column {missing[0]!r}")
    return ScoreTable(
        tuple(
            ScoredVolume(
                subject=row["subject"],
                phase=row["phase"],
                structure=row["structure"],
                score=Score(
                    dice=_value(row[Metric.DICE]),
                    bai2019_mm=_value(row[Metric.BAI2019]),
                    all_borders_mm=_value(row[Metric.ALL_BORDERS]),
                    hausdorff95_mm=_value(row[Metric.HAUSDORFF95]),
                    n_scored=int(row["n_slices_scored"]),
                    n_missed=int(row["n_slices_missed"]),
                    n_invented=int(row["n_slices_invented"]),
                ),
            )
            for row in rows
        )
    )


def summary_json(table: ScoreTable) -> dict[str, Any]:
    """Return the scores over subjects, for JSON; a number that does not exist is NaN here and null there."""
    return {
        "n_subjects": len(table.subjects),
        "definitions": {metric.value: metric.definition for metric in Metric},
        "pooled": "mean of a subject's phases, then over subjects",
        "mean": "mean of a phase's structures, then over subjects",
        "std": "sample standard deviation over subjects",
        "results": [_group(summary) for summary in table.summaries()],
    }


def comparisons_json(comparisons: tuple[Comparison, ...]) -> list[dict[str, Any]]:
    """Return paired differences, for JSON; a number that does not exist is NaN here and null there."""
    return [
        {
            "phase": comparison.phase,
            "structure": comparison.structure,
            "metric": comparison.metric.value,
            "n_pairs": comparison.difference.n_pairs,
            "n_left_out": comparison.difference.n_left_out,
            "mean_difference": comparison.difference.mean,
            "bootstrap_95_low": comparison.difference.low,
            "bootstrap_95_high": comparison.difference.high,
            "wilcoxon_p": comparison.difference.p_value,
        }
        for comparison in comparisons
    ]


def _value(cell: str) -> float:
    return float(cell) if cell else math.nan


def _row(volume: ScoredVolume, view: CardiacView) -> tuple[object, ...]:
    score = volume.score
    values = (score.value(metric) for metric in Metric)
    return (
        volume.subject,
        view.value,
        volume.phase,
        volume.structure,
        *("" if math.isnan(value) else f"{value:.6g}" for value in values),
        score.n_scored,
        score.n_missed,
        score.n_invented,
        int(score.is_empty),
        int(score.is_failure),
    )


def _group(summary: GroupSummary) -> dict[str, Any]:
    spreads = {
        metric.value: {
            "n_subjects": spread.n_subjects,
            "mean": spread.mean,
            "std": spread.std,
            "median": spread.median,
            "lower_quartile": spread.lower_quartile,
            "upper_quartile": spread.upper_quartile,
        }
        for metric, spread in summary.metrics.items()
    }
    return {
        "phase": summary.phase,
        "structure": summary.structure,
        **spreads,
        "n_volumes": summary.n_volumes,
        "n_empty": summary.n_empty,
        "n_failed": summary.n_failed,
        "n_slices_scored": summary.n_scored,
        "n_slices_missed": summary.n_missed,
        "n_slices_invented": summary.n_invented,
    }
