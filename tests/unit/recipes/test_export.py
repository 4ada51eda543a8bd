"""A network to give away: what it holds, what it never holds, and what takes it."""

import json

import pytest
import torch

import cmr_train
from cmr_planes.shards.catalogue import Catalogue
from cmr_planes.system.key_file import SecretKey
from cmr_train.choices import Recipe
from cmr_train.runs.files import write_json
from cmr_train.runs.folder import SPLIT_NAME
from cmr_train.runs.identity import CatalogueIdentity
from tests.helpers.leaks import contents, files_under, found_in
from tests.helpers.threshold_runs import write_run
from tests.helpers.training import SMALL, annotate, options, small_catalogue, train

KEYS = ("SYN-0001", "SYN-0002", "SYN-0003")


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return annotate(small_catalogue(tmp_path_factory.mktemp("data"), 4))


def run_of(folder, data, **given):
    """A run that names its people and its catalogue everywhere that a run does."""
    run = write_run(folder, data=data, trained_on=KEYS[:1], **given)
    with Catalogue(data) as catalogue:
        identity = CatalogueIdentity.of(catalogue).to_json()
    split = {"train": [KEYS[0]], "validation": [KEYS[1]], "test": [KEYS[2]]}
    write_json(run / SPLIT_NAME, split | {"seen_by_pretext": [{"catalogue": identity, "participants": [key]} for key in KEYS[:2]]})
    return run


def test_no_key_and_no_path_is_in_any_byte(data, tmp_path):
    run = run_of(tmp_path / "run", data)
    cmr_train.evaluate(run, subset="all", out=run)
    folder = cmr_train.export(run, tmp_path / "network")
    files = files_under(folder)
    assert {path.name for path in files} == {"final.pt", "config.json", "split.json", "card.md"}
    blobs = [blob for path in files for blob in list(contents(path))[1:]]  # the first is the path of the file itself
    assert not found_in([*KEYS, str(data), data.parent.name, str(tmp_path)], blobs)
    card = (folder / "card.md").read_text()
    assert "| classes | 0 background, 1 LV, 2 Myo, 3 RV |" in card
    assert "| pixel size | 7.00 mm |" in card
    assert "| learnt from | 1 participant |" in card
    assert card.count("| seen by the pretext |") == card.count("| seen by the pretext | 2 participants |") == 1
    assert "Mean Dice of the 4 subjects of set 'all' in its own catalogue, 2 of which it has seen in its training: LV " in card


def test_the_card_says_of_whom_its_scores_are_and_has_none_of_other_weights(data, tmp_path):
    run = run_of(tmp_path / "run", data)
    cmr_train.evaluate(run, subset="test", out=run)
    assert "of set 'test' in its own catalogue: LV " in card_of(run, tmp_path / "own")
    summary = json.loads((run / "summary.json").read_text())
    write_json(run / "summary.json", summary | {"catalogue": {"path": "other.h5", "sha256": "abcdef01" * 8}})
    assert "of set 'test' in the catalogue with SHA-256 abcd ef01 " in card_of(run, tmp_path / "other")
    write_json(run / "summary.json", summary | {"weights": "best"})
    assert "Dice" not in card_of(run, tmp_path / "weights")


def card_of(run, folder):
    return (cmr_train.export(run, folder) / "card.md").read_text()


def test_the_network_is_the_same(data, tmp_path):
    run = run_of(tmp_path / "run", data)
    folder = cmr_train.export(cmr_train.load_run(run), tmp_path / "network")
    given, taken = (cmr_train.load_run(path).model.state_dict() for path in (run, folder))
    assert all(torch.equal(given[name], taken[name]) for name in given)
    assert cmr_train.load_run(folder).config.network == cmr_train.load_run(run).config.network
    assert cmr_train.load_run(folder).pixel_mm == cmr_train.load_run(run).pixel_mm == (7.0, 7.0)


def test_whom_it_has_seen_has_to_be_said(data, tmp_path):
    network = cmr_train.export(run_of(tmp_path / "run", data), tmp_path / "network")
    with pytest.raises(cmr_train.TrainError, match="is not there; give the catalogue"):
        cmr_train.evaluate(network)
    with pytest.raises(cmr_train.TrainError, match="are not known, since it was exported without people"):
        cmr_train.evaluate(network, data)
    assert len(cmr_train.evaluate(network, data, people="other").table.subjects) == 4
    prediction = cmr_train.predict(network, data, tmp_path / "out", pictures=False)
    assert prediction.n_seen is None
    assert len(prediction.subjects) == 4


def test_a_transfer_begins_from_it(data, tmp_path):
    pretext = run_of(tmp_path / "run", data, recipe=Recipe.PRETEXT, **{name: SMALL[name] for name in ("base_channels", "levels")})
    network = cmr_train.export(pretext, tmp_path / "network")
    arguments = ("finetune", "--mode", "all", "--data", data, "--pretext", network, "--fractions", 1, 0, 0, *options(iterations=1))
    refused = train(*arguments, "--out", tmp_path / "all")
    assert refused.exit_code == 1
    assert "are not known, since it was exported without people" in " ".join(refused.stderr.split())
    assert train(*arguments, "--out", tmp_path / "all", "--people", "other", "--overwrite").exit_code == 0


