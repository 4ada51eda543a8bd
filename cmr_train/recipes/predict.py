"""Segment subjects: label maps, pictures, and what a short-axis stack says about the ventricles."""

import csv
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cmr_planes.pictures.png import encode_png
from cmr_planes.shards.catalogue import Catalogue
from cmr_planes.system.whole_file import write_whole
from cmr_planes.views import CardiacPhase, CardiacView
from cmr_train.choices import Head
from cmr_train.config import class_names
from cmr_train.evaluation.volumes import Function, voxel_volumes_ml
from cmr_train.prediction.inference import label_images
from cmr_train.prediction.label_volumes import write_labels
from cmr_train.prediction.overlays import Sheet, draw
from cmr_train.runs.run import Run

LABELS, PICTURES, VOLUMES_NAME = "labels", "pictures", "volumes.csv"
"""What a prediction's folder holds."""

VOLUME_COLUMNS = (
    "subject",
    "view",
    "end_diastole",
    "end_systole",
    "lv_edv_ml",
    "lv_esv_ml",
    "lv_sv_ml",
    "lv_ef_percent",
    "lv_mass_g",
    "rv_edv_ml",
    "rv_esv_ml",
    "rv_sv_ml",
    "rv_ef_percent",
)
"""Columns of ``volumes.csv``; a cell is empty where a phase is missing."""

OnSubject = Callable[[], None]
"""Called whenever a subject is done."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictedSubject:
    """One subject."""

    subject: str
    """The subject's key."""
    phases: tuple[str, ...]
    """Name of each phase."""
    n_slices: int
    """Slices of the view."""
    function: Function | None
    """Volumes, where the view and the run's task allow them."""


def predict(
    run: Run, catalogue: Catalogue, folder: Path, *, with_pictures: bool = True, on_subject: OnSubject = lambda: None
) -> list[PredictedSubject]:
    """Segment every subject that has the run's view, and write what was found.

    Parameters
    ----------
    run
        A trained network.
    catalogue
        The images.
    folder
        Where to: ``labels/<subject>_<view>_<phase>.nii.gz`` for ED and ES, ``labels/<subject>_<view>.nii.gz`` for a whole cine,
        ``pictures/<subject>_<view>.png``, and ``volumes.csv`` for short-axis segmentations. Made if it is not there.
    with_pictures
        Whether to draw pictures.
    on_subject
        Called whenever a subject is done.

    Returns
    -------
        The subjects in the catalogue's order.

    Raises
    ------
    ShardError
        An image cannot be read, or a file cannot be written.
    """
    (folder / LABELS).mkdir(parents=True, exist_ok=True)
    if with_pictures:
        (folder / PICTURES).mkdir(exist_ok=True)
    index = catalogue.index(run.view)
    done = []
    for subject in dict.fromkeys(index.subject(row) for row in range(len(index))):
        done.append(_predict_subject(run, catalogue, folder, subject, with_pictures=with_pictures))
        on_subject()
    functions = {each.subject: each.function for each in done if each.function is not None}
    if functions:
        write_whole(folder / VOLUMES_NAME, _volumes_csv(run.view, functions).encode())
    return done


def function_values(function: Function) -> dict[str, str | float]:
    """Return the cells of one row of ``volumes.csv``, the subject and the view left out; NaN where a phase is missing."""
    values = (
        function.end_diastole,
        function.end_systole,
        function.lv.end_diastolic_ml,
        function.lv.end_systolic_ml,
        function.lv.stroke_ml,
        function.lv.ejection_fraction_percent,
        function.lv_mass_g,
        function.rv.end_diastolic_ml,
        function.rv.end_systolic_ml,
        function.rv.stroke_ml,
        function.rv.ejection_fraction_percent,
    )
    return dict(zip(VOLUME_COLUMNS[2:], values, strict=True))


def _predict_subject(run: Run, catalogue: Catalogue, folder: Path, subject: str, *, with_pictures: bool) -> PredictedSubject:
    """Segment one subject and write its files."""
    view = catalogue.view_attributes(subject, run.view)
    n_phases, n_slices, rows, columns = view.shape
    images = [[catalogue.image(subject, run.view, phase, level) for level in range(n_slices)] for phase in range(n_phases)]
    spacing_mm = [(plane.row_spacing_mm, plane.column_spacing_mm) for plane in view.planes]
    flat = label_images(run, [image for stack in images for image in stack], spacing_mm * n_phases)
    labels = np.stack(flat).reshape(n_phases, n_slices, rows, columns)
    affines_mm = np.stack([plane.patient_from_pixel for plane in view.planes])
    _write_phases(folder / LABELS, f"{subject}_{run.view.value}", labels, view.phases, affines_mm)
    if with_pictures:
        sheet = Sheet(
            images=images,
            labels=labels,
            phases=view.phases,
            classes=class_names(run.view, run.head),
            aspect=spacing_mm[0][0] / spacing_mm[0][1],
            heading=f"{subject}, {run.view.title}",
        )
        write_whole(folder / PICTURES / f"{subject}_{run.view.value}.png", encode_png(draw(sheet)))
    function = None
    if run.view is CardiacView.SAX and run.head is Head.STRUCTURES:
        function = Function.measure(labels, view.phases, voxel_volumes_ml(affines_mm, np.array(spacing_mm)))
    return PredictedSubject(subject=subject, phases=view.phases, n_slices=n_slices, function=function)


def _write_phases(
    folder: Path, stem: str, labels: NDArray[np.uint8], phases: Sequence[str], affines_mm: NDArray[np.float64]
) -> None:
    """Write one volume for each named phase, or one cine."""
    if set(phases) <= set(CardiacPhase):
        for name, volume in zip(phases, labels, strict=True):
            write_labels(folder, f"{stem}_{name}", volume, affines_mm)
    else:
        write_labels(folder, stem, labels, affines_mm)


def _volumes_csv(view: CardiacView, functions: dict[str, Function]) -> str:
    """Return the table of volumes; numbers with two decimals, cells of NaN empty."""
    text = io.StringIO()
    writer = csv.DictWriter(text, VOLUME_COLUMNS, lineterminator="\n")
    writer.writeheader()
    for subject, function in functions.items():
        values = {name: _cell(value) for name, value in function_values(function).items()}
        writer.writerow({"subject": subject, "view": view.value, **values})
    return text.getvalue()


def _cell(value: str | float) -> str:
    if isinstance(value, str):
        return value
    return "" if np.isnan(value) else f"{value:.2f}"
