"""Objects of an HDF5 file, changed through h5py so that the library itself finds the file whole."""

import io
from collections.abc import Callable
from random import Random
from typing import Any

import h5py
import hdf5plugin  # noqa: F401  # registers the filter
import numpy as np

from tests.fuzz.bytewise import ANY_BYTES, STRINGS

_NAMES = ("/dev/zero", "../x.h5", "/", "", ".", "out.h5", "out.shards/00000.h5", "out.labels/00000.h5", "out.shards", "a" * 5000)


def mutate(data: bytes, rng: Random) -> bytes:
    """Change one to three objects, or bytes."""
    if rng.random() < 0.4:
        return rng.choice(ANY_BYTES)(data, rng)
    stream = io.BytesIO(data)
    try:
        with h5py.File(stream, "r+") as file:
            for _ in range(rng.choice((1, 1, 2, 3))):
                _change(file, rng)
    except (OSError, RuntimeError, ValueError, KeyError, TypeError):
        return rng.choice(ANY_BYTES)(data, rng)
    return stream.getvalue()


def _change(file: h5py.File, rng: Random) -> None:
    paths: list[str] = []
    file.visit(paths.append)
    path = rng.choice(["/", *sorted(paths)])
    item = file[path]
    if rng.random() < 0.4 and len(item.attrs):
        _change_attribute(item, rng)
    elif isinstance(item, h5py.Dataset):
        _change_dataset(file, path, item, rng)
    else:
        _change_links(item, rng)


def _value(rng: Random) -> Any:
    return rng.choice(
        (
            *(0, -1, 2, 1.5, float("nan"), float("inf"), b"\xff\xfe", "1", True, 1 << 40, 1j),
            *(
                np.zeros(0),
                np.zeros((2, 2)),
                np.full((3, 4, 4), np.nan),
                np.zeros((2, 2), "u1"),
                h5py.Empty("f"),
                np.bytes_(b"x" * 300),
            ),
            *(["a", "b"], "{}", "[1", "[]", '{"a": ' * 2000, rng.choice(STRINGS).replace("\0", "")),
        )
    )


def _change_attribute(item: Any, rng: Random) -> None:
    name = rng.choice(sorted(item.attrs))
    way = rng.randrange(4)
    if way == 0:
        del item.attrs[name]
    elif way == 1 and isinstance(item.attrs[name], np.ndarray) and item.attrs[name].dtype.kind in "fiub":
        item.attrs[name] = _spoilt(item.attrs[name], rng)
    else:
        item.attrs[name] = _value(rng)


def _spoilt(values: Any, rng: Random) -> Any:
    """Return an array of another shape, type or content."""
    changed = np.array(values)
    ways: list[Callable[[], Any]] = [
        lambda: changed[:0],
        lambda: np.concatenate([changed, changed]),
        lambda: changed.astype(rng.choice(("f4", "i8", "S4", "c8", "u1"))),
        lambda: changed * rng.choice((0, -1, 1000)),
        lambda: changed.reshape(-1),
    ]
    if changed.size and changed.dtype.kind == "f" and rng.random() < 0.6:
        flat = changed.reshape(-1)
        flat[rng.randrange(len(flat))] = rng.choice((np.nan, np.inf, -1.0, 0.0, 1e300))
        return changed
    return rng.choice(ways)()


def _change_dataset(file: h5py.File, path: str, dataset: h5py.Dataset, rng: Random) -> None:
    if dataset.dtype.names is not None and rng.random() < 0.85:
        _change_table(file, path, dataset, rng)
        return
    shape, kind = dataset.shape, dataset.dtype
    way = rng.randrange(5)
    del file[path]
    if way == 0:
        return
    if way == 1:
        file.create_group(path)
    elif way == 2:  # as large as can be said, and nothing behind it
        file.create_dataset(path, rng.choice(((1 << 40,), (1 << 20,) * 3, (1 << 16,) * 4, (70000, 70000))), kind, chunks=True)
    elif way == 3:
        file.create_dataset(path, shape, rng.choice(("f8", "u1", "S3", h5py.string_dtype(), "i2", "c16")))
    else:
        file.create_dataset(path, rng.choice(((), (0,), shape[::-1], (*shape, 1), tuple(max(0, size - 1) for size in shape))), kind)


def _change_table(file: h5py.File, path: str, dataset: h5py.Dataset, rng: Random) -> None:
    table = dataset[()]
    names = list(table.dtype.names)
    name = rng.choice(names)
    way = rng.randrange(5)
    if way == 0:
        table = table[[each for each in names if each != name]]
    elif way == 1:
        table = table.astype(
            [(each, rng.choice(("S9", "f8", "i1", "u8", "S1")) if each == name else table.dtype[each]) for each in names]
        )
    elif way == 2:
        table = np.concatenate([table, table]) if rng.random() < 0.5 else table[:0]
    elif len(table):
        row = rng.randrange(len(table))
        if table.dtype[name].kind == "S":
            table = table.astype([(each, "S6000" if each == name else table.dtype[each]) for each in names])
            table[name][row] = rng.choice((*(text.encode() for text in (*STRINGS, *_NAMES)), b"\xff\xfe", b"sax", b"3ch"))
        else:
            table[name][row] = rng.choice((0, 1, 2, 100))
            if table.dtype[name].kind in "iu":
                table[name][row] = rng.choice((0, 1, np.iinfo(table.dtype[name].base).max))
    del file[path]
    file.create_dataset(path, data=table)


def _change_links(group: h5py.Group, rng: Random) -> None:
    names = sorted(group)
    if not names:
        return
    name, way = rng.choice(names), rng.randrange(5)
    if way == 0:
        del group[name]
        return
    if way == 1:
        group.move(name, rng.choice(("x", "\u00e9", "..x", "3ch", "a" * 300)))
        return
    del group[name]
    target = rng.choice((group.name, f"{group.name}/{name}", "/", "/nowhere"))
    group[name] = h5py.SoftLink(target) if way == 2 else h5py.ExternalLink(rng.choice([each for each in _NAMES if each]), target)
