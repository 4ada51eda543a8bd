"""Networks for some structures of a view, from labels in which others were drawn or these were not."""

import csv
import json
from pathlib import Path

import nibabel
import numpy as np
import pytest
import torch

import cmr_train
from cmr_planes.views import CardiacView, Structure
from cmr_train.choices import Head
from cmr_train.study.plan import plan_study
from cmr_train.study.study_file import parse_study, read_document
from cmr_train.study.survey import survey
from tests.e2e.test_study import write_study
from tests.helpers.threshold_runs import write_run
from tests.helpers.training import SMALL, annotate, options, small_catalogue, train

LV, MYO, RV = Structure.LV, Structure.MYO, Structure.RV
SCRATCH = ("--mode", "scratch")


@pytest.fixture(autouse=True)
def _one_thread():
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return annotate(small_catalogue(tmp_path_factory.mktemp("data"), 8))


@pytest.fixture(scope="module")
def sunnybrook(tmp_path_factory):
    """LV and Myo at end-diastole, LV at end-systole, as in the Sunnybrook data."""
    return annotate(small_catalogue(tmp_path_factory.mktemp("data"), 8), [LV, MYO], at_es=[LV])


@pytest.fixture(scope="module")
def run(data, tmp_path_factory):
    """A network for RV and Myo."""
    out = tmp_path_factory.mktemp("runs") / "run"
    settings = options(structures="rv,myo", validate_every=3)
    result = train("finetune", "--data", data, "--out", out, *SCRATCH, *settings)
    assert result.exit_code == 0, result.output
    assert "LV was drawn" in result.stderr
    assert "is background in this run" in result.stderr
    return out


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def one_sentence(result, code: int, *words: str) -> None:
    assert result.exit_code == code, result.output
    assert all(word in result.stderr for word in words), result.stderr


def test_a_head_has_exactly_the_structures_and_says_which(run):
    classes = {2: "Myo", 3: "RV"}
    assert json.loads((run / "config.json").read_text())["classes"] == {"2": "Myo", "3": "RV"}
    content = torch.load(run / "final.pt", weights_only=True)
    assert content["classes"] == classes
    assert content["model"]["heads.structures.weight"].shape[0] == 3
    assert cmr_train.load_run(run).classes == classes
    looked = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()][-1]
    assert {name for name in looked if name.startswith("validation_")} == {"validation_Myo", "validation_RV", "validation_mean"}


def test_an_exported_network_says_which_structures_it_finds(run, tmp_path):
    assert train("export", run, tmp_path / "shared").exit_code == 0
    assert torch.load(tmp_path / "shared" / "final.pt", weights_only=True)["classes"] == {2: "Myo", 3: "RV"}
    assert cmr_train.load_run(tmp_path / "shared").classes == {2: "Myo", 3: "RV"}


def test_scores_and_label_maps_are_of_the_structures_and_keep_their_numbers(run, data, tmp_path):
    result = train("evaluate", run, "--subset", "all")
    one_sentence(result, 0, "LV was drawn", "counts as background: the run does not find it")
    scores = run / "evaluation-out-all"
    assert {row["structure"] for row in rows_of(scores / "per_subject.csv")} == {"Myo", "RV"}
    assert json.loads((scores / "summary.json").read_text())["classes"] == {"2": "Myo", "3": "RV"}
    assert train("predict", run, data, "-o", tmp_path, "--no-pictures").exit_code == 0
    found = {int(value) for path in (tmp_path / "labels").glob("*.nii.gz") for value in np.unique(nibabel.load(path).dataobj)}
    assert found <= {0, 2, 3}
    volumes = rows_of(tmp_path / "volumes.csv")
    assert {row["lv_edv_ml"] for row in volumes} == {row["lv_ef_percent"] for row in volumes} == {""}
    assert all(row["doubt"].startswith("lv_not_segmented") for row in volumes)


def test_a_right_network_for_the_right_ventricle_alone_writes_its_number(data, tmp_path):
    run = write_run(tmp_path / "run", data=data, structures=(RV,), found=3, threshold=0.9)
    assert train("predict", run, data, "-o", tmp_path / "out", "--no-pictures").exit_code == 0
    found = {
        int(value) for path in (tmp_path / "out" / "labels").glob("*.nii.gz") for value in np.unique(nibabel.load(path).dataobj)
    }
    assert found == {0, 3}
    (row, *_) = rows_of(tmp_path / "out" / "volumes.csv")
    assert row["rv_edv_ml"]
    assert row["lv_mass_g"] == row["lv_edv_ml"] == ""


