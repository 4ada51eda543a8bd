"""The contact sheets of the rows at the ends of distributions, a stated number at most."""

from base64 import b64encode
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, zip_longest

import numpy as np

from cmr_planes.errors import NoteCode, ShardError
from cmr_planes.pictures.contact_sheet import SheetImage, draw_sheet
from cmr_planes.pictures.png import encode_webp
from cmr_planes.quality.cohort import VIEWS, Cohort
from cmr_planes.quality.distributions import Distribution
from cmr_planes.quality.sheets import Series, SheetReader, sheet_heading
from cmr_planes.shards.catalogue import Catalogue
from cmr_planes.system.progress import OnProgress, Progress
from cmr_planes.views import CardiacView, to_view

SHEET_DPI = 110
"""Pixels an inch of the sheets on a page."""


@dataclass(frozen=True, slots=True)
class EndPicture:
    """The contact sheet of one row."""

    row: int
    """The row."""
    address: str
    """The picture, as a data address."""
    size: tuple[int, int]
    """Width and height in pixels."""
    alt: str
    """What is on it, in words."""


def rows_for_pictures(distributions: Sequence[Distribution], limit: int) -> list[int]:
    """Choose the rows that get a picture.

    Parameters
    ----------
    distributions
        The distributions with the rows at their ends.
    limit
        Rows, at most.

    Returns
    -------
        The rows in ascending order: the outermost of every end, then the second of each, and so on, as far as the limit goes.
    """
    ends = [end for one in distributions for spread in one.spreads for end in (spread.low, spread.high)]
    by_rank = chain.from_iterable(zip_longest(*ends))
    return sorted(list(dict.fromkeys(row for row in by_rank if row is not None))[:limit])


def draw_pictures(
    catalogue: Catalogue, cohort: Cohort, rows: Sequence[int], *, with_keys: bool, on_progress: OnProgress
) -> Iterator[EndPicture | None]:
    """Draw the contact sheets of some rows.

    Parameters
    ----------
    catalogue, cohort
        The catalogue, and its tables.
    rows
        Rows with images.
    with_keys
        Whether the subjects' keys are written into the pictures.
    on_progress
        Called after each picture.

    Yields
    ------
        A picture for each row; None for one whose images cannot be read.
    """
    low = {
        (cohort.keys[cohort.subject[row]], VIEWS[cohort.view[row]])
        for row, reason in zip(cohort.finding_row.tolist(), cohort.finding_reason.tolist(), strict=True)
        if cohort.reasons[reason].code == NoteCode.LOW_AGREEMENT
    }
    reader = SheetReader(catalogue, low=low)
    for done, row in enumerate(rows, start=1):
        key, view = cohort.keys[cohort.subject[row]], to_view(VIEWS[cohort.view[row]])
        try:
            series = reader.series(key, int(cohort.subject[row]) + 1, view)
            panels = [reader.image(series, phase, level, with_key=with_keys) for phase, level in _places(series)]
            yield _picture(row, series, panels)
        except ShardError:
            yield None
        on_progress(Progress(done, len(rows)))


def _places(series: Series) -> list[tuple[int, int]]:
    """Choose the images of a sheet: at ED the first, the least agreeing or middle, and the last slice, and this one at ES."""
    n_slices = series.attributes.shape[1]
    chosen = _least_agreeing(series)
    ed, *later = series.phases()
    levels = sorted({0, chosen, n_slices - 1})
    return [*((ed, level) for level in levels), *((phase, chosen) for phase in later)]


def _least_agreeing(series: Series) -> int:
    """Return the slice that agrees least along any line, the middle one where that is not known."""
    agreement = series.attributes.line_agreement
    if agreement is None or np.isnan(agreement).all():
        return series.attributes.shape[1] // 2
    n_lines: int = agreement.shape[1]
    return int(np.nanargmin(agreement)) // n_lines


def _picture(row: int, series: Series, panels: Sequence[SheetImage]) -> EndPicture:
    view: CardiacView = series.attributes.view
    figure = draw_sheet(view, panels, heading=sheet_heading(view, panels))
    width, height = (figure.get_size_inches() * SHEET_DPI).astype(int).tolist()
    address = "data:image/webp;base64," + b64encode(encode_webp(figure, SHEET_DPI)).decode()
    shown = "; ".join(panel.title.split(" · ", 1)[1] for panel in panels)
    drawn = "with two lines and nine boxes" if series.attributes.boxes is not None else "without positions"
    warned = next((panel.warning for panel in panels if panel.warning), "")
    alt = f"{view.title} images of subject {series.number} {drawn}: {shown}." + (f" Marked: {warned}." if warned else "")
    return EndPicture(row, address, (width, height), alt)
