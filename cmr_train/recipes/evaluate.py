"""Score a trained network on annotated subjects, and compare it with another on the same ones."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cmr_planes.shards.catalogue import Catalogue, ImageIndex
from cmr_planes.system.whole_file import write_whole
from cmr_planes.views import PositionClass
from cmr_train.choices import Head, Subset
from cmr_train.config import class_names
from cmr_train.errors import TrainError
from cmr_train.evaluation.metrics import score_volume
from cmr_train.evaluation.score_files import PER_SUBJECT_NAME, SUMMARY_NAME, comparisons_json, per_subject_csv, summary_json
from cmr_train.evaluation.scores import Comparison, ScoredVolume, ScoreTable, compare
from cmr_train.prediction.inference import label_images
from cmr_train.runs.files import write_json
from cmr_train.runs.run import Run

OnSubject = Callable[[], None]
"""Called whenever a subject is done."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """The scores of a run, and of its baseline where there is one."""

    table: ScoreTable
    """Of the run."""
    n_trained_on: int
    """Subjects among the evaluated ones whom the run was trained on."""
    baseline: ScoreTable | None
    """Of the baseline, on the same subjects."""
    comparisons: tuple[Comparison, ...]
    """The run minus its baseline; empty without one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Volume:
    """The images of one phase of one subject that have a truth."""

    subject: str
    phase: str
    phase_index: int
    slices: tuple[int, ...]


def evaluate(
    run: Run,
    catalogue: Catalogue,
    index: ImageIndex,
    *,
    baseline: Run | None = None,
    on_subject: OnSubject = lambda: None,
) -> Evaluation:
    """Score a run, and its baseline on the same subjects.

    Parameters
    ----------
    run
        A trained network.
    catalogue
        Where images and truth are.
    index
        The images to evaluate, as :func:`cmr_train.data.selection.select_images` returns them.
    baseline
        Another network for the same task.
    on_subject
        Called whenever a subject is done.

    Raises
    ------
    TrainError
        The truth has classes that the run does not know, or the baseline cannot be compared.
    ShardError
        An image cannot be read.
    """
    if baseline is not None:
        _check_baseline(run, baseline, index)
    runs = [run] if baseline is None else [run, baseline]
    scored: list[list[ScoredVolume]] = [[] for _ in runs]
    for volumes in _by_subject(index):
        for volume in volumes:
            for place, scores in enumerate(_score(runs, catalogue, volume)):
                scored[place].extend(scores)
        on_subject()
    tables = [ScoreTable(tuple(each)) for each in scored]
    trained_on = set(run.split.train)
    subjects = {index.subject(row) for row in range(len(index)) if index.participant(row) in trained_on}
    return Evaluation(
        table=tables[0],
        n_trained_on=len(subjects),
        baseline=None if baseline is None else tables[1],
        comparisons=() if baseline is None else compare(*tables),
    )


def write_evaluation(
    evaluation: Evaluation, run: Run, folder: Path, *, name: str, subset: Subset, baseline: str | None = None
) -> dict[str, Any]:
    """Write ``per_subject.csv`` and ``summary.json``.

    Parameters
    ----------
    evaluation
        What was found.
    run
        The network.
    folder
        Where to.
    name
        Of the run.
    subset
        Who was evaluated.
    baseline
        Name of the baseline, where there is one.

    Returns
    -------
        What ``summary.json`` holds.
    """
    summary = {
        "run": name,
        "view": run.view.value,
        "task": run.head.value,
        "subset": subset.value,
        "n_trained_on": evaluation.n_trained_on,
        **summary_json(evaluation.table),
    }
    if evaluation.baseline is not None:
        summary["baseline"] = {
            "run": baseline,
            "differences": "run minus baseline over subjects with both values",
            **summary_json(evaluation.baseline),
            "comparisons": comparisons_json(evaluation.comparisons),
        }
    write_whole(folder / PER_SUBJECT_NAME, per_subject_csv(evaluation.table, run.view).encode())
    write_json(folder / SUMMARY_NAME, summary)
    return summary


def _check_baseline(run: Run, baseline: Run, index: ImageIndex) -> None:
    """Refuse a baseline that does another task or has seen the test."""
    if (baseline.view, baseline.head) != (run.view, run.head):
        raise TrainError(
            f"the baseline finds {baseline.head} on {baseline.view.title}, and the run {run.head} on {run.view.title}; "
            "only runs of one task can be compared"
        )
    evaluated = {index.participant(row) for row in range(len(index))}
    n_seen = [len(evaluated & set(each.split.train)) for each in (run, baseline)]
    if n_seen[1] > n_seen[0]:
        raise TrainError(
            f"the baseline was trained on {n_seen[1]} of the {len(evaluated)} participants to evaluate and the run on {n_seen[0]}, "
            "so that it cannot be compared; train both with one --split-seed"
        )


def _by_subject(index: ImageIndex) -> Iterator[list[_Volume]]:
    """Gather the rows of the index into volumes, one list a subject."""
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
    """Score each run on one volume."""
    run, subject = runs[0], volume.subject
    images = [catalogue.image(subject, run.view, volume.phase_index, level) for level in volume.slices]
    is_known = _known_classes(run, catalogue, volume)
    names = {value: name for value, name in class_names(run.view, run.head).items() if is_known[:, value].any()}
    truth = _keep(_read_truth(run, catalogue, volume), is_known)
    planes = catalogue.view_attributes(subject, run.view).planes
    spacing_mm = [(planes[level].row_spacing_mm, planes[level].column_spacing_mm) for level in volume.slices]
    for each in runs:
        prediction = _keep(np.stack(label_images(each, images, spacing_mm)), is_known)
        scores = score_volume(truth, prediction, classes=list(names), spacing_mm=spacing_mm)
        yield [
            ScoredVolume(subject=subject, phase=volume.phase, structure=name, score=score)
            for name, score in zip(names.values(), scores, strict=True)
        ]


def _read_truth(run: Run, catalogue: Catalogue, volume: _Volume) -> NDArray[np.uint8]:
    """Return the truth of a volume, shape (slices, rows, columns); refuse classes that the run does not know."""
    read = catalogue.labels if run.head is Head.STRUCTURES else catalogue.positions
    truth = np.stack([read(volume.subject, run.view, volume.phase_index, level) for level in volume.slices])
    known = class_names(run.view, run.head)
    strange = sorted(set(np.unique(truth).tolist()) - {0, *known})
    if strange:
        raise TrainError(
            f"the labels of {run.view.title} in {str(catalogue.path)!r} have class {strange[0]}, which the run does not know (it "
            f"finds {', '.join(f'{value} {name}' for value, name in known.items())}); annotate with these classes"
        )
    return truth


def _known_classes(run: Run, catalogue: Catalogue, volume: _Volume) -> NDArray[np.bool_]:
    """Tell on which slices of a volume the truth is about a class, shape (slices, classes): drawn, or looked for and not there."""
    if run.head is Head.POSITIONS:
        return np.ones((len(volume.slices), len(PositionClass)), dtype=np.bool_)
    is_known = catalogue.labelled_structures(volume.subject, run.view)
    return np.asarray(is_known[volume.phase_index, list(volume.slices)], dtype=np.bool_)


def _keep(labels: NDArray[np.uint8], is_known: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Take classes off the slices on which nothing is known of them; shapes (slices, rows, columns) and (slices, classes)."""
    levels = np.arange(len(labels))[:, np.newaxis, np.newaxis]
    return np.where(is_known[levels, labels], labels, np.uint8(0))
