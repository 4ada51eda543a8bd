"""Images that several subjects of a catalogue share: copies of one scan, which leak from one side of a split to the other."""

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from cmr_planes.errors import NoteCode, ShardError
from cmr_planes.shards.opening import DAMAGE_ERRORS, get_table, open_file
from cmr_planes.shards.records import ViewRecord
from cmr_planes.shards.schema import FileKind
from cmr_planes.views import CardiacView

PRINT_LENGTH = 16
"""Hexadecimal digits of a view's print."""


def view_print(view: ViewRecord) -> str:
    """Return what is equal for views with equal images at equal places: a digest of both, 16 hexadecimal digits."""
    digest = hashlib.sha256(view.image.tobytes())
    for plane in view.planes:
        digest.update((np.round(plane.patient_from_pixel, 3) + 0.0).tobytes())
    return digest.hexdigest()[:PRINT_LENGTH]


def equal_image_notes(shards: Sequence[Path], dropped: Sequence[set[bytes]]) -> list[tuple[Any, ...]]:
    """Find subjects that share the images of a view.

    Parameters
    ----------
    shards
        The shards of a catalogue, in order. Those of earlier releases have no prints, and their subjects are not compared.
    dropped
        For each shard, subjects that do not count.

    Returns
    -------
        Rows of ``/notes``: one for each view of each subject that shares it.

    Raises
    ------
    ShardError
        A table cannot be read.
    """
    owners: defaultdict[tuple[bytes, bytes], list[tuple[int, str]]] = defaultdict(list)
    number = 0
    for shard, without in zip(shards, dropped, strict=True):
        with open_file(shard, FileKind.SHARD) as file:
            try:
                keys = [key for key in get_table(file, "subjects")[()]["subject"].tolist() if key not in without]
                numbers = dict(zip(keys, range(number + 1, number + len(keys) + 1), strict=True))
                rows = get_table(file, "prints")[()] if "prints" in file else []
                for row in rows:
                    if row["subject"] in numbers:
                        owners[row["view"], row["digest"]].append((numbers[row["subject"]], row["subject"].decode()))
            except DAMAGE_ERRORS as error:
                raise ShardError(f"a table of shard {str(shard)!r} cannot be read: the shard is damaged") from error
        number += len(keys)
    found = [(number, key, view, owners[view, digest]) for view, digest in owners for number, key in owners[view, digest]]
    return [_note(number, key, view.decode(), sharing) for number, key, view, sharing in sorted(found) if len(sharing) > 1]


def _note(number: int, key: str, view: str, sharing: Sequence[tuple[int, str]]) -> tuple[Any, ...]:
    """Return a row that names the other subjects by their numbers in the catalogue."""
    others = ", ".join(f"{other:,}" for other, _ in sharing if other != number)
    sentence = (
        f"the {CardiacView(view).title} images are those of subject {others} of this catalogue too, pixel by pixel; they may be "
        "one person's, so keep them on one side of a split"
    )
    return key, view, NoteCode.EQUAL_IMAGES.value, sentence
