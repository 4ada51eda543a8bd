"""The figures of the pages on concepts are what the code draws, and show what the software computes."""

import io
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cmr_planes.cine.long_axis import REFERENCE_ANGLES_DEG
from cmr_planes.views import CardiacView
from tools.concept_figures import DPI, FIGURES, WIDTH, angle_deg, heart, png

ROOT = Path(__file__).parents[2]
COPIES = ROOT / "docs/images/concepts"
PAGES = [*(ROOT / "docs").rglob("*.md")]


def pixels(content: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(content)).convert("RGB"), dtype=float)


@pytest.mark.parametrize("name", FIGURES)
def test_a_copy_is_what_the_command_draws(name):
    copy, drawn = pixels((COPIES / f"{name}.png").read_bytes()), pixels(png(name))
    assert copy.shape == drawn.shape, "python -m tools.make_figures docs/images"
    assert copy.shape[1] == round(WIDTH * DPI)
    assert np.abs(copy - drawn).mean() < 2, "python -m tools.make_figures docs/images"
    assert copy.std() > 10  # something is drawn


def test_every_figure_has_a_page_and_an_alternative_text():
    text = "".join(page.read_text(encoding="utf-8") for page in PAGES)
    shown = {name: words for words, name in re.findall(r"!\[([^\]]*)\]\((?:\.\./)?images/concepts/(\w+)\.png\)", text)}
    assert sorted(shown) == sorted(FIGURES)
    assert [name for name, words in shown.items() if len(words) < 60] == []
    assert sorted(path.stem for path in COPIES.iterdir()) == sorted(FIGURES)


@pytest.mark.parametrize("view", [CardiacView.TWO_CHAMBER, CardiacView.FOUR_CHAMBER, CardiacView.THREE_CHAMBER])
def test_the_fan_of_the_phantom_is_that_of_hearts(view):
    _, direction = heart().line(CardiacView.SAX, view)
    off = (angle_deg(heart().planes[CardiacView.SAX], direction) - REFERENCE_ANGLES_DEG[view] + 90) % 180 - 90
    assert abs(off) < 15
