"""A raw data set of nnU-Net version 2: its folders, ``dataset.json`` and ``splits_final.json``."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cmr_planes.errors import ExportError, SourceError
from cmr_planes.exports.folder import Staging
from cmr_planes.exports.options import ExportLabels, ExportOptions
from cmr_planes.exports.selection import annotated_views
from cmr_planes.exports.series import ImageSeries, read_series
from cmr_planes.exports.split import Fold, folds, random_sets, read_split
from cmr_planes.exports.tally import Tally
from cmr_planes.exports.volumes import Volume, image_file, json_bytes, label_file, volumes_of
from cmr_planes.geometry.arrays import BoolArray, LabelArray
from cmr_planes.shards.catalogue import Catalogue
from cmr_planes.shards.records import ViewLabels
from cmr_planes.system.json_text import readable_json
from cmr_planes.system.participant_sets import ParticipantSet
from cmr_planes.system.progress import OnProgress, Progress
from cmr_planes.system.text import counted
from cmr_planes.views import CardiacView, PositionClass, Structure, position_name

CHANNEL = "cineMR"
"""The name of the only channel; nnU-Net normalises by z-score unless it says CT."""

SPLITS_NAME = "splits_final.json"
"""The file by which nnU-Net takes a split, once it lies among the preprocessed data."""

MIXED_SPACING = 1.05
"""Pixel sizes that differ by more than this factor are worth a sentence."""

_ORDERS = {
    ExportLabels.MANUAL: (Structure.LV, Structure.MYO, Structure.RV, Structure.LA, Structure.RA),
    ExportLabels.ACDC_ORDER: (Structure.RV, Structure.MYO, Structure.LV, Structure.LA, Structure.RA),
}


@dataclass(frozen=True, slots=True)
class DatasetPlan:
    """Who is in a data set, and what its labels mean."""

    sets: Mapping[str, ParticipantSet]
    """The set of each participant who has cases."""
    folds: tuple[Fold, ...]
    """The folds of the cross-validation; the first is the split itself."""
    participants: Mapping[str, str]
    """The participant of each subject that is exported."""
    classes: Mapping[Structure | PositionClass, int]
    """The value of each class, background left out: 1, 2, …"""
    notes: tuple[str, ...]
    """What is worth knowing, in sentences."""


def plan_dataset(catalogue: Catalogue, subjects: Mapping[str, tuple[CardiacView, ...]], options: ExportOptions) -> DatasetPlan:
    """Decide who is in a data set, before any image is read.

    Parameters
    ----------
    catalogue
        The catalogue.
    subjects
        The views of each subject that may be exported.
    options
        The view, the labels and the split.

    Raises
    ------
    SourceError
        No subject has such labels.
    ExportError
        The split cannot be read, or leaves the training or validation set empty.
    """
    view = options.view
    usable = _subjects_with_labels(catalogue, subjects, options)
    if not usable:
        what = "position masks" if options.labels is ExportLabels.POSITIONS else "manual labels"
        remedy = "extract" if options.labels is ExportLabels.POSITIONS else "annotate"
        raise SourceError(f"{str(catalogue.path)!r} has no {what} of view {view.title}; 'cmr-planes {remedy}' adds them")
    table = catalogue.subjects()
    people = dict(zip(table.key, table.participant, strict=True))
    participants = {key: people[key] for key in usable}
    known = random_sets(participants.values(), options.split_seed) if options.split is None else read_split(options.split)
    of_labels = [name for name in ParticipantSet if options.labels is ExportLabels.POSITIONS or name is not ParticipantSet.PRETEXT]
    sets = {person: known[person] for person in sorted(set(participants.values())) if known.get(person) in of_labels}
    exported = {key: person for key, person in participants.items() if person in sets}
    if not exported:
        raise ExportError(
            f"the split puts none of the {counted(len(set(participants.values())), 'participant')} with labels into "
            f"{', '.join(of_labels)}; its column participant holds the participants of the catalogue's table /subjects"
        )
    notes = []
    n_unlabelled = sum(view in views for views in subjects.values()) - len(usable)
    if n_unlabelled:
        what = "positions" if options.labels is ExportLabels.POSITIONS else "manual labels"
        notes.append(f"{_subjects(n_unlabelled)} left out: no {what} of view {view.title}")
    if len(exported) < len(usable):
        notes.append(f"{_subjects(len(usable) - len(exported))} left out: the split puts them into none of {', '.join(of_labels)}")
    notes += _spacing_notes(catalogue, exported, view)
    return DatasetPlan(
        sets=sets,
        folds=tuple(folds(sets, options.split_seed)),
        participants=exported,
        classes=_classes(catalogue, exported, options),
        notes=tuple(notes),
    )


def _subjects(count: int) -> str:
    return f"{count:,} subject{'s' * (count != 1)}"


def _subjects_with_labels(
    catalogue: Catalogue, subjects: Mapping[str, tuple[CardiacView, ...]], options: ExportOptions
) -> list[str]:
    """Return the subjects that have the labels that are asked for, in the catalogue's order."""
    if options.labels is ExportLabels.POSITIONS:
        table = catalogue.views()
        rows = zip(table.subject, table.view, table.has_positions.tolist(), strict=True)
        having = {key for key, view, has in rows if has and view == options.view}
    else:
        having = {key for key, views in annotated_views(catalogue).items() if options.view in views}
    return [key for key in subjects if key in having]


