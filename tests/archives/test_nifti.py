"""NIfTI sets as they are found: headers that contradict themselves, layouts of many tools, coordinates that are not the standard's."""

import json
from pathlib import Path

import nibabel
import numpy as np
import pytest

from cmr_planes.discovery.nifti_sets import find_nifti_subjects
from cmr_planes.errors import RejectionCode, StudyError
from cmr_planes.nifti.images import read_nifti_frames
from cmr_planes.shards.catalogue import Catalogue
from cmr_planes.views import CardiacPhase, CardiacView
from tests.helpers.archive_nifti import (
    DISTANCE_MM,
    PIXDIM,
    PIXEL_MM,
    PLACEHOLDER,
    SHAPE,
    heart,
    image_of,
    true_affine,
    write,
    write_pair,
    write_subject,
)
from tests.helpers.cohorts import run
from tests.helpers.labels import ACDC, LV, MYO, RV, heart_labels, recode
from tests.helpers.records import make_plane

SAX, FOUR = CardiacView.SAX, CardiacView.FOUR_CHAMBER
KEY = "patient001"
ALIGNED = np.diag([-PIXEL_MM, -PIXEL_MM, DISTANCE_MM, 1.0])
PIXELS_ML = PIXEL_MM**2 * DISTANCE_MM / 1000


def extracted(source: Path, *options: object) -> Path:
    """Extract a set without positions; return the catalogue."""
    out = source.parent / "out.h5"
    result = run("extract", "--nifti", source, out, "--workers", 1, "--views", "sax", "--overwrite", *options)
    assert result.exit_code in (0, 3), result.output
    return out


def notes(out: Path) -> list[tuple[str, str]]:
    with Catalogue(out) as catalogue:
        return [(note.code.value, note.sentence) for note in catalogue.notes() if note.code.value != "no_positions"]


def codes(out: Path) -> set[str]:
    return {code for code, _ in notes(out)}


def images_of(out: Path, key: str = KEY) -> np.ndarray:
    """Return images of SAX, shape (phase, slice, row, column)."""
    with Catalogue(out) as catalogue:
        phases, slices = catalogue.view_attributes(key, SAX).shape[:2]
        return np.array([[catalogue.image(key, SAX, phase, index) for index in range(slices)] for phase in range(phases)])


def labels_of(out: Path, key: str = KEY) -> np.ndarray:
    """Return labels of SAX, shape (phase, slice, row, column)."""
    with Catalogue(out) as catalogue:
        phases, slices = catalogue.view_attributes(key, SAX).shape[:2]
        return np.array([[catalogue.labels(key, SAX, phase, index) for index in range(slices)] for phase in range(phases)])


def sizes(out: Path, key: str = KEY) -> tuple[float, ...]:
    """Return the distances of rows, columns and slices of SAX."""
    with Catalogue(out) as catalogue:
        planes = catalogue.view_attributes(key, SAX).planes
    distance = float(np.linalg.norm(planes[1].position_mm - planes[0].position_mm))
    return planes[0].row_spacing_mm, planes[0].column_spacing_mm, distance


def by_slice(volume: np.ndarray) -> np.ndarray:
    """Turn (i, j, k) into (slice, row, column)."""
    return volume.transpose(2, 1, 0)


# headers that contradict themselves


CONTRADICTIONS = {
    "unit matrix of ACDC": {"sform": PLACEHOLDER, "pixdim": PIXDIM},
    "unit matrix of ACDC, a qform that is right": {"sform": PLACEHOLDER, "qform": ALIGNED, "pixdim": PIXDIM},
    "slices 1 mm apart": {"sform": np.diag([-PIXEL_MM, -PIXEL_MM, 1, 1]), "pixdim": PIXDIM},
    "unit lengths with true directions": {"sform": true_affine() @ np.diag([*(1 / np.array(PIXDIM)), 1]), "pixdim": PIXDIM},
}


@pytest.mark.parametrize("header", CONTRADICTIONS.values(), ids=CONTRADICTIONS)
def test_voxel_sizes_are_those_of_pixdim_where_the_matrix_has_others(tmp_path: Path, header: dict[str, object]) -> None:
    out = extracted(write_subject(tmp_path / "set", **header))
    assert sizes(out) == pytest.approx((PIXEL_MM, PIXEL_MM, DISTANCE_MM), rel=1e-6)
    (sentence,) = [sentence for code, sentence in notes(out) if code == "nifti_geometry"]
    assert "its pixdim of 1.37 × 1.37 × 10.00 mm; pixdim" in sentence
    labels = labels_of(out)
    np.testing.assert_array_equal(labels, [by_slice(heart()), by_slice(heart(0.7))])


