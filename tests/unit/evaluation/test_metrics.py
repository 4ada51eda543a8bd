"""Numbers worked out by hand, what peers compute, and every way in which a mask can be empty."""

import math
import warnings

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from cmr_train.evaluation.contour_distances import all_borders, outer_contours
from cmr_train.evaluation.metrics import Metric, Score, score_volume
from tests.helpers import metric_oracles as oracles

ISOTROPIC = (1.82, 1.82)
ANISOTROPIC = (1.3, 2.9)


def score(truth, prediction, spacing_mm=ISOTROPIC) -> Score:
    """Score one structure; a single slice may come as (rows, columns)."""
    volumes = [np.atleast_3d(mask.T).T.astype(np.uint8) for mask in (truth, prediction)]
    return score_volume(*volumes, classes=[1], spacing_mm=spacing_mm)[0]


def disc(radius, column=32):
    rows, columns = np.indices((64, 64))
    return (rows - 32) ** 2 + (columns - column) ** 2 <= radius**2


def ring(inner, outer):
    return disc(outer) & ~disc(inner)


def blobs(rng, shape, smooth=1.5):
    """Random masks with holes, islands, thin parts, and parts that touch the border of the image."""
    noise = rng.normal(size=shape)
    return gaussian_filter(noise, (0, smooth, smooth)) > rng.choice([-0.1, 0.0, 0.1]) if smooth else noise > rng.choice([-1, 0, 1])


def peers(masks):
    """MONAI's numbers for one structure in slices: mean symmetric surface distance and Hausdorff 95, shape (slices,) each."""
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore"
        )  # MONAI imports deprecated names, calls its own deprecated arguments, and warns of empty slices
        import torch
        from monai.metrics import compute_average_surface_distance, compute_hausdorff_distance

        torch.set_num_threads(1)
        truth, prediction = (torch.from_numpy(mask).float()[:, None] for mask in masks)

        def compute(spacing_mm):
            options = {"include_background": True, "spacing": spacing_mm}
            surface = compute_average_surface_distance(prediction, truth, symmetric=True, **options)
            hausdorff = compute_hausdorff_distance(prediction, truth, percentile=95, **options)
            return surface[:, 0].numpy(), hausdorff[:, 0].numpy()

        return {spacing: compute(spacing) for spacing in (ISOTROPIC, ANISOTROPIC)}


@pytest.mark.parametrize(
    ("truth", "prediction", "bai2019", "both_borders"),
    [
        pytest.param(ring(12, 18), ring(12, 16), 3.47, 2.01, id="a ring that is too thin: the inner border dilutes the error"),
        pytest.param(disc(15), disc(15, column=35), 3.24, 3.24, id="a disc three pixels off"),
        pytest.param(disc(15), disc(12), 5.47, 5.48, id="a disc that is too small"),
    ],
)
def test_the_two_definitions_differ_on_rings_as_published(truth, prediction, bai2019, both_borders):
    result = score(truth, prediction)
    assert result.bai2019_mm == pytest.approx(bai2019, abs=0.005)
    assert result.all_borders_mm == pytest.approx(both_borders, abs=0.006)


def test_two_pixels_on_a_grid_with_wide_columns():
    truth, prediction = np.zeros((2, 5, 5), bool)
    truth[1, 1] = prediction[3, 2] = True
    result = score(truth, prediction, spacing_mm=(2.0, 3.0))
    assert result.dice == 0
    assert result.bai2019_mm == result.all_borders_mm == result.hausdorff95_mm == pytest.approx(5.0)  # 4 mm down, 3 mm right


def test_each_slice_has_its_own_spacing():
    truth, prediction = np.zeros((2, 2, 4, 4), bool)
    truth[:, 1, 1] = prediction[:, 1, 2] = True
    result = score(truth, prediction, spacing_mm=[(1.0, 1.0), (1.0, 2.0)])
    assert result.bai2019_mm == pytest.approx(1.5)


def test_a_line_one_pixel_thin_is_passed_on_both_sides():
    mask = np.zeros((1, 3, 7), bool)
    mask[0, 1, 1:6] = True
    assert outer_contours(mask)[0, 1].tolist() == [0, 1, 2, 2, 2, 1, 0]


