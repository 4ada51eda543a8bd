"""Which acquisitions are cines of the heart: the evidence of headers, then of names, then of what else there is.

Strong evidence excludes: the images are of another kind, or their times contradict a heart beat. Weak evidence ranks: derived
images, times as in real-time imaging or a doubtful word give way to a cine at the same place, and are used where there is none;
so does, without a note, what is only suspect: frames without trigger times, magnitude images beside phase images of the same
acquisition, and a protocol named after another kind of series.
Words only support: one that fits all acquisitions of a study says nothing, and headers refute words of several meanings.
"""

import posixpath
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from statistics import median
from typing import TypeVar

from cmr_planes.cine.acquisitions import CineSlice, CineStudy, share_orientation
from cmr_planes.cine.competition import MIN_STACK_LEVELS, are_one_run, is_displaced, n_levels, shows_same, uncorrected_copies
from cmr_planes.cine.header_evidence import MIN_BEAT_FRAMES, PHASE_IMAGES, HeaderEvidence, judge_headers
from cmr_planes.cine.name_patterns import REFUTABLE_REASONS
from cmr_planes.cine.series_names import Exclusion, NameTable, Strength
from cmr_planes.dicom.frames import FrameHeader
from cmr_planes.errors import Finding, NoteCode
from cmr_planes.fates import Fate, PlaneFate
from cmr_planes.system.text import counted, either, part
from cmr_planes.views import CardiacView

K = TypeVar("K")

SHARED = 0.9
"""A word that fits this many of a study's acquisitions is the examination's, not the series'."""
SHARED_ANGLE_DEG = 30.0
"""... if they lie at such angles to one another: one series may well be all there is of a stack."""
CORRECTED_COPY = "the distortion-corrected copy of the same acquisition was used"
MAX_FEW_FRAMES = 3
"""So few frames are no cine where the study has others of :data:`MIN_BEAT_FRAMES` and more."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Case:
    """An acquisition, what is known of it, and what is decided."""

    cine: CineSlice
    headers: HeaderEvidence
    fate: Fate | None = None
    """What became of it if it is left out, else None."""
    reason: str = ""
    """Why it is left out."""
    suspicion: str = ""
    """What lets a cine whose times follow the heart beat take its place, as part of a sentence; empty for nothing."""

    def left_out(self, fate: Fate, reason: str) -> "_Case":
        """Return the case with its decision."""
        return replace(self, fate=fate, reason=reason)


def keep_cines(study: CineStudy, names: NameTable) -> CineStudy:
    """Keep the acquisitions that are cines.

    Parameters
    ----------
    study
        All acquisitions of a study.
    names
        What series names mean.

    Returns
    -------
        The same study without the acquisitions that are no cine; they are counted in ``excluded`` and have a row each in
        ``passed_over``. Those that are left carry the view that their name hints at, and a doubt where there is one.
    """
    cases = _by_partners([_by_headers(cine) for cine in study.slices])
    cases = _by_names(cases, names)
    cases = _by_number_of_frames(cases)
    cases = _by_competition(cases)
    kept = [case.cine for case in cases if case.fate is None]
    n_copies = sum(case.reason == CORRECTED_COPY for case in cases)
    sentence = (
        f"{counted(n_copies, 'plane')} {either(n_copies, 'is', 'are')} there with and without correction of "
        f"distortion; the corrected {either(n_copies, 'copy was', 'copies were')} used"
    )
    notes = [Finding("", NoteCode.SUPERSEDED, sentence)] if n_copies else []
    excluded = Counter(study.excluded)
    for case in cases:
        if case.fate in (Fate.NOT_CINE, Fate.EXCLUDED_NAME):
            excluded[case.reason] += len(case.cine.frames)
    return replace(
        study,
        slices=tuple(_with_hints(kept, names)),
        excluded=dict(sorted(excluded.items())),
        findings=(*study.findings, *notes),
        passed_over=(*study.passed_over, *(_row(case.cine, case.fate, case.reason) for case in cases if case.fate is not None)),
    )


def doubt_findings(view: CardiacView, slices: Sequence[CineSlice]) -> list[Finding]:
    """Note slices of a chosen view whose headers or names say something that a cine's usually do not."""
    doubts = Counter(cine.doubt for cine in slices if cine.doubt)
    return [
        Finding(
            view.value,
            NoteCode.DOUBTFUL_CINE,
            f"{part(count, len(slices), 'slice')} {either(count, 'is', 'are')} used since no better cine lies there: "
            f"{doubt}; check the images",
        )
        for doubt, count in sorted(doubts.items())
    ]


