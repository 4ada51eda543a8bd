"""World coordinates of label maps, against dcm2niix on the same DICOM files."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import nibabel
import numpy as np
import pytest
from nibabel.processing import resample_from_to

from cmr_planes.nifti.writing import encode_label_map, is_regular_stack, stack_affine_ras, write_label_map
from cmr_planes.phantom.dicom_writer import write_cine, write_files
from cmr_planes.phantom.small_study import simple_study

DCM2NIIX = Path(sys.executable).parent / "dcm2niix"


def world_values(path):
    """Every voxel's RAS position in mm, and its value; of the first phase of a cine."""
    image = nibabel.load(path)
    data = np.asarray(image.dataobj)
    data = data.reshape(*data.shape[:3], -1)[..., 0]
    index = np.indices(data.shape).reshape(3, -1)
    positions = (image.affine[:3, :3] @ index).T + image.affine[:3, 3]
    return positions, data.ravel()


def affines_of(planes):
    return np.stack([plane.patient_from_pixel for plane in planes])


@pytest.fixture(scope="module")
def study():
    rotation = np.linalg.qr(np.random.default_rng(3).normal(size=(3, 3)))[0]
    rotation *= np.sign(np.linalg.det(rotation))
    return simple_study(
        n_slices=5, n_frames=2, rows=40, columns=30, spacing_mm=(3.0, 4.0), slice_distance_mm=9.0, rotation=rotation
    )


@pytest.mark.parametrize("view", ["sax", "2ch", "4ch"])
def test_voxels_lie_where_dcm2niix_puts_them(tmp_path, study, view):
    series = [series for key, series in study.series.items() if key.startswith(view)]
    first_frames = [replace(each, frames=each.frames[:1], trigger_times_ms=each.trigger_times_ms[:1]) for each in series]
    files = [file for each in first_frames for file in write_cine(study.study, each)]
    write_files(tmp_path / "dicom", files)
    (tmp_path / "peer").mkdir()
    command = [DCM2NIIX, "-z", "n", "-f", "%s", "-o", tmp_path / "peer", tmp_path / "dicom"]
    subprocess.run(command, check=True, capture_output=True)
    peers = [world_values(path) for path in (tmp_path / "peer").glob("*.nii")]  # one file a series, one series a level
    assert len(peers) == len(series)
    labels = np.stack([each.frames[0] for each in series]) > 300  # the blood pool
    (own,) = write_label_map(tmp_path, "own", labels.astype(np.uint8), affines_of([each.plane for each in series]))
    peer_mm, intensities = (np.concatenate(parts) for parts in zip(*peers, strict=True))
    own_mm, classes = world_values(own)
    order_peer, order_own = (np.lexsort(np.round(positions, 1).T) for positions in (peer_mm, own_mm))
    assert 0 < classes.sum() < classes.size
    np.testing.assert_allclose(own_mm[order_own], peer_mm[order_peer], atol=1e-3)  # mm; NIfTI stores single precision
    np.testing.assert_array_equal(classes[order_own], intensities[order_peer] > 300)


def test_spacing_axes_and_values_come_back(tmp_path, study):
    planes = [study.series[f"sax{level}"].plane for level in range(1, 6)]
    labels = np.random.default_rng(0).integers(0, 4, (2, 5, 40, 30), dtype=np.uint8)
    (path,) = write_label_map(tmp_path, "cine", labels, affines_of(planes))
    image = nibabel.load(path)
    assert image.shape == (30, 40, 5, 2)
    assert image.get_data_dtype() == np.uint8
    np.testing.assert_array_equal(np.asarray(image.dataobj).T, labels)
    assert image.header.get_zooms()[:3] == pytest.approx((4.0, 3.0, 9.0), abs=1e-4)
    assert image.header.get_xyzt_units()[0] == "mm"
    np.testing.assert_allclose(image.get_sform(), image.get_qform(), atol=1e-3)
    lps = planes[3].pixel_to_patient(np.array([7.0, 11.0]))
    np.testing.assert_allclose(image.affine @ [7, 11, 3, 1], [-lps[0], -lps[1], lps[2], 1], atol=1e-3)


def test_slices_that_are_no_grid_become_a_file_each(tmp_path, study):
    planes = [study.series[f"sax{level}"].plane for level in (1, 2, 4)]
    affines = affines_of(planes)
    assert not is_regular_stack(affines)
    labels = np.zeros((3, 40, 30), np.uint8)
    labels[2, 3, 4] = 2
    paths = write_label_map(tmp_path, "sax", labels, affines)
    assert [path.name for path in paths] == ["sax_slice00.nii.gz", "sax_slice01.nii.gz", "sax_slice02.nii.gz"]
    last = nibabel.load(paths[2])
    assert last.shape == (30, 40, 1)
    assert last.dataobj[4, 3, 0] == 2
    np.testing.assert_allclose(last.affine[:3, 3] * [-1, -1, 1], planes[2].position_mm, atol=1e-3)


@pytest.mark.parametrize("flipped", [(), (2,), (1, 2), (0, 1, 2)])
def test_a_map_is_brought_onto_the_grid_of_an_image_in_another_order(tmp_path, study, flipped):
    affines = affines_of([study.series[f"sax{level}"].plane for level in (1, 2, 3)])
    labels = np.random.default_rng(0).integers(0, 4, (3, 40, 30)).astype(np.uint8)
    (path,) = write_label_map(tmp_path, "sax", labels, affines)
    written = nibabel.load(path)
    order = [slice(None, None, -1) if axis in flipped else slice(None) for axis in range(3)]
    turn = np.diag([-1.0 if axis in flipped else 1.0 for axis in range(3)] + [1.0])
    turn[list(flipped), 3] = np.array(written.shape)[list(flipped)] - 1
    image = nibabel.Nifti1Image(np.zeros(written.shape, np.int16), written.affine @ turn)
    found = resample_from_to(written, image, order=0, mode="nearest")
    np.testing.assert_array_equal(found.get_fdata(), written.get_fdata()[tuple(order)])


def test_slices_turned_against_one_another_are_no_grid(study):
    affines = affines_of([study.series["2ch"].plane, study.series["4ch"].plane])
    assert not is_regular_stack(affines)


def test_equal_labels_give_equal_bytes(study):
    affine = stack_affine_ras(affines_of([study.series["4ch"].plane]))
    labels = np.ones((1, 40, 30), np.uint8)
    assert encode_label_map(labels, affine) == encode_label_map(labels.copy(), affine.copy())
