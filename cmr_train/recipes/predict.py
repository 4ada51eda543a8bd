"""Segment subjects: label maps, pictures, and the volumes of the ventricles from a short-axis stack."""

import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import cmr_planes
from cmr_planes.errors import AnnotationError, CatalogueFinding, DicomError, RejectionCode
from cmr_planes.pictures.palette import position_colour, structure_colour
from cmr_planes.pictures.png import encode_png
from cmr_planes.shards.catalogue import Catalogue
from cmr_planes.shards.columns import ImageIndex
from cmr_planes.system.csv_text import csv_text
from cmr_planes.system.key_file import SecretKey, read_key_file
from cmr_planes.system.names import PathLike, file_names
from cmr_planes.system.progress import OnMessage, OnProgress, Progress, ignore_message, ignore_progress
from cmr_planes.system.run_lock import only_run
from cmr_planes.system.text import counted
from cmr_planes.system.whole_file import write_whole
from cmr_planes.views import CardiacView, PhaseChoice, Structure
from cmr_train.choices import Head, MapFormat, Weights
from cmr_train.data.pixel_sizes import spacings_of
from cmr_train.data.selection import n_subjects_of, participants
from cmr_train.errors import CheckpointError, ConfigError, TrainError
from cmr_train.evaluation.doubts import pairwise_dice, stack_doubts
from cmr_train.evaluation.volumes import VentricularFunction, voxel_volumes_ml
from cmr_train.interchange.exported_network import NEEDS_TORCH, open_exported, weights_file
from cmr_train.prediction.components import keep_largest
from cmr_train.prediction.dicom_files import DicomResult, check_highdicom, network_of, write_dicom
from cmr_train.prediction.ensemble import Ensemble
from cmr_train.prediction.folder import DICOM, LABELS, PICTURES, VOLUMES_NAME, claim_folder, prediction_origin
from cmr_train.prediction.inference import pixels_sentence
from cmr_train.prediction.label_files import SUBJECT_FIELD, LikeImages, own_grid, write_label_files
from cmr_train.prediction.overlays import Sheet, draw
from cmr_train.prediction.sources import as_catalogue, opened_sources
from cmr_train.runs.folder import is_run
from cmr_train.runs.identity import CatalogueIdentity
from cmr_train.runs.known_people import check_key, known_people
from cmr_train.runs.trained_network import TrainedNetwork, WithPeople, check_has_classes
from cmr_train.settings.fields import member_of

if TYPE_CHECKING:
    import torch

    from cmr_train.runs.run import Run

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
    "runs_dice",
    "lv_removed_voxels",
    "myo_removed_voxels",
    "rv_removed_voxels",
)
"""Columns of ``volumes.csv``; a cell is empty where a measure does not exist, and ``doubt`` says why."""

MOST_ROTATION_DEG = 45.0
"""Of images on which networks answer: beyond it the sides of the heart change places."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictedSubject:
    """One subject that was segmented."""

    subject: str
    """The subject's key."""
    phases: tuple[str, ...]
    """Name of each phase."""
    n_slices: int
    """Slices of the view."""
    n_empty_slices: int
    """Further slices of the subject's NIfTI file, on which the label maps are empty: nothing was segmented there."""
    function: VentricularFunction | None
    """Volumes, where the view and the run's task allow them."""
    runs_dice: float
    """Mean Dice between two runs over all pairs, phases and classes; NaN for a single run."""
    removed_voxels: Mapping[Structure, int]
    """Voxels outside the largest part of each structure that were removed; empty where that was not asked for."""
    n_dicom_files: int
    """DICOM files that were written."""
    no_dicom: str
    """Why none could be, a sentence; empty where they were written, or not asked for."""


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
    has_dicom: bool
    """Whether DICOM files were asked for."""
    n_seen: int | None
    """Subjects that any run has seen in its training; None where that cannot be determined."""


