"""The main job as scripts call it."""

import subprocess
import sys
from pathlib import Path

import pytest

import cmr_planes
from cmr_planes.errors import ShardError
from cmr_planes.extraction import plan
from cmr_planes.system.whole_file import read_checksum
from tests.helpers.cohorts import digests, write_folders

SCRIPT = """
import sys, cmr_planes
source, out, workers = sys.argv[1:]
boxes = cmr_planes.BoxLayout(size=3, gap=8)
print(cmr_planes.extract(source, out, cmr_planes.ExtractOptions(layout=boxes, shard_size=1), workers=int(workers)).n_new_images)
"""
"""A script as people write it: the call stands at its top level."""


def test_a_script_without_a_guard_runs_on_several_workers(tmp_path):
    source, script = write_folders(tmp_path / "dicom", 3), tmp_path / "script.py"
    script.write_text(SCRIPT)
    for workers in ("1", "2"):
        command = [sys.executable, script, source, tmp_path / f"{workers}.h5", workers]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
        assert done.returncode == 0, done.stderr
        assert int(done.stdout) > 0
    assert digests(tmp_path / "1.shards") == digests(tmp_path / "2.shards")


def test_a_plan_reads_each_checksum_once(tmp_path, monkeypatch):
    source, out = write_folders(tmp_path / "dicom", 3), tmp_path / "out.h5"
    options = cmr_planes.ExtractOptions(layout=cmr_planes.BoxLayout(size=3, gap=8), shard_size=1)
    cmr_planes.extract(source, out, options)
    (tmp_path / "out.shards" / "00001.h5.sha256").unlink()
    read: list[str] = []

    def counted(path: Path) -> str | None:
        read.append(path.name)
        return read_checksum(path)

    monkeypatch.setattr(plan, "read_checksum", counted)
    found = plan.make_plan([source], out, options)
    assert sorted(read) == ["00000.h5", "00001.h5", "00002.h5"]
    assert [batch.number for batch in found.pending] == [1]


def test_an_output_that_is_not_called_h5_is_refused(tmp_path):
    source = write_folders(tmp_path / "dicom", 1)
    with pytest.raises(ShardError, match=r"'out.shards' must end in \.h5"):
        cmr_planes.extract(source, tmp_path / "out.shards")
    assert not (tmp_path / "out.shards").exists()
