"""Draw the figures of the README and of the documentation.

``python -m tools.make_figures docs/images`` draws the way of the data, the hard phantoms and the figures of the pages on concepts;
with a catalogue, that of ``make demo``, as in ``python -m tools.make_figures docs/images demo/out.h5``, the positions too. Equal
input gives equal bytes.
"""

import io
import sys
from dataclasses import dataclass
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch
from numpy.typing import NDArray
from PIL import Image

from cmr_planes.phantom.acquisition import Examination, Protocol, image_series
from cmr_planes.phantom.cohort import CohortOptions, make_examination
from cmr_planes.phantom.variety import HARD_FRACTIONS
from cmr_planes.pictures.contact_sheet import SheetImage, draw_sheet
from cmr_planes.pictures.png import encode_png
from cmr_planes.pictures.space import draw_scene
from cmr_planes.quality.scenes import read_scene
from cmr_planes.quality.sheets import line_names
from cmr_planes.shards.catalogue import Catalogue
from cmr_planes.views import CardiacView
from tools.concept_figures import FIGURES, png

PANELS = {CardiacView.SAX: [(0, 2), (0, 5), (1, 5)], CardiacView.FOUR_CHAMBER: [(0, 0), (1, 0)]}
"""Phase and slice of the images of each figure."""

IN_SPACE = "space.png"
"""The planes of the first subject in space: what ``cmr-planes show OUT.h5 -o DIR --space --limit 1`` draws, in fewer colours."""

N_HARD, THUMBNAIL_PX, THUMBNAIL_MM = 8, 120, 250.0
"""Subjects of the picture of hard phantoms, and the size of each of its images."""

INK, MUTED, PAPER = "#1b2733", "#51606e", "#ffffff"
PLANES, TRAIN = "#0b6e8f", "#a3480b"
"""The colours of the two packages."""
BOX = (2.5, 1.18)
"""Width and height of a step."""
SPACE = (0.42, 0.75)
"""Between steps of a row, and between rows."""

Point = tuple[float, float]


@dataclass(frozen=True)
class Step:
    """One step of the data, with the rooms that it happens in."""

    title: str
    detail: str
    rooms: str


@dataclass(frozen=True)
class Band:
    """The steps in one package, row by row."""

    title: str
    colour: str
    rows: tuple[tuple[Step, ...], ...]


BANDS = (
    Band(
        "cmr_planes: from scans to position masks (extraction joins the steps)",
        PLANES,
        (
            (
                Step("sources", "folders, zips, files\nof each subject", "discovery"),
                Step("headers", "the elements needed,\nstreamed, never unpacked", "dicom · nifti"),
                Step("acquisitions", "frames of one plane\nin the order of time", "cine"),
                Step("views", "SAX, 2Ch, 3Ch, 4Ch\nby geometry", "cine"),
                Step("phases, frames", "ED and ES,\nand their pixels", "cine · dicom · nifti"),
            ),
            (
                Step("planes, lines, boxes", "nine positions\non each image", "geometry"),
                Step("manual labels", "laid on the images,\nwhere there are any", "annotations"),
                Step("record", "a subject's images, masks,\nlabels and findings", "extraction"),
                Step("shards", "sealed HDF5 files,\n32 subjects each", "shards"),
                Step("catalogue", "out.h5, the one file\nthat users open", "shards"),
            ),
        ),
    ),
    Band(
        "cmr_train: from a catalogue to segmentations (recipes hold the four jobs)",
        TRAIN,
        (
            (
                Step("data", "splits, images, batches,\naugmentation", "data"),
                Step("network", "U-Net and its\ninitial weights", "models"),
                Step("pretext, finetune", "loss, steps, transfer,\nvalidation", "training · recipes"),
                Step("run", "configuration, split,\nweights in a folder", "runs"),
                Step("evaluate, predict", "scores; label maps,\npictures, volumes", "evaluation · prediction"),
            ),
            (
                Step("study", "many runs on the same\ntest subjects", "study"),
                Step("report", "one page with tables\nand figures", "report"),
            ),
        ),
    ),
)


