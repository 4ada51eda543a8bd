"""Why long-axis planes are refused or skipped, in sentences: which planes were found, and what would tell the views."""

from collections.abc import Mapping, Sequence

from cmr_planes.cine.acquisitions import join_labels
from cmr_planes.cine.long_axis import MAX_2CH_MM, Reading
from cmr_planes.cine.long_axis_lines import LongAxisLines
from cmr_planes.errors import Finding, NoteCode, RejectionCode
from cmr_planes.system.text import counted
from cmr_planes.views import CardiacView

TWO, THREE, FOUR = CardiacView.TWO_CHAMBER, CardiacView.THREE_CHAMBER, CardiacView.FOUR_CHAMBER


def uncertain(reading: Reading, view: CardiacView) -> Finding:
    """Say between what a plane could not be decided."""
    lines, plane = reading.lines, reading.planes[view]
    taken_for, rival = reading.rivals[view]
    label, other = lines.slices[plane].label, lines.slices[rival].label
    if rival == plane:
        reason = f"{label} lies between {view.title} and another view, and its name does not decide"
    elif taken_for is None:
        reason = f"{label} and {other} are {view.title} about as likely"
    else:
        reason = f"{label} and {other} lie between {view.title} and {taken_for.title}, and their names do not decide"
    sentence = f"no {view.title} view is certain: {reason}; say what the names of the series mean in a table of series names"
    return Finding(view.value, RejectionCode.AMBIGUOUS_VIEW, sentence)


def radial(view: CardiacView) -> Finding:
    """Say that the planes stand all around the axis."""
    sentence = (
        f"no {view.title} view is certain: the long-axis planes are a radial set, all around the axis of the left ventricle, and "
        "neither their angles nor their names tell the views; say which series is which in a table of series names"
    )
    return Finding(view.value, RejectionCode.AMBIGUOUS_VIEW, sentence)


def unknown_slice(lines: LongAxisLines, view: CardiacView, slices: Sequence[int]) -> Finding:
    """Say that none of parallel slices is known to run through the left ventricle."""
    labels = join_labels(lines.slices[index] for index in slices)
    sentence = (
        f"no {view.title} view is certain: {counted(len(slices), 'parallel slice')} ({labels}) run like one, and no "
        "short-axis image shows a "
        "blood pool in a ring of muscle that tells which runs through the left ventricle; keep only the slice that does"
    )
    return Finding(view.value, RejectionCode.AMBIGUOUS_VIEW, sentence)


def alone(reading: Reading, planes: Mapping[CardiacView, int], *, is_seen: bool) -> Finding:
    """Say that a two-chamber plane may be the right ventricle's."""
    lines = reading.lines
    label = lines.slices[planes[TWO]].label
    seen = "no short-axis image shows a blood pool in a ring of muscle where it meets the 4Ch plane"
    what = seen if is_seen else "no image was examined"
    why, add = "there is no 3Ch plane to show where the left one is", "add the 3Ch series or the left ventricle's 2Ch series"
    if THREE in planes:
        off_mm = lines.distance_mm(planes[TWO], lines.meeting_mm(planes[FOUR], planes[THREE]))
        why, add = f"it runs {off_mm:.0f} mm from where 3Ch and 4Ch meet", "add the left ventricle's 2Ch series"
    sentence = (
        f"no 2Ch view is certain: {label} may be the two-chamber view of either ventricle, since {why}, and {what}; look at it, "
        f"and {add}"
    )
    return Finding(TWO.value, RejectionCode.AMBIGUOUS_VIEW, sentence)


def without_four(lines: LongAxisLines, planes: Mapping[CardiacView, int]) -> Finding:
    """Say that a two-chamber plane may be another one, since the four-chamber plane is not certain."""
    sentence = (
        f"no 2Ch view is certain: {lines.slices[planes[TWO]].label} runs like one, but no 4Ch view is certain, which would show "
        "whether it runs through the left ventricle"
    )
    return Finding(TWO.value, RejectionCode.AMBIGUOUS_VIEW, sentence)


def far_from_ventricle(reading: Reading) -> Finding | None:
    """Say that the two-chamber plane is far from where 4Ch and a plane that may be 3Ch meet; None if it is not."""
    if TWO not in reading.planes or THREE in reading.planes or reading.four_and_three is None:
        return None
    lines, plane = reading.lines, reading.planes[TWO]
    distance_mm = lines.distance_mm(plane, lines.meeting_mm(*reading.four_and_three))
    if distance_mm <= MAX_2CH_MM:
        return None
    sentence = (
        f"no 2Ch view: {lines.slices[plane].label} runs like a two-chamber view but {distance_mm:.0f} mm from the left ventricle "
        f"(at most {MAX_2CH_MM:.0f} mm expected), as a right-ventricular one does"
    )
    return Finding(TWO.value, RejectionCode.NO_2CH, sentence)


def right_ventricular(lines: LongAxisLines, chosen: int, right: Sequence[int]) -> Finding:
    """Say that the plane farthest to the left was taken."""
    labels = join_labels(lines.slices[index] for index in right)
    sentence = (
        f"parallel two-chamber planes lie side by side; {lines.slices[chosen].label}, the one on the patient's left, was used, and "
        f"the others ({labels}) were taken as the right ventricle's"
    )
    return Finding(TWO.value, NoteCode.PASSED_OVER, sentence)
