"""What may import what, and what a bare import costs."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HEAVY = ("torch", "pydicom", "matplotlib", "scipy", "h5py", "numpy")


def test_imports_go_one_way():
    script = Path(sys.executable).parent / "lint-imports"
    done = subprocess.run([script, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("module", ["cmr_planes", "cmr_planes.cli", "cmr_train", "cmr_train.cli"])
def test_packages_and_their_commands_load_nothing_heavy(module):
    code = f"import sys, {module}; print([name for name in {HEAVY} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_masks_are_made_without_torch():
    code = (
        "import sys; sys.modules['torch'] = None; import cmr_planes.cli.extract, cmr_planes.cli.show, cmr_planes.extraction.run;"
        "print(any(name.split('.')[0] == 'cmr_train' for name in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