def draw_positions(catalogue_path: str, folder: Path) -> None:
    """Write one PNG for each view, images with their lines and boxes, and the planes of the first subject in space."""
    with Catalogue(catalogue_path) as catalogue:
        subject = catalogue.subjects().key[0]
        for view, places in PANELS.items():
            attributes = catalogue.view_attributes(subject, view)
            boxes = attributes.boxes
            if boxes is None:
                sys.exit(f"{catalogue_path!r} has no positions of its first subject in {view.title}")
            panels = [
                SheetImage(
                    image=catalogue.image(subject, view, phase, level),
                    plane=attributes.planes[level],
                    centres_px=boxes.centres_px[level],
                    boxes=boxes.boxes[level],
                    line_names=line_names(boxes.line_views),
                    title=f"{attributes.phases[phase].upper()}" + (f", slice {level + 1}" if view is CardiacView.SAX else ""),
                )
                for phase, level in places
            ]
            _save(
                draw_sheet(view, panels, heading=f"{view.title}: positions from the view planes"), folder / f"{view.value}.png", 128
            )
        scene = read_scene(catalogue, subject, 1, with_key=False)
        if scene is None:
            raise ValueError(f"the first subject of {catalogue_path!r} has no positions")
        _save(draw_scene(scene), folder / IN_SPACE, 256)


def _save(figure: Figure, path: Path, n_colours: int) -> None:
    """Write a figure as a small PNG."""
    picture = Image.open(io.BytesIO(encode_png(figure))).convert("P", palette=Image.Palette.ADAPTIVE, colors=n_colours)
    picture.save(path, optimize=True)


def draw_hard_phantoms(folder: Path) -> None:
    """Write ``hard_phantoms.png``: images at end-diastole of the first subjects of a hard cohort, a subject a column."""
    options = CohortOptions(is_hard=True, fractions=HARD_FRACTIONS, protocol=Protocol(n_frames=2))
    columns = []
    for index in range(N_HARD):
        examination = make_examination(options, index)
        views = [one.view for one in examination.prescriptions]
        middle = views.index(CardiacView.SAX) + len(examination.slices(CardiacView.SAX)) // 2
        places = (middle, views.index(CardiacView.FOUR_CHAMBER), views.index(CardiacView.TWO_CHAMBER))
        columns.append(np.concatenate([_thumbnail(examination, place) for place in places]))
    Image.fromarray(np.concatenate(columns, axis=1)).save(folder / "hard_phantoms.png", optimize=True)


def _thumbnail(examination: Examination, place: int) -> NDArray[np.uint8]:
    """Return the middle of an image as a grey square of the thumbnails' size."""
    image = image_series(examination, place, number=1).frames[0].astype(float)
    half = round(0.5 * THUMBNAIL_MM / examination.prescriptions[place].plane.row_spacing_mm)
    row, column = image.shape[0] // 2, image.shape[1] // 2
    square = np.pad(image, half)[row : row + 2 * half, column : column + 2 * half]
    grey = np.clip(square * (255.0 / np.percentile(image, 99.5)), 0, 255).astype(np.uint8)
    return np.asarray(Image.fromarray(grey).resize((THUMBNAIL_PX, THUMBNAIL_PX), Image.Resampling.LANCZOS))


def draw_way(folder: Path) -> None:
    """Write ``way_of_the_data.svg``: each step from scans to the report, with its room."""
    n_columns = max(len(row) for band in BANDS for row in band.rows)
    n_rows = sum(len(band.rows) for band in BANDS)
    width = n_columns * (BOX[0] + SPACE[0]) + 2 * SPACE[0]
    height = n_rows * (BOX[1] + SPACE[1]) + len(BANDS) * 0.5 + 0.3
    with mpl.rc_context({"svg.hashsalt": "cmr-planes", "font.family": "DejaVu Sans"}):
        figure = Figure(figsize=(width, height), facecolor=PAPER)
        axes = figure.add_axes((0, 0, 1, 1), xlim=(0, width), ylim=(0, height))
        axes.axis("off")
        top, end = height - 0.2, None
        for band in BANDS:
            top, end = _draw_band(axes, band, top, end)
        figure.savefig(folder / "way_of_the_data.svg", metadata={"Date": None})


