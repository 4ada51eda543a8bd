"""The jobs of the pages on UK Biobank, with stand-ins for Slurm and for the platform; and nnU-Net's page, without nnU-Net."""

import importlib.util
import re
import runpy
import shlex
import shutil
import subprocess
import sys
import types
from itertools import pairwise
from pathlib import Path

import pytest
from distributed import LocalCluster
from distributed.cli.dask_worker import main as dask_worker

from cmr_planes import Catalogue
from tests.helpers.batch_systems import install
from tests.helpers.cohorts import run as run_planes
from tests.helpers.cohorts import small_study, write_biobank_zips
from tests.helpers.nnunet_stand_in import plan_and_preprocess, train_from
from tests.helpers.pages_of_docs import blocks
from tests.helpers.training import train

ROOT = Path(__file__).parents[2]
PAGE = "tutorials/uk_biobank.md"
EIDS = (9_000_001, 9_000_002)


def zips(folder: Path, *, long_axis: str, short_axis: str, eids: tuple[int, ...]) -> None:
    """Write each participant's two zips into two folders."""
    for eid in eids:
        paths = write_biobank_zips(folder / "zips", small_study(f"SYN-{eid}"), eid)
        for path in paths:
            target = folder / (long_axis if "_20208_" in path.name else short_axis)
            target.mkdir(parents=True, exist_ok=True)
            path.rename(target / path.name)


def subjects_of(path: Path) -> list[str]:
    with Catalogue(path) as catalogue:
        return [*catalogue.subjects().key]


