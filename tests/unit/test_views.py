"""The closed sets have the values that the design and the file format state."""

import pytest

from cmr_planes.views import N_POSITIONS, TARGET_VIEWS, CardiacPhase, CardiacView, PositionClass, position_name


def test_views_and_phases_have_the_values_that_stand_in_files():
    assert [view.value for view in CardiacView] == ["sax", "2ch", "3ch", "4ch"]
    assert [phase.value for phase in CardiacPhase] == ["ed", "es"]
    assert [view.value for view in TARGET_VIEWS] == ["sax", "2ch", "4ch"]


def test_views_are_printed_as_clinicians_write_them():
    assert [view.title for view in CardiacView] == ["SAX", "2Ch", "3Ch", "4Ch"]


def test_classes_are_numbered_as_in_the_design():
    assert [label.value for label in PositionClass] == list(range(10))
    assert PositionClass.INTERSECTION == 1
    assert (PositionClass.LEFT_NEAR, PositionClass.LEFT_FAR) == (2, 3)
    assert (PositionClass.RIGHT_NEAR, PositionClass.RIGHT_FAR) == (4, 5)
    assert (PositionClass.UPPER_NEAR, PositionClass.UPPER_FAR) == (6, 7)
    assert (PositionClass.LOWER_NEAR, PositionClass.LOWER_FAR) == (8, 9)
    assert N_POSITIONS == 9


@pytest.mark.parametrize(
    ("view", "upper", "lower"),
    [
        (CardiacView.SAX, "anterior", "posterior"),
        (CardiacView.TWO_CHAMBER, "anterior", "posterior"),
        (CardiacView.FOUR_CHAMBER, "superior", "inferior"),
    ],
)
def test_positions_are_named_in_the_words_of_the_view(view, upper, lower):
    assert [position_name(view, label) for label in PositionClass] == [
        "background",
        "intersection",
        "left near",
        "left far",
        "right near",
        "right far",
        f"{upper} near",
        f"{upper} far",
        f"{lower} near",
        f"{lower} far",
    ]
