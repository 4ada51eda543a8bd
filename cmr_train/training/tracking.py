"""Records of a run in progress: ``metrics.jsonl``, and the same for TensorBoard."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from torch.utils.tensorboard import SummaryWriter

from cmr_planes.system.whole_file import write_whole

METRICS_NAME = "metrics.jsonl"
EVENTS_NAME = "tensorboard"
"""The folder of TensorBoard's events."""
VALIDATION_MEAN = "mean"
"""Stands for the score among the values of a validation: the mean over the classes, or the explained share of numbers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One line of ``metrics.jsonl``."""

    iteration: int
    """Iterations that are done."""
    losses: dict[str, float]
    """Mean of each task's loss since the line before."""
    learning_rate: float
    """Of the last iteration."""
    images_per_second: float
    """Since the line before, of all tasks and processes."""
    validation: dict[str, float] = field(default_factory=dict)
    """Dice of each class on the validation set, and their mean; or the error of numbers, and the share that is explained. Those of
    the pretext task of ``multitask`` begin with its name, as ``positions_``. Empty where the run was not validated."""

    def to_json(self) -> dict[str, float]:
        """Return what stands in the line."""
        losses = {f"loss_{task}": loss for task, loss in self.losses.items()}
        rate = round(self.images_per_second, 1)
        validation = {f"validation_{name}": round(dice, 6) for name, dice in self.validation.items()}
        common = {"learning_rate": self.learning_rate, "images_per_second": rate}
        return {"iteration": self.iteration, **losses, **common, **validation}


class Tracker:
    """Writes the records of a run.

    Parameters
    ----------
    folder
        The run's folder.
    iteration
        Where the run begins: lines of later iterations, which a run that was killed may have left, are removed.
    """

    def __init__(self, folder: Path, iteration: int) -> None:
        self._path = folder / METRICS_NAME
        keep_until(self._path, iteration)
        self._file = self._path.open("a", encoding="utf-8", newline="\n")
        self._events = SummaryWriter(str(folder / EVENTS_NAME), purge_step=iteration + 1)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self._file.close()
        self._events.close()

    def write(self, record: Record) -> None:
        """Write one record.

        Raises
        ------
        OSError
            The disk is full.
        """
        values = record.to_json()
        self._file.write(json.dumps(values, allow_nan=False) + "\n")
        self._file.flush()
        for name, value in values.items():
            if name != "iteration":
                self._events.add_scalar(name, value, record.iteration)


def keep_until(path: Path, iteration: int) -> None:
    """Remove the lines of iterations after one, and a last line that was cut short."""
    if not path.exists():
        return
    kept = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            is_kept = json.loads(line)["iteration"] <= iteration
        except (ValueError, KeyError, TypeError):
            continue
        if is_kept:
            kept.append(line)
    write_whole(path, "".join(f"{line}\n" for line in kept).encode())
