"""The report's charts: what was reached with how many annotated subjects, and how training went."""

from collections.abc import Sequence
from itertools import product
from typing import Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from cmr_planes.pictures.palette import series_colour
from cmr_planes.system.text import counted
from cmr_train.choices import TransferMode
from cmr_train.evaluation.metrics import Metric
from cmr_train.evaluation.scores import MEAN
from cmr_train.report.analysis import Entry
from cmr_train.report.drawings import INK, NARROW_INCHES
from cmr_train.report.learning import Learning

LineStyle = Literal["-", "--", "-.", ":"]

STYLES: dict[TransferMode, tuple[str, str, LineStyle]] = {
    TransferMode.SCRATCH: (series_colour(0), "o", "-"),
    TransferMode.DECODER: (series_colour(1), "s", "--"),
    TransferMode.ALL: (series_colour(2), "^", "-."),
    TransferMode.MULTITASK: (series_colour(3), "D", ":"),
}
"""Colour, marker and line of each method: any one of the three tells them apart."""

AXIS_NAMES = {Metric.DICE: "Dice", Metric.BAI2019: "mean contour distance (mm)"}

_MARKERS = ("o", "s", "^", "D", "v", "P")
_GRID = "#D9DEE3"


def trend(found: Sequence[Entry], names: Sequence[str], per_row: int = 4) -> Figure:
    """Draw a metric against the number of annotated subjects, one panel per structure, with intervals (the paper's Fig. 4).

    All panels have one y axis.

    Parameters
    ----------
    found
        Entries of one variant and metric.
    names
        The structures, ``mean`` among them, in the order of the panels.
    per_row
        Panels side by side, at most.
    """
    subjects = sorted({entry.subjects for entry in found})
    modes = [mode for mode in TransferMode if any(entry.mode is mode and entry.exists for entry in found)]
    figure, panels = _panels(len(names), height=2.6, per_row=per_row)
    for axes, name in zip(panels, names, strict=True):
        for index, mode in enumerate(modes):
            row = [next(e for e in found if (e.structure, e.mode, e.subjects) == (name, mode, n)) for n in subjects]
            x = _beside(len(subjects), index, len(modes))
            _with_intervals(axes, x, row, *STYLES[mode])
        _finish(axes, "mean of structures" if name == MEAN else name, "annotated subjects", AXIS_NAMES[found[0].metric])
        _categories(axes, [f"{n:,}" for n in subjects])
    _widen(panels, found[0].metric)
    _legend(figure, [(mode.value, *STYLES[mode]) for mode in modes], per_row)
    return figure


def variants_trend(found: Sequence[Entry], variants: Sequence[str], per_row: int = 4) -> Figure:
    """Draw the mean Dice of every variant against the number of annotated subjects, one panel per method; as :func:`trend`."""
    subjects = sorted({entry.subjects for entry in found})
    modes = [mode for mode in TransferMode if any(entry.mode is mode and entry.exists for entry in found)]
    figure, panels = _panels(max(1, len(modes)), height=2.8, per_row=per_row)
    styles = {name: (series_colour(number), _MARKERS[number % len(_MARKERS)]) for number, name in enumerate(variants)}
    for axes, mode in zip(panels, modes, strict=False):
        for index, variant in enumerate(variants):
            row = [next(e for e in found if (e.variant, e.mode, e.subjects) == (variant, mode, n)) for n in subjects]
            x = _beside(len(subjects), index, len(variants))
            _with_intervals(axes, x, row, *styles[variant], "-")
        _finish(axes, mode.value, "annotated subjects", "Dice")
        _categories(axes, [f"{n:,}" for n in subjects])
    _widen(panels, Metric.DICE)
    _legend(figure, [(name, *styles[name], "-") for name in variants], per_row)
    return figure


