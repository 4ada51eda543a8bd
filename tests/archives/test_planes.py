"""Which planes of a study are its views: random hearts as archives have them, and single cases with images."""

from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pydicom
import pytest

from cmr_planes.annotations.model import Annotation
from cmr_planes.cine.acquisitions import CineSlice
from cmr_planes.cine.blood_pool import left_ventricle_at
from cmr_planes.cine.view_selection import ViewSelection, select_views
from cmr_planes.dicom.frames import FrameHeader
from cmr_planes.discovery.subjects import find_subjects
from cmr_planes.errors import NoteCode, RejectionCode
from cmr_planes.extraction.dicom_reader import open_dicom
from cmr_planes.extraction.options import ExtractOptions
from cmr_planes.fates import Fate, PlaneFate
from cmr_planes.geometry import ImagePlane
from cmr_planes.geometry.arrays import FloatArray
from cmr_planes.phantom.small_study import SimpleStudy, simple_study, write_study
from cmr_planes.shards.catalogue import Catalogue
from cmr_planes.views import CardiacView
from tests.helpers.archive_labels import numbered_study
from tests.helpers.cohorts import run
from tests.helpers.headers import as_study, cine_frames, moved, study_frames, turned
from tests.helpers.random_hearts import TYPICAL_AXIS, RandomHeart
from tests.helpers.study_kinds import KINDS, Kind
from tests.helpers.view_tally import as_headers, tally

SAX, TWO, THREE, FOUR = CardiacView.SAX, CardiacView.TWO_CHAMBER, CardiacView.THREE_CHAMBER, CardiacView.FOUR_CHAMBER
N_HEARTS = 3

Frames = dict[str, list[FrameHeader]]


def cells() -> list[tuple[Kind, str, bool]]:
    by_headers = [(kind, names, False) for kind in KINDS for names in ("named", "blank")]
    misleading = [(kind, "misleading", False) for kind in KINDS if kind.misleading]
    return by_headers + misleading + [(kind, "blank", True) for kind in KINDS if kind.seen]


@pytest.mark.parametrize(
    ("kind", "names", "seen"), cells(), ids=[f"{kind.title}, {names}{', seen' * seen}" for kind, names, seen in cells()]
)
def test_no_view_of_a_random_heart_is_wrong(kind: Kind, names: str, *, seen: bool) -> None:
    counts = tally(kind, names, N_HEARTS, select_views, seen=seen)
    assert counts["wrong"] == 0
    if kind.title == "standard protocol":
        assert counts["right"] == N_HEARTS


@pytest.mark.parametrize(
    ("title", "names", "seen"),
    [
        ("no 3Ch (DSB2016)", "blank", True),
        ("no 3Ch, field of view ± 40 mm", "blank", True),
        ("no 3Ch, LV's and RV's 2Ch", "blank", False),
        ("RV 2Ch, RVOT, LVOT 2, AV plane besides", "named", False),
        ("axial stack besides", "named", False),
        ("coronal stack besides", "blank", False),
        ("sagittal stack besides", "named", False),
        ("6 radial planes and the standard views", "named", False),
        ("4Ch as a stack of 3 to 7 slices, 8 mm", "named", True),
        ("AV stack of 5 to 12, LVOT stack of 3 to 7", "blank", False),
        ("vertical heart", "named", False),
        ("horizontal heart", "named", False),
    ],
)
def test_views_are_found_among_other_planes(title: str, names: str, *, seen: bool) -> None:
    (kind,) = [kind for kind in KINDS if kind.title == title]
    assert tally(kind, names, N_HEARTS, select_views, seen=seen)["right"] == N_HEARTS


@cache
def the_study() -> SimpleStudy:
    return simple_study(n_frames=12)


@pytest.fixture
def frames() -> Frames:
    return study_frames(the_study())


def look(level: CineSlice, point_mm: FloatArray) -> FloatArray | None:
    """Say what the study's images show."""
    series = the_study().series
    (image,) = [series[key].frames[0] for key in series if series[key].number == level.header.series_number]
    return left_ventricle_at(np.asarray(image, dtype=np.float64), level.plane, point_mm)


