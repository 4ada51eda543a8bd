"""Shifts in the catalogue, and boxes drawn at the shifted lines, against the truth of a phantom's breath-holds."""

import csv
from collections import defaultdict
from dataclasses import replace

import h5py
import numpy as np
import pytest

from cmr_planes.geometry import VIEW_LINES, UnboundedPlane, compute_positions, middle_slice
from cmr_planes.phantom.acquisition import Protocol
from cmr_planes.phantom.cohort import CohortOptions, make_cohort
from cmr_planes.phantom.layouts import ArchiveStyle
from cmr_planes.phantom.quirks import Quirk
from cmr_planes.phantom.small_study import write_study
from cmr_planes.shards.catalogue import Catalogue
from cmr_planes.views import CardiacView
from tests.helpers.cohorts import extract, small_study

SAX, TWO, FOUR = CardiacView.SAX, CardiacView.TWO_CHAMBER, CardiacView.FOUR_CHAMBER
LONG_AXIS = (TWO, CardiacView.THREE_CHAMBER, FOUR)
PROTOCOL = Protocol(n_slices=6, n_frames=2, rows=128, columns=128, spacing_mm=2.6, breath_mm=4.0)


@pytest.fixture(scope="module")
def cohort(tmp_path_factory):
    """One subject whose 3Ch, 2Ch, 4Ch or stack has wrong headers; its catalogues without and with alignment, and the truth."""
    folder = tmp_path_factory.mktemp("shifts")
    options = CohortOptions(n_subjects=1, seed=4, layout=ArchiveStyle.FOLDERS, protocol=PROTOCOL, quirks=(Quirk.MOVED,))
    make_cohort(folder, options, n_workers=1)
    assert extract(folder / "dicom", folder / "plain.h5").exit_code == 0
    assert extract(folder / "dicom", folder / "aligned.h5", "--align").exit_code == 0
    return folder


def true_shifts(folder):
    """By view, what has to be added to each slice's position, relative to the mean of the long-axis views; shape (slice, 3)."""
    with (folder / "truth" / "breath.csv").open() as file:
        rows = list(csv.DictReader(file))
    found = defaultdict(list)
    for row in rows:
        numbers = np.array([float(row[f"{what}_{axis}_mm"]) for what in ("breath", "header") for axis in "xyz"])
        found[CardiacView(row["view"])].append(-numbers.reshape(2, 3).sum(axis=0))
    centre = np.mean([found[view][0] for view in LONG_AXIS], axis=0)
    return {view: np.array(values) - centre for view, values in found.items()}, rows


def test_the_catalogue_holds_the_breath_holds_of_a_phantom(cohort):
    truth, rows = true_shifts(cohort)
    assert sum(any(float(row[f"header_{axis}_mm"]) for axis in "xyz") for row in rows) in (1, PROTOCOL.n_slices)
    with Catalogue(cohort / "plain.h5") as catalogue:
        shifts = {view: catalogue.view_attributes("SYN-0001", view).shifts for view in CardiacView}
        table = catalogue.views()
    centre = np.mean([shifts[view].shift_mm[0] for view in LONG_AXIS], axis=0)
    errors = np.concatenate([shifts[view].shift_mm - centre - truth[view] for view in CardiacView])
    assert np.isfinite(errors).all(axis=1).mean() > 0.8
    known = errors[np.isfinite(errors).all(axis=1)]
    assert np.sqrt((known**2).sum(axis=1).mean()) < 1.5
    before, after = np.concatenate([shifts[view].agreement for view in CardiacView]).T
    assert after.mean() > before.mean() + 0.03
    for row, view in enumerate(map(CardiacView, table.view)):
        lengths = np.linalg.norm(shifts[view].shift_mm, axis=1)
        np.testing.assert_allclose(table.shift_mm[row], np.nanmedian(shifts[view].shift_mm, axis=0))
        assert table.largest_shift_mm[row] == np.nanmax(lengths)
        assert table.largest_shift_slice[row] == np.nanargmax(lengths) + 1
        np.testing.assert_allclose(table.shift_agreement[row], np.median(shifts[view].agreement, axis=0))


