"""The command line of ``extract``: arguments, exit codes, what goes where."""

import json
import os
import re

import h5py
import pytest

from tests.helpers.cohorts import extract, run, write_folders


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return write_folders(tmp_path_factory.mktemp("cohort") / "dicom", 1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--views", "sax,5ch"], "'5ch' is not one of sax, 2ch, 4ch"),
        (["--views", "3ch"], "3ch has no positions; give one of sax, 2ch, 4ch too"),
        (["--box", 10], "odd whole size"),
        (["--box", 0], "must be positive"),
        (["--box", 11, "--gap", 12], "the gap must be at least 15.6"),
        (["--phases", "ed"], "'ed' is not one of"),
        (["--shard-size", 0], "must be 1 or more, got 0"),
        (["--workers", 0], "must be 1 or more, got 0"),
        (["--min-agreement", 2], "must be -1 to 1, got 2"),
        (["--units", "inches"], "'inches' is not one of"),
    ],
)
def test_arguments_that_cannot_be_carried_out_exit_with_2_and_write_nothing(source, tmp_path, options, message):
    result = run("extract", source, tmp_path / "out.h5", *options)
    assert result.exit_code == 2
    assert message in " ".join(result.stderr.split())
    assert list(tmp_path.iterdir()) == []


def test_out_must_be_named_h5(source, tmp_path):
    result = extract(source, tmp_path / "out.hdf")
    assert result.exit_code == 2
    assert "must end in .h5" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["studies"], "Missing OUT.h5: cmr-planes extract studies out.h5"),
        (["out.h5"], "Missing SOURCE: cmr-planes extract studies out.h5"),
        (["out.h5", "studies"], "'out.h5' is no source; OUT.h5, the catalogue to write, comes last"),
        (["studies", "studies"], "'studies' is a folder; OUT.h5, the catalogue to write, comes last"),
        (["studies", "out.h5", "--views", "sax", "2ch"], "values of one option have commas: --views sax,2ch"),
    ],
)
def test_arguments_that_are_missing_or_in_another_order_are_put_right(tmp_path, monkeypatch, arguments, sentence):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "studies").mkdir()
    result = run("extract", *arguments)
    assert result.exit_code == 2
    assert sentence in " ".join(result.stderr.split())


def test_a_tilde_is_the_users_home(source, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(source.parent))
    assert run("extract", f"~/{source.name}", tmp_path / "out.h5", "--dry-run").exit_code == 0


@pytest.mark.parametrize("command", ["inspect", "verify"])
def test_where_a_catalogue_is_wanted_the_error_says_how_to_make_one(tmp_path, command):
    (tmp_path / "my studies").mkdir()
    folder = run(command, tmp_path / "my studies")
    assert f"cmr-planes extract '{tmp_path / 'my studies'}' out.h5" in " ".join(folder.stderr.split())
    assert "'cmr-planes extract SOURCE o.h5' makes one" in " ".join(run(command, tmp_path / "o.h5").stderr.split())


def test_a_run_says_what_it_did_and_what_the_catalogue_is_good_for(source, tmp_path):
    first = run("extract", source, tmp_path / "my out.h5").stdout
    assert re.search(r"^\d+ images made in", first, re.MULTILINE)
    assert f"Look at it: cmr-planes show '{tmp_path / 'my out.h5'}' -o pictures" in first
    assert "Nothing to do: 1 subject there already" in run("extract", source, tmp_path / "my out.h5").stdout


def test_a_source_that_does_not_exist_exits_with_2(tmp_path):
    result = extract(tmp_path / "nowhere", tmp_path / "out.h5")
    assert result.exit_code == 2
    assert "does not exist" in result.stderr


def test_an_empty_source_exits_with_3(tmp_path):
    (tmp_path / "empty").mkdir()
    result = extract(tmp_path / "empty", tmp_path / "out.h5")
    assert result.exit_code == 3
    assert result.stderr.startswith("Error: ")
    assert not (tmp_path / "out.h5").exists()


def test_strict_exits_with_1_where_anything_was_left_out(tmp_path):
    source = write_folders(tmp_path / "dicom", 2)
    for path in (source / "SYN-0002").iterdir():
        path.write_bytes(path.read_bytes()[:1000])
    assert extract(source, tmp_path / "plain.h5").exit_code == 0
    assert extract(source, tmp_path / "strict.h5", "--strict").exit_code == 1


def test_an_output_folder_that_cannot_be_made_is_one_sentence(source, tmp_path):
    (tmp_path / "file").write_text("not a folder")
    result = extract(source, tmp_path / "file" / "out.h5")
    assert result.exit_code == 1
    assert "file exists; check the path" in result.stderr


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_an_output_folder_without_permission_is_one_sentence(source, tmp_path):
    tmp_path.chmod(0o500)
    result = extract(source, tmp_path / "out.h5")
    assert result.exit_code == 1
    assert "permissions" in result.stderr


def test_a_table_of_names_is_read_and_its_faults_are_told(tmp_path):
    source = write_folders(tmp_path / "dicom", 1, descriptions={"4ch": "Uebersicht"})
    table = tmp_path / "names.toml"
    table.write_text('[exclude]\nlocaliser = ["uebersicht"]\n')
    assert extract(source, tmp_path / "out.h5", "--names", table).exit_code == 3
    table.write_text('[exclude]\nlocaliser = ["("]\n')
    broken = extract(source, tmp_path / "other.h5", "--names", table)
    assert broken.exit_code == 2
    assert "is not a table of names" in broken.stderr


def test_results_go_to_stdout_and_nothing_else_does(source, tmp_path):
    result = extract(source, tmp_path / "out.h5")
    assert result.stderr == ""
    assert "with positions" in result.stdout
    assert "Look at it: cmr-planes show" in result.stdout


def test_values_are_taken_in_any_case(source, tmp_path):
    arguments = ("--views", "SAX,4Ch", "--phases", "ED,ES", "--units", "MM", "--codec", "GZIP", "--box", 20, "--gap", 60)
    result = run("extract", source, tmp_path / "out.h5", *arguments, "--workers", 1)
    assert (result.exit_code, result.stderr) == (0, "")
    with h5py.File(tmp_path / "out.h5") as file:
        configuration = json.loads(file.attrs["configuration"])
    assert (configuration["views"], configuration["phases"], configuration["codec"]) == (["sax", "4ch"], "ed,es", "gzip")