def chosen(selection: ViewSelection, view: CardiacView) -> int | None:
    return selection.views[view][0].header.series_number


def number(key: str) -> int:
    return the_study().series[key].number


def row(selection: ViewSelection, series: int) -> PlaneFate:
    (found,) = [plane for plane in selection.planes if plane.series_number == series]
    return found


def beside(frames: Frames, key: str, off_mm: float, series: int) -> list[FrameHeader]:
    """A copy of a plane, moved along its normal, towards the patient's left for positive distances."""
    plane = frames[key][0].plane
    assert plane is not None
    shift_mm = off_mm * plane.normal * np.sign(plane.normal[0])
    return cine_frames(
        moved(plane, shift_mm=shift_mm), n_frames=12, number=series, series_description=frames[key][0].series_description
    )


def without(frames: Frames, *keys: str) -> Frames:
    return {key: series for key, series in frames.items() if key not in keys}


def test_of_two_parallel_2ch_of_one_name_the_one_on_the_patients_left_is_used(frames: Frames) -> None:
    study = as_study(*without(frames, "3ch").values(), beside(frames, "2ch", -45, 90))
    selection = select_views(study)
    assert chosen(selection, TWO) == number("2ch")
    assert [note.code for note in selection.findings] == [NoteCode.PASSED_OVER]
    assert "series 90" in selection.findings[0].sentence
    assert row(selection, 90).fate is Fate.OTHER_VIEW
    assert row(selection, 90).distance_mm == pytest.approx(45, abs=3)


def test_a_lone_2ch_is_used_if_images_show_the_left_ventricle_there(frames: Frames) -> None:
    study = as_study(*without(frames, "3ch").values())
    assert not select_views(study, look).missing
    assert select_views(study).missing[TWO].code is RejectionCode.AMBIGUOUS_VIEW


def test_a_lone_right_ventricular_2ch_is_refused(frames: Frames) -> None:
    only = {**without(frames, "3ch"), "2ch": beside(frames, "2ch", -45, 90)}
    selection = select_views(as_study(*only.values()), look)
    assert selection.missing[TWO].code is RejectionCode.AMBIGUOUS_VIEW
    assert "3Ch" in selection.missing[TWO].sentence
    assert row(selection, 90).fate is Fate.UNDECIDED


@pytest.mark.parametrize("with_3ch", [True, False], ids=["3Ch", "no 3Ch"])
def test_of_a_4ch_stack_the_slice_through_the_left_ventricle_is_used(frames: Frames, *, with_3ch: bool) -> None:
    copies = [beside(frames, "4ch", off_mm, 90 + index) for index, off_mm in enumerate((-16, -8, 8, 16))]
    study = as_study(*(frames if with_3ch else without(frames, "3ch")).values(), *copies)
    selection = select_views(study, look)
    assert chosen(selection, FOUR) == number("4ch")
    assert {row(selection, 90 + index).fate for index in range(4)} == {Fate.NEIGHBOUR}
    assert FOUR in select_views(study).missing


@pytest.mark.parametrize(("view", "other"), [(TWO, "4ch"), (FOUR, "2ch")], ids=["2Ch", "4Ch"])
@pytest.mark.parametrize("end", [-1, 1])
def test_of_a_stack_of_seven_the_slice_at_one_end_is_used_if_it_runs_through_the_left_ventricle(
    view: CardiacView, other: str, end: int
) -> None:
    axis, centre_mm = np.array(TYPICAL_AXIS), np.array([35.0, -25.0, 30.0])
    heart = RandomHeart(np.random.default_rng(1), axis / np.linalg.norm(axis), 0.0, centre_mm, field_sd_mm=0.0)
    first = heart.long_axis(view.value)
    step_mm = 8.0 * end * first.plane.normal
    stack = [replace(first, plane=replace(first.plane, position_mm=first.plane.position_mm + step * step_mm)) for step in range(7)]
    short_axis = replace(heart, field_shift_mm=6 * step_mm).short_axis(9)
    study, made = as_headers([*short_axis, heart.long_axis(other), *stack], "named", 0)
    selection = select_views(study, heart.ventricle_at)
    assert made[id(selection.views[view][0].plane)] is stack[0]


