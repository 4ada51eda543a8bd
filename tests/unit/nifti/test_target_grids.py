"""Label maps on the grid of another image of the same slices, against nibabel's reorientation of the label map itself."""

from itertools import permutations, product

import nibabel
import numpy as np
import pytest

from cmr_planes.errors import AnnotationError
from cmr_planes.nifti.geometry_header import geometry_header, sizes_of
from cmr_planes.nifti.target_grids import TargetGrid, write_on_grid
from cmr_planes.nifti.writing import stack_affine_ras

SPACING_MM = (1.25, 1.5)
ORIENTATIONS = [np.column_stack([axes, signs]) for axes in permutations(range(3)) for signs in product((1, -1), repeat=3)]


def affines(n_slices, distance_mm=8.0):
    """Oblique slices."""
    rotation = np.linalg.qr(np.random.default_rng(5).normal(size=(3, 3)))[0]
    rotation[:, 2] = np.cross(rotation[:, 0], rotation[:, 1])
    matrices = np.tile(np.eye(4), (n_slices, 1, 1))
    matrices[:, :3, 0], matrices[:, :3, 1], matrices[:, :3, 2] = (
        rotation[:, 0] * SPACING_MM[1],
        rotation[:, 1] * SPACING_MM[0],
        rotation[:, 2],
    )
    matrices[:, :3, 3] = np.array([-30.0, 12.5, 88.0]) + np.outer(np.arange(n_slices) * distance_mm, rotation[:, 2])
    return matrices


def image_of(labels, affines_mm, thickness_mm=None):
    """The label map in its own order, by nibabel alone."""
    affine = stack_affine_ras(affines_mm)
    if thickness_mm:
        affine[:3, 2] *= thickness_mm
    return nibabel.Nifti1Image(labels.transpose(range(labels.ndim)[::-1]), affine)


def random_labels(*shape):
    return np.random.default_rng(6).integers(0, 4, shape).astype(np.uint8)


@pytest.mark.parametrize("n_slices", [1, 5])
def test_maps_have_the_order_and_direction_of_the_images_axes(tmp_path, n_slices):
    labels, stack = random_labels(n_slices, 7, 9), affines(n_slices)
    own = image_of(labels, stack, 6.0 if n_slices == 1 else None)
    for number, orientation in enumerate(ORIENTATIONS):
        like = own.as_reoriented(orientation)
        path = tmp_path / f"{number}.nii"
        nibabel.save(like, path)
        grid = TargetGrid.of_file(path, stack, (7, 9))
        written = nibabel.load(write_on_grid(tmp_path, f"map{number}", labels, grid))
        np.testing.assert_array_equal(np.asarray(written.dataobj), np.asarray(like.dataobj))
        np.testing.assert_array_equal(written.affine, nibabel.load(path).affine)
        assert written.shape == like.shape


def test_a_cine_has_its_phases_last(tmp_path):
    labels, stack = random_labels(3, 5, 7, 9), affines(5)
    like = image_of(labels, stack).as_reoriented(np.array([[1, -1], [0, 1], [2, -1]]))
    nibabel.save(like, tmp_path / "like.nii.gz")
    grid = TargetGrid.of_file(tmp_path / "like.nii.gz", stack, (7, 9))
    written = nibabel.load(write_on_grid(tmp_path, "map", labels, grid, "cmr-train structures"))
    np.testing.assert_array_equal(np.asarray(written.dataobj), np.asarray(like.dataobj))
    assert written.header["descrip"].item() == b"cmr-train structures"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda affine: affine @ np.diag([1.02, 1, 1, 1.0]), "lie between them, or are of other size"),
        (lambda affine: affine + np.array([[0, 0, 0, 0.6]] + [[0] * 4] * 3), "lie between them"),
        (lambda affine: affine @ np.array([[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 1], [0, 0, 0, 1.0]]), "elsewhere"),
        (lambda affine: affine @ np.diag([1.2, 1 / 1.2, 1, 1]), "of other size"),
    ],
    ids=["other pixels", "half a pixel beside", "a slice beside", "oblong the other way"],
)
def test_images_of_other_voxels_are_refused(tmp_path, change, words):
    stack = affines(5)
    image = image_of(random_labels(5, 8, 8), stack)
    nibabel.save(nibabel.Nifti1Image(np.asarray(image.dataobj), change(image.affine)), tmp_path / "like.nii")
    with pytest.raises(AnnotationError, match=words):
        TargetGrid.of_file(tmp_path / "like.nii", stack, (8, 8))


def test_images_of_other_shape_and_stacks_that_are_no_volume_are_refused(tmp_path):
    stack = affines(5)
    nibabel.save(image_of(random_labels(5, 8, 8), stack), tmp_path / "like.nii")
    with pytest.raises(AnnotationError, match="has 8 × 8 × 5 voxels, the label map 8 × 8 × 4"):
        TargetGrid.of_file(tmp_path / "like.nii", stack[:4], (8, 8))
    with pytest.raises(AnnotationError, match="not parallel and evenly spaced"):
        TargetGrid.of_file(tmp_path / "like.nii", np.delete(affines(6), 2, axis=0), (8, 8))


def test_slices_that_are_not_the_stacks_stay_empty():
    header = geometry_header(image_of(random_labels(4, 7, 9), affines(4)).header, (9, 7, 4))
    grid = TargetGrid(header=header, places=(3, 1))
    assert (grid.n_slices, sizes_of(header)) == (4, (9, 7, 4))
    labels = random_labels(2, 7, 9) + 1
    laid = grid.lay(labels)
    np.testing.assert_array_equal(laid[..., 3], labels[0].T)
    np.testing.assert_array_equal(laid[..., 1], labels[1].T)
    assert not laid[..., [0, 2]].any()


def test_a_header_is_kept_without_what_does_not_say_where_voxels_lie():
    header = image_of(random_labels(4, 7, 9), affines(4)).header
    header["descrip"], header["aux_file"], header["intent_name"], header["db_name"] = b"NAME^OF", b"A", b"PERSON", b"B"
    header["pixdim"][4] = 0.0375
    kept = geometry_header(header, (9, 7, 4))
    assert not any(word in kept for word in (b"NAME", b"PERSON"))
    parsed = nibabel.Nifti1Header(kept)
    assert parsed["pixdim"][4] == 1
    np.testing.assert_array_equal(parsed.get_best_affine(), header.get_best_affine())
    assert geometry_header(header.as_byteswapped(), (9, 7, 4)) == kept