def test_a_pixdim_that_no_heart_has_yields_to_the_matrix(tmp_path: Path) -> None:
    out = extracted(write_subject(tmp_path / "set", sform=true_affine(), pixdim=(1.0, 1.0, 1.0)))
    assert sizes(out) == pytest.approx((PIXEL_MM, PIXEL_MM, DISTANCE_MM), rel=1e-5)
    assert any("the matrix was followed, for pixdim is not that of a heart" in sentence for _, sentence in notes(out))


def test_sizes_that_agree_are_no_remark(tmp_path: Path) -> None:
    assert notes(extracted(write_subject(tmp_path / "set", sform=true_affine(), pixdim=(1.37, 1.37, 9.99)))) == []


def test_labels_with_the_right_matrix_lie_on_images_with_a_unit_matrix(tmp_path: Path) -> None:
    gt = {"sform": ALIGNED, "pixdim": PIXDIM}
    write_pair(tmp_path / "set" / KEY, f"{KEY}_frame01", heart(), gt=gt, sform=PLACEHOLDER, pixdim=PIXDIM)
    labels = labels_of(extracted(tmp_path / "set"))
    np.testing.assert_array_equal(labels[0], by_slice(heart()))


def rotated(degrees: float) -> np.ndarray:
    turn = np.eye(4)
    turn[:2, :2] = [
        [np.cos(np.radians(degrees)), -np.sin(np.radians(degrees))],
        [np.sin(np.radians(degrees)), np.cos(np.radians(degrees))],
    ]
    return turn


@pytest.mark.parametrize("other", [rotated(37) @ true_affine(), true_affine() @ np.diag([-1, 1, 1, 1])], ids=["turned", "mirrored"])
@pytest.mark.parametrize(
    ("gt", "name"),
    [("sform", "sform"), ("qform", "qform"), (None, "sform")],
    ids=["labels: sform", "labels: qform", "labels: both"],
)
def test_of_two_matrices_the_one_of_the_label_maps_is_taken(tmp_path: Path, other: np.ndarray, gt: str | None, name: str) -> None:
    if np.linalg.det(other[:3, :3]) * np.linalg.det(true_affine()[:3, :3]) < 0:
        other[:3, 3] -= other[:3, 0] * (SHAPE[0] - 1)
    both = {"sform": other, "qform": true_affine()}
    write_pair(tmp_path / "set" / KEY, f"{KEY}_frame01", heart(), gt=both if gt is None else {gt: both[gt]}, **both)
    out = extracted(tmp_path / "set")
    (sentence,) = [sentence for _, sentence in notes(out) if "contradict each other" in sentence]
    assert f"the {name} was followed" in sentence
    assert ("which the label maps have" in sentence) == (gt is not None)
    with Catalogue(out) as catalogue:
        attributes = catalogue.view_attributes(KEY, SAX)
        first = attributes.planes[attributes.source_order.index(0)]
        corner = (np.diag([-1, -1, 1, 1]) @ both[name])[:3, 3]
        np.testing.assert_allclose(first.position_mm, corner, atol=1e-2)
        assert catalogue.labelled_structures(KEY, SAX)[..., LV].all()


@pytest.mark.parametrize(
    ("pixdim", "unit", "words"),
    [
        ((1.0, 1.0, 1.0), None, "a stack 6 mm long are not those of a heart"),
        ((1370.0, 1370.0, 10000.0), None, "voxels of 1.37e+03"),
        ((1370.0, 1370.0, 10000.0), "micron", ""),
        ((0.00137, 0.00137, 0.01), "meter", ""),
        (PIXDIM, "meter", "the header's unit would make pixels of 1.37e+03 × 1.37e+03 mm; its numbers were taken as mm"),
        ((1.0, 1.0, 10.0), None, ""),
    ],
    ids=["1 mm each way", "1,370 mm", "micrometres", "metres", "millimetres called metres", "1 x 1 x 10 mm"],
)
def test_units_are_applied_and_impossible_sizes_noted(
    tmp_path: Path, pixdim: tuple[float, ...], unit: str | None, words: str
) -> None:
    affine = true_affine() @ np.diag([*(np.array(pixdim) / PIXDIM), 1])
    out = extracted(write_subject(tmp_path / "set", sform=affine, pixdim=pixdim, unit=unit))
    sentences = [sentence for code, sentence in notes(out) if code in {"nifti_geometry", "no_sizes"}]
    assert [words in sentence for sentence in sentences] == ([True] if words else [])
    scale = {"micron": 1e-3, "meter": 1e3 if pixdim[0] < 1 else 1}.get(unit or "", 1)
    assert sizes(out) == pytest.approx(tuple(scale * size for size in pixdim), rel=1e-5)
    labels = labels_of(out)
    np.testing.assert_array_equal(labels[0], by_slice(heart()))


