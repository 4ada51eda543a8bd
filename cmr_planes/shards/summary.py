"""Summary of a catalogue and of what was left out, from its tables alone."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cmr_planes.errors import CatalogueFinding, NoteCode
from cmr_planes.geometry.arrays import BoolArray, FloatArray
from cmr_planes.shards.columns import Subjects, ViewTable
from cmr_planes.views import CardiacView, PositionClass, position_name


@dataclass(frozen=True, slots=True)
class Range:
    """Minimum, median and maximum of some values."""

    least: float
    """Minimum."""
    median: float
    """Median."""
    largest: float
    """Maximum."""

    @classmethod
    def of(cls, values: FloatArray) -> "Range | None":
        """Summarise the values that are not NaN, any shape; None if there is none."""
        known = values[~np.isnan(values)]
        return cls(float(known.min()), float(np.median(known)), float(known.max())) if known.size else None


@dataclass(frozen=True, slots=True, kw_only=True)
class ViewSummary:
    """One view over all subjects."""

    view: CardiacView
    """The view."""
    n_subjects: int
    """Subjects that have it."""
    n_slices: int
    """Slices, each counted once however many phases it has."""
    n_images: int
    """2D images."""
    n_with_positions: int
    """Subjects whose images have position masks."""
    matrices: tuple[tuple[str, int], ...]
    """Matrix size as rows × columns, and number of subjects, most frequent first."""
    spacing_mm: Range | None
    """Pixel size."""
    alignment: Range | None
    """Alignment of the lines with the axes that decide their ends, the least over each view's slices."""
    line_angle_deg: Range | None
    """Angle between the lines, the least over each view's slices."""
    line_agreement: Range | None
    """Agreement of the images along the lines, the median over each view's slices."""
    class_shares: tuple[float, ...]
    """Share of the pixels of each class 0 to 9 in the masks, adding up to 1; empty without masks."""


@dataclass(frozen=True, slots=True)
class ReasonCount:
    """Number of times one reason occurs among what was left out or noted."""

    code: str
    """The stable code."""
    view: str
    """The view's value, or empty for whole subjects."""
    count: int
    """Number of times."""


@dataclass(frozen=True, slots=True)
class ScannerCount:
    """Number of subjects from one kind of scanner."""

    manufacturer: str
    """A vendor name in lower case, or empty."""
    field_strength_t: float | None
    """Tesla, None if not known."""
    n_subjects: int
    """Number of subjects."""


