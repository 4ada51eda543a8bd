"""The catalogue: the one file that users open, made from the shards alone."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from cmr_planes.errors import ShardError
from cmr_planes.shards.equal_images import equal_image_notes
from cmr_planes.shards.hdf5_writing import LIBVER, create_table, write_root_attributes, write_table
from cmr_planes.shards.label_files import label_files_of_shards, mark_annotated, read_annotation_table
from cmr_planes.shards.opening import DAMAGE_ERRORS, get_table, is_ours, open_file, read_json_attribute, reading_table
from cmr_planes.shards.schema import Codec, FileKind, Group, RootAttribute, check_subject_key, configuration_digest
from cmr_planes.shards.tables import (
    ANNOTATIONS_COLUMNS,
    ANNOTATIONS_TABLE,
    LABEL_FILES_TABLE,
    LATER_TABLES,
    SHARD_COLUMN,
    SHARDS_COLUMNS,
    SHARDS_TABLE,
    TABLES,
    TABLES_WITH_SHARD,
    TEXT,
    Table,
    column_of,
    common_dtype,
    decode_texts,
    join_tables,
    make_table,
)
from cmr_planes.system.json_text import JSON
from cmr_planes.system.whole_file import file_sha256, read_checksum, remove_leftovers, sealed

_CACHE_BYTES = 1 << 22


def is_catalogue(path: Path) -> bool:
    """Tell whether ``path`` is a catalogue, of any version; :class:`ShardError` if it exists but may not be read."""
    return is_ours(path, FileKind.CATALOGUE)


def read_configuration(path: Path) -> dict[str, Any]:
    """Return the configuration of the run that wrote a catalogue.

    Raises
    ------
    ShardError
        It is not a catalogue, or is damaged, or was written by a newer version.
    """
    with open_file(path, FileKind.CATALOGUE) as file:
        return read_json_attribute(file, RootAttribute.CONFIGURATION)


def read_codec(path: Path) -> Codec:
    """Return the codec of a shard; otherwise as :func:`read_configuration`."""
    with open_file(path, FileKind.SHARD) as file:
        try:
            return Codec(file.attrs[RootAttribute.CODEC])
        except DAMAGE_ERRORS as error:
            raise ShardError(f"shard {str(path)!r} does not say how it is compressed: it is damaged; make it again") from error


def write_catalogue(
    out: Path,
    shards: Sequence[Path],
    *,
    configuration: Mapping[str, JSON],
    versions: Mapping[str, JSON],
    label_files: Sequence[Path | None] | None = None,
) -> None:
    """Write the catalogue of some shards.

    Tables are copied one shard at a time. Of a subject without images that a later shard has again, the later rows count.

    Parameters
    ----------
    out
        The catalogue; replaced once the new one is complete.
    shards
        Sealed shards in the order in which their subjects are to stand, on the same file system as ``out``.
    configuration
        The run's options; must be those of every shard.
    versions
        Versions of the software.
    label_files
        The label file of each shard, None where it has none. By default those that lie in ``out.labels``, so that labels stay when
        a catalogue is written again.

    Raises
    ------
    ShardError
        A shard is missing, damaged or of another configuration, a subject is in two of them, or the catalogue cannot be written;
        nothing is left behind.
    """
    names = [Path(os.path.relpath(shard, out.parent)).as_posix() for shard in shards]
    labelled = label_files_of_shards(out, shards) if label_files is None else label_files
    subjects = [_read_subjects(shard) for shard in shards]
    superseded = _superseded(subjects)
    kept = [[key for key in of_shard if key not in dropped] for of_shard, dropped in zip(subjects, superseded, strict=True)]
    notes = make_table(TABLES["notes"], equal_image_notes(shards, kept))
    dtypes, lengths = _survey(shards, names, configuration_digest(configuration), superseded, notes)
    remove_leftovers(out)
    with sealed(out) as stream, h5py.File(stream, "w", libver=LIBVER, rdcc_nbytes=_CACHE_BYTES) as file:
        write_root_attributes(file, FileKind.CATALOGUE, configuration, versions)
        data, labels = file.create_group(Group.DATA), file.create_group(Group.LABELS)
        tables = {name: create_table(file, name, dtypes[name], lengths[name]) for name in TABLES}
        written = dict.fromkeys(TABLES, 0)
        summaries: list[tuple[str, str, int, int, int]] = []
        labelled_summaries: list[tuple[str, str, int, int, int]] = []
        annotations: list[Table] = []
        for shard, name, label_file, dropped in zip(shards, names, labelled, superseded, strict=True):
            rows = _read_tables(shard, name, dtypes, dropped)
            sha256, n_bytes = read_checksum(shard) or file_sha256(shard), shard.stat().st_size
            summaries.append((name, sha256, n_bytes, len(rows["subjects"]), len(rows["index"])))
            if label_file is not None:
                label_name = Path(os.path.relpath(label_file, out.parent)).as_posix()
                _link_labels(labels, mark_annotated(rows["index"], label_file), label_name)
                table, counts = read_annotation_table(label_file)
                annotations.append(table)
                labelled_summaries.append((label_name, *counts))
            for kind, values in rows.items():
                if len(values):
                    tables[kind][written[kind] : written[kind] + len(values)] = values
                written[kind] += len(values)
            _link_subjects(data, rows["subjects"], name)
            stream.check()
        if len(notes):
            tables["notes"][written["notes"] :] = notes.astype(dtypes["notes"])
        write_table(file, SHARDS_TABLE, make_table(SHARDS_COLUMNS, summaries))
        write_table(file, LABEL_FILES_TABLE, make_table(SHARDS_COLUMNS, labelled_summaries))
        write_table(file, ANNOTATIONS_TABLE, join_tables(ANNOTATIONS_COLUMNS, annotations))


def _read_subjects(shard: Path) -> dict[bytes, int]:
    """Return the subjects of a shard, and the number of images of each."""
    with open_file(shard, FileKind.SHARD) as file, reading_table(shard, "subjects"):
        subjects = get_table(file, "subjects")[()]
        return dict(zip(subjects["subject"].tolist(), subjects["n_images"].tolist(), strict=True))


def _superseded(subjects: Sequence[Mapping[bytes, int]]) -> list[set[bytes]]:
    """Return, for each shard, its subjects without images that a later shard has again: these were tried once more."""
    later: set[bytes] = set()
    superseded = []
    for of_shard in reversed(subjects):
        superseded.append({key for key, n_images in of_shard.items() if n_images == 0 and key in later})
        later |= of_shard.keys()
    return superseded[::-1]


def _survey(
    shards: Sequence[Path], names: Sequence[str], digest: str, superseded: Sequence[set[bytes]], notes: Table
) -> tuple[dict[str, np.dtype[np.void]], dict[str, int]]:
    """Find the row types and the lengths of the catalogue's tables, and that all shards have one configuration."""
    dtypes: dict[str, list[np.dtype[np.void]]] = {name: [] for name in TABLES}
    lengths = dict.fromkeys(TABLES, 0)
    if len(notes):
        dtypes["notes"].append(notes.dtype)
        lengths["notes"] = len(notes)
    for shard, dropped in zip(shards, superseded, strict=True):
        with open_file(shard, FileKind.SHARD) as file:
            if file.attrs.get(RootAttribute.CONFIGURATION_SHA256) != digest:
                raise ShardError(
                    f"shard {str(shard)!r} was made with another configuration than this run has; "
                    "use the same options, choose another output, or overwrite it"
                )
            for name in _tables_of(file):
                table = get_table(file, name)
                dtypes[name].append(table.dtype)
                lengths[name] += len(table) if not dropped else int(_kept(table[()], dropped).sum())
    width = max((len(name.encode()) for name in names), default=1)
    merged = {}
    for name, columns in TABLES.items():
        try:
            dtype = common_dtype(columns, dtypes[name])
        except KeyError as error:
            raise ShardError(
                f"table /{name} of a shard lacks column {error}: the shards are damaged; overwrite the output"
            ) from error
        if name in TABLES_WITH_SHARD:
            shard_text = common_dtype({SHARD_COLUMN: TEXT}, [np.dtype([(SHARD_COLUMN, f"S{width}")])])
            dtype = np.dtype([*((key, dtype[key]) for key in columns), (SHARD_COLUMN, shard_text[SHARD_COLUMN])])
        merged[name] = dtype
    return merged, lengths