def _draw_band(axes: Axes, band: Band, top: float, end: Point | None) -> tuple[float, Point | None]:
    """Draw a package's steps below ``top``, coming from the bottom of a step at ``end``; return the new top and end."""
    depth = len(band.rows) * (BOX[1] + SPACE[1]) + 0.38
    frame = FancyBboxPatch(
        (SPACE[0], top - depth + 0.2),
        axes.get_xlim()[1] - 2 * SPACE[0],
        depth - 0.2,
        boxstyle="round,pad=0,rounding_size=0.12",
        facecolor=band.colour + "12",
        edgecolor=band.colour,
        linewidth=1.2,
    )
    axes.add_patch(frame)
    axes.text(SPACE[0] + 0.2, top - 0.2, band.title, color=band.colour, fontsize=13, fontweight="bold", va="top")
    row_top = top - 0.75
    for row in band.rows:
        lefts = [SPACE[0] * 1.5 + number * (BOX[0] + SPACE[0]) for number in range(len(row))]
        if end is not None:
            _draw_turn(axes, end, (lefts[0] + BOX[0] / 2, row_top))
        for left, step in zip(lefts, row, strict=True):
            _draw_step(axes, step, left, row_top, band.colour)
        for left in lefts[1:]:
            _draw_arrow(axes, (left - SPACE[0], row_top - BOX[1] / 2), (left, row_top - BOX[1] / 2))
        end = (lefts[-1] + BOX[0] / 2, row_top - BOX[1])
        row_top -= BOX[1] + SPACE[1] - 0.05
    return top - depth - 0.12, end


def _draw_step(axes: Axes, step: Step, left: float, top: float, colour: str) -> None:
    shape = FancyBboxPatch(
        (left, top - BOX[1]), *BOX, boxstyle="round,pad=0,rounding_size=0.1", facecolor=PAPER, edgecolor=colour, linewidth=1.2
    )
    axes.add_patch(shape)
    middle = left + BOX[0] / 2
    axes.text(middle, top - 0.12, step.title, color=INK, fontsize=12.5, fontweight="bold", ha="center", va="top")
    axes.text(middle, top - 0.60, step.detail, color=MUTED, fontsize=10, ha="center", va="center", linespacing=1.25)
    axes.text(
        middle,
        top - BOX[1] + 0.09,
        step.rooms,
        color=colour,
        fontsize=10.5,
        fontweight="bold",
        ha="center",
        family="DejaVu Sans Mono",
    )


def _draw_arrow(axes: Axes, start: Point, end: Point) -> None:
    axes.annotate(
        "", xy=end, xytext=start, arrowprops={"arrowstyle": "-|>", "color": INK, "linewidth": 1.4, "shrinkA": 0, "shrinkB": 0}
    )


def _draw_turn(axes: Axes, start: Point, end: Point) -> None:
    """Draw the way from the bottom of a row's last step to the top of the next row's first."""
    across = end[1] + 0.2
    axes.plot([start[0], start[0], end[0], end[0]], [start[1], across, across, end[1] + 0.1], color=INK, linewidth=1.4)
    _draw_arrow(axes, (end[0], end[1] + 0.15), end)


def draw_concepts(folder: Path) -> None:
    """Write the figures of the pages on concepts."""
    folder.mkdir(exist_ok=True)
    for name in FIGURES:
        (folder / f"{name}.png").write_bytes(png(name))


def main(folder: str, catalogue_path: str | None = None) -> None:
    """Write the figures."""
    draw_concepts(Path(folder) / "concepts")
    draw_way(Path(folder))
    draw_hard_phantoms(Path(folder))
    if catalogue_path is not None:
        draw_positions(catalogue_path, Path(folder))


if __name__ == "__main__":
    main(*sys.argv[1:])
