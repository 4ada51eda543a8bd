"""Exports against readers that are not ours: dcm2niix on the same DICOM files, nibabel, SimpleITK; and what ends in a sentence."""

import json
import shutil
from pathlib import Path

import nibabel
import numpy as np
import pytest
import SimpleITK

from cmr_planes.shards.catalogue import Catalogue
from cmr_planes.views import CardiacView
from tests.helpers.cohorts import digests, extract, run, write_folders, write_label_maps
from tests.helpers.dcm2niix import convert, frames_at, slice_affine, unpack
from tests.helpers.labels import recode

DATA = Path(__file__).parents[3] / "shared" / "data"


def check_against_dcm2niix(folder: Path, peers: list, *, n_views: int) -> None:
    """Compare every image of a subject's folder with the frame of that number that dcm2niix has at the same place."""
    images = [path for path in sorted(folder.glob("*.nii.gz")) if not path.name.startswith("label")]
    assert len({path.name.split("_E")[0] for path in images}) == n_views
    for path in images:
        image = nibabel.load(path)
        numbers = json.loads(path.with_name(path.name.replace(".nii.gz", ".json")).read_text())["FrameNumber"]
        values = np.asarray(image.dataobj)
        for index, number in enumerate(numbers):
            frames = frames_at(slice_affine(image.affine, index), values.shape[:2], peers)
            np.testing.assert_array_equal(values[:, :, index], frames[number - 1], err_msg=f"{path.name}, slice {index}")
        if values.shape[2] == 1:  # the voxel is as thick as dcm2niix has it
            volumes = [abs(np.linalg.det(peer.affine)) for peer in peers]
            assert any(abs(abs(np.linalg.det(image.affine)) / volume - 1) < 1e-4 for volume in volumes)


@pytest.mark.slow
@pytest.mark.parametrize("layout", ["folders", "ukb", "dsb2016", "flat", "enhanced"])
def test_images_of_four_studies_lie_where_dcm2niix_puts_them_and_have_its_values(tmp_path, layout):
    size = ("--rows", 40, "--columns", 48, "--spacing", 6, "--frames", 3, "--slices", 3)
    assert run("phantom", tmp_path / "cohort", "-n", 4, "--seed", 5, "--layout", layout, *size, "--workers", 1, "-q").exit_code == 0
    source = tmp_path / "cohort" / "dicom"
    boxes = ("--box", 3, "--gap", 6)
    assert run("extract", source, tmp_path / "out.h5", "--keep-all", *boxes, "--workers", 1).exit_code == 0
    assert run("export", tmp_path / "out.h5", "-o", tmp_path / "ukbb", "--to", "ukbb").exit_code == 0
    if layout == "ukb":
        for path in source.glob("*.zip"):
            unpack(path, tmp_path / "unpacked" / path.stem)
        source = tmp_path / "unpacked"
    peers = convert(source, tmp_path / "peer")
    subjects = sorted(path for path in (tmp_path / "ukbb").iterdir())
    assert len(subjects) == 4
    for folder in subjects:
        check_against_dcm2niix(folder, peers, n_views=3 if layout == "dsb2016" else 4)


@pytest.mark.skipif(not DATA.is_dir(), reason="the real scans are not at hand")
@pytest.mark.filterwarnings("ignore::UserWarning:pydicom")  # the files' own faults
@pytest.mark.parametrize(
    ("source", "n_views"), [("siemens_cine_case", 4), ("sunnybrook/SCD0000101.zip", 1), ("sunnybrook/SCD0000201.zip", 1)]
)
def test_images_of_real_studies_lie_where_dcm2niix_puts_them_and_have_its_values(tmp_path, source, n_views):
    assert run("extract", DATA / source, tmp_path / "out.h5", "--keep-all", "--workers", 1).exit_code == 0
    assert run("export", tmp_path / "out.h5", "-o", tmp_path / "ukbb", "--to", "ukbb").exit_code == 0
    dicom = DATA / source
    if dicom.suffix == ".zip":
        unpack(dicom, tmp_path / "unpacked")
        dicom = tmp_path / "unpacked"
    (folder,) = (tmp_path / "ukbb").iterdir()
    check_against_dcm2niix(folder, convert(dicom, tmp_path / "peer"), n_views=n_views)
    for path in folder.glob("*.nii.gz"):
        assert SimpleITK.ReadImage(str(path)).GetSize() == nibabel.load(path).shape  # ITK wants orthonormal directions


