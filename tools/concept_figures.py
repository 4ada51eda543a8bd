"""The figures of the pages on concepts, computed from one phantom, from plane geometry, and from a study's table.

Each function returns one figure, 374 points wide, with text of 9 points and more: it stays legible in a window of 400 pixels.
"""

import csv
import functools
import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Arc, Polygon, Rectangle
from matplotlib.patheffects import Normal, Stroke
from matplotlib.transforms import Affine2D
from numpy.typing import NDArray
from PIL import Image

from cmr_planes.cine.long_axis import REFERENCE_ANGLES_DEG
from cmr_planes.cine.phases import ED_WINDOW, ES_WINDOW, CycleCurves, blood_pool_curve, difference_curve, disc_mask, find_phases
from cmr_planes.geometry import BoxLayout, BoxUnits, ImagePlane, Positions, intersect_planes, intersect_three_planes
from cmr_planes.geometry.arrays import FloatArray, unit
from cmr_planes.geometry.lines import line_in_image
from cmr_planes.phantom.acquisition import Examination, Protocol, image_series, true_positions
from cmr_planes.phantom.cohort import CohortOptions, make_examination
from cmr_planes.pictures.contact_sheet import PERCENTILES, draw_boxes, orientation_letters
from cmr_planes.pictures.palette import line_colour, view_colour
from cmr_planes.views import TARGET_VIEWS, CardiacView

ROOT = Path(__file__).parents[1]
STUDY_TABLE = ROOT / "examples" / "studies" / "hard" / "table.csv"
"""The study whose numbers the chart on reading a report shows."""

WIDTH = 5.2
"""Inches."""
INK, MUTED, GRID, PAPER = "#1b2733", "#51606e", "#d5dbe0", "#ffffff"
FRESH, COPIED, ACCENT = "#8a94a0", "#0b6e8f", "#a3480b"
"""Random weights, weights of the pretext, and what a reader is pointed at."""
N_FRAMES = 25
DPI = 170
"""Pixels per inch."""
VIEWER = np.array([0.62, -0.72, 0.31])
"""Towards the viewer of the image plane, LPS: left, in front and above."""

Point = tuple[float, float]


@dataclass(frozen=True, eq=False)
class Heart:
    """The phantom of all figures."""

    examination: Examination
    cine: NDArray[np.uint16]
    """The middle short-axis slice, shape (frame, row, column)."""
    stills: Mapping[CardiacView, NDArray[np.uint16]]
    """Images at end-diastole of the three views; of the short axis, of the middle slice."""
    planes: Mapping[CardiacView, ImagePlane]
    """Planes of all four views; of the short axis, of the middle slice."""

    @property
    def centre_mm(self) -> FloatArray:
        """Where the three planes meet."""
        return intersect_three_planes(*(self.planes[view] for view in TARGET_VIEWS)).point_mm

    def line(self, view: CardiacView, other: CardiacView) -> tuple[FloatArray, FloatArray]:
        """Return the line of another view on a view's image: its point nearest to the centre, and its direction, (column, row)."""
        plane = self.planes[view]
        point, direction = line_in_image(intersect_planes(plane, self.planes[other]), plane)
        centre = plane.patient_to_pixel(self.centre_mm)[:2]
        return point[:2] + ((centre - point[:2]) @ direction) * direction, direction


@functools.cache
def heart() -> Heart:
    """Image the first subject of the usual cohort."""
    examination = make_examination(CohortOptions(protocol=Protocol(n_frames=N_FRAMES)), 0)
    views = [one.view for one in examination.prescriptions]
    places = {view: views.index(view) for view in CardiacView}
    places[CardiacView.SAX] += len(examination.slices(CardiacView.SAX)) // 2
    cine = image_series(examination, places[CardiacView.SAX], number=1).frames
    still = make_examination(CohortOptions(protocol=Protocol(n_frames=2)), 0)
    long_axis: dict[CardiacView, NDArray[np.uint16]] = {
        view: image_series(still, places[view], number=1).frames[0] for view in TARGET_VIEWS if view is not CardiacView.SAX
    }
    return Heart(
        examination=examination,
        cine=cine,
        stills={CardiacView.SAX: cine[0], **long_axis},
        planes={view: examination.prescriptions[place].plane for view, place in places.items()},
    )


