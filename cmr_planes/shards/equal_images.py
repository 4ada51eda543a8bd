"""Images that several subjects of a catalogue share: copies of one scan, which leak from one side of a split to the other."""

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from cmr_planes.errors import NoteCode
from cmr_planes.shards.opening import get_table, open_file, reading_table
from cmr_planes.shards.records import ViewRecord
from cmr_planes.shards.schema import FileKind
from cmr_planes.views import CardiacView

PRINT_LENGTH = 16
"""Hexadecimal digits of a view's print."""
MOST_NAMED = 5
"""Other subjects that a note names; how many more there are stands as a number, so that notes stay short whatever is shared."""


def view_print(view: ViewRecord) -> str:
    """Return what is equal for views with equal images at equal places: a digest of both, 16 hexadecimal digits."""
    digest = hashlib.sha256(view.image.tobytes())
    for plane in view.planes:
        digest.update((np.round(plane.patient_from_pixel, 3) + 0.0).tobytes())
    return digest.hexdigest()[:PRINT_LENGTH]


def equal_image_notes(shards: Sequence[Path], subjects: Sequence[Sequence[bytes]]) -> list[tuple[Any, ...]]:
    """Find subjects that share the images of a view.

    Parameters
    ----------
    shards
        The shards of a catalogue, in order. Those of earlier releases have no prints, and their subjects are not compared.
    subjects
        For each shard, the keys of its subjects that the catalogue has.

    Returns
    -------
        Rows of ``/notes``: one for each view of each subject that shares it.

    Raises
    ------
    ShardError
        A table cannot be read.
    """
    owners: defaultdict[tuple[bytes, bytes], list[tuple[int, str]]] = defaultdict(list)
    n_before = 0
    for shard, keys in zip(shards, subjects, strict=True):
        numbers = {key: number for number, key in enumerate(keys, start=n_before + 1)}
        n_before += len(keys)
        with open_file(shard, FileKind.SHARD) as file, reading_table(shard, "prints"):
            for row in get_table(file, "prints")[()] if "prints" in file else ():
                if row["subject"] in numbers:
                    owners[row["view"], row["digest"]].append((numbers[row["subject"]], row["subject"].decode()))
    found = [(number, key, view, sharing) for (view, _), sharing in owners.items() for number, key in sharing]
    return [_note(number, key, view.decode(), sharing) for number, key, view, sharing in sorted(found) if len(sharing) > 1]


def _note(number: int, key: str, view: str, sharing: Sequence[tuple[int, str]]) -> tuple[Any, ...]:
    """Return a row that names other subjects by their numbers in the catalogue, the first :data:`MOST_NAMED` of them."""
    named = [f"{other:,}" for other, _ in sharing[: MOST_NAMED + 1] if other != number][:MOST_NAMED]
    n_more = len(sharing) - 1 - len(named)
    others = f"{'subject' if len(sharing) == 2 else 'subjects'} {', '.join(named)}{f' and {n_more:,} more' if n_more else ''}"
    sentence = (
        f"the {CardiacView(view).title} images are those of {others} of this catalogue too, pixel by pixel; they may be one "
        "person's, so keep them on one side of a split"
    )
    return key, view, NoteCode.EQUAL_IMAGES.value, sentence
