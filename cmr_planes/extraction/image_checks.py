"""What the stored images tell about themselves: whether they agree along their common lines, and what was mended in them."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from cmr_planes.cine.frame_choice import end_diastolic_image
from cmr_planes.cine.line_agreement import line_agreement
from cmr_planes.cine.line_surfaces import ThickImage
from cmr_planes.cine.shifts import estimate_shifts
from cmr_planes.errors import Finding, NoteCode, RejectionCode, UnreadablePixelsError
from cmr_planes.extraction.assembly import Assembly
from cmr_planes.extraction.subject_views import ReadSlice
from cmr_planes.geometry import VIEW_LINES, ImagePlane, Positions, SliceShifts
from cmr_planes.geometry.arrays import FloatArray, IntArray, median
from cmr_planes.system.text import counted, either, part
from cmr_planes.views import CardiacPhase, CardiacView, PositionClass

LOW_AGREEMENT = 0.5
"""Images that agree less than this along their common line are noted; a real study has 0.69 to 0.95."""
USUAL_THICKNESS_MM, MAX_THICKNESS_MM = 8.0, 20.0
"""Thickness of a slice whose header gives none, and above which it is none of a cine."""
_LONG_AXIS = tuple(view for view in CardiacView if view is not CardiacView.SAX)


def measure_agreement(view: CardiacView, keep: Sequence[int], positions: Sequence[Positions], assembly: Assembly) -> FloatArray:
    """Correlate slices with the two views that leave lines on them, at end-diastole.

    Parameters
    ----------
    view, keep
        The view, and which of its slices.
    positions
        The positions on each of them.
    assembly
        The subject.

    Returns
    -------
        Shape (slice, 2): correlation along each line, NaN where the images do not tell.
    """
    lines = [line.view for line in VIEW_LINES[view]]
    agreement = np.full((len(keep), len(lines)), np.nan)
    for column, other in enumerate(lines):
        if other in assembly.subject.stated_planes:
            continue
        try:
            other_plane, other_image = _end_diastole(other, assembly.standing_slice(other), assembly)
        except UnreadablePixelsError:
            continue
        for row, index in enumerate(keep):
            try:
                plane, image = _end_diastole(view, index, assembly)
            except UnreadablePixelsError:
                continue
            centre_mm = positions[row].centres_mm[PositionClass.INTERSECTION - 1]
            agreement[row, column] = line_agreement(plane, image, other_plane, other_image, centre_mm)
    return agreement


def measure_shifts(assembly: Assembly) -> Mapping[CardiacView, SliceShifts]:
    """Find how far each slice lies from where the subject's end-diastolic images agree.

    Parameters
    ----------
    assembly
        The subject; its own shifts are not examined.

    Returns
    -------
        The shifts of the slices of each view, NaN where the images do not tell; none without a short axis and two long-axis views
        that have images.
    """
    found = {
        (view, index): image
        for view in (CardiacView.SAX, *_LONG_AXIS)
        for index in range(len(assembly.subject.views.get(view, ())))
        if (image := _thick_image(view, index, assembly)) is not None
    }
    n_short = sum(view is CardiacView.SAX for view, _ in found)
    images = list(found.values())
    shifts = estimate_shifts(images[:n_short], images[n_short:], head=assembly.subject.axes.superior)
    if shifts is None:
        return {}
    rows = {key: row for row, key in enumerate(found)}
    return {
        view: shifts.of([rows.get((view, index)) for index in range(len(assembly.subject.views[view]))])
        for view in dict.fromkeys(view for view, _ in found)
    }


def _thick_image(view: CardiacView, index: int, assembly: Assembly) -> ThickImage | None:
    """Return the end-diastolic image of a slice, None where there is none or it cannot be read."""
    if view in assembly.subject.stated_planes or CardiacPhase.ED not in assembly.subject.named_phases.get(view, (CardiacPhase.ED,)):
        return None
    try:
        plane, image = _end_diastole(view, index, assembly)
    except UnreadablePixelsError:
        return None
    thickness_mm = assembly.subject.views[view][index].slice_thickness_mm
    is_known = 0 < thickness_mm <= MAX_THICKNESS_MM  # NaN is not
    return ThickImage(plane=plane, image=image, thickness_mm=thickness_mm if is_known else USUAL_THICKNESS_MM)


def _end_diastole(view: CardiacView, index: int, assembly: Assembly) -> tuple[ImagePlane, NDArray[np.uint16]]:
    """Return the plane of a slice and its end-diastolic image; raises UnreadablePixelsError."""
    one = assembly.subject.views[view][index]
    times = assembly.times[view][index] if view in assembly.times else None
    return one.plane, end_diastolic_image(one, times, assembly.choice.cycle)


def repair_findings(view: CardiacView, slices: Sequence[ReadSlice], frame_index: IntArray) -> list[Finding]:
    """Note what was changed in the values of the stored images."""
    repairs = [one.repair(frame) for one, column in zip(slices, frame_index.T, strict=True) for frame in column.tolist()]
    negative = [repair.n_negative for repair in repairs if repair.n_negative]
    cut = [repair.n_cut for repair in repairs if repair.n_cut]
    n_without_slope = sum(repair.has_zero_slope for repair in repairs)
    sentences = []
    if negative:
        sentences.append(
            f"{counted(sum(negative), 'pixel')} of {counted(len(negative), 'image')} "
            f"{either(sum(negative), 'is negative, and was', 'are negative, and were')} set to 0"
        )
    if cut:
        sentences.append(
            f"{counted(sum(cut), 'pixel')} of {counted(len(cut), 'image')} {either(sum(cut), 'has', 'have')} bits "
            "beyond BitsStored (0028,0101), which were cut off: if the images "
            "look broken, export them again"
        )
    if n_without_slope:
        sentences.append(f"RescaleSlope (0028,1053) of {counted(n_without_slope, 'image')} is 0, and was taken as 1")
    return [Finding(view.value, NoteCode.PIXEL_VALUES, "; ".join(sentences))] if sentences else []


def alignment_findings(view: CardiacView, keep: Sequence[int], assembly: Assembly) -> list[Finding]:
    """Note slices on which lines were to be aligned with the tissue and could not be."""
    n_unknown = sum(not assembly.is_aligned(view, index) for index in keep) if assembly.options.align else 0
    if not n_unknown:
        return []
    sentence = (
        f"of {part(n_unknown, len(keep), 'slice')} the images do not tell how far they lie from the other views; their boxes were "
        "drawn at the lines of the headers"
    )
    return [Finding(view.value, NoteCode.NOT_ALIGNED, sentence)]


def agreement_findings(view: CardiacView, agreement: FloatArray, least: float | None) -> list[Finding]:
    """Note or, last, reject a view whose images disagree with another view's along their common line."""
    findings: list[Finding] = []
    for line, column in zip(VIEW_LINES[view], agreement.T, strict=True):
        known = column[np.isfinite(column)]
        if not len(known):
            continue
        middle = median(known)
        sentence = (
            f"the {view.title} images agree only {middle:.2f} (median correlation) with the {line.view.title} image along their "
            "common line; look at them (cmr-planes show): the patient may have breathed differently, or a header may be wrong"
        )
        if least is not None and middle < least:
            return [*findings, Finding(view.value, RejectionCode.LOW_AGREEMENT, f"{sentence}; at least {least:g} was asked for")]
        if middle < LOW_AGREEMENT:
            findings.append(Finding(view.value, NoteCode.LOW_AGREEMENT, sentence))
    return findings
