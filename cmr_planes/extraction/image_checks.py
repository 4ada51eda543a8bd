"""What the stored images tell about themselves: whether they agree along their common lines, and what was mended in them."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from cmr_planes.cine.frame_choice import end_diastolic_image
from cmr_planes.cine.line_agreement import line_agreement
from cmr_planes.errors import Finding, NoteCode, RejectionCode, UnreadablePixelsError
from cmr_planes.extraction.assembly import Assembly
from cmr_planes.extraction.subject_views import ReadSlice
from cmr_planes.geometry import VIEW_LINES, ImagePlane, Positions
from cmr_planes.geometry.arrays import FloatArray, IntArray
from cmr_planes.views import CardiacView, PositionClass

LOW_AGREEMENT = 0.5
"""Images that agree less than this along their common line are noted; a real study has 0.69 to 0.95."""


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
        for row, index in enumerate(keep):
            try:
                plane, image = _end_diastole(view, index, assembly)
                other_plane, other_image = _end_diastole(other, assembly.standing_slice(other), assembly)
            except UnreadablePixelsError:
                continue
            centre_mm = positions[row].centres_mm[PositionClass.INTERSECTION - 1]
            agreement[row, column] = line_agreement(plane, image, other_plane, other_image, centre_mm)
    return agreement


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
        sentences.append(f"{sum(negative)} pixels of {len(negative)} images are negative, and were set to 0")
    if cut:
        sentences.append(
            f"{sum(cut)} pixels of {len(cut)} images have bits beyond BitsStored (0028,0101), which were cut off: if the images "
            "look broken, export them again"
        )
    if n_without_slope:
        sentences.append(f"RescaleSlope (0028,1053) of {n_without_slope} images is 0, and was taken as 1")
    return [Finding(view.value, NoteCode.PIXEL_VALUES, "; ".join(sentences))] if sentences else []


def agreement_findings(view: CardiacView, agreement: FloatArray, least: float | None) -> list[Finding]:
    """Note or, last, reject a view whose images disagree with another view's along their common line."""
    findings: list[Finding] = []
    for line, column in zip(VIEW_LINES[view], agreement.T, strict=True):
        known = column[np.isfinite(column)]
        if not len(known):
            continue
        median = float(np.median(known))
        sentence = (
            f"the {view.title} images agree only {median:.2f} (median correlation) with the {line.view.title} image along their "
            "common line; look at them (cmr-planes show): the patient may have breathed differently, or a header may be wrong"
        )
        if least is not None and median < least:
            return [*findings, Finding(view.value, RejectionCode.LOW_AGREEMENT, f"{sentence}; at least {least:g} was asked for")]
        if median < LOW_AGREEMENT:
            findings.append(Finding(view.value, NoteCode.LOW_AGREEMENT, sentence))
    return findings
