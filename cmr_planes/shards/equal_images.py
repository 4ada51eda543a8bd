"""Images that several subjects of a catalogue share: copies of one scan, which leak from one side of a split to the other."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

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
    numbers, keys, views, digests = _prints(shards, subjects)
    _, of_view = np.unique(views, return_inverse=True)
    _, of_digest = np.unique(digests, return_inverse=True)
    _, scan, n_subjects = np.unique(of_digest * len(views) + of_view, return_inverse=True, return_counts=True)
    order = np.argsort(scan, kind="stable")  # all subjects of a scan beside one another, in the order of the catalogue
    ends = np.cumsum(n_subjects)
    shared = np.flatnonzero(n_subjects[scan] > 1)
    rows = []
    for row in shared[np.lexsort((of_view[shared], numbers[shared]))].tolist():
        start, end = ends[scan[row]] - n_subjects[scan[row]], ends[scan[row]]
        first = numbers[order[start : min(end, start + MOST_NAMED + 1)]].tolist()
        rows.append(_note(int(numbers[row]), keys[row].decode(), views[row].decode(), first, n_sharing=int(end - start)))
    return rows


def _prints(
    shards: Sequence[Path], subjects: Sequence[Sequence[bytes]]
) -> tuple[NDArray[np.int64], NDArray[np.bytes_], NDArray[np.bytes_], NDArray[np.bytes_]]:
    """Read the prints of all shards: the subject's number from 1, its key, the view, and the digest; each of shape (prints,)."""
    numbers: list[NDArray[np.int64]] = [np.zeros(0, dtype=np.int64)]
    columns: dict[str, list[NDArray[np.bytes_]]] = {name: [np.zeros(0, dtype="S1")] for name in ("subject", "view", "digest")}
    n_before = 0
    for shard, keys in zip(shards, subjects, strict=True):
        number_of = {key: number for number, key in enumerate(keys, start=n_before + 1)}
        n_before += len(keys)
        with open_file(shard, FileKind.SHARD) as file, reading_table(shard, "prints"):
            if "prints" not in file:
                continue
            table = get_table(file, "prints")[()]
            texts = {name: table[name].astype(np.bytes_) for name in columns}
            names = [key.decode() for key in texts["subject"].tolist()]  # what is no text is damage
            number = np.array([number_of.get(name.encode(), 0) for name in names], dtype=np.int64)
            numbers.append(number[number > 0])
            for name, found in columns.items():
                found.append(texts[name][number > 0])
    key, view, digest = (np.concatenate(found) for found in columns.values())
    return np.concatenate(numbers), key, view, digest


def _note(number: int, key: str, view: str, first: Sequence[int], *, n_sharing: int) -> tuple[Any, ...]:
    """Return a row that names other subjects by their numbers in the catalogue, the first :data:`MOST_NAMED` of them."""
    named = [f"{other:,}" for other in first if other != number][:MOST_NAMED]
    n_more = n_sharing - 1 - len(named)
    others = f"{'subject' if n_sharing == 2 else 'subjects'} {', '.join(named)}{f' and {n_more:,} more' if n_more else ''}"
    sentence = (
        f"the {CardiacView(view).title} images are those of {others} of this catalogue too, pixel by pixel; they may be one "
        "person's, so keep them on one side of a split"
    )
    return key, view, NoteCode.EQUAL_IMAGES.value, sentence
