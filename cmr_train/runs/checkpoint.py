"""Weights on disk: written whole or not at all, read without running code, checked before they are used."""

import io
import pickle
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import torch

from cmr_planes.system.whole_file import write_whole
from cmr_train.errors import CheckpointError

FORMAT = "cmr-train checkpoint"
VERSION = 1
"""Of the files that are written; files of a larger number are refused."""


def save_checkpoint(path: Path, content: Mapping[str, Any]) -> None:
    """Write tensors and plain values, whole or not at all.

    Raises
    ------
    ShardError
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
