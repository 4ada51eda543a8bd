"""``cmr-planes verify``: exit codes, JSON, and one sentence for each thing that can be wrong with OUT."""

import json
from pathlib import Path

import h5py
import pytest
from click.testing import CliRunner

from cmr_planes.cli import main
from cmr_planes.errors import ExitCode
from tests.helpers.catalogues import make_catalogue


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return make_catalogue(tmp_path)


def test_a_whole_catalogue_is_said_to_be_whole(out: Path) -> None:
    result = CliRunner().invoke(main, ["verify", str(out)])
    assert (result.exit_code, result.stderr) == (ExitCode.DONE, "")
    assert result.stdout == "2 shards are as they were sealed\n"


def test_a_flipped_bit_is_found_and_named(out: Path) -> None:
    shard = out.parent / "out.shards" / "00001.h5"
    content = bytearray(shard.read_bytes())
    content[-100] ^= 4
    shard.write_bytes(content)
    result = CliRunner().invoke(main, ["verify", str(out)])
    assert result.exit_code == ExitCode.FAILED
    assert "out.shards/00001.h5" in result.stdout
    assert "checksum" in result.stdout
    assert "00000.h5" not in result.stdout


def test_json_lists_the_findings(out: Path) -> None:
    (out.parent / "out.shards" / "00000.h5").unlink()
    result = CliRunner().invoke(main, ["verify", str(out), "--json"])
    assert result.exit_code == ExitCode.FAILED
    content = json.loads(result.stdout)
    assert content["n_shards"] == 2
    assert [(finding["shard"], finding["damage"]) for finding in content["findings"]] == [("out.shards/00000.h5", "missing")]


def _text(path: Path) -> None:
    path.write_text("not HDF5")


def _foreign(path: Path) -> None:
    path.unlink()
    with h5py.File(path, "w") as file:
        file["x"] = 1


def _newer(path: Path) -> None:
    with h5py.File(path, "r+") as file:
        file.attrs["schema_version"] = 99


def _truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:900])


@pytest.mark.parametrize("command", [["verify"], ["inspect"], ["show", "-o", "pictures"]], ids=lambda words: words[0])
@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (_text, "it is not an HDF5 file"),
        (_foreign, "it was not written by cmr-planes"),
        (_newer, "has version 99 of the format"),
        (_truncated, "the file is truncated"),
    ],
    ids=["text", "foreign", "newer", "truncated"],
)
def test_what_is_not_a_catalogue_of_ours_ends_in_one_sentence(out: Path, command: list[str], spoil: object, words: str) -> None:
    spoil(out)  # type: ignore[operator]
    result = CliRunner().invoke(main, [command[0], str(out), *command[1:]])
    assert result.exit_code == ExitCode.FAILED
    assert result.stdout == ""
    assert result.stderr.startswith("Error: ")
    assert words in result.stderr
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize("command", [["verify"], ["inspect"], ["show", "-o", "pictures"]], ids=lambda words: words[0])
def test_a_path_that_is_not_there_is_a_bad_argument(tmp_path: Path, command: list[str]) -> None:
    for path in (tmp_path / "absent.h5", tmp_path):
        result = CliRunner().invoke(main, [command[0], str(path), *command[1:]])
        assert result.exit_code == ExitCode.BAD_ARGUMENTS
        assert "Traceback" not in result.stderr


def test_an_interrupt_ends_in_one_sentence(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*args: object, **kwargs: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("cmr_planes.shards.verify.file_sha256", interrupt)
    result = CliRunner().invoke(main, ["verify", str(out)])
    assert result.exit_code == ExitCode.INTERRUPTED
    assert result.stderr.startswith("interrupted; ")
    assert result.stderr.count("\n") == 1
