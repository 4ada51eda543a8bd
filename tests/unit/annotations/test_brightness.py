"""Whether blood under the labels is brighter than muscle."""

import numpy as np
import pytest

from cmr_planes.annotations.brightness import blood_contrast, contrast_sentence, contrast_sentences
from cmr_planes.shards.records import ViewLabels
from cmr_planes.views import CardiacView, Structure
from tests.helpers.labels import LV, MYO, heart_labels
from tests.helpers.records import make_plane

SAX = CardiacView.SAX
SLICES = [make_plane(SAX, along_mm=9.0 * level, matrix=(72, 64), spacing_mm=2.4) for level in range(4)]
LABELS = np.stack([heart_labels(plane, SLICES[1].centre_mm) for plane in SLICES])
GENERATOR = np.random.default_rng(3)
IMAGES = np.array([120, 600, 200, 550, 400, 400])[LABELS] + GENERATOR.normal(0, 60, LABELS.shape)


def test_the_contrast_is_the_share_of_pairs_in_which_blood_is_brighter() -> None:
    image = GENERATOR.integers(0, 6, LABELS[0].shape)
    pairs = np.subtract.outer(image[LABELS[0] == LV], image[LABELS[0] == MYO])
    expected = (pairs > 0).mean() + (pairs == 0).mean() / 2
    assert blood_contrast(image, LABELS[0]) == pytest.approx(expected)


@pytest.mark.parametrize("without", [LV, MYO])
def test_a_slice_without_blood_or_without_muscle_says_nothing(without: int) -> None:
    labels = np.where(np.isin(LABELS, without), 0, LABELS).astype(np.uint8)
    assert blood_contrast(IMAGES[0], labels[0]) is None
    assert contrast_sentence(zip(IMAGES, labels, strict=True), "SAX") is None


def test_blood_without_muscle_is_compared_with_what_lies_around_it() -> None:
    pools = np.where(LABELS == LV, LABELS, 0).astype(np.uint8)
    assert contrast_sentence(zip(IMAGES, pools, strict=True), "SAX") is None
    moved = np.roll(pools, 16, axis=1)
    assert "on 4 of 4 labelled images" in str(contrast_sentence(zip(IMAGES, moved, strict=True), "SAX"))


def test_each_phase_is_looked_at_alone() -> None:
    labels = np.stack([LABELS, LABELS[:, :, ::-1]])
    images = np.roll(np.stack([IMAGES, IMAGES]), 5, axis=3)
    labels[0] = np.roll(labels[0], 5, axis=2)
    structures = np.ones((2, 4, len(Structure)), dtype=np.bool_)
    placed = ViewLabels(labels=labels, structures=structures, source="nifti")
    (sentence,) = contrast_sentences(SAX, ("ed", "es"), placed, lambda phase, level: images[phase, level])
    assert sentence.startswith("SAX ES labels may not lie on the image: on 4 of 4")
    twice = ViewLabels(labels=labels[[0, 1, 1]], structures=structures[[0, 1, 1]], source="nifti")
    (sentence,) = contrast_sentences(SAX, ("000", "001", "002"), twice, lambda phase, level: images[min(phase, 1), level])
    assert sentence.startswith("SAX labels may not lie on the image: on 8 of 12")


def test_labels_on_their_image_pass() -> None:
    assert contrast_sentence(zip(IMAGES, LABELS, strict=True), "SAX") is None


@pytest.mark.parametrize(
    "wrong",
    [
        pytest.param(LABELS[:, :, ::-1], id="mirrored"),
        pytest.param(np.roll(LABELS, 14, axis=2), id="moved"),
        pytest.param(np.select([LABELS == LV, LABELS == MYO], [MYO, LV], LABELS).astype(np.uint8), id="exchanged"),
    ],
)
def test_labels_beside_their_image_are_named(wrong: np.ndarray) -> None:
    images = np.roll(IMAGES, 5, axis=2)
    labels = np.roll(LABELS, 5, axis=2)
    assert contrast_sentence(zip(images, labels, strict=True), "SAX") is None
    sentence = contrast_sentence(zip(images, wrong, strict=True), "SAX")
    assert sentence is not None
    assert sentence.startswith("SAX labels may not lie on the image: on 4 of 4 labelled images the blood of LV")


def test_a_dark_pool_on_half_of_the_slices_is_no_remark() -> None:
    images = IMAGES.copy()
    images[:2] = 900 - images[:2]
    assert contrast_sentence(zip(images, LABELS, strict=True), "SAX") is None
    images[2] = 900 - images[2]
    assert "on 3 of 4 labelled images" in str(contrast_sentence(zip(images, LABELS, strict=True), "SAX"))


def test_labels_mirrored_about_the_left_ventricle_are_wrong_on_the_right_one() -> None:
    column = round(float(np.argwhere(LABELS[1] == LV)[:, 1].mean()))
    wrong = np.roll(LABELS[:, :, ::-1], 2 * column - (LABELS.shape[2] - 1), axis=2)
    assert (wrong[1] == LV)[LABELS[1] == LV].mean() > 0.9
    assert "on 4 of 4 labelled images the blood of LV or RV" in str(contrast_sentence(zip(IMAGES, wrong, strict=True), "SAX"))
