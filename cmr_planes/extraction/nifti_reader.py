"""One subject's NIfTI files, as public sets have them: the slices of each view, as cines or as one image per phase."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cmr_planes.annotations.model import Annotation
from cmr_planes.discovery.nifti_sets import stated_phases
from cmr_planes.discovery.subjects import SubjectSource
from cmr_planes.errors import CmrPlanesError, Finding, RejectionCode, StudyError
from cmr_planes.extraction.options import ExtractOptions
from cmr_planes.extraction.subject_views import ReadSlice, SubjectViews
from cmr_planes.geometry import LPS_AXES, ImagePlane, middle_slice, order_from_base
from cmr_planes.geometry.arrays import BoolArray, FloatArray
from cmr_planes.nifti.file_names import FileName, parse_image_name
from cmr_planes.nifti.images import VolumeFrames, read_nifti_frames
from cmr_planes.nifti.plane_table import PlaneTable, StatedPlanes
from cmr_planes.shards.records import InstanceRef
from cmr_planes.system.names import stem_of
from cmr_planes.views import TARGET_VIEWS, CardiacPhase, CardiacView, PhaseChoice, Structure

SAME_GRID_MM = 0.5
"""Volumes of one view whose slices lie farther apart than this, in mm, are not of one view."""

_MISSING = {
    CardiacView.SAX: RejectionCode.NO_SAX,
    CardiacView.TWO_CHAMBER: RejectionCode.NO_2CH,
    CardiacView.FOUR_CHAMBER: RejectionCode.NO_4CH,
}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class NiftiSlice:
    """A slice of a volume in memory: a :class:`cmr_planes.extraction.subject_views.ReadSlice`."""

    plane: ImagePlane
    images: NDArray[np.uint16]
    """Shape (frame, row, column)."""
    rescale: tuple[float, float]
    label: str
    frame_numbers: tuple[int, ...]
    """The number of each frame in its cine, from 1."""
    stated_phases: tuple[int | None, int | None]
    manufacturer: str = ""
    field_strength_t: float = float("nan")
    frames_of_reference: frozenset[str] = frozenset()

    @property
    def n_frames(self) -> int:
        """Number of frames."""
        return len(self.images)

    def load(self, frames: Sequence[int]) -> None:
        """Do nothing: the images are in memory."""

    def readable(self, frames: Sequence[int]) -> BoolArray:
        """Return True for every frame: the images are in memory."""
        return np.ones(len(frames), dtype=np.bool_)

    def image(self, frame: int) -> NDArray[np.uint16]:
        """Return the stored intensities of a frame."""
        return np.asarray(self.images[frame])

    def intensities(self, frame: int) -> FloatArray:
        """Return the file's values of a frame."""
        slope, intercept = self.rescale
        return np.asarray(self.images[frame] * slope + intercept, dtype=np.float64)

    def frame_number(self, frame: int) -> int:
        """Return the number of a frame in its cine, from 1."""
        return self.frame_numbers[frame]

    def trigger_time_ms(self, frame: int) -> float:  # noqa: ARG002  # the same for every frame
        """Return NaN: NIfTI keeps no trigger times."""
        return float("nan")

    def instance(self, frame: int) -> InstanceRef | None:  # noqa: ARG002  # the same for every frame
        """Return None: the image is no DICOM instance."""
        return None


@contextmanager
def open_nifti(source: SubjectSource, options: ExtractOptions, annotations: Sequence[Annotation]) -> Iterator[SubjectViews]:
    """Read the images of a subject.

    Parameters
    ----------
    source
        The subject's images and label maps, as :func:`cmr_planes.discovery.nifti_sets.find_nifti_subjects` finds them.
    options
        Which phases are wanted.
    annotations
        What the label maps say: they tell end-diastole from end-systole where file names and ``Info.cfg`` do not.

    Yields
    ------
        The views. Images are kept without positions too: such sets are for their labels.
    """
    names = {path: parse_image_name(stem_of(path.name)) for path in source.paths}
    images = {path: name for path, name in names.items() if not name.is_label}
    views: dict[CardiacView, tuple[ReadSlice, ...]] = {}
    named_phases: dict[CardiacView, tuple[CardiacPhase, ...]] = {}
    missing: dict[CardiacView, Finding] = {}
    for view in TARGET_VIEWS:
        of_view = {path: name for path, name in images.items() if name.view is view}
        try:
            if of_view:
                views[view], named = _read_view(of_view, view, annotations, options.phases)
                if named:
                    named_phases[view] = named
            else:
                sentence = f"no {view.title} image among {len(images)} NIfTI images; check the folder and the names of its files"
                missing[view] = Finding(view.value, _MISSING[view], sentence)
        except CmrPlanesError as error:
            missing[view] = Finding(view.value, error.code, str(error))
    stated = _stated_planes(source, options.planes)
    yield SubjectViews(
        views=views,
        missing=missing | dict(_plane_faults(stated, options.planes, missing)),
        named_phases=named_phases,
        stated_planes=stated.planes,
        axes=stated.axes or LPS_AXES,
        keeps_images=True,
    )


def _stated_planes(source: SubjectSource, table: PlaneTable | None) -> StatedPlanes:
    """Return what a table states about a subject: nothing without a table, or without a row."""
    return StatedPlanes() if table is None else table.subjects.get(source.key, StatedPlanes())