@pytest.mark.parametrize(
    ("off_mm", "is_used"), [(13, True), (-21, False)], ids=["through the left ventricle", "through the septum"]
)
def test_a_2ch_off_the_point_of_3ch_and_4ch_is_used_if_images_show_the_ventricle(
    frames: Frames, off_mm: float, *, is_used: bool
) -> None:
    selection = select_views(as_study(*{**frames, "2ch": beside(frames, "2ch", off_mm, 90)}.values()), look)
    assert (TWO in selection.views) is is_used
    if not is_used:
        assert selection.missing[TWO].code is RejectionCode.AMBIGUOUS_VIEW
        assert "mm from where 3Ch and 4Ch meet" in selection.missing[TWO].sentence


def test_no_2ch_is_used_beside_an_uncertain_4ch_without_a_3ch() -> None:
    blank = study_frames(the_study(), names=False)
    short_axis, four = blank["sax3"][0].plane, blank["4ch"][0].plane
    assert short_axis is not None
    assert four is not None
    between = turned(four, short_axis.normal, 25.0, centre_mm=the_study().centre_mm)
    study = as_study(*without(blank, "3ch", "4ch").values(), cine_frames(between, n_frames=12, number=90))
    selection = select_views(study, look)
    assert {view: finding.code for view, finding in selection.missing.items()} == {
        FOUR: RejectionCode.AMBIGUOUS_VIEW,
        TWO: RejectionCode.AMBIGUOUS_VIEW,
    }
    assert "no 4Ch view is certain" in selection.missing[TWO].sentence


def test_a_stack_named_short_axis_beats_a_larger_sagittal_one(frames: Frames) -> None:
    sagittal = [
        ImagePlane.from_attributes([x, -150, 150], [0, 1, 0, 0, 0, -1], [3, 3], rows=96, columns=96) for x in range(-60, 80, 8)
    ]
    stack = [cine_frames(plane, n_frames=12, number=70, series_description="cine sagittal") for plane in sagittal]
    selection = select_views(as_study(*frames.values(), *stack))
    assert chosen(selection, SAX) == number("sax1")
    assert {plane.sentence for plane in selection.planes if plane.series_number == 70} == {"a sagittal plane"}


def test_an_axial_plane_named_4ch_does_not_displace_an_oblique_one(frames: Frames) -> None:
    axial = ImagePlane.from_attributes([-150, -150, 40], [1, 0, 0, 0, 1, 0], [3, 3], rows=96, columns=96)
    named = cine_frames(axial, n_frames=12, number=70, series_description="4CH stack")
    selection = select_views(as_study(*frames.values(), named))
    assert chosen(selection, FOUR) == number("4ch")
    assert row(selection, 70).sentence == "an axial plane"


@pytest.mark.parametrize("names", [True, False], ids=["named", "blank"])
def test_a_mirrored_heart_is_refused_by_name(names: bool) -> None:
    flip = np.diag([-1.0, 1.0, 1.0])
    mirrored = [
        [replace(frame, plane=moved(frame.plane, rotation=flip)) for frame in series if frame.plane is not None]
        for series in study_frames(the_study(), names=names).values()
    ]
    selection = select_views(as_study(*mirrored))
    assert selection.views == {}
    assert {finding.code for finding in selection.missing.values()} == {RejectionCode.MIRRORED}
    assert "dextrocardia" in selection.missing[SAX].sentence


