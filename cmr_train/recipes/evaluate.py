"""Score a trained network on annotated subjects, and compare it with another on the same ones."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from cmr_planes.shards.catalogue import Catalogue
from cmr_planes.shards.columns import ImageIndex
from cmr_planes.system.key_file import SecretKey, read_key_file
from cmr_planes.system.names import PathLike
from cmr_planes.system.progress import OnMessage, OnProgress, Progress, ignore_message, ignore_progress
from cmr_planes.system.text import counted
from cmr_planes.system.whole_file import write_whole
from cmr_planes.views import CardiacView, PositionClass
from cmr_train.choices import Head, People, Subset, Weights
from cmr_train.data.drawn import keep_drawn, unwanted_pixels
from cmr_train.data.pixel_sizes import spacings_of
from cmr_train.data.selection import n_subjects_of, participants, select_images
from cmr_train.data.splits import read_split_file
from cmr_train.errors import TrainError
from cmr_train.evaluation.metrics import score_volume
from cmr_train.evaluation.score_files import PER_SUBJECT_NAME, SUMMARY_NAME, comparisons_json, per_subject_csv, summary_json
from cmr_train.evaluation.scores import Comparison, ScoredVolume, ScoreTable, compare_tables
from cmr_train.prediction.inference import label_images, pixels_sentence
from cmr_train.runs.files import write_json
from cmr_train.runs.folder import CLASSES_FIELD, holds_scores_of_study
from cmr_train.runs.identity import CatalogueIdentity
from cmr_train.runs.known_people import KnownPeople, choose_set, choose_subset, known_people, own_catalogue
from cmr_train.runs.run import Run, loaded
from cmr_train.runs.trained_network import check_has_classes
from cmr_train.settings.fields import member_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """The scores of a run, and of its baseline where there is one."""

    run: str
    """Name of the run."""
    view: CardiacView
    """View of the run."""
    head: Head
    """Task of the run."""
    subset: Subset
    """The subjects that were evaluated."""
    weights: Weights
    """Whether the last or the best weights of the run were evaluated."""
    table: ScoreTable
    """Scores of the run."""
    catalogue: CatalogueIdentity
    """The catalogue that was evaluated."""
    is_own_catalogue: bool
    """Whether it is the one that the run was trained on, perhaps with subjects or labels added."""
    split_file: Path | None
    """The file that names the evaluated set, where it is not one of the run's."""
    is_finished: bool
    """Whether the run had done all its iterations."""
    classes: Mapping[int, str]
    """The classes that the run finds, and their names: those that are scored."""
    unwanted_pixels: Mapping[str, int]
    """Pixels of structures that were drawn on the evaluated subjects and count as background, by name."""
    n_subjects_left_out: int
    """Subjects with a truth who were left out because the run has seen them."""
    n_trained_on: int
    """Evaluated subjects whose masks the run learnt from."""
    n_seen_by_pretext: int
    """Further evaluated subjects whose positions the run's weights were trained on."""
    n_baseline_trained_on: int
    """Evaluated subjects whose masks the baseline learnt from."""
    baseline_run: str | None
    """Name of the baseline; None without one."""
    baseline: ScoreTable | None
    """Scores of the baseline, on the same subjects."""
    baseline_classes: Mapping[int, str]
    """The classes that the baseline finds; empty without one."""
    comparisons: tuple[Comparison, ...]
    """The run minus its baseline, of the structures that both find; empty without one."""

    def to_json(self) -> dict[str, Any]:
        """Return the content of ``summary.json``; a value that does not exist is NaN here and null in the file."""
        summary = {
            "run": self.run,
            "view": self.view.value,
            "task": self.head.value,
            "subset": self.subset.value,
            "weights": self.weights.value,
            CLASSES_FIELD: dict(self.classes),
            "drawn_and_not_scored_pixels": dict(self.unwanted_pixels),
            "catalogue": {"path": self.catalogue.path.as_posix(), "sha256": self.catalogue.sha256},
            "split": None if self.split_file is None else self.split_file.as_posix(),
            "is_finished": self.is_finished,
            "n_subjects_left_out": self.n_subjects_left_out,
            "n_trained_on": self.n_trained_on,
            "n_seen_by_pretext": self.n_seen_by_pretext,
            **summary_json(self.table),
        }
        if self.baseline is not None:
            summary["baseline"] = {
                "run": self.baseline_run,
                "n_trained_on": self.n_baseline_trained_on,
                CLASSES_FIELD: dict(self.baseline_classes),
                "differences": "run minus baseline over subjects with both values",
                **summary_json(self.baseline),
                "comparisons": comparisons_json(self.comparisons),
            }
        return summary