def test_holes_and_what_is_inside_them_have_no_outer_contour():
    mask = ring(10, 14) | disc(4)
    contour = outer_contours(mask[None])[0]
    assert not contour[disc(11)].any()
    assert set(zip(*np.nonzero(contour), strict=True)) == set(oracles.border_pixels(disc(14)))


def test_a_hole_that_is_open_at_a_corner_is_still_a_hole():
    mask = np.array([[1, 1, 1, 1], [1, 0, 0, 1], [1, 0, 0, 1], [1, 1, 1, 0]], bool)
    counts = outer_contours(mask[None])[0]
    assert counts[0].tolist() == [1, 1, 1, 1]
    assert counts.sum() == sum(map(len, oracles.external_contours(mask)))


@pytest.mark.parametrize("smooth", [0, 0.8, 1.5], ids=["noise", "small parts", "blobs"])
def test_outer_contours_are_those_of_border_following(smooth):
    rng = np.random.default_rng(7)
    for _ in range(60):
        masks = blobs(rng, (3, *rng.integers(1, 15, 2)), smooth)
        expected = np.zeros(masks.shape, int)
        for number, mask in enumerate(masks):
            for contour in oracles.external_contours(mask):
                for row, column in contour:
                    expected[number, row, column] += 1
        np.testing.assert_array_equal(outer_contours(masks), expected)


def test_all_borders_are_the_pixels_with_a_neighbour_outside():
    masks = blobs(np.random.default_rng(8), (20, 12, 9))
    for mask, border in zip(masks, all_borders(masks), strict=True):
        assert list(zip(*np.nonzero(border), strict=True)) == oracles.border_pixels(mask)


@pytest.mark.parametrize("spacing_mm", [ISOTROPIC, ANISOTROPIC], ids=["square pixels", "oblong pixels"])
@pytest.mark.parametrize("smooth", [0, 1.5], ids=["noise", "blobs"])
def test_every_number_is_that_of_its_definition(smooth, spacing_mm):
    rng = np.random.default_rng(9)
    for _ in range(15):
        shape = (3, *rng.integers(2, 14, 2))
        truth, prediction = blobs(rng, shape, smooth), blobs(rng, shape, smooth)
        prediction[rng.integers(3)] = False
        result = score(truth, prediction, spacing_mm)
        assert result.dice == pytest.approx(oracles.dice(truth, prediction), nan_ok=True)
        assert result.bai2019_mm == pytest.approx(oracles.bai2019(truth, prediction, spacing_mm), nan_ok=True)
        assert result.all_borders_mm == pytest.approx(oracles.all_borders(truth, prediction, spacing_mm), nan_ok=True)
        assert result.hausdorff95_mm == pytest.approx(oracles.hausdorff95(truth, prediction, spacing_mm), nan_ok=True)


def test_all_borders_is_the_assd_of_medpy():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # MedPy imports names that SciPy has deprecated
        from medpy.metric.binary import assd
    rng = np.random.default_rng(10)
    for _ in range(20):
        truth, prediction = blobs(rng, (1, 30, 25)), blobs(rng, (1, 30, 25))
        expected = assd(prediction[0], truth[0], voxelspacing=ANISOTROPIC)
        assert score(truth, prediction, ANISOTROPIC).all_borders_mm == pytest.approx(expected)


def test_surface_distance_and_hausdorff_are_those_of_monai():
    rng = np.random.default_rng(11)
    truth, prediction = blobs(rng, (20, 40, 36), 2), blobs(rng, (20, 40, 36), 2)
    for spacing_mm, (surface, hausdorff) in peers((truth, prediction)).items():
        for number in range(len(truth)):
            result = score(truth[number], prediction[number], spacing_mm)
            assert result.all_borders_mm == pytest.approx(surface[number], rel=1e-5)  # MONAI computes in single precision
            assert result.hausdorff95_mm == pytest.approx(hausdorff[number], rel=1e-5)
        means = score(truth, prediction, spacing_mm)
        assert means.all_borders_mm == pytest.approx(surface.mean(), rel=1e-5)
        assert means.hausdorff95_mm == pytest.approx(hausdorff.mean(), rel=1e-5)