# directions, sides and the order of slices


NO_DIRECTIONS = {
    "no matrix": {"pixdim": PIXDIM},
    "unit matrix": {"sform": PLACEHOLDER, "pixdim": PIXDIM},
    "parallel to the axes": {"sform": ALIGNED, "pixdim": PIXDIM},
}


@pytest.mark.parametrize("is_reversed", [False, True], ids=["base first", "apex first"])
@pytest.mark.parametrize("header", NO_DIRECTIONS.values(), ids=NO_DIRECTIONS)
def test_without_directions_labels_tell_the_base(tmp_path: Path, header: dict[str, object], is_reversed: bool) -> None:
    labels = heart()[:, :, ::-1] if is_reversed else heart()
    write_pair(tmp_path / "set" / KEY, f"{KEY}_frame01", labels, **header)
    out = extracted(tmp_path / "set")
    found = labels_of(out)
    np.testing.assert_array_equal(found[0], by_slice(heart()))
    with Catalogue(out) as catalogue:
        attributes = catalogue.view_attributes(KEY, SAX)
    assert attributes.source_order == (tuple(range(SHAPE[2]))[::-1] if is_reversed else tuple(range(SHAPE[2])))
    assert not attributes.has_directions
    assert any(code == "no_directions" and "in the order that the labels tell" in sentence for code, sentence in notes(out))


def test_without_directions_and_labels_the_file_s_order_is_kept(tmp_path: Path) -> None:
    write(tmp_path / "set" / KEY / f"{KEY}_frame01.nii", image_of(heart()), sform=PLACEHOLDER, pixdim=PIXDIM)
    out = extracted(tmp_path / "set")
    images = images_of(out)
    np.testing.assert_array_equal(images[0], by_slice(image_of(heart())))
    assert any("in the file's order, its first slice taken as the base" in sentence for _, sentence in notes(out))


def test_a_matrix_with_directions_orders_the_slices_and_shows_letters(tmp_path: Path) -> None:
    flipped = true_affine() @ np.array([[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, -1, SHAPE[2] - 1], [0, 0, 0, 1.0]])
    write(tmp_path / "set" / KEY / f"{KEY}_frame01.nii", image_of(heart())[:, :, ::-1], sform=flipped, pixdim=PIXDIM)
    out = extracted(tmp_path / "set")
    images = images_of(out)
    np.testing.assert_array_equal(images[0], by_slice(image_of(heart())))
    with Catalogue(out) as catalogue:
        attributes = catalogue.view_attributes(KEY, SAX)
    assert (attributes.has_directions, attributes.source_order) == (True, tuple(range(SHAPE[2]))[::-1])
    assert notes(out) == []


@pytest.mark.parametrize("header", [{"sform": PLACEHOLDER, "pixdim": PIXDIM}, {"sform": true_affine()}], ids=["lost", "there"])
def test_pictures_have_letters_only_where_the_file_has_directions(tmp_path: Path, monkeypatch, header: dict[str, object]) -> None:
    drawn: list[object] = []
    monkeypatch.setattr("cmr_planes.pictures.contact_sheet._draw_edge_letters", lambda *panel: drawn.append(panel))
    write_pair(tmp_path / "set" / KEY, f"{KEY}_frame01", heart(), **header)
    result = run("show", extracted(tmp_path / "set"), "-o", tmp_path / "pictures")
    assert result.exit_code == 0, result.output
    assert len(drawn) == (0 if header.get("pixdim") else SHAPE[2])