def _classes(catalogue: Catalogue, exported: Mapping[str, str], options: ExportOptions) -> dict[Structure | PositionClass, int]:
    """Number the classes that occur: nnU-Net wants consecutive values."""
    if options.labels is ExportLabels.POSITIONS:
        return {position: int(position) for position in PositionClass if position}
    table = catalogue.annotations()
    rows = [row for row in range(len(table)) if table.subject[row] in exported and table.view[row] == options.view]
    n_images = table.structure_images[rows].sum(axis=0)
    drawn = [structure for structure in _ORDERS[options.labels] if n_images[structure]]
    return {structure: value for value, structure in enumerate(drawn, start=1)}


def _spacing_notes(catalogue: Catalogue, exported: Mapping[str, str], view: CardiacView) -> Iterator[str]:
    """Note pixels of different sizes."""
    table = catalogue.views()
    rows = [row for row in range(len(table)) if table.subject[row] in exported and table.view[row] == view]
    spacing_mm = table.spacing_mm[rows]
    least, most = float(spacing_mm.min()), float(spacing_mm.max())
    if most > least * MIXED_SPACING:
        yield f"pixels are from {least:.2f} to {most:.2f} mm wide; nnU-Net resamples all images to their median"


def write_dataset(
    catalogue: Catalogue,
    staging: Staging,
    names: Mapping[str, str],
    plan: DatasetPlan,
    options: ExportOptions,
    tally: Tally,
    on_progress: OnProgress,
) -> None:
    """Write a data set.

    Parameters
    ----------
    catalogue
        The catalogue.
    staging
        Where to write; the data set becomes a folder in it.
    names
        The name of each subject in files.
    plan
        What :func:`plan_dataset` returned.
    options
        The view, the labels and the data set's name.
    tally
        Counts subjects, files and what is worth knowing.
    on_progress
        Called after each subject.

    Raises
    ------
    ShardError
        The catalogue cannot be read.
    OSError
        A file cannot be written.
    """
    is_positions = options.labels is ExportLabels.POSITIONS
    people: dict[str, str] = {}
    for done, (key, person) in enumerate(plan.participants.items(), start=1):
        series = read_series(catalogue, key, options.view, with_labels=not is_positions, with_positions=is_positions)
        tally.add(series)
        part = "Ts" if plan.sets[person] is ParticipantSet.TEST else "Tr"
        for case in _cases(names[key], series, plan.classes):
            staging.write(f"{options.dataset}/images{part}/{case.name}_0000.nii.gz", image_file(series, case.volume, case.phase))
            staging.write(f"{options.dataset}/labels{part}/{case.name}.nii.gz", label_file(series, case.volume, case.labels))
            tally.n_cases += 1
            tally.n_annotated_in_part += bool((case.labels[case.volume.slices] > len(plan.classes)).any())
            tally.n_files += 2
            if part == "Tr":
                people[case.name] = person
        tally.n_subjects += 1
        on_progress(Progress(done, len(plan.participants)))
    dataset = _dataset(plan, options, len(people), has_unlabelled=tally.n_annotated_in_part > 0)
    staging.write(f"{options.dataset}/dataset.json", json_bytes(dataset))
    staging.write(f"{options.dataset}/{SPLITS_NAME}", f"{readable_json(_final_splits(plan.folds, people))}\n".encode())
    tally.n_files += 2


