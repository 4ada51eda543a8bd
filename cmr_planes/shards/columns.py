"""The catalogue's tables in memory: columns of equal length, frozen."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from cmr_planes.fates import Fate, PlaneFate
from cmr_planes.geometry.arrays import BoolArray, FloatArray, IntArray
from cmr_planes.shards.tables import NO_NUMBER, SHARD_COLUMN, Table, column_of, decode_texts
from cmr_planes.views import CardiacView, PositionClass, Structure


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Subjects:
    """One row for each subject, in the catalogue's order."""

    key: tuple[str, ...]
    """The keys under which subjects are stored."""
    participant: tuple[str, ...]
    """The person: splits keep a person on one side."""
    shard: tuple[str, ...]
    """The shard, as a path from the catalogue's folder."""
    n_images: IntArray
    """Shape (subjects,): 2D images, 0 for a subject that was rejected."""

    @classmethod
    def from_table(cls, table: Table) -> Self:
        """Take the columns of ``/subjects``."""
        once: dict[str, str] = {}  # a participant is often named as the subject is, and a shard holds many

        def column(name: str) -> tuple[str, ...]:
            texts = decode_texts(table[name])
            return tuple(map(once.setdefault, texts, texts))

        return cls(
            key=column("subject"),
            participant=column("participant"),
            shard=column(SHARD_COLUMN),
            n_images=_frozen(table["n_images"].astype(np.int64)),
        )

    def __len__(self) -> int:
        return len(self.key)


_INDEX_COLUMNS = {
    "view": "view",
    "phase": "phase",
    "phase_index": "phase_index",
    "slice_index": "slice",
    "rows": "rows",
    "columns": "columns",
    "has_positions": "positions",
    "is_annotated": "annotated",
}
"""Columns of :class:`ImageIndex`, and those of ``/index`` that they come from."""