def learning_curves(found: Sequence[Learning], names: Sequence[str], per_row: int | None = None) -> Figure:
    """Draw Dice on the validation set against iterations: one panel per structure and number of subjects.

    Parameters
    ----------
    found
        Of one variant; thin lines are seeds, thick ones their mean.
    names
        The structures, ``mean`` among them, in the order of the rows.
    per_row
        Panels side by side; None for one row per structure.
    """
    subjects = sorted({method.subjects for method in found})
    modes = [mode for mode in TransferMode if any(method.mode is mode for method in found)]
    columns = per_row or len(subjects)
    rows = -(-len(names) * len(subjects) // columns)
    width = NARROW_INCHES if per_row else max(5.5, 3.4 * columns)
    figure = Figure(figsize=(width, (2.1 if per_row is None else 1.7) * rows + 0.7), layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)
    for axes in grid.flat[len(names) * len(subjects) :]:
        axes.set_axis_off()
    for number, (name, n) in enumerate(product(names, subjects)):
        row, column = divmod(number, columns)
        axes = grid[row, column]
        for method in (method for method in found if method.subjects == n):
            colour, marker, line = STYLES[method.mode]
            for curve in method.curves if len(method.curves) > 1 else ():
                axes.plot(curve.iterations, _of(curve.dice, name, len(curve.iterations)), color=colour, linewidth=0.6, alpha=0.45)
            points = max(1, len(method.mean.iterations) // 6)
            values = _of(method.mean.dice, name, len(method.mean.iterations))
            axes.plot(
                method.mean.iterations,
                values,
                color=colour,
                linestyle=line,
                linewidth=1.8,
                marker=marker,
                markersize=4.5,
                markevery=points,
            )
        title = f"{('mean' if per_row else 'mean of structures') if name == MEAN else name}, {counted(n, 'subject')}"
        _finish(axes, title, "iterations" if row == rows - 1 else "", "validation Dice" if column == 0 else "")
        axes.set_ylim(-0.02, 1.02)
        axes.set_xlim(left=0)
    _legend(figure, [(mode.value, *STYLES[mode]) for mode in modes], 2 if per_row else 4)
    return figure


def _panels(number: int, height: float, per_row: int) -> tuple[Figure, list[Axes]]:
    """Return a figure with this number of panels, at most ``per_row`` in a row, with one y axis."""
    columns = number if number <= per_row else max(1, per_row - 1)
    rows = -(-number // columns)
    width = NARROW_INCHES if per_row == 1 else max(5.0, 2.75 * columns)
    figure = Figure(figsize=(width, height * rows + 0.4), layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False, sharey=True)
    for axes in grid.flat[number:]:
        axes.set_axis_off()
    return figure, [*grid.flat[:number]]


def _with_intervals(axes: Axes, x: NDArray[np.float64], row: Sequence[Entry], colour: str, marker: str, line: LineStyle) -> None:
    mean = np.array([entry.spread.mean for entry in row])
    ends = np.array([(entry.spread.mean - entry.low, entry.high - entry.spread.mean) for entry in row]).T
    is_there = ~np.isnan(mean)
    lengths = np.nan_to_num(np.maximum(ends, 0))[:, is_there]
    axes.errorbar(
        x[is_there],
        mean[is_there],
        yerr=lengths,
        color=colour,
        marker=marker,
        linestyle=line,
        linewidth=1.6,
        markersize=5,
        capsize=2.5,
        elinewidth=1,
    )


def _beside(n_points: int, line: int, n_lines: int) -> NDArray[np.float64]:
    """Return the x coordinates of a line's points; lines lie a little beside each other."""
    return np.arange(n_points, dtype=np.float64) + 0.1 * (line - (n_lines - 1) / 2)


def _finish(axes: Axes, title: str, x_name: str, y_name: str) -> None:
    axes.set_title(title, fontsize=10, color=INK)
    axes.set_xlabel(x_name, fontsize=9, color=INK)
    axes.set_ylabel(y_name, fontsize=9, color=INK)
    axes.tick_params(labelsize=8, colors=INK)
    axes.grid(color=_GRID, linewidth=0.7)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def _widen(panels: Sequence[Axes], metric: Metric) -> None:
    """Keep small differences small on the common y axis: a span of at least 0.1 Dice or 0.5 mm, and nothing that cannot be."""
    for axes in panels:
        axes.tick_params(labelleft=True)
        if not axes.has_data():
            axes.text(0.5, 0.5, "no values", fontsize=9, color=INK, ha="center", va="center", transform=axes.transAxes)
    low, high = panels[0].get_ylim()
    more = max(0.0, (0.1 if metric is Metric.DICE else 0.5) - (high - low)) / 2
    bottom = max(-0.01, low - more)
    top = max(high + more, bottom + 2 * more)
    panels[0].set_ylim(bottom, min(top, 1.01) if metric is Metric.DICE else top)


def _categories(axes: Axes, names: Sequence[str]) -> None:
    axes.set_xticks(range(len(names)), names)
    axes.set_xlim(-0.5, len(names) - 0.5)


def _legend(figure: Figure, entries: Sequence[tuple[str, str, str, LineStyle]], per_row: int) -> None:
    handles = [
        Line2D([], [], color=colour, marker=marker, linestyle=line, linewidth=1.8, markersize=5, label=name)
        for name, colour, marker, line in entries
    ]
    if handles:
        figure.legend(
            handles=handles,
            loc="outside lower center",
            ncols=min(max(2, per_row), len(handles)),
            fontsize=9,
            frameon=False,
            handlelength=3.5,
        )


def _of(dice: object, name: str, length: int) -> NDArray[np.float64]:
    found: NDArray[np.float64] = dice[name] if isinstance(dice, dict) and name in dice else np.full(length, np.nan)
    return found
