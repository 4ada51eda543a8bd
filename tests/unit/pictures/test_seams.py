"""Two images folded open along their line: tissue runs on across the seam where both show it, and breaks where one is shifted."""

from dataclasses import replace

import numpy as np

from cmr_planes.pictures.png import encode_png
from cmr_planes.pictures.seams import DEPTH_MM, REACH_MM, STEP_MM, Seam, draw_seams, fold
from cmr_planes.views import CardiacView
from tests.helpers.records import APEX, HEART_MM, make_plane

SAX, FOUR = make_plane(CardiacView.SAX), make_plane(CardiacView.FOUR_CHAMBER)


def scene(plane, moved_mm=(0.0, 0.0, 0.0)):
    """A smooth pattern, moved by a vector."""
    column, row = np.meshgrid(np.arange(plane.columns), np.arange(plane.rows))
    x, y, z = np.moveaxis(plane.pixel_to_patient(np.stack([column, row], axis=-1)) - np.array(moved_mm), -1, 0)
    return (1000 + 400 * np.sin((x + y) / 9) + 300 * np.cos((z - y) / 13)).astype(np.uint16)


def folded(first, second, relative_mm=(0.0, 0.0, 0.0)):
    return fold(first, second, centre_mm=HEART_MM, towards=APEX, relative_mm=np.array(relative_mm))


def step_at_seam(image):
    """Mean difference of the two rows beside the seam, over that of rows beside one another elsewhere."""
    steps = np.nanmean(np.abs(np.diff(image, axis=0)), axis=1)
    return steps[len(image) // 2 - 1] / np.median(steps)


def test_tissue_runs_on_across_the_seam_once_planes_are_shifted():
    moved = (3.0, -5.0, 9.0)
    still, shifted = (SAX, scene(SAX)), (FOUR, scene(FOUR, moved))
    image = folded(still, (FOUR, scene(FOUR)))
    assert image.shape == (2 * DEPTH_MM / STEP_MM, 2 * REACH_MM / STEP_MM + 1)
    assert step_at_seam(image) < 2
    assert step_at_seam(folded(still, shifted)) > 5
    assert step_at_seam(folded(still, shifted, relative_mm=-np.array(moved))) < 2


def test_outside_an_image_there_is_nothing():
    small = replace(FOUR, rows=60)
    image = folded((SAX, scene(SAX)), (small, scene(FOUR)[:60]))
    assert np.isfinite(image[: len(image) // 2]).all()
    assert np.isnan(image[len(image) // 2 :]).any()


def test_a_sheet_is_a_picture():
    image = folded((SAX, scene(SAX)), (FOUR, scene(FOUR)))
    sheet = draw_seams([[Seam(image=image, title="slice 1 · 4Ch · headers")] * 2] * 3, heading="subject 1")
    assert encode_png(sheet).startswith(b"\x89PNG")
    assert len(sheet.axes) == 6
