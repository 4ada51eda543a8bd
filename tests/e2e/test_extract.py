"""The main job, from DICOM files to masks."""

import json
import zipfile
from dataclasses import replace
from pathlib import Path

import h5py
import hdf5plugin  # noqa: F401  # registers the filter
import numpy as np
import pydicom
import pytest
from scipy.ndimage import center_of_mass, label

from cmr_planes.geometry import VIEW_LINES
from cmr_planes.phantom.dicom_model import TransferSyntax
from cmr_planes.phantom.dicom_writer import write_cine, write_files
from cmr_planes.phantom.enhanced_writer import write_enhanced
from cmr_planes.phantom.small_study import ES_FRACTION, write_study
from cmr_planes.shards.catalogue import Catalogue
from cmr_planes.views import CardiacView
from tests.helpers import jpeg_lossless
from tests.helpers.cohorts import SMALL, digests, extract, run, small_study, write_biobank_zips, write_folders


def codes(out: Path) -> set[tuple[str, str]]:
    with Catalogue(out) as catalogue:
        return {(rejection.view, rejection.code.value) for rejection in catalogue.rejections()}


def note_codes(out: Path) -> set[str]:
    with Catalogue(out) as catalogue:
        return {note.code.value for note in catalogue.notes()}


def test_a_folder_of_subjects_becomes_images_of_four_views_and_masks_of_three(tmp_path):
    source = write_folders(tmp_path / "dicom", 2)
    result = extract(source, tmp_path / "out.h5")
    assert result.exit_code == 0
    assert "2 subjects with 24 images in 1 shard; nothing left out" in result.stdout
    with h5py.File(tmp_path / "out.h5") as file:
        assert sorted(file["data"]) == ["SYN-0001", "SYN-0002"]
        for subject in file["data"].values():
            assert {view: group["image"].shape for view, group in subject.items()} == {
                "sax": (2, 3, 48, 48),
                "2ch": (2, 1, 48, 48),
                "3ch": (2, 1, 48, 48),
                "4ch": (2, 1, 48, 48),
            }
            assert {view for view, group in subject.items() if "positions" in group} == {"sax", "2ch", "4ch"}


def test_3ch_is_stored_beside_other_views_only_and_changes_none_of_them(tmp_path):
    source = write_folders(tmp_path / "dicom", 1)
    assert extract(source, tmp_path / "four.h5").exit_code == 0
    assert extract(source, tmp_path / "three.h5", "--views", "sax,2ch,4ch").exit_code == 0
    with h5py.File(tmp_path / "four.h5") as four, h5py.File(tmp_path / "three.h5") as three:
        views = three["data/SYN-0001"]
        assert set(four["data/SYN-0001"]) - set(views) == {"3ch"}
        for path in [
            f"{view}/{name}" for view in views for name in views[view] if name != "instance_digests"
        ]:  # salted by the options
            np.testing.assert_array_equal(four[f"data/SYN-0001/{path}"][()], views[path][()])
        for view in views:
            assert {name: str(value) for name, value in four[f"data/SYN-0001/{view}"].attrs.items()} == {
                name: str(value) for name, value in views[view].attrs.items()
            }
        assert [row["view"] for row in four["index"] if row["view"] != b"3ch"] == [row["view"] for row in three["index"]]
    write_study(tmp_path / "lone" / "SYN-0002", small_study("SYN-0002", views=("sax", "3ch")))
    assert extract(tmp_path / "lone", tmp_path / "lone.h5").exit_code == 3  # no positions without 2Ch and 4Ch, so nothing is kept
    assert extract(tmp_path / "lone", tmp_path / "kept.h5", "--keep-all").exit_code == 0
    with Catalogue(tmp_path / "kept.h5") as catalogue:
        assert catalogue.views().view == ("sax", "3ch")


