"""What is drawn lies where it should: checked on the figure's own objects and on the pixels of the picture."""

from dataclasses import replace
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.image import imread
from matplotlib.patches import Rectangle

from cmr_planes.pictures.contact_sheet import SheetImage, box_letters, draw_sheet, orientation_letters
from cmr_planes.pictures.palette import position_colour, structure_colour
from cmr_planes.pictures.png import encode_png
from cmr_planes.views import TARGET_VIEWS, CardiacView, PositionClass, Structure
from tests.helpers.records import make_view


def make_panel(
    view: CardiacView, *, warning: str = "", matrix: tuple[int, int] = (208, 180), with_positions: bool = True
) -> SheetImage:
    record = make_view(view, n_slices=1, matrix=matrix, with_positions=with_positions)
    positions = record.positions[0] if record.positions else None
    return SheetImage(
        image=record.image[0, 0],
        plane=record.planes[0],
        centres_px=positions.centres_px if positions else None,
        boxes=positions.boxes if positions else None,
        title="subject 1",
        warning=warning,
    )


@pytest.mark.parametrize("view", TARGET_VIEWS)
def test_boxes_are_outlined_at_their_pixels_and_lettered_in_the_views_words(view: CardiacView) -> None:
    panel = make_panel(view)
    (axes,) = draw_sheet(view, [panel], heading="h").axes
    outlines = [patch for patch in axes.patches if isinstance(patch, Rectangle)]
    assert len(outlines) == 9
    for outline, (row_start, row_stop, column_start, column_stop) in zip(outlines, panel.boxes, strict=True):
        corner = (outline.get_x(), outline.get_y(), outline.get_width(), outline.get_height())
        assert corner == (column_start - 0.5, row_start - 0.5, column_stop - column_start, row_stop - row_start)
    written = {text.get_text() for text in axes.texts}
    assert {box_letters(view, position) for position in PositionClass if position} <= written


def test_a_box_that_is_cut_is_drawn_as_far_as_it_goes() -> None:
    panel = make_panel(CardiacView.SAX, matrix=(110, 100))
    (axes,) = draw_sheet(CardiacView.SAX, [panel], heading="h").axes
    for outline in axes.patches:
        assert outline.get_x() >= -0.5
        assert outline.get_y() >= -0.5
        assert outline.get_x() + outline.get_width() <= 99.5
        assert outline.get_y() + outline.get_height() <= 109.5
    assert len(axes.patches) < 9 or min(outline.get_height() for outline in axes.patches) < 11


def test_each_line_runs_through_the_centres_of_its_boxes() -> None:
    panel = make_panel(CardiacView.SAX)
    (axes,) = draw_sheet(CardiacView.SAX, [panel], heading="h").axes
    for line, members in zip(axes.lines, ((1, 2, 3, 4, 5), (1, 6, 7, 8, 9)), strict=True):
        first, second = np.array(line.get_xy1()), np.array(line.get_xy2())
        along = (second - first) / np.linalg.norm(second - first)
        for member in members:
            offset = panel.centres_px[member - 1] - first
            assert abs(offset[0] * along[1] - offset[1] * along[0]) < 1e-6


@pytest.mark.parametrize("view", TARGET_VIEWS)
def test_letters_of_a_view_are_all_different(view: CardiacView) -> None:
    letters = [box_letters(view, position) for position in PositionClass if position]
    assert len(set(letters)) == 9


def test_the_letters_at_the_edges_are_those_of_the_patient() -> None:
    assert orientation_letters(np.array([1.0, 0, 0])) == "L"
    assert orientation_letters(np.array([0, -1.0, 0])) == "A"
    assert orientation_letters(np.array([0, 0.1, -1.0])) == "F"
    assert orientation_letters(np.array([-0.5, 0.8, 0.1])) == "PR"


