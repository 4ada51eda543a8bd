"""Segment subjects: label maps, pictures, and the volumes of the ventricles from a short-axis stack."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from cmr_planes.errors import CatalogueFinding
from cmr_planes.nifti.writing import write_label_map
from cmr_planes.pictures.palette import position_colour, structure_colour
from cmr_planes.pictures.png import encode_png
from cmr_planes.shards.catalogue import Catalogue
from cmr_planes.shards.columns import ImageIndex
from cmr_planes.system.csv_text import csv_text
from cmr_planes.system.names import PathLike
from cmr_planes.system.progress import OnMessage, OnProgress, Progress, ignore_message, ignore_progress
from cmr_planes.system.run_lock import only_run
from cmr_planes.system.whole_file import write_whole
from cmr_planes.views import CardiacPhase, CardiacView, PhaseChoice
from cmr_train.choices import Head, Weights
from cmr_train.data.pixel_sizes import spacings_of
from cmr_train.data.selection import n_subjects_of, participants
from cmr_train.errors import TrainError
from cmr_train.evaluation.volumes import VentricularFunction, voxel_volumes_ml
from cmr_train.prediction.ensemble import Ensemble
from cmr_train.prediction.folder import LABELS, PICTURES, VOLUMES_NAME, claim_folder, prediction_origin
from cmr_train.prediction.inference import pixels_sentence
from cmr_train.prediction.overlays import Sheet, draw
from cmr_train.prediction.sources import opened_sources
from cmr_train.runs.identity import CatalogueIdentity
from cmr_train.runs.known_people import known_people
from cmr_train.runs.run import Run, loaded
from cmr_train.settings.fields import member_of

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
    "doubt",
)
"""Columns of ``volumes.csv``; a cell is empty where a measure does not exist, and ``doubt`` says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictedSubject:
    """One subject that was segmented."""

    subject: str
    """The subject's key."""
    phases: tuple[str, ...]
    """Name of each phase."""
    n_slices: int
    """Slices of the view."""
    function: VentricularFunction | None
    """Volumes, where the view and the run's task allow them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """The subjects of a source: those that were segmented, and those that could not be."""

    runs: tuple[str, ...]
    """Names of the runs, in the order in which their probabilities were added up."""
    view: CardiacView
    """View of the runs."""
    head: Head
    """Task of the runs."""
    weights: Weights
    """Whether the last or the best weights of the runs were used."""
    subjects: tuple[PredictedSubject, ...]
    """Subjects that were segmented, in the catalogue's order."""
    left_out: tuple[CatalogueFinding, ...]
    """Reasons why subjects, or their images of the view, were left out."""
    n_seen: int | None
    """Subjects whom any run has seen in its training; None where that cannot be told."""


