"""A study's folder as frozen values: every run's configuration, state, scores and learning curve."""

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cmr_planes.views import CardiacView
from cmr_train.choices import Head, TransferMode, Weights
from cmr_train.config import VIEW_STRUCTURES, RunConfig
from cmr_train.errors import CheckpointError
from cmr_train.evaluation.metrics import Metric
from cmr_train.evaluation.score_files import PER_SUBJECT_NAME, read_per_subject_csv
from cmr_train.evaluation.scores import MEAN, POOLED, ScoreTable
from cmr_train.runs.folder import CONFIG_NAME, RESULT_NAME, SCORES_FIELD, read_config, read_json
from cmr_train.study.job import TEST_FIELD, State
from cmr_train.study.plan import PRETEXTS
from cmr_train.study.run import STUDY_NAME, began_from_others, pretext_digests
from cmr_train.training.tracking import METRICS_NAME

MISSING = "missing"
"""State of a run that has not ended."""

_VALIDATION = "validation_"
_BEGAN_FROM_OTHERS = "it began from other weights than those of its pretext now; delete its folder and start the study again"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Curve:
    """How a network did on the validation set while it learnt."""

    iterations: NDArray[np.int64]
    """Shape (validations,), ascending."""
    dice: Mapping[str, NDArray[np.float64]]
    """By structure, and ``mean``; each of shape (looks,), NaN where a line lacks it."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RunResult:
    """What became of one run."""

    name: str
    folder: Path
    state: str
    """``done``, ``failed`` or ``missing``."""
    error: str | None
    """A sentence, unless it is done."""
    attempts: int | None
    seconds: float | None
    device: str | None
    n_subjects: int | None
    """Participants it learnt from."""
    n_images: int | None
    """Images it learnt from."""
    config: RunConfig | None
    """Its configuration; None where it never started."""
    table: ScoreTable | None
    """Its scores on the test set."""
    curve: Curve | None
    """None where the run was not validated."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CellResult:
    """One network of the comparison."""

    name: str
    variant: str
    mode: TransferMode
    subjects: int
    seed: int
    pretext: str | None
    run: RunResult
    """Cells that are the same share one."""


@dataclass(frozen=True)
class StudyResults:
    """A study's folder."""

    folder: Path
    name: str
    note: str
    """What a reader must know of the data; empty for none."""
    view: CardiacView
    subjects: tuple[int, ...]
    modes: tuple[TransferMode, ...]
    variants: tuple[str, ...]
    weights: Weights
    """Those that were scored."""
    versions: Mapping[str, str]
    catalogues: Mapping[str, str]
    """SHA-256 of each, by path."""
    other_test_set: Mapping[Path, str]
    """SHA-256, by path, of another catalogue that the networks were tested on, and of the split file that names its test set."""
    pretexts: tuple[RunResult, ...]
    cells: tuple[CellResult, ...]

    @cached_property
    def structures(self) -> tuple[str, ...]:
        """Names of the structures that the networks find."""
        return tuple(self.classes.values())

    @cached_property
    def classes(self) -> dict[int, str]:
        """Number and name of the structures that the networks find; those of the view where none has started."""
        found = (cell.run.config.class_names(Head.STRUCTURES) for cell in self.cells if cell.run.config is not None)
        return next(found, {int(structure): structure.title for structure in VIEW_STRUCTURES[self.view]})

    @cached_property
    def test_subjects(self) -> tuple[str, ...]:
        """Keys of all subjects that any network was tested on."""
        return tuple(dict.fromkeys(key for cell in self.cells if cell.run.table for key in cell.run.table.subjects))

    @cached_property
    def seeds(self) -> tuple[int, ...]:
        """All seeds of the plan."""
        return tuple(sorted({cell.seed for cell in self.cells}))

    @cached_property
    def runs(self) -> tuple[RunResult, ...]:
        """Every run once, the pretexts first."""
        return (*self.pretexts, *{cell.run.name: cell.run for cell in self.cells}.values())

    @cached_property
    def has_pretext_per_seed(self) -> bool:
        """Whether no two seeds start from the same pretext, so that intervals over seeds hold the variance of the pretext."""
        seeds: dict[str, set[int]] = {}
        for cell in self.cells:
            if cell.pretext is not None:
                seeds.setdefault(cell.pretext, set()).add(cell.seed)
        return all(len(of_pretext) == 1 for of_pretext in seeds.values())

    def select(self, variant: str, subjects: int, mode: TransferMode) -> tuple[CellResult, ...]:
        """Return the cells of all seeds, finished or not."""
        return tuple(cell for cell in self.cells if (cell.variant, cell.subjects, cell.mode) == (variant, subjects, mode))

    def values(self, variant: str, subjects: int, mode: TransferMode, metric: Metric, structure: str) -> NDArray[np.float64]:
        """Return what the networks of all seeds scored, the mean of phases.

        Returns
        -------
            Shape (test subjects, seeds), in the order of :attr:`test_subjects` and :attr:`seeds`; NaN where there is nothing.
        """
        found = np.full((len(self.test_subjects), len(self.seeds)), np.nan)
        rows = {key: row for row, key in enumerate(self.test_subjects)}
        for cell in self.select(variant, subjects, mode):
            table = cell.run.table
            if table is None or (structure != MEAN and structure not in table.structures):
                continue
            indices = [rows[key] for key in table.subjects]
            found[indices, self.seeds.index(cell.seed)] = table.per_subject(metric, POOLED, structure)
        return found

    def n_images(self, variant: str, subjects: int) -> tuple[int, ...]:
        """Return the different numbers of annotated images that were learnt from, ascending; empty where none is known."""
        cells = (cell for cell in self.cells if (cell.variant, cell.subjects) == (variant, subjects))
        return tuple(sorted({cell.run.n_images for cell in cells if cell.run.n_images is not None}))