@dataclass(frozen=True, slots=True, kw_only=True)
class _Volume:
    """The images of one phase of one subject that have a truth."""

    subject: str
    phase: str
    phase_index: int
    slices: tuple[int, ...]


def evaluate(
    run: Run | PathLike,
    data: PathLike | None = None,
    *,
    subset: Subset | str | None = None,
    split: PathLike | None = None,
    baseline: Run | PathLike | None = None,
    out: PathLike | None = None,
    people: People | str | None = None,
    people_key: PathLike | None = None,
    unfinished: bool = False,
    device: torch.device | str = "auto",
    weights: Weights | str = "last",
    on_progress: OnProgress = ignore_progress,
    on_message: OnMessage = ignore_message,
) -> Evaluation:
    """Score a run, and its baseline on the same subjects.

    Parameters
    ----------
    run
        A trained network, or its folder.
    data
        The catalogue with images and truth; None for the one that the run was trained on, unless it was moved or changed.
    subset
        The subjects to evaluate: ``train`` (whose masks were learnt from), ``validation``, ``test``, ``all`` or ``unseen``
        (that the run has seen neither with labels nor with positions). None for ``test`` in the run's own catalogue, and for
        ``unseen`` in one of another cohort, which has no such sets.
    split
        A CSV file of participants and their sets, in place of the run's: ``subset`` is one of its sets, None for ``test``. For the
        official sets of another catalogue.
    baseline
        Another network for the same task, or its folder.
    out
        The folder for ``per_subject.csv`` and ``summary.json``; None writes nothing.
    people
        Whether equal keys in another cohort's catalogue are the ``same`` persons or ``other`` ones; None to refuse where that
        matters and cannot be determined.
    people_key
        The key file with which the run, or its pretext, was exported: it tells who here was seen. None for the one that the
        transfer was given, if it is there.
    unfinished
        Whether runs that have not done all their iterations are scored.
    device
        Where runs that are given as folders are loaded (:func:`cmr_train.load_run`).
    weights
        Weights of runs that are given as folders: ``last``, or ``best`` for those of the best validation.
    on_progress
        Called with the number of subjects scored.
    on_message
        Called with sentences about the weights and the pixel sizes.

    Returns
    -------
        The scores.

    Raises
    ------
    TrainError
        No subject of the subset has a truth that the run knows, the baseline cannot be compared, or ``split`` is no such file.
    CheckpointError
        A folder holds no run, or its weights cannot be used.
    ShardError
        The catalogue or an image cannot be read.
    OSError
        A file cannot be written.

    Examples
    --------
    >>> evaluation = evaluate("runs/finetune", baseline="runs/scratch")  # doctest: +SKIP
    >>> evaluation.table.per_subject(Metric.DICE, "ed", "LV").mean()  # doctest: +SKIP
    """
    scored_run = loaded(run, device, weights, unfinished=unfinished)
    other = None if baseline is None else loaded(baseline, device, weights, unfinished=unfinished)
    for each in (scored_run, *(() if other is None else (other,))):
        check_has_classes(each, "score")
        if each.head is Head.POSITIONS and each.config.traits.is_control:
            on_message(f"run {each.name!r} has learnt the boxes of other people, and is scored on each person's own")
    if scored_run.validation_dice:
        on_message(scored_run.weights_sentence)
    said = None if people is None else member_of(People, people, "people")
    key_file = scored_run.people_key if people_key is None else Path(people_key)
    key = None if key_file is None else SecretKey(read_key_file(key_file))
    sets = None if split is None else read_split_file(Path(split))
    with Catalogue(own_catalogue(scored_run) if data is None else Path(data)) as catalogue:
        identity = CatalogueIdentity.of(catalogue)
        is_own = scored_run.has_sets and identity.is_of_one_cohort(scored_run.catalogue)
        by_default = Subset.TEST if is_own or sets is not None else Subset.UNSEEN
        chosen = by_default if subset is None else member_of(Subset, subset, "subset")
        everyone = select_images(scored_run.config, catalogue, scored_run.head, Subset.ALL)
        known = known_people(scored_run, identity, participants(everyone), said, key)
        scored = (
            choose_subset(scored_run, catalogue, everyone, chosen, known, is_own=is_own)
            if sets is None
            else choose_set(everyone, chosen, sets)
        )
        index = scored.index
        known_to_baseline = None if other is None else known_people(other, identity, participants(everyone), said, key)
        if other is not None and known_to_baseline is not None:
            _check_baseline(scored_run, other, known, known_to_baseline, participants(index))
        unwanted = (
            unwanted_pixels(catalogue, index, scored_run.view, scored_run.config.structures)
            if scored_run.head is Head.STRUCTURES
            else {}
        )
        runs = [scored_run] if other is None else [scored_run, other]
        spacings = spacings_of(catalogue, index)
        for sentence in dict.fromkeys(pixels_sentence(each, spacings) for each in runs):
            if sentence is not None:
                on_message(sentence)
        tables = _score_subjects(runs, catalogue, index, on_progress)
    evaluation = Evaluation(
        run=scored_run.name,
        view=scored_run.view,
        head=scored_run.head,
        subset=chosen,
        weights=scored_run.weights,
        catalogue=identity,
        is_own_catalogue=is_own,
        split_file=None if split is None else Path(split).absolute(),
        is_finished=scored_run.is_finished,
        classes=scored_run.classes,
        unwanted_pixels=unwanted,
        table=tables[0],
        n_subjects_left_out=n_subjects_of(everyone, scored.left_out),
        n_trained_on=n_subjects_of(index, known.learnt_from),
        n_seen_by_pretext=n_subjects_of(index, known.seen_by_pretext - known.learnt_from),
        n_baseline_trained_on=0 if known_to_baseline is None else n_subjects_of(index, known_to_baseline.learnt_from),
        baseline_run=None if other is None else other.name,
        baseline=None if other is None else tables[1],
        baseline_classes={} if other is None else other.classes,
        comparisons=() if other is None else compare_tables(*(table.of(_common(scored_run, other)) for table in tables)),
    )
    if out is not None:
        write_scores(evaluation, Path(out))
    return evaluation