@pytest.fixture(scope="module")
def cohort(tmp_path_factory) -> Path:
    """Two subjects in ``dicom``, short-axis label maps of theirs, and the catalogue ``out.h5``."""
    folder = tmp_path_factory.mktemp("cohort")
    write_folders(folder / "dicom", 2)
    (folder / "labels").mkdir()
    write_label_maps(folder / "labels", 2)
    assert extract(folder / "dicom", folder / "out.h5", "--annotations", folder / "labels", "--classes", "acdc").exit_code == 0
    return folder


def test_names_are_those_of_ukbb_cardiac(cohort, tmp_path):
    done = run("export", cohort / "out.h5", "-o", tmp_path / "ukbb", "--to", "ukbb", "--json")
    summary = json.loads(done.stdout)
    names = {path.relative_to(tmp_path / "ukbb").as_posix() for path in (tmp_path / "ukbb").rglob("*.nii.gz")}
    views = ("sa", "la_2ch", "la_3ch", "la_4ch")
    expected = {f"SYN-000{n}/{view}_{phase}.nii.gz" for n in (1, 2) for view in views for phase in ("ED", "ES")}
    assert names == expected | {f"SYN-000{n}/label_sa_ED.nii.gz" for n in (1, 2)}
    assert summary == {"out": (tmp_path / "ukbb").as_posix(), "n_subjects": 2, "n_files": 36, "notes": [], "next_step": ""}


def test_labels_come_back_by_annotate_with_the_names_alone(cohort, tmp_path):
    run("export", cohort / "out.h5", "-o", tmp_path / "ukbb", "--to", "ukbb")
    assert extract(cohort / "dicom", tmp_path / "again.h5").exit_code == 0
    assert run("annotate", tmp_path / "again.h5", tmp_path / "ukbb").exit_code == 0
    assert extract(tmp_path / "ukbb", tmp_path / "nifti.h5", "--nifti").exit_code == 0
    with Catalogue(cohort / "out.h5") as first, Catalogue(tmp_path / "again.h5") as second:
        for image in first.images("sax", annotated=True):
            again = second.labels(image.subject, CardiacView.SAX, image.phase, image.slice_index)
            np.testing.assert_array_equal(again, image.labels)
            assert again.any()
        assert first.annotations().n_images.tolist() == second.annotations().n_images.tolist()
    with (
        Catalogue(cohort / "out.h5") as first,
        Catalogue(tmp_path / "nifti.h5") as second,
    ):  # the files' own planes give the positions
        for image in first.images():
            if image.has_positions:
                again = second.positions(image.subject, image.view, image.phase, image.slice_index)
                np.testing.assert_array_equal(again, image.positions)
    single = run("export", tmp_path / "nifti.h5", "-o", tmp_path / "cines", "--to", "ukbb", "--source", tmp_path / "ukbb")
    assert "views of which the sources hold ED and ES alone, without whole cines: 6" in single.stdout


def test_the_same_catalogue_gives_the_same_bytes(cohort, tmp_path):
    for name in ("first", "second"):
        run("export", cohort / "out.h5", "-o", tmp_path / name, "--to", "ukbb")
    for subject in ("SYN-0001", "SYN-0002"):
        assert digests(tmp_path / "first" / subject) == digests(tmp_path / "second" / subject)


def test_a_whole_cine_is_one_file_of_four_axes(cohort, tmp_path):
    assert extract(cohort / "dicom", tmp_path / "all.h5", "--phases", "all").exit_code == 0
    shutil.copy(cohort / "labels" / "SYN-0002_ed.nii.gz", tmp_path / "SYN-0002_frame03.nii.gz")
    assert run("annotate", tmp_path / "all.h5", tmp_path / "SYN-0002_frame03.nii.gz", "--classes", "acdc").exit_code == 0
    run("export", tmp_path / "all.h5", "-o", tmp_path / "ukbb", "--to", "ukbb", "--subject", "SYN-0002")
    (folder,) = (tmp_path / "ukbb").iterdir()
    image = nibabel.load(folder / "sa.nii.gz")
    assert (folder.name, image.shape) == ("SYN-0002", (48, 48, 3, 8))
    peers = convert(cohort / "dicom" / "SYN-0002", tmp_path / "peer")
    for index in range(3):
        frames = frames_at(slice_affine(image.affine, index), (48, 48), peers)
        np.testing.assert_array_equal(np.asarray(image.dataobj)[:, :, index], np.stack(frames, axis=-1))
    assert image.header.get_zooms()[3] == pytest.approx(0.125)  # 8 frames a second
    assert {path.name for path in folder.glob("la_*.nii.gz")} == {"la_2ch.nii.gz", "la_3ch.nii.gz", "la_4ch.nii.gz"}
    drawn = np.asarray(nibabel.load(folder / "label_sa.nii.gz").dataobj)
    truth = recode(np.asarray(nibabel.load(cohort / "labels" / "SYN-0002_ed.nii.gz").dataobj), {1: 3, 2: 2, 3: 1})
    np.testing.assert_array_equal(drawn[..., 2], truth)
    assert not drawn[..., [0, 1, 3, 4, 5, 6, 7]].any()
    annotated = json.loads((folder / "label_sa.json").read_text())["Annotated"]
    assert [all(of_frame) for of_frame in annotated] == [frame == 2 for frame in range(8)]


