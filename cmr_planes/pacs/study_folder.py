"""The folder of one study while it is pulled: hidden until it is complete, so that nothing takes it for a whole study."""

import os
import shutil
from collections.abc import Collection
from pathlib import Path

from cmr_planes.errors import ShardError
from cmr_planes.pacs.naming import Naming
from cmr_planes.system.reasons import reason
from cmr_planes.system.whole_file import PART_SUFFIX, rename, sealed, sync_folder, write_error

IMAGE_SUFFIX = ".dcm"
"""Ends the names of instances as the server sent them."""
HEADER_SUFFIX = ".header.dcm"
"""Ends the names of headers without pixels."""


class StudyFolder:
    """The folder of a study, complete or not.

    Parameters
    ----------
    root
        The output folder.
    name
        What the study's folder is called.
    naming
        Gives the files their names.
    """

    def __init__(self, root: Path, name: str, naming: Naming) -> None:
        self.path = root / name
        """Where the study lies when it is complete."""
        self.part = root / f".{name}{PART_SUFFIX}"
        """Where it lies until then."""
        self._naming = naming

    @property
    def is_complete(self) -> bool:
        """Whether an earlier pull has brought the whole study."""
        return self.path.is_dir()

    def begin(self) -> None:
        """Make the folder, or continue with it: headers are asked for again, images stay.

        Raises
        ------
        ShardError
            The folder cannot be written.
        """
        try:
            self.part.mkdir(mode=0o700, exist_ok=True)
            for leftover in (*self.part.glob(f"*{HEADER_SUFFIX}"), *self.part.glob(f"*{PART_SUFFIX}")):
                leftover.unlink()
        except OSError as error:
            raise ShardError(
                f"{self.part.parent} cannot be written ({reason(error)}); check the path, its permissions and the free space"
            ) from error

    def image(self, uid: str) -> Path:
        """Return the file of an instance, there or not."""
        return self.part / f"{self._naming.instance(uid)}{IMAGE_SUFFIX}"

    def has_image(self, uid: str) -> bool:
        """Tell whether an instance has come."""
        return self.image(uid).is_file()

    def write_image(self, uid: str, data: bytes) -> None:
        """Write an instance; raises ShardError."""
        with sealed(self.image(uid), syncs_name=False) as stream:  # all names are at the end
            stream.write(data)

    def write_header(self, uid: str, data: bytes) -> None:
        """Write the header of an instance that has not come itself; raises ShardError."""
        path = self.part / f"{self._naming.instance(uid)}{HEADER_SUFFIX}"
        try:
            path.write_bytes(data)  # made again by the next pull if this one is cut short
        except OSError as error:
            raise write_error(path, error) from error

    def keep_only(self, uids: Collection[str]) -> None:
        """Remove images that an earlier pull brought and that the server no longer lists."""
        kept = {self.image(uid).name for uid in uids}
        for path in self.part.glob(f"*{IMAGE_SUFFIX}"):
            if path.name not in kept and not path.name.endswith(HEADER_SUFFIX):
                path.unlink()

    def complete(self) -> None:
        """Give the folder its name: all of it is on the disk, headers only of instances whose images were not wanted.

        Raises
        ------
        ShardError
            The folder cannot be written.
        """
        try:
            for path in self.part.glob(f"*{HEADER_SUFFIX}"):
                if path.with_name(path.name.removesuffix(HEADER_SUFFIX) + IMAGE_SUFFIX).exists():
                    path.unlink()
                else:
                    _flush(path)
            sync_folder(self.part)
            rename(self.part, self.path)
            sync_folder(self.path.parent)
        except OSError as error:
            raise write_error(self.path, error) from error

    def discard(self) -> None:
        """Remove what has come of a study that is left out."""
        shutil.rmtree(self.part, ignore_errors=True)


def _flush(path: Path) -> None:
    """Bring a file to the disk."""
    with path.open("r+b") as stream:
        os.fsync(stream.fileno())
