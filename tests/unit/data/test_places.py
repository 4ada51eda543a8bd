import numpy as np

from cmr_planes.shards.catalogue import Catalogue
from cmr_planes.views import TARGET_VIEWS, CardiacView
from cmr_train.data.places import relative_places
from tests.helpers.records import APEX
from tests.helpers.training import small_catalogue


def test_places_run_from_base_to_apex_and_a_single_slice_has_none(tmp_path):
    with Catalogue(small_catalogue(tmp_path, 2, TARGET_VIEWS, n_slices=5)) as catalogue:
        index = catalogue.index(CardiacView.SAX)
        places = relative_places(catalogue, index)
        for row in range(len(index)):
            planes = catalogue.view_attributes(index.subject(row), CardiacView.SAX).planes
            along_mm = [float(plane.centre_mm @ APEX) for plane in planes]
            expected = (along_mm[index.slice_index[row]] - min(along_mm)) / (max(along_mm) - min(along_mm))
            np.testing.assert_allclose(places[row], expected, atol=1e-6)
        assert np.isnan(relative_places(catalogue, catalogue.index(CardiacView.FOUR_CHAMBER))).all()