def predict(
    run: "Run | PathLike | Sequence[Run | PathLike]",
    sources: PathLike | Sequence[PathLike],
    out: PathLike,
    *,
    phases: PhaseChoice | str = "ed,es",
    rotate_deg: float = 0.0,
    largest_component: bool = False,
    like: PathLike | None = None,
    pictures: bool = True,
    formats: Collection[MapFormat | str] = (MapFormat.NIFTI,),
    anonymous: bool = False,
    device: "torch.device | str" = "auto",
    weights: Weights | str = "last",
    overwrite: bool = False,
    unfinished: bool = False,
    people_key: PathLike | None = None,
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
        ``dicom/<subject>_<view>_<phase>.dcm``, ``pictures/<subject>_<view>.png``, ``volumes.csv`` of short-axis segmentations, and
        ``prediction.json``, which names the network and the data. Names of position maps end in ``_positions``. Made if it does not
        exist.
    phases
        Frames to segment where ``sources`` is no catalogue: ``ed,es`` or ``all``.
    rotate_deg
        Average each run's probabilities over images as they are and turned by this angle either way, up to 45°; 0 for none.
    largest_component
        Keep the largest connected part of each structure alone, in each phase; not of the myocardium of a single slice.
    like
        The NIfTI image on whose grid label maps are written, for a single subject; or its path with ``{subject}`` in the place of
        the subject's key. It must be of the same slices: axes may run in other order or direction, and nothing is interpolated.
        None for the grid of the subject's own NIfTI file, or from DICOM for slices from base to apex.
    pictures
        Whether to draw pictures.
    formats
        How label maps are written: ``nifti``, and ``seg`` for DICOM segmentations that refer to their images, with a report of the
        volumes; the latter needs DICOM files as ``sources``, and the package highdicom.
    anonymous
        Whether DICOM files say nothing of patient, study and source; else they hold what the source's headers say of them.
    device
        Where a run that is given as a folder is loaded (:func:`cmr_train.load_run`).
    weights
        Weights of a run that is given as a folder: ``last``, or ``best`` for those of the best validation.
    overwrite
        Whether what another network made, or the same of other data, is removed from ``out``.
    unfinished
        Whether a run that has not done all its iterations is used.
    people_key
        The key file with which a network was exported: it shows which of the subjects it has seen.
    on_extract
        Called with the number of subjects read, where ``sources`` is no catalogue.
    on_progress
        Called with the number of subjects segmented.
    on_message
        Called with sentences about the networks, the pixel sizes, and slices that are not segmented.

    Returns
    -------
        The subjects that were segmented, and the reasons for those that were left out.

    Raises
    ------
    SourceError
        A source holds no subject, or DICOM files were asked for and it holds NIfTI images.
    TrainError
        ``out`` holds what another network made, or the same of other data; or two runs cannot be averaged; or
        ``largest_component`` or DICOM files were asked for where the runs find positions; or DICOM files of a catalogue, or without
        highdicom; or ``like`` without NIfTI.
    ConfigError
        ``phases``, ``formats`` or ``rotate_deg`` cannot be used.
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
    named = run if isinstance(run, Sequence) and not isinstance(run, str) else [run]
    ensemble = Ensemble.of([_opened(each, device, weights, unfinished=unfinished) for each in named])
    secret = None if people_key is None else SecretKey(read_key_file(Path(people_key)))
    check_key(ensemble.runs, secret)
    folder = Path(out)
    frames = member_of(PhaseChoice, phases, "phases")
    options = _Options(
        rotate_deg=rotate_deg,
        largest_component=largest_component,
        like=None if like is None else LikeImages(str(like)),
        pictures=pictures,
        formats=frozenset(member_of(MapFormat, each, "formats") for each in formats),
        anonymous=anonymous,
    )
    _check(options, ensemble, sources)
    for said in (*_network_sentences(ensemble), *_rotation_sentences(ensemble.runs, rotate_deg)):
        on_message(said)
    with only_run(folder), opened_sources(sources, ensemble.view, frames, folder, on_extract) as catalogue:
        identity, index = CatalogueIdentity.of(catalogue), catalogue.index(ensemble.view)
        keys = list(index.keys())
        without_grid = _without_grid(catalogue, ensemble.view, keys, options.like)
        instances = cmr_planes.SourceInstances(sources, catalogue) if MapFormat.SEG in options.formats else None
        claim_folder(folder, prediction_origin(ensemble, identity, options.to_json()), overwrite=overwrite)
        for name in options.folders:
            (folder / name).mkdir(exist_ok=True)
        spacings_mm = spacings_of(catalogue, index)
        for sentence in dict.fromkeys(pixels_sentence(each, spacings_mm) for each in ensemble.runs):
            if sentence is not None:
                on_message(sentence)
        wanted = [key for key in keys if key not in without_grid]
        on_progress(Progress(0, len(wanted)))
        subjects, names = [], file_names(keys)
        for key in wanted:
            subjects.append(_predict_subject(ensemble, catalogue, instances, folder, key, names[key], options))
            on_progress(Progress(len(subjects), len(wanted)))
        left_out = tuple(rejection for rejection in catalogue.rejections() if rejection.view in ("", ensemble.view.value))
    n_partial = sum(subject.n_empty_slices > 0 for subject in subjects)
    if n_partial:
        on_message(
            f"the NIfTI files of {counted(n_partial, 'subject')} have slices that were not extracted; label maps have "
            "the files' grids and "
            "are empty on these slices"
        )
    if any(subject.function is not None for subject in subjects):
        write_whole(folder / VOLUMES_NAME, _volumes_csv(ensemble.view, subjects).encode())
    return Prediction(
        runs=tuple(each.name for each in ensemble.runs),
        view=ensemble.view,
        head=ensemble.head,
        weights=ensemble.runs[0].weights,
        subjects=tuple(subjects),
        left_out=(*left_out, *without_grid.values()),
        has_dicom=MapFormat.SEG in options.formats,
        n_seen=_n_seen(ensemble.runs, identity, index, secret),
    )


def _opened(run: "Run | PathLike", device: "torch.device | str", weights: Weights | str, *, unfinished: bool) -> TrainedNetwork:
    """Return a network: a run, loaded where its folder is given, or one that was exported."""
    if not isinstance(run, str | os.PathLike):
        return run
    folder = Path(run)
    if is_run(folder) or weights_file(folder) is None:
        try:
            from cmr_train.runs.run import loaded
        except ModuleNotFoundError as error:
            raise TrainError(NEEDS_TORCH) from error
        return loaded(folder, device, weights, unfinished=unfinished)
    network = open_exported(folder, device)
    if network.weights is not member_of(Weights, weights, "weights"):
        raise CheckpointError(
            f"{str(folder)!r} holds the {network.weights} weights of its run, and the {weights} ones were asked for; export those"
        )
    return network


def _network_sentences(ensemble: Ensemble) -> Iterator[str]:
    """Say which networks are averaged, and with which weights."""
    runs = ensemble.runs
    if len(runs) > 1:
        yield f"the probabilities of {len(runs)} networks are averaged: {', '.join(run.name for run in runs)}"
    for run in runs:
        if run.validation_dice:
            yield run.weights_sentence if len(runs) == 1 else f"{run.name}: {run.weights_sentence}"


def _n_seen(runs: Sequence[WithPeople], catalogue: CatalogueIdentity, index: ImageIndex, key: SecretKey | None) -> int | None:
    """Count the subjects that any run has seen in its training; None where keys do not tell."""
    try:
        known = frozenset[str]().union(*(known_people(run, catalogue, participants(index), None, key).all for run in runs))
    except TrainError:
        return None
    return n_subjects_of(index, known)


def volume_values(subject: PredictedSubject) -> dict[str, str | float]:
    """Return the cells of a subject's row of ``volumes.csv`` after the view, NaN where there is no value; none without a row."""
    function, removed = subject.function, subject.removed_voxels
    if function is None:
        return {}
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
        subject.runs_dice,
        *(removed.get(structure, np.nan) for structure in (Structure.LV, Structure.MYO, Structure.RV)),
    )
    return dict(zip(VOLUME_COLUMNS[2:], values, strict=True))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Options:
    """How subjects are segmented."""

    rotate_deg: float
    largest_component: bool
    like: LikeImages | None
    pictures: bool
    formats: frozenset[MapFormat]
    anonymous: bool

    @property
    def folders(self) -> list[str]:
        """The folders of the files."""
        wanted = {LABELS: MapFormat.NIFTI in self.formats, DICOM: MapFormat.SEG in self.formats, PICTURES: self.pictures}
        return [name for name, is_wanted in wanted.items() if is_wanted]

    @property
    def of_labels(self) -> dict[str, Any]:
        """What decides the labels, where it is not the default."""
        rotation = {"rotate_deg": self.rotate_deg} if self.rotate_deg else {}
        return rotation | ({"largest_component": True} if self.largest_component else {})

    def to_json(self) -> dict[str, Any]:
        """Return what decides the label maps, where it is not the default."""
        return self.of_labels | ({} if self.like is None else {"like": self.like.pattern})


