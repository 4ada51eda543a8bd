"""Extraction on a Dask cluster: a real scheduler and real workers on the loopback address, some of which die."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from distributed import Client

from cmr_planes.errors import ClusterError
from cmr_planes.extraction import cluster
from cmr_planes.extraction.options import ExtractOptions
from cmr_planes.extraction.plan import make_plan, prepare
from cmr_planes.extraction.shard_building import build_shard
from cmr_planes.shards.hdf5_writing import software_versions
from cmr_planes.views import CardiacView
from tests.helpers.cohorts import SMALL_BOXES, digests, extract, run, write_folders
from tests.helpers.labels import ACDC, heart_labels, recode, save_nifti
from tests.helpers.records import make_plane

N_SUBJECTS = 6
STALLER = """
import pathlib, time, cmr_planes.extraction.shard_building
def extract_subject(subject, *arguments):
    pathlib.Path({!r}).touch()
    time.sleep(600)
cmr_planes.extraction.shard_building.extract_subject = extract_subject
"""
"""A worker's preload: it begins a batch, says so, and does not end it."""
KILLER = """
import os, cmr_planes.extraction.shard_building
def extract_subject(subject, *arguments, before=cmr_planes.extraction.shard_building.extract_subject):
    if subject.key == "SYN-0003":
        os._exit(9)
    return before(subject, *arguments)
cmr_planes.extraction.shard_building.extract_subject = extract_subject
"""
"""A worker's preload: one subject ends the process, as a lack of memory would."""


