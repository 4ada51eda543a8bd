"""Reading a catalogue: its tables, and any image by its address.

Shards are opened read-only, when they are first needed, once per process, without file locks, and never across a fork. A
:class:`Catalogue` pickles as its path. Views and phases are given as members of their enums or as text: ``"sax"``, ``"ed"``.
"""

import operator
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self, cast

import numpy as np
from numpy.typing import NDArray

from cmr_planes.errors import CatalogueFinding, NoteCode, RejectionCode, ShardError
from cmr_planes.geometry.arrays import BoolArray, FloatArray, LabelArray
from cmr_planes.shards.catalogue_image import CatalogueImage, images_of
from cmr_planes.shards.columns import AnnotationTable, ImageIndex, PlaneTable, Subjects, ViewTable
from cmr_planes.shards.open_files import OpenFiles
from cmr_planes.shards.opening import DAMAGE_ERRORS, follow_link, get_table, open_file, read_json_attribute, table_length
from cmr_planes.shards.schema import Attribute, Dataset, FileKind, Group, RootAttribute
from cmr_planes.shards.tables import (
    ANNOTATIONS_COLUMNS,
    ANNOTATIONS_TABLE,
    SHARDS_TABLE,
    TABLES,
    Table,
    column_of,
    decode_texts,
    make_table,
)
from cmr_planes.shards.view_attributes import ViewAttributes, read_view_attributes
from cmr_planes.views import CardiacView, to_view

_BLOCK_ROWS = 1 << 17


