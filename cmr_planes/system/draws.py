"""Random draws that depend on a key and a seed alone: equal on every machine, and unchanged when other keys join."""

import hashlib


def unit_hash(key: str, seed: int) -> float:
    """Return a number from 0 up to 1 that depends on the key and the seed, and on nothing else."""
    digest = hashlib.sha256(f"{seed}:{key}".encode()).digest()
    return int.from_bytes(digest[:7], "big") / (1 << 56)


def share_index(key: str, seed: int, fractions: tuple[float, float, float]) -> int:
    """Return into which of three shares a key falls, 0, 1 or 2; ``fractions`` are 0 or more and sum to 1."""
    return share_of(unit_hash(key, seed), fractions)


def share_of(draw: float, fractions: tuple[float, float, float]) -> int:
    """Return into which share a number of :func:`unit_hash` falls, as :func:`share_index`."""
    return 0 if draw < fractions[0] else 1 if draw < 1 - fractions[2] else 2