def image_plane() -> Figure:
    """Draw an image in the patient: axes, ImagePositionPatient, the two directions, and one pixel."""
    plane, image = heart().planes[CardiacView.SAX], heart().stills[CardiacView.SAX]
    right = unit(np.cross([0.0, 0.0, 1.0], VIEWER))
    up = unit(np.cross(VIEWER, right))
    view = 0.94 * np.stack([right, up])
    figure = Figure(figsize=(WIDTH, 4.75), facecolor=PAPER)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(-262, 262), ylim=(-240, 239), aspect="equal")
    axes.axis("off")
    shift = -view @ plane.centre_mm + np.array([54.0, 40.0])

    def seen(point_mm: FloatArray) -> FloatArray:
        return np.asarray(view @ point_mm + shift)

    def pixel(column: float, row: float) -> FloatArray:
        return seen(plane.pixel_to_patient([column, row]))

    first, last, below = pixel(0, 0), pixel(plane.columns - 1, 0), pixel(0, plane.rows - 1)
    steps = np.column_stack([(last - first) / (plane.columns - 1), (below - first) / (plane.rows - 1), first])
    matrix = np.vstack([steps, [0, 0, 1]])
    axes.imshow(_grey(image), cmap="gray", transform=Affine2D(matrix) + axes.transData, interpolation="bilinear", zorder=1)
    corners = [pixel(c, r) for c, r in ((0, 0), (plane.columns - 1, 0), (plane.columns - 1, plane.rows - 1), (0, plane.rows - 1))]
    axes.add_patch(Polygon(corners, fill=False, edgecolor=INK, linewidth=1.2, zorder=2))
    axes.set(xlim=(-262, 262), ylim=(-240, 239))

    blue, green, orange = view_colour(CardiacView.SAX), view_colour(CardiacView.TWO_CHAMBER), view_colour(CardiacView.FOUR_CHAMBER)
    _arrow(axes, first, first + 0.42 * (last - first), orange, width=2.6)
    _arrow(axes, first, first + 0.42 * (below - first), green, width=2.6)
    axes.plot(*first, "o", color=blue, markersize=8, zorder=6)
    column, row = (round(value) for value in plane.patient_to_pixel(heart().centre_mm)[:2].tolist())
    at = pixel(column, row)
    axes.plot(*at, "o", color="#ffd400", markeredgecolor=INK, markersize=8, zorder=6)

    cosines = [", ".join(f"{value:.2f}" for value in axis).replace("-", "−") for axis in (plane.row_cosine, plane.column_cosine)]
    entries = (
        (blue, f"ImagePositionPatient: pixel (0, 0)\nlies at ({_numbers(plane.position_mm)}) mm"),
        (orange, f"row direction\n({cosines[0]}),\n{plane.column_spacing_mm:g} mm from pixel to pixel"),
        (green, f"column direction\n({cosines[1]}),\n{plane.row_spacing_mm:g} mm from row to row"),
        ("#ffd400", f"pixel ({column}, {row}) then lies at\n({_numbers(plane.pixel_to_patient([column, row]))}) mm"),
    )
    for number, (colour, words) in enumerate(entries):
        x, y = (-252, 22)[number % 2], (-130, -197)[number // 2]
        axes.plot(x + 5, y + 10, "o", color=colour, markeredgecolor=INK, markeredgewidth=0.5, markersize=8)
        axes.text(x + 16, y, words, fontsize=9.3, va="center", linespacing=1.3)
    heights = {"x": "top", "y": "center", "z": "bottom"}
    origin = np.array([-232.0, 110.0])
    for direction, letter in (((1, 0, 0), "x left"), ((0, 1, 0), "y posterior"), ((0, 0, 1), "z head")):
        tip = origin + 66 * (view @ np.array(direction, dtype=float))
        _arrow(axes, origin, tip, INK, width=1.6)
        away = unit(tip - origin)
        column, row = tip + 9 * away
        axes.text(column, row, letter, ha="left" if away[0] > 0.5 else "center", va=heights[letter[0]], fontsize=10, weight="bold")
    axes.text(-252, 232, "patient coordinates", fontsize=11, weight="bold", va="top")
    return figure


def three_views() -> Figure:
    """Draw SAX, 4Ch and 2Ch, each with the lines of the other planes; on the long axes all planes of the stack."""
    order = (CardiacView.SAX, CardiacView.FOUR_CHAMBER, CardiacView.TWO_CHAMBER)
    figure = Figure(figsize=(WIDTH, 2.28), facecolor=PAPER)
    side = 1.68 / WIDTH
    for number, view in enumerate(order):
        axes = figure.add_axes((0.012 + number * (side + 0.006), 0.115, side, side * WIDTH / 2.28))
        plane = heart().planes[view]
        _show(axes, heart().stills[view], plane, heart().centre_mm, 75.0)
        for one in heart().examination.slices(CardiacView.SAX) if view is not CardiacView.SAX else ():
            point, direction = line_in_image(intersect_planes(plane, one.plane), plane)
            _line(axes, point[:2], direction[:2], view_colour(CardiacView.SAX), width=1.0, half=plane.columns, alpha=0.9)
        for other in order:
            if other not in (view, CardiacView.SAX):
                _line(axes, *heart().line(view, other), _on_image(other), width=2.0, half=plane.columns)
        figure.text(
            0.012 + number * (side + 0.006) + side / 2, 0.985, view.title, ha="center", va="top", fontsize=11, weight="bold"
        )
        _letters(axes, plane)
    x = 0.02
    for view, words in (
        (CardiacView.SAX, "SAX stack"),
        (CardiacView.FOUR_CHAMBER, "4Ch plane"),
        (CardiacView.TWO_CHAMBER, "2Ch plane"),
    ):
        figure.text(x, 0.012, "▬", color=view_colour(view), fontsize=13, va="bottom")
        figure.text(x + 0.052, 0.02, words, fontsize=10, va="bottom")
        x += 0.33
    return figure


def fan() -> Figure:
    """Draw how the long-axis planes cut a short-axis image, with their angles from superior towards the patient's left."""
    plane = heart().planes[CardiacView.SAX]
    figure = Figure(figsize=(WIDTH, 4.05), facecolor=PAPER)
    axes = figure.add_axes((0.02, 0.01, 0.76, 0.98))
    half_mm = 82.0
    _show(axes, heart().stills[CardiacView.SAX], plane, heart().centre_mm, half_mm)
    centre = plane.patient_to_pixel(heart().centre_mm)[:2]
    px = 1 / plane.row_spacing_mm
    towards = unit(plane.direction_to_pixel(_in_plane(plane, np.array([0.0, 0.0, 1.0])))[:2])
    _arrow(axes, centre, centre + 66 * px * towards, "#ffffff", width=1.6)
    _outlined(axes, centre + 72 * px * _turned(towards, 17 * _turn_to_left(plane, towards)), "superior", "#ffffff", size=10)
    start = np.degrees(np.arctan2(towards[1], towards[0]))
    turn = _turn_to_left(plane, towards)
    for radius, view in zip(
        (24, 36, 48), (CardiacView.TWO_CHAMBER, CardiacView.FOUR_CHAMBER, CardiacView.THREE_CHAMBER), strict=True
    ):
        _, direction = heart().line(CardiacView.SAX, view)
        colour = _on_image(view)
        _line(axes, centre, direction, colour, width=2.2, half=62 * px)
        angle = angle_deg(plane, direction)
        begin, end = (0.0, angle) if angle < 150 else (angle - 180, 0.0)
        first, second = sorted((start + turn * begin, start + turn * end))
        axes.add_patch(
            Arc(tuple(centre), 2 * radius * px, 2 * radius * px, theta1=first, theta2=second, color=colour, linewidth=1.8)
        )
        away = 180.0 if view is CardiacView.TWO_CHAMBER else 0.0
        tip = _turned(towards, turn * (begin if angle >= 150 else end) + away)
        _outlined(axes, centre + 70 * px * tip, view.title, colour, size=11)
    for number, view in enumerate((CardiacView.TWO_CHAMBER, CardiacView.FOUR_CHAMBER, CardiacView.THREE_CHAMBER)):
        _, direction = heart().line(CardiacView.SAX, view)
        measured = angle_deg(plane, direction)
        usual = REFERENCE_ANGLES_DEG[view]
        y = 0.80 - 0.2 * number
        figure.text(0.795, y, view.title, color=view_colour(view), fontsize=12, weight="bold")
        figure.text(
            0.795, y - 0.055, f"here {measured - 180 if measured > 150 else measured:.0f}°".replace("-", "−"), fontsize=10.5
        )
        figure.text(0.795, y - 0.105, f"usually {usual:.0f}°", fontsize=10.5, color=MUTED)
    return figure


def boxes() -> Figure:
    """Draw the nine boxes on a short-axis image, with their size and gap in millimetres."""
    layout = BoxLayout.default(BoxUnits.MILLIMETRES)
    places = true_positions(heart().examination, layout)[CardiacView.SAX]
    positions = places[len(places) // 2]
    if positions is None:
        raise ValueError("the phantom of the figures has no positions")
    plane = heart().planes[CardiacView.SAX]
    figure = Figure(figsize=(WIDTH, 4.2), facecolor=PAPER)
    axes = figure.add_axes((0.015, 0.01, 0.79, 0.98))
    _show(axes, heart().stills[CardiacView.SAX], plane, positions.centres_mm[0], 133.0)
    for number, (near, far) in enumerate(((2, 4), (6, 8))):
        a, b = positions.centres_px[near], positions.centres_px[far]
        axes.plot(
            *np.stack([a + 0.3 * (a - positions.centres_px[0]) / 2, b + 0.3 * (b - positions.centres_px[0]) / 2]).T,
            color=line_colour(number),
            linewidth=1.6,
        )
    draw_boxes(axes, CardiacView.SAX, positions.boxes, plane, fontsize=9.5, linewidth=1.8)
    _measure_box(axes, positions, layout)
    _measure_gap(axes, positions, layout)
    for number, (words, detail) in enumerate((("4Ch", "boxes\n2 to 5"), ("2Ch", "boxes\n6 to 9"))):
        colour = view_colour(CardiacView.FOUR_CHAMBER if number == 0 else CardiacView.TWO_CHAMBER)
        figure.text(0.825, 0.9 - 0.2 * number, f"{words} line", color=colour, fontsize=11, weight="bold")
        figure.text(0.825, 0.875 - 0.2 * number, detail, fontsize=10, va="top", linespacing=1.3)
    figure.text(0.825, 0.5, "1 near\n2 far", fontsize=10, va="top", linespacing=1.3)
    figure.text(0.825, 0.37, "L left\nR right\nA anterior\nP posterior", fontsize=10, va="top", linespacing=1.3)
    return figure


def cycle() -> Figure:
    """Draw the blood pool and the difference from the R wave over the cycle, and where ED and ES are found."""
    plane = heart().planes[CardiacView.SAX]
    times = np.arange(N_FRAMES) / N_FRAMES
    mask = disc_mask(plane, plane.patient_to_pixel(heart().centre_mm))
    stack = heart().cine.astype(np.float64)
    pool_cm2 = blood_pool_curve(stack[:, mask]) * plane.row_spacing_mm * plane.column_spacing_mm / 100
    difference = difference_curve(stack, mask)
    phases = find_phases(CycleCurves(times, pool_cm2, difference))
    if phases.es is None:
        raise ValueError("the phantom of the figures has no end-systole")
    figure = Figure(figsize=(WIDTH, 4.6), facecolor=PAPER)
    shown = sorted({phases.ed, phases.es / 2, phases.es, (1 + phases.es) / 2, 0.88})
    side = 0.19
    for number, time in enumerate(shown):
        frame = round(time * N_FRAMES) % N_FRAMES
        axes = figure.add_axes((0.012 + number * (side + 0.007), 0.745, side, side * WIDTH / 4.6))
        _show(axes, heart().cine[frame], plane, heart().centre_mm, 48.0)
        name = {round(phases.ed * N_FRAMES): "ED", round(phases.es * N_FRAMES): "ES"}.get(frame, "")
        figure.text(
            0.012 + number * (side + 0.007) + side / 2,
            0.985,
            f"{frame / N_FRAMES:.0%} {name}".replace("%", " %").strip(),
            ha="center",
            va="top",
            weight="bold" if name else "normal",
            color=ACCENT if name else INK,
        )
    upper = figure.add_axes((0.10, 0.435, 0.86, 0.26))
    lower = figure.add_axes((0.10, 0.105, 0.86, 0.26))
    ed_range, es_range = ((0, 100 * ED_WINDOW), (100 * (1 - ED_WINDOW), 100)), ((100 * ES_WINDOW[0], 100 * ES_WINDOW[1]),)
    for axes, curve, ranges, words, time, name in (
        (upper, pool_cm2, ed_range, "blood pool in the disc of 60 mm, cm²", phases.ed, "ED: largest pool around the R wave"),
        (
            lower,
            difference / difference.max(),
            es_range,
            "difference from the R wave, largest = 1",
            phases.es,
            "ES: largest difference",
        ),
    ):
        for low, high in ranges:
            axes.axvspan(low, high, color="#f3e3d6", linewidth=0)
        axes.plot(100 * times, curve, color=COPIED, linewidth=2, marker="o", markersize=3)
        at = round(time * N_FRAMES)
        axes.plot(100 * time, curve[at], "o", color=ACCENT, markersize=8)
        axes.set_title(words, loc="left", fontsize=10.5, pad=4)
        low, high = float(curve.min()), float(curve.max())
        axes.set(xlim=(-1.5, 100), ylim=(low - 0.1 * (high - low), high + 0.22 * (high - low)), xticks=range(0, 101, 20))
        axes.text(100 * time + 2.5, curve[at] + 0.05 * (high - low), name, color=ACCENT, fontsize=10, weight="bold", va="bottom")
        axes.tick_params(labelsize=9.5, color=MUTED)
        axes.spines[["top", "right"]].set_visible(False)
    upper.set_xticklabels([])
    lower.set_xlabel("time after the R wave, % of the cycle", fontsize=10.5)
    return figure


def transfer() -> Figure:
    """Draw the networks of the pretext and of the four modes: where weights come from, and what is trained."""
    figure = Figure(figsize=(WIDTH, 5.5), facecolor=PAPER)
    axes = figure.add_axes((0, 0, 1, 1), xlim=(0, 100), ylim=(0, 106))
    axes.axis("off")
    rows = (
        ("pretext", "learns positions", "fresh", "fresh", (("positions", "fresh"),)),
        ("scratch", "the baseline", "fresh", "fresh", (("structures", "fresh"),)),
        ("decoder", "the encoder stays", "frozen", "copied", (("structures", "fresh"),)),
        ("all", "everything is trained", "copied", "copied", (("structures", "fresh"),)),
        ("multitask", "both tasks in turn", "copied", "copied", (("positions", "copied"), ("structures", "fresh"))),
    )
    for x, words in ((40.5, "encoder"), (64.5, "decoder"), (88, "head")):
        axes.text(x, 104, words, ha="center", va="top", fontsize=10.5, color=MUTED)
    top = 98.0
    for name, detail, encoder, decoder, heads in rows:
        middle = top - 7.5
        axes.text(2, middle + 1.2, name, fontsize=12, weight="bold", va="bottom")
        axes.text(2, middle - 0.4, detail, fontsize=9, color=MUTED, va="top")
        _part(axes, (31.5, middle), 18, 11, encoder, narrow_right=True)
        _part(axes, (55.5, middle), 18, 11, decoder, narrow_right=False)
        axes.annotate("", (55, middle), (50, middle), arrowprops={"arrowstyle": "-|>", "color": INK, "linewidth": 1.2})
        for number, (task, kind) in enumerate(heads):
            y = middle + (3.6 - 7.2 * number if len(heads) > 1 else 0)
            axes.annotate(
                "",
                (78, y),
                (73.8, middle),
                arrowprops={"arrowstyle": "-|>", "color": INK, "linewidth": 1.2, "shrinkA": 0, "shrinkB": 0},
            )
            _part(axes, (78.5, y), 20, 6, kind, words=task)
        if name == "pretext":
            axes.plot([0, 100], [top - 16.3] * 2, color=GRID, linewidth=1.2)
        top -= 17.2
    for x, kind, words in (
        (2, "fresh", "random at the start"),
        (39, "copied", "from the pretext"),
        (72, "frozen", "… not trained"),
    ):
        _part(axes, (x, 5.6), 5.5, 4.4, kind)
        axes.text(x + 7.5, 5.6, words, fontsize=9.6, va="center")
    return figure


def reading() -> Figure:
    """Draw means with intervals and paired differences from scratch, with notes on how to read them."""
    with STUDY_TABLE.open(encoding="utf-8", newline="") as file:
        rows = [
            row
            for row in csv.DictReader(file)
            if (row["annotated_subjects"], row["metric"], row["structure"]) == ("1", "dice", "mean")
        ]
    figure = Figure(figsize=(WIDTH, 4.9), facecolor=PAPER)
    n = len(rows)
    upper = figure.add_axes((0.19, 0.60, 0.78, 0.29))
    lower = figure.add_axes((0.19, 0.11, 0.78, 0.27))
    colours = {"scratch": FRESH, "decoder": "#B97F00", "all": COPIED, "multitask": ACCENT}
    for place, row in enumerate(rows):
        y, colour = n - 1 - place, colours[row["mode"]]
        mean, low, high = (float(row[name]) for name in ("mean", "low_95", "high_95"))
        upper.plot([low, high], [y, y], color=colour, linewidth=3, solid_capstyle="butt")
        upper.plot(mean, y, "o", color=colour, markersize=8)
        upper.text(mean, y + 0.2, f"{mean:.2f}", ha="center", va="bottom", fontsize=10, color=colour, weight="bold")
        if row["difference_from_scratch"]:
            mean, low, high = (float(row[name]) for name in ("difference_from_scratch", "difference_low_95", "difference_high_95"))
            lower.plot([low, high], [y, y], color=colour, linewidth=3, solid_capstyle="butt")
            lower.plot(mean, y, "o", color=colour, markersize=8)
            lower.text(
                mean,
                y + 0.17,
                f"+{mean:.2f}" if mean > 0 else f"−{-mean:.2f}",
                ha="center",
                va="bottom",
                fontsize=10,
                color=colour,
                weight="bold",
            )
    names = [row["mode"] for row in reversed(rows)]
    upper.set(ylim=(-0.6, n - 0.2), yticks=range(n), xlim=(0, 0.62))
    upper.set_yticklabels(names, fontsize=10.5)
    with_pretext = [row for row in rows if row["difference_from_scratch"]]
    lower.set(ylim=(-0.6, len(with_pretext) - 0.3), yticks=range(len(with_pretext)), xlim=(-0.1, 0.52))
    lower.set_yticklabels([row["mode"] for row in reversed(with_pretext)], fontsize=10.5)
    lower.axvline(0, color=INK, linewidth=1.2)
    for axes in (upper, lower):
        axes.tick_params(axis="x", labelsize=9.5, color=MUTED)
        axes.tick_params(axis="y", length=0)
        axes.grid(axis="x", color=GRID, linewidth=0.8)
        axes.set_axisbelow(True)
        axes.spines[["top", "right", "left"]].set_visible(False)
    figure.text(0.02, 0.985, "Dice of the test subjects", fontsize=11.5, weight="bold", va="top")
    figure.text(0.02, 0.938, "dot: mean · bar: 95 % interval of the mean", fontsize=9.6, color=MUTED, va="top")
    figure.text(0.02, 0.49, "Difference from scratch", fontsize=11.5, weight="bold", va="top")
    figure.text(0.02, 0.443, "same subject, same seed · a bar right of 0: better than scratch", fontsize=9.6, color=MUTED, va="top")
    scratch = rows[0]
    missing, runs = scratch["runs_missing_a_structure"], scratch["runs"]
    figure.text(0.985, 0.825, f"{missing} of {runs} runs miss\na structure", fontsize=9.6, color=MUTED, va="center", ha="right")
    lower.text(-0.005, len(with_pretext) - 0.42, "no difference", fontsize=9.3, color=MUTED, ha="right", va="top", rotation=90)
    return figure


FIGURES: Mapping[str, Callable[[], Figure]] = {
    "image_plane": image_plane,
    "three_views": three_views,
    "fan": fan,
    "boxes": boxes,
    "cycle": cycle,
    "transfer": transfer,
    "reading": reading,
}
"""By the name of the file, without ``.png``."""


def png(name: str) -> bytes:
    """Return one of the figures as a file of few colours."""
    with mpl.rc_context({"font.family": "DejaVu Sans", "font.size": 10.0, "text.color": INK, "axes.labelcolor": INK}):
        drawn = io.BytesIO()
        FIGURES[name]().savefig(drawn, format="png", dpi=DPI)
    content = io.BytesIO()
    Image.open(drawn).convert("RGB").quantize(256, Image.Quantize.MAXCOVERAGE).save(content, format="png", optimize=True)
    return content.getvalue()


def _grey(image: NDArray[np.uint16]) -> NDArray[np.uint8]:
    """Return an image in 256 greys, windowed as everywhere."""
    low, high = np.percentile(image, PERCENTILES)
    return np.asarray(np.clip((image - low) * (255.0 / (high - low)), 0, 255), dtype=np.uint8)


def _show(axes: Axes, image: NDArray[np.uint16], plane: ImagePlane, centre_mm: FloatArray, half_mm: float) -> None:
    """Show the square of an image around a point, without ticks."""
    column, row = plane.patient_to_pixel(centre_mm)[:2].tolist()
    half = half_mm / plane.row_spacing_mm
    axes.imshow(_grey(image), cmap="gray", interpolation="bilinear")
    axes.set(xlim=(column - half, column + half), ylim=(row + half, row - half), xticks=[], yticks=[])
    axes.set_facecolor("black")
    for spine in axes.spines.values():
        spine.set_visible(False)


def _letters(axes: Axes, plane: ImagePlane) -> None:
    """Write at the edges of an image where the patient's left, head, front … are."""
    (left, right), (bottom, top) = axes.get_xlim(), axes.get_ylim()
    inset = 0.075 * (right - left)
    for direction, at in (
        (-plane.row_cosine, (left + inset, (top + bottom) / 2)),
        (plane.row_cosine, (right - inset, (top + bottom) / 2)),
        (-plane.column_cosine, ((left + right) / 2, top + inset)),
        (plane.column_cosine, ((left + right) / 2, bottom - inset)),
    ):
        _outlined(axes, np.array(at), orientation_letters(direction), "#ffffff", size=9.5)


def _on_image(view: CardiacView) -> str:
    """Return the colour of a view's line on a dark image."""
    return {CardiacView.FOUR_CHAMBER: line_colour(0), CardiacView.TWO_CHAMBER: line_colour(1)}.get(view, "#C9D2DC")


def _line(
    axes: Axes, point: FloatArray, direction: FloatArray, colour: str, *, width: float, half: float, alpha: float = 1.0
) -> None:
    ends = np.stack([point - half * direction, point + half * direction])
    (line,) = axes.plot(*ends.T, color=colour, linewidth=width, alpha=alpha)
    line.set_path_effects([Stroke(linewidth=width + 1, foreground="black", alpha=0.5), Normal()])


def _arrow(axes: Axes, start: FloatArray, end: FloatArray, colour: str, *, width: float) -> None:
    axes.annotate(
        "",
        xy=tuple(end),
        xytext=tuple(start),
        arrowprops={"arrowstyle": "-|>", "color": colour, "linewidth": width, "shrinkA": 0, "shrinkB": 0, "mutation_scale": 14},
        zorder=5,
    )


def _outlined(axes: Axes, at: FloatArray, words: str, colour: str, *, size: float) -> None:
    column, row = at
    text = axes.text(column, row, words, color=colour, fontsize=size, weight="bold", ha="center", va="center")
    text.set_path_effects([Stroke(linewidth=size / 4, foreground="black"), Normal()])


def _numbers(values: FloatArray) -> str:
    return ", ".join(f"{value:.0f}" for value in values).replace("-", "−")


def _in_plane(plane: ImagePlane, direction: FloatArray) -> FloatArray:
    """Return the part of a direction of the patient that lies in a plane, of length 1."""
    return unit(direction - (direction @ plane.normal) * plane.normal)


def _turn_to_left(plane: ImagePlane, superior: FloatArray) -> int:
    """Return the sense, in (column, row), in which one turns from superior towards the patient's left."""
    left = plane.direction_to_pixel(_in_plane(plane, np.array([1.0, 0.0, 0.0])))[:2]
    return 1 if superior[0] * left[1] - superior[1] * left[0] > 0 else -1


def angle_deg(plane: ImagePlane, direction: FloatArray) -> float:
    """Return the angle of a line from superior towards the patient's left, 0 to 180 degrees."""
    superior = unit(plane.direction_to_pixel(_in_plane(plane, np.array([0.0, 0.0, 1.0])))[:2])
    turn = _turn_to_left(plane, superior)
    angle = np.degrees(np.arctan2(direction[1], direction[0]) - np.arctan2(superior[1], superior[0]))
    return float(turn * angle % 180)


def _turned(direction: FloatArray, angle_deg: float) -> FloatArray:
    cosine, sine = np.cos(np.radians(angle_deg)), np.sin(np.radians(angle_deg))
    return np.array([cosine * direction[0] - sine * direction[1], sine * direction[0] + cosine * direction[1]])


def _measure_box(axes: Axes, positions: Positions, layout: BoxLayout) -> None:
    """Draw the edge of a box as a length."""
    _, row_stop, column_start, column_stop = (positions.boxes[2] - 0.5).tolist()
    below = row_stop + 5
    _length(axes, np.array([column_start, below]), np.array([column_stop, below]))
    _outlined(axes, np.array([(column_start + column_stop) / 2, below + 6]), f"{layout.size:g} mm", "#ffffff", size=10)


def _measure_gap(axes: Axes, positions: Positions, layout: BoxLayout) -> None:
    """Draw the distance of two boxes along a line as a length beside it."""
    start, end = positions.centres_px[1], positions.centres_px[2]
    along = unit(end - start)
    aside = np.array([along[1], -along[0]])
    aside = aside * (-1 if aside[1] > 0 else 1) * 10
    _length(axes, start + aside, end + aside)
    _outlined(axes, (start + end) / 2 + 1.65 * aside, f"{layout.gap:g} mm", "#ffffff", size=10)


def _length(axes: Axes, start: FloatArray, end: FloatArray) -> None:
    axes.annotate(
        "",
        xy=tuple(end),
        xytext=tuple(start),
        arrowprops={"arrowstyle": "<|-|>", "color": "#ffffff", "linewidth": 1.3, "shrinkA": 0, "shrinkB": 0, "mutation_scale": 9},
    )


def _part(
    axes: Axes,
    left_middle: Point,
    width: float,
    height: float,
    kind: str,
    *,
    words: str = "",
    narrow_right: bool | None = None,
) -> None:
    """Draw a part of a network: grey for random weights, blue for the pretext's, hatched where they are not trained."""
    x, y = left_middle
    face = {"fresh": "#e4e8ec", "copied": "#bfe0ea", "frozen": "#bfe0ea"}[kind]
    edge = FRESH if kind == "fresh" else COPIED
    hatch = "////" if kind == "frozen" else None
    if narrow_right is None:
        axes.add_patch(Rectangle((x, y - height / 2), width, height, facecolor=face, edgecolor=edge, linewidth=1.5, hatch=hatch))
    else:
        narrow = height * 0.3
        left, right = (height, narrow) if narrow_right else (narrow, height)
        corners = [(x, y - left / 2), (x, y + left / 2), (x + width, y + right / 2), (x + width, y - right / 2)]
        axes.add_patch(Polygon(corners, facecolor=face, edgecolor=edge, linewidth=1.5, hatch=hatch))
    if words:
        axes.text(x + width / 2, y - 0.2, words, ha="center", va="center", fontsize=10)
