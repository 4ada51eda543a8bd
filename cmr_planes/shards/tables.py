"""The tables of shards and catalogues: their columns, and the rows that a subject gives.

A table is one compound dataset. Strings are UTF-8 of fixed width, as wide as the longest in the file: they compress to next to
nothing, and are read and written about fifty times as fast as strings of variable length.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import h5py
import numpy as np
from numpy.typing import NDArray

from cmr_planes.errors import Finding
from cmr_planes.fates import PlaneFate
from cmr_planes.geometry import median_shift_mm
from cmr_planes.geometry.arrays import FloatArray, IntArray, median
from cmr_planes.shards.equal_images import view_print
from cmr_planes.shards.records import SubjectRecord, ViewRecord
from cmr_planes.shards.schema import Dataset, Group
from cmr_planes.views import PositionClass, Structure

Table: TypeAlias = NDArray[np.void]
"""Rows of a table: a structured array, shape (rows,)."""

TEXT = "text"
"""Marks a column of strings in a table's columns."""

NO_NUMBER = -1
"""Stands for a SeriesNumber that is not given."""

MAX_SENTENCE_BYTES = 2000
"""A longer sentence is cut, so that one of them does not widen a whole column."""

TABLES: dict[str, dict[str, Any]] = {
    "index": {
        "subject": TEXT,
        "participant": TEXT,
        "view": TEXT,
        "phase": TEXT,
        "phase_index": np.uint16,
        "slice": np.uint16,
        "rows": np.uint16,
        "columns": np.uint16,
        "positions": np.bool_,
        "annotated": np.bool_,
        "path": TEXT,
    },
    "views": {
        "subject": TEXT,
        "view": TEXT,
        "n_phases": np.uint16,
        "n_slices": np.uint16,
        "rows": np.uint16,
        "columns": np.uint16,
        "row_spacing_mm": np.float64,
        "column_spacing_mm": np.float64,
        "manufacturer": TEXT,
        "field_strength_t": np.float64,
        "positions": np.bool_,
        "alignment": (np.float64, (2,)),
        "line_angle_deg": np.float64,
        "condition_number": np.float64,
        "line_agreement": (np.float64, (2,)),
        "worst_agreement": np.float64,
        "worst_slice": np.uint16,
        "shift_mm": (np.float64, (3,)),
        "largest_shift_mm": np.float64,
        "largest_shift_slice": np.uint16,
        "shift_agreement": (np.float64, (2,)),
        "class_pixels": (np.uint64, (len(PositionClass),)),
        "n_frames": np.uint32,
        "ed_cycle": np.float64,
        "es_cycle": np.float64,
    },
    "subjects": {"subject": TEXT, "participant": TEXT, "n_images": np.uint32},
    "rejections": {"subject": TEXT, "view": TEXT, "code": TEXT, "sentence": TEXT},
    "notes": {"subject": TEXT, "view": TEXT, "code": TEXT, "sentence": TEXT},
    "planes": {
        "subject": TEXT,
        "series_number": np.int64,
        "view": TEXT,
        "n_planes": np.uint32,
        "n_frames": np.uint32,
        "angle_deg": np.float64,
        "distance_mm": np.float64,
        "fate": TEXT,
        "sentence": TEXT,
    },
    "prints": {"subject": TEXT, "view": TEXT, "digest": TEXT},
}
"""Columns of the tables of a shard, in order."""

LATER_TABLES = frozenset({"planes", "prints"})
"""Tables that shards of earlier releases lack: those have no rows in them."""

LATER_COLUMNS: dict[str, float] = {
    "worst_agreement": np.nan,
    "worst_slice": 0,
    "n_frames": 0,
    "ed_cycle": np.nan,
    "es_cycle": np.nan,
    "shift_mm": np.nan,
    "largest_shift_mm": np.nan,
    "largest_shift_slice": 0,
    "shift_agreement": np.nan,
}
"""Columns of ``/views`` that files of earlier releases lack, and what stands for them."""

SHARD_COLUMN = "shard"
"""Column that the catalogue adds to ``/index`` and ``/subjects``: the shard's path from the catalogue's folder."""

TABLES_WITH_SHARD = ("index", "subjects")
"""Tables to which the catalogue adds :data:`SHARD_COLUMN`."""

SHARDS_TABLE = "shards"
"""The catalogue's own table."""

SHARDS_COLUMNS: dict[str, Any] = {"name": TEXT, "sha256": TEXT, "bytes": np.uint64, "n_subjects": np.uint32, "n_images": np.uint32}
"""Columns of ``/shards``; ``name`` is the path from the catalogue's folder."""

LABEL_FILES_TABLE = "label_files"
"""The catalogue's table of label files; its columns are those of ``/shards``, counting annotated subjects and images."""

