"""Circles around the heart of a small study, as annotations of several formats."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cmr_planes.phantom.dicom_model import DicomFile, concatenate
from cmr_planes.phantom.dicom_writer import write_cine
from cmr_planes.phantom.small_study import SimpleStudy, simple_study, write_study
from cmr_planes.views import Structure
from tests.helpers.labels import cvi42_contour, cvi42_workspace, dicom_seg

ED_FRAME, ES_FRAME = 1, 5
"""Frames, from 0, that are annotated."""
LEVELS = (1, 2, 3)
"""SAX levels, from 1, that are annotated."""
ENDO_PX, EPI_PX = 9.0, 13.0
"""Radii of the circles."""
ENDO, EPI = "saendocardialContour", "saepicardialContour"


@cache
def circled_study() -> SimpleStudy:
    """Return the study: three SAX levels and the long axes, 10 frames of 128 × 128 pixels of 2.6 mm."""
    return simple_study(n_slices=3, n_frames=10, rows=128, columns=128, spacing_mm=(2.6, 2.6))


def numbered_study() -> SimpleStudy:
    """Return the study with all its SAX levels in one series: instance numbers continue from level to level."""
    study = circled_study()
    levels = concatenate([study.series[f"sax{level}"] for level in LEVELS])
    return replace(study, series={**study.series, **{f"sax{level}": series for level, series in zip(LEVELS, levels, strict=True)}})


def write_circled_study(folder: Path) -> Path:
    """Write the study's files to ``folder/SYN-0001``; return ``folder``."""
    write_study(folder / "SYN-0001", circled_study())
    return folder


def circle(radius: float, *, level: int = 2, moved: tuple[float, float] = (0.0, 0.0)) -> NDArray[np.float64]:
    """Return a circle around the heart's centre on a SAX level, moved by (columns, rows); shape (n, 2), pixels."""
    study = circled_study()
    middle = np.array(study.series[f"sax{level}"].plane.patient_to_pixel(study.centre_mm)) + moved
    angle = np.linspace(0, 2 * np.pi, 72, endpoint=False)
    return middle + radius * np.stack([np.cos(angle), np.sin(angle)], axis=1)


def disc(radius: float, *, level: int = 2, moved: tuple[float, float] = (0.0, 0.0)) -> NDArray[np.bool_]:
    """Return the pixels within a circle, shape (rows, columns), otherwise as :func:`circle`."""
    study = circled_study()
    column, row = np.array(study.series[f"sax{level}"].plane.patient_to_pixel(study.centre_mm)) + moved
    rows, columns = np.mgrid[:128, :128]
    return np.asarray(np.hypot(columns - column, rows - row) < radius)


def sax_instances(level: int, frames: Sequence[int] = (ED_FRAME, ES_FRAME)) -> list[tuple[str, bytes]]:
    """Return SOPInstanceUID and file of some frames of a level."""
    files = _files(level)
    return [(files[frame].sop_instance_uid, files[frame].data) for frame in frames]


@cache
def _files(level: int) -> list[DicomFile]:
    study = circled_study()
    return write_cine(study.study, study.series[f"sax{level}"])


def workspace(contours: Mapping[str, NDArray[np.float64]], frames: Sequence[int] = (ED_FRAME, ES_FRAME), **options: int) -> bytes:
    """Return a cvi42 workspace with the same contours on all annotated images."""
    written = [cvi42_contour(name, points, **options) for name, points in contours.items()]
    return cvi42_workspace({uid: written for level in LEVELS for uid, _ in sax_instances(level, frames)})


def circle_labels(blood: Mapping[str, object], muscle: Mapping[str, object]) -> NDArray[np.uint8]:
    """Return label maps of the levels, shape (level, row, column): a ring, and a disc of blood over it; options of :func:`disc`."""
    slices = []
    for level in LEVELS:
        labels = np.zeros((128, 128), dtype=np.uint8)
        labels[disc(**{"radius": EPI_PX, "level": level, **muscle})] = Structure.MYO
        labels[disc(**{"radius": ENDO_PX, "level": level, **blood})] = Structure.LV
        slices.append(labels)
    return np.stack(slices)


def segmentation(labels: NDArray[np.uint8], names: Sequence[str] = ("LV", "Myocardium"), *, frame: int = ED_FRAME) -> bytes:
    """Return a DICOM segmentation of one frame, with LV and Myo."""
    sources = [sax_instances(level, (frame,))[0][1] for level in LEVELS]
    return dicom_seg(sources, labels, (Structure.LV, Structure.MYO), names)
