"""What commands load: what takes long to load is loaded only where it is used."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.cohorts import SMALL_BOXES, write_folders

EXTRACTION = {"click", "filelock", "h5py", "hdf5plugin", "isal", "numpy", "rich"}
"""The packages of others that an extraction of plain DICOM files may load."""
NOT_LOADED = {
    "cmr_planes.annotations.matching",
    "cmr_planes.cli.annotate",
    "cmr_planes.cli.pull",
    "cmr_planes.extraction.annotating",
    "cmr_planes.extraction.cluster",
    "cmr_planes.extraction.nifti_reader",
    "cmr_planes.pacs.server",
    "numpy.ma",
}
"""Modules that it has no use for, and that take long to load."""
RUN = """
import sys
from cmr_planes.cli import main
try:
    main(sys.argv[1:])
except SystemExit as ended:
    assert not ended.code
"""
LIST = """
loaded = {name.partition(".")[0] for name, module in sys.modules.items() if getattr(module, "__spec__", None) is not None}
print(*sorted(loaded - sys.stdlib_module_names))
"""
LIST_MODULES = "print(*sys.modules)"


def loaded(code: str, *arguments: object) -> set[str]:
    """The packages of others that a process has loaded when it has run some code."""
    done = subprocess.run([sys.executable, "-c", code + LIST, *map(str, arguments)], capture_output=True, text=True, check=True)
    packages = {name for name in done.stdout.splitlines()[-1].split() if not name.startswith(("_", "cython"))}
    return packages - {"cmr_planes", "cmr_train"}


@pytest.mark.parametrize("package", ["cmr_planes", "cmr_train"])
def test_the_packages_load_no_others(package: str) -> None:
    assert loaded(f"import sys, {package}") == set()


def test_the_list_of_commands_loads_no_others_but_click() -> None:
    assert loaded(RUN, "--help") == {"click"}


def test_an_extraction_loads_what_it_needs(tmp_path: Path) -> None:
    source = write_folders(tmp_path / "dicom", 1)
    assert loaded(RUN, "extract", source, tmp_path / "out.h5", "--workers", 1, *SMALL_BOXES) == EXTRACTION


def test_a_training_whose_images_keep_their_pixels_loads_no_scipy() -> None:
    assert not loaded("import sys, cmr_train.recipes.pretext, cmr_train.recipes.finetune") & {"scipy", "matplotlib", "pydicom"}


def test_an_extraction_loads_nothing_of_other_sources(tmp_path: Path) -> None:
    source = write_folders(tmp_path / "dicom", 1)
    command = [sys.executable, "-c", RUN + LIST_MODULES, "extract", source, tmp_path / "out.h5", "--workers", "1", *SMALL_BOXES]
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, check=True)
    assert not NOT_LOADED & set(done.stdout.splitlines()[-1].split())
