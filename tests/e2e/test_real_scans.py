"""Real scans, where they are at hand: ``../shared/data`` beside the checkout. They are never part of the repository."""

from pathlib import Path

import numpy as np
import pydicom
import pytest

from cmr_planes.shards.catalogue import Catalogue
from cmr_planes.views import CardiacView
from tests.helpers.cohorts import run

DATA = Path(__file__).parents[3] / "shared" / "data"

pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason="the real scans are not at hand")

SIEMENS_SERIES = {CardiacView.SAX: "Series0010*", CardiacView.TWO_CHAMBER: "Series0007*", CardiacView.FOUR_CHAMBER: "Series0006*"}
LINES = {
    CardiacView.SAX: (CardiacView.FOUR_CHAMBER, CardiacView.TWO_CHAMBER, (1, 0, 0), (0, -1, 1)),
    CardiacView.FOUR_CHAMBER: (CardiacView.SAX, CardiacView.TWO_CHAMBER, (1, 0, 0), (0, 0, 1)),
    CardiacView.TWO_CHAMBER: (CardiacView.FOUR_CHAMBER, CardiacView.SAX, (1, 0, 0), (0, -1, 1)),
}


@pytest.fixture(scope="module")
def siemens(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("siemens") / "out.h5"
    result = run("extract", DATA / "siemens_cine_case", out, "--workers", 1)
    assert result.exit_code == 0
    return out


def header(view: CardiacView) -> pydicom.Dataset:
    (folder,) = (DATA / "siemens_cine_case").glob(SIEMENS_SERIES[view])
    return pydicom.dcmread(sorted(folder.iterdir())[0], stop_before_pixels=True)


@pytest.mark.filterwarnings("ignore::UserWarning:pydicom")  # the files' own faults
@pytest.mark.parametrize("view", LINES)
def test_box_centres_on_a_siemens_study_are_those_worked_out_from_its_headers(siemens, view):
    headers = {name: header(name) for name in SIEMENS_SERIES}
    cosines = {name: np.array(one.ImageOrientationPatient, float).reshape(2, 3) for name, one in headers.items()}
    normals = {name: np.cross(*both) for name, both in cosines.items()}
    offsets = {name: normals[name] @ np.array(headers[name].ImagePositionPatient, float) for name in headers}
    point = np.linalg.solve(np.stack(list(normals.values())), np.array(list(offsets.values())))
    np.testing.assert_allclose(point, (38.724, -13.503, 51.127), atol=5e-4)

    target = headers[view]
    corner = np.array(target.ImagePositionPatient, float)
    spacing = float(target.PixelSpacing[0])

    def pixel(where):
        return cosines[view] @ (where - corner) / spacing

    expected = [pixel(point)]
    first, second, *axes = LINES[view]
    for line, axis in zip((first, second), axes, strict=True):
        along = np.cross(normals[view], normals[line])
        along = along / np.linalg.norm(along) * np.sign(along @ np.array(axis))
        expected += [pixel(point + times * 30 * spacing * along) for times in (1, 2, -1, -2)]
    with Catalogue(siemens) as catalogue:
        boxes = catalogue.view_attributes("siemens_cine_case", view).boxes
        mask = catalogue.positions("siemens_cine_case", view, 0, 0)
    np.testing.assert_allclose(boxes.centres_px[0], expected, atol=1e-6)
    for number, (column, row) in enumerate(expected, start=1):
        assert mask[round(row), round(column)] == number
    inside = [
        len(range(max(0, round(row) - 5), min(target.Rows, round(row) + 6)))
        * len(range(max(0, round(column) - 5), min(target.Columns, round(column) + 6)))
        for column, row in expected
    ]
    assert np.bincount(mask.ravel(), minlength=10)[1:].tolist() == inside


def test_views_of_a_siemens_study_agree_along_their_lines(siemens):
    with Catalogue(siemens) as catalogue:
        for view in LINES:
            assert (catalogue.view_attributes("siemens_cine_case", view).line_agreement > 0.65).all()
        assert [note.code.value for note in catalogue.notes()] == ["no_study_uid"]
        assert catalogue.rejections() == ()


def test_end_systole_of_a_siemens_study_is_where_the_ventricle_is_smallest(siemens):
    with Catalogue(siemens) as catalogue:
        ed, es = catalogue.view_attributes("siemens_cine_case", CardiacView.SAX).frame_numbers[:, 0]
    assert ed == 1
    assert 8 <= es <= 12


@pytest.mark.parametrize(("subject", "levels", "ed", "es"), [("SCD0000101", 12, 19, 8), ("SCD0000201", 13, 20, 7)])
def test_sunnybrook_studies_have_their_readers_ed_and_es_and_no_positions(tmp_path, subject, levels, ed, es):
    """The readers drew end-diastole and end-systole on frames 19 and 8 of the one, 20 and 7 of the other subject."""
    source = DATA / "sunnybrook" / f"{subject}.zip"
    without = run("extract", source, tmp_path / "without.h5", "--workers", 1)
    assert without.exit_code == 3
    with Catalogue(tmp_path / "without.h5") as catalogue:
        assert {rejection.code.value for rejection in catalogue.rejections()} == {"no_2ch", "no_4ch"}
    assert run("extract", source, tmp_path / "out.h5", "--keep-all", "--workers", 1).exit_code == 0
    with Catalogue(tmp_path / "out.h5") as catalogue:
        attributes = catalogue.view_attributes(subject, CardiacView.SAX)
    assert attributes.shape == (2, levels, 256, 256)
    assert (np.abs(attributes.frame_numbers[0] - ed) <= 1).all()
    assert (attributes.frame_numbers[1] == es).all()
    heights = [plane.position_mm @ plane.normal for plane in attributes.planes]
    assert len(set(np.sign(np.diff(heights)))) == 1
