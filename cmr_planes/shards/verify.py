"""Comparison of shards and label files with their checksums."""

import stat
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import h5py
import numpy as np

from cmr_planes.errors import ShardError
from cmr_planes.shards.catalogue_writer import read_configuration
from cmr_planes.shards.opening import DAMAGE_ERRORS, check_folder, follow_link, get_table, open_file
from cmr_planes.shards.schema import FileKind
from cmr_planes.shards.sealing import put_aside
from cmr_planes.shards.tables import LABEL_FILES_TABLE, SHARDS_TABLE, decode_texts
from cmr_planes.system.progress import OnProgress, Progress, ignore_progress
from cmr_planes.system.reasons import reason
from cmr_planes.system.whole_file import checksum_path, file_sha256, write_error


class Damage(StrEnum):
    """Kinds of damage to a shard. The values are stable."""

    MISSING = "missing"
    """The file is not there."""
    UNREADABLE = "unreadable"
    """The file may not, or cannot, be read."""
    TRUNCATED = "truncated"
    """The file is shorter than it was."""
    CHECKSUM = "checksum"
    """The content is not what was sealed."""


@dataclass(frozen=True, slots=True)
class DamagedFile:
    """A shard or label file that is not as it was sealed."""

    shard: str
    """The file, as a path from the catalogue's folder."""
    damage: Damage
    """The kind of damage."""
    sentence: str
    """A sentence with what was found and what was expected."""


@dataclass(frozen=True, slots=True)
class SealedShard:
    """A row of ``/shards``, or of ``/label_files``."""

    name: str
    """Path from the catalogue's folder."""
    sha256: str
    """Checksum at the time of sealing."""
    n_bytes: int
    """Size at the time of sealing."""


def read_sealed_files(path: Path) -> list[SealedShard]:
    """Read the catalogue's tables ``/shards`` and ``/label_files``.

    Raises
    ------
    ShardError
        It is not a catalogue, or is damaged.
    """
    with open_file(path, FileKind.CATALOGUE) as file:
        try:
            has_labels = LABEL_FILES_TABLE in file
        except DAMAGE_ERRORS as error:
            raise ShardError(f"{file.filename!r} cannot be read: the catalogue is damaged; make it again") from error
        return _read_sealed(file, SHARDS_TABLE) + (_read_sealed(file, LABEL_FILES_TABLE) if has_labels else [])


def _read_sealed(file: h5py.File, name: str) -> list[SealedShard]:
    """Read one of the tables of files."""
    try:
        table = get_table(file, name)[()]
        names, digests, sizes = decode_texts(table["name"]), decode_texts(table["sha256"]), table["bytes"].astype(np.int64).tolist()
    except DAMAGE_ERRORS as error:
        raise ShardError(f"table /{name} of {file.filename!r} cannot be read: the catalogue is damaged; make it again") from error
    return [SealedShard(*row) for row in zip(names, digests, sizes, strict=True)]


def verify_catalogue(path: Path, *, on_progress: OnProgress = ignore_progress) -> list[DamagedFile]:
    """Compare every shard and label file of a catalogue with what was sealed.

    Parameters
    ----------
    path
        The catalogue.
    on_progress
        Called after each file.

    Returns
    -------
        The damaged files, in the order of the catalogue.

    Raises
    ------
    ShardError
        The catalogue itself cannot be read, or lies alone, without the folder of its shards.
    """
    damaged, path = [], follow_link(path)
    shards = read_sealed_files(path)
    for shard in shards:
        check_folder(path, shard.name)
    for n_done, shard in enumerate(shards, start=1):
        file = verify_shard(path.parent, shard)
        if file is not None:
            damaged.append(file)
        on_progress(Progress(n_done, len(shards)))
    return damaged


def verify_shard(folder: Path, shard: SealedShard) -> DamagedFile | None:
    """Compare one shard with what was sealed; None if it is the same.

    Parameters
    ----------
    folder
        The catalogue's folder.
    shard
        What was sealed.
    """
    path = folder / shard.name
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            return DamagedFile(shard.name, Damage.UNREADABLE, f"shard {shard.name!r} is not a regular file")
        n_bytes = status.st_size
        if n_bytes < shard.n_bytes:
            sentence = f"shard {shard.name!r} has {n_bytes} bytes, and {shard.n_bytes} were sealed"
            return DamagedFile(shard.name, Damage.TRUNCATED, sentence)
        digest = file_sha256(path)
    except FileNotFoundError:
        return DamagedFile(shard.name, Damage.MISSING, f"shard {shard.name!r} is not there")
    except (OSError, ValueError) as error:  # a name that no path can have is a ValueError
        why = reason(error) if isinstance(error, OSError) else type(error).__name__
        return DamagedFile(shard.name, Damage.UNREADABLE, f"shard {shard.name!r} cannot be read ({why})")
    if digest != shard.sha256:
        sentence = f"shard {shard.name!r} has the checksum {digest[:12]}…, and {shard.sha256[:12]}… was sealed"
        return DamagedFile(shard.name, Damage.CHECKSUM, sentence)
    return None


def is_label_file(name: str) -> bool:
    """Tell by its path from the catalogue's folder whether a file holds labels."""
    return Path(name).parent.suffix == ".labels"


def extract_made_labels(catalogue: Path) -> bool:
    """Tell whether the labels of a catalogue came with its images, and not from ``annotate`` alone; raises ShardError."""
    configuration = read_configuration(catalogue)
    return bool(configuration.get("nifti")) or configuration.get("annotations") is not None


def set_aside(catalogue: Path, damaged: Sequence[DamagedFile]) -> list[DamagedFile]:
    """Rename damaged files, and break the seal of missing ones, so that the next run rebuilds them.

    Parameters
    ----------
    catalogue
        The catalogue; stays as it is until that run.
    damaged
        What :func:`verify_catalogue` found. An unreadable file is left alone: it may be whole, and the disk or the permissions at
        fault.

    Returns
    -------
        The files for which that was done.

    Raises
    ------
    ShardError
        A file cannot be renamed, or the catalogue cannot be read.
    """
    catalogue = follow_link(catalogue)
    is_with_labels = extract_made_labels(catalogue)
    done = []
    for file in damaged:
        path = catalogue.parent / file.shard
        is_own = path.parent.parent == catalogue.parent and path.name[:1].isdigit()
        if file.damage is Damage.UNREADABLE or not is_own:
            continue
        try:
            put_aside(path)
            if is_with_labels and is_label_file(file.shard):  # made with their shard
                checksum_path(path.parent.with_suffix(".shards") / path.name).unlink(missing_ok=True)
        except OSError as error:
            raise write_error(path, error) from error
        done.append(file)
    return done
