"""What an extraction may be asked for."""

import pytest

from cmr_planes.extraction.options import ExtractOptions
from cmr_planes.shards.schema import Codec
from cmr_planes.views import CardiacView, PhaseChoice


def test_text_is_taken_for_views_phases_and_codec():
    options = ExtractOptions(views=("4ch", "sax"), phases="all", codec="gzip")
    assert options == ExtractOptions(views=(CardiacView.SAX, CardiacView.FOUR_CHAMBER), phases=PhaseChoice.ALL, codec=Codec.GZIP)
    assert options.to_json()["views"] == ["sax", "4ch"]


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"views": (CardiacView.THREE_CHAMBER,)}, "one of the views must be sax, 2ch, 4ch, got 3ch"),
        ({"views": ()}, "one of the views must be sax, 2ch, 4ch, got none"),
        ({"views": ("rvot",)}, "'rvot' is not a valid CardiacView"),
        ({"phases": "ed"}, "'ed' is not a valid PhaseChoice"),
        ({"shard_size": 0}, "shard_size must be 1 or more, got 0"),
        ({"min_agreement": 1.5}, "min_agreement is a correlation, -1 to 1, got 1.5"),
    ],
)
def test_what_cannot_be_carried_out_is_refused_where_it_is_asked_for(changes, sentence):
    with pytest.raises(ValueError, match=sentence):
        ExtractOptions(**changes)
