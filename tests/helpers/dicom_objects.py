"""Source images for DICOM objects, and what independent software says of the objects."""

import io
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pydicom
from numpy.typing import NDArray

from cmr_planes.dicom.headers import read_headers
from cmr_planes.dicom.study_header import read_study_header
from cmr_planes.dicom_output.model import DicomObject, Network, SourceImages
from cmr_planes.phantom.dicom_model import CineSeries
from cmr_planes.phantom.dicom_writer import write_cine, write_files
from cmr_planes.phantom.enhanced_writer import write_enhanced
from cmr_planes.phantom.small_study import SimpleStudy, simple_study
from cmr_planes.views import CardiacView, Structure
from tests.helpers.labels import heart_labels

DCIODVFY = Path(sys.executable).parent / "dciodvfy"
NETWORK = Network(version="1.2.3", weights_sha256=("0123456789abcdef" * 4,))
VENTRICLES = (Structure.LV, Structure.MYO, Structure.RV)
ONE_SERIES = "2.25.77"
IDENTITY = {
    "PatientName": "Tester^Tilda",
    "PatientID": "HOSPITAL-4711",
    "PatientBirthDate": "19470229",
    "StudyDate": "20190405",
    "StudyTime": "101112.5",
    "StudyDescription": "Heart of Tilda",
    "AccessionNumber": "ACC-0815",
    "ReferringPhysicianName": "Doctor^Who",
    "StudyID": "STUDY-42",
}
"""Header values that identify a person, or a study of theirs."""


def make_study(overrides: Mapping[str, object] = IDENTITY, **changes: object) -> SimpleStudy:
    """A study of three short-axis slices, an axis of pixels each its own size, two phases."""
    values = {"n_slices": 3, "n_frames": 2, "rows": 60, "columns": 52, "spacing_mm": (5.0, 5.5), "slice_distance_mm": 20.0}
    simple = simple_study(**{**values, **changes})
    return replace(simple, study=replace(simple.study, overrides={**simple.study.overrides, **overrides}))


def stack_of(simple: SimpleStudy) -> list[CineSeries]:
    """The short-axis series of a study."""
    return [series for key, series in simple.series.items() if key.startswith("sax")]


def write_stack(folder: Path, simple: SimpleStudy, layout: str) -> list[Path]:
    """Write a stack as ``series`` (one a slice), ``stack`` (one for all), or ``enhanced`` (one instance for all)."""
    stack = stack_of(simple)
    if layout == "enhanced":
        return write_files(folder, [write_enhanced(simple.study, stack)])
    n_frames = len(stack[0].frames)
    if layout == "stack":
        stack = [replace(one, series_uid=ONE_SERIES, first_instance_number=1 + n_frames * index) for index, one in enumerate(stack)]
    return write_files(folder, [file for one in stack for file in write_cine(simple.study, one)])


def source_images(folder: Path, simple: SimpleStudy, layout: str = "series") -> SourceImages:
    """Write a stack and find its images again, from base to apex, all frames as phases ``ed`` and ``es``."""
    write_stack(folder, simple, layout)
    frames = read_headers([folder]).frames
    levels = []
    for one in stack_of(simple):
        at_level = [
            frame for frame in frames if np.allclose(frame.plane.patient_from_pixel, one.plane.patient_from_pixel, atol=1e-3)
        ]
        levels.append(sorted(at_level, key=lambda frame: frame.trigger_time_ms))
    by_phase = tuple(tuple(level[phase] for level in levels) for phase in range(len(levels[0])))
    return SourceImages(CardiacView.SAX, ("ed", "es")[: len(by_phase)], by_phase, read_study_header(frames[0].file))


def heart_of(images: SourceImages, simple: SimpleStudy) -> NDArray[np.uint8]:
    """Labels by phase and slice; at the second phase nothing is found on the last slice."""
    one = np.stack([heart_labels(frame.plane, simple.centre_mm) for frame in images.frames[0]])
    systole = one.copy()
    for labels in systole:
        rows = np.flatnonzero((labels == Structure.LV).any(axis=1))
        upper = labels[: int(rows.mean()) if rows.size else 0]
        upper[upper == Structure.LV] = Structure.MYO
    systole[-1] = 0
    return np.stack([one, systole])


def parsed(one: DicomObject) -> pydicom.Dataset:
    """An object after it was written and read."""
    return pydicom.dcmread(io.BytesIO(one.encode()))


def dciodvfy(folder: Path, one: DicomObject) -> list[str]:
    """What dicom3tools finds wrong with an object."""
    path = folder / f"{one.name}.dcm"
    path.write_bytes(one.encode())
    return complaints(path)


def complaints(path: Path) -> list[str]:
    """What dicom3tools finds wrong with a file, what a DICOMDIR would want besides left out."""
    done = subprocess.run([DCIODVFY, path], capture_output=True, text=True, check=False)
    lines = (done.stdout + done.stderr).splitlines()
    return [line for line in lines if line.startswith(("Error", "Warning")) and "needed to build DICOMDIR" not in line]


def uids_in(dataset: pydicom.Dataset) -> dict[str, str]:
    """All UIDs of a dataset by their value, with the keyword of the last element that has it."""
    return {
        str(value): element.keyword
        for element in dataset.iterall()
        if element.VR == "UI"
        for value in (element.value if element.VM > 1 else [element.value])
    }
