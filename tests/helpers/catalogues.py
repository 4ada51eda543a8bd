"""A small catalogue on disk, for the tests of commands."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from cmr_planes.errors import Finding, NoteCode
from cmr_planes.shards.catalogue_writer import write_catalogue
from cmr_planes.shards.records import SubjectRecord
from cmr_planes.shards.schema import Codec
from tests.helpers.records import make_subject, rejected_subject, write_shard


def write_batches(folder: Path, batches: Sequence[Sequence[SubjectRecord]]) -> Path:
    """Write ``out.h5`` and its shards in a folder; return its path."""
    (folder / "out.shards").mkdir(parents=True)
    shards = [folder / "out.shards" / f"{number:05}.h5" for number in range(len(batches))]
    for path, batch in zip(shards, batches, strict=True):
        write_shard(path, batch, codec=Codec.BITSHUFFLE_LZ4, configuration={"box": 11.0})
    write_catalogue(folder / "out.h5", shards, configuration={"box": 11.0}, versions={"cmr-planes": "1"})
    return folder / "out.h5"


def make_catalogue(folder: Path) -> Path:
    """Two subjects, one of low agreement on 4Ch, and one that was rejected, in two shards."""
    second = make_subject(2, n_slices=2, agreement=0.25)
    second = dataclasses.replace(second, findings=(Finding("4ch", NoteCode.LOW_AGREEMENT, "the images disagree (0.25)"),))
    return write_batches(folder, [[make_subject(1, n_slices=2), rejected_subject(3)], [second]])
