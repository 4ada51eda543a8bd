"""Random draws that depend on a key and a seed alone: equal on every machine, and unchanged when other keys join."""

import hashlib


def unit_hash(key: str, seed: int) -> float:
    """Return a number from 0 up to 1 that depends on the key and the seed, and on nothing else."""
    digest = hashlib.sha256(f"{seed}:{key}".encode()).digest()
    return int.from_bytes(digest[:7], "big") / (1 << 56)
