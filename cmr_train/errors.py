"""Errors of the trainer; each is one sentence that says what was found and what to do.

The tree::

    CmrPlanesError
    └── TrainError            the job cannot be done with this data or these weights
        ├── ConfigError       what was asked for cannot be carried out; lists every problem
        ├── CheckpointError   weights that are missing, damaged, or of another network
        └── DivergedError     the loss or the weights are no longer finite
"""

from collections.abc import Sequence

from cmr_planes.errors import CmrPlanesError


class TrainError(CmrPlanesError):
    """The data, or what was trained before, does not allow what was asked for."""


class ConfigError(TrainError):
    """A configuration that cannot be carried out.

    Parameters
    ----------
    problems
        One sentence each, in terms of the options.
    """

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__(tuple(problems))
        self.problems = tuple(problems)

    def __str__(self) -> str:
        return "; ".join(self.problems)


class CheckpointError(TrainError):
    """A file of weights is missing, damaged, not ours, or of another network."""


class DivergedError(TrainError):
    """The loss or the weights are NaN or infinite."""
