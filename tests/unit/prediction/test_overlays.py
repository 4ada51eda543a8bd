"""Pictures of label maps: the image is visible inside the outlines."""

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from cmr_train.prediction.overlays import Sheet, draw


@pytest.mark.parametrize("is_found", [True, False])
def test_the_image_is_seen_inside_a_structure(is_found):
    image = np.full((80, 80), 1000, dtype=np.uint16)
    image[:2] = 0
    labels = np.zeros((1, 1, 80, 80), dtype=np.uint8)
    labels[0, 0, 20:60, 20:60] = 2 * is_found
    labels[0, 0, 30:50, 30:50] = is_found
    colours = {1: "#FF0000", 2: "#00FF00"}
    sheet = Sheet(
        images=[[image]], labels=labels, phases=("ed",), classes={1: "LV", 2: "Myo"}, colour=colours.get, aspect=1.0, heading="SAX"
    )
    figure = draw(sheet)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    drawn = np.asarray(canvas.buffer_rgba())[..., :3].astype(int)
    (axes,) = figure.axes
    window = axes.get_xlim()[1] - axes.get_xlim()[0]

    def at(column: float, row: float) -> np.ndarray:
        offset = 0 if window == 80 else max(0, 20 - 24)  # of the part that is shown
        x, y = axes.transData.transform((column - offset, row - offset))
        return drawn[drawn.shape[0] - 1 - round(y), round(x)]

    for place in ((40, 40), (25, 40)):  # inside LV, inside Myo: grey as the image, without colour
        assert np.ptp(at(*place)) == 0
        assert at(*place)[0] > 200
    inner, outer = (np.array([at(column + step, 40) for step in np.linspace(-0.7, 0.7, 9)]) for column in (29.5, 19.5))
    assert bool(((inner[:, 0] > 180) & (inner[:, 1] < 90)).any()) == is_found  # LV's red lies above Myo's green
    assert bool(((outer[:, 1] > 180) & (outer[:, 0] < 90)).any()) == is_found