def type_block(block: str, folder: Path, environment: dict[str, str]) -> str:
    """Type a block in a shell; return what it printed."""
    done = subprocess.run(
        ["bash", "-euc", block],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.mark.posix
def test_the_job_of_one_node(tmp_path):
    zips(tmp_path, long_axis="data/20208", short_axis="data/20209", eids=EIDS[:1])
    script, submit = [block for block in blocks(PAGE, "bash") if "sbatch" in block.lower()]
    (cpus,) = re.findall(r"--cpus-per-task=(\d+)", script)
    assert f"--workers {cpus}\n" in script
    (tmp_path / "extract.sbatch").write_text(
        script.replace("/data/", f"{tmp_path}/data/").replace(f"--workers {cpus}", "--workers 1")
    )
    assert type_block(submit, tmp_path, install(tmp_path / "bin")) == "Submitted batch job 1\n"
    assert subjects_of(tmp_path / "out.h5") == ["9000001_2"]
    assert "1 subject with" in (tmp_path / "slurm-1.out").read_text()


@pytest.mark.posix
@pytest.mark.parametrize(
    ("before", "after", "sentence"),
    [
        ("#!/bin/bash\n", "", "does not look like a batch script"),
        ("--mem=32G", "--memory=32G", "unrecognized option or value '--memory=32G'"),
        ("--time=12:00:00", "--time=noon", "unrecognized option or value '--time=noon'"),
        ("#SBATCH", "true\n#SBATCH", "after the first command"),
    ],
)
def test_a_job_that_slurm_would_refuse_is_refused(tmp_path, before, after, sentence):
    script = next(block for block in blocks(PAGE, "bash") if "#SBATCH" in block)
    (tmp_path / "extract.sbatch").write_text(script.replace(before, after, 1))
    done = subprocess.run(
        ["sbatch", "extract.sbatch"], cwd=tmp_path, env=install(tmp_path / "bin"), capture_output=True, check=False
    )
    assert done.returncode == 1
    assert sentence in done.stderr.decode()
    assert not (tmp_path / "slurm-1.out").exists()


@pytest.mark.posix
def test_the_array_has_one_catalogue_per_folder(tmp_path):
    """Its first and last task, with a command that says what it is given."""
    (script,) = [block for block in blocks("cluster.md") if "--array" in block]
    (first, last), (cpus,) = re.findall(r"--array=(\d+)-(\d+)", script)[0], re.findall(r"--cpus-per-task=(\d+)", script)
    (tmp_path / "array.sbatch").write_text(script)
    environment = install(tmp_path / "bin")
    (tmp_path / "bin/cmr-planes").write_text('#!/bin/sh\nprintf "%s|" "$@" "$SLURM_CPUS_PER_TASK"\n')
    type_block("sbatch array.sbatch", tmp_path, environment)
    for task in (first, last):
        said = (tmp_path / f"slurm-1_{task}.out").read_text()
        assert said == f"extract|/data/Long axis/{task}|/data/Short axis/{task}|out-{task}.h5|{cpus}|"


class SLURMCluster(LocalCluster):
    """dask_jobqueue's class on this machine: it takes the same arguments, and its jobs are one worker in this process."""

    made: "SLURMCluster"
    n_jobs: tuple[int, int]

    def __init__(
        self, *, queue, account, cores, processes, memory, walltime, worker_extra_args, local_directory, log_directory
    ) -> None:
        assert queue is None
        assert account is None
        assert cores == processes  # one thread per worker
        assert re.fullmatch(r"\d+GB", memory)
        assert re.fullmatch(r"\d{2}:\d{2}:\d{2}", walltime)
        options = {option for parameter in dask_worker.params for option in parameter.opts}
        assert {word for word in worker_extra_args if word.startswith("--")} <= options
        lifetime = worker_extra_args[worker_extra_args.index("--lifetime") + 1]
        assert int(lifetime.removesuffix("h")) < int(walltime[:2])
        assert Path(local_directory).is_dir()
        assert not Path(log_directory).is_absolute()
        type(self).made = self
        super().__init__(
            n_workers=1, threads_per_worker=1, processes=False, dashboard_address=None, protocol="tcp", host="127.0.0.1"
        )

    def adapt(self, *, minimum_jobs: int, maximum_jobs: int) -> None:
        self.n_jobs = minimum_jobs, maximum_jobs


@pytest.mark.posix
def test_the_workers_of_several_nodes(tmp_path, monkeypatch):
    zips(tmp_path, long_axis="data/20208", short_axis="data/20209", eids=EIDS[:1])
    (line,) = [block.strip() for block in blocks(PAGE, "bash") if "slurm_extract.py" in block]
    program, script, *words = shlex.split(line.replace("/data/", f"{tmp_path}/data/"))
    assert program == "python"
    jobqueue = types.ModuleType("dask_jobqueue")
    jobqueue.SLURMCluster = SLURMCluster
    monkeypatch.setitem(sys.modules, "dask_jobqueue", jobqueue)
    monkeypatch.setattr(sys, "argv", [script, *words])
    for name, value in install(tmp_path / "bin").items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(ROOT / "examples" / script), run_name="__main__")
    assert ended.value.code == 0
    assert SLURMCluster.made.n_jobs == (1, 4)
    assert subjects_of(tmp_path / "out.h5") == ["9000001_2"]


@pytest.mark.posix
def test_the_jobs_of_the_research_analysis_platform(tmp_path):
    project = tmp_path / "project"
    heart = "Bulk/Heart MRI"
    zips(project, long_axis=f"{heart}/Long axis/90", short_axis=f"{heart}/Short axis/90", eids=EIDS[:1])
    shutil.copy(ROOT / "examples/rap_extract.sh", tmp_path)
    begin, resume = [block for block in blocks(PAGE, "bash") if "dx run" in block]
    (wheel,) = set(re.findall(r"[\w.-]+\.whl", begin))
    (tmp_path / wheel).touch()
    environment = install(tmp_path / "bin", project)
    type_block(begin, tmp_path, environment)
    first = project / "derived/cmr-1"
    assert sorted(path.name for path in first.iterdir()) == ["out.h5", "out.shards"]
    assert subjects_of(first / "out.h5") == ["9000001_2"]
    assert (tmp_path / "job-derived-cmr-1/home/cmr/bin/installed.txt").read_text() == f"./{wheel}"
    zips(project, long_axis=f"{heart}/Long axis/91", short_axis=f"{heart}/Short axis/91", eids=EIDS[1:])
    type_block(resume, tmp_path, environment)
    second = project / "derived/cmr-2"
    assert subjects_of(second / "out.h5") == ["9000001_2", "9000002_2"]
    assert (second / "out.shards/00000.h5").read_bytes() == (first / "out.shards/00000.h5").read_bytes()


