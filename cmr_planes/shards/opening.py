"""Opening catalogues and shards, and saying clearly why one cannot be opened."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import hdf5plugin  # noqa: F401  # registers the filter

from cmr_planes.errors import ShardError
from cmr_planes.shards.records import ShardSummary
from cmr_planes.shards.schema import SCHEMA_VERSION, FileKind, RootAttribute
from cmr_planes.system.reasons import reason
from cmr_planes.system.whole_file import file_sha256, read_checksum

DAMAGE_ERRORS = (
    OSError,
    RuntimeError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    ArithmeticError,
    MemoryError,
)
"""What h5py and numpy raise on a file that does not hold what a catalogue or a shard holds."""

MAX_EXPANSION = 1100
"""How many times its stored size a dataset may be in memory: deflate reaches 1,032."""
_FREE_BYTES = 1 << 24
"""Bytes up to which any expansion is accepted."""

_WORDS = {FileKind.CATALOGUE: "catalogue", FileKind.SHARD: "shard", FileKind.LABELS: "label file"}


def open_file(path: Path, kind: FileKind) -> h5py.File:
    """Open a catalogue or a shard for reading, without locking it.

    Parameters
    ----------
    path
        The file.
    kind
        What it must be.

    Returns
    -------
        The open file. HDF5's chunk cache is off: images are read whole, and once.

    Raises
    ------
    ShardError
        It is not there, may not be read, is not of ours, is damaged, or was written by a newer version.
    """
    what = _WORDS[kind]
    try:
        if path.exists() and not (path.is_file() or path.is_dir()):
            raise ShardError(f"{what} {str(path)!r} is not a regular file; {_remedy(kind)}")
        with path.open("rb"):
            pass
        file = _open_unlocked(path)
    except FileNotFoundError as error:
        raise ShardError(f"{what} {str(path)!r} does not exist; {_remedy(kind)}") from error
    except OSError as error:
        raise ShardError(f"{what} {str(path)!r} cannot be opened ({_why(error)}); {_remedy(kind)}") from error
    try:
        _check_kind(file, path, kind)
    except BaseException:
        file.close()
        raise
    return file


def _open_unlocked(path: Path) -> h5py.File:
    """Open a file for reading without locks, or as this process already has it open: HDF5 refuses to mix the two."""
    try:
        return h5py.File(path, "r", locking=False, rdcc_nbytes=0)
    except OSError as error:
        if "locking flag" not in str(error):
            raise
        return h5py.File(path, "r", rdcc_nbytes=0)


def follow_link(catalogue: Path) -> Path:
    """Return the catalogue to which a symbolic link leads, for its shards lie beside it; all other paths as they are.

    A link that has the folder of the shards beside itself, where the file that it leads to has none, stays too.
    """
    if not catalogue.is_symlink():
        return catalogue
    real = Path(os.path.realpath(catalogue))
    has_shards = [path.with_suffix(".shards").is_dir() for path in (catalogue, real)]
    return catalogue if has_shards == [True, False] else real


def check_folder(catalogue: Path, name: str) -> None:
    """Raise ShardError where the folder of a shard or label file is not there: a catalogue was copied without it.

    Parameters
    ----------
    catalogue
        The catalogue.
    name
        The file, as a path from the catalogue's folder.
    """
    folder = (catalogue.parent / name).parent
    if not folder.exists():
        raise ShardError(f"the folder {folder.name!r} must lie beside {str(catalogue)!r}, and is not there: copy it too")


def is_ours(path: Path, kind: FileKind) -> bool:
    """Tell whether a file is a catalogue, or a shard, of any version.

    Parameters
    ----------
    path
        The file; need not exist.
    kind
        What is asked for.

    Raises
    ------
    ShardError
        The file exists but may not be read, so that it cannot be determined.
    """
    try:
        if not path.is_file():
            return False
        with path.open("rb"):
            pass
        with _open_unlocked(path) as file:
            return bool(file.attrs.get(RootAttribute.FORMAT) == kind.value)
    except PermissionError as error:
        raise ShardError(f"{str(path)!r} may not be read ({reason(error)}); check its permissions") from error
    except DAMAGE_ERRORS:
        return False


@contextmanager
def reading_table(shard: Path, name: str) -> Iterator[None]:
    """Say of which shard a table cannot be read: whatever its rows raise ends as ShardError."""
    try:
        yield
    except DAMAGE_ERRORS as error:
        raise ShardError(f"table /{name} of shard {str(shard)!r} cannot be read: the shard is damaged") from error


def read_json_attribute(file: h5py.File, name: str) -> dict[str, Any]:
    """Read a JSON object from a root attribute.

    Raises
    ------
    ShardError
        The attribute is missing or is no JSON object.
    """
    try:
        value = json.loads(file.attrs[name])
    except DAMAGE_ERRORS as error:
        raise ShardError(f"{file.filename!r} has no readable attribute {name!r}: it is damaged; make it again") from error
    if not isinstance(value, dict):
        raise ShardError(f"attribute {name!r} of {file.filename!r} is no JSON object: the file is damaged; make it again")
    return value


def read_shard_summary(path: Path) -> ShardSummary:
    """Return what is known of a sealed shard.

    Parameters
    ----------
    path
        The shard. Its checksum is taken from the file beside it, and computed only if there is none.

    Raises
    ------
    ShardError
        It cannot be opened.
    """
    with open_file(path, FileKind.SHARD) as file:
        n_subjects, n_images = table_length(file, "subjects"), table_length(file, "index")
    return ShardSummary(path.name, read_checksum(path) or file_sha256(path), path.stat().st_size, n_subjects, n_images)


def get_table(file: h5py.File, name: str) -> h5py.Dataset:
    """Return a table's dataset.

    Raises
    ------
    ShardError
        The file has no such table.
    """
    try:
        table = file[name]
    except DAMAGE_ERRORS as error:
        raise ShardError(f"{file.filename!r} has no readable table /{name}: it is damaged; make it again") from error
    if not isinstance(table, h5py.Dataset) or table.dtype.names is None or table.ndim != 1:
        raise ShardError(f"/{name} of {file.filename!r} is not a table: the file is damaged; make it again")
    try:
        check_size(table)
    except DAMAGE_ERRORS as error:
        raise ShardError(
            f"/{name} of {file.filename!r} claims more rows than it holds: the file is damaged; make it again"
        ) from error
    return table


def check_size(dataset: h5py.Dataset) -> None:
    """Raise ``OSError`` for a dataset that claims more than can be compressed into what is stored of it."""
    if dataset.nbytes > max(_FREE_BYTES, MAX_EXPANSION * dataset.id.get_storage_size()):
        raise OSError(f"{dataset.name} claims {dataset.nbytes} bytes, and {dataset.id.get_storage_size()} are stored")


def table_length(file: h5py.File, name: str) -> int:
    """Return the number of rows of a table."""
    return int(get_table(file, name).shape[0])


def _check_kind(file: h5py.File, path: Path, kind: FileKind) -> None:
    """Raise unless an open file is of ours and of a version that can be read."""
    try:
        found = file.attrs.get(RootAttribute.FORMAT)
        version = file.attrs.get(RootAttribute.SCHEMA_VERSION)
    except DAMAGE_ERRORS as error:
        raise ShardError(f"{str(path)!r} is damaged: its attributes cannot be read; make it again") from error
    if not isinstance(found, str) or found != kind.value:
        other = f"it is a {found}" if isinstance(found, str) and found in set(FileKind) else "it was not written by cmr-planes"
        raise ShardError(f"{str(path)!r} is not a {kind.value}: {other}; give the file that 'cmr-planes extract' wrote")
    try:
        number = int(version)
    except (TypeError, ValueError, OverflowError) as error:
        raise ShardError(f"{str(path)!r} does not say which version of the format it has: it is damaged; make it again") from error
    if number > SCHEMA_VERSION:
        raise ShardError(
            f"{str(path)!r} has version {number} of the format, and this software reads versions up to {SCHEMA_VERSION}; "
            "update it with 'pip install --upgrade cmr-planes'"
        )


def _why(error: OSError) -> str:
    """Return the reason within an error of the operating system or of HDF5, without addresses."""
    if error.strerror and not error.strerror.startswith("Unable"):
        return reason(error)
    text = str(error)
    if "truncated" in text:
        return "the file is truncated"
    if "signature" in text:
        return "it is not an HDF5 file, or its beginning is damaged"
    return "it is damaged"


def _remedy(kind: FileKind) -> str:
    """Return what to do about a file that cannot be opened."""
    if kind is FileKind.CATALOGUE:
        return "give the file that 'cmr-planes extract' wrote"
    if kind is FileKind.LABELS:
        return "run 'cmr-planes annotate' again"
    return "'cmr-planes verify --set-aside' sets aside what is damaged, and running the same 'extract' again rebuilds it"