def literal_boxes(target, first, second, axes, *, box, gap):
    """Boxes from DICOM headers with plain numpy: project the long way round, through sampled lines."""

    def vectors(dataset):
        row, column = np.array(dataset.ImageOrientationPatient, float).reshape(2, 3)
        return np.array(dataset.ImagePositionPatient, float), row, column, np.cross(row, column)

    normals, offsets = [], []
    for dataset in (target, first, second):
        position, _, _, normal = vectors(dataset)
        normals.append(normal)
        offsets.append(normal @ position)
    point = np.linalg.solve(np.array(normals), np.array(offsets))
    position, row, column, normal = vectors(target)
    row_spacing, column_spacing = (float(value) for value in target.PixelSpacing)

    def pixel(where):
        return np.array([(where - position) @ row / column_spacing, (where - position) @ column / row_spacing])

    centres = [pixel(point)]
    for dataset, axis in zip((first, second), axes, strict=True):
        direction = np.cross(normal, vectors(dataset)[3])
        direction = direction * np.sign(direction @ np.array(axis))
        step = pixel(point + direction) - pixel(point)
        step = step / np.hypot(*step)
        centres += [pixel(point) + sign * times * gap * step for sign in (1, -1) for times in (1, 2)]
    mask = np.zeros((target.Rows, target.Columns), int)
    half = box // 2
    for number, (x, y) in enumerate(centres, start=1):
        for j in range(target.Rows):
            for i in range(target.Columns):
                if abs(i - round(x)) <= half and abs(j - round(y)) <= half:
                    mask[j, i] = number
    return mask


AXES = {"sax": ((1, 0, 0), (0, -1, 1)), "4ch": ((1, 0, 0), (0, 0, 1)), "2ch": ((1, 0, 0), (0, -1, 1))}


def test_masks_equal_those_worked_out_from_the_headers_with_plain_numpy(tmp_path):
    study = small_study()
    write_study(tmp_path / "dicom" / "SYN-0001", study)
    assert extract(tmp_path / "dicom", tmp_path / "out.h5").exit_code == 0
    headers = {}
    for path in (tmp_path / "dicom" / "SYN-0001").iterdir():
        dataset = pydicom.dcmread(path)
        headers[dataset.SeriesDescription.rsplit("_", 1)[-1].lower()] = dataset
    planes = {CardiacView.SAX: headers["b2"], CardiacView.TWO_CHAMBER: headers["2ch"], CardiacView.FOUR_CHAMBER: headers["4ch"]}
    with Catalogue(tmp_path / "out.h5") as catalogue:
        for view in planes:
            first, second = (planes[line.view] for line in VIEW_LINES[view])
            targets = [headers["b1"], headers["b2"], headers["b3"]] if view is CardiacView.SAX else [planes[view]]
            for index, target in enumerate(targets):
                expected = literal_boxes(target, first, second, AXES[view.value], box=3, gap=8)
                for phase in (0, 1):
                    np.testing.assert_array_equal(catalogue.positions("SYN-0001", view, phase, index), expected)


def test_stored_images_are_those_of_the_files_at_ed_and_es(tmp_path):
    study = small_study(n_frames=20)
    write_study(tmp_path / "dicom", study)
    assert extract(tmp_path / "dicom", tmp_path / "out.h5").exit_code == 0
    es = round(ES_FRACTION * 20)
    with Catalogue(tmp_path / "out.h5") as catalogue:
        for view, keys in ((CardiacView.SAX, ["sax1", "sax2", "sax3"]), (CardiacView.FOUR_CHAMBER, ["4ch"])):
            frames = catalogue.view_attributes("dicom", view).frame_numbers
            assert (frames[0] == 1).all()
            assert (np.abs(frames[1] - 1 - es) <= 1).all()
            for index, key in enumerate(keys):
                for phase in (0, 1):
                    truth = study.series[key].frames[frames[phase, index] - 1]
                    np.testing.assert_array_equal(catalogue.image("dicom", view, phase, index), truth)