def read_study(folder: Path) -> StudyResults:
    """Read a study's folder; runs that are missing, failed or damaged are part of the result, with a sentence each.

    Raises
    ------
    CheckpointError
        The folder is not a study's.
    """
    path = folder / STUDY_NAME
    if not path.is_file():
        raise CheckpointError(f"{str(folder)!r} is not a study of cmr-train: it has no {STUDY_NAME}")
    value = read_json(path)
    try:
        study = value["study"]
        test = study.get("test") or {}
        files = [Path(test[name]) for name in ("data", "split") if test.get(name)]
        runs: dict[str, RunResult] = {}
        pretexts = pretext_digests(folder, value["pretexts"])
        cells = []
        for cell in value["cells"]:
            where = cell["folder"]
            if where not in runs:
                runs[where] = _read_run(folder / where, value.get(TEST_FIELD))
                digest = pretexts.get(cell["pretext"])
                if digest is not None and began_from_others(folder / where, digest):
                    runs[where] = replace(runs[where], state=State.FAILED.value, error=_BEGAN_FROM_OTHERS, table=None)
            names = ("name", "variant", "subjects", "seed", "pretext")
            cells.append(CellResult(**{name: cell[name] for name in names}, mode=TransferMode(cell["mode"]), run=runs[where]))
        return StudyResults(
            folder=folder,
            name=study["name"],
            note=study.get("note", ""),
            view=CardiacView(study["view"]),
            subjects=tuple(study["subjects"]),
            modes=tuple(TransferMode(mode) for mode in study["modes"]),
            variants=tuple(study["variants"]),
            weights=Weights(study.get("weights", Weights.LAST)),
            versions=value.get("versions", {}),
            catalogues=value.get("catalogue_sha256", {}),
            other_test_set=dict(zip(files, value[TEST_FIELD], strict=True)) if files else {},
            pretexts=tuple(_read_run(folder / PRETEXTS / name) for name in value["pretexts"]),
            cells=tuple(cells),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{str(path)!r} does not hold what 'cmr-train study' writes there: {error}") from error


def read_curve(path: Path) -> Curve | None:
    """Read the validations from a run's ``metrics.jsonl``; lines that are cut short are skipped."""
    lines: list[dict[str, Any]] = []
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    for line in text.splitlines():
        try:
            value = json.loads(line)
        except ValueError:
            continue
        if (
            isinstance(value, dict)
            and isinstance(value.get("iteration"), int)
            and any(key.startswith(_VALIDATION) for key in value)
        ):
            lines.append(value)
    if not lines:
        return None
    names = dict.fromkeys(key for line in lines for key in line if key.startswith(_VALIDATION))
    return Curve(
        iterations=np.array([line["iteration"] for line in lines]),
        dice={name.removeprefix(_VALIDATION): np.array([_number(line.get(name)) for line in lines]) for name in names},
    )


def _read_run(folder: Path, test: list[str] | None = None) -> RunResult:
    """Read a run; scores on another test set than that of these checksums are none."""
    seal, table = _read_seal(folder), None
    state, error = seal.get("state"), seal.get("error")
    if state not in (State.DONE, State.FAILED):
        state, error = MISSING, "it has not ended; start the study again to continue it"
    elif state == State.DONE and seal.get(TEST_FIELD) != test:
        state, error = (
            State.FAILED,
            "it was scored on another test set than the study's; delete its folder and start the study again",
        )
    elif state == State.DONE and SCORES_FIELD in seal:
        try:
            table = _read_scores(folder / PER_SUBJECT_NAME, seal[SCORES_FIELD])
        except (OSError, ValueError) as problem:
            state, error = State.FAILED, f"its {PER_SUBJECT_NAME} cannot be used: {getattr(problem, 'strerror', None) or problem}"
    return RunResult(
        name=folder.name,
        folder=folder,
        state=str(state),
        error=error,
        attempts=seal.get("attempts"),
        seconds=seal.get("seconds"),
        device=seal.get("device"),
        n_subjects=seal.get("n_subjects"),
        n_images=seal.get("n_images"),
        config=_read_config(folder),
        table=table,
        curve=read_curve(folder / METRICS_NAME),
    )


def _read_scores(path: Path, sha256: str) -> ScoreTable:
    """Read the scores that a study wrote; raises ValueError for others."""
    data = path.read_bytes()
    if hashlib.sha256(data).hexdigest() != sha256:
        raise ValueError("it is not what the study wrote; delete the run's folder and start the study again")
    return read_per_subject_csv(data.decode("utf-8"))


def _read_seal(folder: Path) -> dict[str, Any]:
    try:
        return read_json(folder / RESULT_NAME)
    except CheckpointError:
        return {}


def _read_config(folder: Path) -> RunConfig | None:
    if not (folder / CONFIG_NAME).is_file():
        return None
    try:
        return read_config(folder)
    except CheckpointError:
        return None


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) else math.nan
