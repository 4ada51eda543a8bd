"""Which catalogue a run is scored on, and that of it the run has seen: the right people, or a refusal."""

import csv
import json
import shutil
from pathlib import Path

import nibabel
import pytest
import torch
from click.testing import CliRunner, Result

from cmr_planes.geometry import BoxLayout
from cmr_planes.shards.catalogue import Catalogue
from cmr_planes.shards.catalogue_writer import write_catalogue
from cmr_planes.shards.schema import Codec
from cmr_planes.views import CardiacView
from cmr_train.choices import Recipe
from cmr_train.cli import main
from cmr_train.runs.files import write_json
from cmr_train.runs.folder import FINAL_NAME, LAST_NAME, SPLIT_NAME, read_json
from cmr_train.runs.identity import CatalogueIdentity
from tests.helpers.records import make_subject, write_shard
from tests.helpers.threshold_runs import write_run

SIZE = 48


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    torch.set_num_threads(1)


def cohort(folder: Path, numbers: range, *, pseudonymised: str | None = None, batches: int = 1) -> Path:
    """Write a catalogue of subjects with these numbers, in this many shards."""
    configuration = {"box": 11.0, "pseudonymised": pseudonymised}
    (folder / "out.shards").mkdir(parents=True, exist_ok=True)
    shards = [folder / "out.shards" / f"{number:05}.h5" for number in range(batches)]
    for number, shard in enumerate(shards):
        records = [
            make_subject(
                one, views=(CardiacView.SAX,), n_slices=1, matrix=(SIZE, SIZE), spacing_mm=7.0, layout=BoxLayout(size=5, gap=8)
            )
            for one in list(numbers)[number::batches]
        ]
        write_shard(shard, records, codec=Codec.GZIP, configuration=configuration)
    write_catalogue(folder / "out.h5", shards, configuration=configuration, versions={"cmr-planes": "1"})
    return folder / "out.h5"


def pretext_run(folder: Path, data: Path, **given: object) -> Path:
    return write_run(folder, data=data, recipe=Recipe.PRETEXT, **given)


def evaluate(run: Path, *arguments: object) -> Result:
    result = CliRunner().invoke(main, ["evaluate", str(run), *map(str, arguments)])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def said(result: Result) -> str:
    return " ".join(result.stderr.split())


def scored(folder: Path) -> set[str]:
    with (folder / "per_subject.csv").open(newline="") as file:
        return {row["subject"] for row in csv.DictReader(file)}


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return cohort(tmp_path_factory.mktemp("ours"), range(1, 5))


