"""Errors of the trainer; each is one sentence that says what was found and what to do.

The tree::

    CmrPlanesError
    └── TrainError            the job cannot be done with this data or these weights
        ├── ConfigError       what was asked for cannot be carried out; lists every problem
        ├── CheckpointError   weights that are missing, damaged, or of another network
        ├── DivergedError     the loss or the weights are no longer finite
        └── StoppedError      a signal stopped the training; a checkpoint is saved
"""

from collections.abc import Sequence
from dataclasses import dataclass

from cmr_planes.errors import CmrPlanesError


class TrainError(CmrPlanesError):
    """The data, or what was trained before, does not allow what was asked for."""


@dataclass(frozen=True, slots=True)
class SettingProblem:
    """Why a setting cannot have its value; the command line shows its option in place of its name."""

    setting: str
    """The setting's name."""
    sentence: str
    """The rest of the sentence: ``"must be more than 0, got 0"``."""
    is_missing: bool = False
    """Whether it was not given and has to be; the command line then shows its option although it was not typed."""

    def __str__(self) -> str:
        return f"{self.setting} {self.sentence}"


class ConfigError(TrainError):
    """What was asked for cannot be carried out.

    Parameters
    ----------
    problems
        All problems, one sentence each; those with one setting name it.
    """

    def __init__(self, problems: Sequence[SettingProblem | str]) -> None:
        super().__init__(tuple(problems))
        self.problems = tuple(problems)

    def __str__(self) -> str:
        return "; ".join(str(problem) for problem in self.problems)


class CheckpointError(TrainError):
    """A file of weights is missing, damaged, not ours, or of another network."""


class DivergedError(TrainError):
    """The loss or the weights are NaN or infinite."""


class StoppedError(TrainError):
    """A signal stopped the training before its end; the last checkpoint is saved and can be resumed."""