def test_resuming_with_other_structures_is_refused(run, data):
    result = train("finetune", "--data", data, "--out", run, "--resume", *SCRATCH, *options(structures="lv", validate_every=3))
    one_sentence(result, 2, "--structures is myo,rv in this run, not lv")


def test_weights_of_other_structures_than_the_configuration_are_refused(run, tmp_path):
    (tmp_path / "split.json").write_text((run / "split.json").read_text())
    (tmp_path / "final.pt").write_bytes((run / "final.pt").read_bytes())
    config = json.loads((run / "config.json").read_text())
    config["config"]["transfer"]["structures"] = ["lv", "myo"]
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(cmr_train.CheckpointError, match=r"find Myo, RV, and its config\.json says LV, Myo"):
        cmr_train.load_run(tmp_path)


def test_a_run_of_an_earlier_release_has_an_output_for_every_number(tmp_path, data):
    run = write_run(tmp_path / "run", data=data, view=CardiacView.TWO_CHAMBER)
    config = json.loads((run / "config.json").read_text())
    del config["config"]["transfer"]["structures"]
    (run / "config.json").write_text(json.dumps(config))
    with pytest.raises(cmr_train.CheckpointError, match="of another network"):
        cmr_train.load_run(run)
    content = torch.load(run / "final.pt", weights_only=True)
    for name in ("weight", "bias"):
        tensor = content["model"][f"heads.structures.{name}"]
        content["model"][f"heads.structures.{name}"] = torch.cat([tensor, tensor[:1]])
    torch.save(content, run / "final.pt")
    loaded = cmr_train.load_run(run)
    assert loaded.classes == {1: "LV", 2: "Myo", 4: "LA"}
    assert loaded.config.class_numbers(Head.STRUCTURES) == (0, 1, 2, 3, 4)


def test_a_baseline_is_compared_on_the_common_structures(tmp_path, data):
    run = write_run(tmp_path / "run", data=data)
    other = write_run(tmp_path / "other", data=data, structures=(LV, MYO), threshold=0.7)
    assert train("evaluate", run, "--baseline", other).exit_code == 0
    summary = json.loads((run / "summary.json").read_text())
    assert {each["structure"] for each in summary["results"]} == {"LV", "Myo", "RV", "mean"}
    assert {each["structure"] for each in summary["baseline"]["results"]} == {"LV", "Myo", "mean"}
    assert {each["structure"] for each in summary["baseline"]["comparisons"]} == {"LV", "Myo", "mean"}
    alone = write_run(tmp_path / "alone", data=data, structures=(RV,), found=3)
    one_sentence(train("evaluate", alone, "--baseline", other), 1, "they have no structure in common")


@pytest.mark.parametrize(
    ("given", "code", "words"),
    [
        pytest.param({"structures": "lv,ra"}, 2, ["--structures cannot be RA: the view SAX has LV, Myo, RV"], id="not of the view"),
        pytest.param({}, 1, ["on none of the 48 annotated images", "all of LV, Myo, RV drawn", "LV 48, Myo 24"], id="not drawn"),
        pytest.param({"structures": "rv"}, 1, ["on none of the 48 annotated images", "RV drawn", "LV 48, Myo 24"], id="none drawn"),
        pytest.param(
            {"ignore_undrawn": True}, 1, ["training images was RV drawn", "leave it out of the structures"], id="never drawn"
        ),
    ],
)
def test_structures_that_cannot_be_learnt_are_refused(sunnybrook, tmp_path, given, code, words):
    ignores = ["--ignore-undrawn"] if given.pop("ignore_undrawn", False) else []
    result = train("finetune", "--data", sunnybrook, "--out", tmp_path / "run", *SCRATCH, *ignores, *options(**given))
    one_sentence(result, code, *words)
    assert not (tmp_path / "run" / "config.json").exists()


