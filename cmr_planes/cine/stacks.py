"""From nearly parallel cine slices to a stack: one acquisition per level, of one matrix, from base to apex.

The matrix of most levels is kept. Of whole acquisitions (:mod:`cmr_planes.cine.stack_runs`) the latest complete one is the base of
the stack; :mod:`cmr_planes.cine.stack_levels` fills its holes from others, and takes later repeats of its levels.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from cmr_planes.cine.acquisitions import CineSlice, join_labels, share_orientation
from cmr_planes.cine.stack_levels import best_levels
from cmr_planes.cine.stack_runs import SAME_SLICE_SHARE, Run, count_levels, sound_slices, split_runs
from cmr_planes.errors import Finding, NoteCode
from cmr_planes.fates import Fate
from cmr_planes.geometry import ImagePlane, angle_between_normals_deg, order_from_base
from cmr_planes.geometry.stack import apex_direction
from cmr_planes.geometry.tolerances import SAME_ORIENTATION_DEG
from cmr_planes.system.text import counted, either, part
from cmr_planes.views import CardiacView

NEARLY_PARALLEL_DEG = 10.0
"""Slices at smaller angles may be of one stack whose angle was changed on the way, or of one that was planned again."""
WHOLE_SHARE = 0.8
"""An acquisition is whole if it has this many of the levels of the one that has most."""
SAME_PLACE_SHARE = 0.25
"""A slice that is nearer to a level, as a share of the levels' distance, may stand for it."""
MIN_OVERLAP = 0.5
"""Acquisitions that share this many of their levels are of one part of the heart."""
VENTRICLE_MM = 55.0
"""Levels over this many mm are the left ventricle; what continues beyond them under another name are atria or vessels."""
MAX_STACK_MM = 120.0
"""Series of one name that together are longer than a heart are not one stack."""

Matrix: TypeAlias = tuple[int, int, float, float]
"""Rows, columns and the two spacings, rounded to 0.01 mm."""

_VIEW = CardiacView.SAX.value


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PassedOver:
    """A cine slice that is not part of the stack."""

    cine: CineSlice
    """The slice."""
    fate: Fate
    """What became of it."""
    sentence: str
    """Why it is not used."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Stack:
    """The slices of a short-axis stack, and what was skipped for them."""

    slices: tuple[CineSlice, ...]
    """One acquisition per level, from base to apex, all of one matrix."""
    passed_over: tuple[PassedOver, ...]
    """Every other slice that lies parallel to it, or nearly so."""
    findings: tuple[Finding, ...]
    """What is worth knowing about the choice."""


def assemble_stack(seed: Sequence[CineSlice], among: Sequence[CineSlice] = ()) -> Stack:
    """Choose one acquisition per level of a short-axis stack.

    Parameters
    ----------
    seed
        Parallel slices, at least one, that lie across the left ventricle.
    among
        All cine slices of the study: those that are nearly parallel to the seed are part of the choice.

    Returns
    -------
        The stack.
    """
    near = [cine for cine in among if cine not in seed and share_orientation(seed[0], cine, NEARLY_PARALLEL_DEG)]
    candidates = [*seed, *near]
    axis = apex_direction(seed[0].plane.normal)
    position_mm = {cine: float(cine.plane.centre_mm @ axis) for cine in candidates}
    matrix = _common_matrix(candidates, position_mm)
    runs = split_runs([cine for cine in candidates if _matrix(cine.plane) == matrix], position_mm)
    sound = sound_slices(candidates)
    base = _base_run(runs, sound)
    levels = best_levels(base, _of_one_heart(base, runs), sound)
    slices = tuple(levels[index] for index in order_from_base([cine.plane for cine in levels]))
    passed_over = tuple(_explain(cine, slices, base, position_mm, matrix) for cine in candidates if cine not in slices)
    return Stack(slices=slices, passed_over=passed_over, findings=(*_notes(passed_over), *_angle_note(slices)))


def superseded_sentence(repeats: Sequence[CineSlice]) -> str:
    """Name the acquisitions that were skipped."""
    return (
        f"{counted(len(repeats), 'repeated slice')} {either(len(repeats), 'was', 'were')} skipped for "
        f"{either(len(repeats), 'a later complete one', 'the latest complete ones')}: {join_labels(repeats)}"
    )


def _common_matrix(candidates: Sequence[CineSlice], position_mm: Mapping[CineSlice, float]) -> Matrix:
    """Return the matrix of most levels; on a tie that of most acquisitions, then the larger one."""
    places: dict[Matrix, list[float]] = {}
    for cine in candidates:
        places.setdefault(_matrix(cine.plane), []).append(position_mm[cine])
    return max(places, key=lambda matrix: (count_levels(places[matrix]), len(places[matrix]), matrix))


def _base_run(runs: Sequence[Run], sound: frozenset[CineSlice]) -> Run:
    """Choose the latest whole acquisition; of two that lie beyond each other the one on the apex's side."""
    n_sound = [len(sound.intersection(run.slices)) for run in runs]
    whole = [run for run, count in zip(runs, n_sound, strict=True) if count >= WHOLE_SHARE * max(n_sound)]
    apical = max(whole, key=lambda run: float(run.positions_mm.mean()))
    start_mm = float(apical.positions_mm[0]) - SAME_SLICE_SHARE * apical.step_mm
    overlapping = [run for run in whole if (run.positions_mm > start_mm).mean() >= MIN_OVERLAP]
    return max(overlapping, key=lambda run: run.recency)


