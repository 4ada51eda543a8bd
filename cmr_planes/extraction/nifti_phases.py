"""Which of a subject's NIfTI files is end-diastole and which end-systole: names, ``Info.cfg``, label maps, then order."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import TypeVar

from cmr_planes.annotations.model import Annotation
from cmr_planes.discovery.nifti_sets import SetFile, stated_phases
from cmr_planes.errors import RejectionCode, StudyError
from cmr_planes.views import CardiacPhase, CardiacView, Structure

_Key = TypeVar("_Key", CardiacPhase, int)

PhaseFiles = Mapping[CardiacPhase, tuple[SetFile, int]]
"""The file of each phase, and the number of its frame in the cine, from 1; ED before ES."""


def name_phases(files: Sequence[SetFile], view: CardiacView, annotations: Sequence[Annotation]) -> tuple[PhaseFiles, str]:
    """Tell which file is which phase.

    Parameters
    ----------
    files
        Images of one view, each of one phase or frame.
    view
        The view.
    annotations
        What the subject's label maps say: frames that nothing else names are ED where the left ventricle is largest, ES where it
        is smallest.

    Returns
    -------
        The phases, and a remark where the label maps contradict the names, else an empty text.

    Raises
    ------
    StudyError
        Two files are of one phase or frame.
    """
    sizes = _ventricle_sizes(view, annotations)
    named = _unique({file: file.name.phase for file in files if file.name.phase is not None}, view)
    if named:
        phases = {
            phase: (named[phase], named[phase].name.frame_number or number) for number, phase in enumerate(sorted(named), start=1)
        }
        return phases, _contradiction({phase: sizes.get(phase, 0) for phase in phases}, "the files' names say")
    by_number = _unique({file: file.name.frame_number for file in files if file.name.frame_number is not None}, view)
    stated = {phase: number for phase, number in stated_phases(files).items() if number in by_number}
    told = _complete(stated, {number: sizes.get(number, 0) for number in sorted(by_number)})
    remark = _contradiction({phase: sizes.get(number, 0) for phase, number in stated.items()}, "Info.cfg says")
    return {phase: (by_number[told[phase]], told[phase]) for phase in CardiacPhase if phase in told}, remark


def _unique(keys: Mapping[SetFile, _Key], view: CardiacView) -> dict[_Key, SetFile]:
    """Return the file of each key; raises StudyError where one has two."""
    counts = Counter(keys.values())
    repeated = [key for key, count in counts.items() if count > 1]
    if repeated:
        what = f"{counts[repeated[0]]} files are called like the {view.title} view at one phase or frame; keep one"
        raise StudyError(RejectionCode.AMBIGUOUS_VIEW, what)
    return {key: file for file, key in keys.items()}


def _ventricle_sizes(view: CardiacView, annotations: Sequence[Annotation]) -> dict[CardiacPhase | int, int]:
    """Return the left ventricle's voxels at each annotated phase or frame."""
    sizes: defaultdict[CardiacPhase | int, int] = defaultdict(int)
    for annotation in annotations:
        for volume in annotation.volumes:
            when = volume.time_point.phase or volume.time_point.frame_number
            if when is not None and volume.view in (view, None) and volume.labels.any():
                sizes[when] += int((volume.labels == Structure.LV).sum())
    return dict(sizes)


def _complete(stated: Mapping[CardiacPhase, int], sizes: Mapping[int, int]) -> dict[CardiacPhase, int]:
    """Return the frames of ED and ES: as stated, else by the left ventricle's size (0: not annotated), else in order."""
    told = dict(stated)
    left = [number for number in sizes if number not in told.values()]
    known = [number for number in left if sizes[number]]
    if not told and len({sizes[number] for number in known}) > 1:
        return {
            CardiacPhase.ED: max(known, key=lambda number: sizes[number]),
            CardiacPhase.ES: min(known, key=lambda number: sizes[number]),
        }
    if told and len({sizes[number] for number in known}) > 1:
        left = sorted(known, key=lambda number: sizes[number], reverse=CardiacPhase.ED not in told)
    return told | dict(zip((phase for phase in CardiacPhase if phase not in told), left, strict=False))


def _contradiction(sizes: Mapping[CardiacPhase, int], source: str) -> str:
    """Say that the left ventricle is larger at ES than at ED, voxels by phase, 0 where not known; empty where it is not."""
    if not 0 < sizes.get(CardiacPhase.ED, 0) < sizes.get(CardiacPhase.ES, 0):
        return ""
    return (
        f"{source} which image is ED and which ES, and was followed; but the label maps have the larger left ventricle at ES: the "
        "two may be exchanged"
    )
