"""The catalogue's tables in memory: columns of equal length, frozen."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
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
        return cls(
            key=tuple(decode_texts(table["subject"])),
            participant=tuple(decode_texts(table["participant"])),
            shard=tuple(decode_texts(table[SHARD_COLUMN])),
            n_images=_frozen(table["n_images"].astype(np.int64)),
        )

    def __len__(self) -> int:
        return len(self.key)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ImageIndex:
    """One row for each 2D image, which ``catalogue.image(index.subject(row), view, phase_index[row], slice_index[row])`` reads."""

    subjects: Subjects
    """All subjects of the catalogue."""
    subject_number: IntArray
    """Shape (images,): the subject's row in ``subjects``."""
    view: NDArray[np.str_]
    """Shape (images,): ``sax``, ``2ch``, ``3ch`` or ``4ch``."""
    phase: NDArray[np.str_]
    """Shape (images,): ``ed``, ``es``, or ``000``, ``001``, … in order of time."""
    phase_index: IntArray
    """Shape (images,): index on the first axis of the view's arrays."""
    slice_index: IntArray
    """Shape (images,): index on the second axis; SAX runs from base to apex."""
    rows: IntArray
    """Shape (images,): rows of the matrix."""
    columns: IntArray
    """Shape (images,): columns of the matrix."""
    has_positions: BoolArray
    """Shape (images,): true if there is a position mask."""
    is_annotated: BoolArray
    """Shape (images,): true if there are manual labels."""

    @classmethod
    def from_blocks(cls, subjects: Subjects, blocks: Sequence[tuple[IntArray, Table]]) -> Self:
        """Join blocks of ``/index``, each with the subject's row in ``subjects`` for each of its rows."""
        empty = np.zeros(0, dtype=np.int64)

        def column(name: str, kind: type[np.generic]) -> NDArray[Any]:
            return np.concatenate([empty.astype(kind), *(block[name].astype(kind) for _, block in blocks)])

        return cls(
            subjects=subjects,
            subject_number=np.concatenate([empty, *(numbers for numbers, _ in blocks)]),
            view=column("view", np.str_),
            phase=column("phase", np.str_),
            phase_index=column("phase_index", np.int64),
            slice_index=column("slice", np.int64),
            rows=column("rows", np.int64),
            columns=column("columns", np.int64),
            has_positions=column("positions", np.bool_),
            is_annotated=column("annotated", np.bool_),
        )

    def __post_init__(self) -> None:
        n_images = len(self.subject_number)
        for column in fields(self):
            values = getattr(self, column.name)
            if isinstance(values, np.ndarray):
                if len(values) != n_images:
                    raise ValueError(f"column {column.name} has {len(values)} rows, and {n_images} are expected")
                values.setflags(write=False)

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
        columns = {column.name: getattr(self, column.name) for column in fields(self) if column.name != "subjects"}
        return type(self)(subjects=self.subjects, **{name: values[rows] for name, values in columns.items()})


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
    """End-diastole, as a fraction of the RR interval after the R wave, NaN where not known, likewise."""
    es_cycle: FloatArray
    """End-systole, likewise."""

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


def _views(table: Table) -> tuple[str, ...]:
    return tuple(CardiacView(name).value for name in decode_texts(table["view"]))


def _frozen(array: NDArray[Any]) -> NDArray[Any]:
    array.setflags(write=False)
    return array
