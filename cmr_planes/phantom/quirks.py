"""Faults and extras that real archives have, on demand."""

from collections.abc import Sequence
from dataclasses import replace
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from cmr_planes.geometry.arrays import FloatArray, unit
from cmr_planes.phantom.dicom_model import CineSeries, DicomStudy, TransferSyntax, make_uid
from cmr_planes.views import CardiacView


class Quirk(StrEnum):
    """What can be wrong or unusual with a subject's files."""

    REPEATED = "repeated"
    """A short-axis slice and the 4Ch view are there twice; the first take is spoilt by motion."""
    MISSING_FRAMES = "missing-frames"
    """The last frames of a short-axis slice are missing."""
    MIXED_NAMES = "mixed-names"
    """All short-axis slices are one series of one name, all long-axis views another."""
    NO_STUDY_UID = "no-study-uid"
    """StudyInstanceUID and FrameOfReferenceUID are empty."""
    JPEG_2000 = "jpeg-2000"
    """Images are JPEG 2000 compressed."""
    WRONG_EXTENSION = "wrong-extension"
    """Files are named .img."""
    LATE_ENHANCEMENT = "lge"
    """A late enhancement stack lies beside the cine."""
    LOCALISER = "localiser"
    """Single-frame localisers are named like views."""
    INLINE_VF = "inline-vf"
    """The scanner's own results: the short-axis cine with contours drawn into the pixels."""
    MOVED = "moved"
    """The headers of one view, or of the whole short-axis stack, are 6 to 15 mm off: the patient moved, or they are wrong."""


MOVED_MM = (6.0, 15.0)
"""How far headers of a moved view are off, at least and at most."""

_SECOND_TAKE, _LATE_ENHANCEMENT, _LOCALISER, _INLINE_VF = 100, 200, 1, 300
"""Series numbers, or what is added to them."""


def transfer_syntax(quirks: Sequence[Quirk]) -> TransferSyntax:
    """Return how files are encoded."""
    return TransferSyntax.JPEG_2000 if Quirk.JPEG_2000 in quirks else TransferSyntax.EXPLICIT_LITTLE


def suffix(quirks: Sequence[Quirk]) -> str:
    """Return the suffix of files."""
    return ".img" if Quirk.WRONG_EXTENSION in quirks else ".dcm"


def with_quirks(study: DicomStudy, series: Sequence[CineSeries], quirks: Sequence[Quirk]) -> tuple[DicomStudy, list[CineSeries]]:
    """Spoil a clean examination.

    Parameters
    ----------
    study, series
        The examination: 2Ch, 3Ch, 4Ch, then SAX from base to apex.
    quirks
        What to do to it.

    Returns
    -------
        The study and the series to write instead.
    """
    if Quirk.NO_STUDY_UID in quirks:
        study = replace(study, overrides={**study.overrides, "StudyInstanceUID": "", "FrameOfReferenceUID": ""})
    short_axis = [one for one in series if "SAX" in one.description]
    four_chamber = next(one for one in series if one.description.endswith("4Ch"))
    middle = short_axis[len(short_axis) // 2]
    result = {one.number: one for one in series}
    if Quirk.MISSING_FRAMES in quirks:
        result[short_axis[1].number] = _cut_off(short_axis[1])
    if Quirk.REPEATED in quirks:
        for one in (middle, four_chamber):
            result[one.number + _SECOND_TAKE] = replace(result[one.number], number=one.number + _SECOND_TAKE, key="second take")
            result[one.number] = replace(result[one.number], frames=_smeared(one.frames))
    spoilt = list(result.values())
    if Quirk.MIXED_NAMES in quirks:
        spoilt = [_with_shared_name(study, one) for one in spoilt]
    if Quirk.LATE_ENHANCEMENT in quirks:
        spoilt += [_single(one, f"LGE_SAX_PSIR_{one.number}", one.number + _LATE_ENHANCEMENT) for one in short_axis]
    if Quirk.LOCALISER in quirks:
        spoilt.append(_single(middle, "Cine_SAX_loc", _LOCALISER))
        spoilt.append(_single(four_chamber, "trufi_4-chamber", _LOCALISER + 1))
    if Quirk.INLINE_VF in quirks:
        spoilt += [_with_contours(one, index) for index, one in enumerate(short_axis)]
    return study, spoilt


def header_errors_mm(study: DicomStudy, quirks: Sequence[Quirk]) -> dict[CardiacView, FloatArray]:
    """Return by how much the headers of a view lie beside where it was imaged, shape (3,), LPS, mm; of one view at most."""
    if Quirk.MOVED not in quirks:
        return {}
    rng = np.random.default_rng(list(study.name.encode()))
    view = list(CardiacView)[int(rng.integers(len(CardiacView)))]
    return {view: rng.uniform(*MOVED_MM) * unit(rng.normal(size=3))}


def with_header_error(series: CineSeries, error_mm: FloatArray) -> CineSeries:
    """Return a series whose headers lie beside where it was imaged by a vector, shape (3,), LPS, mm."""
    return replace(series, plane=replace(series.plane, position_mm=series.plane.position_mm + error_mm))


def _cut_off(series: CineSeries) -> CineSeries:
    """Return a series without its last two frames, whose headers still promise all."""
    keep = max(2, len(series.frames) - 2)
    promised = {**series.overrides, "CardiacNumberOfImages": str(len(series.frames))}
    return replace(series, frames=series.frames[:keep], trigger_times_ms=series.times_ms[:keep], overrides=promised)


def _with_contours(series: CineSeries, index: int) -> CineSeries:
    """Return a slice of the scanner's own results: one series for the whole stack, a contour drawn into each image."""
    return replace(
        series,
        frames=_with_circle(series.frames),
        description="CINE_segmented_SAX_InlineVF",
        number=_INLINE_VF,
        first_instance_number=index * len(series.frames) + 1,
    )


def _with_shared_name(study: DicomStudy, series: CineSeries) -> CineSeries:
    """Give a series the name and the UID that all its kind share."""
    is_short_axis = "SAX" in series.description
    name = "CINE_segmented_SAX" if is_short_axis else "CINE_segmented_LAX"
    uid = make_uid(study.name, "mixed", name, series.key)
    return replace(series, description=name, series_uid=uid, first_instance_number=1 + 1000 * series.number)


def _single(series: CineSeries, description: str, number: int) -> CineSeries:
    """Return a series of the first frame only."""
    return replace(
        series,
        frames=series.frames[:1],
        trigger_times_ms=series.times_ms[:1],
        description=description,
        number=number,
        key=description,
        series_uid="",
    )


def _smeared(frames: NDArray[np.uint16]) -> NDArray[np.uint16]:
    """Blur along rows, as motion during the scan does."""
    total = sum(np.roll(frames.astype(np.float32), shift, axis=1) for shift in (-6, -3, 0, 3, 6))
    return np.asarray(total / 5).astype(np.uint16)


def _with_circle(frames: NDArray[np.uint16]) -> NDArray[np.uint16]:
    """Draw a bright circle in the middle."""
    rows, columns = frames.shape[1:]
    row, column = np.mgrid[:rows, :columns]
    radius = np.hypot(row - rows / 2, column - columns / 2)
    return np.where(np.abs(radius - 15) < 1, np.uint16(4000), frames)
