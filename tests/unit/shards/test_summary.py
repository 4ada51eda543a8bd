"""Summaries agree with counts made by hand on small tables, and say nothing of keys unless asked."""

import dataclasses
import json

import numpy as np
import pytest

from cmr_planes.errors import CatalogueFinding, NoteCode, RejectionCode
from cmr_planes.shards.columns import Subjects, ViewTable
from cmr_planes.shards.summary import Range, WorstSlice, summarise
from cmr_planes.shards.summary_json import to_json
from cmr_planes.system.json_text import readable_json
from cmr_planes.views import CardiacView


def make_subjects(n_images: list[int], participants: list[str] | None = None) -> Subjects:
    keys = tuple(f"SYN-{number:04}" for number in range(1, len(n_images) + 1))
    return Subjects(
        key=keys,
        participant=tuple(participants or keys),
        shard=("out.shards/00000.h5",) * len(keys),
        n_images=np.array(n_images, dtype=np.int64),
    )


def make_views(rows: list[dict[str, object]]) -> ViewTable:
    defaults = {
        "n_phases": 2,
        "n_slices": 1,
        "rows": 208,
        "columns": 180,
        "spacing_mm": (1.8, 1.8),
        "manufacturer": "SIEMENS",
        "field_strength_t": 1.5,
        "has_positions": True,
        "alignment": (0.9, 0.5),
        "line_angle_deg": 80.0,
        "condition_number": 1.5,
        "line_agreement": (0.9, 0.8),
        "worst_agreement": 0.7,
        "worst_slice": 2,
        "shift_mm": (0.0, 0.0, 1.0),
        "largest_shift_mm": 4.0,
        "largest_shift_slice": 1,
        "shift_agreement": (0.8, 0.9),
        "class_pixels": (910, *[10] * 9),
        "n_frames": 25,
        "ed_cycle": 0.0,
        "es_cycle": 0.4,
    }
    full = [defaults | row for row in rows]
    texts = ("subject", "view", "manufacturer")
    return ViewTable(
        **{name: tuple(row[name] for row in full) if name in texts else np.array([row[name] for row in full]) for name in full[0]}
    )


SUBJECTS = make_subjects([10, 0, 6, 4], ["A", "B", "A", "C"])
VIEWS = make_views(
    [
        {"subject": "SYN-0001", "view": "sax", "n_slices": 4, "alignment": (0.3, 0.6)},
        {"subject": "SYN-0001", "view": "4ch", "line_agreement": (0.2, np.nan)},
        {"subject": "SYN-0003", "view": "sax", "n_slices": 3, "rows": 150, "manufacturer": "GE", "field_strength_t": np.nan}
        | {"worst_agreement": 0.1, "worst_slice": 3},
        {
            "subject": "SYN-0004",
            "view": "sax",
            "n_slices": 2,
            "has_positions": False,
            "alignment": (np.nan, np.nan),
            "line_agreement": (np.nan, np.nan),
            "worst_agreement": np.nan,
            "worst_slice": 0,
            "line_angle_deg": np.nan,
            "class_pixels": (0,) * 10,
        },
    ]
)
REJECTIONS = (
    CatalogueFinding("SYN-0002", "", RejectionCode.NO_SAX, "no short axis"),
    CatalogueFinding("SYN-0001", "2ch", RejectionCode.WEAK_ALIGNMENT, "weak"),
    CatalogueFinding("SYN-0003", "2ch", RejectionCode.WEAK_ALIGNMENT, "weak"),
)
NOTES = (
    CatalogueFinding("SYN-0001", "4ch", NoteCode.LOW_AGREEMENT, "low"),
    CatalogueFinding("SYN-0001", "sax", NoteCode.FEW_FRAMES, "few"),
)


def test_subjects_persons_and_images_are_counted() -> None:
    summary = summarise(SUBJECTS, VIEWS, REJECTIONS, NOTES)
    assert (summary.n_subjects, summary.n_used, summary.n_participants, summary.n_images) == (4, 3, 2, 20)


