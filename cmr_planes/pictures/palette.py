"""The colours of all pictures: a class or a curve has one colour wherever it is drawn.

Hues are near those of Okabe and Ito, and apart for readers with any kind of colour vision. Colours are ``#RRGGBB``.
"""

from cmr_planes.views import CardiacView, PositionClass, Structure

_STRUCTURES = {
    Structure.LV: "#E69F00",
    Structure.MYO: "#56B4E9",
    Structure.RV: "#CC79A7",
    Structure.LA: "#F0E442",
    Structure.RA: "#009E73",
}

_POSITIONS = {
    PositionClass.INTERSECTION: "#F0E442",
    PositionClass.LEFT_NEAR: "#FF9F1C",
    PositionClass.LEFT_FAR: "#C46A00",
    PositionClass.RIGHT_NEAR: "#56B4E9",
    PositionClass.RIGHT_FAR: "#2F7FC1",
    PositionClass.UPPER_NEAR: "#3DDC97",
    PositionClass.UPPER_FAR: "#14946A",
    PositionClass.LOWER_NEAR: "#F4B4E0",
    PositionClass.LOWER_FAR: "#A84E8C",
}

_LINES = ("#FFC46B", "#8BEBC4")

_VIEWS = {
    CardiacView.SAX: "#3B82C4",
    CardiacView.TWO_CHAMBER: "#14946A",
    CardiacView.THREE_CHAMBER: "#868C96",
    CardiacView.FOUR_CHAMBER: "#C46A00",
}

_SERIES = ("#4D4D4D", "#B97F00", "#0072B2", "#A02C00", "#0F9148", "#713779")


def structure_colour(structure: int) -> str:
    """Return the colour of an anatomical structure, a value of :class:`cmr_planes.views.Structure` above 0."""
    return _STRUCTURES[Structure(structure)]


def position_colour(position: int) -> str:
    """Return the colour of a position, 1 to 9: one hue per arm, its far box darker than its near one."""
    return _POSITIONS[PositionClass(position)]


def line_colour(number: int) -> str:
    """Return the colour of a view's first line (0), on which classes 2 to 5 lie, or of its second (1)."""
    return _LINES[number]


def view_colour(view: CardiacView) -> str:
    """Return the colour of a view's bars, legible on white and on black: those of 2Ch and 4Ch are of their lines' hues."""
    return _VIEWS[view]


def series_colour(number: int) -> str:
    """Return the colour of a curve on white, counted from 0; after six they repeat."""
    return _SERIES[number % len(_SERIES)]