def _kept(table: Table, dropped: set[bytes]) -> NDArray[np.bool_]:
    """Tell which rows are of subjects that are kept."""
    return ~np.isin(table["subject"], np.array(sorted(dropped), dtype=np.bytes_))


def _read_tables(shard: Path, name: str, dtypes: Mapping[str, np.dtype[np.void]], dropped: set[bytes]) -> dict[str, Table]:
    """Read a shard's tables as rows of the catalogue's types, but for those of some subjects."""
    rows = {}
    with open_file(shard, FileKind.SHARD) as file:
        for table in _tables_of(file):
            columns = TABLES[table]
            with reading_table(shard, table):
                found = get_table(file, table)[()]
                found = found[_kept(found, dropped)] if dropped else found
                values = np.zeros(len(found), dtype=dtypes[table])
                for column in columns:
                    values[column] = column_of(found, column)
            if table in TABLES_WITH_SHARD:
                values[SHARD_COLUMN] = name.encode()
            rows[table] = values
    return rows


def _tables_of(shard: h5py.File) -> list[str]:
    """Return the tables that a shard must have: one of an earlier release lacks the later ones."""
    return [name for name in TABLES if name not in LATER_TABLES or name in shard]


def _link_labels(labels: h5py.Group, keys: Sequence[str], name: str) -> None:
    """Link the subjects of a label file."""
    try:
        for key in keys:
            labels[key] = h5py.ExternalLink(name, f"/{Group.LABELS}/{key}")
    except DAMAGE_ERRORS as error:
        raise ShardError(
            f"label file {name!r} holds a subject's key that cannot be one, or one of another file; remove it"
        ) from error


def _link_subjects(data: h5py.Group, subjects: Table, name: str) -> None:
    """Link the subjects of a shard that have images."""
    try:
        keys = decode_texts(subjects["subject"][subjects["n_images"] > 0])
        for key in keys:
            check_subject_key(key)
    except ValueError as error:
        raise ShardError(f"shard {name!r} holds a subject's key that cannot be one: it is damaged; overwrite the output") from error
    for key in keys:
        try:
            data[key] = h5py.ExternalLink(name, f"/{Group.DATA}/{key}")
        except (OSError, RuntimeError, ValueError) as error:
            raise ShardError(f"subject {key!r} is in two shards, the second of them {name!r}; overwrite the output") from error