def write_two_views(folder: Path, turn: np.ndarray) -> None:
    """Write SAX and 4Ch of M&Ms-2, their matrices turned."""
    plane = make_plane(FOUR, spacing_mm=PIXEL_MM, matrix=(72, 72))
    lax = np.diag([-1.0, -1, 1, 1]) @ np.array(plane.patient_from_pixel)
    long_axis = heart_labels(plane, plane.centre_mm).T[..., None]
    for phase, scale in (("ED", 1.0), ("ES", 0.7)):
        write(folder / f"001_SA_{phase}.nii.gz", image_of(heart(scale)), sform=turn @ true_affine())
        write(folder / f"001_SA_{phase}_gt.nii.gz", recode(heart(scale), {LV: 1, MYO: 2, RV: 3}), sform=turn @ true_affine())
        write(folder / f"001_LA_{phase}.nii.gz", image_of(np.minimum(long_axis, 3)), sform=turn @ lax)
        write(folder / f"001_LA_{phase}_gt.nii.gz", recode(long_axis, {LV: 1, MYO: 2, RV: 3}), sform=turn @ lax)


TURN = np.diag([-1.0, -1.0, 1.0, 1.0])


@pytest.mark.parametrize(
    ("turn", "options", "is_noted"),
    [
        (np.eye(4), (), False),
        (TURN, (), True),
        (TURN, ("--world", "lps"), False),
        (np.eye(4), ("--world", "ras"), False),
    ],
    ids=["RAS", "LPS written as RAS", "LPS, stated", "RAS, stated"],
)
def test_sides_are_the_patient_s_whatever_coordinates_were_written(
    tmp_path: Path, turn: np.ndarray, options: tuple[str, ...], is_noted: bool
) -> None:
    write_two_views(tmp_path / "set" / "001", turn)
    out = extracted(tmp_path / "set", "--views", "sax,4ch", *options)
    with Catalogue(out) as catalogue:
        sax, four = (catalogue.view_attributes("001", view) for view in (SAX, FOUR))
    first = (TURN @ true_affine())[:3, 3]
    np.testing.assert_allclose(sax.planes[0].position_mm, first, atol=1e-2)
    np.testing.assert_allclose(
        four.planes[0].position_mm, make_plane(FOUR, spacing_mm=PIXEL_MM, matrix=(72, 72)).position_mm, atol=1e-2
    )
    labels = labels_of(out, "001")
    np.testing.assert_array_equal(labels, [by_slice(heart()), by_slice(heart(0.7))])
    assert any("taken as LPS (DICOM's), written where NIfTI has RAS" in sentence for _, sentence in notes(out)) == is_noted


@pytest.mark.parametrize("options", [(), ("--world", "ras")], ids=["left open", "stated"])
def test_sides_that_no_reading_makes_right_are_noted(tmp_path: Path, options: tuple[str, ...]) -> None:
    """Only x is mirrored: the right ventricle of a heart in its mirror image."""
    write_two_views(tmp_path / "set" / "001", np.diag([-1.0, 1, 1, 1]) if not options else TURN)
    assert any("one of the two is wrong" in sentence for _, sentence in notes(extracted(tmp_path / "set", *options)))


def test_world_goes_with_nifti_only(tmp_path: Path) -> None:
    assert run("extract", tmp_path, tmp_path / "out.h5", "--world", "lps").exit_code == 2


# layouts


def subjects(out: Path) -> dict[str, tuple[int, int]]:
    """Return images and annotated images of each subject."""
    with Catalogue(out) as catalogue:
        index = catalogue.index()
        keys = catalogue.subjects().key
        return {
            key: (len(chosen), int(chosen.is_annotated.sum()))
            for key in keys
            for chosen in [index.select(np.array([index.subject(row) == key for row in range(len(index))]))]
        }


HEADER = {"sform": PLACEHOLDER, "pixdim": PIXDIM}


def write_files(folder: Path, images: dict[str, float], labels: dict[str, float]) -> Path:
    """Write images and label maps of hearts, by name and size of the left ventricle."""
    for name, scale in images.items():
        write(folder / f"{name}.nii.gz", image_of(heart(scale)), **HEADER)
    for name, scale in labels.items():
        write(folder / f"{name}.nii.gz", recode(heart(scale), ACDC), **HEADER)
    return folder