def test_views_are_counted_in_the_order_of_the_views() -> None:
    sax, four_chamber = summarise(SUBJECTS, VIEWS, REJECTIONS, NOTES).views
    assert (sax.view, four_chamber.view) == (CardiacView.SAX, CardiacView.FOUR_CHAMBER)
    assert (sax.n_subjects, sax.n_slices, sax.n_images, sax.n_with_positions) == (3, 9, 18, 2)
    assert sax.matrices == (("208 × 180", 2), ("150 × 180", 1))
    assert sax.alignment == Range(0.3, 0.55, 0.9)
    assert four_chamber.line_agreement == Range(0.2, 0.2, 0.2)
    assert sax.class_shares == pytest.approx((0.91, *[0.01] * 9))


def test_reasons_are_counted_most_frequent_first() -> None:
    summary = summarise(SUBJECTS, VIEWS, REJECTIONS, NOTES)
    assert [(reason.code, reason.view, reason.count) for reason in summary.rejections] == [
        ("weak_alignment", "2ch", 2),
        ("no_sax", "", 1),
    ]
    assert [(reason.code, reason.count) for reason in summary.notes] == [("few_frames", 1), ("low_agreement", 1)]


def test_scanners_count_each_subject_once() -> None:
    scanners = summarise(SUBJECTS, VIEWS, REJECTIONS, NOTES).scanners
    assert [(each.manufacturer, each.field_strength_t, each.n_subjects) for each in scanners] == [
        ("SIEMENS", 1.5, 2),
        ("GE", None, 1),
    ]


def test_views_noted_for_low_agreement_are_listed() -> None:
    (low,) = summarise(SUBJECTS, VIEWS, REJECTIONS, NOTES).low_agreement
    assert (low.subject_number, low.view, low.line_agreement[0]) == (1, CardiacView.FOUR_CHAMBER, 0.2)


def test_the_worst_slice_shows_beside_medians_that_are_good() -> None:
    sax, four_chamber = summarise(SUBJECTS, VIEWS, REJECTIONS, NOTES).views
    assert sax.line_agreement is not None
    assert sax.line_agreement.least == 0.8
    assert sax.worst_slice == WorstSlice(3, "SYN-0003", 3, 0.1)
    assert four_chamber.worst_slice == WorstSlice(1, "SYN-0001", 2, 0.7)


def test_json_names_subjects_only_when_asked() -> None:
    summary = summarise(SUBJECTS, VIEWS, REJECTIONS, NOTES)
    without = readable_json(to_json(summary, with_keys=False))
    assert "SYN-" not in without
    assert "SYN-0001" in readable_json(to_json(summary, with_keys=True))
    content = json.loads(without)
    assert content["n_left_out"] == 1
    assert content["views"]["sax"]["class_shares"]["anterior near"] == pytest.approx(0.01)
    assert content["low_agreement"] == [
        {"subject_number": 1, "view": "4ch", "line_agreement": [0.2, None]} | {"worst_slice": 2, "worst_agreement": 0.7}
    ]


def test_a_summary_of_nothing_is_a_summary() -> None:
    views = make_views([{"subject": "a", "view": "sax"}])
    empty = dataclasses.replace(
        views,
        **{field.name: getattr(views, field.name)[:0] for field in dataclasses.fields(views)},
    )
    summary = summarise(make_subjects([]), empty, (), ())
    assert (summary.n_subjects, summary.views) == (0, ())


def test_codes_are_counted_by_what_they_left_out() -> None:
    rejections = (*REJECTIONS, CatalogueFinding("SYN-0001", "", RejectionCode.UNUSABLE_LABELS, "labels of another subject"))
    summary = summarise(SUBJECTS, VIEWS, rejections, NOTES)
    assert summary.subject_codes == (("no_sax", 1),)
    assert summary.view_codes == (("weak_alignment", 2),)
    assert summary.label_codes == (("unusable_labels", 1),)


def test_a_subject_that_loses_every_view_is_a_subject_left_out() -> None:
    rejections = [CatalogueFinding("SYN-0002", view, RejectionCode.LOW_AGREEMENT, "low") for view in ("sax", "2ch", "4ch")]
    summary = summarise(SUBJECTS, VIEWS, rejections, ())
    assert (summary.subject_codes, summary.view_codes) == ((("low_agreement", 1),), ())
