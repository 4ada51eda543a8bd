"""Words in the names of NIfTI files: subject, view, phase, frame, and whether the file is a label map.

Two readings share the words. :func:`parse_image_name` is for the files of a public set, images and label maps alike: only whole
words between underscores count, since the rest is the subject's name, and a subject's name may be ``GT-001`` or ``A-ED-2``.
:func:`parse_label_name` is for annotation files, whose subject is known from elsewhere: there a word counts wherever letters stand
apart, as in ``label-sa.ES2``, and no view is assumed, since coordinates decide where a label map lies.
"""

import re
from dataclasses import dataclass

from cmr_planes.views import CardiacPhase, CardiacView

_VIEWS = {
    **dict.fromkeys(("sa", "sax", "lvsa", "shax", "shortaxis"), CardiacView.SAX),
    **{
        f"{axis}{number}{word}": view
        for number, view in (
            (2, CardiacView.TWO_CHAMBER),
            (3, CardiacView.THREE_CHAMBER),
            (4, CardiacView.FOUR_CHAMBER),
        )
        for axis in ("", "la", "lax")
        for word in ("ch", "c", "chamber", "cv")
    },
}
"""Words that name a view; the last one in a name counts."""
_LONG_AXIS = ("la", "lax")
"""Words that say no more than that a view is a long-axis one."""
_LABELS = (
    *("gt", "label", "labels", "mask", "masks", "seg", "segmentation", "truth", "groundtruth"),
    *("manual", "contour", "contours", "annotation", "annotations", "annot", "dseg", "lbl", "roi"),
)
"""Words of label maps."""
_LABELS_WITH_DIGIT = ("label4", "seg4")
"""Words of ukbb_cardiac's label maps with four chambers."""
_OTHERS = ("4d", "cine", "up")
"""Words that belong to no subject's name: cines, and ukbb_cardiac's up-sampled images."""
_ENTITY = re.compile("(?:acq|axis|desc|phase|plane|suffix|view)-(.+)")
"""How BIDS writes a word: ``acq-sax``, ``phase-ED``."""
_FRAME = re.compile(r"frame[_-]?(0*\d{1,4})(?!\d)")
_PHASES = {phase.value: phase for phase in CardiacPhase}

_CONVENTIONS = (
    (r"patient\d+_frame\d+_gt", "acdc"),
    (r".+_(sa|la)(_(ed|es|cine))?_gt", "mnms"),
    (r"(label|seg)(_up)?_sa(_(ed|es))?", "ukbb-sax"),
    (r"lvsa_seg_(ed|es)", "ukbb-sax"),
    (r"(label|seg)_la_2ch(_(ed|es))?", "ukbb-2ch"),
    (r"(label|seg)_la_4ch(_(ed|es))?", "ukbb-4ch-atria"),
    (r"(label|seg)4_la_[234]ch(_(ed|es))?", "ukbb-4ch"),
    (r"(sax|2ch|4ch)_(ed|es)", "catalogue"),
)
"""Names that a public data set or tool gives its label maps, and the convention of their values. Something may stand before a name:
the subject's, for example."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FileName:
    """The words in a file's name."""

    subject: str = ""
    """The subject, or empty where the folder bears its name."""
    view: CardiacView | None = None
    """The view, None if the name has no word for it."""
    phase: CardiacPhase | None = None
    """ED or ES, None if the name has no word for it."""
    frame_number: int | None = None
    """The frame in the cycle, from 1, None if the name has none."""
    is_label: bool = False
    """Whether the file is a label map."""


def parse_image_name(stem: str) -> FileName:
    """Take the name of a public set's file apart; ``stem`` has no suffix.

    Without a word for the view it is SAX, as in ACDC; ``la`` alone is M&Ms-2's 4Ch.

    Examples
    --------
    >>> parse_image_name("patient001_frame12_gt").frame_number, parse_image_name("001_LA_ES").view.value
    (12, '4ch')
    >>> parse_image_name("A-1_sa_ED").subject, parse_image_name("sa_ED").subject
    ('A-1', '')
    >>> parse_image_name("sub-01_ses-02_acq-sax_phase-ES").subject
    'sub-01_ses-02'
    """
    words = stem.split("_")
    known = [_without_entity(word.lower()) for word in words]
    frames = [match[1] for match in map(_FRAME.fullmatch, known) if match]
    assumed = CardiacView.FOUR_CHAMBER if set(known) & set(_LONG_AXIS) else CardiacView.SAX
    return FileName(
        subject="_".join(word for word, lower in zip(words, known, strict=True) if not _is_known(lower)),
        view=_last_view(known) or assumed,
        phase=_last_phase(known),
        frame_number=int(frames[-1]) if frames else None,
        is_label=not set(known).isdisjoint((*_LABELS, *_LABELS_WITH_DIGIT)),
    )


def parse_label_name(stem: str) -> FileName:
    """Take the name of an annotation file apart; ``stem`` has no suffix. The subject stays empty.

    Examples
    --------
    >>> parse_label_name("label-sa.ES2").phase, parse_label_name("patient001_frame01_gt").frame_number
    (<CardiacPhase.ES: 'es'>, 1)
    >>> parse_label_name("label_la_ED").view is None
    True
    """
    lower = stem.lower()
    frames = _FRAME.findall(lower)
    return FileName(
        view=_last_view(re.split(r"[_\W]+", lower)),
        phase=_last_phase(re.findall(r"[a-z]+", lower)),
        frame_number=int(frames[-1]) if frames else None,
        is_label=not set(re.split(r"[_\W\d]+", lower)).isdisjoint(_LABELS),
    )


def label_convention(stem: str) -> str | None:
    """Return the convention of a label map's values by its name, without suffix; None if the name is no public set's.

    Examples
    --------
    >>> label_convention("patient001_frame01_gt"), label_convention("SYN-0001_seg_sa_ED")
    ('acdc', 'ukbb-sax')
    """
    for pattern, convention in _CONVENTIONS:
        if re.fullmatch(rf"(.*[_.-])?({pattern})", stem, re.IGNORECASE):
            return convention
    return None


def _without_entity(word: str) -> str:
    """Return the value of one of BIDS's pairs, if it is a known word; any other word as it is."""
    match = _ENTITY.fullmatch(word)
    return match[1] if match and _is_known(match[1]) else word


def _is_known(word: str) -> bool:
    """Return whether a word, in lower case, is no part of a subject's name."""
    others = (*_LONG_AXIS, *_LABELS, *_LABELS_WITH_DIGIT, *_OTHERS)
    return word in _VIEWS or word in _PHASES or word in others or _FRAME.fullmatch(word) is not None


def _last_view(words: list[str]) -> CardiacView | None:
    return next((_VIEWS[word] for word in reversed(words) if word in _VIEWS), None)


def _last_phase(words: list[str]) -> CardiacPhase | None:
    return next((_PHASES[word] for word in reversed(words) if word in _PHASES), None)
