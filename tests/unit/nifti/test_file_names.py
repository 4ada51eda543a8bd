"""Names of public sets' files, taken apart: every layout that was understood before the two readings shared their words."""

import pytest

from cmr_planes.annotations.classes import PRESETS
from cmr_planes.annotations.model import TimePoint
from cmr_planes.nifti.file_names import FileName, label_convention, parse_image_name, parse_label_name
from cmr_planes.views import CardiacPhase, CardiacView

SAX, TWO, THREE, FOUR = CardiacView
ED, ES = CardiacPhase


@pytest.mark.parametrize(
    ("stem", "preset"),
    [
        ("patient001_frame01_gt", "acdc"),
        ("A0S9V9_sa_gt", "mnms"),
        ("001_SA_ED_gt", "mnms"),
        ("001_LA_ES_gt", "mnms"),
        ("label_sa_ED", "ukbb-sax"),
        ("seg_sa", "ukbb-sax"),
        ("LVSA_seg_ED", "ukbb-sax"),
        ("label_la_2ch_ED", "ukbb-2ch"),
        ("label_la_4ch_ES", "ukbb-4ch-atria"),
        ("seg4_la_4ch", "ukbb-4ch"),
        ("sax_ed", "catalogue"),
        ("9000001_2_label_sa_ED", "ukbb-sax"),
        ("heart", None),
        ("patient001_frame01", None),
    ],
)
def test_names_tell_the_convention_of_public_sets(stem: str, preset: str | None) -> None:
    assert label_convention(stem) == preset
    assert preset is None or preset in PRESETS


@pytest.mark.parametrize(
    ("stem", "expected"),
    [
        pytest.param("patient001_frame12", FileName(subject="patient001", view=SAX, frame_number=12), id="ACDC"),
        pytest.param(
            "patient001_frame01_gt", FileName(subject="patient001", view=SAX, frame_number=1, is_label=True), id="ACDC, label"
        ),
        pytest.param("patient001_4d", FileName(subject="patient001", view=SAX), id="ACDC, cine"),
        pytest.param("A0S9V9_sa", FileName(subject="A0S9V9", view=SAX), id="M&Ms"),
        pytest.param("001_LA_ES_gt", FileName(subject="001", view=FOUR, phase=ES, is_label=True), id="M&Ms-2"),
        pytest.param("001_SA_CINE", FileName(subject="001", view=SAX), id="M&Ms-2, cine"),
        pytest.param("la_2ch_ED", FileName(view=TWO, phase=ED), id="ukbb_cardiac"),
        pytest.param("label4_la_4ch_ES", FileName(view=FOUR, phase=ES, is_label=True), id="ukbb_cardiac, four chambers"),
        pytest.param("seg_up_sa_ED", FileName(view=SAX, phase=ED, is_label=True), id="ukbb_cardiac, up-sampled"),
        pytest.param("lvsa_seg_ED", FileName(view=SAX, phase=ED, is_label=True), id="4Dsegment"),
        pytest.param("X_3ch_ES", FileName(subject="X", view=THREE, phase=ES), id="three-chamber"),
        pytest.param("GT-001_A-ED-2_sa", FileName(subject="GT-001_A-ED-2", view=SAX), id="words inside the subject's name"),
        pytest.param("speed_test", FileName(subject="speed_test", view=SAX), id="letters inside words"),
    ],
)
def test_image_names_are_words_between_underscores_and_a_subject(stem: str, expected: FileName) -> None:
    assert parse_image_name(stem) == expected


@pytest.mark.parametrize(
    ("stem", "expected"),
    [
        ("001_SA_ED", FileName(view=SAX, phase=ED)),
        ("label_la_4ch_ED", FileName(view=FOUR, phase=ED, is_label=True)),
        ("seg_la_2ch", FileName(view=TWO, is_label=True)),
        ("001_LA_ES_gt", FileName(phase=ES, is_label=True)),
        ("patient001_frame01_gt", FileName(frame_number=1, is_label=True)),
        ("9000001.sax-Frame_12", FileName(view=SAX, frame_number=12)),
        ("seg4.lax2ch-ES2", FileName(view=TWO, phase=ES, is_label=True)),
        ("salabel", FileName()),
        ("speed_test", FileName()),
    ],
)
def test_label_names_are_words_wherever_letters_stand_apart(stem: str, expected: FileName) -> None:
    assert parse_label_name(stem) == expected


def test_a_time_point_is_read_from_a_label_map_s_name() -> None:
    assert TimePoint.from_name("001_SA_ES_gt") == TimePoint(phase=ES)
    assert TimePoint.from_name("patient001_frame12_gt") == TimePoint(frame_number=12)
    assert TimePoint.from_name("speed_test") == TimePoint()


def test_names_longer_than_any_frame_number_have_none() -> None:
    assert parse_image_name("A_frame00012").frame_number == parse_label_name("A_frame00012").frame_number == 12
    assert parse_image_name("A_frame12345") == FileName(subject="A_frame12345", view=SAX)
