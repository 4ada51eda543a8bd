"""What lies beside cines in archives, and what series are called: only headers differ, so headers decide."""

from dataclasses import replace

import pytest

from cmr_planes.fates import Fate
from cmr_planes.views import CardiacView
from tests.helpers.archive_acquisitions import Files, outcome, study_files
from tests.helpers.archive_evidence import LEVELS, Archive, assert_only_cines_are_used
from tests.helpers.cohorts import run


def perfusion(index: int) -> dict[str, object]:
    return {"trigger_time_ms": 100.0 + 900.0 * index}


def pair(index: int) -> dict[str, object]:
    return {"trigger_time_ms": 600.0, "inversion_time_ms": (250.0, 300.0)[index], "echo_time_ms": 3.2, "slice_thickness_mm": 4.0}


def look_locker(index: int) -> dict[str, object]:
    return {"trigger_time_ms": 25.0 * index, "inversion_time_ms": 60.0 + 25.0 * index}


INTRUDERS = {
    "pairs of frames between the levels": (LEVELS, {"n_frames": 2, "shift_mm": 5.0, "each": pair}),
    "perfusion": (LEVELS[2:5], {"each": perfusion}),
    "perfusion under a site's name": (LEVELS[2:5], {"each": perfusion, "series_description": "dyn_SA_first_pass_GRAPPA"}),
    "MOLLI": (["sax4"], {"each": lambda index: {"trigger_time_ms": 650.0, "inversion_time_ms": 100.0 + 80.0 * index}}),
    "eight echoes": (["sax4"], {"n_frames": 8, "each": lambda index: {"trigger_time_ms": 300.0, "echo_time_ms": 2.0 + 2 * index}}),
    "twelve echoes": (["sax4"], {"each": lambda index: {"trigger_time_ms": 300.0, "echo_time_ms": 2.0 + 2 * index}}),
    "Look-Locker": (["sax4"], {"each": look_locker, "series_description": "SA Look-Locker"}),
    "tagging": (LEVELS, {"series_description": "SA grid CSPAMM"}),
    "strain": (LEVELS, {"series_description": "cine DENSE SA"}),
    "tagging by its protocol": (LEVELS, {"series_description": "SA", "protocol_name": "tagging SA"}),
    "perfusion without times": (LEVELS[1:4], {"trigger_time_ms": None, "cardiac_number_of_images": None}),
    "flow, Philips": (["4ch"], {"image_type": ("ORIGINAL", "PRIMARY", "M_PCA", "M", "PCA")}),
    "flow, Siemens magnitude": (
        ["4ch"],
        {"image_type": ("ORIGINAL", "PRIMARY", "M", "RETRO", "DIS2D"), "sequence_name": "fl2d1_v150in"},
    ),
    "real time": (LEVELS, {"nominal_interval_ms": None, "each": lambda index: {"trigger_time_ms": 1500.0 + 60 * index}}),
    "results with contours": (LEVELS, {"image_type": ("DERIVED", "SECONDARY", "M", "RETRO")}),
    "reformatted copies": (LEVELS, {"image_type": ("DERIVED", "PRIMARY", "MPR")}),
    "real parts": (LEVELS, {"image_type": ("ORIGINAL", "PRIMARY", "R_FFE", "R", "FFE")}),
    "imaginary parts": (LEVELS, {"image_type": ("ORIGINAL", "PRIMARY", "I_FFE", "I", "FFE")}),
    "phase by its component": (LEVELS, {"image_type": ("ORIGINAL", "PRIMARY", "CINE", "NONE"), "complex_component": "PHASE"}),
    "pictures in colour": (LEVELS, {"samples_per_pixel": 3}),
}


@pytest.mark.parametrize("named", [False, True], ids=["blank", "named"])
@pytest.mark.parametrize("kind", INTRUDERS)
def test_other_images_never_displace_a_cine_and_have_a_row(kind, named):
    archive = Archive(named=named)
    keys, changes = INTRUDERS[kind]
    archive.again(keys, **changes)
    assert_only_cines_are_used(archive)
    rows = archive.study().passed_over
    assert len(rows) == len(keys)
    assert {row.fate for row in rows} <= {Fate.NOT_CINE, Fate.EXCLUDED_NAME}
    assert all(row.sentence for row in rows)


@pytest.mark.parametrize("named", [False, True], ids=["blank", "named"])
def test_magnitude_beside_phase_of_one_acquisition_gives_way_and_is_used_where_it_is_alone(named):
    archive = Archive(named=named)
    archive.again(["4ch"])
    archive.again(["4ch"], image_type=("ORIGINAL", "PRIMARY", "P", "ND"))
    assert_only_cines_are_used(archive)
    del archive.series["4ch"]
    assert CardiacView.FOUR_CHAMBER in archive.views().views


def test_phase_under_the_same_series_as_its_magnitude_is_left_out():
    archive = Archive()
    for frames in list(archive.series.values()):
        archive.intruders.append([replace(frame, image_type=("ORIGINAL", "PRIMARY", "PHASE MAP", "P", "FFE")) for frame in frames])
    assert_only_cines_are_used(archive)


