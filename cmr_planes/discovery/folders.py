"""What a SOURCE holds: its folders, and the folders inside its zips, as trees of the files that may be images.

No file is opened to make a tree; a zip's directory is read. Headers are read one at a time, when they are asked for, and once.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cmr_planes.dicom import tags
from cmr_planes.dicom.archive import Archive, ByteSource, FileBytes
from cmr_planes.dicom.elements import read_elements
from cmr_planes.dicom.examinations import Origin, read_identity
from cmr_planes.dicom.headers import IDENTITY_TAGS
from cmr_planes.dicom.listing import is_candidate, is_member_candidate, is_new, is_zip, parents_of, scan_folder
from cmr_planes.dicom.quiet import quiet_pydicom
from cmr_planes.dicom.values import integer, text
from cmr_planes.errors import UnreadableFileError

MAX_DEPTH = 100
"""Folders nested deeper are not examined."""

_TAGS = (
    *IDENTITY_TAGS,
    tags.SOP_INSTANCE_UID,
    tags.SERIES_DESCRIPTION,
    tags.SERIES_INSTANCE_UID,
    tags.SERIES_NUMBER,
    tags.INSTANCE_NUMBER,
    tags.FRAME_OF_REFERENCE_UID,
)


@dataclass(slots=True, eq=False)
class Folder:
    """A folder on disk or in a zip."""

    path: Path
    """The folder, or the zip."""
    parts: tuple[str, ...]
    """Names from below SOURCE to this folder."""
    archive: Archive | None = None
    """The open zip that the folder is in; None for one on disk."""
    members: tuple[str, ...] = ()
    """In a zip: its files that may be DICOM images, by their names in the zip."""
    n_files: int = 0
    """Files that may be DICOM images."""
    n_other_files: int = 0
    """Files that are neither such nor zips."""
    samples: tuple[str, ...] = ()
    """Names of the first, the middle and the last image."""
    zips: tuple[str, ...] = ()
    children: list["Folder"] = field(default_factory=list)
    is_readable: bool = True
    is_part: bool = False
    """Named like a part of a subject that is joined by name (UK Biobank), and therefore not looked into."""
    holds_images: bool = False
    """Files that may be images lie in it or, outside of parts, below it."""
    holds_parts: bool = False
    """It is, or has below it, a part that is joined by name."""
    known: dict[str, Origin | None] = field(default_factory=dict)
    """Headers that were read."""

    def file_names(self) -> tuple[str, ...]:
        """Return the names of its files that may be images; raises OSError."""
        return self.members if self.archive is not None else _image_names(scan_folder(self.path)[1])

    def origin(self, name: str) -> Origin | None:
        """Read where one of its files comes from, once; None if it is no readable DICOM file."""
        if name not in self.known:
            self.known[name] = self._read(name)
        return self.known[name]

    def _read(self, name: str) -> Origin | None:
        try:
            if self.archive is not None:
                return read_origin(self.archive.member(name))
            with FileBytes(self.path / name) as file:
                return read_origin(file)
        except UnreadableFileError:
            return None


def walk(root: Path, is_part_name: Callable[[str], bool]) -> Folder:
    """Walk a folder without opening any file; each real folder is visited once, and none of its parents, whatever links say.

    Parameters
    ----------
    root
        Where to begin.
    is_part_name
        Tells by its name whether a folder is joined with others by name; such folders are not entered.

    Returns
    -------
        The folder with all that was found below it.

    Raises
    ------
    OSError
        The root cannot be listed; folders below it that cannot be are marked.
    """
    seen = parents_of(root)
    top = Folder(root, ())
    found = [top]
    for folder in found:  # grows while it is walked
        if folder is not top and is_part_name(folder.parts[-1]):
            folder.is_part = True
            continue
        try:
            if not is_new(folder.path, seen):
                continue
            folders, files = scan_folder(folder.path)
        except OSError:
            if folder is top:
                raise
            folder.is_readable = False
            continue
        images = _image_names(files)
        folder.n_files = len(images)
        folder.samples = _spread(images)
        folder.zips = tuple(name for name in files if is_zip(name))
        folder.n_other_files = len(files) - len(images) - len(folder.zips)
        if len(folder.parts) < MAX_DEPTH:
            folder.children = [Folder(folder.path / name, (*folder.parts, name)) for name in folders]
            found += folder.children
    _sum_up(found)
    return top


def walk_zip(path: Path, archive: Archive, parts: tuple[str, ...]) -> Folder:
    """Return the folders inside an open zip.

    Parameters
    ----------
    path
        The zip.
    archive
        The same, open; headers are read through it.
    parts
        Names from below SOURCE to the zip, its own included.
    """
    top = Folder(path, parts, archive)
    found: dict[tuple[str, ...], Folder] = {(): top}
    members: dict[tuple[str, ...], list[str]] = {}
    for name in archive.members:
        *folders, _ = name.replace("\\", "/").split("/")
        inside = tuple(folder for folder in folders if folder)[:MAX_DEPTH]
        for depth in range(1, len(inside) + 1):
            if inside[:depth] not in found:
                folder = found[inside[:depth]] = Folder(path, (*parts, *inside[:depth]), archive)
                found[inside[: depth - 1]].children.append(folder)
        if is_member_candidate(name) and not is_zip(name):
            members.setdefault(inside, []).append(name)
    for inside, names in members.items():
        folder = found[inside]
        folder.members, folder.n_files, folder.samples = tuple(names), len(names), _spread(names)
    _sum_up(sorted(found.values(), key=lambda folder: len(folder.parts)))
    return top


def all_folders(top: Folder) -> Iterator[Folder]:
    """Yield a folder and all below it, parents first."""
    pending = [top]
    while pending:
        folder = pending.pop()
        yield folder
        pending.extend(reversed(folder.children))


def sample(folder: Folder) -> Origin | None:
    """Return where a file under a folder comes from; None if it has no readable DICOM file among those that are tried."""
    origins = (leaf.origin(name) for leaf in all_folders(folder) for name in leaf.samples)
    return next((origin for origin in origins if origin is not None), None)


def _sum_up(parents_first: Sequence[Folder]) -> None:
    """Say of every folder what lies below it."""
    for folder in reversed(parents_first):
        folder.holds_images = bool(folder.n_files or not folder.is_readable or any(child.holds_images for child in folder.children))
        folder.holds_parts = folder.is_part or any(child.holds_parts for child in folder.children)


def _image_names(files: Sequence[str]) -> tuple[str, ...]:
    """Return the names that may be those of images."""
    return tuple(name for name in files if is_candidate(name) and not is_zip(name))


def _spread(items: Sequence[str]) -> tuple[str, ...]:
    """Return the first, the middle and the last item, without repeats."""
    return tuple(dict.fromkeys(items[index] for index in (0, len(items) // 2, -1))) if items else ()


def read_origin(source: ByteSource) -> Origin:
    """Read where a file comes from, from its header; raises UnreadableFileError."""
    with quiet_pydicom():
        values = read_elements(source, _TAGS, last=tags.FRAME_OF_REFERENCE_UID).values

    def raw(tag: int) -> bytes:
        return values.get(tag, b"")

    return Origin(
        identity=read_identity(*(raw(tag) for tag in IDENTITY_TAGS)),
        series=(integer(raw(tags.SERIES_NUMBER)), raw(tags.SERIES_DESCRIPTION).strip(b" \x00")),
        series_uid=text(raw(tags.SERIES_INSTANCE_UID)),
        instance_number=integer(raw(tags.INSTANCE_NUMBER)),
        frame_of_reference=text(raw(tags.FRAME_OF_REFERENCE_UID)),
        sop_instance_uid=text(raw(tags.SOP_INSTANCE_UID)),
    )
