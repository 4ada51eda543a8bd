"""An output folder whose parts appear complete: written under a temporary name, then renamed."""

import os
import secrets
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from cmr_planes.errors import ExportError
from cmr_planes.system.reasons import advice, reason
from cmr_planes.system.whole_file import PART_SUFFIX, rename, sync_folder


@dataclass(frozen=True, slots=True)
class Staging:
    """A temporary folder in the output folder."""

    folder: Path

    def write(self, name: str, data: bytes) -> None:
        """Write a file and bring it to the disk; ``name`` is its path from the output folder, with ``/``. Raises OSError."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())


@contextmanager
def staged(out: Path, *, overwrite: bool) -> Iterator[Staging]:
    """Fill a temporary folder in ``out``; at the end its files and folders get their places, or nothing is left behind.

    Parameters
    ----------
    out
        The output folder; made if it does not exist.
    overwrite
        Whether what has the same name in ``out`` is replaced.

    Yields
    ------
        Where to write.

    Raises
    ------
    ExportError
        Something of the same name is there and is not to be replaced, or a file cannot be written.
    """
    is_new = not out.exists()
    part = out / f".export-{secrets.token_hex(4)}{PART_SUFFIX}"
    try:
        (part / "new").mkdir(parents=True)
        yield Staging(part / "new")
        units = sorted(_units(part / "new"))
        check_free(out, units, overwrite=overwrite)
        _put_all(units, part, out)
        shutil.rmtree(part / "old", ignore_errors=True)
    except OSError as error:
        raise ExportError(
            f"{str(out)!r} could not be written ({reason(error)}); {advice(error)} and run the same command again"
        ) from error
    finally:
        shutil.rmtree(part / "new", ignore_errors=True)
        for folder in (part / "old" / SHARED_FOLDER, part / "old", part, *([out] if is_new else [])):
            with suppress(OSError):
                folder.rmdir()  # only an empty one: what could not be put back stays


SHARED_FOLDER = "derivatives"
"""A folder of many programs' results: only what an export has in it is put there or replaced."""


def _units(folder: Path) -> Iterator[str]:
    """Return what is renamed as a whole, as paths from the folder."""
    for path in folder.iterdir():
        yield from (f"{path.name}/{child.name}" for child in path.iterdir()) if path.name == SHARED_FOLDER else [path.name]


def _put_all(units: Sequence[str], part: Path, out: Path) -> None:
    """Rename files and folders to their places; if one fails, or the user interrupts, all is as before. Raises OSError."""
    begun: list[str] = []
    try:
        for unit in units:
            begun.append(unit)
            _put(part / "new" / unit, out / unit, part / "old" / unit)
        sync_folder(out)
    except BaseException:
        for unit in reversed(begun):
            _take_back(part / "new" / unit, out / unit, part / "old" / unit)
        raise


def _put(path: Path, target: Path, old: Path) -> None:
    """Rename a file or folder; what is in its place is renamed to ``old``. Raises OSError."""
    target.parent.mkdir(exist_ok=True)
    if target.exists():
        old.parent.mkdir(parents=True, exist_ok=True)
        rename(target, old)
    rename(path, target)


def _take_back(path: Path, target: Path, old: Path) -> None:
    """Undo :func:`_put`, however far it came. Raises OSError."""
    if not path.exists():
        rename(target, path)
    if old.exists():
        rename(old, target)


def check_free(out: Path, names: Sequence[str], *, overwrite: bool) -> None:
    """Raise ExportError where ``out`` holds something of one of the names, unless it is to be replaced."""
    if out.exists() and not out.is_dir():
        raise ExportError(f"{str(out)!r} is a file, and the folder of the export is expected; choose another")
    if overwrite:
        return
    present = [name for name in names if (out / name).exists()]
    if present:
        what = "one of the names" if len(present) == 1 else f"{len(present)} of the names"
        raise ExportError(f"{str(out)!r} already holds {what} that the export writes; choose another folder, or overwrite them")