class Catalogue:
    """A catalogue and its shards, for reading.

    Parameters
    ----------
    path
        The catalogue, ``out.h5``.

    Raises
    ------
    ShardError
        It is not there, is not a catalogue, is damaged, or was written by a newer version.

    Examples
    --------
    >>> with Catalogue("out.h5") as catalogue:  # doctest: +SKIP
    ...     for image in catalogue.images("sax", annotated=True):
    ...         print(image.subject, image.phase, image.slice_index, image.image.shape, image.labels.max())
    """

    def __init__(self, path: Path | str) -> None:
        self.path = follow_link(Path(path))
        self._files: OpenFiles | None = None
        self._open()

    def __reduce__(self) -> tuple[type[Self], tuple[Path]]:
        return type(self), (self.path,)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self.path)!r})"

    def close(self) -> None:
        """Close all files of this process; reading again opens them again."""
        files, self._files = self._files, None
        if files is not None and files.pid == os.getpid():
            files.close()

    def configuration(self) -> dict[str, Any]:
        """Return the configuration of the run that wrote the catalogue."""
        with self._reading() as files:
            return read_json_attribute(files.catalogue, RootAttribute.CONFIGURATION)

    def versions(self) -> dict[str, Any]:
        """Return the versions of the software that wrote the catalogue."""
        with self._reading() as files:
            return read_json_attribute(files.catalogue, RootAttribute.VERSIONS)

    def origin(self) -> str:
        """Return the SHA-256 of the first shard, empty if there is none: it stays when subjects or labels are added."""
        with self._table_named(SHARDS_TABLE):
            digests = decode_texts(self._table(SHARDS_TABLE)["sha256"])
            return digests[0] if digests else ""

    def index(self, view: CardiacView | str | None = None) -> ImageIndex:
        """Return one row for each 2D image, of one view or of all.

        Subjects stand in the catalogue's order; within one, views, phases and slices do.

        Raises
        ------
        ShardError
            The table cannot be read.
        ValueError
            ``view`` names no view.
        """
        wanted, subjects = None if view is None else to_view(view), self.subjects()
        with self._table_named("index"):
            self._check_images(subjects)
            numbers = np.repeat(np.arange(len(subjects), dtype=np.int32), subjects.n_images)

            def blocks() -> Iterator[tuple[NDArray[np.int32], Table]]:
                for start, block in self._blocks(
                    "index", ["view", "phase", "phase_index", "slice", "rows", "columns", "positions", "annotated"]
                ):
                    rows = slice(None) if wanted is None else block["view"] == wanted.value.encode()
                    yield numbers[start : start + len(block)][rows], block[rows]

            return ImageIndex.from_blocks(subjects, blocks(), n_most=len(numbers), view=wanted)

    def subjects(self) -> Subjects:
        """Return one row for each subject, the rejected ones among them."""
        with self._table_named("subjects"):
            return Subjects.from_table(self._table("subjects"))

    def views(self) -> ViewTable:
        """Return one row for each view of a subject: sizes, scanner, quality of the positions."""
        with self._table_named("views"):
            return ViewTable.from_table(self._table("views"))

    def spacings_mm(self, view: CardiacView | str) -> tuple[tuple[str, ...], FloatArray]:
        """Return the subjects that have a view, and its distances between rows and between columns, shape (subjects, 2).

        The same as in :meth:`views`, whose other columns are not read.
        """
        name = to_view(view).value.encode()
        subjects: list[str] = []
        spacings = [np.zeros((0, 2))]
        with self._table_named("views"):
            for _, block in self._blocks("views", ["subject", "view", "row_spacing_mm", "column_spacing_mm"]):
                found = block[block["view"] == name]
                subjects += decode_texts(found["subject"])
                spacings.append(np.stack([found["row_spacing_mm"], found["column_spacing_mm"]], axis=1))
        return tuple(subjects), np.concatenate(spacings)

    def rejections(self) -> tuple[CatalogueFinding, ...]:
        """Return what was left out, and why."""
        with self._table_named("rejections"):
            rows = self._messages("rejections")
            return tuple(CatalogueFinding(subject, view, RejectionCode(code), sentence) for subject, view, code, sentence in rows)

    def notes(self) -> tuple[CatalogueFinding, ...]:
        """Return what is worth knowing about what was kept."""
        with self._table_named("notes"):
            rows = self._messages("notes")
            return tuple(CatalogueFinding(subject, view, NoteCode(code), sentence) for subject, view, code, sentence in rows)

    def planes(self) -> PlaneTable:
        """Return what became of each plane of the studies; no rows in a catalogue of an earlier release, which does not say."""
        with self._table_named("planes"):
            with self._reading() as files:
                is_there = "planes" in files.catalogue
            return PlaneTable.from_table(self._table("planes") if is_there else make_table(TABLES["planes"], ()))

    def rows(self, name: str, columns: Sequence[str], *, at_once: int = _BLOCK_ROWS) -> Iterator[dict[str, NDArray[Any]]]:
        """Read some columns of a table, for tables that are too long to hold.

        Parameters
        ----------
        name
            The table: ``views``, ``rejections``, ``notes``, ….
        columns
            Its columns, by their names in the file.
        at_once
            Rows in one block.

        Yields
        ------
            The columns by name, shape (rows, ...), in the table's order; what stands for one that an earlier release did not write.

        Raises
        ------
        ShardError
            The table cannot be read.
        """
        with self._table_named(name):
            with self._reading() as files:
                stored = get_table(files.catalogue, name).dtype.names
            for _, block in self._blocks(name, [column for column in columns if column in stored], at_once):
                yield {column: column_of(block, column) for column in columns}

    def image(self, subject: str, view: CardiacView | str, phase: int | str, slice_index: int) -> NDArray[np.uint16]:
        """Read one image.

        Parameters
        ----------
        subject
            The subject's key.
        view
            The view, or its name.
        phase
            Index of the phase, as in :attr:`ImageIndex.phase_index`, or its name: ``"ed"``, ``"es"``, ``"000"``, ….
        slice_index
            Index of the slice, 0 for long-axis views; SAX runs from base to apex.

        Returns
        -------
            Shape (rows, columns), stored intensities.

        Raises
        ------
        ShardError
            There is no such image, or its shard is missing or damaged; the message names both.
        ValueError
            ``view`` names no view.
        TypeError
            ``phase`` or ``slice_index`` is of another type.
        """
        return cast("NDArray[np.uint16]", self._read_image(subject, view, Dataset.IMAGE, phase, slice_index))

    def images(self, view: CardiacView | str | None = None, *, annotated: bool | None = None) -> Iterator[CatalogueImage]:
        """Go through the images in the order of :meth:`index`; nothing is read of an image until it is asked for.

        Parameters
        ----------
        view
            The view, or its name; None for all.
        annotated
            True for images with manual labels, False for those without, None for all.

        Returns
        -------
            The images, one at a time.
        """
        index = self.index(view)
        rows = range(len(index)) if annotated is None else np.flatnonzero(index.is_annotated == annotated).tolist()
        return images_of(self, index, rows)

    def positions(self, subject: str, view: CardiacView | str, phase: int | str, slice_index: int) -> LabelArray:
        """Read one position mask, shape (rows, columns), classes 0 to 9; otherwise as :meth:`image`."""
        return cast("LabelArray", self._read_image(subject, view, Dataset.POSITIONS, phase, slice_index))

    def labels(self, subject: str, view: CardiacView | str, phase: int | str, slice_index: int) -> LabelArray:
        """Read the manual labels of one image, shape (rows, columns), values of :class:`cmr_planes.views.Structure`.

        Raises
        ------
        ShardError
            The view has no labels, there is no such image, or the label file is missing or damaged. An image of a labelled view
            that is not annotated itself (:attr:`ImageIndex.is_annotated`) has zeros.
        """
        return cast("LabelArray", self._read_image(subject, view, Dataset.LABELS, phase, slice_index, Group.LABELS))

    def labelled_structures(self, subject: str, view: CardiacView | str) -> BoolArray:
        """Tell which structures were drawn, shape (phase, slice, 6), in the order of :class:`cmr_planes.views.Structure`.

        Class 0 stands for the image: it is true where anything was drawn, or checked and absent. All are false where an image
        has no labels; a structure that was not drawn says nothing about the pixels of class 0.

        Raises
        ------
        ShardError
            The view has no labels, or the label file is missing or damaged.
        """
        view = to_view(view)
        with self._reading() as files, files.naming(Group.LABELS, subject, f"{view.value}/{Dataset.LABELS}"):
            found = files.structures.get((subject, view.value))
            if found is None:
                group = files.linked_file(Group.LABELS, subject)[f"{Group.LABELS}/{subject}/{view.value}"]
                found = files.structures[subject, view.value] = group.attrs[Attribute.STRUCTURES].astype(np.bool_)
                found.setflags(write=False)
            return found

    def annotations(self) -> AnnotationTable:
        """Return one row for each annotated view of a subject: how many images, which structures, their pixels."""
        with self._table_named(ANNOTATIONS_TABLE), self._reading() as files:
            if ANNOTATIONS_TABLE not in files.catalogue:  # written by a release that had no labels
                return AnnotationTable.from_table(make_table(ANNOTATIONS_COLUMNS, []))
            return AnnotationTable.from_table(self._table(ANNOTATIONS_TABLE))

    def view_attributes(self, subject: str, view: CardiacView | str) -> ViewAttributes:
        """Read what is stored beside the images of a view.

        Raises
        ------
        ShardError
            There is no such view, or its shard is missing or damaged.
        """
        view = to_view(view)
        with self._reading() as files, files.naming(Group.DATA, subject, view.value):
            return read_view_attributes(files.linked_file(Group.DATA, subject)[f"{Group.DATA}/{subject}/{view.value}"])

    def altered_shards(self) -> frozenset[str]:
        """Return the shards, by their names in :attr:`Subjects.shard`, that are missing or not as large as they were sealed.

        Nothing of a shard is read, so that one of the right size may be damaged all the same.
        """
        with self._table_named(SHARDS_TABLE):
            table = self._table(SHARDS_TABLE)
            sizes = zip(decode_texts(table["name"]), table["bytes"].tolist(), strict=True)
        return frozenset(name for name, n_bytes in sizes if _size(self.path.parent / name) != n_bytes)

    def shard_path(self, subject: str) -> Path:
        """Return the path of the shard that holds a subject's images.

        Raises
        ------
        ShardError
            The catalogue holds no images of the subject.
        """
        with self._reading() as files:
            return self.path.parent / files.linked_name(Group.DATA, subject)

    def _open(self) -> OpenFiles:
        """Return this process's files, opening the catalogue if need be."""
        files = self._files
        if files is None or files.pid != os.getpid():
            # After a fork the parent's handles are left to the parent: they are dropped, not used.
            files = self._files = OpenFiles(os.getpid(), self.path, open_file(self.path, FileKind.CATALOGUE))
        return files

    @contextmanager
    def _reading(self) -> Iterator[OpenFiles]:
        files = self._open()
        with files.lock:
            yield files

    @contextmanager
    def _table_named(self, name: str) -> Iterator[None]:
        """Say which table it is that cannot be read."""
        try:
            yield
        except DAMAGE_ERRORS as error:
            raise ShardError(
                f"table /{name} of {str(self.path)!r} cannot be read: the catalogue is damaged, or of a later release; make it "
                "again, or update this software"
            ) from error

    def _check_images(self, subjects: Subjects) -> None:
        """Raise ValueError unless ``/index`` has as many rows as the subjects have images."""
        with self._reading() as files:
            n_images = table_length(files.catalogue, "index")
        if n_images != subjects.n_images.sum():
            raise ValueError(f"the index has {n_images:,} of {subjects.n_images.sum():,}")

    def _table(self, name: str) -> Table:
        """Read a whole table."""
        with self._reading() as files:
            return cast("Table", get_table(files.catalogue, name)[()])

    def _blocks(self, name: str, columns: list[str], at_once: int = _BLOCK_ROWS) -> Iterator[tuple[int, Table]]:
        """Read some columns of a long table in blocks of rows."""
        with self._reading() as files:
            dataset = get_table(files.catalogue, name)
            for start in range(0, len(dataset), at_once):
                yield start, dataset.fields(columns)[start : start + at_once]

    def _messages(self, name: str) -> Iterator[tuple[str, str, str, str]]:
        table = self._table(name)
        return zip(*(decode_texts(table[column]) for column in ("subject", "view", "code", "sentence")), strict=True)

    def _read_image(
        self, subject: str, view: CardiacView | str, name: str, phase: int | str, slice_index: int, group: str = Group.DATA
    ) -> NDArray[Any]:
        view = to_view(view)
        row = self._phase_index(subject, view, phase) if isinstance(phase, str) else _whole_number(phase, "phase")
        column = _whole_number(slice_index, "slice_index")
        with self._reading() as files, files.naming(group, subject, f"{view.value}/{name}, phase {phase}, slice {slice_index}"):
            dataset = files.dataset(group, subject, view.value, name)
            if row < 0 or column < 0:
                raise IndexError("an address does not count from the end")
            return cast("NDArray[Any]", dataset[row, column])

    def _phase_index(self, subject: str, view: CardiacView, phase: str) -> int:
        """Return the index of a phase by its name, in any case; raises ShardError if the view has none of that name."""
        phases = self.view_attributes(subject, view).phases
        if phase.lower() not in phases:
            stored = phases[0] if len(phases) == 1 else f"{', '.join(phases[:-1])} and {phases[-1]}"
            raise ShardError(
                f"view {view.value} of subject {subject!r} has no phase {phase!r} in {str(self.path)!r}; it has {stored}"
            )
        return phases.index(phase.lower())


def _size(path: Path) -> int | None:
    """Return the size of a file in bytes; None where it cannot be determined."""
    try:
        return path.stat().st_size
    except (OSError, ValueError):  # a name that no path can have is a ValueError
        return None


def _whole_number(value: int, name: str) -> int:
    """Return an index as an int; raises TypeError for what is none."""
    try:
        return operator.index(value)
    except TypeError:
        raise TypeError(f"{name} must be a whole number, got {value!r}") from None