@pytest.mark.parametrize("loss", ["cross-entropy", "weighted", "dice"])
def test_undrawn_structures_are_left_out_or_ignored(sunnybrook, tmp_path, loss):
    settings = options(structures="lv,myo", loss=loss, validate_every=6, iterations=6)
    whole = train("finetune", "--data", sunnybrook, "--out", tmp_path / "whole", *SCRATCH, *settings)
    one_sentence(whole, 0, "left out: 24 of 48 annotated images, on which not all of LV, Myo were drawn")
    ignored = train("finetune", "--data", sunnybrook, "--out", tmp_path / "all", *SCRATCH, "--ignore-undrawn", *settings)
    one_sentence(ignored, 0, "on 24 of 48 annotated images not all of LV, Myo were drawn")
    n_images = [int(text.split("structures: ")[1].split(" images")[0]) for text in (whole.stderr, ignored.stderr)]
    assert n_images[1] == 2 * n_images[0]
    losses = [json.loads(line)["loss_structures"] for line in (tmp_path / "all" / "metrics.jsonl").read_text().splitlines()]
    assert all(np.isfinite(losses))
    assert train("evaluate", tmp_path / "all", "--subset", "all").exit_code == 0
    rows = rows_of(tmp_path / "all" / "evaluation-out-all" / "per_subject.csv")
    assert {(row["phase"], row["structure"]) for row in rows} == {("ed", "LV"), ("ed", "Myo"), ("es", "LV")}


def test_a_two_chamber_study_with_the_right_ventricle_drawn_runs_to_its_end(tmp_path):
    view = CardiacView.TWO_CHAMBER
    drawn = annotate(small_catalogue(tmp_path, 12, (view,)), [LV, MYO, RV, Structure.LA], view=view)
    path = write_study(tmp_path, drawn, {**SMALL, "iterations": 2}, view="2ch", modes=["scratch"], subjects=[1])
    done = train("study", path, "--out", tmp_path / "out")
    assert done.exit_code == 0, done.output
    cell = tmp_path / "out" / "cells" / "scratch-n1-s0"
    assert {row["structure"] for row in rows_of(cell / "per_subject.csv")} == {"LV", "Myo", "LA"}
    assert "RV was drawn" in (cell / "log.txt").read_text()


def test_a_study_looks_at_the_labels_before_anything_runs(sunnybrook, tmp_path):
    path = write_study(tmp_path, sunnybrook, {**SMALL, "iterations": 2}, modes=["scratch"], subjects=[1])
    one_sentence(train("study", path, "--out", tmp_path / "out"), 1, "were all of LV, Myo, RV drawn", "LV 48, Myo 24")
    assert not (tmp_path / "out" / "cells").exists()


def test_variants_of_a_study_segment_the_same_structures(data, tmp_path):
    more = '[variants.one.finetune]\nstructures = ["lv"]\n[variants.two]\n'
    path = write_study(tmp_path, data, {**SMALL, "iterations": 2}, more, modes=["scratch"], subjects=[1])
    one_sentence(train("study", path, "--out", tmp_path / "out"), 2, "segment different structures (LV; LV, Myo, RV)")


def test_a_study_with_undrawn_structures_counts_the_images_of_each_variant(sunnybrook, tmp_path):
    more = "[variants.whole]\n[variants.marginal.finetune]\nignore_undrawn = true\n"
    settings = {**SMALL, "structures": ["lv", "myo"]}
    path = write_study(tmp_path, sunnybrook, settings, more, modes=["scratch"], subjects=[2])
    plan = plan_study(parse_study(read_document(path)), tmp_path)
    assert [facts["n_images"] for facts in survey(plan).values()] == [6, 12]


def test_a_study_whose_chosen_participants_lack_a_structure_is_refused(tmp_path):
    """Everybody has LV, and one of two Myo too."""
    data = annotate(small_catalogue(tmp_path, 12), [LV], also={f"SYN-{number:04}": [MYO] for number in range(1, 13, 2)})
    settings = {**SMALL, "structures": ["lv", "myo"], "ignore_undrawn": True, "fractions": [0.6, 0.0, 0.4]}
    path = write_study(tmp_path, data, settings, modes=["scratch"], subjects=[1], seeds=6)
    with pytest.raises(
        cmr_train.ConfigError, match=r"scratch-n1-s\d: none of the images of the 1 participant .* shows Myo"
    ) as caught:
        survey(plan_study(parse_study(read_document(path)), tmp_path))
    assert 0 < len(caught.value.problems) < 6
