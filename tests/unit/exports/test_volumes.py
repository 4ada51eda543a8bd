"""From slices to NIfTI files: grids, values, thickness and sidecars, read back by nibabel and SimpleITK."""

import json
from dataclasses import replace
from pathlib import Path

import nibabel
import numpy as np
import pytest
import SimpleITK

from cmr_planes.exports.series import ImageSeries
from cmr_planes.exports.volumes import frame_interval_s, image_file, sidecar, volumes_of
from cmr_planes.views import CardiacView

ROWS, COLUMNS, SLICES, PHASES = 6, 5, 4, 3


def series(**changes) -> ImageSeries:
    """A stack of four slices, 9 mm apart, pixels of 2 (rows apart) by 3 mm, turned in space."""
    turn = np.linalg.qr(np.random.default_rng(2).normal(size=(3, 3)))[0]
    affines = np.zeros((SLICES, 4, 4))
    affines[:, :3, :3] = turn * [3, 2, 1]
    affines[:, :3, 3] = [10, -20, 30] + 9.0 * np.arange(SLICES)[:, None] * turn[:, 2]
    affines[:, 3, 3] = 1
    values = {
        "view": CardiacView.SAX,
        "phases": ("000", "001", "002"),
        "image": np.random.default_rng(0).integers(0, 4000, (PHASES, SLICES, ROWS, COLUMNS), dtype=np.uint16),
        "rescale": np.tile([1.0, 0.0], (PHASES, SLICES, 1)),
        "affines_lps_mm": affines,
        "slice_thickness_mm": np.full(SLICES, 8.0),
        "trigger_time_ms": 1.5 + 40.0 * np.arange(PHASES)[:, None] + np.zeros((PHASES, SLICES)),
        "frame_numbers": 1 + np.arange(PHASES)[:, None] + np.zeros((PHASES, SLICES), dtype=np.int64),
        "manufacturer": "ge",
        "field_strength_t": float("nan"),
        "has_directions": True,
    }
    return ImageSeries(**{**values, **changes})


def written(tmp_path: Path, one: ImageSeries, phase: int | None = None, volume: int = 0) -> Path:
    path = tmp_path / "image.nii.gz"
    path.write_bytes(image_file(one, volumes_of(one)[volume], phase))
    return path


def test_a_cine_comes_back_with_its_values_place_and_times(tmp_path):
    one = series()
    image = nibabel.load(written(tmp_path, one))
    assert image.get_data_dtype() == np.int16
    np.testing.assert_array_equal(np.asarray(image.dataobj).T, one.image)
    assert image.header.get_zooms() == pytest.approx((3, 2, 9, 0.04), abs=1e-6)
    assert image.header.get_xyzt_units() == ("mm", "sec")
    point = one.affines_lps_mm[2] @ [4, 1, 0, 1]
    np.testing.assert_allclose(image.affine @ [4, 1, 2, 1], point * [-1, -1, 1, 1], atol=1e-4)
    peer = SimpleITK.ReadImage(str(tmp_path / "image.nii.gz"))[:, :, :, 1]
    np.testing.assert_array_equal(SimpleITK.GetArrayFromImage(peer), one.image[1])
    np.testing.assert_allclose(peer.TransformIndexToPhysicalPoint((4, 1, 2)), point[:3], atol=1e-3)  # ITK is LPS


def test_a_single_slice_is_as_thick_as_the_header_says(tmp_path):
    one = series()
    single = replace(
        one, **{name: getattr(one, name)[:1] for name in ("affines_lps_mm", "slice_thickness_mm")},
        image=one.image[:, :1], rescale=one.rescale[:, :1], trigger_time_ms=one.trigger_time_ms[:, :1], frame_numbers=one.frame_numbers[:, :1],
    )  # fmt: skip
    assert nibabel.load(written(tmp_path, single, 0)).header.get_zooms() == pytest.approx((3, 2, 8))
    unknown = replace(single, slice_thickness_mm=np.array([np.nan]))
    assert nibabel.load(written(tmp_path, unknown, 0)).header.get_zooms() == pytest.approx((3, 2, 3))