def test_a_picture_shows_the_colours_of_all_arms_and_repeats_byte_for_byte(tmp_path: Path) -> None:
    panels = [make_panel(CardiacView.SAX), make_panel(CardiacView.SAX, warning="low agreement")]
    for name in ("one.png", "two.png"):
        (tmp_path / name).write_bytes(encode_png(draw_sheet(CardiacView.SAX, panels, heading="SAX")))
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "two.png").read_bytes()
    picture = (imread(tmp_path / "one.png")[..., :3] * 255).round().astype(int)
    for colour in map(position_colour, range(1, 10)):
        wanted = [int(colour[place : place + 2], 16) for place in (1, 3, 5)]
        assert (np.abs(picture - wanted).max(axis=-1) < 12).any(), colour


def test_a_warning_frames_the_image() -> None:
    plain, warned = draw_sheet(
        CardiacView.SAX, [make_panel(CardiacView.SAX), make_panel(CardiacView.SAX, warning="low")], heading="h"
    ).axes
    assert not any(spine.get_visible() for spine in plain.spines.values())
    assert all(spine.get_visible() for spine in warned.spines.values())
    assert warned.get_title().endswith("low")


def test_an_image_without_positions_is_drawn_without_boxes() -> None:
    (axes,) = draw_sheet(CardiacView.SAX, [make_panel(CardiacView.SAX, with_positions=False)], heading="h").axes
    assert len(axes.images) == 1
    assert not axes.patches
    assert not axes.lines


def test_an_empty_image_can_be_drawn() -> None:
    panel = make_panel(CardiacView.SAX)
    black = SheetImage(
        **{name: getattr(panel, name) for name in SheetImage.__slots__} | {"image": np.zeros((208, 180), dtype=np.uint16)}
    )
    assert imread(BytesIO(encode_png(draw_sheet(CardiacView.SAX, [black], heading="h")))).size


@pytest.mark.parametrize("n_panels", [1, 2, 3, 4, 5, 9])
def test_panels_stay_on_the_sheet_and_apart(n_panels: int) -> None:
    panels = [make_panel(CardiacView.SAX, matrix=(180 + 10 * (number % 3), 180)) for number in range(n_panels)]
    axes = draw_sheet(CardiacView.SAX, panels, heading="h").axes
    assert len(axes) == n_panels
    boxes = [each.get_position() for each in axes]
    assert all(box.x0 >= 0 and box.x1 <= 1 and box.y0 >= 0 and box.y1 <= 1 for box in boxes)
    assert not any(first.overlaps(second) for number, first in enumerate(boxes) for second in boxes[number + 1 :])


def test_a_sheet_without_boxes_has_no_strip_for_their_legend() -> None:
    plain, boxed = (
        draw_sheet(CardiacView.SAX, [make_panel(CardiacView.SAX, with_positions=has_boxes)], heading="h")
        for has_boxes in (False, True)
    )
    bottoms = [figure.axes[0].get_position().y0 * figure.get_size_inches()[1] for figure in (plain, boxed)]
    assert bottoms[0] < 0.1 < 0.5 < bottoms[1]


def labelled(panel: SheetImage) -> SheetImage:
    labels = np.zeros(panel.image.shape, dtype=np.uint8)
    labels[80:120, 70:110], labels[90:110, 80:100] = Structure.MYO, Structure.LV
    return replace(panel, labels=labels)


def test_the_outline_of_lv_lies_above_that_of_the_myocardium() -> None:
    """Both run along the same edge, so only the upper one can be seen: artists of one height are drawn in their order."""
    panel = labelled(make_panel(CardiacView.SAX, with_positions=False))
    (axes,) = draw_sheet(CardiacView.SAX, [panel], heading="h").axes
    colours = [to_hex(outline.get_edgecolor()[0]).upper() for outline in axes.collections]
    assert colours == [structure_colour(Structure.MYO), structure_colour(Structure.LV)]
    assert len({outline.get_zorder() for outline in axes.collections}) == 1


def test_beside_labels_boxes_have_no_colours_that_mean_structures() -> None:
    axes, other = draw_sheet(
        CardiacView.SAX, [labelled(make_panel(CardiacView.SAX)), make_panel(CardiacView.SAX)], heading="h"
    ).axes
    assert len({patch.get_edgecolor() for patch in axes.patches}) == 1
    assert other.get_title().endswith("no labels")
    assert not axes.get_title().endswith("no labels")