def _check(options: _Options, ensemble: Ensemble, sources: PathLike | Sequence[PathLike]) -> None:
    """Refuse options and networks that cannot be used."""
    for run in ensemble.runs:
        check_has_classes(run, "write")
    if not options.formats:
        raise ConfigError([f"formats must name at least one of {', '.join(MapFormat)}"])
    if options.like is not None and MapFormat.NIFTI not in options.formats:
        raise TrainError("a grid can only be given for NIfTI label maps; DICOM files lie on the images that they refer to")
    if MapFormat.SEG in options.formats:
        _check_dicom(ensemble, sources)
    if not 0 <= options.rotate_deg <= MOST_ROTATION_DEG:
        raise ConfigError([f"rotate_deg must be from 0 to {MOST_ROTATION_DEG:g}, got {options.rotate_deg:g}"])
    for run in ensemble.runs:
        if options.rotate_deg and not run.classifier.turns_images:
            raise TrainError(
                f"{run.name!r} runs without torch, which turns images; use its run or safetensors, or do not turn them"
            )
    if options.largest_component and ensemble.head is not Head.STRUCTURES:
        raise TrainError(
            f"run {ensemble.runs[0].name!r} finds positions, which are boxes; the largest component can only be kept of structures"
        )


def _check_dicom(ensemble: Ensemble, sources: PathLike | Sequence[PathLike]) -> None:
    """Refuse to make DICOM files of what they cannot refer to, or cannot hold."""
    if ensemble.head is not Head.STRUCTURES:
        raise TrainError(
            f"run {ensemble.runs[0].name!r} finds positions, for which there are no codes; DICOM files can only be made of "
            "structures"
        )
    if as_catalogue(sources) is not None:
        raise TrainError(
            "a catalogue holds no UIDs of its images, so that DICOM files cannot refer to them; give the DICOM files that it was "
            "extracted from"
        )
    check_highdicom()


