"""One subject: from its files to the record that a shard stores, the same for every kind of source."""

import traceback
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from cmr_planes.annotations.files import LabelFile
from cmr_planes.annotations.reading import read_annotations
from cmr_planes.cine.frame_choice import UNKNOWN_FRAME, find_cycle_phases, time_views
from cmr_planes.cine.phases import CyclePhases
from cmr_planes.discovery.subjects import SubjectSource
from cmr_planes.errors import CmrPlanesError, Finding, GeometryError, NoteCode, RejectionCode, UnreadablePixelsError
from cmr_planes.extraction.annotated_frames import SubjectAnnotations
from cmr_planes.extraction.assembly import Assembly
from cmr_planes.extraction.image_checks import (
    agreement_findings,
    alignment_findings,
    measure_agreement,
    measure_shifts,
    repair_findings,
)
from cmr_planes.extraction.options import ExtractOptions
from cmr_planes.extraction.source_format import format_of
from cmr_planes.extraction.subject_views import ReadSlice, SubjectViews
from cmr_planes.extraction.view_frames import choose_view_frames, moments_in_cycle
from cmr_planes.fates import PlaneFate
from cmr_planes.geometry import LPS_AXES, VIEW_LINES, Positions, compute_positions
from cmr_planes.geometry.arrays import FloatArray, IntArray
from cmr_planes.shards.records import InstanceRef, SubjectRecord, ViewLabels, ViewRecord
from cmr_planes.system.collection import collection_paused
from cmr_planes.system.text import either, part
from cmr_planes.views import TARGET_VIEWS, CardiacView, PhaseChoice


@dataclass(frozen=True, slots=True)
class ExtractedSubject:
    """What one subject gives."""

    record: SubjectRecord
    """Images, positions, and what was left out."""
    labels: Mapping[CardiacView, ViewLabels]
    """Labels of the record's images, by view; empty without annotations."""


@collection_paused()  # a subject's frames stay until it is done
def extract_subject(source: SubjectSource, options: ExtractOptions, label_files: Sequence[LabelFile]) -> ExtractedSubject:
    """Make the record of one subject and the labels of its images.

    Parameters
    ----------
    source
        Where the subject's files lie.
    options
        What to make of them.
    label_files
        The subject's annotation files, none for images alone. Frames that they annotate take the place of the automatic choice of
        ED and ES.

    Returns
    -------
        The record and the labels. Whatever is wrong with the data ends in the record's findings, never in an exception.
    """
    findings: list[Finding] = [*source.findings]
    views: list[ViewRecord] = []
    planes: tuple[PlaneFate, ...] = ()
    labels: Mapping[CardiacView, ViewLabels] = {}
    try:
        read, failures = read_annotations(label_files, None if options.labels is None else options.labels.classes)
        with format_of(options).open(source, options, read) as subject:
            annotations = SubjectAnnotations(read if subject.annotations is None else subject.annotations)
            findings += subject.findings
            planes = subject.planes
            records = []
            for record, found in _assemble(subject, options, annotations):
                records += [] if record is None else [record]
                findings += found
        views = records
        labels, remarks = annotations.labels_on(views)
        findings += [Finding("", NoteCode.LABELS, sentence) for sentence in (*failures, *remarks)]
    except CmrPlanesError as error:
        findings.append(Finding("", error.code, str(error)))
    except Exception as error:  # noqa: BLE001  # the boundary: an unforeseen fault costs one subject, not the run
        findings.append(_unforeseen(error))
    whole = SubjectRecord(
        key=source.key, participant=source.participant, views=tuple(views), findings=tuple(findings), planes=planes
    )
    return ExtractedSubject(whole, labels)