@pytest.fixture
def key_file(tmp_path):
    path = tmp_path / "cohort.key"
    path.write_bytes(bytes(range(1, 33)))
    path.chmod(0o600)
    return path


def test_keyed_hashes_tell_the_owner_of_the_key_alone_whom_it_has_seen(data, key_file, tmp_path):
    run = run_of(tmp_path / "run", data)
    done = train("export", run, tmp_path / "network", "--people-key", key_file)
    assert done.exit_code == 0, done.output
    network = tmp_path / "network"
    blobs = [blob for path in files_under(network) for blob in list(contents(path))[1:]]
    secret = key_file.read_bytes()
    assert not found_in([*KEYS, str(data), data.parent.name, str(tmp_path), secret.hex()], blobs)
    assert not any(secret in blob for blob in blobs)
    stored = json.loads((network / "people.json").read_text())
    hashed = SecretKey(secret).name
    assert stored["learnt_from"]["participants"] == [hashed(KEYS[0])]
    assert [group["participants"] for group in stored["seen_by_pretext"]] == [[hashed(key)] for key in KEYS[:2]]
    assert "`people.json` has keyed hashes" in (network / "card.md").read_text()

    with pytest.raises(cmr_train.TrainError, match="keyed hashes, and no key file is given"):
        cmr_train.evaluate(network, data)
    assert len(cmr_train.evaluate(network, data, people="other").table.subjects) == 4
    evaluation = cmr_train.evaluate(network, data, people_key=key_file)
    assert {*evaluation.table.subjects} == {"SYN-0003", "SYN-0004"}
    assert evaluation.n_subjects_left_out == 2
    seen = cmr_train.predict(network, data, tmp_path / "out", pictures=False, people_key=key_file).n_seen
    assert (seen, cmr_train.predict(network, data, tmp_path / "again", pictures=False).n_seen) == (2, None)

    other = tmp_path / "other.key"
    other.write_bytes(bytes(32))
    other.chmod(0o600)
    with pytest.raises(cmr_train.TrainError, match="the key file is another one"):
        cmr_train.evaluate(network, data, people_key=other)
    with pytest.raises(cmr_train.TrainError, match="was exported with another key file"):
        cmr_train.predict(network, data, tmp_path / "third", pictures=False, people_key=other)
    assert train("export", run, network, "--overwrite").exit_code == 0
    assert not (network / "people.json").exists()
    refused = train("export", run, tmp_path / "onnx", "--to", "onnx", "--people-key", key_file)
    assert refused.exit_code == 2
    assert "has no place for people" in " ".join(refused.stderr.split())


def test_a_transfer_holds_back_nobody_whom_an_exported_pretext_has_seen(data, key_file, tmp_path):
    pretext = run_of(tmp_path / "run", data, recipe=Recipe.PRETEXT, **{name: SMALL[name] for name in ("base_channels", "levels")})
    network = cmr_train.export(pretext, tmp_path / "network", people_key=key_file)
    small = ("--mode", "all", "--data", data, "--pretext", network, *options(iterations=1))
    refused = train("finetune", *small, "--fractions", 1, 0, 0, "--out", tmp_path / "all")
    assert "keyed hashes, and no key file is given" in " ".join(refused.stderr.split())
    split = tmp_path / "split.csv"
    split.write_text("participant,set\nSYN-0001,test\nSYN-0002,train\nSYN-0003,train\n")
    with_key = ("--people-key", key_file, "--split", split, "--out", tmp_path / "all")
    refused = train("finetune", *small, *with_key)
    assert refused.exit_code == 1
    assert "trained on 1 participant of the validation or test set here" in " ".join(refused.stderr.split())
    split.write_text("participant,set\nSYN-0001,train\nSYN-0002,train\nSYN-0003,test\n")
    done = train("finetune", *small, *with_key)
    assert done.exit_code == 0, done.output
    assert {*cmr_train.evaluate(tmp_path / "all").table.subjects} == {"SYN-0003"}
    exported = cmr_train.export(tmp_path / "all", tmp_path / "next", people_key=key_file)
    stored = json.loads((exported / "people.json").read_text())
    hashed = SecretKey(key_file.read_bytes()).name
    assert stored["learnt_from"]["participants"] == sorted(hashed(key) for key in KEYS[:2])
    assert [group["participants"] for group in stored["seen_by_pretext"]] == [[hashed(KEYS[0])]]


def test_nothing_is_replaced_unasked(data, tmp_path):
    run = run_of(tmp_path / "run", data)
    shown = train("export", run, tmp_path / "network", "--json")
    assert json.loads(shown.stdout)["out"] == (tmp_path / "network").as_posix()
    refused = train("export", run, tmp_path / "network")
    assert refused.exit_code == 2
    assert "holds final.pt already" in " ".join(refused.stderr.split())
    assert train("export", run, tmp_path / "network", "--overwrite").exit_code == 0
    with pytest.raises(cmr_train.ConfigError, match=r"holds final\.pt already"):
        cmr_train.export(run, run)
