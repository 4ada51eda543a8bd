"""Public sets without DICOM: NIfTI images of a subject, and the label maps beside them.

Understood are the layouts of ACDC (``patient001_frame01.nii.gz`` and ``_gt``, ``Info.cfg``), M&Ms (``ID_sa.nii.gz`` and ``_sa_gt``,
whole cines), M&Ms-2 (``001_SA_ED.nii.gz``, ``001_LA_ES_gt.nii.gz``) and ukbb_cardiac (``sa_ED.nii.gz``, ``label_sa_ED.nii.gz``).
"""

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from cmr_planes.discovery.naming import unique_keys
from cmr_planes.discovery.subjects import SubjectSource
from cmr_planes.errors import SourceError
from cmr_planes.nifti.file_names import parse_image_name
from cmr_planes.system.names import stem_of
from cmr_planes.system.reasons import reason
from cmr_planes.views import CardiacPhase

_INFO = re.compile(r"^\s*(ED|ES)\s*:\s*(\d+)\s*$", re.MULTILINE | re.IGNORECASE)


def find_nifti_subjects(sources: Sequence[Path]) -> list[SubjectSource]:
    """Find the subjects of a public set: one per folder, or one per name where the files of several lie together.

    Parameters
    ----------
    sources
        Folders or files.

    Returns
    -------
        The subjects, sorted by key; ``paths`` are their images and label maps.

    Raises
    ------
    SourceError
        A folder cannot be listed, or holds no NIfTI files.
    """
    groups = [(root, name, paths) for root in sources for name, paths in _groups(_by_folder(root))]
    keys = unique_keys([[name] for _, name, _ in groups])
    subjects = [
        SubjectSource(key=key, participant=key, paths=tuple(paths), root=root)
        for key, (root, _, paths) in zip(keys, groups, strict=True)
    ]
    return sorted(subjects, key=lambda subject: subject.key)


def _by_folder(root: Path) -> dict[Path, list[Path]]:
    """Return the NIfTI files under a folder, or the one file, by the folder they lie in; raises SourceError."""
    by_folder: defaultdict[Path, list[Path]] = defaultdict(list)
    try:
        for path in sorted(root.rglob("*.nii*")) if root.is_dir() else [root]:
            if path.name.lower().endswith((".nii", ".nii.gz")) and not path.name.startswith("."):
                by_folder[path.parent].append(path)
    except OSError as error:
        raise SourceError(f"{root}: cannot be read ({reason(error)}); check the path and its permissions") from error
    if not by_folder:
        raise SourceError(f"{root}: no NIfTI files in it; give the folder of a public set such as ACDC or M&Ms")
    return by_folder


def _groups(by_folder: Mapping[Path, list[Path]]) -> Iterator[tuple[str, list[Path]]]:
    """Return the files of each subject, and its name."""
    for folder, paths in by_folder.items():
        by_name: defaultdict[str, list[Path]] = defaultdict(list)
        for path in paths:
            by_name[parse_image_name(stem_of(path.name)).subject].append(path)
        if len(by_name) == 1:
            yield folder.resolve().name or "subject", paths
        else:
            yield from ((name or folder.resolve().name, members) for name, members in by_name.items())


def stated_phases(folder: Path) -> dict[CardiacPhase, int]:
    """Return the frames, from 1, that ACDC's ``Info.cfg`` names; empty without such a file."""
    try:
        text = (folder / "Info.cfg").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return {}
    return {CardiacPhase(name.lower()): int(number) for name, number in _INFO.findall(text)}
