"""Colours that stand for something can be distinguished, with every kind of colour vision."""

from itertools import combinations

import numpy as np
import pytest

from cmr_planes.pictures.palette import position_colour, series_colour, structure_colour
from cmr_planes.views import PositionClass, Structure

VISION = {
    "normal": np.eye(3),
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}
"""From linear RGB to the linear RGB that a reader sees: Machado, Oliveira and Fernandes, IEEE TVCG 2009, severity 1."""

XYZ = [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
"""From linear sRGB to CIE XYZ with white D65."""

SMALLEST = 12.0
"""CIE76 difference between two colours; about 2.3 is just noticeable side by side."""


def lab(colour: str, vision: str) -> np.ndarray:
    """CIELAB of a colour as a reader sees it."""
    stored = np.array([int(colour[start : start + 2], 16) for start in (1, 3, 5)]) / 255
    linear = np.where(stored <= 0.04045, stored / 12.92, ((stored + 0.055) / 1.055) ** 2.4)
    seen = np.array(XYZ) @ (np.array(VISION[vision]) @ linear).clip(0, 1) / np.sum(XYZ, axis=1)
    f = np.where(seen > (6 / 29) ** 3, np.cbrt(seen), seen / (3 * (6 / 29) ** 2) + 4 / 29)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


@pytest.mark.parametrize("vision", VISION)
@pytest.mark.parametrize(
    "colours",
    [
        [structure_colour(each) for each in Structure if each],
        [position_colour(each) for each in PositionClass if each],
        [series_colour(number) for number in range(6)],
    ],
    ids=["structures", "positions", "curves"],
)
def test_colours_are_apart_for_every_reader(colours, vision):
    differences = {pair: float(np.linalg.norm(lab(pair[0], vision) - lab(pair[1], vision))) for pair in combinations(colours, 2)}
    closest = min(differences, key=differences.__getitem__)
    assert differences[closest] > SMALLEST, (closest, differences[closest])


def test_a_class_without_a_colour_is_an_error():
    with pytest.raises(ValueError, match="6"):
        structure_colour(6)
    with pytest.raises(KeyError):
        position_colour(PositionClass.BACKGROUND)
