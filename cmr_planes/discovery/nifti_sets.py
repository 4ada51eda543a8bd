"""Public sets without DICOM: NIfTI images of a subject, and the label maps beside them.

Understood are the layouts of ACDC (``patient001_frame01.nii.gz`` and ``_gt``, ``Info.cfg``), M&Ms (``ID_sa.nii.gz`` and ``_sa_gt``,
whole cines), M&Ms-2 (``001_SA_ED.nii.gz``, ``001_LA_ES_gt.nii.gz``) and ukbb_cardiac (``sa_ED.nii.gz``, ``label_sa_ED.nii.gz``).
"""

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from cmr_planes.discovery.subjects import SubjectSource, key_text
from cmr_planes.errors import SourceError
from cmr_planes.system.names import stem_of
from cmr_planes.views import CardiacPhase, CardiacView

_VIEWS = {
    "sa": CardiacView.SAX,
    "sax": CardiacView.SAX,
    "la": CardiacView.FOUR_CHAMBER,
    "lax": CardiacView.FOUR_CHAMBER,
    "2ch": CardiacView.TWO_CHAMBER,
    "3ch": CardiacView.THREE_CHAMBER,
    "4ch": CardiacView.FOUR_CHAMBER,
}
"""Words of file names; the last one counts, so that ``la_2ch`` is 2Ch, and ``LA`` alone is M&Ms-2's 4Ch."""


_LABEL_WORDS = ("gt", "label", "seg", "seg4", "label4", "mask")


_CINE_WORDS = ("4d", "cine")


_FRAME = re.compile(r"frame(\d+)")


_INFO = re.compile(r"^\s*(ED|ES)\s*:\s*(\d+)\s*$", re.MULTILINE | re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class VolumeName:
    """What a file's name says."""

    subject: str
    """The subject, or empty where the folder is called like it."""
    view: CardiacView
    """The view; SAX where no word tells, as in ACDC."""
    phase: CardiacPhase | None
    """ED or ES, None if the name does not say."""
    frame_number: int | None
    """The frame, from 1, None if the name does not say."""
    is_label: bool
    """Whether it is a label map."""


def parse_name(stem: str) -> VolumeName:
    """Take a file's name apart.

    Examples
    --------
    >>> parse_name("patient001_frame12_gt").frame_number, parse_name("001_LA_ES").view.value, parse_name("sa_ED").subject
    (12, '4ch', '')
    """
    view, phase, frame_number, is_label, rest = CardiacView.SAX, None, None, False, []
    for word in stem.split("_"):
        lower = word.lower()
        frame = _FRAME.fullmatch(lower)
        if lower in _VIEWS:
            view = _VIEWS[lower]
        elif lower in set(CardiacPhase):
            phase = CardiacPhase(lower)
        elif frame is not None:
            frame_number = int(frame[1])
        elif lower in _LABEL_WORDS:
            is_label = True
        elif lower not in (*_CINE_WORDS, "up"):
            rest.append(word)
    return VolumeName("_".join(rest), view, phase, frame_number, is_label)


def find_nifti_subjects(sources: Sequence[Path]) -> list[SubjectSource]:
    """Find the subjects of a public set: one a folder, or one a name where files of several lie together.

    Parameters
    ----------
    sources
        Folders.

    Returns
    -------
        The subjects, sorted by key; ``paths`` are their images and label maps.

    Raises
    ------
    SourceError
        A folder cannot be listed, or holds no NIfTI files.
    """
    subjects: dict[str, SubjectSource] = {}
    for root in sources:
        by_folder: defaultdict[Path, list[Path]] = defaultdict(list)
        try:
            for path in sorted(root.rglob("*.nii*")) if root.is_dir() else [root]:
                if path.name.lower().endswith((".nii", ".nii.gz")) and not path.name.startswith("."):
                    by_folder[path.parent].append(path)
        except OSError as error:
            raise SourceError(f"{root}: cannot be read ({error.strerror}); check the path and its permissions") from error
        if not by_folder:
            raise SourceError(f"{root}: no NIfTI files in it; give the folder of a public set such as ACDC or M&Ms")
        for found, paths in _groups(by_folder):
            key = key_text(found)
            number, name = 2, key
            while name in subjects:
                name, number = f"{key}__{number}", number + 1
            subjects[name] = SubjectSource(key=name, participant=name, paths=tuple(paths), root=root)
    return [subjects[key] for key in sorted(subjects)]


def _groups(by_folder: dict[Path, list[Path]]) -> Iterator[tuple[str, list[Path]]]:
    """Return the files of each subject, and its name."""
    for folder, paths in by_folder.items():
        by_name: defaultdict[str, list[Path]] = defaultdict(list)
        for path in paths:
            by_name[parse_name(stem_of(path.name)).subject].append(path)
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
