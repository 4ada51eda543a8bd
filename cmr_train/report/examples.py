"""What the networks see in a typical and in the worst subject, predicted again from their weights."""

import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cmr_planes.shards.catalogue import Catalogue
from cmr_planes.shards.columns import ImageIndex
from cmr_planes.system.whole_file import file_sha256
from cmr_planes.views import CardiacPhase
from cmr_train.choices import Subset, TransferMode
from cmr_train.config import RunConfig
from cmr_train.data.selection import select_images
from cmr_train.errors import CheckpointError, TrainError
from cmr_train.evaluation.metrics import Metric
from cmr_train.evaluation.scores import MEAN, POOLED
from cmr_train.prediction.inference import label_images
from cmr_train.report.results import CellResult, RunResult, StudyResults
from cmr_train.runs.folder import FINAL_NAME
from cmr_train.runs.run import load_run


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class NetworkResult:
    """What one network found."""

    labels: NDArray[np.uint8]
    """Shape (rows, columns)."""
    dice: float
    """Of the subject: the mean of its phases and structures."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Shown:
    """One image of one test subject."""

    mean_dice: float
    """Of the subject over all networks: what it was chosen by."""
    phase: str
    slice_number: int
    """From 1 at the base."""
    image: NDArray[np.uint16]
    truth: NDArray[np.uint8]
    aspect: float
    """Distance between rows over distance between columns."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Example(_Shown):
    """One image of one test subject, and what each network found in it."""

    rank: str
    """``median`` or ``worst``."""
    panels: Mapping[tuple[int, TransferMode], NetworkResult]
    """By number of annotated subjects and method; of the first finished seed."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PretextExample(_Shown):
    """One image of the median test subject, its positions, and those that the pretext found."""

    predicted: NDArray[np.uint8]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Address:
    """The address of an image."""

    subject: str
    phase: str
    phase_index: int
    slice_index: int


def examples(results: StudyResults, variant: str) -> tuple[Example, ...]:
    """Return the median and the worst test subject of a variant, by the mean Dice over all of its networks.

    Returns
    -------
        The examples, one where there is one subject.

    Raises
    ------
    TrainError
        No network has ended, no test subject has a Dice, or the catalogue is not that of the study.
    ShardError
        An image cannot be read.
    """
    cells: dict[tuple[int, TransferMode], CellResult] = {}
    for cell in results.cells:
        if cell.variant == variant and cell.run.table is not None and (cell.run.folder / FINAL_NAME).is_file():
            cells.setdefault((cell.subjects, cell.mode), cell)
    config = next((cell.run.config for cell in cells.values() if cell.run.config is not None), None)
    if config is None:
        raise TrainError("no network of this variant has its weights in the folder of the study")
    ranked = _ranked([cell.run for cell in results.cells if cell.variant == variant])
    if not ranked:
        raise TrainError("no test subject has a Dice")
    chosen = {"median": ranked[(len(ranked) - 1) // 2]} | ({"worst": ranked[0]} if len(ranked) > 1 else {})
    with _open(results, next(iter(results.other_test_set), config.data.data)) as catalogue:
        index = select_images(config, catalogue, config.head, Subset.ALL)
        return tuple(_example(catalogue, index, config, cells, rank, *scored) for rank, scored in chosen.items())


def pretext_example(results: StudyResults, run: RunResult) -> PretextExample:
    """Return the median test subject of a pretext by its mean Dice; errors are as of :func:`examples`."""
    ranked = _ranked([run])
    if run.config is None or not ranked or not (run.folder / FINAL_NAME).is_file():
        raise TrainError("it has no weights in the folder of the study, or was not scored")
    subject, mean_dice = ranked[(len(ranked) - 1) // 2]
    with _open(results, run.config.data.data) as catalogue:
        index = select_images(run.config, catalogue, run.config.head, Subset.ALL)
        address, truth = _choose(index, subject, _reader(catalogue.positions, run.config))
        image, aspect, spacing_mm = _image(catalogue, run.config, address)
        predicted = label_images(load_run(run.folder, "cpu"), [image], [spacing_mm])[0]
    return PretextExample(
        mean_dice=mean_dice,
        phase=address.phase,
        slice_number=address.slice_index + 1,
        image=image,
        truth=truth,
        predicted=predicted,
        aspect=aspect,
    )


def _ranked(runs: Sequence[RunResult]) -> list[tuple[str, float]]:
    """Return test subjects with their mean Dice over runs, the worst first."""
    values: dict[str, list[float]] = {}
    for table in (run.table for run in runs if run.table is not None):
        for subject, dice in zip(table.subjects, table.per_subject(Metric.DICE, POOLED, MEAN).tolist(), strict=True):
            if not np.isnan(dice):
                values.setdefault(subject, []).append(dice)
    return sorted(((key, float(np.mean(dice))) for key, dice in values.items()), key=lambda pair: (pair[1], pair[0]))


def _open(results: StudyResults, path: Path) -> Catalogue:
    """Open a catalogue, if it is the one that the study was run on."""
    if not path.is_file():
        raise TrainError(f"the catalogue {path.name!r} is not where it was when the study ran; start from the same folder")
    expected = results.catalogues.get(Path(path).as_posix())
    if expected is not None and file_sha256(path) != expected:
        raise TrainError(f"the catalogue {path.name!r} has changed since the study ran")
    return Catalogue(path)


def _example(
    catalogue: Catalogue,
    index: ImageIndex,
    config: RunConfig,
    cells: Mapping[tuple[int, TransferMode], CellResult],
    rank: str,
    subject: str,
    mean_dice: float,
) -> Example:
    address, truth = _choose(index, subject, _reader(catalogue.labels, config))
    image, aspect, spacing_mm = _image(catalogue, config, address)
    panels = {}
    for key, cell in cells.items():
        table = cell.run.table
        if table is None or subject not in table.subjects:
            continue
        dice = float(table.per_subject(Metric.DICE, POOLED, MEAN)[table.subjects.index(subject)])
        with contextlib.suppress(CheckpointError):  # its panel reads "not there"
            panels[key] = NetworkResult(labels=label_images(load_run(cell.run.folder, "cpu"), [image], [spacing_mm])[0], dice=dice)
    return Example(
        rank=rank,
        mean_dice=mean_dice,
        phase=address.phase,
        slice_number=address.slice_index + 1,
        image=image,
        truth=truth,
        aspect=aspect,
        panels=panels,
    )


def _choose(index: ImageIndex, subject: str, read: Callable[[_Address], NDArray[np.uint8]]) -> tuple[_Address, NDArray[np.uint8]]:
    """Return the image of a subject with most classes and then most labelled pixels, at end-diastole where there is one."""
    addresses = [
        _Address(
            subject=subject,
            phase=str(index.phase[row]),
            phase_index=int(index.phase_index[row]),
            slice_index=int(index.slice_index[row]),
        )
        for row in range(len(index))
        if index.subject(row) == subject
    ]
    if not addresses:
        raise TrainError("the chosen test subject is not in the catalogue")
    first = [address for address in addresses if address.phase == CardiacPhase.ED] or [
        address for address in addresses if address.phase_index == addresses[0].phase_index
    ]
    truths = [(address, read(address)) for address in first]
    return max(truths, key=lambda pair: (len(np.unique(pair[1])), int((pair[1] > 0).sum())))


def _reader(read: Callable[..., NDArray[np.uint8]], config: RunConfig) -> Callable[[_Address], NDArray[np.uint8]]:
    return lambda address: read(address.subject, config.data.view, address.phase_index, address.slice_index)


def _image(catalogue: Catalogue, config: RunConfig, address: _Address) -> tuple[NDArray[np.uint16], float, tuple[float, float]]:
    plane = catalogue.view_attributes(address.subject, config.data.view).planes[address.slice_index]
    image = catalogue.image(address.subject, config.data.view, address.phase_index, address.slice_index)
    spacing_mm = plane.row_spacing_mm, plane.column_spacing_mm
    return image, spacing_mm[0] / spacing_mm[1], spacing_mm
