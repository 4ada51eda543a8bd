"""Which cine slices are SAX, 2Ch, 3Ch and 4Ch: geometry, names and, where both leave it open, images.

Each set of parallel slices is tried as the short axis, with the best reading of the other planes around it
(:mod:`cmr_planes.cine.short_axis`, :mod:`cmr_planes.cine.long_axis`); the best of all is taken. Of parallel planes of one view
:mod:`cmr_planes.cine.left_ventricle` takes the one through the left ventricle. What nothing decides is refused.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from cmr_planes.cine.acquisitions import CineSlice, CineStudy, join_labels
from cmr_planes.cine.left_ventricle import FindVentricle, LongAxisChoice, choose_planes
from cmr_planes.cine.short_axis import ShortAxis, ShortAxisChoice, choose_short_axis
from cmr_planes.cine.stacks import assemble_stack, superseded_sentence
from cmr_planes.cine.view_fates import fates_of_planes, fates_without_views
from cmr_planes.errors import Finding, NoteCode, RejectionCode
from cmr_planes.fates import PlaneFate
from cmr_planes.system.text import counted, either
from cmr_planes.views import CardiacView

MISSING_CODES = {
    CardiacView.SAX: RejectionCode.NO_SAX,
    CardiacView.TWO_CHAMBER: RejectionCode.NO_2CH,
    CardiacView.FOUR_CHAMBER: RejectionCode.NO_4CH,
}
"""What says that a target view was not found."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ViewSelection:
    """The chosen slices of each view, and why others are missing."""

    views: dict[CardiacView, tuple[CineSlice, ...]]
    """Slices of SAX from base to apex; one slice for a long-axis view."""
    missing: dict[CardiacView, Finding]
    """Reason for each view that was not found."""
    findings: tuple[Finding, ...]
    """Repeats skipped, slices left out, names that contradict geometry."""
    planes: tuple[PlaneFate, ...] = ()
    """What became of each cine slice."""


def select_views(study: CineStudy, find_ventricle: FindVentricle | None = None) -> ViewSelection:
    """Choose the slices of each view.

    Parameters
    ----------
    study
        The cine slices of one study.
    find_ventricle
        What short-axis images show; asked only where headers leave the choice open. None if there are no images to look at.

    Returns
    -------
        The selection; views that cannot be found are in ``missing``, never an exception.
    """
    choice = choose_short_axis(study.slices)
    if choice.best is None or choice.is_mirrored or choice.rival is not None:
        missing = _without_short_axis(choice, study)
        planes = fates_without_views(
            study.slices, "no short-axis view was found" if choice.best is None else "the short axis is not certain"
        )
        return ViewSelection(views={}, missing=missing, findings=(), planes=planes)

    stack = assemble_stack(choice.best.slices, study.slices)
    long_axis = choose_planes(choice.best.reading, stack.slices, find_ventricle)
    views = {CardiacView.SAX: stack.slices, **{view: (cine,) for view, cine in long_axis.planes.items()}}
    missing = {
        view: _why_missing(view, choice.best, long_axis, study)
        for view in (CardiacView.TWO_CHAMBER, CardiacView.FOUR_CHAMBER)
        if view not in views
    }
    findings = [*stack.findings, *long_axis.findings, *_repeats(long_axis), *_name_conflicts(views)]
    planes = fates_of_planes(study.slices, choice.best, stack, long_axis)
    return ViewSelection(views=views, missing=missing, findings=tuple(findings), planes=planes)


def _without_short_axis(choice: ShortAxisChoice, study: CineStudy) -> dict[CardiacView, Finding]:
    """Say why no view can be determined."""
    if choice.is_mirrored:
        sentence = (
            "the planes are those of a mirrored heart: its apex or the order of its long-axis views is on the other side; this is "
            "dextrocardia, or the headers are mirrored, and left and right are not known; positions are for hearts on the left"
        )
        return {view: Finding(view.value, RejectionCode.MIRRORED, sentence) for view in MISSING_CODES}
    if choice.best is not None and choice.rival is not None:
        labels = " and ".join(_labels(one.slices) for one in (choice.best, choice.rival))
        sentence = f"{labels} may both be the short axis; say which is, in a table of series names"
        return {view: Finding(view.value, RejectionCode.AMBIGUOUS_VIEW, sentence) for view in MISSING_CODES}
    sentence = f"no short-axis view among {counted(len(study.slices), 'cine slice')}{_left_out(study)}"
    check = "check that the short-axis series belong to this subject"
    reasons = dict.fromkeys(MISSING_CODES, f"long-axis views cannot be distinguished without a short-axis view, and {sentence}")
    reasons[CardiacView.SAX] = f"{sentence}; {check}"
    return {view: Finding(view.value, code, reasons[view]) for view, code in MISSING_CODES.items()}


def _labels(slices: Sequence[CineSlice]) -> str:
    """Name some series, not more than four."""
    labels = sorted({cine.label for cine in slices})
    return "; ".join(labels) if len(labels) <= 4 else f"{'; '.join(labels[:3])} and {len(labels) - 3} more"


def _left_out(study: CineStudy) -> str:
    """Return what was skipped before views were searched for, as part of a sentence."""
    parts = [f"{counted(count, 'frame')} left out: {reason}" for reason, count in study.excluded.items()]
    if study.n_single_frames:
        parts.append(f"{counted(study.n_single_frames, 'plane')} {either(study.n_single_frames, 'has', 'have')} a single frame")
    return f" ({'; '.join(parts)})" if parts else ""


def _why_missing(view: CardiacView, best: ShortAxis, long_axis: LongAxisChoice, study: CineStudy) -> Finding:
    """Say why a long-axis view was not found."""
    if view in long_axis.refused:
        return long_axis.refused[view]
    found = ", ".join(sorted(other.title for other in best.reading.planes)) or "none"
    sentence = f"no {view.title} view among the cine slices (long-axis views found: {found}){_left_out(study)}"
    return Finding(view.value, MISSING_CODES[view], f"{sentence}; check that the long-axis series belong to this subject")


def _repeats(long_axis: LongAxisChoice) -> list[Finding]:
    """Note the acquisitions that were skipped for later ones."""
    return [
        Finding(view.value, NoteCode.SUPERSEDED, superseded_sentence(others))
        for view, others in long_axis.repeats.items()
        if others and view in long_axis.planes
    ]


def _name_conflicts(views: dict[CardiacView, tuple[CineSlice, ...]]) -> list[Finding]:
    """Note chosen series whose names hint at another view."""
    findings = []
    for view, slices in views.items():
        labels = join_labels(cine for cine in slices if cine.name_view not in (None, view))
        if labels:
            sentence = f"{labels}: the name hints at another view, the planes say {view.title}; the planes were followed"
            findings.append(Finding(view.value, NoteCode.NAME_CONFLICT, sentence))
    return findings