N = SHAPE[2]
LAYOUTS = {
    "nnU-Net, ACDC's names": (
        {"imagesTr/patient001_frame01_0000": 1, "imagesTr/patient001_frame12_0000": 0.7, "imagesTs/patient101_frame01_0000": 1},
        {"labelsTr/patient001_frame01": 1, "labelsTr/patient001_frame12": 0.7},
        {"patient001": (2 * N, 2 * N), "patient101": (N, 0)},
    ),
    "nnU-Net, other names": (
        {"imagesTr/heart_001_0000": 1, "imagesTr/heart_002_0000": 0.8},
        {"labelsTr/heart_001": 1, "labelsTr/heart_002": 0.8},
        {"heart_001": (N, N), "heart_002": (N, N)},
    ),
    "nnU-Net, one subject": ({"imagesTr/heart_001_0000": 1}, {"labelsTr/heart_001": 1}, {"heart_001": (N, N)}),
    "nnU-Net, two channels": (
        {"imagesTr/case_00001_0000": 1, "imagesTr/case_00001_0001": 0.9},
        {"labelsTr/case_00001": 1},
        {"case_00001": (N, N)},
    ),
    "BIDS, with entities": (
        {"sub-01/anat/sub-01_acq-sax_phase-ED_cine": 1, "sub-01/anat/sub-01_acq-sax_phase-ES_cine": 0.7},
        {"sub-01/anat/sub-01_acq-sax_phase-ED_dseg": 1},
        {"sub-01": (2 * N, N)},
    ),
    "one name in two folders": (
        {"train/p1/sa_ED": 1, "test/p1/sa_ED": 0.9},
        {},
        {"p1": (N, 0), "p1__2": (N, 0)},
    ),
    "manual": (
        {"sub01/sub01_sa_ED": 1, "sub01/sub01_sa_ES": 0.7},
        {"sub01/sub01_sa_ED_manual": 1, "sub01/sub01_sa_ES_manual": 0.7},
        {"sub01": (2 * N, 2 * N)},
    ),
    "EMIDEC": (
        {"Case_P001/Images/Case_P001": 1, "Case_N002/Images/Case_N002": 1},
        {"Case_P001/Contours/Case_P001": 1},
        {"Case_P001": (N, N), "Case_N002": (N, 0)},
    ),
    "kinds around subjects": (
        {"images/p1/sa_ED": 1, "images/p2/sa_ED": 1},
        {"masks/p1/sa_ED": 1, "masks/p2/sa_ED": 1},
        {"p1": (N, N), "p2": (N, N)},
    ),
    "views and phases as folders": (
        {"p1/sax/ED": 1, "p1/sax/ES": 0.7, "p2/sax/ED": 1},
        {"p1/sax/ED_gt": 1, "p1/sax/ES_gt": 0.7},
        {"p1": (2 * N, 2 * N), "p2": (N, 0)},
    ),
}


@pytest.mark.parametrize(("images", "labels", "expected"), LAYOUTS.values(), ids=LAYOUTS)
def test_layouts_give_subjects_with_their_labels(
    tmp_path: Path, images: dict[str, float], labels: dict[str, float], expected: dict[str, tuple[int, int]]
) -> None:
    out = extracted(write_files(tmp_path / "set", images, labels), "--classes", "acdc")
    assert subjects(out) == expected


VISITS = {
    "BIDS": ["sub-01/ses-01/anat/sub-01_ses-01_acq-sax_phase-ED", "sub-01/ses-02/anat/sub-01_ses-02_acq-sax_phase-ED"],
    "BIDS, sessions in words": ["sub-01/ses-pre/sub-01_ses-pre_sax_ED", "sub-01/ses-post/sub-01_ses-post_sax_ED"],
    "BIDS names in one folder": ["sub-01_ses-01_sax_ED", "sub-01_ses-02_sax_ED"],
    "folders of visits": ["sub-01/V1/sa_ED", "sub-01/V2/sa_ED"],
    "names with visits": ["sub-01_V1/sa_ED", "sub-01_V2/sa_ED"],
}


@pytest.mark.parametrize("names", VISITS.values(), ids=VISITS)
def test_visits_are_of_one_participant(tmp_path: Path, names: list[str]) -> None:
    others = [name.replace("sub-01", "sub-02") for name in names]
    for name in (*names, *others):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / f"{name}.nii.gz").touch()
    found = find_nifti_subjects([tmp_path])
    assert [subject.participant for subject in found] == ["sub-01", "sub-01", "sub-02", "sub-02"]
    assert [sum(part in subject.key for part in ("sub-01", "sub-02")) for subject in found] == [1] * 4
    assert len({subject.key for subject in found}) == 4


def test_channels_after_the_first_are_noted(tmp_path: Path) -> None:
    images = {f"imagesTr/case_00001_000{channel}": 1.0 for channel in range(3)}
    out = extracted(write_files(tmp_path / "set", images, {}))
    assert any("2 images of other channels were skipped" in sentence for _, sentence in notes(out))


