"""Manual labels beside the shards: one file of labels for each shard that has any.

Labels live in files of their own, ``out.labels/00000.h5`` for ``out.shards/00000.h5``, so that annotating never rewrites a sealed
shard. A label file is replaced as a whole.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from cmr_planes.errors import ShardError
from cmr_planes.shards.hdf5_writing import LIBVER, create_group, software_versions, write_images, write_root_attributes, write_table
from cmr_planes.shards.opening import DAMAGE_ERRORS, check_size, get_table, open_file
from cmr_planes.shards.records import ViewLabels
from cmr_planes.shards.schema import Attribute, Codec, Dataset, FileKind, Group, RootAttribute, check_subject_key
from cmr_planes.shards.tables import ANNOTATIONS_COLUMNS, ANNOTATIONS_TABLE, Table, decode_texts, join_tables, make_table
from cmr_planes.system.whole_file import file_sha256, read_checksum, remove_leftovers, sealed
from cmr_planes.views import CardiacView, Structure

STRUCTURE_NAMES = tuple(structure.title for structure in Structure)
"""Names of classes 0 to 5."""


LabelTree = Mapping[str, Mapping[CardiacView, ViewLabels]]
"""Labels by subject and view."""


def label_folder(out: Path) -> Path:
    """Return the folder of a catalogue's label files: ``out.labels`` beside ``out.h5``."""
    return out.with_suffix(".labels")


def label_files_of_shards(out: Path, shards: Sequence[Path]) -> list[Path | None]:
    """Return the label file that belongs to each shard, None where there is none."""
    candidates = [label_folder(out) / shard.name for shard in shards]
    return [path if path.is_file() else None for path in candidates]


def write_label_file(path: Path, labels: LabelTree, *, codec: Codec = Codec.BITSHUFFLE_LZ4) -> None:
    """Write a label file whole; one that is there is replaced.

    Parameters
    ----------
    path
        The file; its folder must exist.
    labels
        Labels by subject and view, in the order in which they are to stand.
    codec
        How they are compressed.

    Raises
    ------
    ShardError
        It cannot be written; what was there is left.
    """
    rows = []
    remove_leftovers(path)
    with sealed(path, checksum=True) as stream, h5py.File(stream, "w", libver=LIBVER) as file:
        write_root_attributes(file, FileKind.LABELS, {}, software_versions())
        file.attrs[RootAttribute.CODEC] = codec.value
        root = create_group(file.id, Group.LABELS)
        for key, views in labels.items():
            check_subject_key(key)
            subject = create_group(root, key)
            for view, value in views.items():
                group = create_group(subject, view.value)
                write_images(group, Dataset.LABELS, value.labels, h5py.h5t.STD_U8LE, codec)
                attributes = h5py.Group(group).attrs
                attributes[Attribute.CLASSES] = np.array(STRUCTURE_NAMES, dtype=h5py.string_dtype())
                attributes[Attribute.ANNOTATED] = value.annotated
                attributes[Attribute.STRUCTURES] = value.structures
                attributes[Attribute.SOURCE] = value.source
                rows.append(_annotations_row(key, view, value))
                stream.check()
        write_table(file, ANNOTATIONS_TABLE, make_table(ANNOTATIONS_COLUMNS, rows))


def read_label_file(path: Path) -> dict[str, dict[CardiacView, ViewLabels]]:
    """Read a whole label file.

    Raises
    ------
    ShardError
        It is missing, damaged, or not a label file.
    """
    with open_file(path, FileKind.LABELS) as file:
        try:
            return {
                key: {CardiacView(name): _read_view(group) for name, group in views.items()}
                for key, views in file[Group.LABELS].items()
            }
        except DAMAGE_ERRORS as error:
            raise _damaged(path) from error


def read_annotation_table(path: Path) -> tuple[Table, tuple[str, int, int, int]]:
    """Return a label file's table ``/annotations``, and its checksum, size, annotated subjects and images; raises ShardError."""
    with open_file(path, FileKind.LABELS) as file:
        try:
            table = join_tables(ANNOTATIONS_COLUMNS, [get_table(file, ANNOTATIONS_TABLE)[()][list(ANNOTATIONS_COLUMNS)]])
            n_images = int(table["n_annotated_images"].sum())
            n_subjects = len(set(decode_texts(table["subject"])))
        except DAMAGE_ERRORS as error:
            raise _damaged(path) from error
    return table, (read_checksum(path) or file_sha256(path), path.stat().st_size, n_subjects, n_images)


def mark_annotated(index: Table, path: Path) -> list[str]:
    """Set ``annotated`` in a shard's rows of ``/index``.

    Parameters
    ----------
    index
        The rows of one shard; changed in place.
    path
        The shard's label file.

    Returns
    -------
        The subjects that have labels.

    Raises
    ------
    ShardError
        The file is damaged, or its labels do not fit the images.
    """
    with open_file(path, FileKind.LABELS) as file:
        try:
            found = {
                (key, name): (tuple(group[Dataset.LABELS].shape), group.attrs[Attribute.ANNOTATED].astype(np.bool_))
                for key, views in file[Group.LABELS].items()
                for name, group in views.items()
            }
            for key, _ in found:
                check_subject_key(key)
        except DAMAGE_ERRORS as error:
            raise _damaged(path) from error
    for (key, name), (shape, annotated) in found.items():
        rows = np.flatnonzero((index["subject"] == key.encode()) & (index["view"] == name.encode()))
        images = index[rows]
        matrix = {(row, column) for row, column in zip(images["rows"].tolist(), images["columns"].tolist(), strict=True)}
        if shape[:2] != annotated.shape or len(rows) != annotated.size or matrix != {shape[2:]}:
            raise ShardError(
                f"labels of view {name} of subject {key!r} in {path.parent.name}/{path.name} have shape {shape}, and the images "
                f"are {len(rows)} of {sorted(matrix)} pixels: they belong to another catalogue; remove that file and annotate again"
            )
        try:
            index["annotated"][rows] = annotated[images["phase_index"], images["slice"]]
        except IndexError as error:
            raise _damaged(path) from error
    return list(dict.fromkeys(key for key, _ in found))


def _annotations_row(key: str, view: CardiacView, value: ViewLabels) -> tuple[Any, ...]:
    """Row of ``/annotations``."""
    annotated = value.annotated
    pixels = np.bincount(value.labels[annotated].reshape(-1), minlength=len(Structure))
    n_slices = int(annotated.any(axis=0).sum())
    return key, view.value, value.source, int(annotated.sum()), n_slices, value.structures.sum(axis=(0, 1)), pixels


def _read_view(group: h5py.Group) -> ViewLabels:
    labels = group[Dataset.LABELS]
    check_size(labels)
    return ViewLabels(
        labels=labels[()],
        structures=group.attrs[Attribute.STRUCTURES].astype(np.bool_),
        source=str(group.attrs[Attribute.SOURCE]),
    )


def _damaged(path: Path) -> ShardError:
    return ShardError(f"label file {str(path)!r} cannot be read: it is damaged; remove it and annotate again")
