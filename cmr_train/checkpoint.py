"""Weights on disk: written whole or not at all, read without running code, checked before they are used.

A run's folder holds ``config.json`` (what was asked for), ``split.json`` (who was in which set), ``last.pt`` (all that is
needed to go on) and, once it is finished, ``final.pt`` (the weights).
"""

import io
import json
import os
import pickle
import warnings
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch

from cmr_planes.views import CardiacView
from cmr_train.choices import Head, Recipe
from cmr_train.config import RunConfig
from cmr_train.data.splits import Split
from cmr_train.errors import CheckpointError, ConfigError, TrainError
from cmr_train.models.unet import UNet
from cmr_train.presets import problems

CONFIG_NAME, SPLIT_NAME, LAST_NAME, FINAL_NAME = "config.json", "split.json", "last.pt", "final.pt"
FORMAT = "cmr-train checkpoint"
VERSION = 1
"""Of the files that are written; files of a larger number are refused."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Run:
    """A trained network and what it was trained on."""

    model: UNet
    """On the device that was asked for, in evaluation mode."""
    config: RunConfig
    """All that the run was told."""
    head: Head
    """The head that the run was for."""
    view: CardiacView
    """The view that the network knows."""
    image_size: tuple[int, int]
    """(rows, columns) of the network's matrix."""
    split: Split
    """Who was trained on, watched, and kept for the test."""


def write_whole(path: Path, data: bytes) -> None:
    """Write a file so that it is whole or not there: under another name, brought to the disk, renamed."""
    part = path.with_name(f"{path.name}.part")
    try:
        with part.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except BaseException as error:
        part.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise OSError(error.errno, error.strerror, str(path)) from error
        raise


def write_json(path: Path, value: Any) -> None:  # noqa: ANN401  # whatever JSON can hold
    """Write a value as JSON, whole or not at all."""
    write_whole(path, (json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode())


def save_checkpoint(path: Path, content: Mapping[str, Any]) -> None:
    """Write tensors and plain values, whole or not at all.

    Raises
    ------
    OSError
        The disk is full, or the folder cannot be written.
    """
    buffer = io.BytesIO()
    torch.save({"format": FORMAT, "version": VERSION, **content}, buffer)
    write_whole(path, buffer.getvalue())


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Read what :func:`save_checkpoint` wrote, onto the CPU; no code in the file is run.

    Raises
    ------
    CheckpointError
        The file is missing, damaged, not ours, of a later release, or holds more than tensors and plain values.
    """
    if not path.exists():
        raise CheckpointError(f"there is no checkpoint {str(path)!r}")
    if not zipfile.is_zipfile(path):  # what torch wrote before 2020 is a bare pickle
        raise CheckpointError(f"{str(path)!r} is damaged, or was not written by cmr-train")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what torch remarks on a damaged file
            content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise CheckpointError(
            f"checkpoint {str(path)!r} is refused: it is damaged, or holds more than weights, which could run code; "
            "use only files that cmr-train wrote"
        ) from error
    except (OSError, RuntimeError, EOFError, ValueError, KeyError, AttributeError) as error:
        raise CheckpointError(f"checkpoint {str(path)!r} cannot be read: it is damaged, or not a checkpoint") from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise CheckpointError(f"{str(path)!r} was not written by cmr-train")
    if content.get("version", 0) > VERSION:
        raise CheckpointError(f"checkpoint {str(path)!r} was written by a later release of cmr-train; update this one")
    return cast("dict[str, Any]", content)


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON file of a run's folder.

    Raises
    ------
    CheckpointError
        It is missing or damaged.
    """
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise CheckpointError(f"{str(path.parent)!r} is not a run of cmr-train: it has no {path.name}") from error
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{str(path)!r} cannot be read: {error}") from error
    if not isinstance(value, dict):
        raise CheckpointError(f"{str(path)!r} does not hold what cmr-train writes there")
    return value


def read_config(run: Path) -> RunConfig:
    """Read what a run was told.

    Raises
    ------
    CheckpointError
        The folder is not a run's, or of another release.
    """
    try:
        config = RunConfig.from_json(read_json(run / CONFIG_NAME)["config"])
        found = problems(config)
        if found:
            raise ConfigError(found)
    except CheckpointError:
        raise
    except (KeyError, TypeError, TrainError) as error:
        raise CheckpointError(f"{str(run / CONFIG_NAME)!r} cannot be used: {error}") from error
    return config


def read_split(run: Path) -> Split:
    """Read who was in which set of a run."""
    try:
        return Split.from_json(read_json(run / SPLIT_NAME))
    except (KeyError, TypeError) as error:
        raise CheckpointError(f"{str(run / SPLIT_NAME)!r} does not hold the three sets") from error


def make_network(config: RunConfig) -> UNet:
    """Build the network of a configuration, with torch's random weights."""
    return UNet(1, config.network.base_channels, config.network.levels, heads=config.heads)


def read_weights(run: Path) -> dict[str, torch.Tensor]:
    """Read a run's weights: the final ones, else the last ones.

    Raises
    ------
    CheckpointError
        There are none, or they cannot be used.
    """
    path = next((run / name for name in (FINAL_NAME, LAST_NAME) if (run / name).is_file()), None)
    if path is None:
        raise CheckpointError(f"run {str(run)!r} has no weights yet: neither {FINAL_NAME} nor {LAST_NAME}")
    weights = load_checkpoint(path).get("model")
    if not isinstance(weights, dict) or not all(isinstance(each, torch.Tensor) for each in weights.values()):
        raise CheckpointError(f"{str(path)!r} holds no weights of a network")
    return weights


def load_run(run: Path, device: torch.device | str = "cpu") -> Run:
    """Load a trained network: the final weights, else the last ones.

    Parameters
    ----------
    run
        The run's folder.
    device
        Where the network goes.

    Raises
    ------
    CheckpointError
        The folder is not a run's, has no weights, or they are damaged or of another network.
    """
    config = read_config(run)
    weights = read_weights(run)
    with torch.device("meta"):  # takes no memory, whatever the configuration says
        expected = {name: tensor.shape for name, tensor in make_network(config).state_dict().items()}
    if {name: tensor.shape for name, tensor in weights.items()} != expected:
        raise CheckpointError(f"the weights of run {str(run)!r} are of another network than its {CONFIG_NAME} says")
    model = make_network(config)
    model.load_state_dict(weights)
    return Run(
        model=model.to(device).eval(),
        config=config,
        head=config.head,
        view=config.data.view,
        image_size=config.image_size,
        split=read_split(run),
    )


def newest_pretext(folder: Path, view: CardiacView) -> Path | None:
    """Return the run of the pretext task on a view that was finished last, None if there is none.

    Parameters
    ----------
    folder
        Where runs are; each is a folder in it.
    view
        The view that it must be of.
    """
    finished = sorted(folder.glob(f"*/{FINAL_NAME}"), key=lambda path: path.stat().st_mtime_ns, reverse=True)
    for path in finished:
        try:
            config = read_config(path.parent)
        except CheckpointError:
            continue
        if config.recipe is Recipe.PRETEXT and config.data.view is view:
            return path.parent
    return None
