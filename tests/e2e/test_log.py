"""``--log``, ``-v`` and ``-q``: what happened to that and when, said once, without keys unless they are asked for."""

import json
import os
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from cmr_planes.shards.catalogue import Catalogue
from tests.helpers.cohorts import SMALL_BOXES, digests, extract, run, write_folders


@pytest.fixture(scope="module")
def source(tmp_path_factory) -> Path:
    """Four subjects; the second lacks frames, the third is no DICOM."""
    folder = write_folders(tmp_path_factory.mktemp("cohort") / "dicom", 4)
    for path in sorted((folder / "SYN-0002").iterdir())[:20]:
        path.unlink()
    for path in (folder / "SYN-0003").iterdir():
        path.write_bytes(b"nothing")
    return folder


def command(source: Path, out: Path, *options: object) -> list[str]:
    script = Path(sys.executable).parent / "cmr-planes"
    return [str(script), "extract", str(source), str(out), "--shard-size", "1", *SMALL_BOXES, *map(str, options)]


def lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.mark.parametrize("workers", [1, 2])
def test_every_subject_has_its_lines_and_the_shards_know_no_clock(source, tmp_path, workers):
    out, log = tmp_path / "out.h5", tmp_path / "out.log"
    begin = datetime.now(UTC) - timedelta(seconds=1)
    subprocess.run(command(source, out, "--workers", workers, "--log", log), check=True, capture_output=True)
    written = lines(log)
    assert all(begin <= datetime.fromisoformat(line["time"]) <= datetime.now(UTC) for line in written)
    assert [line["stage"] for line in written if line["stage"] != "extract"] == ["plan", *["seal"] * 4, "catalogue"]
    ends = {line["subject_number"]: line for line in written if line["code"] in ("done", "left_out") and line["stage"] == "extract"}
    assert [ends[number]["code"] for number in (1, 2, 3, 4)] == ["done", "done", "left_out", "done"]
    assert all(line["seconds"] >= 0 for line in ends.values())
    assert "SYN-" not in log.read_text()
    with Catalogue(out) as catalogue:
        place = {key: number for number, key in enumerate(catalogue.subjects().key, start=1)}
        assert [ends[number]["n_images"] for number in place.values()] == catalogue.subjects().n_images.tolist()
        messages = [*catalogue.rejections(), *catalogue.notes()]
    expected = sorted((place[each.subject], each.view, each.code.value, each.sentence) for each in messages)
    found = sorted((line["subject_number"], line["view"], line["code"], line["sentence"]) for line in written if "sentence" in line)
    assert found == expected
    plain = tmp_path / "plain.h5"
    assert extract(source, plain, "--shard-size", 1).exit_code == 0
    assert digests(tmp_path / "out.shards") == digests(tmp_path / "plain.shards")


def test_keys_come_with_v(source, tmp_path):
    result = extract(source, tmp_path / "out.h5", "--log", tmp_path / "out.log", "-v")
    assert "SYN-0003: unreadable_source: " in " ".join(result.stderr.split())
    assert "missing_frames" not in result.stderr
    named = {line["subject_number"]: line["subject"] for line in lines(tmp_path / "out.log") if "subject" in line}
    assert named == {number: f"SYN-{number:04d}" for number in (1, 2, 3, 4)}
    notes = extract(source, tmp_path / "out.h5", "--overwrite", "-vv").stderr
    assert "SYN-0002 SAX: missing_frames" in " ".join(notes.split())


def test_quiet_leaves_results_alone(source, tmp_path):
    result = extract(source, tmp_path / "out.h5", "-q")
    assert result.stderr == ""
    assert "4 subjects with" in result.stdout or "3 subjects with" in result.stdout
    assert "Look at it" not in result.stdout
    missing = extract(tmp_path / "dicom-that-is-not-there", tmp_path / "out.h5", "-q")
    assert missing.exit_code == 2
    assert missing.stderr != ""


@pytest.mark.posix
@pytest.mark.parametrize("workers", [1, 2])
def test_a_killed_run_leaves_whole_lines_and_the_next_goes_on(source, tmp_path, workers):
    out, log = tmp_path / "out.h5", tmp_path / "out.log"
    process = subprocess.Popen(
        command(source, out, "--workers", workers, "--log", log),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    while process.poll() is None and (not log.exists() or log.read_text().count("seal") < 1):
        time.sleep(0.001)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    before = log.read_text()
    with log.open("a") as stream:
        stream.write('{"time": "20')  # half a line
    subprocess.run(command(source, out, "--workers", workers, "--log", log), check=True, capture_output=True)
    assert log.read_text().startswith(before)
    whole = [json.loads(line) for line in log.read_text().splitlines() if line != '{"time": "20']
    done = {line["subject_number"] for line in whole if line["stage"] == "extract" and line["code"] in ("done", "left_out")}
    sealed_unsaid = 4 - len(done)
    assert sealed_unsaid <= workers, "a shard that was sealed in the moment of the kill may be missing, no other"
    assert whole[-1]["stage"] == "catalogue"


def test_a_failure_is_the_last_line(source, tmp_path, monkeypatch):
    out, log = tmp_path / "out.h5", tmp_path / "out.log"

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("cmr_planes.extraction.job.finish", interrupted)
    assert extract(source, out, "--log", log).exit_code == 130
    assert lines(log)[-1]["stage"] == "run"
    assert lines(log)[-1]["code"] == "interrupted"


def test_a_file_that_is_no_log_is_left_alone(source, tmp_path):
    assert extract(source, tmp_path / "out.h5").exit_code == 0
    before = (tmp_path / "out.h5").read_bytes()
    result = extract(source, tmp_path / "out.h5", "--log", tmp_path / "out.h5")
    assert result.exit_code == 1
    assert "exists and is no log of cmr-planes" in " ".join(result.stderr.split())
    assert (tmp_path / "out.h5").read_bytes() == before
    nowhere = extract(source, tmp_path / "out.h5", "--log", tmp_path / "no" / "such.log")
    assert nowhere.exit_code == 1
    assert "no such file or directory" in nowhere.stderr


def test_annotate_writes_what_could_not_be_used(source, tmp_path):
    assert extract(source, tmp_path / "out.h5").exit_code == 0
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels" / "SYN-0001.cvi42wsx").write_bytes(b"<broken")
    assert run("annotate", tmp_path / "out.h5", tmp_path / "labels", "--log", tmp_path / "labels.log").exit_code == 3
    first, last = lines(tmp_path / "labels.log")
    assert (first["stage"], first["code"], first["subject_number"]) == ("annotate", "unusable_labels", 1)
    assert (last["code"], last["n_files"], last["n_images"]) == ("done", 1, 0)