def predict(
    run: Run | PathLike | Sequence[Run | PathLike],
    sources: PathLike | Sequence[PathLike],
    out: PathLike,
    *,
    phases: PhaseChoice | str = "ed,es",
    pictures: bool = True,
    device: torch.device | str = "auto",
    weights: Weights | str = "last",
    overwrite: bool = False,
    unfinished: bool = False,
    on_extract: OnProgress = ignore_progress,
    on_progress: OnProgress = ignore_progress,
    on_message: OnMessage = ignore_message,
) -> Prediction:
    """Segment every subject that has the run's view, and write label maps, pictures and volumes.

    Parameters
    ----------
    run
        A trained network, or its folder; or several of one view, task and set of classes, whose probabilities are averaged on each
        image's own pixels. Their order changes nothing.
    sources
        A catalogue (``.h5``); or folders and zips of DICOM files, or folders of NIfTI images, as :func:`cmr_planes.extract` takes
        them.
    out
        The folder for ``labels/<subject>_<view>_<phase>.nii.gz`` of ED and ES, ``labels/<subject>_<view>.nii.gz`` of a whole cine,
        ``pictures/<subject>_<view>.png``, ``volumes.csv`` of short-axis segmentations, and ``prediction.json``, which names the
        network and the data. Names of position maps end in ``_positions``. Made if it does not exist.
    phases
        Frames to segment where ``sources`` is no catalogue: ``ed,es`` or ``all``.
    pictures
        Whether to draw pictures.
    device
        Where a run that is given as a folder is loaded (:func:`cmr_train.load_run`).
    weights
        Weights of a run that is given as a folder: ``last``, or ``best`` for those of the best validation.
    overwrite
        Whether what another network made, or the same of other data, is removed from ``out``.
    unfinished
        Whether a run that has not done all its iterations is used.
    on_extract
        Called with the number of subjects read, where ``sources`` is no catalogue.
    on_progress
        Called with the number of subjects segmented.
    on_message
        Called with sentences about the weights and the pixel sizes.

    Returns
    -------
        The subjects that were segmented, and the reasons for those that were left out.

    Raises
    ------
    SourceError
        A source holds no subject.
    TrainError
        ``out`` holds what another network made, or the same of other data; or two runs cannot be averaged.
    CheckpointError
        ``run`` is a folder without a run, or its weights cannot be used.
    ShardError
        An image cannot be read, or a file cannot be written.
    InUseError
        Another process writes to ``out``.
    OSError
        The folder cannot be made.

    Examples
    --------
    >>> prediction = predict("runs/finetune", "new_scans/", "segmented")  # doctest: +SKIP
    >>> prediction.subjects[0].function.lv.ejection_fraction_percent  # doctest: +SKIP
    """
    named = [run] if isinstance(run, Run | str | os.PathLike) else run
    ensemble = Ensemble.of([loaded(each, device, weights, unfinished=unfinished) for each in named])
    folder = Path(out)
    for said in _network_sentences(ensemble):
        on_message(said)
    frames = member_of(PhaseChoice, phases, "phases")
    with only_run(folder), opened_sources(sources, ensemble.view, frames, folder, on_extract) as catalogue:
        identity = CatalogueIdentity.of(catalogue)
        claim_folder(folder, prediction_origin(ensemble, identity), overwrite=overwrite)
        (folder / LABELS).mkdir(parents=True, exist_ok=True)
        if pictures:
            (folder / PICTURES).mkdir(exist_ok=True)
        index = catalogue.index(ensemble.view)
        spacings_mm = spacings_of(catalogue, index)
        for sentence in dict.fromkeys(pixels_sentence(each, spacings_mm) for each in ensemble.runs):
            if sentence is not None:
                on_message(sentence)
        keys = list(dict.fromkeys(index.subject(row) for row in range(len(index))))
        on_progress(Progress(0, len(keys)))
        subjects = []
        for key in keys:
            subjects.append(_predict_subject(ensemble, catalogue, folder, key, with_pictures=pictures))
            on_progress(Progress(len(subjects), len(keys)))
        left_out = tuple(rejection for rejection in catalogue.rejections() if rejection.view in ("", ensemble.view.value))
    functions = {subject.subject: subject.function for subject in subjects if subject.function is not None}
    if functions:
        write_whole(folder / VOLUMES_NAME, _volumes_csv(ensemble.view, functions).encode())
    return Prediction(
        runs=tuple(each.name for each in ensemble.runs),
        view=ensemble.view,
        head=ensemble.head,
        weights=ensemble.runs[0].weights,
        subjects=tuple(subjects),
        left_out=left_out,
        n_seen=_n_seen(ensemble.runs, identity, index),
    )


def _network_sentences(ensemble: Ensemble) -> Iterator[str]:
    """Say which networks are averaged, and with which weights."""
    runs = ensemble.runs
    if len(runs) > 1:
        yield f"the probabilities of {len(runs)} networks are averaged: {', '.join(run.name for run in runs)}"
    for run in runs:
        if run.validation_dice:
            yield run.weights_sentence if len(runs) == 1 else f"{run.name}: {run.weights_sentence}"


def _n_seen(runs: Sequence[Run], catalogue: CatalogueIdentity, index: ImageIndex) -> int | None:
    """Count the subjects whom any run has seen in its training; None where keys do not tell."""
    try:
        known = frozenset[str]().union(*(known_people(run, catalogue, participants(index), None).all for run in runs))
    except TrainError:
        return None
    return n_subjects_of(index, known)