def test_slices_along_the_first_axis_are_refused(tmp_path: Path) -> None:
    values, matrix = np.moveaxis(image_of(heart()), 2, 0), true_affine()[:, [2, 0, 1, 3]]
    write(tmp_path / "set" / "p1" / "p1_sa_ED.nii.gz", values, sform=matrix)
    with Catalogue(extracted(tmp_path / "set")) as catalogue:
        (rejection,) = catalogue.rejections()
    assert rejection.code is RejectionCode.INVALID_PLANE
    assert "third axis" in rejection.sentence


def test_a_name_that_promises_compression_is_told_from_damage(tmp_path: Path) -> None:
    plain = write(tmp_path / "p1_sa_ED.nii", image_of(heart()), sform=true_affine())
    plain.rename(tmp_path / "p1_sa_ED.nii.gz")
    with pytest.raises(StudyError, match=r"ends in \.gz and it is not compressed"):
        read_nifti_frames(tmp_path / "p1_sa_ED.nii.gz", "the volume", is_annotated=False)


@pytest.mark.parametrize(
    ("labels", "is_known"),
    [
        ({"background": 0, "RV": 1, "MLV": 2, "LVC": 3}, True),
        ({"0": "background", "1": "RV", "2": "Myocardium of LV", "3": "LV cavity"}, True),
        ({"background": 0, "scar": 1, "RV": 2}, False),
        ({"background": 0, "whole heart": [1, 2]}, False),
    ],
    ids=["nnU-Net 2", "nnU-Net 1", "an unknown structure", "regions"],
)
def test_nnunet_states_its_classes(tmp_path: Path, labels: dict[str, object], is_known: bool) -> None:
    folder = write_files(tmp_path / "set", {"imagesTr/heart_001_0000": 1}, {"labelsTr/heart_001": 1})
    (folder / "dataset.json").write_text(json.dumps({"labels": labels}))
    out = extracted(folder)
    assert subjects(out) == {"heart_001": (N, N if is_known else 0)}
    assert any("its classes are not known" in sentence for _, sentence in notes(out)) != is_known
    if is_known:
        np.testing.assert_array_equal(labels_of(out, "heart_001")[0], by_slice(heart()))


@pytest.mark.posix
def test_folders_that_are_links_are_followed_once(tmp_path: Path) -> None:
    write_subject(tmp_path / "elsewhere", sform=true_affine())
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "P001").symlink_to(tmp_path / "elsewhere" / KEY)
    (tmp_path / "set" / "P002").symlink_to(tmp_path / "elsewhere" / KEY)
    (tmp_path / "set" / "circle").symlink_to(tmp_path / "set")
    (tmp_path / "set" / "upwards").symlink_to(tmp_path)
    assert subjects(extracted(tmp_path / "set")) == {"P001": (2 * N, 2 * N)}


def test_views_are_known_by_the_words_of_other_tools(tmp_path: Path) -> None:
    folder = write_files(tmp_path / "set", {"p1/sax_ed": 1, "p1/lax_4c_ed": 1, "p2/sa_ED": 1, "p2/la4chamber_ED": 1}, {})
    out = extracted(folder, "--views", "sax,4ch")
    with Catalogue(out) as catalogue:
        views = catalogue.views()
    assert sorted(zip(views.subject, views.view, strict=True)) == [("p1", "4ch"), ("p1", "sax"), ("p2", "4ch"), ("p2", "sax")]


def test_two_files_of_one_phase_are_refused(tmp_path: Path) -> None:
    folder = write_files(tmp_path / "set", {"p1/sa_ED": 1}, {})
    write(folder / "p1" / "sa_ED.nii", image_of(heart()), **HEADER)
    with Catalogue(extracted(folder)) as catalogue:
        (rejection,) = catalogue.rejections()
    assert rejection.sentence.startswith("2 files are called like the SAX view at one phase or frame; keep one")


# phases