def _rotation_sentences(runs: Sequence[TrainedNetwork], rotate_deg: float) -> Iterator[str]:
    """Name the runs that have not learnt from images turned as far."""
    for run in runs:
        if rotate_deg > run.rotation_deg:
            yield (
                f"run {run.name!r} has learnt from images turned by up to {run.rotation_deg:g}°; its answers on "
                f"images turned by {rotate_deg:g}° may be worse"
            )


def _without_grid(
    catalogue: Catalogue, view: CardiacView, keys: Sequence[str], like: LikeImages | None
) -> dict[str, CatalogueFinding]:
    """Return the subjects whose slices do not lie on the grid of the image that stands for them, and why.

    Raises
    ------
    TrainError
        One image is to stand for several subjects, or for one whose slices do not lie on its grid.
    """
    if like is None:
        return {}
    if like.is_of_one and len(keys) > 1:
        raise TrainError(
            f"{like.pattern!r} is one image, and {counted(len(keys), 'subject')} have view {view.title}; give the path "
            "of each one's "
            f"image, with {SUBJECT_FIELD} in the place of the subject's key"
        )
    found = {}
    for key in keys:
        try:
            like.grid(key, catalogue.view_attributes(key, view))
        except AnnotationError as error:
            if like.is_of_one:
                raise TrainError(str(error)) from error
            found[key] = CatalogueFinding(key, view.value, RejectionCode.OTHER_GRID, str(error))
    return found


