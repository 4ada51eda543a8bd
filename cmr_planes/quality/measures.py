"""What is measured of each view of a subject, and how a page prints it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cmr_planes.geometry.arrays import FloatArray
from cmr_planes.views import CardiacView

Columns = Mapping[str, NDArray[Any]]
"""Columns of the table ``/views``, by name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """One number of a view of a subject."""

    name: str
    """Its column in ``qc.csv``."""
    title: str
    """What it is called."""
    short: str
    """The same in a word or two, for the head of a table."""
    unit: str = ""
    """Printed behind its title and its values."""
    digits: int
    """Decimals that are printed, and by which values are compared on the page."""
    meaning: str
    """One sentence: what it is, and what an unusual value hints at."""
    columns: tuple[str, ...]
    """Columns of ``/views`` from which it is computed."""
    compute: Callable[[Columns], FloatArray] = field(repr=False)
    """The measure of each row, shape (rows,), NaN where there is none."""
    has_low_end: bool = False
    """Whether the smallest values are worth looking at."""
    has_high_end: bool = False
    """Whether the largest values are."""


def _column(name: str) -> Callable[[Columns], FloatArray]:
    return lambda columns: np.asarray(columns[name], dtype=np.float64)


def _lesser(name: str) -> Callable[[Columns], FloatArray]:
    """Take the lesser of two lines' values, or that which is known."""
    return lambda columns: np.fmin(columns[name][:, 0], columns[name][:, 1])


def _counted(name: str) -> Callable[[Columns], FloatArray]:
    """Take a count, of which 0 means that it is not known."""
    return lambda columns: np.where(columns[name] > 0, columns[name], np.nan).astype(np.float64)


def _short_axis_slices(columns: Columns) -> FloatArray:
    return np.where(columns["view"] == CardiacView.SAX.value.encode(), columns["n_slices"], np.nan).astype(np.float64)


def _around_r_wave(columns: Columns) -> FloatArray:
    """Fractions of the cycle from half a cycle before the R wave to half a cycle after it."""
    fractions = np.asarray(columns["ed_cycle"], dtype=np.float64)
    return np.where(fractions > 0.5, fractions - 1.0, fractions)


MEASURES = (
    Measure(
        name="line_agreement",
        title="Agreement along the lines",
        short="agreement",
        digits=2,
        meaning="Correlation of two images along their common line, −1 to 1: the median over the slices, of the lesser line. Low "
        "where the heart moved between breath-holds, where a header is wrong, or where a series is not what its name says.",
        columns=("line_agreement",),
        compute=_lesser("line_agreement"),
        has_low_end=True,
    ),
    Measure(
        name="worst_agreement",
        title="Agreement of the worst slice",
        short="worst slice",
        digits=2,
        meaning="The same of the slice that agrees least: low where a single breath-hold went wrong.",
        columns=("worst_agreement",),
        compute=_column("worst_agreement"),
        has_low_end=True,
    ),
    Measure(
        name="largest_shift_mm",
        title="Shift between breath-holds",
        short="shift",
        unit="mm",
        digits=1,
        meaning="How far the slice that moved most lies from where it agrees best with the other views: large where a breath-hold "
        "or a header is wrong.",
        columns=("largest_shift_mm",),
        compute=_column("largest_shift_mm"),
        has_high_end=True,
    ),
    Measure(
        name="line_angle_deg",
        title="Angle between the lines",
        short="angle",
        unit="°",
        digits=1,
        meaning="In the image, the least over the slices; positions are refused below 32°. Small where planes are nearly the same.",
        columns=("line_angle_deg",),
        compute=_column("line_angle_deg"),
        has_low_end=True,
    ),
    Measure(
        name="alignment",
        title="Alignment with the patient",
        short="alignment",
        digits=2,
        meaning="How well a line tells its two ends apart by the patient's axes, 0 to 1: the least over slices and lines.",
        columns=("alignment",),
        compute=_lesser("alignment"),
        has_low_end=True,
    ),
    Measure(
        name="row_spacing_mm",
        title="Pixel size",
        short="pixel",
        unit="mm",
        digits=2,
        meaning="Distance between the rows of the first slice.",
        columns=("row_spacing_mm",),
        compute=_column("row_spacing_mm"),
        has_low_end=True,
        has_high_end=True,
    ),
    Measure(
        name="n_slices",
        title="Slices of the short axis",
        short="slices",
        digits=0,
        meaning="Slices that are stored. Few where a stack was cut off or slices could not be used.",
        columns=("view", "n_slices"),
        compute=_short_axis_slices,
        has_low_end=True,
        has_high_end=True,
    ),
    Measure(
        name="n_frames",
        title="Frames of the cine",
        short="frames",
        digits=0,
        meaning="The most of any slice. Few where frames are missing.",
        columns=("n_frames",),
        compute=_counted("n_frames"),
        has_low_end=True,
        has_high_end=True,
    ),
    Measure(
        name="ed_cycle",
        title="End-diastole in the cycle",
        short="ED",
        digits=2,
        meaning="As a fraction of the RR interval from the R wave, below 0 before it. Far from 0 where the triggers are late.",
        columns=("ed_cycle",),
        compute=_around_r_wave,
        has_low_end=True,
        has_high_end=True,
    ),
    Measure(
        name="es_cycle",
        title="End-systole in the cycle",
        short="ES",
        digits=2,
        meaning="As a fraction of the RR interval; usually 0.3 to 0.45. Late where the heart is fast, or where times are wrong.",
        columns=("es_cycle",),
        compute=_column("es_cycle"),
        has_low_end=True,
        has_high_end=True,
    ),
)
"""All of them, in the order of the page."""

VIEW_COLUMNS = (
    "subject",
    "view",
    "positions",
    "manufacturer",
    "field_strength_t",
    *sorted({column for measure in MEASURES for column in measure.columns} - {"view"}),
)
"""Columns of ``/views`` that are read."""
