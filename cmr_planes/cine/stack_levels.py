"""Which slices of several acquisitions make the best stack: most levels, even steps, latest acquisitions.

The best chain from base to apex is found by dynamic programming: each slice has a value, and each step from one to the next a cost.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cmr_planes.cine.acquisitions import CineSlice, share_orientation
from cmr_planes.cine.stack_runs import SAME_SLICE_SHARE, Run
from cmr_planes.geometry.tolerances import SAME_ORIENTATION_DEG

EVEN_SHARE = 0.25
"""A step is even if it is a whole number of the levels' usual distance, within this share of it."""
UNEVEN_COST = 1.0
"""What an uneven step from one acquisition to another costs: as much as a level is worth."""
CHANGE_COST = 0.02
"""What a change from one acquisition to another costs."""
UNSOUND_VALUE = 0.5
"""What a slice is worth that is incomplete or doubtful; 1 for others."""
BASE_BONUS = 0.25
"""What slices of the latest whole acquisition are worth more, ..."""
LATER_BONUS = 0.3
"""... and those of acquisitions that are later still."""


@dataclass(frozen=True, slots=True, eq=False)
class _Link:
    """A slice as a link of a chain."""

    cine: CineSlice
    run: Run
    position_mm: float
    value: float


def best_levels(base: Run, runs: Sequence[Run], sound: frozenset[CineSlice]) -> list[CineSlice]:
    """Choose the levels of a stack.

    Parameters
    ----------
    base
        The latest whole acquisition; its usual distance of levels is that of the stack.
    runs
        All acquisitions that may give levels, ``base`` among them.
    sound
        Slices that are complete and not doubtful.

    Returns
    -------
        One slice per level, from base to apex.
    """
    links = [
        _Link(cine, run, float(position_mm), _value(cine, run, base, sound))
        for run in runs
        for cine, position_mm in zip(run.slices, run.positions_mm, strict=True)
    ]
    links.sort(key=lambda link: (link.position_mm, link.cine.recency))
    best = [link.value for link in links]
    previous = [-1] * len(links)
    for index, link in enumerate(links):
        for before in range(index):
            total = best[before] + link.value - _cost(links[before], link, base.step_mm)
            if total > best[index]:
                best[index], previous[index] = total, before
    chain = [int(np.argmax(best))]
    while previous[chain[-1]] >= 0:
        chain.append(previous[chain[-1]])
    return [links[index].cine for index in reversed(chain)]


def _value(cine: CineSlice, run: Run, base: Run, sound: frozenset[CineSlice]) -> float:
    """Return what a slice is worth."""
    if cine not in sound:
        return UNSOUND_VALUE
    if run is base:
        return 1.0 + BASE_BONUS
    return 1.0 + (LATER_BONUS if cine.recency > base.recency else 0.0)


def _cost(first: _Link, second: _Link, step_mm: float) -> float:
    """Return what a step costs; infinite for a repeat of a level and between acquisitions at different angles."""
    steps = (second.position_mm - first.position_mm) / step_mm
    if steps < SAME_SLICE_SHARE:
        return np.inf
    if first.run is second.run:
        return 0.0
    uneven = UNEVEN_COST if abs(steps - max(1.0, round(steps))) > EVEN_SHARE else 0.0
    return uneven + CHANGE_COST if share_orientation(first.cine, second.cine, SAME_ORIENTATION_DEG) else np.inf