def write_scores(evaluation: Evaluation, folder: Path) -> None:
    """Write ``per_subject.csv`` and ``summary.json``.

    Raises
    ------
    TrainError
        The folder holds the scores of a study, which its report reads.
    OSError
        They cannot be written.
    """
    if holds_scores_of_study(folder):
        raise TrainError(f"{str(folder)!r} holds the scores of a study, which its report reads; choose another folder")
    folder.mkdir(parents=True, exist_ok=True)
    write_whole(folder / PER_SUBJECT_NAME, per_subject_csv(evaluation.table, evaluation.view).encode())
    write_json(folder / SUMMARY_NAME, evaluation.to_json())


def _check_baseline(run: Run, baseline: Run, known: KnownPeople, known_to_baseline: KnownPeople, evaluated: Sequence[str]) -> None:
    """Refuse a baseline of another task, or one that learnt from evaluated participants that the run did not learn from."""
    if (baseline.view, baseline.head) != (run.view, run.head):
        raise TrainError(
            f"the baseline finds {baseline.head} on {baseline.view.title}, and the run {run.head} on {run.view.title}; "
            "only runs of one task can be compared"
        )
    if not _common(run, baseline):
        raise TrainError(
            f"the baseline finds {', '.join(baseline.classes.values())}, and the run {', '.join(run.classes.values())}: they have "
            "no structure in common"
        )
    ahead = known_to_baseline.learnt_from.intersection(evaluated) - known.learnt_from
    if ahead:
        raise TrainError(
            f"the baseline was trained on {len(ahead):,} of the {counted(len(evaluated), 'participant')} to evaluate "
            f"that the run did not "
            "learn from, so that it cannot be compared; train both with the same split_seed"
        )


