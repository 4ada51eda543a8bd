"""Notes about images that several subjects share: short, whatever is shared."""

from pathlib import Path

import h5py
import numpy as np
import pytest

from cmr_planes.errors import NoteCode
from cmr_planes.shards.equal_images import MOST_NAMED, equal_image_notes
from cmr_planes.shards.schema import Codec
from cmr_planes.views import CardiacView
from tests.helpers.records import make_subject, write_shard


def shard_of_copies(path: Path, n_subjects: int) -> list[bytes]:
    """Write a shard whose table of prints says that all of these subjects share the images of a view; return their keys."""
    write_shard(
        path, [make_subject(1, views=(CardiacView.SAX,), n_slices=1, matrix=(170, 160))], codec=Codec.GZIP, configuration={}
    )
    keys = [f"SYN-{number:04}".encode() for number in range(1, n_subjects + 1)]
    with h5py.File(path, "a") as file:
        prints = np.repeat(file["prints"][:1].astype([("subject", "S8"), ("view", "S3"), ("digest", "S16")]), n_subjects)
        prints["subject"] = keys
        del file["prints"]
        file["prints"] = prints
    return keys


@pytest.mark.parametrize(
    ("n_subjects", "first", "last"),
    [
        (2, "those of subject 2 of", "those of subject 1 of"),
        (3, "those of subjects 2, 3 of", "those of subjects 1, 2 of"),
        (1 + MOST_NAMED, "those of subjects 2, 3, 4, 5, 6 of", "those of subjects 1, 2, 3, 4, 5 of"),
        (200, "those of subjects 2, 3, 4, 5, 6 and 194 more of", "those of subjects 1, 2, 3, 4, 5 and 194 more of"),
    ],
)
def test_a_note_names_the_first_of_the_others(tmp_path: Path, n_subjects: int, first: str, last: str) -> None:
    keys = shard_of_copies(tmp_path / "00000.h5", n_subjects)
    rows = equal_image_notes([tmp_path / "00000.h5"], [keys])
    assert [row[0].encode() for row in rows] == keys
    assert {row[1:3] for row in rows} == {("sax", NoteCode.EQUAL_IMAGES.value)}
    assert first in rows[0][3]
    assert last in rows[-1][3]
    assert max(len(row[3]) for row in rows) < 250
