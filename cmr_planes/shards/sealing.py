"""Files that are whole or not there.

A file is written under a temporary name in its own folder, flushed to the disk, and renamed. HDF5 is given a Python file, not a
path: when its own driver meets a full disk it cannot close the file any more and brings the process down at exit.
"""

from pathlib import Path

from cmr_planes.shards.schema import DAMAGED_SUFFIX
from cmr_planes.system.whole_file import checksum_path, rename, sync_folder, write_error


def move_sealed(path: Path, folder: Path) -> None:
    """Move a sealed file into another folder of its file system, its checksum last.

    Raises
    ------
    ShardError
        It cannot be moved.
    """
    try:
        checksum_path(folder / path.name).unlink(missing_ok=True)
        rename(path, folder / path.name)
        rename(checksum_path(path), folder / checksum_path(path).name)
    except OSError as error:
        raise write_error(folder / path.name, error) from error
    sync_folder(folder)


def remove_sealed(folder: Path) -> None:
    """Remove the numbered files of a folder, their checksums and what was set aside, and no other file; raises OSError."""
    for path in folder.glob("[0-9]*.h5"):
        checksum_path(path).unlink(missing_ok=True)
        path.unlink()
    for path in folder.glob(f"[0-9]*.h5{DAMAGED_SUFFIX}"):
        path.unlink()


def put_aside(path: Path) -> None:
    """Break the seal of a damaged file and rename it to ``<name>.damaged``, so that it is rebuilt; raises OSError."""
    checksum_path(path).unlink(missing_ok=True)
    if path.exists():
        rename(path, path.with_name(path.name + DAMAGED_SUFFIX))