def _predict_subject(
    ensemble: Ensemble,
    catalogue: Catalogue,
    instances: "cmr_planes.SourceInstances | None",
    folder: Path,
    subject: str,
    name: str,
    options: _Options,
) -> PredictedSubject:
    """Segment one subject and write its files, whose names begin with ``name``."""
    view = catalogue.view_attributes(subject, ensemble.view)
    n_phases, n_slices, *_ = view.shape
    images = [
        [catalogue.image(subject, ensemble.view, phase, slice_index) for slice_index in range(n_slices)]
        for phase in range(n_phases)
    ]
    spacing_mm = [(plane.row_spacing_mm, plane.column_spacing_mm) for plane in view.planes]
    found = ensemble.find([image for stack in images for image in stack], spacing_mm * n_phases, rotate_deg=options.rotate_deg)
    raw = np.stack(found.labels).reshape(view.shape)
    labels, removed = keep_largest(raw, ensemble.structures) if options.largest_component else (raw, {})
    affines_mm = np.stack([plane.patient_from_pixel for plane in view.planes])
    grid = own_grid(view) if options.like is None else options.like.grid(subject, view)
    if MapFormat.NIFTI in options.formats:
        write_label_files(folder / LABELS, f"{name}_{ensemble.view.value}", labels, view, ensemble.head, grid)
    if options.pictures:
        sheet = Sheet(
            images=images,
            labels=labels,
            phases=view.phases,
            classes=ensemble.classes,
            colour=structure_colour if ensemble.head is Head.STRUCTURES else position_colour,
            aspect=spacing_mm[0][0] / spacing_mm[0][1],
            heading=f"{subject}, {ensemble.view.title}",
        )
        write_whole(folder / PICTURES / f"{name}_{ensemble.view.value}.png", encode_png(draw(sheet)))
    by_run = [np.stack(each).reshape(view.shape) for each in found.by_run]
    runs_dice = pairwise_dice(by_run, tuple(ensemble.classes)) if by_run else None
    function = None
    if ensemble.view is CardiacView.SAX and ensemble.head is Head.STRUCTURES:
        voxels_ml = voxel_volumes_ml(affines_mm, np.array(spacing_mm))
        function = VentricularFunction.measure(labels, view.phases, voxels_ml, structures=ensemble.structures)
        measured = [view.phases.index(name) for name in (function.ed_phase, function.es_phase) if name]
        doubts = stack_doubts(
            raw[measured],
            affines_mm,
            cleaned=labels[measured],
            runs_dice=None if runs_dice is None else runs_dice[measured],
        )
        function = replace(function, doubts=(*function.doubts, *doubts))
    n_dicom_files, no_dicom = 0, ""
    if instances is not None:
        network = network_of(ensemble.weights_sha256, options.of_labels)
        try:
            sources = instances.images(subject, ensemble.view)
            result = DicomResult(sources, labels, ensemble.structures, function, network)
            n_dicom_files = write_dicom(folder / DICOM, name, result, anonymous=options.anonymous)
        except DicomError as error:
            no_dicom = str(error)
    return PredictedSubject(
        subject=subject,
        phases=view.phases,
        n_slices=n_slices,
        n_empty_slices=0 if grid is None else grid.n_slices - n_slices,
        function=function,
        runs_dice=np.nan if runs_dice is None or np.isnan(runs_dice).all() else float(np.nanmean(runs_dice)),
        removed_voxels=removed,
        n_dicom_files=n_dicom_files,
        no_dicom=no_dicom,
    )


def _volumes_csv(view: CardiacView, subjects: Sequence[PredictedSubject]) -> str:
    """Return the table of volumes; numbers with two decimals, counts as they are, cells of NaN empty."""
    rows = [(subject.subject, view.value, *map(_cell, volume_values(subject).values())) for subject in subjects if subject.function]
    return csv_text(VOLUME_COLUMNS, rows)


def _cell(value: str | float) -> str:
    if isinstance(value, str | int):
        return str(value)
    return "" if np.isnan(value) else f"{value:.2f}"
