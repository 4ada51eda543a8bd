"""Small cohorts on disk for tests of the main job."""

import hashlib
import zipfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from click.testing import CliRunner, Result

from cmr_planes.cli import main
from cmr_planes.phantom.small_study import SimpleStudy, encode_study, simple_study, write_study
from tests.helpers.labels import ACDC, heart_labels, recode, save_nifti

SMALL: dict[str, Any] = {
    "n_slices": 3,
    "n_frames": 8,
    "rows": 48,
    "columns": 48,
    "spacing_mm": (7.0, 7.0),
    "slice_distance_mm": 20.0,
}
"""A study of six series that is made and read in well under a second."""
SMALL_BOXES = ("--box", "3", "--gap", "8")
"""Boxes that suit :data:`SMALL`."""


def small_study(name: str = "SYN-0001", **changes: Any) -> SimpleStudy:
    """Return a small study."""
    return simple_study(name=name, **{**SMALL, **changes})


def write_folders(folder: Path, n_subjects: int, **changes: Any) -> Path:
    """Write one folder a subject: SYN-0001, SYN-0002, …"""
    for number in range(1, n_subjects + 1):
        key = f"SYN-{number:04d}"
        write_study(folder / key, small_study(key, translation_mm=(number, 0, 0), **changes))
    return folder


def write_label_maps(folder: Path, n_subjects: int) -> Path:
    """Write an ED label map of the SAX stack for each subject of :func:`write_folders`."""
    for number in range(1, n_subjects + 1):
        key = f"SYN-{number:04d}"
        study = small_study(key, translation_mm=(number, 0, 0))
        planes = [series.plane for name, series in study.series.items() if name.startswith("sax")]
        truth = np.stack([heart_labels(plane, study.centre_mm) for plane in planes])
        save_nifti(folder / f"{key}_ed.nii.gz", recode(truth, ACDC), planes)
    return folder


def write_biobank_zips(folder: Path, study: SimpleStudy, eid: int = 9_000_001, instance: int = 2) -> list[Path]:
    """Write a study as UK Biobank's two zips, long axis and short axis."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for field, views in (("20208", ("2ch", "3ch", "4ch")), ("20209", ("sax",))):
        part = replace(study, series={key: series for key, series in study.series.items() if key.startswith(views)})
        path = folder / f"{eid}_{field}_{instance}_0.zip"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for file in encode_study(part):
                archive.writestr(f"{file.sop_instance_uid}.dcm", file.data)
        paths.append(path)
    return paths


def write_key(path: Path, byte: bytes = b"k") -> Path:
    """Write a key file for pseudonyms."""
    path.write_bytes(byte * 40)
    path.chmod(0o600)
    return path


def run(*arguments: object) -> Result:
    """Run a command; anything but a clean exit with a code is a failure of the test."""
    result = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    assert "Traceback" not in result.output
    return result


def extract(source: Path, out: Path, *options: object) -> Result:
    """Extract a small cohort in this process."""
    return run("extract", source, out, "--workers", 1, *SMALL_BOXES, *options)


def digests(folder: Path) -> Mapping[str, str]:
    """Return the SHA-256 of every file of a folder."""
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.iterdir())}
