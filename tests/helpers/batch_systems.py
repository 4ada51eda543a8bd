"""Stand-ins for the programs of clusters and of UK Biobank's platform: they check what the real ones ask for, and run the job here.

``python -m tests.helpers.batch_systems PROGRAM …`` is one of them; :func:`install` puts all of them into a folder for PATH.
"""

import itertools
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).parents[2]
HERE, PROJECT = "BATCH_SYSTEMS_BIN", "BATCH_SYSTEMS_PROJECT"
"""Names of what the programs are given: their own folder, and the folder that stands for the platform's project."""
SBATCH_OPTIONS = {
    "nodes": r"\d+",
    "cpus-per-task": r"\d+",
    "mem": r"\d+[KMGT]",
    "time": r"(?:\d+-)?\d{2}:\d{2}:\d{2}",
    "array": r"\d+-\d+",
}
"""Options of sbatch that the pages use, and the form of their values."""


def install(folder: Path, project: Path | None = None) -> dict[str, str]:
    """Write the programs and ``cmr-planes`` into a folder; return the environment in which a shell finds them first."""
    folder.mkdir()
    for name in PROGRAMS:
        _script(folder / name, f'exec "{sys.executable}" -m {__spec__.name} {name} "$@"')
    _script(folder / "cmr-planes", f'exec "{sys.executable}" -m cmr_planes "$@"')
    return {
        **os.environ,
        "PATH": f"{folder}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "OMP_NUM_THREADS": "1",
        HERE: str(folder),
        PROJECT: str(project or folder),
    }


def sbatch(words: Sequence[str]) -> int:
    """Run a batch script: an array's first and last task, else the one job; its output goes to ``slurm-….out``."""
    (path,) = words
    text = Path(path).read_text(encoding="utf-8")
    lines = text.splitlines()
    if not lines[0].startswith("#!"):
        return _refuse("This does not look like a batch script: the first line must start with #!")
    head = next((number for number, line in enumerate(lines) if line.strip() and not line.startswith("#")), len(lines))
    if any(line.startswith("#SBATCH") for line in lines[head:]):
        return _refuse("an #SBATCH line after the first command: sbatch would not read it")
    options = dict(
        word.removeprefix("--").split("=", 1)
        for line in lines[:head]
        if line.startswith("#SBATCH")
        for word in shlex.split(line)[1:]
    )
    for name, value in options.items():
        if not re.fullmatch(SBATCH_OPTIONS.get(name, r"(?!)"), value):
            return _refuse(f"unrecognized option or value '--{name}={value}'")
    tasks: list[str] = options.get("array", "").split("-")
    for task in tasks:
        job = {"SLURM_JOB_ID": "1", "SLURM_CPUS_PER_TASK": options.get("cpus-per-task", "1")}
        job |= {"SLURM_ARRAY_TASK_ID": task} if task else {}
        with Path(f"slurm-1{f'_{task}' if task else ''}.out").open("w", encoding="utf-8") as log:
            code = subprocess.run(["bash", path], env=os.environ | job, stdout=log, stderr=log, check=False).returncode
        if code:
            return code
    sys.stdout.write("Submitted batch job 1\n")
    return 0


def dx(words: Sequence[str]) -> int:
    """Upload a file to the project, or run swiss-army-knife: a job whose new files go to its destination if it succeeds."""
    project = Path(os.environ[PROJECT])
    if words[0] == "upload":
        *sources, option, folder = words[1:]
        if option != "--path" or not folder.startswith("/") or not folder.endswith("/"):
            return _refuse("upload needs --path /FOLDER/")
        (project / folder[1:]).mkdir(parents=True, exist_ok=True)
        for source in sources:
            shutil.copy(source, project / folder[1:])
        return 0
    if list(words[:2]) != ["run", "swiss-army-knife"] or "--yes" not in words:
        return _refuse(f"unknown command {words}")
    inputs = [word.removeprefix("-iin=") for word in words if word.startswith("-iin=")]
    (command,) = (word.removeprefix("-icmd=") for word in words if word.startswith("-icmd="))
    options = dict(itertools.pairwise(words))
    if not re.fullmatch(r"mem[1-3]_ssd1_v2_x\d+", options["--instance-type"]) or options["--priority"] not in {
        "low",
        "normal",
        "high",
    }:
        return _refuse("no such instance type or priority")
    work = Path(os.environ[HERE]).parent / f"job{options['--destination'].replace('/', '-')}"
    (work / "home").mkdir(parents=True)
    (work / "out").mkdir()
    for source in inputs:
        text = (project / source[1:]).read_bytes()
        (work / "out" / Path(source).name).write_bytes(text.replace(b"/mnt/project", str(project).encode()))
    environment = os.environ | {"HOME": str(work / "home")}
    code = subprocess.run(["bash", "-c", command], cwd=work / "out", env=environment, check=False).returncode
    if code == 0:
        for source in inputs:
            (work / "out" / Path(source).name).unlink()
        shutil.copytree(work / "out", project / options["--destination"][1:])
    return code


def python3(words: Sequence[str]) -> int:
    """Make a virtual environment that has nothing but pip."""
    if list(words[:2]) != ["-m", "venv"] or len(words) != 3:
        return _refuse(f"unknown command python3 {words}")
    folder = Path(words[2]) / "bin"
    folder.mkdir(parents=True)
    _script(folder / "pip", f'exec "{sys.executable}" -m {__spec__.name} pip "{folder}" "$@"')
    return 0


def pip(words: Sequence[str]) -> int:
    """Install the package, from the index by its name or from a wheel that lies here, into an environment of :func:`python3`."""
    folder, *command = words
    *head, what = command
    if head != ["install", "--quiet"] or (what != "cmr-planes" and not (what.endswith(".whl") and Path(what).is_file())):
        return _refuse(f"cannot install {command}")
    shutil.copy(Path(os.environ[HERE]) / "cmr-planes", folder)
    (Path(folder) / "installed.txt").write_text(what, encoding="utf-8")
    return 0


PROGRAMS: Mapping[str, Callable[[Sequence[str]], int]] = {"sbatch": sbatch, "dx": dx, "python3": python3, "pip": pip}


def _script(path: Path, line: str) -> None:
    path.write_text(f"#!/bin/sh\n{line}\n", encoding="utf-8")
    path.chmod(0o755)


def _refuse(sentence: str) -> int:
    sys.stderr.write(f"error: {sentence}\n")
    return 1


if __name__ == "__main__":
    sys.exit(PROGRAMS[sys.argv[1]](sys.argv[2:]))
