"""The checks of ``make test`` with one command on every system: ``python -m tools.check``, where ``.[train,dev]`` is installed.

``python -m tools.check lint types`` runs some of them, ``python -m tools.check commands`` tries an installation without training,
and ``python -m tools.check docs`` builds the site of the documentation, where ``.[docs]`` is installed.
"""

import argparse
import importlib.util
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from tools import words

ROOT = Path(__file__).parents[1]
USUAL = ("lint", "types", "unit")
"""The steps of ``make test``."""
WORKFLOWS = (".github/workflows/test.yml",)


def main() -> int:
    """Run the steps that are named, each to its end; return 1 if any of them fails."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "steps", nargs="*", choices=[*STEPS, []], metavar="STEP", help=f"{', '.join(STEPS)}; by default {' '.join(USUAL)}"
    )
    parser.add_argument("--pytest", default="", metavar="WORDS", help="words for pytest, as one argument: files, options")
    given = parser.parse_args()
    failed = [step for step in given.steps or USUAL if not STEPS[step](given.pytest.split())]
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


def lint(_: Sequence[str]) -> bool:
    """Check the form of the code, the direction of imports, the workflows of continuous integration, and the words of all text."""
    steps = (
        ("ruff", "format", "--check", "."),
        ("ruff", "check", "."),
        ("lint-imports",),
        ("jactionlint", "--shellcheck=", *WORKFLOWS),
    )
    failed = [step for step in steps if not _ran(*step)]
    return words.main() == 0 and not failed


def types(_: Sequence[str]) -> bool:
    """Check types as Linux and as Windows have them, both at once: what a system lacks is an error where it is not asked for."""
    commands = [("mypy", "--platform", platform, "--cache-dir", f".mypy_cache/{platform}") for platform in ("linux", "win32")]
    started = [(command, _started(*command)) for command in commands]
    answers = [(command, process.communicate()[0], process.returncode) for command, process in started]
    for command, said, _code in answers:
        print("$", *command)
        print(said, end="", flush=True)
    return all(code == 0 for *_, code in answers)


def unit(options: Sequence[str]) -> bool:
    """Run the tests; without training, those of ``cmr_planes``."""
    places = [] if options or _has_training() else ["tests", "cmr_planes"]
    return _ran("pytest", *options, *places)


def commands(_: Sequence[str]) -> bool:
    """Run every command of an installation, with or without training, on a synthetic cohort."""
    with tempfile.TemporaryDirectory() as folder:
        failed = [command for command in PLANES if not _ran("cmr-planes", *command, cwd=Path(folder))]
        return not failed and _trainer_answers(Path(folder))


def docs(_: Sequence[str]) -> bool:
    """Build the documentation's site into ./site; a warning is an error."""
    return _ran("python", "-m", "mkdocs", "build", "--quiet")  # so that the hooks find this package


PLANES = (
    ("phantom", "cohort", "-n", "2", "--seed", "0"),
    ("extract", "cohort/dicom", "out.h5", "--workers", "2", "--shard-size", "1"),
    ("annotate", "out.h5", "cohort/truth/cvi42"),
    ("inspect", "out.h5"),
    ("show", "out.h5", "-o", "pictures", "--limit", "1"),
    ("export", "out.h5", "-o", "exported", "--to", "bids"),
    ("verify", "out.h5"),
)
"""Every command of ``cmr-planes``, on two phantoms."""


def _trainer_answers(folder: Path) -> bool:
    """Tell whether ``cmr-train`` shows its help and, where training is not installed, says in one sentence what to install."""
    if not _ran("cmr-train", "--help", cwd=folder):
        return False
    command = [_found("cmr-train"), "pretext", "--preset", "quick", "--iterations", "2"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    print(done.stdout + done.stderr)
    if _has_training():
        return done.returncode == 0
    return done.returncode == 1 and done.stderr.count("\n") == 1 and "pip install 'cmr-planes[train]'" in done.stderr


def _has_training() -> bool:
    """Tell whether the packages of the extra ``train`` are installed."""
    return importlib.util.find_spec("torch") is not None


STEPS: Mapping[str, Callable[[Sequence[str]], bool]] = {
    "lint": lint,
    "types": types,
    "unit": unit,
    "commands": commands,
    "docs": docs,
}


def _ran(program: str, *words: str, cwd: Path = ROOT) -> bool:
    """Run a program of this environment; return whether it succeeds."""
    print("$", program, *words, flush=True)
    return subprocess.run([_found(program), *words], cwd=cwd, env=_environment(), check=False).returncode == 0


def _started(program: str, *words: str) -> subprocess.Popen[str]:
    """Start a program of this environment; its output is read when it ends."""
    return subprocess.Popen(
        [_found(program), *words], cwd=ROOT, env=_environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf-8"
    )


def _environment() -> dict[str, str]:
    """Return the environment with UTF-8 for the tests' own texts, on every system."""
    return os.environ | {"PYTHONUTF8": "1", "NO_MKDOCS_2_WARNING": "1"}


def _found(program: str) -> str:
    """Return the path of a program of this environment."""
    path = shutil.which(program, path=sysconfig.get_path("scripts"))
    if path is None:
        sys.exit(f"{program} is not installed here; install '.[train,dev]' with the versions of constraints.txt first")
    return path


if __name__ == "__main__":
    sys.exit(main())
