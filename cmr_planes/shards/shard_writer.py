"""One batch of subjects into one sealed shard.

Equal records, configuration and versions give equal bytes: fixed order, fixed bounds of the file format, no times, and nothing of
the machine. HDF5's low-level interface is used where a shard needs thousands of the same thing. Datasets are closed where they are
done: HDF5 gives them their place then, and a profiler that holds our frames would otherwise put that off.
"""

import importlib.metadata
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import h5py
import hdf5plugin  # registers the filter
import numpy as np
from h5py import h5a, h5d, h5g, h5p, h5s, h5t
from numpy.typing import NDArray

from cmr_planes.errors import ShardError
from cmr_planes.geometry import VIEW_LINES, Positions, draw_mask
from cmr_planes.shards.records import ShardSummary, SubjectRecord, ViewRecord
from cmr_planes.shards.schema import (
    CLIP_POLICY,
    INSTANCE_DIGEST_LENGTH,
    SCHEMA_VERSION,
    Attribute,
    Codec,
    Dataset,
    FileKind,
    Group,
    RootAttribute,
    check_subject_key,
    configuration_digest,
    instance_digest,
)
from cmr_planes.shards.tables import Table, TableRows
from cmr_planes.system.json_text import JSON, canonical_json
from cmr_planes.system.whole_file import read_checksum, sealed
from cmr_planes.views import PositionClass, position_name

LIBVER = ("v110", "v110")
"""Bounds of the HDF5 file format: readable since HDF5 1.10 (2016), and the same bytes from any later library."""

COMPACT_BYTES = 1 << 14
"""Datasets up to this size are kept in their header; larger ones have a place of their own."""

_MAX_ATTRIBUTES_IN_HEADER = 64
_GZIP_LEVEL = 4
_TABLE_GZIP_LEVEL = 1
_TABLE_CHUNK_BYTES = 1 << 18


def write_shard(
    path: Path, records: Iterable[SubjectRecord], *, codec: Codec, configuration: Mapping[str, JSON], salt: str = ""
) -> ShardSummary:
    """Write a shard, with its checksum beside it.

    Parameters
    ----------
    path
        The shard; its folder must exist. A file that is there is replaced, once the new one is complete.
    records
        Subjects in the order in which they are to stand; consumed one at a time. Keys must differ.
    codec
        How images and masks are compressed.
    configuration
        What the run was told; kept so that a catalogue can be rebuilt from its shards. No paths of this machine, please.
    salt
        Salt of the digests of DICOM instances; empty for the configuration's digest, which everybody can read.

    Returns
    -------
        What is in the shard.

    Raises
    ------
    ShardError
        It cannot be written; nothing is left behind.
    ValueError
        A record contradicts itself, or its key cannot name a group.
    """
    rows = TableRows()
    keys: set[str] = set()
    salt = salt or configuration_digest(configuration)
    with sealed(path, checksum=True) as stream, h5py.File(stream, "w", libver=LIBVER) as file:
        write_root_attributes(file, FileKind.SHARD, configuration, software_versions())
        file.attrs[RootAttribute.CODEC] = codec.value
        data = create_group(file.id, Group.DATA)
        for record in records:
            check_record(record)
            if record.key in keys:
                raise ValueError(f"subject key {record.key!r} occurs twice in one batch")
            keys.add(record.key)
            _write_subject(data, record, codec, salt)
            rows.add(record)
            stream.check()
        tables = rows.tables()
        for name, table in tables.items():
            write_table(file, name, table)
    digest = read_checksum(path)
    if digest is None:
        raise ShardError(
            f"the checksum of {path.name} disappeared while it was written; is another run writing to the same output?"
        )
    return ShardSummary(path.name, digest, path.stat().st_size, len(tables["subjects"]), len(tables["index"]))


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


def check_record(record: SubjectRecord) -> None:
    """Raise ``ValueError`` where a record contradicts itself."""
    check_subject_key(record.key)
    views = [view.view for view in record.views]
    if len(set(views)) < len(views):
        raise ValueError(f"subject {record.key!r} has a view twice: {[view.value for view in views]}")
    for view in record.views:
        try:
            _check_view(view)
        except ValueError as error:
            error.add_note(f"in view {view.view} of subject {record.key!r}")
            raise


def _check_view(view: ViewRecord) -> None:
    if view.image.ndim != 4 or view.image.dtype != np.uint16 or view.image.size == 0:
        raise ValueError(
            f"expected an image of shape (phase, slice, row, column) and type uint16, got {view.image.shape} {view.image.dtype}"
        )
    n_phases, n_slices, rows, columns = view.image.shape
    shapes = {
        "phases": ((len(view.phases),), (n_phases,)),
        "frame_numbers": (view.frame_numbers.shape, (n_phases, n_slices)),
        "trigger_time_ms": (view.trigger_time_ms.shape, (n_phases, n_slices)),
        "planes": ((len(view.planes),), (n_slices,)),
    }
    if view.positions is not None:
        shapes["positions"] = ((len(view.positions),), (n_slices,))
    if view.instances is not None:
        shapes["instances"] = (np.shape([[ref.frame_number for ref in row] for row in view.instances]), (n_phases, n_slices))
    if view.line_agreement is not None:
        shapes["line_agreement"] = (view.line_agreement.shape, (n_slices, 2))
    for name, (found, expected) in shapes.items():
        if found != expected:
            raise ValueError(f"{name} has shape {found}, and {expected} goes with an image of shape {view.image.shape}")
    if any((plane.rows, plane.columns) != (rows, columns) for plane in view.planes):
        raise ValueError(f"a plane's matrix is not that of the image, {rows} rows and {columns} columns")
    if len(set(view.phases)) < n_phases:
        raise ValueError(f"phases must have different names, got {view.phases}")
    if view.positions is not None and len({positions.layout for positions in view.positions}) > 1:
        raise ValueError("all slices of a view must have boxes of one size and gap")


