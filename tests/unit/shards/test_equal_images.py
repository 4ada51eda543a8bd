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


def write_prints(path: Path, prints: list[tuple[str, str, str]]) -> None:
    """Write a shard with a given table of prints: subject, view, digest."""
    write_shard(
        path, [make_subject(1, views=(CardiacView.SAX,), n_slices=1, matrix=(170, 160))], codec=Codec.GZIP, configuration={}
    )
    with h5py.File(path, "a") as file:
        del file["prints"]
        file["prints"] = np.array(prints, dtype=[("subject", "S8"), ("view", "S3"), ("digest", "S16")])


def test_the_subjects_of_a_note_are_those_that_a_search_one_by_one_finds(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    shards, subjects, everything = [], [], []
    for shard in range(4):
        keys = [f"S{shard}-{number:02}" for number in range(30)]
        prints = [(key, view, f"{random.integers(12 if view == 'sax' else 200):016x}") for key in keys for view in ("sax", "2ch")]
        path = tmp_path / f"{shard:05}.h5"
        write_prints(path, prints)
        kept = [key for key in keys if random.random() < 0.9]  # of the others the catalogue has later rows
        shards.append(path)
        subjects.append([key.encode() for key in kept])
        everything += [(key, view, digest) for key, view, digest in prints if key in kept]
    numbers = {key.decode(): number for number, key in enumerate((key for of_shard in subjects for key in of_shard), start=1)}
    expected = []
    for key, view, digest in sorted(everything, key=lambda found: (numbers[found[0]], found[1])):
        others = [numbers[other] for other, *rest in everything if rest == [view, digest] and other != key]
        if others:
            expected.append((key, view, others[:MOST_NAMED], len(others)))
    rows = equal_image_notes(shards, subjects)
    assert [row[:2] for row in rows] == [row[:2] for row in expected]
    for (*_, sentence), (_, _, named, n_others) in zip(rows, expected, strict=True):
        more = f" and {n_others - MOST_NAMED} more" if n_others > MOST_NAMED else ""
        assert f"{'subject' if n_others == 1 else 'subjects'} {', '.join(map(str, named))}{more} of this" in sentence
    assert {row[1] for row in rows} == {"sax", "2ch"}


def test_no_prints_give_no_notes(tmp_path: Path) -> None:
    write_prints(tmp_path / "00000.h5", [])
    assert equal_image_notes([], []) == []
    assert equal_image_notes([tmp_path / "00000.h5"], [[b"S"]]) == []
