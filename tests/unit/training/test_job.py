"""What a training leaves where it cannot begin."""

import pytest

import cmr_train
from cmr_planes.errors import ShardError


def test_a_catalogue_that_is_missing_leaves_no_folder(tmp_path):
    with pytest.raises(ShardError, match="does not exist"):
        cmr_train.pretext(tmp_path / "out.h5", tmp_path / "runs" / "pretext", preset="quick")
    assert [*tmp_path.iterdir()] == []