def test_of_pairs_with_and_without_correction_of_distortion_all_views_take_the_corrected_ones():
    archive = Archive()
    for key, frames in archive.series.items():
        corrected = [replace(frame, image_type=("ORIGINAL", "PRIMARY", "M", "DIS2D")) for frame in frames]
        plain = [
            replace(frame, image_type=("ORIGINAL", "PRIMARY", "M", "ND"), series_number=frame.series_number + 100)
            for frame in frames
        ]
        archive.series[key] = corrected
        archive.intruders.append(plain)
    assert_only_cines_are_used(archive)
    assert any("corrected copies were used" in finding.sentence for finding in archive.study().findings)


def test_stress_never_mixes_with_rest():
    archive = Archive(named=True)
    archive.again([*LEVELS, "3ch"], series_description="stress sax cine")
    assert_only_cines_are_used(archive)


NAMES = [
    {"sax": "CINE EJE CORTO DE VI", "_2ch": "CINE DE 2 CAMARAS", "_3ch": "CINE DE 3 CAMARAS", "_4ch": "CINE DE 4 CAMARAS"},
    {"sax": "CINE PA", "_2ch": "CINE 2 cav", "_3ch": "CINE 3 cav", "_4ch": "CINE 4 cav"},
    {"sax": "cine plan petit axe", "_2ch": "cine plan 2 cavites", "_3ch": "cine plan 3 cavites", "_4ch": "cine plan 4 cavites"},
    {"sax": "SAX retro RT 60", "_2ch": "2ch RT 60", "_3ch": "3ch RT 60", "_4ch": "4ch RT 60"},
    {"sax": "SA cine AV block", "_2ch": "2ch", "_3ch": "3ch", "_4ch": "4ch"},
    {"sax": "T1_FFE cine SA", "_2ch": "T1_FFE cine 2ch", "_3ch": "T1_FFE cine 3ch", "_4ch": "T1_FFE cine 4ch"},
    {"sax": "SAX cine 3D heart map", "_2ch": "2ch", "_3ch": "3ch", "_4ch": "4ch"},
    {"": "DE-IDENTIFIED"},
    {"sax": "Kurzachse", "_2ch": "Zweikammerblick", "_3ch": "Dreikammerblick", "_4ch": "Vierkammerblick"},
    {"sax": "asse corto", "_2ch": "2 camere", "_3ch": "3 camere", "_4ch": "4 camere"},
]


@pytest.mark.parametrize("names", NAMES, ids=lambda names: next(iter(names.values())))
@pytest.mark.parametrize("timed", [True, False], ids=["trigger times", "no times"])
def test_words_of_two_meanings_end_no_cine(names, timed):
    archive = Archive()
    archive.call(**names)
    if not timed:
        archive.series = {key: [replace(frame, trigger_time_ms=None) for frame in frames] for key, frames in archive.series.items()}
    assert_only_cines_are_used(archive)


@pytest.mark.parametrize("protocol", ["Contrast enhanced cardiac exam", "Herz LGE Perfusion Standard"])
def test_the_name_of_the_whole_examination_ends_no_cine(protocol):
    archive = Archive()
    for key, frames in archive.series.items():
        archive.series[key] = [replace(frame, protocol_name=protocol, trigger_time_ms=None) for frame in frames]
    assert_only_cines_are_used(archive)


@pytest.mark.parametrize(
    ("name", "table"),
    [
        ("Übersicht", '[exclude]\nlocaliser = ["übersicht"]\n'),
        ("定位", '[views]\nsax = ["短轴"]\n[exclude]\nlocaliser = ["定位"]\n'),
    ],
)
def test_names_in_letters_of_every_script_are_excluded_on_request(name, table, tmp_path):
    file = tmp_path / "names.toml"
    file.write_text(table, encoding="utf-8")
    archive = Archive()
    archive.call(sax="短轴", _2ch="两腔心", _4ch="四腔心")
    archive.again(["4ch"], series_description=name)
    assert_only_cines_are_used(archive, file)


def test_an_exclusion_is_taken_back_on_request(tmp_path):
    file = tmp_path / "names.toml"
    file.write_text('[keep]\ncine = ["flow sax"]\n', encoding="utf-8")
    archive = Archive()
    archive.call(sax="flow SAX")
    assert CardiacView.SAX in archive.views().missing
    assert_only_cines_are_used(archive, file)


@pytest.mark.parametrize("table", ['[views]\nsax = "kurzachse"\n', '[exclude]\nlocaliser = "uebersicht"\n'])
def test_a_text_where_a_list_of_patterns_is_due_is_refused(table, tmp_path):
    file = tmp_path / "names.toml"
    file.write_text(table)
    result = run("extract", tmp_path, tmp_path / "out.h5", "--names", file)
    assert result.exit_code == 2
    assert "must be a list of patterns" in " ".join(result.stderr.split())


def test_derived_copies_under_a_localisers_name_are_left_out_with_a_row(tmp_path):
    files: Files = study_files()
    for file in files.again("sax"):
        file.set(ImageType=["DERIVED", "SECONDARY", "M"], SeriesDescription="Übersicht", SpecificCharacterSet="ISO_IR 100")
    found = outcome(files, tmp_path)
    assert found.exit_code == 0
    assert found.acquisitions["sax"] == {1}
    assert found.rejections == []
    assert {row.fate for row in found.fates} == {Fate.EXCLUDED_NAME}