@pytest.fixture(scope="module")
def others(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return cohort(tmp_path_factory.mktemp("others"), range(11, 14))


@pytest.fixture(scope="module")
def namesakes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Another cohort in which two keys are those of ours."""
    return cohort(tmp_path_factory.mktemp("namesakes"), range(3, 6))


def test_a_catalogue_of_the_same_name_elsewhere_is_not_scored(tmp_path, monkeypatch, ours, others):
    run = pretext_run(tmp_path / "run", ours)
    monkeypatch.chdir(others.parent)
    assert evaluate(run).exit_code == 0
    assert scored(run) == {f"SYN-000{number}" for number in range(1, 5)}
    summary = json.loads((run / "summary.json").read_text())
    assert summary["catalogue"]["path"] == ours.as_posix()


def test_a_catalogue_that_is_gone_or_another_by_now_is_refused(tmp_path, others):
    data = cohort(tmp_path / "data", range(1, 4))
    run = pretext_run(tmp_path / "run", data)
    shutil.copy(others, data)
    result = evaluate(run)
    assert result.exit_code == 1
    assert "is another catalogue now than that on which run 'run' was trained" in said(result)
    data.unlink()
    result = evaluate(run)
    assert result.exit_code == 1
    assert "is not there; give the catalogue to evaluate on" in said(result)
    assert not (run / "summary.json").exists()


def test_another_cohort_goes_to_a_folder_of_its_own_and_is_named(tmp_path, ours, others):
    run = pretext_run(tmp_path / "run", ours)
    assert evaluate(run).exit_code == 0
    before = (run / "per_subject.csv").read_bytes()
    result = evaluate(run, "--data", others)
    assert result.exit_code == 0, result.output
    assert f"scored on {str(others)!r}, which is not the catalogue of the run" in said(result)
    assert scored(run / "evaluation-out-unseen") == {"SYN-0011", "SYN-0012", "SYN-0013"}
    assert (run / "per_subject.csv").read_bytes() == before
    result = evaluate(run, "--data", others, "--subset", "test")
    assert result.exit_code == 1
    assert "has no test set in it" in said(result)


def test_the_official_set_of_another_catalogue_is_scored_in_a_folder_of_its_own(tmp_path, ours, others):
    run = pretext_run(tmp_path / "run", ours)
    file = tmp_path / "official.csv"
    file.write_text("participant,set\nSYN-0011,test\nSYN-0012,train\nSYN-0013,test\nSYN-0001,test\n")
    result = evaluate(run, "--data", others, "--split", file)
    assert result.exit_code == 0, result.output
    assert scored(run / "evaluation-out-test-of-official") == {"SYN-0011", "SYN-0013"}
    assert json.loads((run / "evaluation-out-test-of-official" / "summary.json").read_text())["split"] == file.as_posix()
    assert evaluate(run, "--split", file).exit_code == 0
    assert scored(run / "evaluation-out-test-of-official") == {"SYN-0001"}
    assert not (run / "per_subject.csv").exists()
    result = evaluate(run, "--data", others, "--split", file, "--subset", "validation")
    assert "puts none of the 3 participants with a truth into the validation set" in said(result)
    result = evaluate(run, "--data", others, "--split", file, "--subset", "all")
    assert result.exit_code == 1
    assert "a split file has no set all; choose train, validation or test" in said(result)


def test_equal_keys_of_another_cohort_are_not_guessed_about(tmp_path, ours, namesakes):
    run = pretext_run(tmp_path / "run", ours, trained_on=("SYN-0001", "SYN-0003", "SYN-0004"))
    result = evaluate(run, "--data", namesakes)
    assert result.exit_code == 1
    assert "2 participants have the same key" in said(result)
    result = evaluate(run, "--data", namesakes, "--people", "same")
    assert scored(run / "evaluation-out-unseen") == {"SYN-0005"}
    assert "2 subjects left out, since the run has seen them" in said(result)
    evaluate(run, "--data", namesakes, "--people", "other")
    assert scored(run / "evaluation-out-unseen") == {"SYN-0003", "SYN-0004", "SYN-0005"}


def test_pseudonyms_of_another_key_cannot_be_compared(tmp_path, ours):
    run = pretext_run(tmp_path / "run", ours, trained_on=("SYN-0001",))
    data = cohort(tmp_path / "data", range(21, 23), pseudonymised="0123456789abcdef")
    for people in ((), ("--people", "same")):
        result = evaluate(run, "--data", data, *people)
        assert result.exit_code == 1
        assert "persons cannot be compared" in said(result)
    assert evaluate(run, "--data", data, "--people", "other").exit_code == 0


def test_a_catalogue_with_subjects_added_is_of_one_cohort(tmp_path):
    data = cohort(tmp_path / "data", range(1, 4))
    run = pretext_run(tmp_path / "run", data, trained_on=("SYN-0001",))
    data.unlink()
    first = tmp_path / "data/out.shards/00000.h5"
    second = tmp_path / "data/out.shards/00001.h5"
    shutil.copy(cohort(tmp_path / "more", range(8, 10)).parent / "out.shards/00000.h5", second)
    configuration = {"box": 11.0, "pseudonymised": None}
    write_catalogue(data, [first, second], configuration=configuration, versions={"cmr-planes": "1"})
    result = evaluate(run, "--data", data, "--subset", "unseen")
    assert result.exit_code == 0, result.output
    assert "not the catalogue of the run" not in said(result)
    assert scored(run / "evaluation-out-unseen") == {"SYN-0002", "SYN-0003", "SYN-0008", "SYN-0009"}


def test_people_whom_the_pretext_saw_are_counted(tmp_path, ours):
    run = pretext_run(tmp_path / "run", ours, trained_on=("SYN-0001",))
    with Catalogue(ours) as catalogue:
        identity = CatalogueIdentity.of(catalogue).to_json()
    seen = [{"catalogue": identity, "participants": ["SYN-0001", "SYN-0002", "SYN-0003"]}]
    write_json(run / SPLIT_NAME, read_json(run / SPLIT_NAME) | {"seen_by_pretext": seen})
    result = evaluate(run, "--subset", "all")
    assert "1 evaluated subject in the training set of the run" in said(result)
    assert "2 evaluated subjects that the pretext has seen" in said(result)
    summary = json.loads((run / "evaluation-out-all" / "summary.json").read_text())
    assert (summary["n_trained_on"], summary["n_seen_by_pretext"]) == (1, 2)
    evaluate(run, "--subset", "unseen")
    assert scored(run / "evaluation-out-unseen") == {"SYN-0004"}


def test_an_unfinished_run_is_refused_unless_asked_for(tmp_path, ours):
    run = pretext_run(tmp_path / "run", ours)
    (run / FINAL_NAME).rename(run / LAST_NAME)
    result = evaluate(run)
    assert result.exit_code == 1
    assert "has not done all its iterations" in said(result)
    result = evaluate(run, "--unfinished")
    assert result.exit_code == 0
    assert "the run has not done all its iterations" in said(result)
    assert json.loads((run / "summary.json").read_text())["is_finished"] is False


def test_a_baseline_that_learnt_from_other_evaluated_people_is_refused(tmp_path, ours):
    run = pretext_run(tmp_path / "run", ours, trained_on=("SYN-0001",))
    baseline = pretext_run(tmp_path / "baseline", ours, trained_on=("SYN-0002",))
    result = evaluate(run, "--subset", "all", "--baseline", baseline)
    assert result.exit_code == 1
    assert "the baseline was trained on 1 of the 4 participants to evaluate that the run did not learn from" in said(result)
    fair = pretext_run(tmp_path / "fair", ours)
    result = evaluate(run, "--subset", "all", "--baseline", fair)
    assert result.exit_code == 0
    assert "the run was trained on 1 of the evaluated subjects, its baseline on 0" in said(result)


def predict(run: Path, source: Path, out: Path, *arguments: object) -> Result:
    result = CliRunner().invoke(main, ["predict", str(run), str(source), "-o", str(out), "--no-pictures", *map(str, arguments)])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def test_predictions_of_two_networks_or_two_cohorts_never_share_a_folder(tmp_path, ours, others):
    network = write_run(tmp_path / "network", data=ours)
    positions = pretext_run(tmp_path / "positions", ours)
    out = tmp_path / "segmented"
    assert predict(network, ours, out).exit_code == 0
    assert predict(network, ours, out).exit_code == 0
    names = {path.name for path in (out / "labels").iterdir()}
    assert "SYN-0001_sax_ed.nii.gz" in names
    for run, source in ((network, others), (positions, ours)):
        result = predict(run, source, out)
        assert result.exit_code == 1
        assert "holds what another network made, or the same of other data" in said(result)
        assert {path.name for path in (out / "labels").iterdir()} == names
    assert predict(positions, ours, out, "--overwrite").exit_code == 0
    assert {path.name for path in (out / "labels").iterdir()} == {
        f"SYN-000{number}_sax_{phase}_positions.nii.gz" for number in range(1, 5) for phase in ("ed", "es")
    }
    header = nibabel.load(out / "labels" / "SYN-0001_sax_ed_positions.nii.gz").header
    assert header["descrip"].item().decode() == "cmr-train positions"
    assert not (out / "volumes.csv").exists()
    assert json.loads((out / "prediction.json").read_text())["task"] == "positions"


def test_subjects_whom_the_network_learnt_from_are_counted(tmp_path, ours, namesakes):
    run = write_run(tmp_path / "network", data=ours, trained_on=("SYN-0001", "SYN-0003"))
    assert "2 subjects that the run has seen in its training" in said(predict(run, ours, tmp_path / "first"))
    assert "cannot be determined from their keys" in said(predict(run, namesakes, tmp_path / "second"))


def test_an_unfinished_network_segments_nothing_unless_asked_to(tmp_path, ours):
    run = write_run(tmp_path / "network", data=ours)
    (run / FINAL_NAME).rename(run / LAST_NAME)
    result = predict(run, ours, tmp_path / "out")
    assert result.exit_code == 1
    assert "has not done all its iterations" in said(result)
    assert predict(run, ours, tmp_path / "out", "--unfinished").exit_code == 0
