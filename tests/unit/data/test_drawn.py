"""What was drawn on which image, and what of a mask says something."""

import numpy as np
import pytest

from cmr_planes.shards.catalogue import Catalogue
from cmr_planes.shards.open_files import OpenFiles
from cmr_planes.views import CardiacView, Structure
from cmr_train.choices import Head
from cmr_train.data.datasets import PlaneDataset, Target, class_frequencies
from cmr_train.data.drawn import drawn_sentence, drawn_structures, has_all, has_any, keep_drawn, unwanted_pixels
from cmr_train.data.images import Grid
from cmr_train.errors import TrainError
from tests.helpers.training import SIZE, annotate, small_catalogue

LV, MYO, RV = Structure.LV, Structure.MYO, Structure.RV
TARGET = Target(view=CardiacView.SAX, head=Head.STRUCTURES, classes=(0, 1, 3), grid=Grid((SIZE, SIZE)))


@pytest.fixture(scope="module")
def catalogue(tmp_path_factory):
    """All three structures at end-diastole, the left ventricle alone at end-systole."""
    path = annotate(small_catalogue(tmp_path_factory.mktemp("data"), 2), at_es=[LV])
    with Catalogue(path) as catalogue:
        yield catalogue


def test_structures_are_told_apart_by_image(catalogue):
    index = catalogue.index(CardiacView.SAX)
    drawn = drawn_structures(catalogue, index, CardiacView.SAX)
    is_diastole = index.phase_index == 0
    assert drawn[:, LV].all()
    np.testing.assert_array_equal(drawn[:, MYO], is_diastole)
    np.testing.assert_array_equal(has_all(drawn, (LV, RV)), is_diastole)
    np.testing.assert_array_equal(has_any(drawn, (Structure.LA, RV)), is_diastole)
    assert drawn_sentence(drawn) == "LV 12, Myo 6, RV 6"


def test_what_was_drawn_is_read_once(catalogue, monkeypatch):
    with Catalogue(catalogue.path) as fresh:
        index, read, linked_file = fresh.index(CardiacView.SAX), [], OpenFiles.linked_file
        monkeypatch.setattr(OpenFiles, "linked_file", lambda files, *link: read.append(link) or linked_file(files, *link))
        first, second = (drawn_structures(fresh, index, CardiacView.SAX) for _ in range(2))
        assert read == [("labels", "SYN-0001"), ("labels", "SYN-0002")]
        np.testing.assert_array_equal(first, second)
        np.testing.assert_array_equal(first, drawn_structures(catalogue, index, CardiacView.SAX))


def test_what_is_not_wanted_is_counted(catalogue):
    index = catalogue.index(CardiacView.SAX)
    pixels = sum(
        int((catalogue.labels(index.subject(row), "sax", index.phase_index[row], index.slice_index[row]) == MYO).sum())
        for row in range(len(index))
    )
    assert pixels
    assert unwanted_pixels(catalogue, index, CardiacView.SAX, (LV, RV)) == {"Myo": pixels}


def test_labels_are_kept_where_they_were_drawn():
    labels = np.array([[[0, 1, 2]], [[1, 2, 2]]], dtype=np.uint8)
    assert keep_drawn(labels, np.array([[True, True, False], [True, False, True]])).tolist() == [[[0, 1, 0]], [[0, 2, 2]]]


def test_outputs_of_the_network_are_the_wanted_structures_in_order(catalogue):
    index = catalogue.index(CardiacView.SAX)
    labels = catalogue.labels(index.subject(0), "sax", 0, 0)
    expected = np.select([labels == LV, labels == RV], [1, 2], 0)
    np.testing.assert_array_equal(PlaneDataset(catalogue, index, TARGET).mask(0), expected)


def test_background_that_may_hold_a_structure_has_no_part_in_the_frequencies(catalogue):
    index = catalogue.index(CardiacView.SAX)
    undrawn = np.zeros((len(index), 3), dtype=bool)
    undrawn[index.phase_index == 1, 2] = True
    dataset = PlaneDataset(catalogue, index, TARGET, undrawn)
    counts = np.zeros(3)
    for row in range(len(index)):
        for value in dataset.mask(row).ravel().tolist():
            counts[value] += value > 0 or index.phase_index[row] == 0
    np.testing.assert_allclose(class_frequencies(dataset), counts / counts.sum())
    undrawn[:, 2] = True
    with pytest.raises(TrainError, match="weighted loss needs images on which all structures were drawn"):
        class_frequencies(PlaneDataset(catalogue, index, TARGET, undrawn))
