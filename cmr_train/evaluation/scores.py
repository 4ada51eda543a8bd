"""From the scores of single volumes to the numbers of a table: per subject first, then over subjects."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np
from numpy.typing import NDArray

from cmr_planes.views import CardiacPhase
from cmr_train.evaluation.metrics import Metric, Score
from cmr_train.evaluation.statistics import PairedDifference, paired_difference

POOLED = "pooled"
"""Stands for all phases of a subject: the mean of its values."""

MEAN = "mean"
"""Stands for all structures of a phase: the mean of their values."""

FRAME = "frame"
"""Stands for any frame that is not known to be end-diastole or end-systole."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoredVolume:
    """One structure in one phase of one subject."""

    subject: str
    """The subject's key."""
    phase: str
    """``ed``, ``es``, or the number of a frame."""
    structure: str
    """Name of the class."""
    score: Score
    """How well it was found."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """One metric over subjects. NaN where there are no subjects; ``std`` also where there is one."""

    n_subjects: int
    """Subjects that have a value."""
    mean: float
    std: float
    """Sample standard deviation."""
    median: float
    lower_quartile: float
    upper_quartile: float


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupSummary:
    """One row of the table of results: a phase and a structure."""

    phase: str
    """``ed``, ``es``, ``frame`` or ``pooled``."""
    structure: str
    """Name of the class, or ``mean``."""
    metrics: dict[Metric, Spread]
    """Every metric over subjects."""
    n_volumes: int
    """Volumes in the row: a subject's phase and structure is one."""
    n_empty: int
    """Volumes that neither truth nor prediction has: without any value."""
    n_failed: int
    """Volumes in which truth and prediction share no slice: Dice is 0, a distance does not exist."""
    n_scored: int
    """Slices with a distance."""
    n_missed: int
    """Slices in which only the truth has the structure."""
    n_invented: int
    """Slices in which only the prediction has it."""


