"""Groups, tables, attributes and images in HDF5, so that equal values give equal bytes.

Fixed bounds of the file format, no times, and nothing of the machine. HDF5's low-level interface is used where a shard needs
thousands of the same thing. Datasets are closed where they are done: HDF5 gives them their place then, and a profiler that holds
our frames would otherwise put that off.
"""

import importlib.metadata
from collections.abc import Mapping
from contextlib import closing
from typing import Any

import h5py
import hdf5plugin  # registers the filter
import numpy as np
from h5py import h5a, h5d, h5g, h5p, h5s, h5t
from numpy.typing import NDArray

from cmr_planes.shards.schema import (
    SCHEMA_VERSION,
    Codec,
    FileKind,
    RootAttribute,
    configuration_digest,
)
from cmr_planes.shards.tables import Table
from cmr_planes.system.json_text import JSON, canonical_json

LIBVER = ("v110", "v110")
"""Bounds of the HDF5 file format: readable since HDF5 1.10 (2016), and the same bytes from any later library."""


COMPACT_BYTES = 1 << 14
"""Datasets up to this size are kept in their header; larger ones have a place of their own."""


_MAX_ATTRIBUTES_IN_HEADER = 64


_GZIP_LEVEL = 4


_TABLE_GZIP_LEVEL = 1


_TABLE_CHUNK_BYTES = 1 << 18


def software_versions() -> dict[str, str]:
    """Return the versions on which a shard's bytes depend."""
    return {
        "cmr-planes": importlib.metadata.version("cmr-planes"),
        "h5py": h5py.version.version,
        "hdf5": h5py.version.hdf5_version,
        "hdf5plugin": hdf5plugin.version,
        "numpy": np.version.version,
    }


def write_root_attributes(file: h5py.File, kind: FileKind, configuration: Mapping[str, JSON], versions: Mapping[str, JSON]) -> None:
    """Say what a file is, and from what it was made."""
    file.attrs[RootAttribute.FORMAT] = kind.value
    file.attrs[RootAttribute.SCHEMA_VERSION] = np.int64(SCHEMA_VERSION)
    file.attrs[RootAttribute.CONFIGURATION] = canonical_json(configuration)
    file.attrs[RootAttribute.CONFIGURATION_SHA256] = configuration_digest(configuration)
    file.attrs[RootAttribute.VERSIONS] = canonical_json(versions)


def write_table(file: h5py.File, name: str, table: Table) -> None:
    """Write a whole table."""
    dataset = create_table(file, name, table.dtype, len(table))
    with closing(dataset.id):
        if len(table):
            dataset[...] = table


def create_table(file: h5py.File, name: str, dtype: np.dtype[np.void], n_rows: int) -> h5py.Dataset:
    """Create a compressed table of ``n_rows`` rows, to be filled in order."""
    if n_rows == 0:
        return file.create_dataset(name, shape=(0,), dtype=dtype, track_times=False)
    chunk_rows = min(n_rows, max(1, _TABLE_CHUNK_BYTES // dtype.itemsize))
    return file.create_dataset(
        name,
        shape=(n_rows,),
        dtype=dtype,
        chunks=(chunk_rows,),
        compression="gzip",
        compression_opts=_TABLE_GZIP_LEVEL,
        shuffle=True,
        track_times=False,
    )


def create_group(parent: h5g.GroupID, name: str) -> h5g.GroupID:
    """Create a group that keeps no times, and its attributes in its header: HDF5's way with more than eight is slow and large."""
    properties = h5p.create(h5p.GROUP_CREATE)
    properties.set_obj_track_times(False)
    properties.set_attr_phase_change(_MAX_ATTRIBUTES_IN_HEADER, 0)
    return h5g.create(parent, name.encode(), gcpl=properties)


_TEXT = h5py.string_dtype()


_TEXT_IN_FILE = h5t.py_create(_TEXT, logical=True)


_TEXT_IN_MEMORY = h5t.py_create(_TEXT)


_NUMBER_TYPES = {
    "f8": h5t.IEEE_F64LE,
    "i4": h5t.STD_I32LE,
    "u1": h5t.STD_U8LE,
    "b1": h5t.py_create(np.dtype(np.bool_), logical=True),
}


_SCALAR = h5s.create(h5s.SCALAR)


def write_attribute(group: h5g.GroupID, name: str, value: Any) -> None:  # noqa: ANN401  # what view_attributes returns
    """Write an attribute: strings with variable length, numbers as little-endian."""
    is_text = isinstance(value, str | tuple)
    array = np.array(value, dtype=_TEXT) if is_text else np.asarray(value)
    in_file = _TEXT_IN_FILE if is_text else _NUMBER_TYPES[array.dtype.str[1:]]
    space = h5s.create_simple(array.shape) if array.shape else _SCALAR
    h5a.create(group, name.encode(), in_file, space).write(array, _TEXT_IN_MEMORY if is_text else in_file)


def write_images(group: h5g.GroupID, name: str, images: NDArray[Any], kind: h5t.TypeID, codec: Codec) -> None:
    """Write images of shape (phase, slice, row, column), one chunk each."""
    properties = _image_properties(codec, images.shape[2:])
    with closing(h5d.create(group, name.encode(), kind, h5s.create_simple(images.shape), properties)) as dataset:
        dataset.write(h5s.ALL, h5s.ALL, np.ascontiguousarray(images))


def _image_properties(codec: Codec, matrix: tuple[int, ...]) -> h5p.PropDCID:
    properties = h5p.create(h5p.DATASET_CREATE)
    properties.set_obj_track_times(False)
    properties.set_fill_time(h5d.FILL_TIME_NEVER)
    properties.set_chunk((1, 1, *matrix))
    if codec is Codec.GZIP:
        properties.set_shuffle()
        properties.set_deflate(_GZIP_LEVEL)
    else:
        options = hdf5plugin.Bitshuffle(cname="lz4")
        properties.set_filter(options.filter_id, 0, options.filter_options)
    return properties


def write_small(group: h5g.GroupID, name: str, array: NDArray[Any]) -> None:
    """Write a small uncompressed dataset."""
    properties = h5p.create(h5p.DATASET_CREATE)
    properties.set_obj_track_times(False)
    if array.nbytes <= COMPACT_BYTES:
        properties.set_layout(h5d.COMPACT)
    if array.dtype.kind == "S":
        kind = h5t.C_S1.copy()
        kind.set_size(array.dtype.itemsize)
        kind.set_strpad(h5t.STR_NULLPAD)
        kind.set_cset(h5t.CSET_UTF8)
    else:
        kind = _NUMBER_TYPES[array.dtype.str[1:]]
    with closing(h5d.create(group, name.encode(), kind, h5s.create_simple(array.shape), properties)) as dataset:
        dataset.write(h5s.ALL, h5s.ALL, np.ascontiguousarray(array), kind)