def _plane_faults(
    stated: StatedPlanes, table: PlaneTable | None, missing: Mapping[CardiacView, Finding]
) -> Iterator[tuple[CardiacView, Finding]]:
    """Say of each view that has neither image nor stated plane why the table does not state one."""
    if table is None:
        return
    reason = "; ".join(stated.faults) or "it has no row for this subject and view"
    for view, finding in missing.items():
        if view not in stated.planes:
            sentence = f"{finding.sentence}; the table of planes does not state the {view.title} plane: {reason}"
            yield view, Finding(view.value, RejectionCode.STATED_PLANES, sentence)


def _read_view(
    files: Mapping[Path, FileName], view: CardiacView, annotations: Sequence[Annotation], choice: PhaseChoice
) -> tuple[tuple[ReadSlice, ...], tuple[CardiacPhase, ...]]:
    """Read a view: single phases where there are such files, and their names; else a cine, and no names."""
    singles = {path: name for path, name in files.items() if name.phase is not None or name.frame_number is not None}
    cines = [path for path in files if path not in singles]
    if singles and not (cines and choice is PhaseChoice.ALL):
        phases = _name_singles(singles, view, annotations)
        volume = _join(phases, view)
        numbers = tuple(number for _, number in phases.values())
        return _slices(volume, view, numbers, dict(zip(phases, range(len(phases)), strict=True))), tuple(phases)
    if len(cines) > 1:
        raise StudyError(
            RejectionCode.AMBIGUOUS_VIEW,
            f"{len(cines)} volumes are called like the {view.title} view and none says its phase; keep one",
        )
    volume = read_nifti_frames(cines[0], f"the {view.title} volume")
    n_frames = len(volume.images)
    stated = {phase: number - 1 for phase, number in stated_phases(cines[0].parent).items() if 1 <= number <= n_frames}
    return _slices(volume, view, tuple(range(1, n_frames + 1)), stated), ()


def _name_singles(
    files: Mapping[Path, FileName], view: CardiacView, annotations: Sequence[Annotation]
) -> dict[CardiacPhase, tuple[Path, int]]:
    """Return the file and the frame number of ED and ES; frames without phase are named by labels, ``Info.cfg``, then order."""
    named = {name.phase: (path, name.frame_number or 0) for path, name in files.items() if name.phase is not None}
    if named:
        numbered = {phase: (path, number or index) for index, (phase, (path, number)) in enumerate(sorted(named.items()), start=1)}
        return {phase: numbered[phase] for phase in CardiacPhase if phase in numbered}
    by_number = {name.frame_number: path for path, name in files.items() if name.frame_number is not None}
    told = _annotated_phases(view, annotations) or stated_phases(next(iter(files)).parent)
    told = {phase: number for phase, number in told.items() if number in by_number}
    if not told:
        told = dict(zip(CardiacPhase, sorted(by_number), strict=False))
    return {phase: (by_number[told[phase]], told[phase]) for phase in CardiacPhase if phase in told}


def _annotated_phases(view: CardiacView, annotations: Sequence[Annotation]) -> dict[CardiacPhase, int]:
    """Return the annotated frames: of all, the one with the largest left ventricle is ED, the one with the smallest ES."""
    sizes: defaultdict[int, int] = defaultdict(int)
    for annotation in annotations:
        for volume in annotation.volumes:
            number = volume.time_point.frame_number
            if number is not None and volume.view in (view, None) and volume.labels.any():
                sizes[number] += int((volume.labels == Structure.LV).sum())
    if not sizes:
        return {}
    ed = max(sizes, key=lambda number: (sizes[number], -number))
    es = min(sizes, key=lambda number: (sizes[number], number))
    return {CardiacPhase.ED: ed} if ed == es else {CardiacPhase.ED: ed, CardiacPhase.ES: es}


def _join(files: Mapping[CardiacPhase, tuple[Path, int]], view: CardiacView) -> VolumeFrames:
    """Read the volumes of ED and ES as one."""
    volumes = [read_nifti_frames(path, f"the {view.title} volume at {phase.value.upper()}") for phase, (path, _) in files.items()]
    first = volumes[0]
    for other in volumes[1:]:
        if (
            other.images.shape[1:] != first.images.shape[1:]
            or other.rescale != first.rescale
            or _apart_mm(first, other) > SAME_GRID_MM
        ):
            raise StudyError(
                RejectionCode.INVALID_PLANE,
                f"the {view.title} volumes of the phases differ in matrix, place or scaling; they must be of one view",
            )
    return replace(first, images=np.concatenate([volume.images[:1] for volume in volumes]))


def _apart_mm(first: VolumeFrames, second: VolumeFrames) -> float:
    corner = np.array([first.planes[0].columns - 1, first.planes[0].rows - 1])
    return max(
        float(np.abs(one.pixel_to_patient(point) - other.pixel_to_patient(point)).max())
        for one, other in zip(first.planes, second.planes, strict=True)
        for point in (np.zeros(2), corner)
    )


def _slices(
    volume: VolumeFrames, view: CardiacView, frame_numbers: tuple[int, ...], stated: Mapping[CardiacPhase, int]
) -> tuple[ReadSlice, ...]:
    """Return the slices of a volume: of SAX all, from base to apex; of a long-axis view the middle one."""
    order = order_from_base(volume.planes) if view is CardiacView.SAX else [middle_slice(volume.planes)]
    return tuple(
        NiftiSlice(
            plane=volume.planes[index],
            images=volume.images[:, index],
            rescale=volume.rescale,
            label=f"slice {index + 1} of the {view.title} volume",
            frame_numbers=frame_numbers,
            stated_phases=(stated.get(CardiacPhase.ED), stated.get(CardiacPhase.ES)),
        )
        for index in order
    )
