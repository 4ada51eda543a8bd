"""One state of the heart for all views: an examination at rest and under stress has two sets of cines."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from cmr_planes.cine.acquisitions import CineSlice, CineStudy
from cmr_planes.cine.view_selection import ViewSelection
from cmr_planes.errors import Finding, NoteCode
from cmr_planes.fates import Fate, PlaneFate
from cmr_planes.system.text import counted, either


def select_one_state(study: CineStudy, select: Callable[[CineStudy], ViewSelection]) -> ViewSelection:
    """Choose the views from cines at rest, or from cines under stress, where names tell both.

    Parameters
    ----------
    study
        The cine slices of one study.
    select
        How views are chosen.

    Returns
    -------
        The views at rest if all are there, else those under stress if all are there, else of both together; a note says which.
    """
    rest = [cine for cine in study.slices if not cine.is_stress]
    stress = [cine for cine in study.slices if cine.is_stress]
    if not rest or not stress:
        return select(study)
    for used, others, name, other in ((rest, stress, "at rest", "under stress"), (stress, rest, "under stress", "at rest")):
        selection = select(replace(study, slices=tuple(used)))
        if not selection.missing:
            return _with_others(
                selection,
                others,
                f"all views are of cines {name}; {counted(len(others), 'slice')} {other} "
                f"{either(len(others), 'was', 'were')} not used",
            )
    selection = select(study)
    sentence = "neither the cines at rest nor those under stress have all views; views of both are used together"
    return replace(selection, findings=(*selection.findings, Finding("", NoteCode.REST_AND_STRESS, sentence)))


def _with_others(selection: ViewSelection, others: Sequence[CineSlice], sentence: str) -> ViewSelection:
    """Add a note, and rows for the slices of the other state."""
    rows = [
        PlaneFate(
            series_number=cine.header.series_number,
            view=cine.name_view.value if cine.name_view else "",
            n_frames=len(cine.frames),
            fate=Fate.NOT_USED,
            sentence="a cine of the other state, rest or stress; one state is used for all views",
        )
        for cine in others
    ]
    findings = (*selection.findings, Finding("", NoteCode.REST_AND_STRESS, sentence))
    return replace(selection, findings=findings, planes=(*selection.planes, *rows))
