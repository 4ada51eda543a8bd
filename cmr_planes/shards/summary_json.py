"""A catalogue's summary as JSON."""

from typing import Any

from cmr_planes.shards.summary import CatalogueSummary, ReasonCount, ViewSummary, WorstSlice
from cmr_planes.views import PositionClass, position_name


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
        "views": {view.view.value: _view_json(view, with_keys=with_keys) for view in summary.views},
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
                "worst_slice": low.worst_slice,
                "worst_agreement": low.worst_agreement,
            }
            for low in summary.low_agreement
        ],
    }


def _worst_json(worst: WorstSlice | None, *, with_keys: bool) -> dict[str, Any] | None:
    if worst is None:
        return None
    return {
        "subject_number": worst.subject_number,
        **({"subject": worst.subject} if with_keys else {}),
        "slice": worst.slice_number,
        "line_agreement": worst.line_agreement,
    }


def _view_json(view: ViewSummary, *, with_keys: bool) -> dict[str, Any]:
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
        "worst_slice": _worst_json(view.worst_slice, with_keys=with_keys),
        "class_shares": dict(zip(names, view.class_shares, strict=True)) if view.class_shares else {},
    }


def _reason_json(reason: ReasonCount) -> dict[str, Any]:
    return {"code": reason.code, "view": reason.view, "count": reason.count}