def function_values(function: VentricularFunction) -> dict[str, str | float]:
    """Return the cells of one row of ``volumes.csv``, the subject and the view left out; NaN where a measure does not exist."""
    values = (
        function.ed_phase,
        function.es_phase,
        function.lv.end_diastolic_ml,
        function.lv.end_systolic_ml,
        function.lv.stroke_ml,
        function.lv.ejection_fraction_percent,
        function.lv_mass_g,
        function.rv.end_diastolic_ml,
        function.rv.end_systolic_ml,
        function.rv.stroke_ml,
        function.rv.ejection_fraction_percent,
        " ".join(function.doubts),
    )
    return dict(zip(VOLUME_COLUMNS[2:], values, strict=True))


def _predict_subject(
    ensemble: Ensemble, catalogue: Catalogue, folder: Path, subject: str, *, with_pictures: bool
) -> PredictedSubject:
    """Segment one subject and write its files."""
    view = catalogue.view_attributes(subject, ensemble.view)
    n_phases, n_slices, rows, columns = view.shape
    images = [
        [catalogue.image(subject, ensemble.view, phase, slice_index) for slice_index in range(n_slices)]
        for phase in range(n_phases)
    ]
    spacing_mm = [(plane.row_spacing_mm, plane.column_spacing_mm) for plane in view.planes]
    flat = ensemble.find([image for stack in images for image in stack], spacing_mm * n_phases).labels
    labels = np.stack(flat).reshape(n_phases, n_slices, rows, columns)
    affines_mm = np.stack([plane.patient_from_pixel for plane in view.planes])
    _write_phases(
        folder / LABELS,
        f"{subject}_{ensemble.view.value}",
        labels,
        view.phases,
        affines_mm,
        is_positions=ensemble.head is Head.POSITIONS,
    )
    if with_pictures:
        sheet = Sheet(
            images=images,
            labels=labels,
            phases=view.phases,
            classes=ensemble.classes,
            colour=structure_colour if ensemble.head is Head.STRUCTURES else position_colour,
            aspect=spacing_mm[0][0] / spacing_mm[0][1],
            heading=f"{subject}, {ensemble.view.title}",
        )
        write_whole(folder / PICTURES / f"{subject}_{ensemble.view.value}.png", encode_png(draw(sheet)))
    function = None
    if ensemble.view is CardiacView.SAX and ensemble.head is Head.STRUCTURES:
        voxels_ml = voxel_volumes_ml(affines_mm, np.array(spacing_mm))
        function = VentricularFunction.measure(labels, view.phases, voxels_ml, structures=ensemble.structures)
    return PredictedSubject(subject=subject, phases=view.phases, n_slices=n_slices, function=function)


def _write_phases(
    folder: Path,
    stem: str,
    labels: NDArray[np.uint8],
    phases: Sequence[str],
    affines_mm: NDArray[np.float64],
    *,
    is_positions: bool,
) -> None:
    """Write one volume for each named phase, or one cine."""
    suffix, description = ("_positions", "cmr-train positions") if is_positions else ("", "cmr-train structures")
    if set(phases) <= set(CardiacPhase):
        for name, volume in zip(phases, labels, strict=True):
            write_label_map(folder, f"{stem}_{name}{suffix}", volume, affines_mm, description)
    else:
        write_label_map(folder, f"{stem}{suffix}", labels, affines_mm, description)


def _volumes_csv(view: CardiacView, functions: dict[str, VentricularFunction]) -> str:
    """Return the table of volumes; numbers with two decimals, cells of NaN empty."""
    rows = [(subject, view.value, *map(_cell, function_values(function).values())) for subject, function in functions.items()]
    return csv_text(VOLUME_COLUMNS, rows)


def _cell(value: str | float) -> str:
    if isinstance(value, str):
        return value
    return "" if np.isnan(value) else f"{value:.2f}"
