"""What a training leaves where it cannot begin, and what it says."""

import pytest
from click.testing import CliRunner

import cmr_train
from cmr_planes.errors import ExitCode, ShardError
from cmr_train.cli import main
from cmr_train.errors import ConfigError


def test_a_catalogue_that_is_missing_leaves_no_folder(tmp_path):
    with pytest.raises(ConfigError, match="data must be the file that 'cmr-planes extract' wrote"):
        cmr_train.pretext(tmp_path / "out.h5", tmp_path / "runs" / "pretext", preset="quick")
    assert [*tmp_path.iterdir()] == []


def test_a_catalogue_that_is_none_leaves_no_folder(tmp_path):
    (tmp_path / "out.h5").write_text("a table")
    with pytest.raises(ShardError, match="it is not an HDF5 file"):
        cmr_train.pretext(tmp_path / "out.h5", tmp_path / "runs" / "pretext", preset="quick")
    assert [path.name for path in tmp_path.iterdir()] == ["out.h5"]


@pytest.mark.parametrize("command", [["pretext"], ["finetune", "--mode", "scratch"]], ids=["pretext", "finetune"])
def test_the_option_of_a_catalogue_that_is_missing_is_named(tmp_path, monkeypatch, command):
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(main, [*command, "--preset", "quick"])
    assert result.exit_code == ExitCode.BAD_ARGUMENTS
    assert result.output == "Error: --data must be the file that 'cmr-planes extract' wrote, and 'out.h5' does not exist\n"
    assert [*tmp_path.iterdir()] == []
