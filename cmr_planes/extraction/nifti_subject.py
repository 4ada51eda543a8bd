"""One subject of a public set without DICOM: from NIfTI files to the record that a shard stores, with its labels."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from cmr_planes.annotations.files import LabelFile
from cmr_planes.annotations.model import Annotation, LabelFormat
from cmr_planes.annotations.reading import read_annotations
from cmr_planes.cine.phases import MIN_SEARCH_FRAMES, blood_pool_curve, difference_curve, disc_mask, find_phases, nearest_frame
from cmr_planes.discovery.nifti_sets import stated_phases
from cmr_planes.discovery.subjects import SubjectSource
from cmr_planes.errors import CmrPlanesError, GeometryError, Note, NoteCode, Rejection, RejectionCode, StudyError
from cmr_planes.extraction.annotated_frames import SubjectAnnotations
from cmr_planes.extraction.options import ExtractOptions
from cmr_planes.extraction.subject import ExtractedSubject, unforeseen
from cmr_planes.geometry import VIEW_LINES, ImagePlane, Positions, compute_positions, middle_slice, order_from_base
from cmr_planes.nifti.file_names import FileName, parse_image_name
from cmr_planes.nifti.images import VolumeFrames, read_frames
from cmr_planes.shards.records import SubjectRecord, ViewLabels, ViewRecord
from cmr_planes.system.names import stem_of
from cmr_planes.views import CardiacPhase, CardiacView, PhaseChoice, Structure

SAME_PLANE_MM = 0.5
"""Volumes of one view whose slices lie farther apart than this, in mm, are not of one view."""


@dataclass(frozen=True, slots=True, eq=False)
class _Frames:
    """The chosen images of a view."""

    volume: VolumeFrames
    """Their images and planes."""
    phases: tuple[str, ...]
    """Name of each."""
    frame_numbers: tuple[int, ...]
    """Frame of each in the cycle, from 1."""


def extract_nifti(source: SubjectSource, options: ExtractOptions) -> ExtractedSubject:
    """Make the record of one subject and the labels of its images.

    Parameters
    ----------
    source
        The subject's images and label maps, as :func:`cmr_planes.discovery.nifti_sets.find_nifti_subjects` finds them.
    options
        What to make of them.

    Returns
    -------
        The record and the labels. Views without positions are kept: such sets are for their labels. Whatever is wrong ends in
        rejections and notes.
    """
    notes: list[Note] = []
    rejections: list[Rejection] = []
    views: tuple[ViewRecord, ...] = ()
    labels: Mapping[CardiacView, ViewLabels] = {}
    try:
        names = {path: parse_image_name(stem_of(path.name)) for path in source.paths}
        files = [LabelFile(path, "", (path.name,), LabelFormat.NIFTI) for path, name in names.items() if name.is_label]
        annotations, failures = read_annotations(files, None if options.labels is None else options.labels.classes)
        images = {path: name for path, name in names.items() if not name.is_label}
        frames = _choose_all(images, annotations, options, source.key, rejections)
        views = tuple(_record(view, frames, options, source.key, notes) for view in frames)
        labels, remarks = SubjectAnnotations(annotations).labels_on(views)
        notes += [Note(source.key, "", NoteCode.LABELS, sentence) for sentence in (*failures, *remarks)]
    except CmrPlanesError as error:
        rejections.append(Rejection(source.key, "", error.code, str(error)))
    except Exception as error:  # noqa: BLE001  # the boundary: an unforeseen fault costs one subject, not the run
        rejections.append(unforeseen(source.key, error))
    record = SubjectRecord(
        key=source.key, participant=source.participant, views=views, rejections=tuple(rejections), notes=tuple(notes)
    )
    return ExtractedSubject(record, labels)


def _choose_all(
    images: Mapping[Path, FileName],
    annotations: Sequence[Annotation],
    options: ExtractOptions,
    key: str,
    rejections: list[Rejection],
) -> dict[CardiacView, _Frames]:
    """Choose the images of every view; reject what cannot be used."""
    frames: dict[CardiacView, _Frames] = {}
    for view in options.views:
        of_view = {path: name for path, name in images.items() if name.view is view}
        try:
            if of_view:
                frames[view] = _choose(of_view, view, annotations, options.phases)
        except CmrPlanesError as error:
            rejections.append(Rejection(key, view.value, error.code, str(error)))
    if not frames and not rejections:
        sentence = f"no image of the views asked for among {len(images)} NIfTI images; check the folder and --views"
        rejections.append(Rejection(key, "", RejectionCode.NO_SAX, sentence))
    return frames


def _choose(files: Mapping[Path, FileName], view: CardiacView, annotations: Sequence[Annotation], choice: PhaseChoice) -> _Frames:
    """Choose the images of a view: single phases where there are such files, else frames of a cine."""
    singles = {path: name for path, name in files.items() if name.phase is not None or name.frame_number is not None}
    cines = [path for path in files if path not in singles]
    if singles and not (cines and choice is PhaseChoice.ALL):
        return _join(_name_singles(singles, view, annotations), view)
    if len(cines) > 1:
        raise StudyError(
            RejectionCode.AMBIGUOUS_VIEW,
            f"{len(cines)} volumes are called like the {view.title} view and none says its phase; keep one",
        )
    volume = read_frames(cines[0], f"the {view.title} volume")
    count = len(volume.images)
    if choice is PhaseChoice.ALL:
        return _in_order(_Frames(volume, tuple(f"{frame:03d}" for frame in range(count)), tuple(range(1, count + 1))), view)
    numbers = _annotated_phases(view, annotations) or stated_phases(cines[0].parent) or _found_phases(volume)
    numbers = {phase: number for phase, number in numbers.items() if 1 <= number <= count}
    chosen = [(phase, numbers[phase]) for phase in CardiacPhase if phase in numbers]
    if not chosen:
        chosen = [(CardiacPhase.ED, 1)]
    picked = replace(volume, images=volume.images[[number - 1 for _, number in chosen]])
    return _in_order(_Frames(picked, tuple(phase.value for phase, _ in chosen), tuple(number for _, number in chosen)), view)


def _name_singles(
    files: Mapping[Path, FileName], view: CardiacView, annotations: Sequence[Annotation]
) -> dict[CardiacPhase, tuple[Path, int]]:
    """Return the file and the frame number of ED and ES; frames without phase are told by labels, ``Info.cfg``, then order."""
    named = {name.phase: (path, name.frame_number or 0) for path, name in files.items() if name.phase is not None}
    if named:
        return {phase: (path, number or place) for place, (phase, (path, number)) in enumerate(sorted(named.items()), start=1)}
    by_number = {name.frame_number: path for path, name in files.items() if name.frame_number is not None}
    told = _annotated_phases(view, annotations) or stated_phases(next(iter(files)).parent)
    told = {phase: number for phase, number in told.items() if number in by_number}
    if not told:
        told = dict(zip(CardiacPhase, sorted(by_number), strict=False))
    return {phase: (by_number[number], number) for phase, number in told.items()}


def _join(files: Mapping[CardiacPhase, tuple[Path, int]], view: CardiacView) -> _Frames:
    """Read the volumes of ED and ES as one."""
    phases = [phase for phase in CardiacPhase if phase in files]
    volumes = [read_frames(files[phase][0], f"the {view.title} volume at {phase.value.upper()}") for phase in phases]
    first = volumes[0]
    for other in volumes[1:]:
        if (
            other.images.shape[1:] != first.images.shape[1:]
            or other.rescale != first.rescale
            or _apart_mm(first, other) > SAME_PLANE_MM
        ):
            raise StudyError(
                RejectionCode.INVALID_PLANE,
                f"the {view.title} volumes of the phases differ in matrix, place or scaling; they must be of one view",
            )
    joined = replace(first, images=np.concatenate([volume.images[:1] for volume in volumes]))
    return _in_order(_Frames(joined, tuple(phase.value for phase in phases), tuple(files[phase][1] for phase in phases)), view)


def _apart_mm(first: VolumeFrames, second: VolumeFrames) -> float:
    corner = np.array([first.planes[0].columns - 1, first.planes[0].rows - 1])
    return max(
        float(np.abs(one.pixel_to_patient(point) - other.pixel_to_patient(point)).max())
        for one, other in zip(first.planes, second.planes, strict=True)
        for point in (np.zeros(2), corner)
    )


def _in_order(frames: _Frames, view: CardiacView) -> _Frames:
    """Put SAX slices from base to apex; of a long-axis view keep the middle slice."""
    planes = frames.volume.planes
    order = order_from_base(planes) if view is CardiacView.SAX else [middle_slice(planes)]
    volume = replace(frames.volume, images=frames.volume.images[:, order], planes=tuple(planes[level] for level in order))
    return replace(frames, volume=volume)


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


def _found_phases(volume: VolumeFrames) -> dict[CardiacPhase, int]:
    """Find ED and ES in the images of the middle slice."""
    count = len(volume.images)
    if count < MIN_SEARCH_FRAMES:
        return {CardiacPhase.ED: 1}
    level = middle_slice(volume.planes)
    plane = volume.planes[level]
    images = volume.images[:, level].astype(np.float64)
    mask = disc_mask(plane, plane.patient_to_pixel(plane.centre_mm))
    cycle = find_phases(blood_pool_curve(images[:, mask]), difference_curve(images, mask))
    phases = {CardiacPhase.ED: nearest_frame(cycle.ed, count) + 1}
    if cycle.es is not None:
        phases[CardiacPhase.ES] = nearest_frame(cycle.es, count) + 1
    return phases


def _record(
    view: CardiacView, frames: Mapping[CardiacView, _Frames], options: ExtractOptions, key: str, notes: list[Note]
) -> ViewRecord:
    """Make the record of one view, with positions where the planes of the other views allow them."""
    chosen = frames[view]
    planes = chosen.volume.planes
    positions = None
    try:
        positions = _positions(view, frames, options)
    except GeometryError as error:
        notes.append(Note(key, view.value, NoteCode.NO_POSITIONS, f"images were kept without positions: {error}"))
    shape = chosen.volume.images.shape[:2]
    return ViewRecord(
        view=view,
        image=chosen.volume.images,
        phases=chosen.phases,
        frame_numbers=np.repeat(np.array(chosen.frame_numbers, dtype=np.int64)[:, None], shape[1], axis=1),
        trigger_time_ms=np.full(shape, np.nan),
        planes=planes,
        positions=positions,
        line_agreement=None if positions is None else np.full((shape[1], 2), np.nan),
        rescale=chosen.volume.rescale,
        manufacturer="",
        field_strength_t=float("nan"),
    )


def _positions(view: CardiacView, frames: Mapping[CardiacView, _Frames], options: ExtractOptions) -> tuple[Positions, ...] | None:
    """Place positions on every slice; None without the planes of the other views."""
    lines = VIEW_LINES[view]
    if any(line.view not in frames for line in lines):
        return None
    cuts = [_plane_of(frames[line.view]) for line in lines]
    axes = (lines[0].axis, lines[1].axis)
    return tuple(
        compute_positions(plane, cuts[0], cuts[1], axes=axes, layout=options.layout) for plane in frames[view].volume.planes
    )


def _plane_of(frames: _Frames) -> ImagePlane:
    return frames.volume.planes[middle_slice(frames.volume.planes)]