@pytest.mark.parametrize("shift_mm", [0.0, 0.09, 0.3])
def test_slices_that_are_no_regular_stack_have_a_file_each(tmp_path, shift_mm):
    affines = series().affines_lps_mm.copy()
    affines[2, :3, 3] += shift_mm * affines[2, :3, 0] / 3
    one = series(affines_lps_mm=affines)
    volumes = volumes_of(one)
    if shift_mm < 0.1:
        assert [volume.slice_name for volume in volumes] == [""]
        return
    assert [volume.slice_name for volume in volumes] == ["slice00", "slice01", "slice02", "slice03"]
    image = nibabel.load(written(tmp_path, one, 1, volume=2))
    np.testing.assert_array_equal(np.asarray(image.dataobj)[:, :, 0].T, one.image[1, 2])
    np.testing.assert_allclose(image.affine @ [4, 1, 0, 1], affines[2] @ [4, 1, 0, 1] * [-1, -1, 1, 1], atol=1e-4)


def test_a_shared_rescaling_stands_in_the_header_and_differing_ones_are_applied(tmp_path):
    shared = series(rescale=np.tile([0.5, -3.0], (PHASES, SLICES, 1)))
    image = nibabel.load(written(tmp_path, shared))
    assert (image.dataobj.slope, image.dataobj.inter) == (0.5, -3.0)
    np.testing.assert_array_equal(image.dataobj.get_unscaled().T, shared.image)
    np.testing.assert_allclose(image.get_fdata().T, shared.image * 0.5 - 3)
    slopes = np.arange(1, 1 + PHASES * SLICES).reshape(PHASES, SLICES, 1) / 7
    differing = series(rescale=np.concatenate([slopes, -slopes], axis=2))
    image = nibabel.load(written(tmp_path, differing))
    assert image.get_data_dtype() == np.float32
    np.testing.assert_allclose(image.get_fdata().T, differing.image * slopes[..., None] - slopes[..., None], rtol=1e-6)


def test_bright_tissue_stays_bright_where_the_scanner_stores_it_dark(tmp_path):
    one = series(rescale=np.tile([-1.0, 4095.0], (PHASES, SLICES, 1)))
    np.testing.assert_array_equal(nibabel.load(written(tmp_path, one)).get_fdata().T, one.image)


def test_large_values_are_not_wrapped(tmp_path):
    one = series(image=np.full((PHASES, SLICES, ROWS, COLUMNS), 65535, dtype=np.uint16))
    image = nibabel.load(written(tmp_path, one))
    assert image.get_fdata().min() == 65535


def test_a_file_without_known_directions_claims_none(tmp_path):
    one = series(has_directions=False, trigger_time_ms=np.full((PHASES, SLICES), np.nan))
    path = written(tmp_path, one)
    header = nibabel.load(path).header
    assert (int(header["sform_code"]), int(header["qform_code"])) == (0, 0)
    assert header.get_zooms()[:3] == pytest.approx((3, 2, 9))
    assert header.get_xyzt_units() == ("mm", "unknown")
    np.testing.assert_allclose(SimpleITK.ReadImage(str(path)).GetSpacing()[:3], (3, 2, 9), rtol=1e-6)


def test_the_interval_of_frames_is_the_median_of_known_ones():
    times = np.array([[0, 0, np.nan, 5], [40, 44, np.nan, 45], [80, 84, 90, 85.0]])
    one = series(trigger_time_ms=times)
    assert frame_interval_s(one, volumes_of(one)[0]) == pytest.approx(0.040)
    nothing = series(trigger_time_ms=np.full((PHASES, SLICES), np.nan))
    assert frame_interval_s(nothing, volumes_of(nothing)[0]) is None


def test_a_sidecar_has_times_by_frame_and_slice_and_leaves_out_what_is_not_known():
    one = series(trigger_time_ms=np.array([[0.0, 1, np.nan, 2], [40, 41, 42, 43], [80, 81, 82, 83]]))
    whole = json.loads(sidecar(one, volumes_of(one)[0], None))
    assert whole["TriggerTime"][0] == [0.0, 1.0, None, 2.0]
    assert whole["FrameNumber"] == [[1] * 4, [2] * 4, [3] * 4]
    assert (whole["Manufacturer"], whole["SliceThickness"], whole["SpacingBetweenSlices"]) == ("GE", 8.0, 9.0)
    assert "MagneticFieldStrength" not in whole
    first = json.loads(sidecar(one, volumes_of(one)[0], 1))
    assert (first["TriggerTime"], first["CardiacPhase"]) == ([40, 41, 42, 43], "001")
