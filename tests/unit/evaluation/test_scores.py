"""Averages of averages, with values that do not exist."""

import math

import numpy as np
import pytest

from cmr_train.evaluation.metrics import Metric, Score
from cmr_train.evaluation.scores import MEAN, POOLED, ScoredVolume, ScoreTable, compare_tables, spread

NAN = math.nan
EMPTY = Score(dice=NAN, bai2019_mm=NAN, all_borders_mm=NAN, hausdorff95_mm=NAN, n_scored=0, n_missed=0, n_invented=0)
MISSED = Score(dice=0.0, bai2019_mm=NAN, all_borders_mm=NAN, hausdorff95_mm=NAN, n_scored=0, n_missed=4, n_invented=0)


def good(dice, distance_mm=1.0):
    return Score(
        dice=dice,
        bai2019_mm=distance_mm,
        all_borders_mm=distance_mm / 2,
        hausdorff95_mm=3 * distance_mm,
        n_scored=5,
        n_missed=1,
        n_invented=2,
    )


def table(cells):
    """Cells are (subject, phase, structure): score."""
    return ScoreTable(
        tuple(ScoredVolume(subject=key[0], phase=key[1], structure=key[2], score=score) for key, score in cells.items())
    )


TWO_SUBJECTS = table(
    {
        ("A", "ed", "LV"): good(0.9, 1.0),
        ("A", "ed", "RV"): good(0.7, 3.0),
        ("A", "es", "LV"): good(0.8, 2.0),
        ("A", "es", "RV"): EMPTY,
        ("B", "ed", "LV"): good(0.5, 4.0),
        ("B", "ed", "RV"): MISSED,
        ("B", "es", "LV"): good(0.6, 5.0),
        ("B", "es", "RV"): good(0.4, 6.0),
    }
)


def test_rows_are_pooled_first_and_averages_last():
    assert [(row.phase, row.structure) for row in TWO_SUBJECTS.summaries()] == [
        (phase, structure) for phase in ("pooled", "ed", "es") for structure in ("LV", "RV", "mean")
    ]


@pytest.mark.parametrize(
    ("metric", "phase", "structure", "expected"),
    [
        (Metric.DICE, "ed", "LV", [0.9, 0.5]),
        (Metric.DICE, "ed", "RV", [0.7, 0.0]),
        (Metric.DICE, "ed", MEAN, [0.8, 0.25]),
        (Metric.DICE, "es", MEAN, [0.8, 0.5]),
        (Metric.DICE, POOLED, "LV", [0.85, 0.55]),
        (Metric.DICE, POOLED, "RV", [0.7, 0.2]),
        (Metric.DICE, POOLED, MEAN, [0.8, 0.375]),
        (Metric.BAI2019, "ed", "RV", [3.0, NAN]),
        (Metric.BAI2019, "es", "RV", [NAN, 6.0]),
        (Metric.HAUSDORFF95, "ed", MEAN, [6.0, 12.0]),
    ],
)
def test_values_of_each_subject(metric, phase, structure, expected):
    assert TWO_SUBJECTS.per_subject(metric, phase, structure).tolist() == pytest.approx(expected, nan_ok=True)


def test_nothing_that_has_no_value_is_lost_from_the_counts():
    rows = {(row.phase, row.structure): row for row in TWO_SUBJECTS.summaries()}
    right = rows["pooled", "RV"]
    assert (right.n_volumes, right.n_empty, right.n_failed) == (4, 1, 1)
    assert (right.n_scored, right.n_missed, right.n_invented) == (10, 6, 4)
    assert right.metrics[Metric.DICE].n_subjects == 2
    assert rows["ed", "RV"].metrics[Metric.BAI2019].n_subjects == 1
    assert rows["ed", "RV"].metrics[Metric.DICE].mean == pytest.approx(0.35)
    everything = rows["pooled", MEAN]
    assert (everything.n_volumes, everything.n_empty, everything.n_failed) == (8, 1, 1)


def test_frames_that_are_neither_ed_nor_es_are_one_group():
    frames = table({("A", "003", "LV"): good(0.5), ("A", "011", "LV"): good(0.7), ("B", "009", "LV"): good(0.9)})
    assert frames.phases == ("frame",)
    assert [(row.phase, row.structure) for row in frames.summaries()] == [("frame", "LV")]
    assert frames.per_subject(Metric.DICE, "frame", "LV").tolist() == pytest.approx([0.6, 0.9])


def test_spread_is_that_of_numpy():
    values = np.random.default_rng(0).normal(size=20)
    got = spread([*values, NAN])
    assert got.n_subjects == 20
    assert got.mean == pytest.approx(values.mean())
    assert got.std == pytest.approx(values.std(ddof=1))
    assert [got.lower_quartile, got.median, got.upper_quartile] == pytest.approx(np.percentile(values, [25, 50, 75]).tolist())


@pytest.mark.parametrize(("values", "n", "mean"), [([], 0, NAN), ([NAN], 0, NAN), ([0.5], 1, 0.5)])
def test_spread_of_few(values, n, mean):
    got = spread(values)
    assert got.n_subjects == n
    assert got.mean == pytest.approx(mean, nan_ok=True)
    assert math.isnan(got.std)


def test_differences_are_paired_by_subject():
    other = table(
        {(each.subject, each.phase, each.structure): each.score for each in TWO_SUBJECTS.volumes}
        | {("A", "ed", "LV"): good(0.7), ("B", "ed", "LV"): good(0.4)}
    )
    differences = {(each.phase, each.structure, each.metric): each.difference for each in compare_tables(TWO_SUBJECTS, other)}
    assert len(differences) == 9 * len(Metric)
    assert differences["ed", "LV", Metric.DICE].mean == pytest.approx(0.15)
    assert differences["pooled", "LV", Metric.DICE].mean == pytest.approx(0.075)
    assert differences["ed", "RV", Metric.BAI2019].n_pairs == 1
    assert differences["ed", "RV", Metric.BAI2019].n_left_out == 1


def test_tables_of_different_subjects_are_not_compared():
    with pytest.raises(ValueError, match="differ in their subjects"):
        compare_tables(TWO_SUBJECTS, table({("A", "ed", "LV"): good(0.7)}))