@dataclass(frozen=True, slots=True)
class LowAgreement:
    """A view whose images disagree along their common lines."""

    subject_number: int
    """The subject's number in the catalogue, from 1."""
    subject: str
    """The subject's key."""
    view: CardiacView
    """The view."""
    line_agreement: tuple[float, float]
    """Median over the slices along each line, NaN where not known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogueSummary:
    """Contents of a catalogue."""

    n_subjects: int
    """Subjects that were examined."""
    n_used: int
    """Subjects with images."""
    n_participants: int
    """Persons with images."""
    visits: tuple[tuple[int, int], ...]
    """How many subjects with images a person has, and how many persons have so many, fewest visits first."""
    n_images: int
    """2D images."""
    views: tuple[ViewSummary, ...]
    """One summary for each view that occurs."""
    rejections: tuple[ReasonCount, ...]
    """Reasons of rejections, most frequent first."""
    subject_codes: tuple[tuple[str, int], ...]
    """Subjects without images: codes of their rejections, and subjects with each, most frequent first."""
    view_codes: tuple[tuple[str, int], ...]
    """Views left out of subjects with images: codes, and views with each, most frequent first."""
    label_codes: tuple[tuple[str, int], ...]
    """Subjects with images whose labels were left out: codes, and subjects with each, most frequent first."""
    notes: tuple[ReasonCount, ...]
    """Reasons of notes, most frequent first."""
    scanners: tuple[ScannerCount, ...]
    """Kinds of scanners, most frequent first."""
    low_agreement: tuple[LowAgreement, ...]
    """Views noted for their low agreement, the lowest first."""


def summarise(
    subjects: Subjects, views: ViewTable, rejections: Sequence[CatalogueFinding], notes: Sequence[CatalogueFinding]
) -> CatalogueSummary:
    """Summarise the tables of a catalogue.

    Parameters
    ----------
    subjects, views, rejections, notes
        The tables, as :class:`cmr_planes.shards.catalogue.Catalogue` returns them.

    Returns
    -------
        The summary.
    """
    is_used = subjects.n_images > 0
    view_names = np.array(views.view, dtype=np.str_)
    return CatalogueSummary(
        n_subjects=len(subjects),
        n_used=int(is_used.sum()),
        n_participants=len({name for name, used in zip(subjects.participant, is_used, strict=True) if used}),
        visits=_count_visits(subjects),
        n_images=int(subjects.n_images.sum()),
        views=tuple(_summarise_view(views, view, view_names == view.value) for view in CardiacView if view.value in views.view),
        rejections=_count_reasons(rejections),
        **_count_codes(subjects, rejections),
        notes=_count_reasons(notes),
        scanners=_count_scanners(views),
        low_agreement=_find_low_agreement(subjects, views, notes),
    )


def to_json(summary: CatalogueSummary, *, with_keys: bool) -> dict[str, Any]:
    """Return a summary as JSON's types; values that are not known are NaN.

    Parameters
    ----------
    summary
        The summary.
    with_keys
        Whether subjects are named by their keys too, not only by their numbers.
    """
    return {
        "n_subjects": summary.n_subjects,
        "n_used": summary.n_used,
        "n_left_out": summary.n_subjects - summary.n_used,
        "n_participants": summary.n_participants,
        "visits_per_participant": {str(n_visits): count for n_visits, count in summary.visits},
        "n_images": summary.n_images,
        "views": {view.view.value: _view_json(view) for view in summary.views},
        "rejections": [_reason_json(reason) for reason in summary.rejections],
        "notes": [_reason_json(reason) for reason in summary.notes],
        "scanners": [
            {"manufacturer": scanner.manufacturer, "field_strength_t": scanner.field_strength_t, "n_subjects": scanner.n_subjects}
            for scanner in summary.scanners
        ],
        "low_agreement": [
            {
                "subject_number": low.subject_number,
                **({"subject": low.subject} if with_keys else {}),
                "view": low.view.value,
                "line_agreement": list(low.line_agreement),
            }
            for low in summary.low_agreement
        ],
    }


def _summarise_view(views: ViewTable, view: CardiacView, rows: BoolArray) -> ViewSummary:
    n_slices = views.n_slices[rows]
    matrices = Counter(f"{n_rows} × {n_columns}" for n_rows, n_columns in zip(views.rows[rows], views.columns[rows], strict=True))
    pixels = views.class_pixels[rows].sum(axis=0)
    return ViewSummary(
        view=view,
        n_subjects=int(rows.sum()),
        n_slices=int(n_slices.sum()),
        n_images=int((n_slices * views.n_phases[rows]).sum()),
        n_with_positions=int(views.has_positions[rows].sum()),
        matrices=tuple(sorted(matrices.items(), key=lambda item: (-item[1], item[0]))),
        spacing_mm=Range.of(views.spacing_mm[rows]),
        alignment=Range.of(views.alignment[rows]),
        line_angle_deg=Range.of(views.line_angle_deg[rows]),
        line_agreement=Range.of(views.line_agreement[rows]),
        class_shares=tuple((pixels / pixels.sum()).tolist()) if pixels.any() else (),
    )


def _count_visits(subjects: Subjects) -> tuple[tuple[int, int], ...]:
    visits = Counter(name for name, n_images in zip(subjects.participant, subjects.n_images.tolist(), strict=True) if n_images)
    return tuple(sorted(Counter(visits.values()).items()))


def _count_reasons(messages: Sequence[CatalogueFinding]) -> tuple[ReasonCount, ...]:
    counts = Counter((message.code.value, message.view) for message in messages)
    return tuple(
        ReasonCount(code, view, count) for (code, view), count in sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    )


def _count_codes(subjects: Subjects, rejections: Sequence[CatalogueFinding]) -> dict[str, tuple[tuple[str, int], ...]]:
    """Count codes by what they left out: a subject, a view of a subject with images, or its labels."""
    used = {key for key, n_images in zip(subjects.key, subjects.n_images.tolist(), strict=True) if n_images}
    rows = {(rejection.subject, rejection.view, rejection.code.value) for rejection in rejections}
    return {
        "subject_codes": _most_frequent(code for _, code in {(subject, code) for subject, _, code in rows if subject not in used}),
        "view_codes": _most_frequent(code for subject, view, code in rows if subject in used and view),
        "label_codes": _most_frequent(code for subject, view, code in rows if subject in used and not view),
    }


def _most_frequent(codes: Iterable[str]) -> tuple[tuple[str, int], ...]:
    return tuple(sorted(Counter(codes).items(), key=lambda item: (-item[1], item[0])))


def _count_scanners(views: ViewTable) -> tuple[ScannerCount, ...]:
    """Count each subject once, by its first view."""
    first_views: dict[str, int] = {}
    for row, subject in enumerate(views.subject):
        first_views.setdefault(subject, row)
    counts = Counter((views.manufacturer[row], _or_none(views.field_strength_t[row])) for row in first_views.values())
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0][0], item[0][1] or 0.0))
    return tuple(ScannerCount(manufacturer, field, count) for (manufacturer, field), count in ordered)


def _find_low_agreement(subjects: Subjects, views: ViewTable, notes: Sequence[CatalogueFinding]) -> tuple[LowAgreement, ...]:
    noted = {(note.subject, note.view) for note in notes if note.code is NoteCode.LOW_AGREEMENT}
    if not noted:
        return ()
    numbers = {key: number for number, key in enumerate(subjects.key, start=1)}
    found = [
        LowAgreement(numbers[subject], subject, CardiacView(view), _pair(views.line_agreement[row]))
        for row, (subject, view) in enumerate(zip(views.subject, views.view, strict=True))
        if (subject, view) in noted and subject in numbers
    ]
    return tuple(sorted(found, key=lambda low: (np.nan_to_num(min(low.line_agreement), nan=-1.0), low.subject_number)))


def _pair(values: NDArray[np.float64]) -> tuple[float, float]:
    return float(values[0]), float(values[1])


def _or_none(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


def _view_json(view: ViewSummary) -> dict[str, Any]:
    spreads = {
        name: None if spread is None else {"least": spread.least, "median": spread.median, "largest": spread.largest}
        for name, spread in (
            ("spacing_mm", view.spacing_mm),
            ("alignment", view.alignment),
            ("line_angle_deg", view.line_angle_deg),
            ("line_agreement", view.line_agreement),
        )
    }
    names = [position_name(view.view, position) for position in PositionClass]
    return {
        "n_subjects": view.n_subjects,
        "n_slices": view.n_slices,
        "n_images": view.n_images,
        "n_with_positions": view.n_with_positions,
        "matrices": dict(view.matrices),
        **spreads,
        "class_shares": dict(zip(names, view.class_shares, strict=True)) if view.class_shares else {},
    }


def _reason_json(reason: ReasonCount) -> dict[str, Any]:
    return {"code": reason.code, "view": reason.view, "count": reason.count}