def _by_headers(cine: CineSlice) -> _Case:
    """Decide what headers alone decide."""
    headers = judge_headers(cine)
    suspicion = "" if headers.has_times else "no trigger times"
    case = _Case(cine=replace(cine, doubt=headers.doubt), headers=headers, suspicion=suspicion)
    return case.left_out(Fate.NOT_CINE, headers.exclusion) if headers.exclusion else case


def _by_partners(cases: Sequence[_Case]) -> list[_Case]:
    """Suspect magnitude images of which the scanner stored phase images too: a flow measurement is such a pair."""
    phases = [case.cine for case in cases if case.reason == PHASE_IMAGES]
    sentence = "phase images of the same acquisition lie beside it, as in flow measurements"
    return [
        replace(case, suspicion=sentence) if case.fate is None and any(are_one_run(case.cine, other) for other in phases) else case
        for case in cases
    ]


def _by_names(cases: Sequence[_Case], names: NameTable) -> list[_Case]:
    """Leave out, or doubt, what names call another kind of series."""
    texts = {text for case in cases for text in (_series_name(case.cine.header), case.cine.header.protocol_name)}
    words = {name: names.exclusions(name) for name in texts}
    views = {name: names.view(name) for name in words}
    cines = [case.cine for case in cases if case.fate is None]
    shared = _common(cines, lambda cine: [word.reason for word in words[_series_name(cine.header)]])
    shared_protocols = _common(cines, lambda cine: [word.reason for word in words[cine.header.protocol_name]])
    decided = []
    for case in cases:
        name = _series_name(case.cine.header)
        telling = (word for word in words[name] if word.strength is Strength.OWN or word.reason not in shared)
        protocol = (word for word in words[case.cine.header.protocol_name] if word.reason not in shared_protocols)
        word = next(telling, None)
        if case.fate is None and word is not None:
            case = _by_word(case, word, says_view=views[name] is not None, among=cines)
        elif case.fate is None and any(word.strength is not Strength.HINT for word in protocol):
            case = replace(case, suspicion="the protocol's name is that of another kind of series")
        decided.append(case)
    return decided


def _by_word(case: _Case, word: Exclusion, *, says_view: bool, among: Sequence[CineSlice]) -> _Case:
    """Weigh a word of exclusion against headers, the view that the name says, and the stack that the acquisition is part of."""
    refuted = case.headers.follows_beat and word.reason in REFUTABLE_REASONS
    if word.strength is Strength.OWN or (word.strength is Strength.TELLING and not refuted):
        return case.left_out(Fate.EXCLUDED_NAME, word.reason)
    if word.strength is Strength.HINT and (refuted or says_view or (case.headers.follows_beat and _is_of_stack(case.cine, among))):
        return case
    return replace(case, cine=replace(case.cine, doubt=case.cine.doubt or f"the name suggests {word.reason}"))


def _is_of_stack(cine: CineSlice, among: Sequence[CineSlice]) -> bool:
    """Tell whether an acquisition is one of three and more levels of one name."""
    name = _series_name(cine.header)
    return n_levels(cine, [other for other in among if _series_name(other.header) == name]) >= MIN_STACK_LEVELS