def _unforeseen(error: Exception) -> Finding:
    """Reject a subject for an error that nothing foresees; names the place in the code, and nothing of the data."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    place = f"{Path(frame.filename).name}, line {frame.lineno}"
    return Finding("", RejectionCode.UNEXPECTED_ERROR, f"unforeseen {type(error).__name__} ({place}); please report it")


def _assemble(
    subject: SubjectViews, options: ExtractOptions, annotations: SubjectAnnotations
) -> Iterator[tuple[ViewRecord | None, list[Finding]]]:
    """Make the records of the views, one after another, and what was found on the way."""
    if not subject.views and not subject.missing:
        return
    cines = {view: slices for view, slices in subject.views.items() if view not in subject.named_phases}
    kept = TARGET_VIEWS if options.keep_all or subject.keeps_images else annotations.views_among(subject.views)
    targets: list[CardiacView] = []
    for view in (view for view in options.views if view in TARGET_VIEWS):
        is_possible, found = _is_possible(view, subject, is_kept=view in kept)
        targets += [view] if is_possible else []
        yield None, found
    if not targets:
        return
    yield None, _frame_of_reference_findings(subject)
    times = time_views(cines)
    choice = annotations.cycle(cines, times, find_cycle_phases(cines, times) if cines else CyclePhases(ed=0.0, es=None))
    if choice.cycle.n_unreadable:
        sentence = (
            "of the slices in which ED and ES are searched for, frames are black or cannot be decoded "
            f"({choice.cycle.n_unreadable} in all); the phases were determined from the others; export the series again"
        )
        yield None, [Finding("", NoteCode.UNREADABLE_FRAMES, sentence)]
    if choice.cycle.es is None and options.phases is PhaseChoice.ED_ES and not cines.keys().isdisjoint(targets):
        sentence = f"end-systole could not be determined: {choice.cycle.lack}; only end-diastole was kept"
        yield None, [Finding("", NoteCode.FEW_FRAMES, sentence)]
    assembly = Assembly(subject=subject, options=options, kept=kept, times=times, choice=choice)
    assembly = replace(assembly, shifts=measure_shifts(assembly))
    are_stored = False
    for view in targets:
        record, found = _make_view(view, assembly)
        are_stored |= record is not None
        yield record, found
    for view in options.views:
        if are_stored and view not in TARGET_VIEWS and view in subject.views:
            yield _make_view(view, assembly)


def _is_possible(view: CardiacView, subject: SubjectViews, *, is_kept: bool) -> tuple[bool, list[Finding]]:
    """Tell whether a target view can be stored; note or reject what is missing."""
    absent = next(iter(_missing_planes(view, subject)), None)
    if absent is None:
        return True, []
    lack = "has voxel sizes that no heart has" if absent in subject.unsized else "does not say where in the patient it lies"
    unplaced = f"the {absent.title} file {lack}"
    reason = subject.missing.get(absent) or Finding(absent.value, RejectionCode.INVALID_PLANE, unplaced)
    sentence = reason.sentence
    if absent is not view:
        sentence = f"positions on {view.title} need the {absent.title} plane: {sentence}"
    if is_kept and view in subject.views:
        return True, [Finding(view.value, NoteCode.NO_POSITIONS, f"images were kept without positions; {sentence}")]
    return False, [Finding(view.value, reason.code, sentence)]


def _missing_planes(view: CardiacView, subject: SubjectViews) -> tuple[CardiacView, ...]:
    """Return the views whose planes are needed for positions on a view, itself included, and are not known."""
    needed = (view, *(line.view for line in VIEW_LINES[view]))
    return tuple(other for other in needed if not _is_plane_known(other, subject, is_image=other is view))


def _is_plane_known(view: CardiacView, subject: SubjectViews, *, is_image: bool) -> bool:
    """Tell whether a view's plane is known in mm in the patient: stated for a line, or by a file that has directions."""
    if view in subject.stated_planes and not is_image:
        return True
    if view not in subject.views or view in subject.unsized:
        return False
    return subject.axes is not LPS_AXES or all(one.has_directions for one in subject.views[view])


def _frame_of_reference_findings(subject: SubjectViews) -> list[Finding]:
    """Note planes that do not share a frame of reference; empty identifiers say nothing."""
    uids = {uid for slices in subject.views.values() for one in slices for uid in one.frames_of_reference}
    if len(uids) <= 1:
        return []
    wrong = "the positions are wrong: see line agreement" if len(subject.views) > 1 else "the slices lie elsewhere than stored"
    sentence = (
        f"the images carry {len(uids)} different FrameOfReferenceUID (0020,0052) and were used as if they shared one; if the "
        f"patient was moved between them, {wrong}"
    )
    return [Finding("", NoteCode.FRAME_OF_REFERENCE, sentence)]


def _make_view(view: CardiacView, assembly: Assembly) -> tuple[ViewRecord | None, list[Finding]]:
    """Make the record of one view, or reject it."""
    subject = assembly.subject
    slices = list(subject.views[view])
    findings = list(subject.view_findings.get(view, ()))
    phases, frame_index, found = choose_view_frames(view, assembly)
    findings += found
    keep, found = _readable_slices(view, slices, frame_index)
    findings += found
    positions: list[Positions] | None = None
    if view in VIEW_LINES and not _missing_planes(view, subject):
        keep, positions, found = _place_positions(view, slices, keep, assembly)
        findings += found
    if not keep:
        return None, findings
    slices = [slices[index] for index in keep]
    frame_index = frame_index[:, keep]
    agreement = None
    if positions is not None:
        agreement = measure_agreement(view, keep, positions, assembly)
        findings += alignment_findings(view, keep, assembly)
        findings += agreement_findings(view, agreement, assembly.options.min_agreement)
        if findings and findings[-1].is_rejection:
            return None, findings
    findings += repair_findings(view, slices, frame_index)
    record = view_record(view, slices, phases, frame_index, positions, agreement)
    is_stated = positions is not None and any(line.view in subject.stated_planes for line in VIEW_LINES[view])
    shifts = assembly.shifts[view].of(keep) if view in assembly.shifts else None
    ed_cycle, es_cycle = moments_in_cycle(view, assembly, keep, phases, frame_index)
    return replace(
        record,
        has_stated_planes=is_stated,
        source_header=subject.source_headers.get(view),
        n_frames=0 if view in subject.named_phases else max(one.n_frames for one in slices),
        ed_cycle=ed_cycle,
        es_cycle=es_cycle,
        shifts=shifts,
    ), findings


