"""The report's numbers against literal definitions."""

import csv
import io
import json
import math

import numpy as np
import pytest

from cmr_planes.views import CardiacView
from cmr_train.choices import TransferMode
from cmr_train.evaluation.metrics import Metric
from cmr_train.evaluation.scores import MEAN
from cmr_train.evaluation.statistics import CONFIDENCE, N_RESAMPLES, crossed_interval, paired_difference
from cmr_train.report import charts, tables, wording
from cmr_train.report.analysis import (
    best,
    compare_pairs,
    entries,
    paper_rows,
    surely_best,
    variant_difference,
)
from cmr_train.report.learning import last_quarter_change, learning, make_learning, mean_curve, needed, needed_for_scratch
from cmr_train.report.results import Curve, read_curve, read_study
from cmr_train.report.run_tables import runs_table
from tests.helpers.study_folders import make_study, reseal

SCRATCH, DECODER, ALL, MULTITASK = TransferMode


def literal_interval(values: np.ndarray, seed: int) -> tuple[float, float]:
    """Draw rows and columns one sample at a time, and average what exists."""
    rng = np.random.default_rng(seed)
    means = []
    for _ in range(N_RESAMPLES // 4):
        rows, columns = (rng.integers(size, size=size) for size in values.shape)
        drawn = values[rows][:, columns]
        if not np.isnan(drawn).all():
            means.append(np.nanmean(drawn))
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(means, (tail, 1 - tail))
    return float(low), float(high)


@pytest.mark.parametrize("with_gaps", [False, True], ids=["whole", "with gaps"])
def test_the_interval_is_that_of_drawing_subjects_and_seeds(with_gaps):
    rng = np.random.default_rng(5)
    values = rng.normal(0.7, 0.05, (14, 1)) + rng.normal(0, 0.03, (1, 3)) + rng.normal(0, 0.01, (14, 3))
    if with_gaps:
        values[[0, 3, 3], [1, 0, 2]] = np.nan
    low, high = crossed_interval(values)
    wanted = literal_interval(values, 99)
    assert (low, high) == pytest.approx(wanted, abs=0.05 * (wanted[1] - wanted[0]))
    assert crossed_interval(values) == (low, high)


def test_the_interval_of_one_seed_is_that_over_subjects_and_seeds_make_it_wider():
    values = np.random.default_rng(1).normal(0.1, 0.04, 25)
    known = paired_difference(values, np.zeros(25))
    assert crossed_interval(values[:, None]) == pytest.approx((known.low, known.high), abs=0.001)
    low, high = crossed_interval(np.stack([values, values + 0.2], axis=1))
    assert high - low > 4 * (known.high - known.low)


@pytest.mark.parametrize("values", [[[0.4]], [[np.nan, np.nan]], np.zeros((0, 2))], ids=["one", "none", "empty"])
def test_one_value_has_no_interval(values):
    assert np.isnan(crossed_interval(values)).all()


def test_differences_are_of_pairs_only():
    values = np.array([[0.8, 0.9], [0.7, np.nan], [0.6, 0.6]])
    scratch = np.array([[0.5, np.nan], [0.5, 0.5], [0.4, 0.5]])
    found = compare_pairs(values, scratch)
    assert found is not None
    assert found.mean == pytest.approx((0.3 + 0.2 + 0.2 + 0.1) / 4)
    assert (found.n_subjects, found.n_seeds) == (3, 2)
    assert compare_pairs(values, np.full((3, 2), np.nan)) is None


def test_variants_are_compared_with_the_first_in_pairs_and_not_where_they_share_networks(tmp_path):
    study = make_study(tmp_path, variants=("boxes", "lines"), modes=("scratch", "all"), subjects=(1,), seeds=2)
    described = json.loads((study / "study.json").read_text())
    for cell in described["cells"]:
        if cell["mode"] == "scratch":
            cell["folder"] = cell["folder"].replace("lines.", "boxes.")
    (study / "study.json").write_text(json.dumps(described))
    before = variant_difference(read_study(study), "lines", "boxes", 1, ALL)
    worse = study / "cells" / "lines.all-n1-s1" / "per_subject.csv"
    rows = [*csv.DictReader(worse.read_text().splitlines())]
    for row in rows:
        row["dice"] = f"{float(row['dice']) - 0.1:.6f}"
    with worse.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    reseal(worse.parent)
    results = read_study(study)
    assert variant_difference(results, "lines", "boxes", 1, SCRATCH) is None
    found = variant_difference(results, "lines", "boxes", 1, ALL)
    assert before is not None
    assert found is not None
    assert found.mean - before.mean == pytest.approx(-0.05)  # of two seeds, one is worse by a tenth
    assert (found.n_subjects, found.n_seeds) == (6, 2)
    table = tables.variant_differences_table(results)
    assert table.head == ("method, annotated subjects", "lines")
    assert [[cell.lines[0] for cell in row] for row in table.rows] == [["scratch, 1", "–"], ["all, 1", f"−{-found.mean:.3f}"]]
    (line,) = csv.DictReader(io.StringIO(table.csv))
    assert (line["variant"], line["minus"], line["mode"]) == ("lines", "boxes", "all")
    assert float(line["difference"]) == pytest.approx(found.mean, abs=1e-6)


def test_the_papers_numbers_are_those_of_its_tables():
    sax, long_axis = paper_rows(CardiacView.SAX), paper_rows(CardiacView.FOUR_CHAMBER)
    assert [(n, row.n_images) for n, row in sax.items()] == [(1, 18), (5, 102), (10, 208), (50, 980), (100, 1936)]
    assert sax[1].dice == {SCRATCH: (0.361, 0.047), DECODER: (0.515, 0.099), ALL: (0.618, 0.068), MULTITASK: (0.704, 0.065)}
    assert long_axis[1].dice[MULTITASK] == (0.600, 0.122)
    assert paper_rows(CardiacView.TWO_CHAMBER) == {}


def line(iterations: list[int], dice: list[float]) -> Curve:
    return Curve(iterations=np.array(iterations), dice={MEAN: np.array(dice)})


def test_the_trend_of_the_last_quarter_is_a_straight_line():
    iterations = np.arange(10, 210, 10)
    assert last_quarter_change(iterations, iterations / 1000) == pytest.approx(0.05)
    late = iterations >= 150
    noisy = np.random.default_rng(0).normal(0.8, 0.02, 20)
    slope = np.polyfit(iterations[late], noisy[late], 1)[0]
    assert last_quarter_change(iterations, noisy) == pytest.approx(slope * 50)
    assert math.isnan(last_quarter_change(np.array([10, 20]), np.array([0.5, 0.6])))
    assert math.isnan(last_quarter_change(iterations, np.full(20, np.nan)))


def test_curves_of_seeds_are_averaged_where_they_have_values():
    mean = mean_curve([line([10, 20], [0.2, 0.4]), line([20, 30], [0.6, np.nan])])
    assert mean.iterations.tolist() == [10, 20, 30]
    np.testing.assert_allclose(mean.dice[MEAN], [0.2, 0.5, np.nan])


def test_iterations_needed_count_a_seed_that_never_came_as_infinite(tmp_path):
    folder = make_study(tmp_path, modes=("scratch", "all"), subjects=(1,), seeds=3)
    for seed, dice in enumerate([(0.3, 0.55, 0.9), (0.3, 0.4, 0.7), (0.1, 0.2, 0.45)]):
        text = "".join(json.dumps({"iteration": 10 * (n + 1), "validation_mean": each}) + "\n" for n, each in enumerate(dice))
        (folder / f"cells/all-n1-s{seed}/metrics.jsonl").write_text(text + '{"iteration": 40, "valid')
    found = [each for each in learning(read_study(folder)) if each.mode is ALL]
    levels = {round(each.threshold, 4): (each.median, each.n_reached, each.n_seeds) for (each,) in needed(found)}
    final = round(0.95 * (0.9 + 0.7 + 0.45) / 3, 4)
    assert levels == {0.5: (30, 2, 3), 0.6: (30, 2, 3), 0.7: (30, 2, 3), 0.8: (math.inf, 1, 3), final: (30, 2, 3)}


def test_iterations_needed_for_the_final_of_scratch_stand_beside_the_mean(tmp_path):
    folder = make_study(tmp_path, modes=("scratch", "all", "multitask"), subjects=(1,), seeds=1)
    curves = {"scratch": (0.1, 0.4, 0.6), "all": (0.3, 0.65, 0.7), "multitask": (0.3, 0.5, 0.59)}
    for mode, dice in curves.items():
        lines = [json.dumps({"iteration": 10 * n, "validation_mean": each}) for n, each in enumerate(dice, start=1)]
        (folder / f"cells/{mode}-n1-s0/metrics.jsonl").write_text("\n".join(lines))
    results = read_study(folder)
    needs = needed_for_scratch(learning(results))
    assert {mode: need.median for (_, mode), need in needs.items()} == {SCRATCH: 30, ALL: 20, MULTITASK: math.inf}
    found = [entry for entry in entries(results) if (entry.metric, entry.structure) == (Metric.DICE, MEAN)]
    (row,) = tables.comparison(results, found, {}, name="dice", caption="", needs=needs).rows
    said = {mode: cell.lines[-1] for mode, cell in zip(results.modes, row[1:], strict=True)}
    assert said[ALL] == "final validation Dice of scratch after 20 iterations"
    assert said[MULTITASK] == "never reaches the final validation Dice of scratch"


def test_the_runs_that_miss_a_structure_are_counted_beside_the_mean(tmp_path):
    folder = make_study(tmp_path, modes=("scratch", "all"), subjects=(1,), seeds=3)
    path = folder / "cells/all-n1-s1/per_subject.csv"
    lines = path.read_text().splitlines()
    column, structure = (lines[0].split(",").index(name) for name in ("dice", "structure"))
    rows = [line.split(",") for line in lines[1:]]
    for row in rows:
        row[column] = "0.05" if row[structure] == "RV" else row[column]
    path.write_text("\n".join([lines[0], *(",".join(row) for row in rows)]) + "\n")
    reseal(path.parent)
    results = read_study(folder)
    found = {(e.mode, e.structure): e for e in entries(results) if e.metric is Metric.DICE}
    counts = {key: (entry.n_missing, entry.n_runs) for key, entry in found.items()}
    assert counts[ALL, MEAN] == counts[ALL, "RV"] == (1, 3)
    assert counts[ALL, "LV"] == counts[SCRATCH, MEAN] == (0, 3)
    (row,) = tables.comparison(results, [found[SCRATCH, MEAN], found[ALL, MEAN]], {}, name="dice", caption="").rows
    assert "1 of 3 runs misses a structure" in row[2].lines
    assert "0 of 3 runs miss a structure" in row[1].lines
    csv_rows = csv.DictReader(io.StringIO(tables.entries_csv(results, [found[ALL, MEAN]], {})))
    assert [(row["runs"], row["runs_missing_a_structure"]) for row in csv_rows] == [("3", "1")]


def test_a_table_holds_what_the_files_say(tmp_path):
    folder = make_study(tmp_path, subjects=(1, 5), seeds=2)
    results = read_study(folder)
    found = entries(results)
    rows = list(csv.DictReader(io.StringIO(tables.entries_csv(results, found, paper_rows(results.view)))))
    dice = {}
    for seed in range(2):
        with (folder / f"cells/all-n5-s{seed}/per_subject.csv").open() as file:
            for row in csv.DictReader(file):
                dice.setdefault((row["subject"], seed), {}).setdefault(row["structure"], []).append(float(row["dice"]))
    values = [np.mean([np.mean(phases) for phases in each.values()]) for each in dice.values()]
    (row,) = [
        each
        for each in rows
        if (each["mode"], each["annotated_subjects"], each["metric"], each["structure"]) == ("all", "5", "dice", "mean")
    ]
    assert float(row["mean"]) == pytest.approx(np.mean(values), abs=1e-6)
    assert float(row["std"]) == pytest.approx(np.std(values, ddof=1), abs=1e-6)
    assert (row["seeds"], row["values"], row["annotated_images"]) == ("2", str(len(values)), "30")
    assert (row["paper_mean"], row["paper_std"]) == ("0.844", "0.046")
    assert (row["low_95"], row["high_95"]) != ("", "")


def test_the_best_of_a_row_is_the_highest_dice_and_the_smallest_distance(tmp_path):
    folder = make_study(tmp_path, subjects=(1,), seeds=1, gains={"scratch": 0, "decoder": 0.1, "all": 0.3, "multitask": 0.2})
    found = entries(read_study(folder))
    for metric in (Metric.DICE, Metric.BAI2019):
        assert best([e for e in found if e.metric is metric and e.structure == MEAN]) == {ALL}
    row = [e for e in found if e.metric is Metric.DICE and e.structure == MEAN]
    assert best(row[:1]) == frozenset()
    summary, at_one = wording.findings(read_study(folder), found, "default")
    assert summary.endswith(
        "In each of 3 comparisons of a pretrained method with `scratch`, the 95 % interval of the paired difference in Dice lies above zero."
    )
    assert summary.startswith("Too small to conclude from (")
    assert ", 1 seed; 20 and 3 are few already)" in summary
    assert at_one.startswith("With 1 annotated subject, `all` has the highest mean Dice")
    assert "above zero" in at_one


@pytest.mark.parametrize(
    ("gains", "said"),
    [
        ({"all": 0.3}, "Against `scratch`, the 95 % interval of the paired difference in Dice lies above zero."),
        ({"all": 0}, "Against `scratch`, the 95 % interval of the paired difference in Dice includes zero."),
        ({"all": 0.3, "decoder": -0.1}, " lies above zero in 1 and lies below zero in 1."),
        ({"all": 0.3, "decoder": 0.2, "multitask": -0.1}, "In 3 comparisons of a pretrained method with `scratch`, "),
    ],
)
def test_the_summary_says_where_the_intervals_lie(tmp_path, gains, said):
    folder = make_study(
        tmp_path, subjects=(1,), seeds=1, modes=("scratch", *gains), gains={"scratch": 0.3} | {k: 0.3 + v for k, v in gains.items()}
    )
    results = read_study(folder)
    summary, *_ = wording.findings(results, entries(results), "default")
    assert said in summary


@pytest.mark.parametrize(("gain", "is_sure"), [(0.3, True), (0.1, False)])
def test_the_best_is_marked_where_its_difference_from_each_other_method_is_sure(tmp_path, gain, is_sure):
    modes, tested = ("scratch", "decoder", "all"), tuple(f"SYN-{number:04}" for number in range(1, 11))
    gains = {"scratch": 0, "decoder": 0.1, "all": gain}
    folder = make_study(tmp_path, subjects=(1,), seeds=1, modes=modes, gains=gains, test_subjects=tested)
    results = read_study(folder)
    found = entries(results)
    for metric in (Metric.DICE, Metric.BAI2019):
        row = [e for e in found if e.metric is metric and e.structure == MEAN]
        (winner,) = best(row)
        assert surely_best(results, row) == ({winner} if is_sure else frozenset())
        table = tables.comparison(results, row, {}, name="x", caption="x")
        assert [cell.is_best for cell in table.rows[0][1:]] == [is_sure and entry.mode is winner for entry in row]
    values = {mode: results.values("default", 1, mode, Metric.DICE, MEAN)[:, 0] for mode in (DECODER, ALL)}
    literal = paired_difference(values[ALL], values[DECODER])
    assert (min(abs(literal.low), abs(literal.high)) > 0 and literal.low * literal.high > 0) == is_sure


def test_methods_of_equal_dice_have_no_best(tmp_path):
    folder = make_study(tmp_path, modes=("scratch", "all"), subjects=(1,), seeds=1, empty=("scratch-n1-s0", "all-n1-s0"))
    results = read_study(folder)
    *_, at_one = wording.findings(results, entries(results), "default")
    assert at_one == "With 1 annotated subject, all methods have the same mean Dice, 0.000."


def test_a_dice_of_nothing_is_no_goal(tmp_path):
    path = tmp_path / "metrics.jsonl"
    path.write_text("".join(f'{{"iteration": {n}, "validation_mean": 0.001}}\n' for n in (10, 20, 30)))
    curve = read_curve(path)
    found = [make_learning("default", 1, mode, (curve,)) for mode in (SCRATCH, ALL)]
    assert needed_for_scratch(found) == {}
    assert [each[0].threshold for each in needed(found)] == [0.5, 0.6, 0.7, 0.8]


def test_a_table_of_curves_that_no_one_can_judge_has_no_verdicts(tmp_path):
    path = tmp_path / "metrics.jsonl"
    path.write_text("".join(f'{{"iteration": {n}, "validation_mean": 0.5}}\n' for n in (10, 20)))
    short = make_learning("default", 1, SCRATCH, (read_curve(path),))
    assert tables.learning_table([short], "x", "").head == ("method, annotated subjects", "iterations", "final validation Dice")
    path.write_text("".join(f'{{"iteration": {n}, "validation_mean": 0.5}}\n' for n in (98, 99, 100)))
    both = tables.learning_table([short, make_learning("default", 1, ALL, (read_curve(path),))], "x", "")
    assert [row[-1].lines for row in both.rows] == [("too few validations",), ("plateau",)]


def test_the_panels_of_a_figure_have_one_y_axis(tmp_path):
    results = read_study(make_study(tmp_path, subjects=(1, 5), seeds=1))
    found = [entry for entry in entries(results) if entry.metric is Metric.DICE]
    for per_row in (4, 1):
        figure = charts.trend(found, (MEAN, *results.structures), per_row=per_row)
        panels = [axes for axes in figure.axes if axes.has_data()]
        assert len(panels) == 4
        (limits,) = {axes.get_ylim() for axes in panels}
        means = [entry.spread.mean for entry in found]
        assert limits[0] < min(means)
        assert max(means) < limits[1]
        columns = {round(axes.get_subplotspec().colspan.start) for axes in panels}
        assert len(columns) == per_row


def test_a_method_that_found_nothing_is_not_the_nearest(tmp_path):
    folder = make_study(tmp_path, subjects=(1,), seeds=1, empty=("multitask-n1-s0",))
    found = entries(read_study(folder))
    distance = [e for e in found if e.metric is Metric.BAI2019 and e.structure == MEAN]
    assert MULTITASK not in best(distance)
    assert next(e for e in distance if e.mode is MULTITASK).n_scored == 0


def test_damaged_curves_are_read_as_far_as_they_go(tmp_path):
    path = tmp_path / "metrics.jsonl"
    assert read_curve(path) is None
    path.write_text('{"iteration": 2, "loss": 1}\nnonsense\n{"iteration": 4, "validation_LV": 0.5, "validation_mean": null}\n[]\n')
    curve = read_curve(path)
    assert curve is not None
    assert curve.iterations.tolist() == [4]
    assert curve.dice["LV"].tolist() == [0.5]
    assert np.isnan(curve.dice["mean"]).all()


@pytest.mark.parametrize("per_seed", [False, True])
def test_it_is_said_whether_intervals_hold_the_variance_of_the_pretext(tmp_path, per_seed):
    results = read_study(make_study(tmp_path, modes=("scratch", "all"), subjects=(1,), pretext_per_seed=per_seed))
    assert ("no interval holds the variance of the pretext" in wording.pretexts_of_seeds(results)) == (not per_seed)
    assert ("another pretext and other first weights" in wording.what_was_compared(results)) == per_seed
    pretexts = [[row[0].lines[0], row[2].lines[0]] for row in runs_table(results).rows if "pretext" in row[0].lines[0]]
    one, each = [["default, pretext", "0"]], [["default-s0, pretext", "0"], ["default-s1, pretext", "1"]]
    assert pretexts == (each if per_seed else one)


def test_the_structures_of_a_study_are_those_of_its_networks(tmp_path):
    study = make_study(tmp_path, modes=("scratch",), subjects=(1,), seeds=1)
    assert read_study(study).structures == ("LV", "Myo", "RV")
    path = study / "cells" / "scratch-n1-s0" / "config.json"
    stored = json.loads(path.read_text())
    stored["config"]["transfer"]["structures"] = ["lv", "rv"]
    path.write_text(json.dumps(stored))
    assert read_study(study).classes == {1: "LV", 3: "RV"}