def test_aligned_boxes_lie_on_the_tissue_and_nothing_else_changes(cohort):
    truth, _ = true_shifts(cohort)
    with Catalogue(cohort / "plain.h5") as plain, Catalogue(cohort / "aligned.h5") as aligned:
        errors = defaultdict(list)
        for view in (SAX, TWO, FOUR):
            one, other = (catalogue.view_attributes("SYN-0001", view) for catalogue in (plain, aligned))
            for name in ("shift_mm", "sd_mm", "agreement"):
                np.testing.assert_array_equal(getattr(one.shifts, name), getattr(other.shifts, name))
            np.testing.assert_allclose(one.line_agreement, other.line_agreement, atol=0.1)  # near another intersection
            stand_in = {line: plain.view_attributes("SYN-0001", line).planes for line in (SAX, TWO, FOUR)}
            for index, plane in enumerate(one.planes):
                np.testing.assert_array_equal(plane.patient_from_pixel, other.planes[index].patient_from_pixel)
                lines = []
                for line in VIEW_LINES[view]:
                    middle = middle_slice(stand_in[line.view])
                    relative = truth[line.view][middle] - truth[view][index]
                    lines.append(
                        UnboundedPlane(stand_in[line.view][middle].centre_mm + relative, stand_in[line.view][middle].normal)
                    )
                axes = tuple(line.axis for line in VIEW_LINES[view])
                exact = compute_positions(plane, *lines, axes=axes, layout=one.boxes.layout).centres_mm[0]
                for name, attributes in (("plain", one), ("aligned", other)):
                    errors[name].append(np.linalg.norm(attributes.boxes.centres_mm[index, 0] - exact))
        assert np.mean(errors["aligned"]) < 0.5 * np.mean(errors["plain"])
        assert np.mean(errors["aligned"]) < 2.0
        assert {note.code.value for note in aligned.notes()} - {note.code.value for note in plain.notes()} <= {"not_aligned"}
    with h5py.File(cohort / "plain.h5") as one, h5py.File(cohort / "aligned.h5") as other:
        for view in ("sax", "2ch", "4ch", "3ch"):
            np.testing.assert_array_equal(one[f"data/SYN-0001/{view}/image"][()], other[f"data/SYN-0001/{view}/image"][()])
        assert "align" not in one.attrs["configuration"]
        assert '"align":true' in other.attrs["configuration"].replace(" ", "")


def test_an_aligned_catalogue_is_not_continued_without_alignment(cohort):
    result = extract(cohort / "dicom", cohort / "aligned.h5")
    assert result.exit_code == 1
    assert "align on, not off" in result.stderr


def test_slices_that_cannot_be_aligned_keep_the_lines_of_the_headers_and_are_noted(tmp_path):
    study = small_study()
    rng = np.random.default_rng(0)
    noise = {name: rng.integers(0, 2000, one.frames.shape).astype(np.uint16) for name, one in study.series.items()}
    spoilt = {name: replace(one, frames=noise[name]) if name.startswith("sax") else one for name, one in study.series.items()}
    write_study(tmp_path / "dicom" / "SYN-0001", replace(study, series=spoilt))
    for name, options in (("plain", ()), ("aligned", ("--align",))):
        assert extract(tmp_path / "dicom", tmp_path / f"{name}.h5", *options).exit_code == 0
    with Catalogue(tmp_path / "plain.h5") as plain, Catalogue(tmp_path / "aligned.h5") as aligned:
        one, other = (catalogue.view_attributes("SYN-0001", SAX) for catalogue in (plain, aligned))
        assert other.shifts is None or np.isnan(other.shifts.shift_mm).all()
        np.testing.assert_array_equal(one.boxes.boxes, other.boxes.boxes)
        (note,) = [note for note in aligned.notes() if note.view == "sax" and note.code.value == "not_aligned"]
        assert "3 of 3 slices" in note.sentence


def test_a_short_axis_alone_has_no_shifts(tmp_path):
    study = small_study()
    only = {name: one for name, one in study.series.items() if name.startswith("sax")}
    write_study(tmp_path / "short" / "SYN-0001", replace(study, series=only))
    assert extract(tmp_path / "short", tmp_path / "out.h5", "--keep-all").exit_code == 0
    with Catalogue(tmp_path / "out.h5") as catalogue:
        assert catalogue.view_attributes("SYN-0001", SAX).shifts is None
        assert np.isnan(catalogue.views().largest_shift_mm).all()
