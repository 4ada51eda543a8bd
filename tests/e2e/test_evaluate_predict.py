"""``cmr-train evaluate`` and ``predict`` from the command line to the files, with networks whose answer is known."""

import csv
import json
import math
import pickle
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import nibabel
import numpy as np
import pytest
import torch
from click.testing import CliRunner

from cmr_planes.geometry import BoxLayout
from cmr_planes.phantom.small_study import simple_study, write_study
from cmr_planes.shards.catalogue import Catalogue
from cmr_planes.shards.catalogue_writer import write_catalogue
from cmr_planes.shards.label_files import write_label_file
from cmr_planes.shards.records import ViewLabels
from cmr_planes.views import CardiacView, Structure
from cmr_train.choices import Recipe
from cmr_train.cli import main
from cmr_train.data.images import normalise
from cmr_train.evaluation.metrics import Metric
from cmr_train.evaluation.statistics import paired_difference
from cmr_train.runs.folder import CONFIG_NAME, FINAL_NAME
from cmr_train.runs.run import load_run
from tests.helpers import metric_oracles as oracles
from tests.helpers.catalogues import write_batches
from tests.helpers.cohorts import run as planes
from tests.helpers.cohorts import small_study
from tests.helpers.records import make_subject
from tests.helpers.threshold_runs import write_run

SUNNYBROOK = Path(__file__).parents[3] / "shared" / "data" / "sunnybrook" / "SCD0000101.zip"
"""A real short-axis stack, where it is at hand; never part of the repository."""

SIZE = 48
SPACING_MM = 7.0
STUDY = {"n_slices": 5, "n_frames": 10, "rows": 88, "columns": 88, "spacing_mm": (2.5, 2.5), "slice_distance_mm": 9.0}
"""A study in which the blood pool is more than 1 % of every short-axis image, and so brighter than the 99th percentile's 0.8."""


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    torch.set_num_threads(1)


def command(*arguments: object):
    """Run a command of cmr-train; anything but a clean exit with a code is a failure of the test."""
    result = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    assert "Traceback" not in result.output
    return result


def one_sentence(result, code: int, *words: str) -> None:
    """The command failed with a code and one sentence that holds some words."""
    assert result.exit_code == code, result.output
    lines = [line for line in result.stderr.strip().splitlines() if line]
    assert len(lines) == 1, result.stderr
    assert all(word in lines[0] for word in words), lines[0]


def is_bright(image, threshold: float):
    """What a network of tests.helpers.threshold_runs finds."""
    return normalise(image) > np.float32(threshold)


def make_catalogue(folder: Path, n_subjects: int = 5, *, found=Structure.LV, threshold=0.5, drawn=(0, 1, 2, 3), unknown=()) -> Path:
    """A catalogue in which the bright pixels of every SAX image are labelled as one structure; on some slices it is not known."""
    records = [
        make_subject(number, views=(CardiacView.SAX,), matrix=(SIZE, SIZE), spacing_mm=SPACING_MM, layout=BoxLayout(size=5, gap=8))
        for number in range(1, n_subjects + 1)
    ]
    path = write_batches(folder, [records])
    trees = {}
    for record in records:
        images = record.views[0].image
        labels = (found * is_bright(images, threshold)).astype(np.uint8)
        structures = np.zeros((*images.shape[:2], len(Structure)), bool)
        structures[..., list(drawn)] = True
        structures[:, list(unknown), found] = False
        labels[:, list(unknown)] = 0
        trees[record.key] = {CardiacView.SAX: ViewLabels(labels=labels, structures=structures, source="nifti")}
    (folder / "out.labels").mkdir()
    write_label_file(folder / "out.labels" / "00000.h5", trees)
    write_catalogue(path, [folder / "out.shards" / "00000.h5"], configuration={"box": 11.0}, versions={"cmr-planes": "1"})
    return path


@pytest.fixture(scope="module")
def annotated(tmp_path_factory):
    """A catalogue of five annotated subjects. Do not write to it."""
    return make_catalogue(tmp_path_factory.mktemp("annotated"))