ANNOTATIONS_TABLE = "annotations"
"""Table of the views that are annotated, in label files and in the catalogue."""

ANNOTATIONS_COLUMNS: dict[str, Any] = {
    "subject": TEXT,
    "view": TEXT,
    "source": TEXT,
    "n_annotated_images": np.uint32,
    "n_annotated_slices": np.uint32,
    "structure_images": (np.uint32, (len(Structure),)),
    "label_pixels": (np.uint64, (len(Structure),)),
}
"""Columns of ``/annotations``: images on which each structure was drawn or searched for, and its pixels on all of them."""


@dataclass(slots=True)
class TableRows:
    """Rows of the tables, gathered subject by subject."""

    rows: dict[str, list[tuple[Any, ...]]] = field(default_factory=lambda: {name: [] for name in TABLES})
    """Rows of each table, values in the order of the columns."""

    def add(self, record: SubjectRecord) -> None:
        """Add what the tables say of one subject."""
        n_images = 0
        for view in record.views:
            images = _index_rows(record, view)
            n_images += len(images)
            self.rows["index"] += images
            self.rows["views"].append(_view_row(record.key, view))
            self.rows["prints"].append((record.key, view.view.value, view_print(view)))
        self.rows["subjects"].append((record.key, record.participant, n_images))
        for finding in record.findings:
            self.rows["rejections" if finding.is_rejection else "notes"].append(_finding_row(record.key, finding))
        self.rows["planes"] += [_plane_row(record.key, plane) for plane in record.planes]

    def tables(self) -> dict[str, Table]:
        """Return the tables as structured arrays."""
        return {name: make_table(columns, self.rows[name]) for name, columns in TABLES.items()}


def make_table(columns: dict[str, Any], rows: Sequence[tuple[Any, ...]]) -> Table:
    """Build a structured array.

    Parameters
    ----------
    columns
        Type of each column, :data:`TEXT` for strings.
    rows
        Values in the order of the columns.

    Returns
    -------
        Shape (rows,); each string column as wide as its longest value, at least one byte.
    """
    names = list(columns)
    values: dict[str, Sequence[Any]] = dict(zip(names, zip(*rows, strict=True), strict=True)) if rows else dict.fromkeys(names, ())
    for name, kind in columns.items():
        if kind is TEXT:
            values[name] = [value.encode() for value in values[name]]
    widths = {name: max(map(len, values[name]), default=1) for name, kind in columns.items() if kind is TEXT}
    table = np.zeros(len(rows), dtype=_row_dtype(columns, widths))
    for name in names if rows else ():
        table[name] = values[name]
    return table


def common_dtype(columns: dict[str, Any], dtypes: Iterable[np.dtype[np.void]]) -> np.dtype[np.void]:
    """Return the row type that holds rows of all the given types: each string as wide as the widest.

    Parameters
    ----------
    columns
        Type of each column, :data:`TEXT` for strings.
    dtypes
        Row types of tables with these columns.

    Raises
    ------
    KeyError
        A column is missing.
    """
    widths = dict.fromkeys((name for name, kind in columns.items() if kind is TEXT), 1)
    for dtype in dtypes:
        for name in widths:
            widths[name] = max(widths[name], dtype[name].itemsize)
    return _row_dtype(columns, widths)


def join_tables(columns: dict[str, Any], tables: Sequence[Table]) -> Table:
    """Put tables of the same columns one after another; shape (rows of all,)."""
    dtype = common_dtype(columns, [table.dtype for table in tables])
    return np.concatenate([np.zeros(0, dtype=dtype), *(table.astype(dtype) for table in tables)])


def column_of(table: Table, name: str) -> NDArray[Any]:
    """Return a column; of a later one, which an earlier release did not write, what stands for it."""
    if name not in LATER_COLUMNS or name in (table.dtype.names or ()):
        return table[name]
    shape = np.dtype(TABLES["views"][name]).shape
    return np.full((len(table), *shape), LATER_COLUMNS[name])


def decode_texts(column: NDArray[np.bytes_]) -> list[str]:
    """Decode a column of strings."""
    return [value.decode() for value in column.tolist()]


def _row_dtype(columns: dict[str, Any], widths: dict[str, int]) -> np.dtype[np.void]:
    """Return the type of a row whose strings have the given widths in bytes."""
    kinds = {name: _text_dtype(widths[name]) if kind is TEXT else kind for name, kind in columns.items()}
    return np.dtype([(name, *kind) if isinstance(kind, tuple) else (name, kind) for name, kind in kinds.items()])


def _text_dtype(width: int) -> np.dtype[np.bytes_]:
    dtype: np.dtype[np.bytes_] = h5py.string_dtype("utf-8", max(1, width))
    return dtype


