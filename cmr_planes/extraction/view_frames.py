"""Which frames of a view are stored, and what is worth knowing about them."""

from collections.abc import Sequence

import numpy as np

from cmr_planes.cine.frame_choice import UNKNOWN_FRAME, choose_frames, count_replaced, far_slices, phase_moments
from cmr_planes.errors import Finding, NoteCode
from cmr_planes.extraction.assembly import Assembly
from cmr_planes.geometry.arrays import IntArray
from cmr_planes.system.text import either, part
from cmr_planes.views import CardiacPhase, CardiacView, PhaseChoice


def choose_view_frames(view: CardiacView, assembly: Assembly) -> tuple[tuple[str, ...], IntArray, list[Finding]]:
    """Choose the frames of a view that are stored.

    Parameters
    ----------
    view
        The view.
    assembly
        The subject, when its frames were taken, and when end-diastole and end-systole are.

    Returns
    -------
        The names of the phases; the frame of each phase and slice, shape (phase, slice), ``UNKNOWN_FRAME`` where nothing tells the
        times of a slice's frames; and what was found. A view without any known times has no end-systole.
    """
    slices = assembly.subject.views[view]
    named = assembly.subject.named_phases.get(view)
    if named is not None:
        frame_index = np.repeat(np.arange(len(named))[:, np.newaxis], len(slices), axis=1)
        return tuple(phase.value for phase in named), frame_index, []
    times, cycle = assembly.times[view], assembly.choice.cycle
    phases, frame_index = choose_frames(slices, times, cycle, assembly.options.phases)
    if assembly.options.phases is PhaseChoice.ALL:
        return phases, frame_index, []
    n_replaced = count_replaced(slices, times, frame_index, phase_moments(cycle))
    frame_index = assembly.choice.override(view, frame_index)
    findings = _replaced_findings(view, n_replaced, frame_index.size) + _far_findings(
        view, phases, far_slices(times, frame_index, phase_moments(cycle)), len(slices)
    )
    is_told = ~(frame_index == UNKNOWN_FRAME).all(axis=1)
    if not is_told.all():
        sentence = (
            "nothing tells when in the cardiac cycle the frames were taken (TriggerTime (0018,1060), NominalInterval (0018,1062), "
            "a number of frames equal to that of other views): end-systole was not kept"
        )
        findings.append(Finding(view.value, NoteCode.CYCLE_TIME_UNKNOWN, sentence))
    return tuple(phase for phase, told in zip(phases, is_told, strict=True) if told), frame_index[is_told], findings


def moments_in_cycle(
    view: CardiacView, assembly: Assembly, keep: Sequence[int], phases: Sequence[str], frame_index: IntArray
) -> tuple[float, float]:
    """Tell when end-diastole and end-systole of a view are.

    Parameters
    ----------
    view, assembly
        The view, and the subject that it is of.
    keep
        The view's slices that are stored.
    phases, frame_index
        The names of the phases, and the frame of each phase and stored slice, shape (phase, slice).

    Returns
    -------
        Fractions of the RR interval after the R wave: of the frames chosen on the middle one of the slices; where all frames are
        stored, of the subject's phases; NaN where not known.
    """
    middle = len(keep) // 2
    known = assembly.times[view][keep[middle]] if view in assembly.times else None
    if known is None:
        return float("nan"), float("nan")
    if assembly.options.phases is PhaseChoice.ALL:
        cycle = assembly.choice.cycle
        return cycle.ed, float("nan") if cycle.es is None else cycle.es
    found = {name: float(known[frame]) for name, frame in zip(phases, frame_index[:, middle].tolist(), strict=True)}
    return found.get(CardiacPhase.ED, float("nan")), found.get(CardiacPhase.ES, float("nan"))


def _replaced_findings(view: CardiacView, n_replaced: int, n_images: int) -> list[Finding]:
    """Note images that stand for a neighbour which cannot be read."""
    if not n_replaced:
        return []
    sentence = (
        f"{part(n_replaced, n_images, 'image')} {either(n_replaced, 'is', 'are')} of the frame beside the one at ED or "
        "ES, which is black or cannot be decoded; "
        "export the series again"
    )
    return [Finding(view.value, NoteCode.UNREADABLE_FRAMES, sentence)]


def _far_findings(view: CardiacView, phases: Sequence[str], far: Sequence[Sequence[int]], n_slices: int) -> list[Finding]:
    """Note the phases near which slices have no frame."""
    return [
        Finding(
            view.value,
            NoteCode.PHASE_NOT_COVERED,
            f"{part(len(of_phase), n_slices, 'slice')} {either(len(of_phase), 'has', 'have')} no frame near "
            f"{phase.upper()}, since another part of the cardiac "
            f"cycle was imaged; the nearest was used: these images do not show {phase.upper()}; look for missing frames",
        )
        for phase, of_phase in zip(phases, far, strict=True)
        if of_phase
    ]
