"""Every byte that a run left behind, also what is compressed, as a search for leaks needs it."""

import gzip
from collections.abc import Iterable, Iterator
from pathlib import Path

import h5py
import hdf5plugin  # noqa: F401  # registers the filter
import numpy as np
from PIL import Image


def contents(path: Path) -> Iterator[bytes]:
    """Yield a file's name and bytes, and what is compressed in it."""
    data = path.read_bytes()
    yield str(path).encode()
    yield data
    if path.suffix == ".h5":
        with h5py.File(path) as file:
            yield from _in_group(file)
    elif path.suffix == ".gz":
        yield gzip.decompress(data)
    elif path.suffix == ".png":
        with Image.open(path) as image:
            yield repr(image.info).encode()


def files_under(*roots: Path) -> list[Path]:
    """Return all files in folders and those given themselves."""
    return [path for root in roots for path in (sorted(root.rglob("*")) if root.is_dir() else [root]) if path.is_file()]


def found_in(needles: Iterable[str], blobs: Iterable[bytes]) -> set[str]:
    """Return which strings occur in any of the bytes, as UTF-8 or UTF-16, whatever the case."""
    spellings = [
        (needle, spelling) for needle in needles for spelling in (needle.lower().encode(), needle.lower().encode("utf-16-le"))
    ]
    found = set()
    for blob in blobs:
        lower = blob.lower()
        found |= {needle for needle, spelling in spellings if spelling in lower}
    return found


def _in_group(group: h5py.Group) -> Iterator[bytes]:
    """Yield names, attributes and decompressed values of what is in this file, not behind external links."""
    yield from _attributes(group)
    for name in group:
        link = group.get(name, getlink=True)
        yield name.encode()
        if isinstance(link, h5py.ExternalLink):
            yield f"{link.filename} {link.path}".encode()
            continue
        item = group[name]
        if isinstance(item, h5py.Group):
            yield from _in_group(item)
        else:
            yield from _attributes(item)
            yield repr(item.dtype).encode()
            yield np.asarray(item[()]).tobytes()
            if item.dtype.hasobject:
                yield repr(item[()]).encode()


def _attributes(item: h5py.Group | h5py.Dataset) -> Iterator[bytes]:
    for name, value in item.attrs.items():
        yield name.encode()
        yield np.asarray(value).tobytes()
        yield str(value).encode()