def view_record(
    view: CardiacView,
    slices: Sequence[ReadSlice],
    phases: tuple[str, ...],
    frame_index: IntArray,
    positions: Sequence[Positions] | None,
    agreement: FloatArray | None,
) -> ViewRecord:
    """Put together what is stored of a view.

    Parameters
    ----------
    view, slices
        The view, and its slices, whose images can be read.
    phases, frame_index
        The names of the phases, and the frame of each phase and slice, shape (phase, slice), from 0.
    positions, agreement
        Positions on each slice and the agreement along their lines; None where the view has none.
    """
    frames = [[(one, int(frame)) for one, frame in zip(slices, row, strict=True)] for row in frame_index]
    return ViewRecord(
        view=view,
        image=np.stack([np.stack([one.image(frame) for one, frame in row]) for row in frames]),
        phases=phases,
        frame_numbers=np.array([[one.frame_number(frame) for one, frame in row] for row in frames], dtype=np.int64),
        trigger_time_ms=np.array([[one.trigger_time_ms(frame) for one, frame in row] for row in frames]),
        planes=tuple(one.plane for one in slices),
        positions=None if positions is None else tuple(positions),
        line_agreement=agreement,
        rescale=np.array([[one.rescale(frame) for one, frame in row] for row in frames]),
        manufacturer=slices[0].manufacturer,
        field_strength_t=slices[0].field_strength_t,
        slice_thickness_mm=np.array([one.slice_thickness_mm for one in slices]),
        has_directions=slices[0].has_directions,
        source_order=_source_order(slices),
        instances=_instances(frames),
    )


def _source_order(slices: Sequence[ReadSlice]) -> tuple[int, ...] | None:
    """Return the index of each slice in the source's own order, None where the source is not one volume."""
    known = tuple(one.source_index for one in slices if one.source_index is not None)
    return known or None


def _instances(frames: Sequence[Sequence[tuple[ReadSlice, int]]]) -> tuple[tuple[InstanceRef, ...], ...] | None:
    """Return the DICOM instance of each image, None where the images are not DICOM."""
    rows = [[one.instance(frame) for one, frame in row] for row in frames]
    known = tuple(tuple(ref for ref in row if ref is not None) for row in rows)
    return known if known[0] else None


def _readable_slices(view: CardiacView, slices: Sequence[ReadSlice], frame_index: IntArray) -> tuple[list[int], list[Finding]]:
    """Return the slices whose chosen frames can be read; the others are noted, or rejected with the view if none is left."""
    kept, failures = [], []
    for column, one in enumerate(slices):
        if (frame_index[:, column] == UNKNOWN_FRAME).any():
            failures.append(f"{one.label}: nothing tells when in the cardiac cycle its frames were taken")
            continue
        try:
            one.load(frame_index[:, column].tolist())
        except UnreadablePixelsError as error:
            failures.append(f"{one.label}: {error}")
        else:
            kept.append(column)
    if not failures:
        return kept, []
    if kept:
        sentence = f"{part(len(failures), len(slices), 'slice')} {either(len(failures), 'was', 'were')} left out; {failures[0]}"
        return kept, [Finding(view.value, NoteCode.SLICE_LEFT_OUT, sentence)]
    return [], [Finding(view.value, RejectionCode.UNREADABLE_PIXELS, failures[0])]


def _place_positions(
    view: CardiacView, slices: Sequence[ReadSlice], keep: Sequence[int], assembly: Assembly
) -> tuple[list[int], list[Positions] | None, list[Finding]]:
    """Place positions on the slices in ``keep``; return those on which they could be placed, the positions, and what was found."""
    first, second = VIEW_LINES[view]
    planes = assembly.line_planes(view)
    placed: dict[int, Positions] = {}
    failures: list[GeometryError] = []
    for index in keep:
        try:
            placed[index] = compute_positions(
                slices[index].plane,
                *assembly.aligned(planes, view, index),
                axes=(first.axis, second.axis),
                layout=assembly.options.layout,
                patient=assembly.subject.axes,
            )
        except GeometryError as error:
            failures.append(error)
    if not failures:
        return list(placed), list(placed.values()) or None, []
    if placed:
        sentence = f"{part(len(failures), len(slices), 'slice')} {either(len(failures), 'was', 'were')} left out: {failures[0]}"
        return list(placed), list(placed.values()), [Finding(view.value, NoteCode.SLICE_LEFT_OUT, sentence)]
    if view in assembly.kept:
        sentence = f"images were kept without positions: {failures[0]}"
        return list(keep), None, [Finding(view.value, NoteCode.NO_POSITIONS, sentence)]
    return [], None, [Finding(view.value, failures[0].code, str(failures[0]))]