def _common(run: Run, baseline: Run) -> frozenset[str]:
    """Return the names of the classes that two runs find."""
    return frozenset(run.classes.values()).intersection(baseline.classes.values())


def _score_subjects(
    runs: Sequence[Run], catalogue: Catalogue, index: ImageIndex, on_progress: OnProgress
) -> tuple[ScoreTable, ...]:
    """Score each run on all images of an index."""
    subjects = list(_by_subject(index))
    scored: list[list[ScoredVolume]] = [[] for _ in runs]
    on_progress(Progress(0, len(subjects)))
    for n_done, volumes in enumerate(subjects, start=1):
        for volume in volumes:
            for scores_of_run, scores in zip(scored, _score(runs, catalogue, volume), strict=True):
                scores_of_run.extend(scores)
        on_progress(Progress(n_done, len(subjects)))
    return tuple(ScoreTable(tuple(scores_of_run)) for scores_of_run in scored)


def _by_subject(index: ImageIndex) -> Iterator[list[_Volume]]:
    """Gather the rows of the index into volumes, one list per subject."""
    subjects: dict[str, dict[int, list[int]]] = {}
    for row, phase in enumerate(index.phase_index.tolist()):
        subjects.setdefault(index.subject(row), {}).setdefault(phase, []).append(row)
    for subject, phases in subjects.items():
        yield [
            _Volume(
                subject=subject,
                phase=str(index.phase[rows[0]]),
                phase_index=phase,
                slices=tuple(int(index.slice_index[row]) for row in rows),
            )
            for phase, rows in sorted(phases.items())
        ]


def _score(runs: Sequence[Run], catalogue: Catalogue, volume: _Volume) -> Iterator[list[ScoredVolume]]:
    """Score each run on one volume: the classes that it finds, where they were drawn."""
    view, subject = runs[0].view, volume.subject
    images = [catalogue.image(subject, view, volume.phase_index, slice_index) for slice_index in volume.slices]
    read = catalogue.labels if runs[0].head is Head.STRUCTURES else catalogue.positions
    truth = np.stack([read(subject, view, volume.phase_index, slice_index) for slice_index in volume.slices])
    planes = catalogue.view_attributes(subject, view).planes
    spacing_mm = [(planes[slice_index].row_spacing_mm, planes[slice_index].column_spacing_mm) for slice_index in volume.slices]
    for run in runs:
        is_known = _known_classes(run, catalogue, volume)
        names = {value: name for value, name in run.classes.items() if is_known[:, value].any()}
        prediction = keep_drawn(np.stack(label_images(run, images, spacing_mm)), is_known)
        scores = score_volume(keep_drawn(truth, is_known), prediction, classes=list(names), spacing_mm=spacing_mm)
        yield [
            ScoredVolume(subject=subject, phase=volume.phase, structure=name, score=score)
            for name, score in zip(names.values(), scores, strict=True)
        ]


def _known_classes(run: Run, catalogue: Catalogue, volume: _Volume) -> NDArray[np.bool_]:
    """Return the slices on which each class that a run finds is annotated, present or absent; shape (slices, classes)."""
    if run.head is Head.POSITIONS:
        return np.ones((len(volume.slices), len(PositionClass)), dtype=np.bool_)
    is_known = catalogue.labelled_structures(volume.subject, run.view)[volume.phase_index, list(volume.slices)]
    return np.asarray(is_known & np.isin(np.arange(is_known.shape[1]), [0, *run.classes]), dtype=np.bool_)