def test_each_plane_has_a_row_with_its_angle_and_distance(frames: Frames) -> None:
    selection = select_views(as_study(*frames.values(), beside(frames, "2ch", -43, 90)))
    assert len(selection.planes) == len(frames) + 1
    four, three, right = row(selection, number("4ch")), row(selection, number("3ch")), row(selection, 90)
    assert (four.view, four.fate, four.n_frames, four.sentence) == ("4ch", Fate.USED, 12, "")
    assert four.angle_deg == pytest.approx(69, abs=1)
    assert four.distance_mm == pytest.approx(0, abs=1)
    assert (three.view, three.fate) == ("3ch", Fate.USED)
    assert three.angle_deg == pytest.approx(119, abs=2)
    assert right.distance_mm == pytest.approx(43, abs=1)
    assert "43 mm" in right.sentence
    assert all(row(selection, number(f"sax{level}")).angle_deg < 8 for level in range(1, 7))


@pytest.mark.parametrize(("off_mm", "is_used"), [(0.0, True), (-45.0, False)], ids=["left", "right"])
def test_the_images_of_a_folder_tell_a_lone_2ch(tmp_path: Path, off_mm: float, *, is_used: bool) -> None:
    study = simple_study(n_frames=8, views=("sax", "2ch", "4ch"), n_slices=3)
    two = study.series["2ch"]
    shift_mm = off_mm * two.plane.normal * np.sign(two.plane.normal[0])
    series = {**study.series, "2ch": replace(two, plane=moved(two.plane, shift_mm=shift_mm))}
    write_study(tmp_path / "s1", replace(study, series=series))
    (subject,) = find_subjects([tmp_path])
    none: tuple[Annotation, ...] = ()
    with open_dicom(subject, ExtractOptions(), none) as views:
        assert (TWO in views.views) == is_used
        assert {plane.fate for plane in views.planes if plane.view == "2ch"} == {Fate.USED if is_used else Fate.UNDECIDED}


def test_a_study_of_short_axes_is_told_how_to_keep_them_and_its_equal_planes_are_one_row(tmp_path: Path) -> None:
    study = numbered_study()
    short_axis = {key: series for key, series in study.series.items() if key.startswith("sax")}
    write_study(tmp_path / "set" / "p1", replace(study, series=short_axis))
    out = tmp_path / "out.h5"
    result = run("extract", tmp_path / "set", out, "--workers", 1)
    assert result.exit_code == 3
    assert "--keep-all keeps the images" in result.stdout
    assert "1 subject left out (no_2ch 1, no_4ch 1)" in result.stdout
    listed = run("inspect", "-v", out).stdout
    (row,) = [line.split() for line in listed.splitlines() if line.startswith("  1") and line.rstrip().endswith(" used")]
    assert row[1:7] == ["p1", "SAX", "3", "3", "×", "10"]
    result = run("extract", tmp_path / "set", out, "--workers", 1, "--keep-all", "--overwrite")
    assert "1 subject with 6 images in 1 shard; no subject has a 2Ch or 4Ch view (no_2ch, no_4ch)" in result.stdout
    assert "--keep-all" not in result.stdout


def test_a_stack_of_several_frames_of_reference_is_noted_without_a_word_on_positions(tmp_path: Path) -> None:
    study = numbered_study()
    short_axis = {key: series for key, series in study.series.items() if key.startswith("sax")}
    write_study(tmp_path / "set" / "p1", replace(study, series=short_axis))
    for number, path in enumerate(sorted(path for path in (tmp_path / "set").rglob("*") if path.is_file())):
        dataset = pydicom.dcmread(path)
        dataset.FrameOfReferenceUID = f"2.25.{number + 1}"
        dataset.save_as(path)
    run("extract", tmp_path / "set", tmp_path / "out.h5", "--workers", 1, "--keep-all")
    with Catalogue(tmp_path / "out.h5") as catalogue:
        (note,) = [note for note in catalogue.notes() if note.code is NoteCode.FRAME_OF_REFERENCE]
    assert note.sentence.startswith("the images carry 30 different FrameOfReferenceUID")
    assert note.sentence.endswith("the slices lie elsewhere than stored")