@pytest.mark.parametrize("view", TARGET_VIEWS)
def test_lines_bear_their_names(view: CardiacView) -> None:
    panel = replace(make_panel(view), line_names=("first plane", "second plane"))
    (axes,) = draw_sheet(view, [panel], heading="h").axes
    for name, line in zip(panel.line_names, axes.lines, strict=True):
        (text,) = [text for text in axes.texts if text.get_text() == name]
        first, second = np.array(line.get_xy1()), np.array(line.get_xy2())
        along = (second - first) / np.linalg.norm(second - first)
        offset = np.array(text.get_position()) - first
        assert abs(offset[0] * along[1] - offset[1] * along[0]) < 1e-6
        assert text.get_color() == line.get_color()


def test_a_box_that_no_image_shows_is_said_to_be_outside() -> None:
    panel = make_panel(CardiacView.SAX)
    boxes = panel.boxes.copy()
    boxes[8] += 500
    legend = {text.get_text() for text in draw_sheet(CardiacView.SAX, [replace(panel, boxes=boxes)], heading="h").texts}
    assert "P2  posterior far (9, outside)" in legend
    assert "P1  posterior near (8)" in legend


def test_panels_have_no_white_ground() -> None:
    (axes,) = draw_sheet(CardiacView.SAX, [make_panel(CardiacView.SAX)], heading="h").axes
    assert max(axes.get_facecolor()[:3]) < 0.2


@pytest.mark.parametrize("view", [CardiacView.SAX, CardiacView.TWO_CHAMBER, CardiacView.FOUR_CHAMBER])
def test_no_word_is_cut_by_the_border_of_an_image(view: CardiacView) -> None:
    whole = make_panel(view)
    assert whole.boxes is not None
    assert whole.centres_px is not None
    for shift in (-40, -25, -10, 10, 25, 40):  # boxes and names of lines come to lie across each border
        for step_px in ((shift, 0), (0, shift)):
            boxes = whole.boxes + np.array([step_px[1], step_px[1], step_px[0], step_px[0]])
            panel = replace(whole, boxes=boxes, centres_px=whole.centres_px + step_px, line_names=("4Ch plane", "2Ch plane"))
            figure = draw_sheet(view, [panel], heading="")
            figure.draw_without_rendering()
            image = figure.axes[0].get_window_extent()
            for text in figure.axes[0].texts:
                words = text.get_window_extent()
                room = np.concatenate([words.min - image.min, image.max - words.max])
                assert room.min() >= -1, (text.get_text(), step_px)  # pixels of the picture


@pytest.mark.parametrize("view", [CardiacView.SAX, CardiacView.TWO_CHAMBER, CardiacView.FOUR_CHAMBER])
@pytest.mark.parametrize("closeness", [1.0, 0.5])
def test_the_name_of_a_line_covers_no_box(view: CardiacView, closeness: float) -> None:
    panel = make_panel(view)
    assert panel.centres_px is not None
    assert panel.boxes is not None
    steps = ((closeness - 1) * (panel.centres_px - panel.centres_px[0])).round().astype(int)  # a wide field of view has them close
    boxes = panel.boxes + steps[:, [1, 1, 0, 0]]
    panel = replace(panel, centres_px=panel.centres_px + steps, boxes=boxes, line_names=("4Ch plane", "2Ch plane"))
    assert panel.centres_px is not None
    figure = draw_sheet(view, [panel], heading="")
    figure.draw_without_rendering()
    axes = figure.axes[0]
    names = [text for text in axes.texts if text.get_text() in {"4Ch plane", "2Ch plane"}]
    assert len(names) == 2
    centres = axes.transData.transform(panel.centres_px)
    half_sides = axes.get_window_extent().width / panel.plane.columns * (panel.boxes[:, 1] - panel.boxes[:, 0]) / 2
    for text in names:
        place = axes.transData.transform(text.get_position())
        text.set_rotation(0)
        half_name = text.get_window_extent().width / 2
        assert (np.hypot(*(centres - place).T) >= half_name + half_sides - 1).all(), text.get_text()
