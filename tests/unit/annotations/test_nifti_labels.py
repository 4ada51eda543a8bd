"""NIfTI label maps: what values mean, and a sentence for everything that is wrong with a file."""

from itertools import permutations
from pathlib import Path

import nibabel
import numpy as np
import pytest

from cmr_planes.annotations.classes import PRESETS, check_anatomy, parse_classes
from cmr_planes.annotations.nifti_labels import read_nifti_labels
from cmr_planes.errors import AnnotationError
from cmr_planes.views import CardiacView, Structure
from tests.helpers.labels import ACDC, LV, MNMS, MYO, RV, heart_labels, recode, save_nifti
from tests.helpers.records import make_plane

PLANES = [make_plane(CardiacView.SAX, along_mm=10.0 * level, matrix=(120, 110)) for level in (-1, 0, 1)]
TRUTH = np.stack([heart_labels(plane, plane.centre_mm + 20 * plane.row_cosine) for plane in PLANES])


def test_the_conventions_are_those_of_their_sources() -> None:
    """As listed by their own tools; the value 1 is RV, LV or LA."""
    lv, myo, rv, la, ra = (structure for structure in Structure if structure)
    assert dict(PRESETS["acdc"].structures) == {1: rv, 2: myo, 3: lv}
    assert dict(PRESETS["mnms"].structures) == {1: lv, 2: myo, 3: rv}
    assert dict(PRESETS["ukbb-sax"].structures) == {1: lv, 2: myo, 3: rv, 4: rv}
    assert dict(PRESETS["ukbb-4ch"].structures) == {1: lv, 2: myo, 3: rv, 4: la, 5: ra}
    assert dict(PRESETS["ukbb-4ch-atria"].structures) == {1: la, 2: ra}
    assert dict(PRESETS["ukbb-2ch"].structures) == {1: la}


@pytest.mark.parametrize("text", ["1=XX", "LV=1", "1=LV,1=RV", "", "lv", "1=LV;2=Myo"])
def test_mappings_that_say_nothing_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a class: give catalogue, acdc"):
        parse_classes(text)


@pytest.mark.parametrize("dtype", ["uint8", "int16", "float32"])
@pytest.mark.parametrize(("name", "values"), [("patient001_frame01_gt", ACDC), ("001_SA_ED_gt", MNMS)])
def test_values_become_structures(tmp_path: Path, name: str, values: dict[Structure, int], dtype: str) -> None:
    path = save_nifti(tmp_path / f"{name}.nii.gz", recode(TRUTH, values).astype(dtype), PLANES)
    (volume,) = read_nifti_labels(path).volumes
    np.testing.assert_array_equal(volume.labels.transpose(2, 1, 0), TRUTH)
    assert volume.structures == {Structure.LV, Structure.MYO, Structure.RV}


def test_coordinates_are_turned_from_ras_to_lps(tmp_path: Path) -> None:
    (volume,) = read_nifti_labels(save_nifti(tmp_path / "sax_ed.nii", TRUTH, PLANES)).volumes
    for level, plane in enumerate(PLANES):
        np.testing.assert_allclose(volume.affine_lps_mm @ [3, 5, level, 1], [*plane.pixel_to_patient([3, 5]), 1], atol=1e-3)


def test_a_fourth_axis_is_time_and_empty_moments_are_left_out(tmp_path: Path) -> None:
    cine = np.zeros((*TRUTH.shape, 6), dtype=np.uint8)
    cine[..., 0], cine[..., 3] = recode(TRUTH, MNMS), recode(TRUTH, MNMS)
    volumes = read_nifti_labels(save_nifti(tmp_path / "A0S9V9_sa_gt.nii.gz", cine, PLANES)).volumes
    assert [volume.time_point.frame_number for volume in volumes] == [1, 4]


def test_lv_and_rv_taken_for_each_other_are_noticed(tmp_path: Path) -> None:
    path = save_nifti(tmp_path / "SYN-0001.nii.gz", recode(TRUTH, ACDC), PLANES)
    read_nifti_labels(path, PRESETS["acdc"])
    with pytest.raises(AnnotationError, match="has its class RV inside the class Myo"):
        read_nifti_labels(path, PRESETS["mnms"])
    check_anatomy(np.zeros((4, 4, 1), dtype=np.uint8))