def rows_of(path: Path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("matrix", [(48, 48), (64, 80)], ids=["of the images' size", "larger than the images"])
def test_a_network_that_is_right_has_dice_one_and_distance_zero(tmp_path, annotated, matrix):
    run = write_run(tmp_path / "run", data=annotated, rows=matrix[0], columns=matrix[1])
    result = command("evaluate", run)
    assert result.exit_code == 0, result.output
    rows = [row for row in rows_of(run / "per_subject.csv") if row["structure"] == "LV"]
    assert len(rows) == 5 * 2
    assert {row[Metric.DICE] for row in rows} == {"1"}
    assert {row[Metric.BAI2019] for row in rows} == {row[Metric.HAUSDORFF95] for row in rows} == {"0"}
    assert {row["n_slices_scored"] for row in rows} == {"3"}


def test_numbers_are_those_of_the_definitions(tmp_path, annotated):
    run = write_run(tmp_path / "run", data=annotated, threshold=0.7)
    assert command("evaluate", run, "-o", tmp_path / "results").exit_code == 0
    rows = rows_of(tmp_path / "results" / "per_subject.csv")
    assert not (run / "per_subject.csv").exists()
    with Catalogue(annotated) as catalogue:
        for row in rows:
            if row["structure"] != "LV":
                assert (row["dice"], row["is_empty"]) == ("", "1")
                continue
            phase = ["ed", "es"].index(row["phase"])
            images = np.stack([catalogue.image(row["subject"], CardiacView.SAX, phase, level) for level in range(3)])
            truth, prediction = is_bright(images, 0.5), is_bright(images, 0.7)
            spacing_mm = (SPACING_MM, SPACING_MM)
            assert float(row["dice"]) == pytest.approx(oracles.dice(truth, prediction), rel=1e-5)
            assert float(row[Metric.BAI2019]) == pytest.approx(oracles.bai2019(truth, prediction, spacing_mm), rel=1e-5)
            assert float(row[Metric.ALL_BORDERS]) == pytest.approx(oracles.all_borders(truth, prediction, spacing_mm), rel=1e-5)
            assert float(row[Metric.HAUSDORFF95]) == pytest.approx(oracles.hausdorff95(truth, prediction, spacing_mm), rel=1e-5)
    assert len(rows) == 5 * 2 * 3


def test_what_lies_outside_the_matrix_of_the_training_is_found(tmp_path, annotated):
    dice = []
    for rows in (4, 48):
        run = write_run(tmp_path / f"{rows}", data=annotated, rows=rows, columns=48)
        assert command("evaluate", run).exit_code == 0
        dice.append([row["dice"] for row in rows_of(run / "per_subject.csv")])
    assert dice[0] == dice[1]


def test_images_of_other_pixels_are_said_and_a_run_that_does_not_say_its_own(tmp_path, annotated):
    fine = write_run(tmp_path / "fine", data=annotated, pixel_mm=(2.0, 2.0))
    result = command("evaluate", fine)
    assert result.exit_code == 0
    assert "images with pixels of 7.00 mm are resampled to those of the network, 2.00 mm" in " ".join(result.stderr.split())
    earlier = write_run(tmp_path / "earlier", data=annotated)
    stored = json.loads((earlier / CONFIG_NAME).read_text())
    assert stored.pop("pixel_mm") == [7.0, 7.0]
    stored["config"]["data"]["resample_mm"] = None
    (earlier / CONFIG_NAME).write_text(json.dumps(stored))
    result = command("predict", earlier, annotated, "-o", tmp_path / "out")
    assert result.exit_code == 0
    assert "does not say at which pixel size it was trained" in " ".join(result.stderr.split())


def test_summary_and_table_say_what_was_measured(tmp_path, annotated):
    run = write_run(tmp_path / "run", data=annotated, threshold=0.6)
    result = command("evaluate", run)
    assert "SAX, 5 subjects of out.h5 (test set): mean (standard deviation)" in result.stdout
    for words in ("Dice, ED", "Dice, ES", "Dice, pooled", "5 subjects evaluated"):
        assert words in result.stdout
    assert "bai2019" not in result.stdout
    for words in ("bai2019", "all_borders", "missed", "invented", "pooled", "ED", "ES"):
        assert words in command("evaluate", run, "-v").stdout
    assert "SYN" not in result.output
    summary = json.loads((run / "summary.json").read_text())
    assert set(summary["definitions"]) == {metric.value for metric in Metric}
    found = {(row["phase"], row["structure"]): row for row in summary["results"]}
    assert set(found) == {(phase, name) for phase in ("pooled", "ed", "es") for name in ("LV", "Myo", "RV", "mean")}
    dice = [float(row["dice"]) for row in rows_of(run / "per_subject.csv") if (row["phase"], row["structure"]) == ("ed", "LV")]
    assert found["ed", "LV"]["dice"]["mean"] == pytest.approx(np.mean(dice), rel=1e-5)
    assert found["ed", "LV"]["dice"]["std"] == pytest.approx(np.std(dice, ddof=1), rel=1e-3)
    assert found["ed", "RV"]["dice"]["mean"] is None
    assert (found["pooled", "RV"]["n_volumes"], found["pooled", "RV"]["n_empty"]) == (10, 10)
    again = command("evaluate", run, "--json")
    assert json.loads(again.stdout) == summary


def test_a_catalogue_elsewhere_and_people_seen_in_training_are_named(tmp_path, annotated, monkeypatch):
    run = write_run(tmp_path / "run", data=annotated, trained_on=("SYN-0002", "SYN-0003"))
    monkeypatch.chdir(tmp_path)
    result = command("evaluate", run, "--subset", "all")
    assert f"scored on {str(annotated)!r}, the catalogue of the run" in " ".join(result.stderr.split())
    assert "(all sets; 2 seen in training): mean" in " ".join(result.stdout.split())
    monkeypatch.chdir(annotated.parent)
    assert "scored on" not in command("evaluate", run).stderr


def test_a_network_that_finds_nothing_fails_and_is_counted(tmp_path, annotated):
    run = write_run(tmp_path / "run", data=annotated, threshold=2.0)
    result = command("evaluate", run)
    assert result.exit_code == 0
    assert "no slice in common with the truth: LV in 10 of 10" in result.stdout
    (row,) = [
        row for row in json.loads((run / "summary.json").read_text())["results"] if (row["phase"], row["structure"]) == ("ed", "LV")
    ]
    assert row["dice"] == {"n_subjects": 5, "mean": 0.0, "std": 0.0, "median": 0.0, "lower_quartile": 0.0, "upper_quartile": 0.0}
    assert row[Metric.BAI2019]["n_subjects"] == 0
    assert (row["n_failed"], row["n_empty"], row["n_slices_missed"]) == (5, 0, 15)


def test_structures_that_were_never_drawn_are_not_scored(tmp_path):
    data = make_catalogue(tmp_path / "data", 2, drawn=(0, 1))
    run = write_run(tmp_path / "run", data=data, threshold=0.4)
    assert command("evaluate", run).exit_code == 0
    assert {row["structure"] for row in rows_of(run / "per_subject.csv")} == {"LV"}


def test_slices_on_which_a_structure_was_not_drawn_say_nothing_of_it(tmp_path):
    data = make_catalogue(tmp_path / "data", 2, unknown=[1])
    run = write_run(tmp_path / "run", data=data)
    assert command("evaluate", run).exit_code == 0
    rows = [row for row in rows_of(run / "per_subject.csv") if row["structure"] == "LV"]
    assert {(row["dice"], row["n_slices_scored"], row["n_slices_invented"]) for row in rows} == {("1", "2", "0")}


def test_a_baseline_adds_paired_differences(tmp_path, annotated):
    run = write_run(tmp_path / "better", data=annotated, threshold=0.55)
    baseline = write_run(tmp_path / "worse", data=annotated, threshold=0.8)
    assert command("evaluate", baseline).exit_code == 0
    result = command("evaluate", run, "--baseline", baseline)
    assert result.exit_code == 0
    assert "Difference in Dice from worse" in result.stdout
    assert "Wilcoxon" in result.stdout
    summary = json.loads((run / "summary.json").read_text())
    (row,) = [
        row for row in summary["baseline"]["comparisons"] if (row["phase"], row["structure"], row["metric"]) == ("es", "LV", "dice")
    ]
    values = [
        [float(row["dice"]) for row in rows_of(folder / "per_subject.csv") if (row["phase"], row["structure"]) == ("es", "LV")]
        for folder in (run, baseline)
    ]
    expected = paired_difference(*values)
    assert row["n_pairs"] == 5
    assert row["mean_difference"] == pytest.approx(expected.mean, rel=1e-4)
    assert row["mean_difference"] > 0
    assert [row["bootstrap_95_low"], row["bootstrap_95_high"]] == pytest.approx([expected.low, expected.high], rel=1e-3)
    assert row["wilcoxon_p"] == pytest.approx(expected.p_value)


def test_a_pretext_run_is_scored_on_positions(tmp_path, annotated):
    run = write_run(tmp_path / "run", data=annotated, recipe=Recipe.PRETEXT, threshold=-1.0, found=1)
    assert command("evaluate", run).exit_code == 0
    rows = rows_of(run / "per_subject.csv")
    assert len(rows) == 5 * 2 * 9
    names = [row["structure"] for row in rows[:9]]
    assert names[:2] == ["intersection", "left near"]
    first = rows[0]
    assert float(first["dice"]) == pytest.approx(2 * 25 / (25 + SIZE * SIZE), rel=1e-5)  # everything is called intersection
    assert {row["is_failure"] for row in rows if row["structure"] == "left near"} == {"1"}


def test_the_sets_are_those_of_the_split_and_training_subjects_are_told(tmp_path, annotated):
    run = write_run(tmp_path / "run", data=annotated, fractions=(0.4, 0.0, 0.6), trained_on=("SYN-0001",))
    counts = {}
    for subset in ("train", "test", "all"):
        result = command("evaluate", run, "--subset", subset)
        assert result.exit_code == 0
        folder = run if subset == "test" else run / f"evaluation-out-{subset}"
        counts[subset] = {row["subject"] for row in rows_of(folder / "per_subject.csv")}
    assert counts["train"] == {"SYN-0001"}
    assert "SYN-0001" not in counts["test"]
    assert counts["test"]
    assert len(counts["all"]) == 5
    assert "1 evaluated subject in the training set of the run" in " ".join(result.stderr.split())


# Bad input: one sentence and an exit code each.


def test_no_annotated_subjects(tmp_path):
    record = make_subject(1, views=(CardiacView.SAX,), matrix=(SIZE, SIZE), layout=BoxLayout(size=5, gap=8))
    data = write_batches(tmp_path / "data", [[record]])
    run = write_run(tmp_path / "run", data=data)
    one_sentence(command("evaluate", run), 1, "no annotated subjects", "cmr-planes annotate")


def test_a_view_that_is_not_in_the_catalogue(tmp_path, annotated):
    run = write_run(tmp_path / "run", data=annotated, view=CardiacView.FOUR_CHAMBER)
    one_sentence(command("evaluate", run), 1, "no images of view 4Ch", "cmr-planes inspect")


def test_phases_that_are_not_in_the_catalogue(tmp_path):
    phases = tuple(f"{frame:03}" for frame in range(10))
    record = make_subject(
        1, views=(CardiacView.SAX,), phases=phases, n_slices=1, matrix=(SIZE, SIZE), layout=BoxLayout(size=5, gap=8)
    )
    data = write_batches(tmp_path / "data", [[record]])
    run = write_run(tmp_path / "run", data=data, recipe=Recipe.PRETEXT, phases=("ed",))
    one_sentence(command("evaluate", run, "--subset", "all"), 1, "has no phase ed of view SAX; it has 000 … 009")


def test_an_empty_test_set(tmp_path, annotated):
    run = write_run(tmp_path / "run", data=annotated, fractions=(1.0, 0.0, 0.0))
    one_sentence(command("evaluate", run), 1, "belongs to the test set", "choose another subset")


def test_structures_that_the_run_does_not_find_are_background_and_counted(tmp_path):
    data = make_catalogue(tmp_path / "data", 2, found=Structure.RA, drawn=(0, 1, 5))
    run = write_run(tmp_path / "run", data=data)
    with Catalogue(data) as catalogue:
        n_pixels = sum(int(rows[Structure.RA]) for rows in catalogue.annotations().label_pixels)
    result = command("evaluate", run)
    assert result.exit_code == 0
    assert f"RA was drawn ({n_pixels:,} pixels) and counts as background" in result.stderr
    assert {(row["structure"], row[Metric.DICE]) for row in rows_of(run / "per_subject.csv")} == {("LV", "0")}
    assert json.loads((run / "summary.json").read_text())["drawn_and_not_scored_pixels"] == {"RA": n_pixels}


def test_a_baseline_of_another_task(tmp_path, annotated):
    run = write_run(tmp_path / "run", data=annotated)
    other = write_run(tmp_path / "other", data=annotated, recipe=Recipe.PRETEXT)
    one_sentence(command("evaluate", run, "--baseline", other), 1, "only runs of one task")


def test_a_baseline_that_has_seen_the_test(tmp_path, annotated):
    run = write_run(tmp_path / "run", data=annotated)
    other = write_run(tmp_path / "other", data=annotated, trained_on=("SYN-0002", "SYN-0003"))
    one_sentence(command("evaluate", run, "--baseline", other), 1, "trained on 2 of the 5 participants")


def test_a_shard_that_cannot_be_read(tmp_path, annotated):
    shutil.copytree(annotated.parent, tmp_path / "copy")
    shard = tmp_path / "copy" / "out.shards" / "00000.h5"
    shard.write_bytes(shard.read_bytes()[:2000])
    run = write_run(tmp_path / "run", data=tmp_path / "copy" / "out.h5")
    one_sentence(command("evaluate", run), 1, "00000.h5")


@pytest.mark.parametrize("name", ["evaluate", "predict"])
def test_no_such_run(tmp_path, annotated, name):
    arguments = [name, tmp_path / "nowhere", *([annotated, "-o", tmp_path / "out"] if name == "predict" else [])]
    assert command(*arguments).exit_code == 2
    (tmp_path / "nowhere").mkdir()
    one_sentence(command(*arguments), 1, "is not a run of cmr-train")


class Malice:
    """Would write a file if it were unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return Path.write_text, (self.path, "run")


@pytest.mark.parametrize("name", ["evaluate", "predict"])
def test_a_malicious_pickle_is_refused_and_not_run(tmp_path, annotated, name):
    run = write_run(tmp_path / "run", data=annotated)
    trap = tmp_path / "trap"
    (run / FINAL_NAME).write_bytes(pickle.dumps({"model": Malice(trap)}, protocol=2))
    arguments = [name, run, *([annotated, "-o", tmp_path / "out"] if name == "predict" else [])]
    one_sentence(command(*arguments), 1, FINAL_NAME)
    torch.save({"model": Malice(trap)}, run / FINAL_NAME)
    one_sentence(command(*arguments), 1, "is refused")
    assert not trap.exists()


def test_a_checkpoint_of_another_architecture(tmp_path, annotated):
    run = write_run(tmp_path / "run", data=annotated)
    wide = write_run(tmp_path / "wide", data=annotated, base_channels=4)
    shutil.copy(wide / FINAL_NAME, run / FINAL_NAME)
    one_sentence(command("evaluate", run), 1, "another network")


def test_a_device_that_is_not_there(tmp_path, annotated):
    run = write_run(tmp_path / "run", data=annotated)
    missing = "cuda" if not torch.cuda.is_available() else "mps"
    one_sentence(command("evaluate", run, "--device", missing), 1, "no such device")


def test_results_that_cannot_be_written(tmp_path, annotated):
    run = write_run(tmp_path / "run", data=annotated)
    (tmp_path / "file").write_text("")
    one_sentence(command("evaluate", run, "-o", tmp_path / "file" / "results"), 1, "file")


# Prediction.


@pytest.fixture(scope="module")
def dicom(tmp_path_factory):
    """One study with an ellipsoidal blood pool. Do not write to it."""
    folder = tmp_path_factory.mktemp("dicom")
    write_study(folder / "SYN-0001", simple_study(**STUDY))
    return folder


def blood_pool_ml(phase: float) -> float:
    """Volume of five slices of the blood pool of cmr_planes.phantom.small_study, an ellipsoid, at a fraction of the cycle."""
    squeeze = 1 - 0.3 * math.exp(-(((phase - 0.38 + 0.5) % 1 - 0.5) ** 2) / (2 * 0.13**2))
    along_mm, across_mm = 42.0 * (0.5 + 0.5 * squeeze), 25.0 * squeeze
    areas_mm2 = [math.pi * across_mm**2 * (1 - (level * 9.0 / along_mm) ** 2) for level in (-2, -1, 0, 1, 2)]
    return sum(areas_mm2) * 9.0 / 1000


def test_volumes_from_dicom_are_those_of_the_ellipsoid(tmp_path, dicom):
    run = write_run(tmp_path / "run", rows=88, columns=88, threshold=0.8)
    result = command("predict", run, dicom, "-o", tmp_path / "out")
    assert result.exit_code == 0, result.output
    assert "1 subject segmented, 10 images of view SAX" in result.stdout
    assert "SYN" not in result.output
    (row,) = rows_of(tmp_path / "out" / "volumes.csv")
    diastole_ml, systole_ml = blood_pool_ml(0.0), blood_pool_ml(0.4)
    assert (row["subject"], row["end_diastole"], row["end_systole"]) == ("SYN-0001", "ed", "es")
    assert float(row["lv_edv_ml"]) == pytest.approx(diastole_ml, rel=0.03)  # pixels of 2.5 mm
    assert float(row["lv_esv_ml"]) == pytest.approx(systole_ml, rel=0.05)
    assert float(row["lv_ef_percent"]) == pytest.approx(100 * (1 - systole_ml / diastole_ml), abs=2.0)
    assert float(row["lv_sv_ml"]) == pytest.approx(float(row["lv_edv_ml"]) - float(row["lv_esv_ml"]), abs=0.011)
    assert (row["lv_mass_g"], row["rv_edv_ml"], row["rv_ef_percent"]) == ("", "", "")
    assert row["doubt"] == "rv_missing_ed rv_missing_es no_myocardium"
    written = sorted(path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("*") if path.is_file())
    assert written == [
        "labels/SYN-0001_sax_ed.nii.gz",
        "labels/SYN-0001_sax_es.nii.gz",
        "pictures/SYN-0001_sax.png",
        "prediction.json",
        "volumes.csv",
    ]


def test_label_maps_lie_where_dcm2niix_puts_the_same_files(tmp_path, dicom):
    run = write_run(tmp_path / "run", rows=88, columns=88, threshold=0.8)
    assert command("predict", run, dicom, "-o", tmp_path / "out", "--no-pictures").exit_code == 0
    study = simple_study(**STUDY)
    levels = {
        key: replace(each, frames=each.frames[:1], trigger_times_ms=each.trigger_times_ms[:1])
        for key, each in study.series.items()
        if key.startswith("sax")
    }
    write_study(tmp_path / "first", replace(study, series=levels))
    (tmp_path / "peer").mkdir()
    tool = Path(sys.executable).parent / "dcm2niix"
    subprocess.run([tool, "-z", "n", "-f", "%s", "-o", tmp_path / "peer", tmp_path / "first"], check=True, capture_output=True)
    own = nibabel.load(tmp_path / "out" / "labels" / "SYN-0001_sax_ed.nii.gz")
    labels = np.asarray(own.dataobj)
    peers = sorted((tmp_path / "peer").glob("*.nii"))
    assert len(peers) == 5 == labels.shape[2]
    n_seen = 0
    for path in peers:
        peer = nibabel.load(path)
        intensity = np.asarray(peer.dataobj)
        index = np.indices(intensity.shape).reshape(3, -1)
        world_mm = peer.affine @ np.vstack([index, np.ones(index.shape[1])])
        place = np.linalg.solve(own.affine, world_mm)[:3]
        np.testing.assert_allclose(place, place.round(), atol=2e-3)  # voxels; NIfTI stores single precision
        np.testing.assert_array_equal(labels[tuple(place.round().astype(int))], intensity.ravel() > 300)
        n_seen += index.shape[1]
    assert n_seen == labels.size


@pytest.mark.skipif(not SUNNYBROOK.exists(), reason="the real scans are not at hand")
@pytest.mark.filterwarnings("ignore::UserWarning:pydicom")  # the files' own faults
def test_a_real_stack_lies_where_dcm2niix_puts_it(tmp_path):
    run = write_run(tmp_path / "run", rows=256, columns=256, threshold=0.8)
    assert command("predict", run, SUNNYBROOK, "-o", tmp_path / "out", "--no-pictures").exit_code == 0
    own = nibabel.load(tmp_path / "out" / "labels" / "SCD0000101_sax_ed.nii.gz")
    shutil.unpack_archive(SUNNYBROOK, tmp_path / "dicom")
    tool = Path(sys.executable).parent / "dcm2niix"
    subprocess.run([tool, "-z", "n", "-f", "peer", "-o", tmp_path, tmp_path / "dicom"], check=True, capture_output=True)
    peer = nibabel.load(tmp_path / "peer.nii")
    assert own.shape == peer.shape[:3] == (256, 256, 12)
    corners = np.stack(np.meshgrid([0, 255], [0, 255], [0, 11], [1], indexing="ij")).reshape(4, -1)
    own_mm, peer_mm = (np.unique(np.round((image.affine @ corners)[:3], 1), axis=1) for image in (own, peer))
    np.testing.assert_allclose(own_mm, peer_mm, atol=0.11)  # mm; the axes may run the other way


def test_a_catalogue_gives_the_same_files_as_its_dicom(tmp_path, dicom):
    assert planes("extract", dicom, tmp_path / "out.h5", "--workers", 1).exit_code == 0
    run = write_run(tmp_path / "run", rows=88, columns=88, threshold=0.8)
    assert command("predict", run, dicom, "-o", tmp_path / "first").exit_code == 0
    assert command("predict", run, tmp_path / "out.h5", "-o", tmp_path / "second").exit_code == 0
    first, second = (
        {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file() and path.suffix != ".json"}
        for folder in (tmp_path / "first", tmp_path / "second")
    )
    assert first == second
    assert len(first) == 4


def test_every_frame_becomes_one_cine_and_the_volumes_choose_ed_and_es(tmp_path, dicom):
    run = write_run(tmp_path / "run", rows=88, columns=88, threshold=0.8)
    result = command("predict", run, dicom, "-o", tmp_path / "out", "--phases", "all", "--json", "-v")
    assert result.exit_code == 0
    (subject,) = json.loads(result.stdout)["subjects"]
    assert (subject["key"], subject["end_diastole"], subject["end_systole"]) == ("SYN-0001", "000", "004")
    cine = nibabel.load(tmp_path / "out" / "labels" / "SYN-0001_sax.nii.gz")
    assert cine.shape == (88, 88, 5, 10)
    assert (tmp_path / "out" / "pictures" / "SYN-0001_sax.png").stat().st_size > 10_000


def test_a_long_axis_view_has_labels_and_pictures_and_no_volumes(tmp_path, dicom):
    run = write_run(tmp_path / "run", rows=88, columns=88, threshold=0.8, view=CardiacView.FOUR_CHAMBER)
    result = command("predict", run, dicom, "-o", tmp_path / "out", "--json")
    assert result.exit_code == 0
    (subject,) = json.loads(result.stdout)["subjects"]
    assert subject == {"subject": 1, "phases": ["ed", "es"], "n_slices": 1}
    assert not (tmp_path / "out" / "volumes.csv").exists()
    image = nibabel.load(tmp_path / "out" / "labels" / "SYN-0001_4ch_ed.nii.gz")
    plane = simple_study(**STUDY).series["4ch"].plane
    np.testing.assert_allclose(image.affine[:3, 3] * [-1, -1, 1], plane.position_mm, atol=1e-3)


def test_a_pretext_run_predicts_positions(tmp_path, dicom):
    run = write_run(tmp_path / "run", recipe=Recipe.PRETEXT, rows=88, columns=88, threshold=0.8, found=9)
    result = command("predict", run, dicom, "-o", tmp_path / "out")
    assert result.exit_code == 0
    labels = np.asarray(nibabel.load(tmp_path / "out" / "labels" / "SYN-0001_sax_ed_positions.nii.gz").dataobj)
    assert np.unique(labels).tolist() == [0, 9]
    assert not (tmp_path / "out" / "volumes.csv").exists()


def test_subjects_without_the_view_are_left_out_with_their_reason(tmp_path):
    write_study(tmp_path / "dicom" / "SYN-0001", small_study())
    write_study(tmp_path / "dicom" / "SYN-0002", small_study("SYN-0002", n_frames=1))
    run = write_run(tmp_path / "run", threshold=0.8)
    result = command("predict", run, tmp_path / "dicom", "-o", tmp_path / "out")
    assert result.exit_code == 0
    assert "no_cine" in result.stdout
    assert "SYN" not in result.output
    listed = command("predict", run, tmp_path / "dicom", "-o", tmp_path / "out", "-v")
    assert "SYN-0002" in listed.stdout
    assert [row["subject"] for row in rows_of(tmp_path / "out" / "volumes.csv")] == ["SYN-0001"]


def test_runs_come_first_and_sources_after_them(tmp_path, dicom):
    runs = [write_run(tmp_path / f"run{number}", rows=88, columns=88, threshold=0.7 + number / 20) for number in range(3)]
    result = command("predict", *runs, dicom, "-o", tmp_path / "out", "--no-pictures", "--json")
    assert result.exit_code == 0, result.output
    assert sorted(json.loads(result.stdout)["runs"]) == ["run0", "run1", "run2"]
    assert "the probabilities of 3 networks are averaged" in " ".join(result.stderr.split())
    for arguments, words in (
        ((runs[0],), "Missing argument 'SOURCE...'"),
        ((runs[0], runs[1]), "is a run"),
        ((runs[0], dicom, runs[1]), "give all runs before the sources"),
    ):
        result = command("predict", *arguments, "-o", tmp_path / "other")
        assert result.exit_code == 2
        assert words in " ".join(result.stderr.split())
    other = write_run(tmp_path / "positions", rows=88, columns=88, recipe=Recipe.PRETEXT)
    one_sentence(command("predict", runs[0], other, dicom, "-o", tmp_path / "other"), 1, "run0", "positions", "cannot be averaged")


def test_long_axis_images_are_not_needed(tmp_path):
    write_study(tmp_path / "dicom" / "SYN-0001", small_study(views=("sax",)))
    run = write_run(tmp_path / "run", threshold=0.8)
    assert command("predict", run, tmp_path / "dicom", "-o", tmp_path / "out", "--no-pictures").exit_code == 0
    assert len(list((tmp_path / "out" / "labels").iterdir())) == 2
    assert not (tmp_path / "out" / "pictures").exists()


def test_nothing_to_segment_is_exit_code_3(tmp_path):
    write_study(tmp_path / "dicom" / "SYN-0001", small_study(views=("2ch",)))
    run = write_run(tmp_path / "run", threshold=0.8)
    result = command("predict", run, tmp_path / "dicom", "-o", tmp_path / "out")
    assert result.exit_code == 3
    assert "no subject has images of view SAX" in result.stderr
    (tmp_path / "empty").mkdir()
    one_sentence(command("predict", run, tmp_path / "empty", "-o", tmp_path / "other"), 3)
    assert not list(tmp_path.rglob(".extracted-*"))


def test_prediction_from_a_file_that_is_no_catalogue(tmp_path):
    (tmp_path / "out.h5").write_bytes(b"nothing")
    run = write_run(tmp_path / "run")
    one_sentence(command("predict", run, tmp_path / "out.h5", "-o", tmp_path / "out"), 1, "out.h5")


def test_prediction_into_a_place_that_cannot_be_written(tmp_path, dicom):
    run = write_run(tmp_path / "run", rows=88, columns=88)
    (tmp_path / "file").write_text("")
    one_sentence(command("predict", run, dicom, "-o", tmp_path / "file" / "out"), 1, "file")


def test_a_run_says_what_it_is(tmp_path, annotated):
    run = load_run(write_run(tmp_path / "run", data=annotated))
    assert (run.view, run.head.value, run.image_size) == (CardiacView.SAX, "structures", (48, 48))
    assert json.loads((tmp_path / "run" / CONFIG_NAME).read_text())["config"]["transfer"]["mode"] == "scratch"
