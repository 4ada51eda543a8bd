"""Summary of a catalogue and of what was left out, from its tables alone."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cmr_planes.errors import CatalogueFinding, NoteCode
from cmr_planes.geometry.arrays import BoolArray, FloatArray, median
from cmr_planes.shards.columns import Subjects, ViewTable
from cmr_planes.views import CardiacView


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
        return cls(float(known.min()), median(known), float(known.max())) if known.size else None


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
    worst_slice: "WorstSlice | None"
    """The slice whose image agrees least along a line, None where nothing is known."""
    class_shares: tuple[float, ...]
    """Share of the pixels of each class 0 to 9 in the masks, adding up to 1; empty without masks."""


@dataclass(frozen=True, slots=True)
class WorstSlice:
    """The slice of a view, over all subjects, whose image agrees least with another view's."""

    subject_number: int
    """The subject's number in the catalogue, from 1."""
    subject: str
    """The subject's key."""
    slice_number: int
    """The slice, from 1."""
    line_agreement: float
    """Correlation along the worse of its lines."""


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
    worst_slice: int
    """The slice that agrees least along any line, from 1; 0 where not known."""
    worst_agreement: float
    """Its correlation, NaN where not known."""


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
    """How many subjects with images a person has, and how many persons have this many, fewest visits first."""
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
        views=tuple(
            _summarise_view(subjects, views, view, view_names == view.value) for view in CardiacView if view.value in views.view
        ),
        rejections=_count_reasons(rejections),
        **_count_codes(subjects, rejections),
        notes=_count_reasons(notes),
        scanners=_count_scanners(views),
        low_agreement=_find_low_agreement(subjects, views, notes),
    )


def _summarise_view(subjects: Subjects, views: ViewTable, view: CardiacView, rows: BoolArray) -> ViewSummary:
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
        worst_slice=_worst_slice(subjects, views, rows),
        class_shares=tuple((pixels / pixels.sum()).tolist()) if pixels.any() else (),
    )


def _count_visits(subjects: Subjects) -> tuple[tuple[int, int], ...]:
    visits = Counter(name for name, n_images in zip(subjects.participant, subjects.n_images.tolist(), strict=True) if n_images)
    return tuple(sorted(Counter(visits.values()).items()))


def _worst_slice(subjects: Subjects, views: ViewTable, rows: BoolArray) -> WorstSlice | None:
    known = np.flatnonzero(rows & ~np.isnan(views.worst_agreement))
    if not len(known):
        return None
    row = int(known[np.argmin(views.worst_agreement[known])])
    subject = views.subject[row]
    number = subjects.key.index(subject) + 1
    return WorstSlice(number, subject, int(views.worst_slice[row]), float(views.worst_agreement[row]))


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
        LowAgreement(
            numbers[subject],
            subject,
            CardiacView(view),
            _pair(views.line_agreement[row]),
            int(views.worst_slice[row]),
            float(views.worst_agreement[row]),
        )
        for row, (subject, view) in enumerate(zip(views.subject, views.view, strict=True))
        if (subject, view) in noted and subject in numbers
    ]
    return tuple(sorted(found, key=lambda low: (np.nan_to_num(min(low.line_agreement), nan=-1.0), low.subject_number)))


def _pair(values: NDArray[np.float64]) -> tuple[float, float]:
    return float(values[0]), float(values[1])


def _or_none(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