@pytest.mark.parametrize(
    ("scales", "info", "expected", "is_noted"),
    [
        ((0.6, 1.0), "ED: 1\nES: 12\n", [1, 12], True),
        ((0.6, 1.0), "", [12, 1], False),
        ((1.0, 0.6), "ED: 1\nES: 12\n", [1, 12], False),
        ((0.8, 0.8), "ED: 1\nES: 12\n", [1, 12], False),
        ((0.8, 0.8), "", [1, 12], False),
        ((0.6, 1.0), "ED: 12\n", [12, 1], False),
        ((1.0, 0.6), "Group: NOR\n", [1, 12], False),
    ],
    ids=["against sizes", "sizes alone", "both", "equal sizes", "equal sizes alone", "one phase stated", "no phase stated"],
)
def test_info_cfg_comes_before_sizes_and_sizes_before_order(
    tmp_path: Path, scales: tuple[float, float], info: str, expected: list[int], is_noted: bool
) -> None:
    for number, scale in zip((1, 12), scales, strict=True):
        write_pair(tmp_path / "set" / KEY, f"{KEY}_frame{number:02}", heart(scale), sform=true_affine())
    (tmp_path / "set" / KEY / "Info.cfg").write_text(info)
    out = extracted(tmp_path / "set")
    with Catalogue(out) as catalogue:
        attributes = catalogue.view_attributes(KEY, SAX)
        assert catalogue.index().is_annotated.all()
    assert (attributes.phases, attributes.frame_numbers[:, 0].tolist()) == (("ed", "es"), expected)
    assert any("Info.cfg says which image is ED" in sentence for _, sentence in notes(out)) == is_noted


def test_names_that_contradict_the_sizes_are_followed_and_noted(tmp_path: Path) -> None:
    folder = write_files(tmp_path / "set", {"p1/ED": 0.6, "p1/ES": 1}, {"p1/ED_gt": 0.6, "p1/ES_gt": 1})
    out = extracted(folder, "--classes", "acdc")
    assert any("the files' names say which image is ED" in sentence for _, sentence in notes(out))


@pytest.mark.parametrize("factor", [1, 1 / 7.0], ids=["whole numbers", "floats"])
def test_all_frames_of_a_cine_find_those_of_its_labelled_volumes(tmp_path: Path, factor: float) -> None:
    frames = [heart(1 - 0.3 * np.sin(np.pi * frame / 9)) for frame in range(9)]
    cine = np.stack([image_of(labels, seed) for seed, labels in enumerate(frames)], axis=-1) * factor
    cine = cine if factor != 1 else cine.astype(np.int16)
    folder = tmp_path / "set" / "001"
    write(folder / "001_SA_CINE.nii.gz", cine, sform=true_affine())
    for phase, frame in (("ED", 1), ("ES", 4)):
        write(folder / f"001_SA_{phase}.nii.gz", cine[..., frame], sform=true_affine())
        write(folder / f"001_SA_{phase}_gt.nii.gz", recode(frames[frame], {LV: 1, MYO: 2, RV: 3}), sform=true_affine())
    out = extracted(tmp_path / "set", "--phases", "all")
    with Catalogue(out) as catalogue:
        assert catalogue.view_attributes("001", SAX).shape[0] == 9
        annotated = catalogue.labelled_structures("001", SAX)[..., 0].any(axis=1)
    assert np.flatnonzero(annotated).tolist() == [1, 4]
    labels = labels_of(out, "001")
    np.testing.assert_array_equal(labels[4], by_slice(frames[4]))


# values


def test_phases_that_were_scaled_apart_keep_their_values(tmp_path: Path) -> None:
    folder = tmp_path / "set" / "p1"
    volumes = {}
    for seed, (phase, scale) in enumerate((("ED", 1.0), ("ES", 0.7))):
        values = image_of(heart(scale), seed).astype(np.float32)
        volumes[phase] = values / values.max() - (0.5 if phase == "ES" else 0)
        write(folder / f"p1_sa_{phase}.nii.gz", volumes[phase], sform=true_affine())
    out = extracted(tmp_path / "set")
    images = images_of(out, "p1")
    with Catalogue(out) as catalogue:
        slope, intercept = np.moveaxis(catalogue.view_attributes("p1", SAX).rescale, -1, 0)[..., None, None]
    expected = [by_slice(volumes[phase.value.upper()]) for phase in CardiacPhase]
    np.testing.assert_allclose(images * slope + intercept, expected, atol=2e-5)


def test_a_label_map_is_no_image(tmp_path: Path) -> None:
    write(tmp_path / "set" / "p1_frame01.nii.gz", recode(heart(), ACDC), **HEADER)
    out = extracted(tmp_path / "set")
    with Catalogue(out) as catalogue:
        (rejection,) = catalogue.rejections()
    assert (rejection.code.value, rejection.view) == ("no_image", "sax")
    assert "it is a label map, not an image" in rejection.sentence