@dataclass(frozen=True)
class ScoreTable:
    """The scores of a method on a set of subjects."""

    volumes: tuple[ScoredVolume, ...]
    """At most one for each subject, phase and structure."""

    @cached_property
    def subjects(self) -> tuple[str, ...]:
        """Keys of the subjects, in order of appearance."""
        return tuple(dict.fromkeys(volume.subject for volume in self.volumes))

    @cached_property
    def structures(self) -> tuple[str, ...]:
        """Names of the structures, in order of appearance."""
        return tuple(dict.fromkeys(volume.structure for volume in self.volumes))

    def of(self, structures: Collection[str]) -> Self:
        """Return the scores of some structures."""
        return type(self)(tuple(volume for volume in self.volumes if volume.structure in structures))

    @cached_property
    def phases(self) -> tuple[str, ...]:
        """Those of ``ed``, ``es`` and ``frame`` that occur."""
        found = {phase_group(volume.phase) for volume in self.volumes}
        return tuple(phase for phase in (*(known.value for known in CardiacPhase), FRAME) if phase in found)

    def per_subject(self, metric: Metric, phase: str, structure: str) -> NDArray[np.float64]:
        """Return a metric of every subject.

        Parameters
        ----------
        metric
            Which one.
        phase
            One of :attr:`phases`, or :data:`POOLED`.
        structure
            One of :attr:`structures`, or :data:`MEAN`.

        Returns
        -------
            Shape (subjects,), in the order of :attr:`subjects`; NaN where a subject has no value. Averages are over the values
            that exist: first over frames, then over structures, then over phases.
        """
        values = self._values[metric]
        of_structure = _nanmean(values, 2) if structure == MEAN else values[:, :, self.structures.index(structure)]
        return _nanmean(of_structure, 1) if phase == POOLED else of_structure[:, self.phases.index(phase)]

    def summaries(self) -> tuple[GroupSummary, ...]:
        """Return one row for each phase and structure: apart, pooled, and averaged over structures."""
        return tuple(self._summary(phase, structure) for phase, structure in self.groups())

    def groups(self) -> tuple[tuple[str, str], ...]:
        """Return the (phase, structure) of every row; ``pooled`` comes first, ``mean`` after the structures."""
        phases = (POOLED, *self.phases) if len(self.phases) > 1 else self.phases
        structures = (*self.structures, MEAN) if len(self.structures) > 1 else self.structures
        return tuple((phase, structure) for phase in phases for structure in structures)

    @cached_property
    def _values(self) -> dict[Metric, NDArray[np.float64]]:
        """Every metric, shape (subjects, phases, structures)."""
        shape = (len(self.subjects), len(self.phases), len(self.structures))
        indices = ({key: index for index, key in enumerate(keys)} for keys in (self.subjects, self.phases, self.structures))
        subject_index, phase_index, structure_index = indices
        cells: dict[tuple[int, int, int], list[Score]] = {}
        for volume in self.volumes:
            cell = subject_index[volume.subject], phase_index[phase_group(volume.phase)], structure_index[volume.structure]
            cells.setdefault(cell, []).append(volume.score)
        result = {metric: np.full(shape, np.nan) for metric in Metric}
        for metric, values in result.items():
            for cell, scores in cells.items():
                values[cell] = _nanmean(np.array([score.value(metric) for score in scores]), 0)
        return result

    def _summary(self, phase: str, structure: str) -> GroupSummary:
        scores = [
            volume.score
            for volume in self.volumes
            if phase in (POOLED, phase_group(volume.phase)) and structure in (MEAN, volume.structure)
        ]
        return GroupSummary(
            phase=phase,
            structure=structure,
            metrics={metric: spread(self.per_subject(metric, phase, structure)) for metric in Metric},
            n_volumes=len(scores),
            n_empty=sum(score.is_empty for score in scores),
            n_failed=sum(score.is_failure for score in scores),
            n_scored=sum(score.n_scored for score in scores),
            n_missed=sum(score.n_missed for score in scores),
            n_invented=sum(score.n_invented for score in scores),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """A method minus its baseline: one phase, structure and metric."""

    phase: str
    structure: str
    metric: Metric
    difference: PairedDifference
    """Over the subjects that both have scored."""


def compare_tables(table: ScoreTable, baseline: ScoreTable) -> tuple[Comparison, ...]:
    """Compare two methods on the same subjects, in every group and metric.

    Parameters
    ----------
    table, baseline
        The method and what it is compared with; subjects, phases and structures are the same.

    Raises
    ------
    ValueError
        They are not.
    """
    for name in ("subjects", "phases", "structures"):
        if getattr(table, name) != getattr(baseline, name):
            raise ValueError(f"the two tables differ in their {name}: {getattr(table, name)} and {getattr(baseline, name)}")
    return tuple(
        Comparison(
            phase=phase,
            structure=structure,
            metric=metric,
            difference=paired_difference(
                table.per_subject(metric, phase, structure), baseline.per_subject(metric, phase, structure)
            ),
        )
        for phase, structure in table.groups()
        for metric in Metric
    )


def phase_group(phase: str) -> str:
    """Return ``ed`` or ``es`` for these, :data:`FRAME` for the number of a frame."""
    return phase if phase in set(CardiacPhase) else FRAME


def spread(values: NDArray[np.float64] | Sequence[float]) -> Spread:
    """Summarise a metric over subjects, shape (subjects,); NaN stands for no value.

    Examples
    --------
    >>> spread([0.8, 0.9, np.nan]).n_subjects
    2
    """
    present = np.asarray(values, dtype=np.float64)
    present = present[~np.isnan(present)]
    if not len(present):
        return Spread(n_subjects=0, mean=np.nan, std=np.nan, median=np.nan, lower_quartile=np.nan, upper_quartile=np.nan)
    lower, median, upper = np.quantile(present, (0.25, 0.5, 0.75))
    return Spread(
        n_subjects=len(present),
        mean=float(present.mean()),
        std=float(present.std(ddof=1)) if len(present) > 1 else np.nan,
        median=float(median),
        lower_quartile=float(lower),
        upper_quartile=float(upper),
    )


def _nanmean(values: NDArray[np.float64], axis: int) -> NDArray[np.float64]:
    """Average the values that exist along an axis; NaN where none does."""
    is_there = ~np.isnan(values)
    n_values = is_there.sum(axis=axis)
    total = np.where(is_there, values, 0.0).sum(axis=axis)
    return np.asarray(np.divide(total, n_values, out=np.full(np.shape(total), np.nan), where=n_values > 0))