def _by_number_of_frames(cases: Sequence[_Case]) -> list[_Case]:
    """Leave out planes of two or three frames where the study has cines of many."""
    usual = int(median([len(case.cine.frames) for case in cases if case.fate is None] or [0]))
    if usual < MIN_BEAT_FRAMES:
        return list(cases)
    return [
        case.left_out(Fate.NOT_CINE, f"{counted(len(case.cine.frames), 'frame')}, where the cines of the study have {usual}")
        if case.fate is None and len(case.cine.frames) <= MAX_FEW_FRAMES
        else case
        for case in cases
    ]


def _by_competition(cases: Sequence[_Case]) -> list[_Case]:
    """Leave out doubtful or suspect acquisitions where better ones lie, and copies without the correction that others have."""
    sound = [case.cine for case in cases if case.fate is None and not case.cine.doubt]
    better = [case.cine for case in cases if case.cine in sound and case.headers.follows_beat and not case.suspicion]
    uncorrected = uncorrected_copies([case.cine for case in cases if case.fate is None])
    decided = []
    for case in cases:
        if case.fate is None and case.cine in uncorrected:
            case = case.left_out(Fate.REPEAT, CORRECTED_COPY)
        elif case.fate is None and case.cine.doubt and is_displaced(case.cine, sound):
            case = case.left_out(Fate.NOT_CINE, f"{case.cine.doubt}; a better cine is there")
        elif case.fate is None and case.suspicion and shows_same(case.cine, better):
            case = case.left_out(Fate.NOT_CINE, f"{case.suspicion}; a better cine is there")
        decided.append(case)
    return decided


def _with_hints(cines: Sequence[CineSlice], names: NameTable) -> list[CineSlice]:
    """Give each acquisition the view that its names hint at; a hint that nearly all share is none."""
    telling = {cine: list(_names(cine.header)) for cine in cines}
    hints = {name: names.view(name) for name in {name for texts in telling.values() for name in texts}}

    def hints_at(cine: CineSlice, place: int) -> list[CardiacView]:
        hint = hints[telling[cine][place]]
        return [] if hint is None else [hint]

    for place in range(3):
        shared = _common(cines, partial(hints_at, place=place))
        for texts in telling.values():
            if hints[texts[place]] in shared:
                texts[place] = ""
        hints[""] = None
    return [
        replace(cine, name_view=names.view(*telling[cine]), is_stress=names.is_stress(_series_name(cine.header))) for cine in cines
    ]


def _common(cines: Sequence[CineSlice], words: Callable[[CineSlice], Iterable[K]]) -> set[K]:
    """Return words of nearly all acquisitions, if these do not lie parallel: they are the examination's, not the series'."""
    bearers: defaultdict[K, list[CineSlice]] = defaultdict(list)
    for cine in cines:
        for word in set(words(cine)):
            bearers[word].append(cine)
    return {word for word, members in bearers.items() if len(members) >= SHARED * len(cines) and _lie_turned(members)}


def _lie_turned(cines: Sequence[CineSlice]) -> bool:
    """Tell whether planes lie at large angles to one another."""
    return any(not share_orientation(cines[0], other, SHARED_ANGLE_DEG) for other in cines[1:])


def _row(cine: CineSlice, fate: Fate, reason: str) -> PlaneFate:
    """Return the row of an acquisition that is left out before views are identified."""
    return PlaneFate(series_number=cine.header.series_number, view="", n_frames=len(cine.frames), fate=fate, sentence=reason)


def _series_name(frame: FrameHeader) -> str:
    """Return the name that may exclude a series: its description, else its protocol's."""
    return frame.series_description or frame.protocol_name


def _names(frame: FrameHeader) -> tuple[str, str, str]:
    """Return the names to look at, most telling first: description, protocol, folder."""
    folder = posixpath.basename(posixpath.dirname(frame.file.member)) if frame.file.member else frame.file.path.parent.name
    return frame.series_description, frame.protocol_name, folder
