"""What the matrix cuts of masks, against a literal count."""

import numpy as np
import pytest

from cmr_planes.views import CardiacView
from cmr_train.choices import Head
from cmr_train.data.cut import check_cut, cut_shares
from cmr_train.data.datasets import PlaneDataset, Target
from cmr_train.data.images import Grid
from cmr_train.errors import TrainError
from tests.helpers.training import SIZE, open_index, small_catalogue


@pytest.fixture(scope="module")
def opened(tmp_path_factory):
    return open_index(small_catalogue(tmp_path_factory.mktemp("data"), 3))


def dataset_on(opened, grid: Grid) -> PlaneDataset:
    return PlaneDataset(*opened, Target(view=CardiacView.SAX, head=Head.POSITIONS, classes=tuple(range(10)), grid=grid))


@pytest.mark.parametrize("side", [8, 20, 31])
def test_the_share_is_that_of_the_pixels_outside(opened, side):
    dataset = dataset_on(opened, Grid((side, SIZE)))
    first = (SIZE - side) // 2 + (SIZE - side) % 2  # of an odd margin, the first side loses one row more
    outside, labelled = {}, {}
    for row in range(len(dataset)):
        mask = dataset.own_mask(row) > 0
        subject = dataset.index.subject(row)
        labelled[subject] = labelled.get(subject, 0) + mask.sum()
        outside[subject] = outside.get(subject, 0) + mask[:first].sum() + mask[first + side :].sum()
    assert cut_shares(dataset) == pytest.approx({key: outside[key] / labelled[key] for key in labelled if outside[key]})


def test_coarser_pixels_hold_what_finer_ones_lose(opened):
    assert max(cut_shares(dataset_on(opened, Grid((24, 24)))).values()) > 0.01
    assert not cut_shares(dataset_on(opened, Grid((24, 24), (14.0, 14.0))))
    assert not cut_shares(dataset_on(opened, Grid((SIZE, SIZE))))


def test_a_cut_is_said_or_refused(opened):
    said: list[str] = []
    dataset = dataset_on(opened, Grid((24, 24), None, (8, 8)))
    share = max(cut_shares(dataset).values())
    check_cut(dataset, 1.0, said.append)
    assert len(said) == 1
    assert f"{share:.1%}" in said[0]
    with pytest.raises(TrainError, match=r"24 × 24 pixels cuts masks of 3 of 3 subjects.*48 rows and 48 columns hold all images"):
        check_cut(dataset, 0.01, said.append)
    check_cut(dataset_on(opened, Grid((SIZE, SIZE))), 0.0, said.append)
    assert len(said) == 1
    assert np.isfinite(share)


def test_shards_are_not_read_where_every_image_fits_and_keeps_its_pixels(opened, monkeypatch):
    def never(*_):
        pytest.fail("a shard was read")

    monkeypatch.setattr(opened[0], "view_attributes", never)
    monkeypatch.setattr(opened[0], "positions", never)
    assert not cut_shares(dataset_on(opened, Grid((SIZE, SIZE))))
