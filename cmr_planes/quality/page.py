"""The page of a cohort, which needs nothing else, and its table: equal catalogues give equal bytes."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cmr_planes.geometry.arrays import BoolArray
from cmr_planes.pages.rendering import part, render
from cmr_planes.pictures.palette import view_colour
from cmr_planes.quality.cohort import STATES, VIEWS, Cohort, State, read_cohort
from cmr_planes.quality.distributions import Distribution, ViewSpread, distribution
from cmr_planes.quality.histogram import draw_histogram
from cmr_planes.quality.measures import MEASURES
from cmr_planes.quality.page_data import pack
from cmr_planes.quality.pictures import EndPicture, draw_pictures, rows_for_pictures
from cmr_planes.quality.table import write_table
from cmr_planes.shards.catalogue import Catalogue
from cmr_planes.system.names import PathLike
from cmr_planes.system.progress import OnProgress, ignore_progress
from cmr_planes.system.text import counted
from cmr_planes.system.whole_file import write_whole
from cmr_planes.views import STORED_VIEWS, CardiacView

N_ENDS = 3
"""Rows named at each end of a distribution, for each view."""

N_PICTURES = 60
"""Contact sheets on a page, at most."""

TABLE_SUFFIX = ".csv"
"""Of the table, beside the page."""


@dataclass(frozen=True, slots=True)
class QualityPage:
    """What was written."""

    page: Path
    """The page."""
    table: Path
    """Its table."""
    n_subjects: int
    """Subjects of the catalogue."""
    n_rows: int
    """Lines of the table: views of subjects, and what was left out."""
    n_pictures: int
    """Contact sheets on the page."""
    n_unread: int
    """Rows whose contact sheet could not be drawn, since their images cannot be read."""


def write_quality_page(
    catalogue: PathLike,
    out: PathLike,
    *,
    n_pictures: int = N_PICTURES,
    with_keys: bool = False,
    on_progress: OnProgress = ignore_progress,
) -> QualityPage:
    """Write the page of a catalogue, and beside it the table of its rows.

    Parameters
    ----------
    catalogue
        The catalogue, ``out.h5``. Its shards are opened for pictures alone.
    out
        The page, ``qc.html``; the table has the same name and ends in ``.csv``. Both are replaced.
    n_pictures
        Contact sheets, at most.
    with_keys
        Whether subjects are named by their keys too, not only by their numbers.
    on_progress
        Called after each picture.

    Returns
    -------
        What was written.

    Raises
    ------
    ShardError
        The catalogue cannot be read, or a file cannot be written.
    ValueError
        The page would have the table's name.
    """
    out = Path(out)
    table = out.with_suffix(TABLE_SUFFIX)
    if table == out:
        raise ValueError(f"the page must not end in {TABLE_SUFFIX}, which is its table's name; call it {out.stem}.html")
    with Catalogue(Path(catalogue)) as opened:
        cohort = read_cohort(opened)
        distributions = [found for measure in MEASURES if (found := distribution(cohort, measure, N_ENDS)) is not None]
        rows = rows_for_pictures(distributions, n_pictures)
        drawn = list(draw_pictures(opened, cohort, rows, with_keys=with_keys, on_progress=on_progress))
        versions = opened.versions()
    pictures = [picture for picture in drawn if picture is not None]
    write_table(cohort, table, with_keys=with_keys)
    content = _content(Path(catalogue).name, cohort, distributions, pictures, with_keys=with_keys)
    content |= {"versions": versions, "n_unread": len(drawn) - len(pictures), "table_name": table.name, "picture_limit": n_pictures}
    write_whole(out, render("cmr_planes.quality", "page.html.j2", content, filters={"title": _title}).encode())
    return QualityPage(out, table, len(cohort.keys), len(cohort), len(pictures), len(drawn) - len(pictures))


def _content(
    name: str, cohort: Cohort, distributions: Sequence[Distribution], pictures: Sequence[EndPicture], *, with_keys: bool
) -> dict[str, Any]:
    """Return what the template fills in."""
    packed, layout = pack(cohort, distributions)
    scripted = {
        **layout,
        "views": [_title(view) for view in VIEWS],
        "states": [state.value for state in STATES],
        "scanners": [_scanner(*scanner) for scanner in cohort.scanners],
        "reasons": [[reason.code, _title(reason.view), reason.is_rejection] for reason in cohort.reasons],
        "measures": [
            {
                "name": one.measure.name,
                "short": one.measure.short,
                "unit": one.measure.unit,
                "digits": one.measure.digits,
                "start": one.start,
                "step": one.step,
                "bins": one.counts.shape[1],
            }
            for one in distributions
        ],
        "keys": list(cohort.keys) if with_keys else None,
    }
    is_drawn = {picture.row for picture in pictures}
    return {
        "name": name,
        "style": part("cmr_planes.quality", "page.css"),
        "js": part("cmr_planes.quality", "page.js"),
        "lead": _lead(cohort),
        "views": [(view, _title(view), view_colour(CardiacView(view)) if view else "#868C96") for view in VIEWS],
        "states": [(state.value, _per_view(cohort, cohort.is_state(state))) for state in State],
        "reasons": [
            (kind, _reasons(cohort, is_rejection=is_rejection)) for kind, is_rejection in (("Left out", True), ("Noted", False))
        ],
        "scanners": _scanners(cohort),
        "distributions": [(one, draw_histogram(one), _ends(cohort, one, is_drawn)) for one in distributions],
        "listed": layout["rows"],
        "n_rows": len(cohort),
        "n_pictures": len(pictures),
        "with_keys": with_keys,
        "about": _json(scripted),
        "packed": packed,
        "pictures": _json({str(one.row): [one.address, *one.size, one.alt] for one in pictures}),
    }


def _lead(cohort: Cohort) -> str:
    n_used = int((cohort.n_images > 0).sum())
    n_left = len(cohort.keys) - n_used
    left = "none was left out" if n_left == 0 else f"{counted(n_left, 'subject')} left out"
    return f"{counted(len(cohort.keys), 'subject')}, {counted(int(cohort.n_images.sum()), 'image')}; {left}."


def _per_view(cohort: Cohort, rows: BoolArray) -> list[int]:
    """Count rows by view."""
    return [int(count) for count in np.bincount(cohort.view[rows], minlength=len(VIEWS))]


def _reasons(cohort: Cohort, *, is_rejection: bool) -> list[dict[str, Any]]:
    """Return the reasons of one kind, most frequent first."""
    counts = np.bincount(cohort.finding_reason, minlength=len(cohort.reasons)).tolist()
    rows = [
        {"number": number, "code": reason.code, "view": _title(reason.view), "count": count, "example": reason.example}
        for number, (reason, count) in enumerate(zip(cohort.reasons, counts, strict=True))
        if reason.is_rejection == is_rejection
    ]
    return sorted(rows, key=lambda row: -row["count"])


def _scanners(cohort: Cohort) -> list[tuple[int, str, int]]:
    """Return number, name and subjects of each scanner, most frequent first; a subject with two counts for both."""
    has_images = cohort.is_state(State.POSITIONS) | cohort.is_state(State.IMAGES)
    pairs = np.unique(np.stack([cohort.scanner[has_images], cohort.subject[has_images]]), axis=1)
    counts = np.bincount(pairs[0].astype(np.int64), minlength=len(cohort.scanners)).tolist()
    found = [(number, _scanner(*cohort.scanners[number]), count) for number, count in enumerate(counts) if count]
    return sorted(found, key=lambda row: -row[2])


def _ends(cohort: Cohort, one: Distribution, is_drawn: set[int]) -> list[tuple[ViewSpread, list[str], list[list[dict[str, Any]]]]]:
    """Return of each view its spread, the quantiles in print, and the rows at both ends."""
    digits = one.measure.digits

    def row_of(row: int) -> dict[str, Any]:
        value = f"{one.values[row] / 10**digits:.{digits}f}"
        return {"row": row, "subject": int(cohort.subject[row]) + 1, "value": _minus(value), "has_picture": row in is_drawn}

    return [
        (
            spread,
            [_minus(f"{value:.{digits}f}") for value in spread.quantiles],
            [[row_of(row) for row in end] for end in (spread.low, spread.high)],
        )
        for spread in one.spreads
    ]


def _minus(number: str) -> str:
    """Write a negative number with a minus sign, and none before zero."""
    return number.replace("-", "−") if float(number) else number.lstrip("-")


def _scanner(manufacturer: str, field_t: float | None) -> str:
    words = [manufacturer] if manufacturer else []
    words += [f"{field_t:g} T"] if field_t is not None else []
    return " ".join(words) or "not known"


def _title(view: str) -> str:
    return CardiacView(view).title if view in STORED_VIEWS else "whole subject"


def _json(value: object) -> str:
    """Write JSON that can stand within a script element."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")