def test_dice_is_that_of_monai_for_several_structures():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # MONAI imports deprecated names
        import torch
        from monai.metrics import compute_dice
    rng = np.random.default_rng(12)
    for _ in range(10):
        truth, prediction = rng.integers(0, 5, (2, 4, 20, 16), dtype=np.uint8)
        truth[truth == 3] = 0
        one_hot = torch.nn.functional.one_hot(torch.from_numpy(np.stack([truth, prediction])).long(), 5).permute(0, 4, 1, 2, 3)
        expected = compute_dice(one_hot[1:], one_hot[:1], include_background=False, ignore_empty=False)[0].numpy()
        got = [each.dice for each in score_volume(truth, prediction, classes=[1, 2, 3, 4], spacing_mm=ISOTROPIC)]
        assert got == pytest.approx(expected.tolist(), abs=1e-6)
        assert got[2] == 0  # invented: MONAI says 0 with ignore_empty=False only


def test_both_empty_is_no_value_and_no_failure():
    nothing = np.zeros((3, 8, 8), bool)
    result = score(nothing, nothing)
    assert all(math.isnan(result.value(metric)) for metric in Metric)
    assert (result.n_scored, result.n_missed, result.n_invented) == (0, 0, 0)
    assert result.is_empty
    assert not result.is_failure


@pytest.mark.parametrize(("is_missed", "counts"), [(True, (0, 2, 0)), (False, (0, 0, 2))], ids=["missed", "invented"])
def test_one_empty_is_dice_zero_and_a_failure(is_missed, counts):
    something, nothing = np.zeros((2, 3, 8, 8), bool)
    something[:2, 2:5, 2:5] = True
    result = score(something, nothing) if is_missed else score(nothing, something)
    assert result.dice == 0
    assert math.isnan(result.bai2019_mm)
    assert (result.n_scored, result.n_missed, result.n_invented) == counts
    assert result.is_failure
    assert not result.is_empty


def test_masks_that_share_no_slice_are_a_failure():
    truth, prediction = np.zeros((2, 2, 8, 8), bool)
    truth[0, 3, 3] = prediction[1, 3, 3] = True
    result = score(truth, prediction)
    assert result.dice == 0
    assert (result.n_scored, result.n_missed, result.n_invented) == (0, 1, 1)
    assert result.is_failure


def test_slices_with_one_mask_are_counted_and_do_not_change_the_distance():
    truth = np.stack([disc(9), disc(12), disc(0)])
    prediction = np.stack([disc(10), np.zeros_like(truth[0]), np.zeros_like(truth[0])])
    result = score(truth, prediction)
    assert (result.n_scored, result.n_missed, result.n_invented) == (1, 2, 0)
    assert result.bai2019_mm == score(truth[0], prediction[0]).bai2019_mm
    assert result.dice < score(truth[0], prediction[0]).dice


def test_structures_do_not_disturb_one_another():
    rng = np.random.default_rng(13)
    truth, prediction = rng.integers(0, 4, (2, 3, 15, 15), dtype=np.uint8)
    together = score_volume(truth, prediction, classes=[1, 2, 3], spacing_mm=ANISOTROPIC)
    apart = [score(truth == each, prediction == each, ANISOTROPIC) for each in (1, 2, 3)]
    assert list(together) == apart


def test_names_of_distances_carry_definition_and_unit():
    assert [metric.value for metric in Metric] == [
        "dice",
        "contour_distance_bai2019_mm",
        "contour_distance_all_borders_mm",
        "hausdorff95_all_borders_mm",
    ]


@pytest.mark.parametrize(
    ("shapes", "spacing_mm", "words"),
    [
        (((2, 4, 4), (3, 4, 4)), (1, 1), "of one shape"),
        (((4, 4), (4, 4)), (1, 1), "of one shape"),
        (((1, 4, 4), (1, 4, 4)), (0, 1), "must be positive"),
        (((1, 4, 4), (1, 4, 4)), (1, math.nan), "must be positive"),
    ],
    ids=["slices", "dimensions", "zero", "NaN"],
)
def test_shapes_and_spacings_that_make_no_sense_are_refused(shapes, spacing_mm, words):
    with pytest.raises(ValueError, match=words):
        score_volume(*(np.zeros(shape, np.uint8) for shape in shapes), classes=[1], spacing_mm=spacing_mm)