def _write_subject(data: h5g.GroupID, record: SubjectRecord, codec: Codec, salt: str) -> None:
    """Write the group of one subject; none if it has no views."""
    if not record.views:
        return
    subject = create_group(data, record.key)
    for view in record.views:
        group = create_group(subject, view.view.value)
        for name, value in view_attributes(view).items():
            _write_attribute(group, name, value)
        write_images(group, Dataset.IMAGE, view.image, h5t.STD_U16LE, codec)
        if view.positions is not None:
            rows, columns = view.image.shape[2:]
            masks = np.stack([draw_mask(positions, rows, columns) for positions in view.positions])
            write_images(group, Dataset.POSITIONS, np.broadcast_to(masks, view.image.shape), h5t.STD_U8LE, codec)
        _write_small(group, Dataset.PHASES, np.array([phase.encode() for phase in view.phases]))
        _write_small(group, Dataset.FRAME_NUMBERS, view.frame_numbers.astype(np.int32))
        _write_small(group, Dataset.TRIGGER_TIME_MS, view.trigger_time_ms.astype(np.float64))
        if view.instances is not None:
            numbers = [[ref.instance_number for ref in row] for row in view.instances]
            digests = [[instance_digest(ref.sop_instance_uid, ref.frame_number, salt) for ref in row] for row in view.instances]
            _write_small(group, Dataset.INSTANCE_NUMBERS, np.array(numbers, dtype=np.int32))
            _write_small(group, Dataset.INSTANCE_DIGESTS, np.array(digests, dtype=f"S{INSTANCE_DIGEST_LENGTH}"))


def view_attributes(view: ViewRecord) -> dict[str, Any]:
    """Return the attributes of a view's group, by name: a string, a tuple of strings, a number, or an array."""
    attributes: dict[str, Any] = {
        Attribute.VIEW: view.view.value,
        Attribute.AFFINE_LPS_MM: np.stack([plane.patient_from_pixel for plane in view.planes]),
        Attribute.SPACING_MM: np.array([(plane.row_spacing_mm, plane.column_spacing_mm) for plane in view.planes]),
        Attribute.RESCALE_SLOPE: view.rescale[0],
        Attribute.RESCALE_INTERCEPT: view.rescale[1],
        Attribute.MANUFACTURER: view.manufacturer,
        Attribute.FIELD_STRENGTH_T: view.field_strength_t,
    }
    if view.positions is not None:
        attributes |= _position_attributes(view, view.positions)
    if view.line_agreement is not None:
        attributes[Attribute.LINE_AGREEMENT] = view.line_agreement.astype(np.float64)
    return attributes


def _position_attributes(view: ViewRecord, positions: Sequence[Positions]) -> dict[str, Any]:
    layout = positions[0].layout
    return {
        Attribute.LINE_VIEWS: tuple(line.view.value for line in VIEW_LINES[view.view]),
        Attribute.POSITION_CLASSES: tuple(position_name(view.view, position) for position in PositionClass),
        Attribute.BOX_CENTRES_PX: np.stack([one.centres_px for one in positions]),
        Attribute.BOX_CENTRES_LPS_MM: np.stack([one.centres_mm for one in positions]),
        Attribute.BOXES_PX: np.stack([one.boxes for one in positions]).astype(np.int32),
        Attribute.ALIGNMENT: np.stack([one.alignment for one in positions]),
        Attribute.LINE_ANGLE_DEG: np.array([one.angle_deg for one in positions]),
        Attribute.CONDITION_NUMBER: np.array([one.condition_number for one in positions]),
        Attribute.BOX_SIZE: float(layout.size),
        Attribute.BOX_GAP: float(layout.gap),
        Attribute.BOX_UNITS: layout.units.value,
        Attribute.BOX_CLIP: CLIP_POLICY,
    }


def create_group(parent: h5g.GroupID, name: str) -> h5g.GroupID:
    """Create a group that keeps no times, and its attributes in its header: HDF5's way with more than eight is slow and large."""
    properties = h5p.create(h5p.GROUP_CREATE)
    properties.set_obj_track_times(False)
    properties.set_attr_phase_change(_MAX_ATTRIBUTES_IN_HEADER, 0)
    return h5g.create(parent, name.encode(), gcpl=properties)


_TEXT = h5py.string_dtype()
_TEXT_IN_FILE = h5t.py_create(_TEXT, logical=True)
_TEXT_IN_MEMORY = h5t.py_create(_TEXT)
_NUMBER_TYPES = {"f8": h5t.IEEE_F64LE, "i4": h5t.STD_I32LE}
_SCALAR = h5s.create(h5s.SCALAR)


def _write_attribute(group: h5g.GroupID, name: str, value: Any) -> None:  # noqa: ANN401  # what view_attributes returns
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


def _write_small(group: h5g.GroupID, name: str, array: NDArray[Any]) -> None:
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