_INDEX_KINDS: Mapping[str, type[np.generic]] = {
    "subject_number": np.int32,
    "view": np.str_,
    "phase": np.str_,
    "phase_index": np.int32,
    "slice_index": np.int32,
    "rows": np.int32,
    "columns": np.int32,
    "has_positions": np.bool_,
    "is_annotated": np.bool_,
}
"""What the columns of :class:`ImageIndex` hold: two million images are to take tens of megabytes."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ImageIndex:
    """One row for each 2D image, which ``catalogue.image(index.subject(row), view, phase_index[row], slice_index[row])`` reads."""

    subjects: Subjects
    """All subjects of the catalogue."""
    subject_number: NDArray[np.int32]
    """Shape (images,): the subject's row in ``subjects``."""
    view: NDArray[np.str_]
    """Shape (images,): ``sax``, ``2ch``, ``3ch`` or ``4ch``."""
    phase: NDArray[np.str_]
    """Shape (images,): ``ed``, ``es``, or ``000``, ``001``, … in order of time."""
    phase_index: NDArray[np.int32]
    """Shape (images,): index on the first axis of the view's arrays."""
    slice_index: NDArray[np.int32]
    """Shape (images,): index on the second axis; SAX runs from base to apex."""
    rows: NDArray[np.int32]
    """Shape (images,): rows of the matrix."""
    columns: NDArray[np.int32]
    """Shape (images,): columns of the matrix."""
    has_positions: BoolArray
    """Shape (images,): true if there is a position mask."""
    is_annotated: BoolArray
    """Shape (images,): true if there are manual labels."""

    @classmethod
    def from_blocks(
        cls, subjects: Subjects, blocks: Iterable[tuple[NDArray[np.int32], Table]], *, n_most: int, view: CardiacView | None = None
    ) -> Self:
        """Join blocks of ``/index``.

        Parameters
        ----------
        subjects
            All subjects of the catalogue.
        blocks
            The subject's row in ``subjects`` for each row of a block, and the block.
        n_most
            Images that the blocks have at most: each column is allocated once.
        view
            The view of all images; None where it is read.
        """
        stored = {name: column for name, column in _INDEX_COLUMNS.items() if name != "view" or view is None}
        columns: dict[str, NDArray[Any]] = {}
        n_images = 0
        for numbers, block in blocks:
            values = {"subject_number": numbers} | {name: block[column] for name, column in stored.items()}
            for name, column in values.items():
                is_text = _INDEX_KINDS[name] is np.str_
                if name not in columns:
                    columns[name] = np.empty(n_most, dtype=f"U{column.dtype.itemsize}" if is_text else _INDEX_KINDS[name])
                columns[name][n_images : n_images + len(block)] = _decoded(column) if is_text else column
            n_images += len(block)
        for name in ("subject_number", *stored):
            whole = columns.setdefault(name, np.empty(0, dtype=_INDEX_KINDS[name]))
            columns[name] = whole if n_images == len(whole) else whole[:n_images].copy()
        if view is not None:
            columns["view"] = np.broadcast_to(np.array(view.value), n_images)
        return cls(subjects=subjects, **columns)

    def __post_init__(self) -> None:
        n_images = len(self.subject_number)
        for name in _INDEX_KINDS:
            values = getattr(self, name)
            if len(values) != n_images:
                raise ValueError(f"column {name} has {len(values)} rows, and {n_images} are expected")
            values.setflags(write=False)
        if n_images and not _is_repeated(self.view) and (self.view == self.view[0]).all():
            object.__setattr__(self, "view", np.broadcast_to(np.array(self.view[0]), n_images))

    def __len__(self) -> int:
        return len(self.subject_number)

    def subject(self, row: int) -> str:
        """Return the subject's key of one row."""
        return self.subjects.key[int(self.subject_number[row])]

    def participant(self, row: int) -> str:
        """Return the person of one row."""
        return self.subjects.participant[int(self.subject_number[row])]

    def select(self, rows: BoolArray | IntArray) -> Self:
        """Return the rows of a mask, shape (images,), or of indices, shape (n,)."""
        if rows.dtype == np.bool_ and rows.shape == (len(self),) and rows.all():
            return self
        columns = {name: getattr(self, name)[rows] for name in _INDEX_KINDS if name != "view"}
        view = np.broadcast_to(np.array(self.view[0]), len(columns["rows"])) if _is_repeated(self.view) else self.view[rows]
        return type(self)(subjects=self.subjects, view=view, **columns)

    def rows_by_subject(self) -> dict[str, IntArray]:
        """Return the rows of each subject that has images here, by its key; subjects stand in the order of their first image."""
        order = np.argsort(self.subject_number, kind="stable")
        starts = np.flatnonzero(np.diff(self.subject_number[order], prepend=-1))
        groups = np.split(order, starts[1:]) if len(order) else []
        return {self.subject(int(rows[0])): rows for rows in sorted(groups, key=lambda rows: int(rows[0]))}

    def keys(self) -> tuple[str, ...]:
        """Return the subjects that have images here, each once, in order of their first image."""
        return tuple(self.subject(row) for row in self.first_rows().tolist())

    def first_rows(self) -> IntArray:
        """Return the first row of each subject that has images here, shape (subjects,), in order."""
        is_other = self.subject_number[1:] != self.subject_number[:-1]
        starts = np.flatnonzero(np.concatenate([np.ones(min(1, len(self)), dtype=np.bool_), is_other]))
        _, first = np.unique(self.subject_number[starts], return_index=True)
        return np.sort(starts[first])

    def of_subjects(self, is_chosen: BoolArray) -> Self:
        """Return the images of some subjects, given by a flag for each of ``subjects``."""
        return self.select(is_chosen[self.subject_number])


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ViewTable:
    """One row for each view of a subject; arrays have shape (views, ...)."""

    subject: tuple[str, ...]
    """The subject's key."""
    view: tuple[str, ...]
    """``sax``, ``2ch``, ``3ch`` or ``4ch``."""
    n_phases: IntArray
    """Cardiac phases."""
    n_slices: IntArray
    """Slices."""
    rows: IntArray
    """Rows of the matrix."""
    columns: IntArray
    """Columns of the matrix."""
    spacing_mm: FloatArray
    """Shape (views, 2): distance between rows and between columns, of the first slice."""
    manufacturer: tuple[str, ...]
    """A vendor name in lower case, or empty."""
    field_strength_t: FloatArray
    """Tesla, NaN if not known."""
    has_positions: BoolArray
    """True if there are position masks."""
    alignment: FloatArray
    """Shape (views, 2): least alignment of each line over the slices, NaN without positions."""
    line_angle_deg: FloatArray
    """Least angle between the lines over the slices, NaN without positions."""
    condition_number: FloatArray
    """Largest condition number over the slices, NaN without positions."""
    line_agreement: FloatArray
    """Shape (views, 2): median agreement of each line over the slices, NaN where not known."""
    worst_agreement: FloatArray
    """Least agreement of any slice along any line, NaN where not known, as in files of earlier versions."""
    worst_slice: IntArray
    """The slice of the least agreement, from 1; 0 where not known."""
    shift_mm: FloatArray
    """Shape (views, 3), LPS: median shift over the slices, NaN where not known: how far the view lies from the long-axis views."""
    largest_shift_mm: FloatArray
    """Length of the largest shift of any slice, NaN where not known."""
    largest_shift_slice: IntArray
    """The slice of the largest shift, from 1; 0 where not known."""
    shift_agreement: FloatArray
    """Shape (views, 2): median over the slices of the correlation along their lines, before and after the shifts."""
    class_pixels: IntArray
    """Shape (views, 10): pixels of each class in the masks of all phases and slices."""
    n_frames: IntArray
    """Frames of the cine, the most of any slice; 0 where there is none or it is not known, as in files of earlier versions."""
    ed_cycle: FloatArray
    """End-diastole, as a fraction of the RR interval after the R wave, NaN where not known."""
    es_cycle: FloatArray
    """End-systole, in the same form."""

    @classmethod
    def from_table(cls, table: Table) -> Self:
        """Take the columns of ``/views``; raises ValueError for a view that is none."""
        columns: dict[str, Any] = {name: tuple(decode_texts(table[name])) for name in ("subject", "manufacturer")}
        columns["view"] = _views(table)
        for name in ("n_phases", "n_slices", "rows", "columns"):
            columns[name] = _frozen(table[name].astype(np.int64))
        for name in ("field_strength_t", "line_angle_deg", "condition_number"):
            columns[name] = _frozen(table[name].astype(np.float64))
        for name in ("alignment", "line_agreement"):
            columns[name] = _frozen(table[name].astype(np.float64).reshape(len(table), 2))
        for name in ("worst_agreement", "largest_shift_mm", "shift_mm", "shift_agreement", "ed_cycle", "es_cycle"):
            columns[name] = _frozen(column_of(table, name).astype(np.float64))
        for name in ("worst_slice", "largest_shift_slice", "n_frames"):
            columns[name] = _frozen(column_of(table, name).astype(np.int64))
        columns["class_pixels"] = _frozen(table["class_pixels"].astype(np.int64).reshape(len(table), len(PositionClass)))
        spacing_mm = _frozen(np.stack([table["row_spacing_mm"], table["column_spacing_mm"]], axis=1).astype(np.float64))
        return cls(spacing_mm=spacing_mm, has_positions=_frozen(table["positions"].astype(np.bool_)), **columns)

    def __len__(self) -> int:
        return len(self.subject)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class AnnotationTable:
    """One row for each annotated view of a subject; arrays have shape (views, ...)."""

    subject: tuple[str, ...]
    """The subject's key."""
    view: tuple[str, ...]
    """``sax``, ``2ch``, ``3ch`` or ``4ch``."""
    source: tuple[str, ...]
    """The format that the labels came in."""
    n_images: IntArray
    """Annotated images."""
    n_slices: IntArray
    """Slices that are annotated at one phase at least."""
    structure_images: IntArray
    """Shape (views, 6): images on which each structure was drawn, or checked and absent."""
    label_pixels: IntArray
    """Shape (views, 6): pixels of each structure on the annotated images."""

    @classmethod
    def from_table(cls, table: Table) -> Self:
        """Take the columns of ``/annotations``; raises ValueError for a view that is none."""
        return cls(
            subject=tuple(decode_texts(table["subject"])),
            view=_views(table),
            source=tuple(decode_texts(table["source"])),
            n_images=_frozen(table["n_annotated_images"].astype(np.int64)),
            n_slices=_frozen(table["n_annotated_slices"].astype(np.int64)),
            structure_images=_frozen(table["structure_images"].astype(np.int64).reshape(len(table), len(Structure))),
            label_pixels=_frozen(table["label_pixels"].astype(np.int64).reshape(len(table), len(Structure))),
        )

    def __len__(self) -> int:
        return len(self.subject)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PlaneTable:
    """What became of the planes of each subject, one row a plane."""

    subject: tuple[str, ...]
    """The subject's key."""
    fates: tuple[PlaneFate, ...]
    """What became of the plane."""

    @classmethod
    def from_table(cls, table: Table) -> Self:
        """Take the columns of ``/planes``; raises ValueError for a fate that is none."""
        names = ("series_number", "n_planes", "n_frames", "angle_deg", "distance_mm")
        texts = [decode_texts(table[name]) for name in ("view", "fate", "sentence")]
        return cls(
            subject=tuple(decode_texts(table["subject"])),
            fates=tuple(
                PlaneFate(
                    series_number=None if number == NO_NUMBER else number,
                    view=view,
                    n_planes=n_planes,
                    n_frames=n_frames,
                    angle_deg=angle_deg,
                    distance_mm=distance_mm,
                    fate=Fate(fate),
                    sentence=sentence,
                )
                for number, n_planes, n_frames, angle_deg, distance_mm, view, fate, sentence in zip(
                    *(table[name].tolist() for name in names), *texts, strict=True
                )
            ),
        )

    def __len__(self) -> int:
        return len(self.subject)


def _decoded(column: NDArray[np.bytes_]) -> NDArray[np.str_]:
    """Decode a column of few different strings; raises UnicodeDecodeError for what is no text."""
    if len(column) and (column == column[0]).all():
        return np.full(len(column), column[0].decode())
    names, places = np.unique(column, return_inverse=True)
    return np.asarray(names.astype(np.str_)[places])


def _is_repeated(column: NDArray[Any]) -> bool:
    """Tell whether a column holds one value, which stands in memory once."""
    return len(column) > 0 and column.strides == (0,)


def _views(table: Table) -> tuple[str, ...]:
    return tuple(CardiacView(name).value for name in decode_texts(table["view"]))


def _frozen(array: NDArray[Any]) -> NDArray[Any]:
    array.setflags(write=False)
    return array