@dataclass(frozen=True, slots=True, eq=False)
class _Case:
    """One image of nnU-Net."""

    name: str
    volume: Volume
    phase: int
    labels: LabelArray
    """Shape (slice, row, column), all slices of the view."""


def _cases(name: str, series: ImageSeries, classes: Mapping[Structure | PositionClass, int]) -> Iterator[_Case]:
    """Return the cases of a subject: its phases that have labels."""
    if series.labels is not None:
        labels, is_labelled = class_labels(series.labels, classes), series.labels.annotated
    elif series.positions is not None:
        labels, is_labelled = series.positions, np.ones(series.positions.shape[:2], dtype=np.bool_)
    else:
        return
    for phase, phase_name in enumerate(series.phases):
        word = f"frame{phase + 1:02d}" if series.is_cine else phase_name.upper()
        for volume in volumes_of(series):
            if is_labelled[phase, volume.slices].any():
                case = "_".join(filter(None, (name, word, volume.slice_name)))
                yield _Case(case, volume, phase, labels[phase])


def class_labels(labels: ViewLabels, classes: Mapping[Structure | PositionClass, int]) -> LabelArray:
    """Return labels in the values of a data set, shape (phase, slice, row, column).

    Pixels of which it is not known what they show have the value after the last class, nnU-Net's ``ignore``: all of an image that
    is not annotated, and the background of one on which a structure was not drawn.
    """
    table = np.zeros(len(Structure), dtype=np.uint8)
    for structure, value in classes.items():
        table[structure] = value
    values = table[labels.labels]
    is_whole: BoolArray = np.asarray(labels.structures[..., list(classes)].all(axis=2))
    unknown = ~is_whole[..., np.newaxis, np.newaxis] & (values == 0)
    changed: LabelArray = np.where(unknown, np.uint8(len(classes) + 1), values)
    return changed


def _dataset(plan: DatasetPlan, options: ExportOptions, n_training: int, *, has_unlabelled: bool) -> dict[str, object]:
    """Return ``dataset.json``."""
    labels = {"background": 0}
    for one, value in plan.classes.items():
        labels[_class_name(options.view, one)] = value
    if has_unlabelled:
        labels["ignore"] = len(labels)
    return {
        "channel_names": {"0": CHANNEL},
        "labels": labels,
        "numTraining": n_training,
        "file_ending": ".nii.gz",
        "name": options.dataset,
        "description": f"{options.view.title} cine MR, exported by cmr-planes",
    }


def _class_name(view: CardiacView, one: Structure | PositionClass) -> str:
    """Return a class's name in ``dataset.json``: ``LV``, ``left_near``."""
    return position_name(view, one).replace(" ", "_") if isinstance(one, PositionClass) else one.title


def _final_splits(divided: Sequence[Fold], people: Mapping[str, str]) -> list[dict[str, list[str]]]:
    """Return ``splits_final.json``: the cases of each fold; ``people`` has the participant of each case."""
    return [
        {
            "train": sorted(case for case, person in people.items() if person in fold.train),
            "val": sorted(case for case, person in people.items() if person in fold.validation),
        }
        for fold in divided
    ]


def check_number(out: Path, dataset: str) -> None:
    """Raise ExportError where ``out`` has another data set of the same number: nnU-Net finds data sets by their number."""
    number = dataset.partition("_")[0]
    others = sorted(path.name for path in out.glob(f"{number}_*") if path.name != dataset)
    if others:
        raise ExportError(f"{str(out)!r} has {others[0]}, and nnU-Net finds data sets by their number; choose another number")


def next_step(options: ExportOptions, out: str) -> str:
    """Say what nnU-Net needs besides."""
    mirroring = "; train with -tr nnUNetTrainerNoMirroring: left and right are classes"
    return (
        f"set nnUNet_raw to {out}; after nnUNetv2_plan_and_preprocess, copy {out}/{options.dataset}/{SPLITS_NAME} to "
        f"$nnUNet_preprocessed/{options.dataset}/, or nnU-Net parts ED and ES of one person"
        f"{mirroring if options.labels is ExportLabels.POSITIONS else ''}"
    )
