"""From parallel cine slices to a stack: one acquisition per level, of one matrix, from base to apex."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from cmr_planes.cine.acquisitions import CineSlice, is_complete
from cmr_planes.errors import Finding, NoteCode
from cmr_planes.fates import Fate
from cmr_planes.geometry import ImagePlane, order_from_base
from cmr_planes.geometry.stack import slice_positions_mm
from cmr_planes.views import CardiacView

SAME_SLICE_SHARE = 0.6
"""Slices of a stack closer than this share of their distance or thickness are repeats of one slice."""
DEFAULT_THICKNESS_MM = 8.0
"""Slice thickness where the header gives none."""


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
    """The slices of a short-axis stack, and what was passed over for them."""

    slices: tuple[CineSlice, ...]
    """One acquisition per level, from base to apex, all of one matrix."""
    passed_over: tuple[PassedOver, ...]
    """Every other slice that was given."""
    findings: tuple[Finding, ...]
    """What is worth knowing about the choice."""


def assemble_stack(candidates: Sequence[CineSlice]) -> Stack:
    """Choose one acquisition per level of a short-axis stack.

    Parameters
    ----------
    candidates
        Parallel slices, at least one.

    Returns
    -------
        The stack. Of repeats it has the latest complete one.
    """
    view = CardiacView.SAX.value
    findings: list[Finding] = []
    kept: list[CineSlice] = []
    repeats: list[CineSlice] = []
    position_mm = dict(zip(map(id, candidates), slice_positions_mm([cine.plane for cine in candidates]), strict=True))
    for cine in sorted(candidates, key=lambda cine: (is_complete(cine, candidates), cine.recency), reverse=True):
        reach_mm = SAME_SLICE_SHARE * max(
            cine.header.slice_thickness_mm or DEFAULT_THICKNESS_MM, cine.header.spacing_between_slices_mm or 0.0
        )
        near = any(abs(position_mm[id(cine)] - position_mm[id(other)]) < reach_mm for other in kept)
        (repeats if near else kept).append(cine)
    passed_over = [
        PassedOver(cine=cine, fate=Fate.REPEAT, sentence="the latest complete acquisition of this level was used")
        for cine in repeats
    ]
    if repeats:
        findings.append(Finding(view, NoteCode.SUPERSEDED, superseded_sentence(repeats)))

    shapes = Counter(_matrix(cine.plane) for cine in kept)
    common = max(shapes, key=lambda shape: (shapes[shape], shape))
    for cine in kept:
        if _matrix(cine.plane) != common:
            sentence = f"it has {_matrix_text(cine.plane)}, the stack {_size_text(common)}"
            passed_over.append(PassedOver(cine=cine, fate=Fate.NOT_USED, sentence=sentence))
            sentence = (
                f"a slice of {cine.label} has {_matrix_text(cine.plane)}, the stack {_size_text(common)}; the slice was left out"
            )
            findings.append(Finding(view, NoteCode.SLICE_LEFT_OUT, sentence))
    kept = [cine for cine in kept if _matrix(cine.plane) == common]
    slices = tuple(kept[index] for index in order_from_base([cine.plane for cine in kept]))
    return Stack(slices=slices, passed_over=tuple(passed_over), findings=tuple(findings))


def superseded_sentence(repeats: Sequence[CineSlice]) -> str:
    """Name the acquisitions that were passed over."""
    labels = sorted({cine.label for cine in repeats})
    return f"{len(repeats)} repeated slices were passed over for the latest complete ones: {'; '.join(labels)}"


def _matrix(plane: ImagePlane) -> tuple[int, int, float, float]:
    """Return rows, columns and the two spacings, rounded to 0.01 mm."""
    return plane.rows, plane.columns, round(plane.row_spacing_mm, 2), round(plane.column_spacing_mm, 2)


def _matrix_text(plane: ImagePlane) -> str:
    """Name a plane's matrix."""
    rows, columns, row_spacing_mm, column_spacing_mm = _matrix(plane)
    return f"{rows} × {columns} pixels of {row_spacing_mm} × {column_spacing_mm} mm"


def _size_text(matrix: tuple[int, int, float, float]) -> str:
    """Name a stack's matrix."""
    return f"{matrix[0]} × {matrix[1]} of {matrix[2]} × {matrix[3]} mm"
