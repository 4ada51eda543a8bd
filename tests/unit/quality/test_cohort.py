"""The rows of a catalogue against its tables, read with plain h5py."""

from pathlib import Path

import h5py
import numpy as np
import pytest

from cmr_planes.errors import Finding, NoteCode, RejectionCode, ShardError
from cmr_planes.quality.cohort import STATES, VIEWS, State, read_cohort
from cmr_planes.quality.measures import MEASURES
from cmr_planes.shards.catalogue import Catalogue
from cmr_planes.shards.records import SubjectRecord
from cmr_planes.views import CardiacView
from tests.helpers.catalogues import make_catalogue, write_batches
from tests.helpers.records import make_subject, rejected_subject


def rows_of(path: Path) -> list[tuple[int, str, str]]:
    """Subject from 1, view and state of each row."""
    with Catalogue(path) as catalogue:
        cohort = read_cohort(catalogue)
    return [
        (int(subject) + 1, VIEWS[view], STATES[state].value)
        for subject, view, state in zip(cohort.subject, cohort.view, cohort.state, strict=True)
    ]


def test_there_is_a_row_for_each_view_and_for_what_was_left_out(tmp_path):
    used = [(number, view, "positions") for number in (1, 3) for view in ("sax", "2ch", "4ch")]
    assert rows_of(make_catalogue(tmp_path)) == sorted([*used, (2, "", "left out")], key=lambda row: row[0])


def test_states_tell_what_a_row_is(tmp_path):
    findings = (
        Finding("4ch", RejectionCode.NO_4CH, "there is none"),
        Finding("", NoteCode.LABELS, "a label map is of nobody"),
        Finding("3ch", NoteCode.SLICE_LEFT_OUT, "it cannot be read"),
    )
    plain = make_subject(1, views=(CardiacView.SAX,), n_slices=2, with_positions=False)
    silent = SubjectRecord(key="SYN-0002", participant="SYN-0002", views=(), findings=())
    record = SubjectRecord(key=plain.key, participant=plain.key, views=plain.views, findings=findings)
    assert rows_of(write_batches(tmp_path, [[record, silent]])) == [
        (1, "", "note only"),
        (1, "sax", "images only"),
        (1, "4ch", "left out"),
        (1, "3ch", "note only"),
        (2, "", "left out"),
    ]


def test_measures_are_those_of_the_tables(tmp_path):
    path = make_catalogue(tmp_path)
    with Catalogue(path) as catalogue:
        cohort = read_cohort(catalogue)
    with h5py.File(path) as file:
        views, keys = file["views"][()], file["subjects"]["subject"].tolist()
    expected = {
        "line_agreement": views["line_agreement"].min(axis=1),
        "worst_agreement": views["worst_agreement"],
        "largest_shift_mm": views["largest_shift_mm"],
        "line_angle_deg": views["line_angle_deg"],
        "alignment": views["alignment"].min(axis=1),
        "row_spacing_mm": views["row_spacing_mm"],
        "n_slices": [float(row["n_slices"]) if row["view"] == b"sax" else np.nan for row in views],
        "n_frames": np.full(len(views), np.nan),
        "ed_cycle": np.full(len(views), np.nan),
        "es_cycle": np.full(len(views), np.nan),
    }
    assert {measure.name for measure in MEASURES} <= expected.keys()
    for number, row in enumerate(views):
        place = np.flatnonzero((cohort.subject == keys.index(row["subject"])) & (cohort.view == VIEWS.index(row["view"].decode())))
        assert len(place) == 1
        for measure in MEASURES:
            found = cohort.values[measure.name][place[0]]
            np.testing.assert_allclose(found, expected[measure.name][number], rtol=1e-6)
    left_out = cohort.is_state(State.LEFT_OUT)
    assert left_out.sum() == 1
    assert all(np.isnan(cohort.values[measure.name][left_out]).all() for measure in MEASURES)


def test_findings_belong_to_their_rows_and_reasons_keep_their_first_sentence(tmp_path):
    path = make_catalogue(tmp_path)
    with Catalogue(path) as catalogue:
        cohort = read_cohort(catalogue)
    found = {
        (int(cohort.subject[row]) + 1, VIEWS[cohort.view[row]], cohort.reasons[reason].code)
        for row, reason in zip(cohort.finding_row, cohort.finding_reason, strict=True)
    }
    assert found == {(1, "sax", "few_frames"), (2, "", "no_sax"), (3, "4ch", "low_agreement")}
    assert [(reason.is_rejection, reason.code) for reason in cohort.reasons] == [
        (True, "no_sax"),
        (False, "few_frames"),
        (False, "low_agreement"),
    ]
    assert cohort.reasons[2].example == "the images disagree (0.25)"


def test_a_catalogue_of_rejections_alone_has_rows(tmp_path):
    assert rows_of(write_batches(tmp_path, [[rejected_subject(1)]])) == [(1, "", "left out")]


def test_tables_that_contradict_each_other_are_refused(tmp_path):
    path = make_catalogue(tmp_path)
    with h5py.File(path, "r+") as file:
        views = file["views"][()]
        views["subject"][0] = b"SYN-9999"
        file["views"][...] = views
    with Catalogue(path) as catalogue, pytest.raises(ShardError, match="contradict each other"):
        read_cohort(catalogue)
