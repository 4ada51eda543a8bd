"""One batch of subjects into one sealed shard: equal records, configuration and versions give equal bytes."""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import h5py
import numpy as np
from h5py import h5g, h5t

from cmr_planes.errors import ShardError
from cmr_planes.geometry import VIEW_LINES, Positions, draw_mask
from cmr_planes.geometry.arrays import FloatArray
from cmr_planes.shards.hdf5_writing import (
    LIBVER,
    create_group,
    software_versions,
    write_attribute,
    write_images,
    write_root_attributes,
    write_small,
    write_table,
)
from cmr_planes.shards.label_files import write_label_file
from cmr_planes.shards.records import ShardSummary, SubjectRecord, ViewLabels, ViewRecord
from cmr_planes.shards.schema import (
    CLIP_POLICY,
    INSTANCE_DIGEST_LENGTH,
    STATED_PLANES,
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
from cmr_planes.shards.tables import TableRows
from cmr_planes.system.json_text import JSON
from cmr_planes.system.whole_file import read_checksum, sealed
from cmr_planes.views import CardiacView, PositionClass, position_name


class ShardWriter:
    """Writes one shard, subject by subject, with its checksum beside it.

    Use it as a context: the shard stands under its name once it is sealed, and nothing is left behind if it never is. A shard that
    is there already is replaced by the seal.

    Parameters
    ----------
    path
        The shard; its folder must exist.
    codec
        How images, masks and labels are compressed.
    configuration
        The run's options, kept so that a catalogue can be rebuilt from its shards. No paths of this machine, please.
    salt
        Salt of the digests of DICOM instances; empty for the configuration's digest, which anyone can read.
    label_path
        The file for the labels of the shard's images; its folder is made. Needed only where labels are added.

    Examples
    --------
    >>> with ShardWriter(path, codec=Codec.GZIP, configuration={}) as writer:  # doctest: +SKIP
    ...     writer.add(record)
    ...     summary = writer.seal()
    """

    def __init__(
        self, path: Path, *, codec: Codec, configuration: Mapping[str, JSON], salt: str = "", label_path: Path | None = None
    ) -> None:
        self._path = path
        self._codec = codec
        self._configuration = configuration
        self._salt = salt or configuration_digest(configuration)
        self._label_path = label_path
        self._labels: dict[str, Mapping[CardiacView, ViewLabels]] = {}
        self._subjects: set[str] = set()
        self._rows = TableRows()
        self._is_sealed = False

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self._stream = stack.enter_context(sealed(self._path, checksum=True))
            self._file = stack.enter_context(h5py.File(self._stream, "w", libver=LIBVER))
            write_root_attributes(self._file, FileKind.SHARD, self._configuration, software_versions())
            self._file.attrs[RootAttribute.CODEC] = self._codec.value
            self._data = create_group(self._file.id, Group.DATA)
            self._open = stack.pop_all()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        if error is None and not self._is_sealed:
            unsealed = RuntimeError(f"{self._path.name} was not sealed")
            self._open.__exit__(RuntimeError, unsealed, None)
            raise unsealed
        self._open.__exit__(kind, error, traceback)

    def add(self, record: SubjectRecord) -> None:
        """Add a subject, after those that were added before.

        Raises
        ------
        ValueError
            The record contradicts itself, its key cannot name a group, or a subject of this key was added before.
        OSError
            The disk is full, or the file cannot be written.
        """
        check_record(record)
        if record.key in self._subjects:
            raise ValueError(f"subject key {record.key!r} occurs twice in one shard")
        self._subjects.add(record.key)
        _write_subject(self._data, record, self._codec, self._salt)
        self._rows.add(record)
        self._stream.check()

    def add_labels(self, subject: str, labels: Mapping[CardiacView, ViewLabels]) -> None:
        """Add the labels of a subject's images, by view."""
        self._labels[subject] = labels

    def seal(self) -> ShardSummary:
        """Write tables and labels, and put the shard under its name.

        The label file comes first: a sealed shard is never built again, so its labels must be there.

        Returns
        -------
            What is in the shard.

        Raises
        ------
        ShardError
            A file cannot be written.
        """
        if self._labels:
            if self._label_path is None:
                raise ValueError("labels were added to a shard without a label file")
            self._label_path.parent.mkdir(exist_ok=True)
            write_label_file(self._label_path, self._labels, codec=self._codec)
        tables = self._rows.tables()
        for name, table in tables.items():
            write_table(self._file, name, table)
        self._open.close()
        self._is_sealed = True
        digest = read_checksum(self._path)
        if digest is None:
            raise ShardError(
                f"the checksum of {self._path.name} disappeared while it was written; is another run writing to the same output?"
            )
        return ShardSummary(self._path.name, digest, self._path.stat().st_size, len(tables["subjects"]), len(tables["index"]))


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
        "rescale": (view.rescale.shape, (n_phases, n_slices, 2)),
        "planes": ((len(view.planes),), (n_slices,)),
        "slice_thickness_mm": ((n_slices,) if view.slice_thickness_mm is None else view.slice_thickness_mm.shape, (n_slices,)),
        "shifts": ((n_slices if view.shifts is None else len(view.shifts.shift_mm),), (n_slices,)),
        "source_order": ((n_slices if view.source_order is None else len(view.source_order),), (n_slices,)),
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
            write_attribute(group, name, value)
        write_images(group, Dataset.IMAGE, view.image, h5t.STD_U16LE, codec)
        if view.positions is not None:
            rows, columns = view.image.shape[2:]
            masks = np.stack([draw_mask(positions, rows, columns) for positions in view.positions])
            write_images(group, Dataset.POSITIONS, np.broadcast_to(masks, view.image.shape), h5t.STD_U8LE, codec)
        write_small(group, Dataset.PHASES, np.array([phase.encode() for phase in view.phases]))
        write_small(group, Dataset.FRAME_NUMBERS, view.frame_numbers.astype(np.int32))
        write_small(group, Dataset.TRIGGER_TIME_MS, view.trigger_time_ms.astype(np.float64))
        write_small(group, Dataset.RESCALE, view.rescale.astype(np.float64))
        if view.instances is not None:
            numbers = [[ref.instance_number for ref in row] for row in view.instances]
            digests = [[instance_digest(ref.sop_instance_uid, ref.frame_number, salt) for ref in row] for row in view.instances]
            write_small(group, Dataset.INSTANCE_NUMBERS, np.array(numbers, dtype=np.int32))
            write_small(group, Dataset.INSTANCE_DIGESTS, np.array(digests, dtype=f"S{INSTANCE_DIGEST_LENGTH}"))


def view_attributes(view: ViewRecord) -> dict[str, Any]:
    """Return the attributes of a view's group, by name: a string, a tuple of strings, a number, or an array."""
    attributes: dict[str, Any] = {
        Attribute.VIEW: view.view.value,
        Attribute.AFFINE_LPS_MM: np.stack([plane.patient_from_pixel for plane in view.planes]),
        Attribute.SPACING_MM: np.array([(plane.row_spacing_mm, plane.column_spacing_mm) for plane in view.planes]),
        Attribute.RESCALE_SLOPE: _shared(view.rescale[..., 0]),
        Attribute.RESCALE_INTERCEPT: _shared(view.rescale[..., 1]),
        Attribute.MANUFACTURER: view.manufacturer,
        Attribute.FIELD_STRENGTH_T: view.field_strength_t,
    }
    if view.slice_thickness_mm is not None and np.isfinite(view.slice_thickness_mm).any():
        attributes[Attribute.SLICE_THICKNESS_MM] = view.slice_thickness_mm.astype(np.float64)
    if not view.has_directions:
        attributes[Attribute.HAS_DIRECTIONS] = False
    if view.source_order is not None:
        attributes[Attribute.SOURCE_ORDER] = np.array(view.source_order, dtype=np.int32)
    if view.source_header is not None:
        attributes[Attribute.SOURCE_HEADER] = np.frombuffer(view.source_header, dtype=np.uint8)
    if view.positions is not None:
        attributes |= _position_attributes(view, view.positions)
    if view.line_agreement is not None:
        attributes[Attribute.LINE_AGREEMENT] = view.line_agreement.astype(np.float64)
    if view.shifts is not None:
        attributes |= {
            Attribute.SHIFT_MM: view.shifts.shift_mm,
            Attribute.SHIFT_SD_MM: view.shifts.sd_mm,
            Attribute.SHIFT_AGREEMENT: view.shifts.agreement,
        }
    return attributes


def _shared(values: FloatArray) -> float:
    """Return the value that all have, NaN if they differ."""
    first = float(values.flat[0])
    return first if (values == first).all() else float("nan")


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
        **({Attribute.PLANE_SOURCE: STATED_PLANES} if view.has_stated_planes else {}),
    }