@pytest.mark.parametrize("phases", ["ed,es", "all"])
def test_the_table_says_when_in_the_cycle_ed_and_es_are(tmp_path, phases):
    study = small_study(n_frames=20)
    write_study(tmp_path / "dicom", study)
    assert extract(tmp_path / "dicom", tmp_path / "out.h5", "--phases", phases).exit_code == 0
    interval_ms = {int(header.NominalInterval) for header in map(pydicom.dcmread, (tmp_path / "dicom").rglob("*.dcm"))}.pop()
    with h5py.File(tmp_path / "out.h5") as file:
        assert file["views"]["n_frames"].tolist() == [20] * 4
        for name, ed_cycle, es_cycle in zip(*(file["views"][column] for column in ("view", "ed_cycle", "es_cycle")), strict=True):
            assert ed_cycle == 0
            assert es_cycle == pytest.approx(ES_FRACTION, abs=0.05)
            if phases == "ed,es":
                group = file[f"data/dicom/{name.decode()}"]
                assert es_cycle == pytest.approx(group["trigger_time_ms"][1, group["image"].shape[1] // 2] / interval_ms, abs=0.002)


def test_all_phases_keep_every_frame(tmp_path):
    study = small_study()
    write_study(tmp_path / "dicom", study)
    assert extract(tmp_path / "dicom", tmp_path / "out.h5", "--phases", "all", "--views", "sax").exit_code == 0
    with h5py.File(tmp_path / "out.h5") as file:
        group = file["data/dicom/sax"]
        assert list(file["data/dicom"]) == ["sax"]
        assert group["image"].shape[0] == SMALL["n_frames"]
        np.testing.assert_array_equal(group["image"][5, 1], study.series["sax2"].frames[5])
        assert group["phases"][:3].tolist() == [b"000", b"001", b"002"]


def test_biobank_zips_of_one_visit_are_one_subject(tmp_path):
    write_biobank_zips(tmp_path / "dicom", small_study("first"))
    write_biobank_zips(tmp_path / "dicom", small_study("second"), instance=3)
    assert extract(tmp_path / "dicom", tmp_path / "out.h5").exit_code == 0
    with Catalogue(tmp_path / "out.h5") as catalogue:
        subjects = catalogue.subjects()
    assert list(subjects.key) == ["9000001_2", "9000001_3"]
    assert list(subjects.participant) == ["9000001", "9000001"]


@pytest.mark.parametrize(("missing", "code"), [("20208", "no_4ch"), ("20209", "no_sax")])
def test_a_subject_with_one_zip_is_rejected_with_the_reason(tmp_path, missing, code):
    for path in write_biobank_zips(tmp_path / "dicom", small_study()):
        if missing in path.name:
            path.unlink()
    result = extract(tmp_path / "dicom", tmp_path / "out.h5")
    assert result.exit_code == 3
    assert ("sax", code) in codes(tmp_path / "out.h5")


@pytest.mark.parametrize("syntax", list(TransferSyntax))
def test_every_transfer_syntax_gives_the_same_content(tmp_path, syntax):
    study = small_study()
    write_study(tmp_path / "plain" / "SYN-0001", study)
    write_study(tmp_path / "other" / "SYN-0001", study, transfer_syntax=syntax)
    assert extract(tmp_path / "plain", tmp_path / "plain.h5").exit_code == 0
    assert extract(tmp_path / "other", tmp_path / "other.h5").exit_code == 0
    assert digests(tmp_path / "plain.shards") == digests(tmp_path / "other.shards")


def test_jpeg_lossless_gives_the_same_content(tmp_path):
    study = small_study(n_frames=2)
    write_study(tmp_path / "plain" / "SYN-0001", study)
    target = tmp_path / "other" / "SYN-0001"
    target.mkdir(parents=True)
    for path in (tmp_path / "plain" / "SYN-0001").iterdir():
        dataset = pydicom.dcmread(path)
        jpeg_lossless.compress(dataset)
        dataset.save_as(target / path.name)
    assert extract(tmp_path / "plain", tmp_path / "plain.h5").exit_code == 0
    assert extract(tmp_path / "other", tmp_path / "other.h5").exit_code == 0
    assert digests(tmp_path / "plain.shards") == digests(tmp_path / "other.shards")


def test_enhanced_multi_frame_instances_give_the_same_masks(tmp_path):
    study = small_study()
    write_study(tmp_path / "classic" / "SYN-0001", study)
    files = [write_enhanced(study.study, [series]) for series in study.series.values()]
    write_files(tmp_path / "enhanced" / "SYN-0001", files)
    assert extract(tmp_path / "classic", tmp_path / "classic.h5").exit_code == 0
    assert extract(tmp_path / "enhanced", tmp_path / "enhanced.h5").exit_code == 0
    with h5py.File(tmp_path / "classic.h5") as classic, h5py.File(tmp_path / "enhanced.h5") as enhanced:
        for view in ("sax", "2ch", "4ch"):
            for name in ("image", "positions", "frame_numbers"):
                path = f"data/SYN-0001/{view}/{name}"
                np.testing.assert_array_equal(classic[path][()], enhanced[path][()])


def test_one_flat_folder_of_several_studies_gives_one_subject_each(tmp_path):
    for number in (1, 2, 3):
        write_study(tmp_path / "flat", small_study(f"SYN-000{number}"), suffix="")
    assert extract(tmp_path / "flat", tmp_path / "out.h5").exit_code == 0
    with Catalogue(tmp_path / "out.h5") as catalogue:
        keys = list(catalogue.subjects().key)
    assert len(set(keys)) == 3
    assert all(len(key) == 12 and not key.isdigit() for key in keys)


def test_kaggle_layout_takes_the_number_for_the_key_and_names_from_folders(tmp_path):
    for number in ("7", "8"):
        study = small_study(
            f"SYN-000{number}", descriptions=dict.fromkeys(("sax", "2ch", "3ch", "4ch"), ""), translation_mm=(int(number), 0, 0)
        )
        for key, series in study.series.items():
            folder = f"sax_{key[3:]}" if key.startswith("sax") else f"{key}_21"
            if key != "3ch":
                write_files(tmp_path / "train" / number / "study" / folder, write_cine(study.study, series))
    assert extract(tmp_path / "train", tmp_path / "out.h5").exit_code == 0
    with Catalogue(tmp_path / "out.h5") as catalogue:
        assert list(catalogue.subjects().key) == ["7", "8"]
        assert catalogue.notes() == ()


def test_series_with_drawn_contours_localisers_and_late_enhancement_are_passed_over(tmp_path):
    study = small_study()
    folder = tmp_path / "dicom" / "SYN-0001"
    write_study(folder, study)
    baseline = extract(tmp_path / "dicom", tmp_path / "plain.h5")
    assert baseline.exit_code == 0
    for number, (key, name) in enumerate(
        [("sax1", "CINE_segmented_SAX_InlineVF"), ("sax2", "SAX_LGE_PSIR"), ("2ch", "RV2CH_FIESTA_BH"), ("4ch", "4CH_loc")],
        start=40,
    ):
        extra = replace(study.series[key], number=number, description=name, frames=study.series[key].frames // 2, key=name)
        write_files(folder, write_cine(study.study, extra))
    assert extract(tmp_path / "dicom", tmp_path / "more.h5").exit_code == 0
    assert stored(tmp_path / "plain.shards") == stored(tmp_path / "more.shards")


def stored(shards: Path) -> dict[str, str]:
    """Return all that a shard stores of its subjects, but for the table of planes."""
    values = {}
    with h5py.File(shards / "00000.h5") as file:
        file.visititems(
            lambda name, item: values.update({name: repr(item[()].tolist())}) if isinstance(item, h5py.Dataset) else None
        )
    return {name: value for name, value in values.items() if "planes" not in name}


def test_identical_planes_for_2ch_and_4ch_are_a_rejection(tmp_path):
    study = small_study()
    same = replace(study.series["4ch"], number=30, description="CINE_segmented_LAX_2Ch", key="again")
    study.series["2ch"] = same
    write_study(tmp_path / "dicom", study)
    assert extract(tmp_path / "dicom", tmp_path / "out.h5").exit_code == 3
    assert ("sax", "no_2ch") in codes(tmp_path / "out.h5")


@pytest.mark.parametrize(
    ("overrides", "code"),
    [
        ({"ImagePositionPatient": None}, "missing_attribute"),
        ({"ImageOrientationPatient": None}, "missing_attribute"),
        ({"PixelSpacing": None}, "missing_attribute"),
        ({"ImageOrientationPatient": ["1", "0", "0", "0.5", "0.5", "0"]}, "invalid_plane"),
        ({"PixelSpacing": ["-1.8", "1.8"]}, "invalid_plane"),
        ({"ImagePositionPatient": ["0", "0", "0"]}, "no_sax"),
        ({"Modality": "CT"}, "no_cine"),
    ],
    ids=["no position", "no orientation", "no spacing", "oblique cosines", "negative spacing", "all at one place", "not MR"],
)
def test_headers_that_cannot_be_used_end_in_one_sentence(tmp_path, overrides, code):
    write_study(tmp_path / "bad" / "SYN-0001", small_study(overrides=overrides))
    write_folders(tmp_path / "bad", 0)
    write_study(tmp_path / "bad" / "SYN-0002", small_study("SYN-0002"))
    result = extract(tmp_path / "bad", tmp_path / "out.h5")
    assert result.exit_code == 0
    with Catalogue(tmp_path / "out.h5") as catalogue:
        bad = [rejection for rejection in catalogue.rejections() if rejection.subject == "SYN-0001"]
        assert list(catalogue.subjects().key) == ["SYN-0001", "SYN-0002"]
        assert catalogue.subjects().n_images.tolist() == [0, 12]
    assert code in {rejection.code.value for rejection in bad}
    assert all("\n" not in rejection.sentence and len(rejection.sentence) > 40 for rejection in bad)


@pytest.mark.parametrize(
    ("overrides", "note"),
    [
        ({"StudyInstanceUID": None}, "no_study_uid"),
        ({"StudyInstanceUID": ""}, "no_study_uid"),
        ({"TriggerTime": None}, "no_trigger_time"),
        ({"FrameOfReferenceUID": lambda index: f"2.25.{index + 1}"}, "frame_of_reference"),
        ({"CardiacNumberOfImages": 25}, "missing_frames"),
    ],
    ids=["no study", "empty study", "no trigger time", "a frame of reference a file", "frames missing"],
)
def test_what_can_be_survived_is_survived_and_noted(tmp_path, overrides, note):
    write_study(tmp_path / "dicom" / "SYN-0001", small_study(overrides=overrides))
    assert extract(tmp_path / "dicom", tmp_path / "out.h5").exit_code == 0
    assert note in note_codes(tmp_path / "out.h5")
    assert codes(tmp_path / "out.h5") == set()


def test_frames_without_trigger_time_are_ordered_by_instance_number_as_a_number(tmp_path):
    study = small_study(n_frames=12, overrides={"TriggerTime": None})
    write_study(tmp_path / "dicom", study)
    assert extract(tmp_path / "dicom", tmp_path / "out.h5", "--phases", "all").exit_code == 0
    with Catalogue(tmp_path / "out.h5") as catalogue:
        for phase in range(12):
            np.testing.assert_array_equal(catalogue.image("dicom", CardiacView.SAX, phase, 0), study.series["sax1"].frames[phase])


def test_single_frames_are_no_cine(tmp_path):
    write_study(tmp_path / "dicom", small_study(n_frames=1))
    assert extract(tmp_path / "dicom", tmp_path / "out.h5").exit_code == 3
    assert codes(tmp_path / "out.h5") == {("", "no_cine")}


def test_few_frames_keep_end_diastole_only_and_say_so(tmp_path):
    write_study(tmp_path / "dicom", small_study(n_frames=5))
    assert extract(tmp_path / "dicom", tmp_path / "out.h5").exit_code == 0
    assert note_codes(tmp_path / "out.h5") == {"few_frames"}
    with h5py.File(tmp_path / "out.h5") as file:
        assert file["data/dicom/sax/phases"][:].tolist() == [b"ed"]


def test_a_slice_of_another_matrix_is_left_out_and_the_others_are_used(tmp_path):
    study = small_study(n_slices=4)
    wide = small_study(n_slices=4, rows=40)
    study.series["sax2"] = wide.series["sax2"]
    write_study(tmp_path / "dicom", study)
    assert extract(tmp_path / "dicom", tmp_path / "out.h5").exit_code == 0
    assert "slice_left_out" in note_codes(tmp_path / "out.h5")
    with h5py.File(tmp_path / "out.h5") as file:
        assert file["data/dicom/sax/image"].shape == (2, 3, 48, 48)


def test_images_without_long_axis_are_kept_on_request_only(tmp_path):
    write_study(tmp_path / "dicom", small_study(views=("sax",)))
    assert extract(tmp_path / "dicom", tmp_path / "none.h5").exit_code == 3
    assert extract(tmp_path / "dicom", tmp_path / "all.h5", "--keep-all").exit_code == 0
    with h5py.File(tmp_path / "all.h5") as file:
        assert file["data/dicom/sax/image"].shape == (2, 3, 48, 48)
        assert "positions" not in file["data/dicom/sax"]
    assert "no_positions" in note_codes(tmp_path / "all.h5")


def test_views_that_disagree_along_their_line_are_noted_or_rejected(tmp_path):
    study = small_study()
    rng = np.random.default_rng(0)
    frames = study.series["2ch"].frames
    study.series["2ch"] = replace(
        study.series["2ch"], frames=rng.permuted(frames.reshape(len(frames), -1), axis=1).reshape(frames.shape)
    )
    write_study(tmp_path / "dicom", study)
    assert extract(tmp_path / "dicom", tmp_path / "noted.h5").exit_code == 0
    assert "low_agreement" in note_codes(tmp_path / "noted.h5")
    strict = extract(tmp_path / "dicom", tmp_path / "strict.h5", "--min-agreement", 0.5)
    assert strict.exit_code == 3
    assert codes(tmp_path / "strict.h5") == {("sax", "low_agreement"), ("2ch", "low_agreement"), ("4ch", "low_agreement")}


def test_boxes_are_where_a_flood_fill_finds_them(tmp_path):
    write_study(tmp_path / "dicom", small_study(rows=160, columns=160, spacing_mm=(2.1, 2.1)))
    result = run("extract", tmp_path / "dicom", tmp_path / "out.h5", "--workers", 1)
    assert result.exit_code == 0
    with Catalogue(tmp_path / "out.h5") as catalogue:
        mask = catalogue.positions("dicom", CardiacView.SAX, 0, 1)
        centres = catalogue.view_attributes("dicom", CardiacView.SAX).boxes.centres_px[1]
    _, n_regions = label(mask > 0)
    assert n_regions == 9
    for number, centre in enumerate(centres, start=1):
        row, column = center_of_mass(mask == number)
        assert (mask == number).sum() == 121
        assert np.abs(np.array([column, row]) - centre).max() <= 0.5


def test_boxes_in_millimetres_have_the_same_size_in_the_patient_at_any_resolution(tmp_path):
    for spacing_mm, pixels in ((1.82, 11), (1.0, 19), (2.6, 7)):
        matrix = round(300 / spacing_mm)
        out = tmp_path / f"{pixels}.h5"
        write_study(
            tmp_path / str(pixels), small_study(rows=matrix, columns=matrix, spacing_mm=(spacing_mm,) * 2, n_frames=2, n_slices=3)
        )
        assert run("extract", tmp_path / str(pixels), out, "--units", "mm", "--workers", 1).exit_code == 0
        with Catalogue(out) as catalogue:
            mask = catalogue.positions(str(pixels), CardiacView.SAX, 0, 1)
            boxes = catalogue.view_attributes(str(pixels), CardiacView.SAX).boxes
        assert (mask == 1).sum() == pixels**2
        near = np.linalg.norm(boxes.centres_mm[1, 1] - boxes.centres_mm[1, 0])
        assert near == pytest.approx(54.6)


def test_gzip_files_are_read_without_the_plugin_and_hold_the_same(tmp_path):
    write_folders(tmp_path / "dicom", 1)
    assert extract(tmp_path / "dicom", tmp_path / "lz4.h5").exit_code == 0
    assert extract(tmp_path / "dicom", tmp_path / "gzip.h5", "--codec", "gzip").exit_code == 0
    with h5py.File(tmp_path / "lz4.h5") as lz4, h5py.File(tmp_path / "gzip.h5") as gzip:
        for name in ("image", "positions"):
            dataset = gzip[f"data/SYN-0001/sax/{name}"]
            assert dataset.compression == "gzip"
            assert dataset.chunks == (1, 1, 48, 48)
            np.testing.assert_array_equal(dataset[()], lz4[f"data/SYN-0001/sax/{name}"][()])


def test_summary_as_json(tmp_path):
    write_folders(tmp_path / "dicom", 1)
    result = extract(tmp_path / "dicom", tmp_path / "out.h5", "--json")
    summary = json.loads(result.stdout)
    assert summary["n_subjects"] == 1
    assert summary["views"]["sax"]["n_images"] == 6
    assert summary["this_run"]["n_images"] == 12


def test_no_key_of_a_subject_is_printed_unless_asked(tmp_path):
    write_folders(tmp_path / "dicom", 2)
    quiet = extract(tmp_path / "dicom", tmp_path / "out.h5")
    assert "SYN" not in quiet.output
    listed = extract(tmp_path / "dicom", tmp_path / "other.h5", "--dry-run", "-v")
    assert listed.stdout.splitlines()[:2] == ["SYN-0001", "SYN-0002"]
    assert not (tmp_path / "other.h5").exists()
    assert not (tmp_path / "other.shards").exists()


def test_zip_members_are_never_unpacked(tmp_path, monkeypatch):
    zips = write_biobank_zips(tmp_path / "dicom", small_study())
    with zipfile.ZipFile(zips[0], "a") as archive:
        archive.writestr("../../escaped.dcm", b"nothing")
    before = sorted(path for path in tmp_path.rglob("*"))
    assert extract(tmp_path / "dicom", tmp_path / "run" / "out.h5").exit_code in (0, 1)
    after = sorted(path for path in tmp_path.rglob("*") if "run" not in path.parts)
    assert before == after
