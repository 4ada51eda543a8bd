"""Tables of planes: what they state, what is wrong with a row, and what with the whole table."""

from pathlib import Path

import numpy as np
import pytest

from cmr_planes.errors import SourceError
from cmr_planes.geometry import UnboundedPlane
from cmr_planes.nifti.plane_table import COLUMNS, DIRECTION_COLUMNS, plane_cells, read_plane_table, stated_directions
from cmr_planes.views import CardiacView

HEAD = ",".join(COLUMNS)
LONG_HEAD = ",".join([*COLUMNS, *DIRECTION_COLUMNS])


def table(tmp_path: Path, *lines: str) -> Path:
    path = tmp_path / "planes.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


def test_points_and_normals_go_from_ras_to_lps(tmp_path: Path) -> None:
    stated = read_plane_table(table(tmp_path, HEAD, "p1,2ch,1,2,3,0,0,-4")).subjects["p1"]
    plane = stated.planes[CardiacView.TWO_CHAMBER]
    assert plane.centre_mm.tolist() == [-1, -2, 3]
    assert plane.normal.tolist() == [0, 0, -1]
    assert (stated.axes, stated.faults) == (None, ())


def test_directions_of_the_patient_are_read(tmp_path: Path) -> None:
    stated = read_plane_table(table(tmp_path, LONG_HEAD, "p1,2ch,0,0,0,1,0,0,0,2,0,-3,1,0", "p1,4ch,0,0,0,0,1,0,,,,,,")).subjects[
        "p1"
    ]
    assert stated.axes is not None
    left = np.array([3, -1, 0]) / np.sqrt(10)
    anterior = np.array([-1, -3, 0]) / np.sqrt(10)
    np.testing.assert_allclose(stated.axes.left, left, atol=1e-12)
    np.testing.assert_allclose(stated.axes.anterior, anterior, atol=1e-12)
    np.testing.assert_allclose(stated.axes.superior, [0, 0, 1], atol=1e-12)
    assert sorted(stated.planes) == ["2ch", "4ch"]


def test_cells_that_are_written_are_read_back(tmp_path: Path) -> None:
    plane = UnboundedPlane(centre_mm=np.array([1.5, -2, 30]), normal=np.array([0.6, 0, -0.8]))
    left, anterior = np.array([0.0, 1, 0]), np.array([0.0, 0, 1])
    cells = ",".join(map(repr, (*plane_cells(plane), *stated_directions(left, anterior))))
    stated = read_plane_table(table(tmp_path, LONG_HEAD, f"p1,sax,{cells}")).subjects["p1"]
    assert stated.axes is not None
    assert stated.planes[CardiacView.SAX].centre_mm.tolist() == [1.5, -2, 30]
    assert stated.planes[CardiacView.SAX].normal.tolist() == [0.6, 0, -0.8]
    assert stated.axes.left.tolist() == left.tolist()
    assert stated.axes.anterior.tolist() == anterior.tolist()


@pytest.mark.parametrize(
    ("row", "fault"),
    [
        ("p1,3ch,0,0,0,1,0,0", "row 3: the view is '3ch', one of sax, 2ch, 4ch is expected"),
        ("p1,2ch,0,nan,0,1,0,0", "row 3: point_y_mm is 'nan', a finite number is expected"),
        ("p1,2ch,0,,0,1,0,0", "row 3: point_y_mm is '', a number is expected"),
        ('p1,2ch,"0,5",0,0,1,0,0', "row 3: point_x_mm is '0,5', a number is expected; decimals are written with a point"),
        ("p1,2ch,0,0,0,0,0,0", "row 3: the normal is [0.0, 0.0, 0.0]: a finite vector that is not zero is expected"),
        ("p1,2ch,0,0,1e9,0,0,1", "row 3: the point is [0.0, 0.0, 1000000000.0]"),
        ("p1,4ch,0,0,0,1,0,0", "rows 2 and 3: 2 planes of the 4Ch view; keep one"),
    ],
)
def test_a_row_that_cannot_be_used_is_a_fault_with_its_number(tmp_path: Path, row: str, fault: str) -> None:
    stated = read_plane_table(table(tmp_path, HEAD, "p1,4ch,0,0,0,0,1,0", row, "p2,2ch,0,0,0,1,0,0")).subjects
    assert len(stated["p1"].faults) == 1
    assert stated["p1"].faults[0].startswith(fault)
    assert CardiacView.TWO_CHAMBER not in stated["p1"].planes
    assert stated["p2"].faults == ()


@pytest.mark.parametrize(
    ("directions", "fault"),
    [
        ("0,1,0,0,-2,0", "row 2: the directions left and anterior are 0.0 degrees from one line"),
        ("0,1,0,0,0,0", "row 2: the directions left and anterior must be two finite vectors that are not zero"),
        ("0,1,0,-1,0,", "row 2: left_z is '', a number is expected"),
    ],
)
def test_directions_that_are_none_are_a_fault(tmp_path: Path, directions: str, fault: str) -> None:
    stated = read_plane_table(table(tmp_path, LONG_HEAD, f"p1,2ch,0,0,0,1,0,0,{directions}")).subjects["p1"]
    assert stated.faults[0].startswith(fault)
    assert not stated.planes


def test_directions_of_one_subject_that_differ_leave_no_plane(tmp_path: Path) -> None:
    rows = ["p1,2ch,0,0,0,1,0,0,0,1,0,-1,0,0", "p1,4ch,0,0,0,0,1,0,0,1,0,0,0,1"]
    stated = read_plane_table(table(tmp_path, LONG_HEAD, *rows)).subjects["p1"]
    assert stated.faults == ("rows 2 and 3: the directions of one subject differ",)
    assert not stated.planes


@pytest.mark.parametrize(
    ("lines", "sentence"),
    [
        ([HEAD.replace("view,", ""), "p1,0,0,0,1,0,0"], "column view is missing"),
        ([HEAD.replace(",", ";"), "p1;2ch;0;0;0;1;0;0"], "separated by semicolons"),
        ([HEAD, "p1,2ch,0,5,0,0,1,0,0"], "row 2: more cells than columns; write decimals with a point"),
        ([HEAD, ",2ch,0,0,0,1,0,0"], "row 2: the subject is empty"),
        ([HEAD + ",anterior_x", "p1,2ch,0,0,0,1,0,0,1"], "state both directions or none"),
        ([HEAD, 'p1,"2ch,0,0,0,1,0,0'], "is not CSV in UTF-8"),
        (["", ""], "column subject is missing"),
    ],
)
def test_a_whole_table_that_cannot_be_used_is_refused(tmp_path: Path, lines: list[str], sentence: str) -> None:
    with pytest.raises(SourceError, match=sentence):
        read_plane_table(table(tmp_path, *lines))


def test_a_table_that_is_no_text_or_not_there_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "planes.csv"
    with pytest.raises(SourceError, match="cannot be read"):
        read_plane_table(path)
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SourceError, match="not CSV in UTF-8"):
        read_plane_table(path)


def test_another_table_has_another_digest(tmp_path: Path) -> None:
    first = read_plane_table(table(tmp_path, HEAD, "p1,2ch,0,0,0,1,0,0"))
    second = read_plane_table(table(tmp_path, HEAD, "p1,2ch,0,0,1,1,0,0"))
    assert first.digest != second.digest
    assert set(first.renamed(lambda name: (name.upper(), name + "x")).subjects) == {"P1", "p1x"}