@pytest.mark.parametrize("order", list(permutations((LV, MYO, RV))))
def test_only_the_right_order_of_the_classes_passes(order: tuple[Structure, ...]) -> None:
    labels = recode(TRUTH, {structure: order[number] for number, structure in enumerate((LV, MYO, RV))}).transpose(2, 1, 0)
    if order == (LV, MYO, RV):
        check_anatomy(labels)
        return
    inner, outer, _ = order
    with pytest.raises(AnnotationError, match=f"has its class {inner.title} inside the class {outer.title}, where LV should lie"):
        check_anatomy(labels)


def test_what_values_mean_is_not_guessed(tmp_path: Path) -> None:
    path = save_nifti(tmp_path / "heart.nii.gz", recode(TRUTH, ACDC), PLANES)
    with pytest.raises(AnnotationError, match=r"has a name from which its classes are not known.*for example acdc"):
        read_nifti_labels(path)


def write(path: Path, values: np.ndarray, affine: np.ndarray | None = None) -> Path:
    nibabel.save(nibabel.Nifti1Image(values, np.eye(4) if affine is None else affine), path)
    return path


def test_malformed_files_end_in_a_sentence(tmp_path: Path) -> None:
    good = save_nifti(tmp_path / "sax_ed.nii.gz", TRUTH, PLANES).read_bytes()
    plain = save_nifti(tmp_path / "sax_es.nii", TRUTH, PLANES).read_bytes()
    huge = bytearray(plain)
    huge[40:56] = np.array([3, 30000, 30000, 30000, 1, 1, 1, 1], dtype="<i2").tobytes()
    cases = {
        "empty.nii": (b"", "cannot be read as NIfTI"),
        "text.nii.gz": (b"not a gzip file at all", "cannot be read as NIfTI"),
        "cut.nii.gz": (good[: len(good) // 2], "cannot be read as NIfTI"),
        "cut.nii": (plain[:5000], "cannot be read as NIfTI"),
        "header.nii": (plain[:200], "cannot be read as NIfTI"),
        "noise.nii": (bytes(range(256)) * 8, "cannot be read as NIfTI"),
        "huge.nii": (bytes(huge), "at most 16777216 voxels, are expected"),
    }
    for name, (data, sentence) in cases.items():
        (tmp_path / name).write_bytes(data)
        with pytest.raises(AnnotationError, match=sentence) as caught:
            read_nifti_labels(tmp_path / name, PRESETS["acdc"])
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        pytest.param(np.full((4, 4, 2), 1.5, dtype=np.float32), "no classes", id="fractions"),
        pytest.param(np.full((4, 4, 2), np.nan, dtype=np.float32), "no classes", id="nan"),
        pytest.param(np.full((4, 4, 2), -1, dtype=np.int16), "no classes", id="negative"),
        pytest.param(
            np.full((4, 4, 2), 9, dtype=np.uint8), "holds the value 9, and the classes 'acdc' are 1=RV, 2=Myo, 3=LV", id="9"
        ),
        pytest.param(np.zeros((4, 4, 2, 2, 2), dtype=np.uint8), "has the shape", id="five axes"),
        pytest.param(np.zeros((4, 4, 2), dtype=np.complex64), "holds values of type complex64", id="complex"),
    ],
)
def test_values_that_are_no_labels_are_refused(tmp_path: Path, values: np.ndarray, sentence: str) -> None:
    with pytest.raises(AnnotationError, match=sentence):
        read_nifti_labels(write(tmp_path / "x.nii", values), PRESETS["acdc"])


def test_a_matrix_without_inverse_is_refused(tmp_path: Path) -> None:
    image = nibabel.Nifti1Image(np.zeros((4, 4, 2), dtype=np.uint8), np.eye(4))
    image.header["srow_x"], image.header["srow_y"], image.header["srow_z"] = [0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 1, 0]
    image.header["sform_code"] = 1
    with (tmp_path / "x.nii").open("wb") as stream:
        stream.write(image.header.binaryblock + bytes(4) + bytes(32))
    with pytest.raises(AnnotationError, match=r"cannot be inverted|cannot be read"):
        read_nifti_labels(tmp_path / "x.nii", PRESETS["acdc"])
