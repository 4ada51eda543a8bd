"""Damage to shards that leaves their size as it was."""

from pathlib import Path

import h5py


def damage_chunk(shard: Path, subject: str, number: int) -> bytes:
    """Overwrite one image of a subject's short axis, chunk ``number``; return the shard's bytes of before."""
    with h5py.File(shard, locking=False) as file:
        chunk = file[f"data/{subject}/sax/image"].id.get_chunk_info(number)
    before = shard.read_bytes()
    shard.write_bytes(before[: chunk.byte_offset] + b"\xff" * chunk.size + before[chunk.byte_offset + chunk.size :])
    return before