def _index_rows(record: SubjectRecord, view: ViewRecord) -> list[tuple[Any, ...]]:
    n_phases, n_slices, rows, columns = view.image.shape
    path = f"{Group.DATA}/{record.key}/{view.view}/{Dataset.IMAGE}"
    has_positions = view.positions is not None
    return [
        (
            record.key,
            record.participant,
            view.view.value,
            view.phases[phase],
            phase,
            slice_index,
            rows,
            columns,
            has_positions,
            False,
            path,
        )
        for phase in range(n_phases)
        for slice_index in range(n_slices)
    ]


def _view_row(key: str, view: ViewRecord) -> tuple[Any, ...]:
    """Row of ``/views``: over the slices the least alignment and angle, and the worst condition.

    Of agreement and shift it has the median and the worst slice.
    """
    n_phases, n_slices, rows, columns = view.image.shape
    alignment, angle, condition, agreement = np.full(2, np.nan), np.nan, np.nan, np.full(2, np.nan)
    worst, worst_slice = np.nan, 0
    shift_mm, largest_mm, largest_slice, shift_agreement = np.full(3, np.nan), np.nan, 0, np.full(2, np.nan)
    if view.positions is not None:
        alignment = np.min([positions.alignment for positions in view.positions], axis=0)
        angle = min(positions.angle_deg for positions in view.positions)
        condition = max(positions.condition_number for positions in view.positions)
    if view.line_agreement is not None:
        agreement = np.array([_median(line) for line in view.line_agreement.T])
        worst, worst_slice = _worst(view.line_agreement)
    if view.shifts is not None:
        shift_mm = median_shift_mm(view.shifts.shift_mm)
        largest_mm, largest_slice = _largest(np.linalg.norm(view.shifts.shift_mm, axis=1))
        shift_agreement = np.array([_median(column) for column in view.shifts.agreement.T])
    plane = view.planes[0]
    return (
        key,
        view.view.value,
        n_phases,
        n_slices,
        rows,
        columns,
        plane.row_spacing_mm,
        plane.column_spacing_mm,
        view.manufacturer,
        view.field_strength_t,
        view.positions is not None,
        alignment,
        angle,
        condition,
        agreement,
        worst,
        worst_slice,
        shift_mm,
        largest_mm,
        largest_slice,
        shift_agreement,
        _class_pixels(view),
        view.n_frames,
        view.ed_cycle,
        view.es_cycle,
    )


def _median(values: NDArray[np.float64]) -> float:
    """Return the median of the values that are not NaN, NaN if there is none."""
    known = values[~np.isnan(values)]
    return median(known) if known.size else float("nan")


def _worst(agreement: FloatArray) -> tuple[float, int]:
    """Return the least agreement, of shape (slice, line), and its slice from 1; NaN and 0 where none is known."""
    if np.isnan(agreement).all():
        return float("nan"), 0
    place = int(np.nanargmin(agreement))
    return float(agreement.flat[place]), place // agreement.shape[1] + 1


def _largest(lengths_mm: FloatArray) -> tuple[float, int]:
    """Return the largest value, of shape (slice,), and its slice from 1; NaN and 0 where none is known."""
    if np.isnan(lengths_mm).all():
        return float("nan"), 0
    place = int(np.nanargmax(lengths_mm))
    return float(lengths_mm[place]), place + 1


def _class_pixels(view: ViewRecord) -> IntArray:
    """Count the pixels of each class in the masks of all phases and slices, shape (10,); zeros without positions."""
    counts = np.zeros(len(PositionClass), dtype=np.int64)
    if view.positions is None:
        return counts
    n_phases, n_slices, rows, columns = view.image.shape
    boxes = np.stack([positions.boxes for positions in view.positions])
    heights = boxes[..., :2].clip(0, rows)
    widths = boxes[..., 2:].clip(0, columns)
    counts[1:] = n_phases * (np.diff(heights)[..., 0] * np.diff(widths)[..., 0]).sum(axis=0)
    counts[0] = n_phases * n_slices * rows * columns - counts.sum()
    return counts


def _plane_row(subject: str, plane: PlaneFate) -> tuple[Any, ...]:
    number = NO_NUMBER if plane.series_number is None else plane.series_number
    measures = (plane.n_planes, plane.n_frames, plane.angle_deg, plane.distance_mm)
    return subject, number, plane.view, *measures, plane.fate.value, _cut(plane.sentence)


def _finding_row(subject: str, finding: Finding) -> tuple[str, ...]:
    return subject, finding.view, finding.code.value, _cut(finding.sentence)


def _cut(sentence: str) -> str:
    """Return a sentence as a column holds it: without NULs, and not too long."""
    sentence = sentence.replace("\0", "")
    if len(sentence.encode()) > MAX_SENTENCE_BYTES:
        sentence = sentence.encode()[: MAX_SENTENCE_BYTES - 3].decode(errors="ignore") + "…"
    return sentence