class Cluster:
    """A scheduler and its workers, each a process."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.folder = folder
        self.file = folder / "scheduler.json"
        self._stack = stack
        self.scheduler = self._start("scheduler", "--port", 0, "--no-dashboard", "--scheduler-file", self.file)
        while not self.file.exists() or not self.file.read_text().endswith("}"):
            time.sleep(0.01)
        self.address = json.loads(self.file.read_text())["address"]

    def add_worker(self, *options: object) -> subprocess.Popen[bytes]:
        local = ("--local-directory", self.folder / "dask", "--no-dashboard")
        return self._start("worker", self.address, "--nthreads", 1, "--host", "127.0.0.1", *local, *options)

    def _start(self, kind: str, *options: object) -> subprocess.Popen[bytes]:
        host = ("--host", "127.0.0.1") if kind == "scheduler" else ()
        command = [sys.executable, "-m", f"distributed.cli.dask_{kind}", *host, *map(str, options)]
        process = subprocess.Popen(
            command, cwd=self.folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        )
        self._stack.callback(process.wait)
        self._stack.callback(lambda: process.poll() is None and os.killpg(process.pid, signal.SIGKILL))
        return process


@pytest.fixture
def dask_cluster(tmp_path_factory) -> Iterator[Cluster]:
    with ExitStack() as stack:
        yield Cluster(tmp_path_factory.mktemp("cluster"), stack)


@pytest.fixture(scope="module")
def source(tmp_path_factory) -> Path:
    return write_folders(tmp_path_factory.mktemp("cohort") / "dicom", N_SUBJECTS)


@pytest.fixture(scope="module")
def reference(source, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("reference") / "out.h5"
    assert extract(source, out, "--shard-size", 1).exit_code == 0
    return out


def extract_on(dask_cluster: Cluster, source: Path, out: Path):
    return run("extract", source, out, "--shard-size", 1, *SMALL_BOXES, "--scheduler", dask_cluster.address)


def test_a_worker_that_is_killed_costs_its_batch_and_the_bytes_are_those_of_a_local_run(dask_cluster, source, reference, tmp_path):
    began = tmp_path / "began"
    preload = tmp_path / "preload.py"
    preload.write_text(STALLER.format(str(began)))
    victim = dask_cluster.add_worker("--no-nanny", "--preload", preload)
    dask_cluster.add_worker("--no-nanny")
    out = tmp_path / "out.h5"
    script = Path(sys.executable).parent / "cmr-planes"
    with Client(dask_cluster.address, set_as_default=False) as client:
        client.wait_for_workers(2, timeout=60)
    command = [script, "extract", source.name, out, "--shard-size", "1", *SMALL_BOXES, "--scheduler-file", dask_cluster.file]
    job = subprocess.Popen(command, cwd=source.parent, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    while job.poll() is None and not began.exists():
        time.sleep(0.001)
    victim.kill()
    assert job.poll() is None, job.communicate()
    _, stderr = job.communicate()
    assert job.returncode == 0, stderr
    assert stderr == ""
    assert digests(out.with_suffix(".shards")) == digests(reference.with_suffix(".shards"))
    assert out.read_bytes() == reference.read_bytes()


def test_a_subject_that_ends_every_worker_is_one_sentence_with_the_number_of_its_shard(dask_cluster, source, tmp_path):
    preload = tmp_path / "preload.py"
    preload.write_text(KILLER)
    for _ in range(4):
        dask_cluster.add_worker("--no-nanny", "--preload", preload)
    result = extract_on(dask_cluster, source, tmp_path / "out.h5")
    assert result.exit_code == 1
    assert "4 workers died one after another over shard 00002" in result.stderr
    assert [line.split(" ")[0] for line in result.stderr.splitlines() if not line.startswith("waiting for workers")] == ["Error:"]


def test_a_cluster_that_loses_all_workers_does_not_hang(dask_cluster, source, tmp_path, monkeypatch):
    monkeypatch.setattr(cluster, "NEXT_WORKER_SECONDS", 0.2)
    monkeypatch.setattr(cluster, "LOOK_SECONDS", 0.1)
    preload = tmp_path / "preload.py"
    preload.write_text(KILLER)
    dask_cluster.add_worker("--no-nanny", "--preload", preload)
    result = extract_on(dask_cluster, source, tmp_path / "out.h5")
    assert result.exit_code == 1
    assert "all workers are lost" in result.stderr
    assert "the first of them 00002" in result.stderr


def test_a_scheduler_that_is_lost_ends_the_run_in_one_sentence(dask_cluster, source, tmp_path):
    began = tmp_path / "began"
    preload = tmp_path / "preload.py"
    preload.write_text(STALLER.format(str(began)))
    dask_cluster.add_worker("--no-nanny", "--preload", preload)
    out = tmp_path / "out.h5"
    script = Path(sys.executable).parent / "cmr-planes"
    command = [script, "extract", source, out, "--shard-size", "1", *SMALL_BOXES, "--scheduler", dask_cluster.address]
    job = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    while job.poll() is None and not began.exists():
        time.sleep(0.001)
    dask_cluster.scheduler.kill()
    _, stderr = job.communicate()
    assert job.returncode == 1
    assert "the scheduler was lost" in stderr
    assert [line.split(" ")[0] for line in stderr.splitlines() if not line.startswith("waiting for workers")] == ["Error:"]


def test_a_worker_that_does_not_see_the_sources_fails_the_run_and_rejects_nobody(source, tmp_path):
    plan = make_plan([source], tmp_path / "out.h5", ExtractOptions())
    prepare(plan)
    batch = plan.pending[0]
    elsewhere = replace(batch, subjects=tuple(replace(subject, root=tmp_path / "mnt") for subject in batch.subjects))
    with pytest.raises(ClusterError, match=r"does not see '.*mnt'; sources and output must lie under the same paths"):
        cluster.build_on_worker(elsewhere, plan.out, plan.options, versions=software_versions())
    with pytest.raises(ClusterError, match=r"does not see '.*elsewhere.shards/plan.json'"):
        cluster.build_on_worker(batch, tmp_path / "elsewhere.h5", plan.options, versions=software_versions())
    assert list(tmp_path.rglob("0*")) == []


def test_a_worker_with_other_software_fails_the_run(source, tmp_path):
    plan = make_plan([source], tmp_path / "out.h5", ExtractOptions())
    prepare(plan)
    versions = {**software_versions(), "h5py": "3.99"}
    with pytest.raises(ClusterError, match=r"h5py 3\.\d+\.\d+ and this machine 3\.99"):
        cluster.build_on_worker(plan.pending[0], plan.out, plan.options, versions=versions)


def test_labels_that_a_worker_writes_are_those_of_a_local_run(tmp_path):
    planes = [make_plane(CardiacView.SAX, along_mm=9.0 * level, matrix=(72, 64), spacing_mm=2.4) for level in range(3)]
    labels = np.stack([heart_labels(plane, planes[1].centre_mm) for plane in planes])
    for stem, values in (("patient001_frame01", 100 * labels.astype(np.int16)), ("patient001_frame01_gt", recode(labels, ACDC))):
        save_nifti(tmp_path / "acdc" / "patient001" / f"{stem}.nii.gz", values, planes)
    plans = [make_plan([tmp_path / "acdc"], tmp_path / name, ExtractOptions(nifti=True)) for name in ("local.h5", "cluster.h5")]
    for plan in plans:
        prepare(plan)
    local, remote = plans
    build_shard(local.pending[0], local.out, local.options)
    cluster.build_on_worker(remote.pending[0], remote.out, remote.options, versions=software_versions())
    assert sorted(digests(tmp_path / "local.labels")) == ["00000.h5", "00000.h5.sha256"]
    for suffix in (".labels", ".shards"):
        assert digests(local.out.with_suffix(suffix)) == digests(remote.out.with_suffix(suffix))


def test_a_shard_that_a_lost_worker_had_sealed_is_not_made_again(source, tmp_path):
    plan = make_plan([source], tmp_path / "out.h5", ExtractOptions())
    prepare(plan)
    first = cluster.build_on_worker(plan.pending[0], plan.out, plan.options, versions=software_versions())
    before = (plan.shard_folder / first.name).stat()
    assert cluster.build_on_worker(plan.pending[0], plan.out, plan.options, versions=software_versions()) == first
    assert (plan.shard_folder / first.name).stat() == before


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--scheduler", "tcp://127.0.0.1:9", "--workers", "2"], "--workers is for this machine alone"),
        (["--scheduler", "tcp://127.0.0.1:9", "--scheduler-file", __file__], "give one of them"),
        (["--scheduler", "localhost"], "takes an address with a port, tcp://HOST:8786, and got 'localhost'"),
    ],
    ids=["workers", "both", "no port"],
)
def test_options_that_contradict_each_other_are_bad_arguments(source, tmp_path, options, words):
    result = run("extract", source, tmp_path / "out.h5", *options)
    assert result.exit_code == 2
    assert words in result.stderr


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:9", "nonsense:9"])
def test_a_scheduler_that_does_not_answer_is_one_sentence(source, tmp_path, monkeypatch, address):
    monkeypatch.setattr("cmr_planes.system.dask_client.CONNECT_SECONDS", 0.5)
    result = run("extract", source, tmp_path / "out.h5", "--scheduler", address)
    assert result.exit_code == 1
    assert f"no Dask scheduler answers at '{address}'" in result.stderr
    assert [line.split(" ")[0] for line in result.stderr.splitlines() if not line.startswith("waiting for workers")] == ["Error:"]


@pytest.mark.parametrize("content", ["", "{}", "[]"])
def test_a_file_without_an_address_is_one_sentence(source, tmp_path, content):
    file = tmp_path / "scheduler.json"
    file.write_text(content)
    result = run("extract", source, tmp_path / "out.h5", "--scheduler-file", file)
    assert result.exit_code == 1
    assert "scheduler.json holds no scheduler's address" in result.stderr


def test_a_cluster_without_workers_is_one_sentence(dask_cluster, source, tmp_path, monkeypatch):
    monkeypatch.setattr(cluster, "FIRST_WORKER_SECONDS", 0.2)
    result = extract_on(dask_cluster, source, tmp_path / "out.h5")
    assert result.exit_code == 1
    waiting, ended = result.stderr.splitlines()
    assert waiting.startswith("waiting for workers (none yet")
    assert "the scheduler has no workers" in ended


def test_without_the_extra_the_sentence_says_what_to_install(source, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    result = run("extract", source, tmp_path / "out.h5", "--scheduler", "tcp://127.0.0.1:9")
    assert result.exit_code == 1
    assert "pip install 'cmr-planes[cluster]'" in result.stderr