def test_whole_cines_come_from_the_sources_without_another_extraction(cohort, tmp_path):
    assert extract(cohort / "dicom", tmp_path / "all.h5", "--phases", "all").exit_code == 0
    run("export", tmp_path / "all.h5", "-o", tmp_path / "whole", "--to", "ukbb")
    done = run("export", cohort / "out.h5", "-o", tmp_path / "both", "--to", "ukbb", "--source", cohort / "dicom")
    assert (done.exit_code, "Note" in done.stdout) == (0, False)
    for subject in ("SYN-0001", "SYN-0002"):
        whole, both = (digests(tmp_path / name / subject) for name in ("whole", "both"))
        assert {"sa.nii.gz", "la_2ch.nii.gz", "la_3ch.nii.gz", "la_4ch.nii.gz"} < whole.keys()
        assert {name: digest for name, digest in both.items() if name in whole} == whole
        assert {"sa_ED.nii.gz", "label_sa_ED.nii.gz"} < both.keys()


def test_whole_cines_are_written_only_where_the_sources_show_the_same_images(cohort, tmp_path):
    write_folders(tmp_path / "other", 2, n_frames=20)
    shutil.copytree(cohort / "dicom" / "SYN-0001", tmp_path / "moved" / "SYN-0001")
    other = run("export", cohort / "out.h5", "-o", tmp_path / "a", "--to", "ukbb", "--source", tmp_path / "other")
    assert "other images than the catalogue, without whole cines: 8" in other.stdout
    assert not list((tmp_path / "a").rglob("sa.nii.gz"))
    assert len(list((tmp_path / "a").rglob("sa_ED.nii.gz"))) == 2
    half = run("export", cohort / "out.h5", "-o", tmp_path / "b", "--to", "bids", "--source", tmp_path / "moved")
    assert "no whole cines therefore: 1" in half.stdout
    assert [path.parent.parent.name for path in (tmp_path / "b").rglob("*view-sax_cine.nii.gz")] == ["sub-SYN0001"]
    shutil.copytree(cohort / "dicom" / "SYN-0001", tmp_path / "renamed" / "SYN-0009")
    none = run("export", cohort / "out.h5", "-o", tmp_path / "c", "--to", "ukbb", "--source", tmp_path / "renamed")
    assert (none.exit_code, none.stderr.count("\n")) == (3, 1)
    assert not (tmp_path / "c").exists()


def test_subjects_of_several_exports_stand_side_by_side_and_nothing_is_replaced_unasked(cohort, tmp_path):
    out = tmp_path / "ukbb"
    assert run("export", cohort / "out.h5", "-o", out, "--to", "ukbb", "--subject", "SYN-0001").exit_code == 0
    (out / "SYN-0001" / "mine").write_text("mine")
    assert run("export", cohort / "out.h5", "-o", out, "--to", "ukbb", "--subject", "SYN-0002").exit_code == 0
    refused = run("export", cohort / "out.h5", "-o", out, "--to", "ukbb")
    assert refused.exit_code == 1
    assert "already holds 2 of the names" in refused.stderr
    assert (out / "SYN-0001" / "mine").exists()
    assert run("export", cohort / "out.h5", "-o", out, "--to", "ukbb", "--overwrite").exit_code == 0
    assert not (out / "SYN-0001" / "mine").exists()
    assert sorted(path.name for path in out.iterdir()) == ["SYN-0001", "SYN-0002"]


def test_what_cannot_be_exported_is_one_sentence_and_leaves_nothing(cohort, tmp_path):
    unknown = run("export", cohort / "out.h5", "-o", tmp_path / "out", "--to", "ukbb", "--subject", "SYN-0003")
    assert (unknown.exit_code, unknown.stderr.count("\n")) == (1, 1)
    assert "1 of the subjects that were asked for have no images" in unknown.stderr
    empty = extract(cohort / "labels", tmp_path / "empty.h5", "--nifti")
    assert empty.exit_code == 3
    nothing = run("export", tmp_path / "empty.h5", "-o", tmp_path / "out", "--to", "ukbb")
    assert nothing.exit_code == 3
    assert not (tmp_path / "out").exists()
