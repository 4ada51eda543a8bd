"""The closed sets of the field: views, phases, positions. Each is defined here and nowhere else."""

from enum import IntEnum, StrEnum


class CardiacView(StrEnum):
    """A standard cardiac MR view."""

    SAX = "sax"
    """Short axis."""
    TWO_CHAMBER = "2ch"
    """Two-chamber long axis of the left ventricle (vertical long axis)."""
    THREE_CHAMBER = "3ch"
    """Three-chamber long axis (left ventricular outflow tract): images only, never positions."""
    FOUR_CHAMBER = "4ch"
    """Four-chamber long axis (horizontal long axis)."""

    @property
    def title(self) -> str:  # type: ignore[override]  # the view's name in print, not a string method
        """The name as it is printed: ``SAX``, ``2Ch``, ``3Ch``, ``4Ch``."""
        return "SAX" if self is CardiacView.SAX else f"{self.value[0]}Ch"


def to_view(view: CardiacView | str) -> CardiacView:
    """Return a view by its name, in any case; a view stands for itself.

    Raises
    ------
    ValueError
        It names no view.

    Examples
    --------
    >>> to_view("2Ch")
    <CardiacView.TWO_CHAMBER: '2ch'>
    """
    if isinstance(view, CardiacView):
        return view
    try:
        return CardiacView(str(view).lower())
    except ValueError:
        raise ValueError(f"{view!r} is not a view; give one of {', '.join(CardiacView)}") from None


TARGET_VIEWS = (CardiacView.SAX, CardiacView.TWO_CHAMBER, CardiacView.FOUR_CHAMBER)
"""The views on which positions can be drawn."""


STORED_VIEWS = (*TARGET_VIEWS, CardiacView.THREE_CHAMBER)
"""The views whose images are stored."""


class CardiacPhase(StrEnum):
    """A named moment of the cardiac cycle."""

    ED = "ed"
    """End-diastole: the largest blood pool, near the R wave."""
    ES = "es"
    """End-systole: the smallest blood pool."""


class PhaseChoice(StrEnum):
    """Which cardiac phases are kept."""

    ED_ES = "ed,es"
    """End-diastole and end-systole."""
    ALL = "all"
    """Every frame."""


class PositionClass(IntEnum):
    """The ten classes of a position mask (Bai et al., MICCAI 2019, section 2).

    Classes 2 to 5 lie on the view's first line, 6 to 9 on its second; :func:`position_name` gives the words for a view.
    """

    BACKGROUND = 0
    INTERSECTION = 1
    LEFT_NEAR = 2
    LEFT_FAR = 3
    RIGHT_NEAR = 4
    RIGHT_FAR = 5
    UPPER_NEAR = 6
    """Anterior on SAX and 2Ch, superior on 4Ch."""
    UPPER_FAR = 7
    LOWER_NEAR = 8
    """Posterior on SAX and 2Ch, inferior on 4Ch."""
    LOWER_FAR = 9


class Structure(IntEnum):
    """The classes of a label map of anatomical structures, the same in every view."""

    BACKGROUND = 0
    LV = 1
    """Blood pool of the left ventricle, papillary muscles included."""
    MYO = 2
    """Myocardium of the left ventricle."""
    RV = 3
    """Blood pool of the right ventricle."""
    LA = 4
    """Left atrium; long axis only."""
    RA = 5
    """Right atrium; long axis only."""

    @property
    def title(self) -> str:
        """The name as it is printed: ``LV``, ``Myo``, ``RV``, ``LA``, ``RA``."""
        return "Myo" if self is Structure.MYO else self.name if self else "background"


N_POSITIONS = len(PositionClass) - 1
"""The number of boxes: nine."""


def position_name(view: CardiacView, position: PositionClass) -> str:
    """Name a position in the words of a view.

    Parameters
    ----------
    view
        The view on whose image the position lies.
    position
        The class.

    Returns
    -------
        For example ``"anterior near"`` on SAX and ``"superior near"`` on 4Ch for class 6.

    Examples
    --------
    >>> position_name(CardiacView.SAX, PositionClass.UPPER_NEAR)
    'anterior near'
    >>> position_name(CardiacView.FOUR_CHAMBER, PositionClass.LOWER_FAR)
    'inferior far'
    """
    upper, lower = ("superior", "inferior") if view is CardiacView.FOUR_CHAMBER else ("anterior", "posterior")
    return position.name.lower().replace("upper", upper).replace("lower", lower).replace("_", " ")