def _of_one_heart(base: Run, runs: Sequence[Run]) -> list[Run]:
    """Keep acquisitions that overlap the base, or continue beyond it as part of the same stack."""
    kept = [base]
    low_mm, high_mm = float(base.positions_mm[0]), float(base.positions_mm[-1])
    reach_mm = SAME_SLICE_SHARE * base.step_mm
    for run in sorted(runs, key=lambda run: abs(float(np.mean(run.positions_mm - base.positions_mm.mean())))):
        if run is base:
            continue
        inside = (run.positions_mm > low_mm - reach_mm) & (run.positions_mm < high_mm + reach_mm)
        union_mm = min(low_mm, float(run.positions_mm[0])), max(high_mm, float(run.positions_mm[-1]))
        is_same_name = run.family == base.family and union_mm[1] - union_mm[0] <= MAX_STACK_MM
        if inside.mean() < MIN_OVERLAP:
            if not is_same_name and high_mm - low_mm >= VENTRICLE_MM:
                continue
            low_mm, high_mm = union_mm
        kept.append(run)
    return kept


def _explain(
    cine: CineSlice, stack: Sequence[CineSlice], base: Run, position_mm: Mapping[CineSlice, float], matrix: Matrix
) -> PassedOver:
    """Say why a slice is not part of the stack."""
    place_mm = position_mm[cine]
    nearest = min(stack, key=lambda level: abs(position_mm[level] - place_mm))
    apart_mm = abs(position_mm[nearest] - place_mm)
    turned_deg = angle_between_normals_deg(cine.plane.normal, nearest.plane.normal)
    is_near = apart_mm <= SAME_SLICE_SHARE * base.step_mm
    if _matrix(cine.plane) != matrix:
        fate = Fate.REPEAT if is_near else Fate.NOT_USED
        return PassedOver(cine=cine, fate=fate, sentence=f"it has {_matrix_text(cine.plane)}, the stack {_size_text(matrix)}")
    if turned_deg > SAME_ORIENTATION_DEG:
        later = ", which was planned again" if nearest.recency > cine.recency else ""
        return PassedOver(
            cine=cine, fate=Fate.REPEAT, sentence=f"it is turned by {turned_deg:.0f} degrees against the stack{later}"
        )
    if apart_mm <= SAME_PLACE_SHARE * base.step_mm:
        which = "a later" if nearest.recency > cine.recency else "another"
        return PassedOver(cine=cine, fate=Fate.REPEAT, sentence=f"{which} acquisition of this level was used")
    if place_mm < position_mm[stack[0]] or place_mm > position_mm[stack[-1]]:
        sentence = f"it lies {apart_mm:.0f} mm beyond the stack, and not in its even steps or under another name"
        return PassedOver(cine=cine, fate=Fate.REPEAT if is_near else Fate.NOT_USED, sentence=sentence)
    return PassedOver(
        cine=cine, fate=Fate.REPEAT, sentence=f"it lies between the levels of the stack, {apart_mm:.1f} mm from the nearest"
    )


def _notes(passed_over: Sequence[PassedOver]) -> list[Finding]:
    """Note what was skipped, by reason; the numbers in a sentence are those of the first slice."""
    groups: dict[tuple[Fate, str], list[PassedOver]] = {}
    for one in passed_over:
        groups.setdefault((one.fate, _kind(one.sentence)), []).append(one)
    findings = []
    for (fate, _), members in groups.items():
        code = NoteCode.SUPERSEDED if fate is Fate.REPEAT else NoteCode.SLICE_LEFT_OUT
        labels = join_labels([one.cine for one in members])
        count = f"{counted(len(members), 'slice')} {either(len(members), 'was', 'were')}"
        which = either(len(members), "it", "the first")
        reason = members[0].sentence.removeprefix("it ")
        if members[0].sentence.startswith("it "):
            reason = f"{which} {reason}"
        findings.append(Finding(_VIEW, code, f"{count} left out of the stack ({labels}): {reason}"))
    return findings


def _kind(sentence: str) -> str:
    """Return a sentence without its numbers."""
    return "".join(char for char in sentence if not char.isdigit() and char != ".")


def _angle_note(slices: Sequence[CineSlice]) -> list[Finding]:
    """Note a stack whose angle changes from level to level."""
    groups: list[list[CineSlice]] = []
    for cine in slices:
        home = next((group for group in groups if share_orientation(group[0], cine, SAME_ORIENTATION_DEG)), None)
        groups.append([cine]) if home is None else home.append(cine)
    if len(groups) < 2:
        return []
    most = max(groups, key=len)
    others = [cine for group in groups if group is not most for cine in group]
    angle_deg = max(angle_between_normals_deg(cine.plane.normal, most[0].plane.normal) for cine in others)
    sentence = (
        f"the angle of the stack changes: {part(len(others), len(slices), 'slice')} {either(len(others), 'is', 'are')} "
        f"turned by up to {angle_deg:.0f} degrees "
        f"({join_labels(others)}); all are used"
    )
    return [Finding(_VIEW, NoteCode.STACK_ANGLE, sentence)]


def _matrix(plane: ImagePlane) -> Matrix:
    """Return a plane's matrix."""
    return plane.rows, plane.columns, round(plane.row_spacing_mm, 2), round(plane.column_spacing_mm, 2)


def _matrix_text(plane: ImagePlane) -> str:
    """Name a plane's matrix."""
    rows, columns, row_spacing_mm, column_spacing_mm = _matrix(plane)
    return f"{rows} × {columns} pixels of {row_spacing_mm} × {column_spacing_mm} mm"


def _size_text(matrix: Matrix) -> str:
    """Name a stack's matrix."""
    return f"{matrix[0]} × {matrix[1]} of {matrix[2]} × {matrix[3]} mm"
