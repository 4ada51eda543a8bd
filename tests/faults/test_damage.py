"""Shards and label files that rot: found by ``verify``, set aside, and made again by the next run with the same bytes."""

import json
import shutil
from pathlib import Path

import pytest

from cmr_planes.errors import ExitCode
from tests.helpers.cohorts import extract, run, write_folders, write_label_maps

N_SUBJECTS = 3
PER_SHARD = ("--shard-size", 1, "--classes", "acdc")


@pytest.fixture(scope="module")
def source(tmp_path_factory) -> Path:
    return write_folders(tmp_path_factory.mktemp("cohort") / "dicom", N_SUBJECTS)


@pytest.fixture(scope="module")
def maps(tmp_path_factory) -> Path:
    return write_label_maps(tmp_path_factory.mktemp("labels") / "maps", N_SUBJECTS)


@pytest.fixture(scope="module")
def annotated(source, maps, tmp_path_factory) -> Path:
    """A catalogue whose labels came later."""
    out = tmp_path_factory.mktemp("annotated") / "out.h5"
    assert extract(source, out, "--shard-size", 1).exit_code == 0
    assert run("annotate", out, maps, "--classes", "acdc").exit_code == 0
    return out


@pytest.fixture(scope="module")
def at_once(source, maps, tmp_path_factory) -> Path:
    """A catalogue whose labels came with its images."""
    out = tmp_path_factory.mktemp("at_once") / "out.h5"
    assert extract(source, out, *PER_SHARD, "--annotations", maps).exit_code == 0
    return out


def tree(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def flip_bit(path: Path) -> bytes:
    """Flip one bit; return what is now in the file."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 16
    path.write_bytes(content)
    return bytes(content)


def truncate(path: Path) -> bytes:
    path.write_bytes(path.read_bytes()[:-100])
    return path.read_bytes()


def vanish(path: Path) -> None:
    path.unlink()


@pytest.mark.parametrize("damage", [flip_bit, truncate, vanish])
def test_a_damaged_shard_is_found_set_aside_and_made_anew(source, annotated, tmp_path, damage):
    shutil.copytree(annotated.parent, tmp_path, dirs_exist_ok=True)
    out, whole = tmp_path / "out.h5", tree(tmp_path)
    rest = damage(tmp_path / "out.shards" / "00001.h5")
    before = tree(tmp_path)
    found = run("verify", out)
    assert found.exit_code == ExitCode.FAILED
    assert "out.shards/00001.h5" in found.stdout
    assert f"this command sets them aside: cmr-planes verify {out} --set-aside; running the same 'extract' again" in found.stdout
    assert tree(tmp_path) == before

    aside = run("verify", out, "--set-aside")
    assert aside.exit_code == ExitCode.FAILED
    assert aside.stdout.endswith("1 file set aside; running the same 'extract' again rebuilds them\n")
    left = tmp_path / "out.shards" / "00001.h5.damaged"
    assert rest == (left.read_bytes() if left.exists() else None)
    assert not (tmp_path / "out.shards" / "00001.h5.sha256").exists()

    assert extract(source, out, "--shard-size", 1).exit_code == 0
    assert run("verify", out).exit_code == ExitCode.DONE
    left.unlink(missing_ok=True)
    assert tree(tmp_path) == whole


@pytest.mark.parametrize("damage", [flip_bit, truncate, vanish])
def test_a_damaged_label_file_is_made_anew_by_annotate(maps, annotated, tmp_path, damage):
    shutil.copytree(annotated.parent, tmp_path, dirs_exist_ok=True)
    out, whole = tmp_path / "out.h5", tree(tmp_path)
    damage(tmp_path / "out.labels" / "00002.h5")
    aside = run("verify", out, "--set-aside")
    assert aside.exit_code == ExitCode.FAILED
    assert "running the same 'annotate' again rebuilds them" in aside.stdout
    assert run("annotate", out, maps, "--classes", "acdc").exit_code == 0
    (tmp_path / "out.labels" / "00002.h5.damaged").unlink(missing_ok=True)
    assert tree(tmp_path) == whole


@pytest.mark.parametrize("damage", [flip_bit, truncate, vanish])
def test_labels_that_came_with_their_images_are_made_anew_by_extract(source, maps, at_once, tmp_path, damage):
    shutil.copytree(at_once.parent, tmp_path, dirs_exist_ok=True)
    out, whole = tmp_path / "out.h5", tree(tmp_path)
    damage(tmp_path / "out.labels" / "00000.h5")
    aside = run("verify", out, "--set-aside", "--json")
    assert aside.exit_code == ExitCode.FAILED
    assert json.loads(aside.stdout)["set_aside"] == ["out.labels/00000.h5"]
    assert extract(source, out, *PER_SHARD, "--annotations", maps).exit_code == 0
    (tmp_path / "out.labels" / "00000.h5.damaged").unlink(missing_ok=True)
    assert tree(tmp_path) == whole


def test_a_broken_checksum_file_costs_its_shard_and_nothing_else(source, annotated, tmp_path):
    shutil.copytree(annotated.parent, tmp_path, dirs_exist_ok=True)
    whole = tree(tmp_path)
    (tmp_path / "out.shards" / "00000.h5.sha256").write_text("rotten")
    assert extract(source, tmp_path / "out.h5", "--shard-size", 1).exit_code == 0
    assert tree(tmp_path) == whole


def test_overwriting_removes_what_was_set_aside(source, annotated, tmp_path):
    shutil.copytree(annotated.parent, tmp_path, dirs_exist_ok=True)
    flip_bit(tmp_path / "out.shards" / "00001.h5")
    assert run("verify", tmp_path / "out.h5", "--set-aside").exit_code == ExitCode.FAILED
    assert extract(source, tmp_path / "out.h5", "--overwrite").exit_code == 0
    assert not list(tmp_path.rglob("*.damaged"))


def test_a_whole_catalogue_has_nothing_to_set_aside(annotated):
    before = tree(annotated.parent)
    result = run("verify", annotated, "--set-aside")
    assert (result.exit_code, result.stdout) == (ExitCode.DONE, "3 shards and 3 label files are as they were sealed\n")
    assert tree(annotated.parent) == before