def test_voxels_without_a_number_are_counted_and_set_to_zero(tmp_path: Path) -> None:
    values = image_of(heart()).astype(np.float32)
    values[3, 4, 2] = values[0, 0, 0] = np.nan
    write(tmp_path / "set" / KEY / f"{KEY}_frame01.nii.gz", values, sform=true_affine())
    out = extracted(tmp_path / "set")
    images = images_of(out)
    np.testing.assert_array_equal(images[0], np.nan_to_num(by_slice(values)))
    assert notes(out) == [("not_a_number", "2 voxels hold no number (NaN) and were set to 0")]


@pytest.mark.parametrize("axes", [(1, 1), (1, 9)], ids=["two more of length 1", "frames on the fifth"])
def test_axes_of_length_one_are_dropped(tmp_path: Path, axes: tuple[int, int]) -> None:
    values = np.stack([image_of(heart(), seed) for seed in range(axes[1])], axis=-1)[..., None, :]
    write(tmp_path / "set" / KEY / f"{KEY}_sa.nii.gz", values, sform=true_affine())
    out = extracted(tmp_path / "set", "--phases", "all")
    images = images_of(out)
    np.testing.assert_array_equal(images, np.moveaxis(values[..., 0, :], -1, 0).transpose(0, 3, 2, 1))


WRONG_ARRAYS = {
    "mirrored": lambda labels: np.roll(labels[::-1], -5, axis=0),
    "upside down": lambda labels: labels[:, ::-1],
    "moved by eight columns": lambda labels: np.roll(labels, 8, axis=0),
}


@pytest.mark.parametrize("wrong", [None, *WRONG_ARRAYS.values()], ids=["right", *WRONG_ARRAYS])
def test_labels_that_do_not_lie_on_the_image_are_noted(tmp_path: Path, wrong) -> None:
    labels = np.roll(heart(), 6, axis=1)
    write(tmp_path / "set" / KEY / f"{KEY}_frame01.nii.gz", image_of(labels), sform=true_affine())
    given = labels if wrong is None else wrong(labels)
    write(tmp_path / "set" / KEY / f"{KEY}_frame01_gt.nii.gz", recode(given, ACDC), sform=true_affine())
    sentences = [sentence for _, sentence in notes(extracted(tmp_path / "set"))]
    assert any("may not lie on the image" in sentence for sentence in sentences) == (wrong is not None)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda labels: np.where(np.indices(labels.shape).sum(axis=0) == 3, 4, labels), "holds the value 4"),
        (lambda labels: labels + np.where(labels == 2, 0.5, 0), "holds values that are no classes"),
        (lambda labels: np.array([0, 3, 2, 1])[labels], "RV"),
        (lambda labels: labels.astype(np.float64), ""),
    ],
    ids=["a stray value", "fractions", "the right ventricle in the muscle", "whole numbers as floats"],
)
def test_label_maps_that_cannot_be_right_are_refused(tmp_path: Path, change, words: str) -> None:
    write(tmp_path / "set" / KEY / f"{KEY}_frame01.nii.gz", image_of(heart()), sform=true_affine())
    write(
        tmp_path / "set" / KEY / f"{KEY}_frame01_gt.nii.gz", change(recode(heart(), ACDC)).astype(np.float64), sform=true_affine()
    )
    sentences = [sentence for code, sentence in notes(extracted(tmp_path / "set")) if code == "labels"]
    assert [words in sentence for sentence in sentences] == ([True] if words else [])


def test_a_left_handed_matrix_is_a_matrix(tmp_path: Path) -> None:
    mirror = np.diag([1, -1, 1, 1.0])
    mirror[1, 3] = SHAPE[1] - 1
    write_pair(tmp_path / "set" / KEY, f"{KEY}_frame01", heart()[:, ::-1], sform=true_affine() @ mirror)
    out = extracted(tmp_path / "set")
    assert notes(out) == []
    labels = labels_of(out)
    np.testing.assert_array_equal(labels[0], by_slice(heart()[:, ::-1]))


def test_a_file_of_another_format_under_the_name_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "set" / KEY / f"{KEY}_frame01.nii"
    path.parent.mkdir(parents=True)
    nibabel.save(nibabel.MGHImage(image_of(heart()).astype(np.float32), true_affine()), path.with_suffix(".mgh"))
    path.with_suffix(".mgh").rename(path)
    with Catalogue(extracted(tmp_path / "set")) as catalogue:
        (rejection,) = catalogue.rejections()
    assert rejection.code.value == "unreadable_source"
