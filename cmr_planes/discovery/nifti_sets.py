"""Public sets without DICOM: NIfTI images of a subject, and the label maps beside them.

Understood are files in a subject's folder (ACDC, M&Ms, M&Ms-2, ukbb_cardiac), files of many subjects in one folder, and images and
label maps in folders of their own: within a subject's folder (EMIDEC's ``Images`` and ``Contours``) or around all subjects
(nnU-Net's ``imagesTr`` and ``labelsTr``).
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from cmr_planes.dicom.listing import walk_files
from cmr_planes.discovery.groups import FileGroup
from cmr_planes.discovery.naming import Found, name_by_folders, name_of_source
from cmr_planes.discovery.subjects import SubjectSource
from cmr_planes.errors import Finding, NoteCode, SourceError
from cmr_planes.nifti.file_names import FileName, parse_image_name
from cmr_planes.system.names import stem_of
from cmr_planes.system.reasons import reason
from cmr_planes.system.text import counted, either
from cmr_planes.views import CardiacPhase

_INFO = re.compile(r"^\s*(ED|ES)\s*[:=]\s*(\d+)\s*$", re.MULTILINE | re.IGNORECASE)
_SPLIT = "[_-]?(tr|ts|va|val|train|training|test|testing)?"
_IMAGE_FOLDER = re.compile(f"(images?|imgs?|anat|niftis?){_SPLIT}", re.IGNORECASE)
_LABEL_FOLDER = re.compile(
    f"(labels?|contours?|masks?|segs?|segmentations?|annotations?|gts?|ground[_-]?truths?|manuals?){_SPLIT}", re.IGNORECASE
)
_NNUNET_FOLDER = re.compile("(images|labels)(tr|ts|va|val)", re.IGNORECASE)
_CHANNEL = re.compile(r"_\d{4}$")
"""What nnU-Net adds to the names of images."""
_FIRST_CHANNEL = "_0000"


@dataclass(frozen=True, slots=True)
class SetFile:
    """A file of a public set."""

    path: Path
    folder: Path
    """The folder that it would lie in if images, label maps, views and phases had no folders of their own."""
    words: str
    """Its name without suffix, with what its folders say of it before and after."""

    @property
    def name(self) -> FileName:
        """What the words say."""
        return parse_image_name(self.words)


def find_nifti_subjects(sources: Sequence[Path]) -> list[SubjectSource]:
    """Find the subjects of a public set: one per folder, or one per name where the files of several lie together.

    Parameters
    ----------
    sources
        Folders or files.

    Returns
    -------
        The subjects, sorted by key; ``paths`` are their images and label maps. Visits of one person, as folders or the names of
        files say, are of one participant.

    Raises
    ------
    SourceError
        A folder cannot be listed, or holds no NIfTI files.
    """
    found = [
        Found(source, name_of_source(root), FileGroup(paths=tuple(paths), parts=parts))
        for source, root in enumerate(sources)
        for parts, paths in _groups(_files(root), root)
    ]
    subjects = [
        SubjectSource(key=name.key, participant=name.participant, paths=tuple(kept), root=sources[one.source], findings=findings)
        for one, name in zip(found, name_by_folders(found), strict=True)
        for kept, findings in [_first_channel(one.group.paths)]
    ]
    return sorted(subjects, key=lambda subject: subject.key)


def files_of(subject: SubjectSource) -> list[SetFile]:
    """Return a subject's files, and what their names and folders say."""
    return [set_file(path, subject.root) for path in subject.paths]


def set_file(path: Path, root: Path) -> SetFile:
    """Take a path of a public set apart.

    Parameters
    ----------
    path
        The file.
    root
        The folder below which the names of folders count, itself included.

    Examples
    --------
    >>> file = set_file(Path("set/imagesTr/heart_001_0000.nii.gz"), Path("set"))
    >>> file.folder.as_posix(), file.name.subject, file.name.is_label
    ('set', 'heart_001', False)
    >>> set_file(Path("set/P001/Contours/ES/sa.nii"), Path("set")).words
    'ES_sa_gt'
    """
    top = root if root != path else path.parent
    parts = path.parent.relative_to(top).parts
    words = stem_of(path.name)
    kinds = [part for part in (top.name, *parts) if _is_kind(part)]
    if any(_IMAGE_FOLDER.fullmatch(kind) for kind in kinds):
        words = _CHANNEL.sub("", words)
    words = "_".join([*(part for part in parts if _says_when_or_what(part)), words])
    if any(_LABEL_FOLDER.fullmatch(kind) for kind in kinds) and not parse_image_name(words).is_label:
        words += "_gt"
    own = (part for part in parts if not (_is_kind(part) or _says_when_or_what(part)))
    return SetFile(path, top.joinpath(*own), words)