@pytest.mark.posix
def test_a_job_on_the_platform_that_stops_keeps_its_shards_and_says_so(tmp_path):
    """A job that failed would keep nothing. The extraction here leaves what a killed one does."""
    (tmp_path / "project").mkdir()
    shutil.copy(ROOT / "examples/rap_extract.sh", tmp_path)
    begin = next(block for block in blocks(PAGE, "bash") if "dx upload" in block)
    for wheel in re.findall(r"[\w.-]+\.whl", begin):
        (tmp_path / wheel).touch()
    environment = install(tmp_path / "bin", tmp_path / "project")
    left = "out.shards/00000.h5 out.shards/00000.h5.sha256 out.shards/00001.h5.part"
    (tmp_path / "bin/cmr-planes").write_text(f"#!/bin/sh\nmkdir out.shards && touch {left}\nexit 1\n")
    type_block(begin, tmp_path, environment)
    kept = tmp_path / "project/derived/cmr-1"
    assert sorted(path.name for path in kept.rglob("*.*")) == ["00000.h5", "00000.h5.sha256", "UNFINISHED.txt", "out.shards"]
    assert "Resume from this folder" in (kept / "UNFINISHED.txt").read_text()


def type_shell(program: str, words: list[str], environment: dict[str, str]) -> None:
    """Do what a shell does with ``export``, ``mkdir -p`` and ``cp``."""
    match program, words:
        case "export", _:
            environment.update(word.split("=", 1) for word in words)
        case "mkdir", ["-p", *folders]:
            for folder in folders:
                Path(folder).mkdir(parents=True)
        case "cp", [source, target]:
            shutil.copy(source, target)
        case _:
            pytest.fail(f"a line that this test does not know: {program} {words}")


def type_train(words: list[str], *, has_networks: bool) -> None:
    """Type a command of ``cmr-train``; without nnU-Net's networks the pretext says what to install."""
    short = ["--iterations", "2", "--batch-size", "2", "--threads", "1", "--device", "cpu"]
    done = train(*words, *(short if words[0] == "pretext" else []))
    if has_networks:
        assert done.exit_code == 0, done.output
    elif words[0] == "pretext":
        assert done.exit_code == 1
        assert "nnunet]" in done.output


def test_nnunets_page(tmp_path, monkeypatch):
    """All lines; nnU-Net's own are checked for what they are given, and its network is trained where its library is installed."""
    monkeypatch.chdir(tmp_path)
    (block,) = [block for block in blocks("nnunet.md") if "nnUNetv2_train" in block]
    has_networks = importlib.util.find_spec("dynamic_network_architectures") is not None
    environment: dict[str, str] = {}
    for line in filter(None, block.splitlines()):
        program, *words = shlex.split(line.replace("$PWD", str(tmp_path)))
        match program:
            case "cmr-planes":
                words = [
                    "4" if word == "12" else "8" if (before, word) == ("--frames", "10") else word
                    for before, word in pairwise(["", *words])
                ]
                done = run_planes(*words, *(["--workers", "1"] if words[0] in {"phantom", "extract"} else []))
                assert done.exit_code == 0, done.output
            case "cmr-train":
                type_train(words, has_networks=has_networks)
            case "nnUNetv2_plan_and_preprocess":
                plan_and_preprocess(words, environment)
            case "nnUNetv2_train":
                train_from(words, environment, has_weights=has_networks)
            case _:
                type_shell(program, words, environment)
    assert program == "nnUNetv2_train"