def stated_phases(files: Iterable[SetFile]) -> dict[CardiacPhase, int]:
    """Return the frames, from 1, that ACDC's ``Info.cfg`` names; empty without such a file beside any of the files."""
    for folder in dict.fromkeys(folder for file in files for folder in (file.path.parent, file.folder)):
        try:
            text = (folder / "Info.cfg").read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue
        return {CardiacPhase(name.lower()): int(number) for name, number in _INFO.findall(text)}
    return {}


def _files(root: Path) -> list[SetFile]:
    """Return the NIfTI files under a folder, or the one file; links are followed, each real folder once. Raises SourceError."""
    try:
        paths = list(walk_files(root, on_error=_fail)) if root.is_dir() else [root]
    except OSError as error:
        raise SourceError(f"{root}: cannot be read ({reason(error)}); check the path and its permissions") from error
    files = [
        set_file(path, root) for path in paths if path.name.lower().endswith((".nii", ".nii.gz")) and not path.name.startswith(".")
    ]
    if not files:
        raise SourceError(f"{root}: no NIfTI files in it; give the folder of a public set such as ACDC or M&Ms")
    return files


def _fail(error: OSError) -> None:
    raise error


def _groups(files: Iterable[SetFile], root: Path) -> Iterator[tuple[tuple[str, ...], list[Path]]]:
    """Return the files of each subject, and the names of its folders below the root, its own name the last."""
    by_folder: defaultdict[Path, list[SetFile]] = defaultdict(list)
    for file in files:
        by_folder[file.folder].append(file)
    for folder, members in by_folder.items():
        by_name: defaultdict[str, list[Path]] = defaultdict(list)
        for file in members:
            by_name[file.name.subject].append(file.path)
        folder_name = _name_of(folder)
        above = folder.relative_to(root).parts if folder.is_relative_to(root) else ()
        if len(by_name) == 1 and not _holds_a_set(members):
            name = folder_name or next(iter(by_name)) or "subject"
            yield (*above[:-1], name), [file.path for file in members]
        else:
            yield from (
                ((*above, name) if name else (*above[:-1], folder_name or "subject"), paths) for name, paths in by_name.items()
            )


def _first_channel(paths: Sequence[Path]) -> tuple[list[Path], tuple[Finding, ...]]:
    """Leave out images of nnU-Net's further channels (``_0001``) beside those of the first, and say so."""
    others = [
        path
        for path in paths
        if _IMAGE_FOLDER.fullmatch(path.parent.name)
        and (match := _CHANNEL.search(stem_of(path.name)))
        and match[0] != _FIRST_CHANNEL
        and path.with_name(path.name.replace(match[0], _FIRST_CHANNEL)) in paths
    ]
    if not others:
        return list(paths), ()
    left_out = f"{counted(len(others), 'image')} of {either(len(others), 'another channel was', 'other channels were')}"
    sentence = f"only images of the first channel ({_FIRST_CHANNEL[1:]}) were read; {left_out} skipped"
    return [path for path in paths if path not in others], (Finding("", NoteCode.PASSED_OVER, sentence),)


def _holds_a_set(files: Sequence[SetFile]) -> bool:
    """Tell whether files lie in nnU-Net's folders, whose files always bear the names of their subjects."""
    return any(_NNUNET_FOLDER.fullmatch(file.path.parent.name) for file in files)


def _name_of(folder: Path) -> str:
    """Return the name of a subject's folder, which may be a link; empty if it is that of a kind of file."""
    name = folder.name if folder.name not in ("", "..") else folder.resolve().name
    return "" if _is_kind(name) else name


def _is_kind(name: str) -> bool:
    """Tell whether a folder is named after a kind of file."""
    return bool(_IMAGE_FOLDER.fullmatch(name) or _LABEL_FOLDER.fullmatch(name))


def _says_when_or_what(name: str) -> bool:
    """Tell whether a folder is named after a view or a phase, not after a subject."""
    return not _is_kind(name) and not parse_image_name(name).subject
