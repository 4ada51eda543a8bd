"""One subject: from its files to the record that a shard stores, the same for every kind of source."""

import traceback
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from cmr_planes.annotations.files import LabelFile
from cmr_planes.annotations.reading import read_annotations
from cmr_planes.cine.frame_choice import choose_frames, end_diastolic_image, find_cycle_phases
from cmr_planes.cine.line_agreement import line_agreement
from cmr_planes.cine.phases import MIN_SEARCH_FRAMES, CyclePhases
from cmr_planes.discovery.subjects import SubjectSource
from cmr_planes.errors import (
    CmrPlanesError,
    Finding,
    GeometryError,
    NoteCode,
    RejectionCode,
    UnreadablePixelsError,
)
from cmr_planes.extraction.annotated_frames import AnnotatedCycle, SubjectAnnotations
from cmr_planes.extraction.options import ExtractOptions
from cmr_planes.extraction.source_format import format_of
from cmr_planes.extraction.subject_views import ReadSlice, SubjectViews
from cmr_planes.fates import PlaneFate
from cmr_planes.geometry import LPS_AXES, VIEW_LINES, Plane, Positions, compute_positions, middle_slice
from cmr_planes.geometry.arrays import FloatArray, IntArray
from cmr_planes.shards.records import InstanceRef, SubjectRecord, ViewLabels, ViewRecord
from cmr_planes.views import TARGET_VIEWS, CardiacView, PhaseChoice

LOW_AGREEMENT = 0.5
"""Images that agree less than this along their common line are noted; a real study has 0.69 to 0.95."""


@dataclass(frozen=True, slots=True)
class ExtractedSubject:
    """What one subject gives."""

    record: SubjectRecord
    """Images, positions, and what was left out."""
    labels: Mapping[CardiacView, ViewLabels]
    """Labels of the record's images, by view; empty without annotations."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Assembly:
    """What the views of one subject are made from."""

    subject: SubjectViews
    options: ExtractOptions
    kept: Container[CardiacView]
    """Views that are kept where no positions can be placed on them."""
    choice: AnnotatedCycle
    """End-diastole and end-systole."""


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
    for view in options.views:
        is_possible, found = _is_possible(view, subject, is_kept=view in kept)
        targets += [view] if is_possible else []
        yield None, found
    if not targets:
        return
    yield None, _frame_of_reference_findings(subject)
    choice = annotations.cycle(cines, find_cycle_phases(cines) if cines else CyclePhases(ed=0.0, es=None))
    if choice.cycle.es is None and options.phases is PhaseChoice.ED_ES and not cines.keys().isdisjoint(targets):
        yield None, [Finding("", NoteCode.FEW_FRAMES, _few_frames_sentence(cines))]
    assembly = _Assembly(subject=subject, options=options, kept=kept, choice=choice)
    for view in targets:
        yield _make_view(view, assembly)


def _is_possible(view: CardiacView, subject: SubjectViews, *, is_kept: bool) -> tuple[bool, list[Finding]]:
    """Tell whether a target view can be stored; note or reject what is missing."""
    absent = next(iter(_missing_planes(view, subject)), None)
    if absent is None:
        return True, []
    undirected = f"the {absent.title} file does not say where in the patient it lies"
    reason = subject.missing.get(absent) or Finding(absent.value, RejectionCode.INVALID_PLANE, undirected)
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
    """Tell whether a view's plane is known in the patient: stated for a line, or of a file that says where the patient lies."""
    if view in subject.stated_planes and not is_image:
        return True
    if view not in subject.views:
        return False
    return subject.axes is not LPS_AXES or all(one.has_directions for one in subject.views[view])


def _line_plane(view: CardiacView, subject: SubjectViews) -> Plane:
    """Return the plane that leaves a view's line: the stated one, else that of the slice that stands for the view."""
    return subject.stated_planes.get(view) or _standing_slice(view, subject).plane


def _frame_of_reference_findings(subject: SubjectViews) -> list[Finding]:
    """Note planes that do not share a frame of reference; empty identifiers say nothing."""
    uids = {uid for slices in subject.views.values() for one in slices for uid in one.frames_of_reference}
    if len(uids) <= 1:
        return []
    sentence = (
        f"the views carry {len(uids)} different FrameOfReferenceUID (0020,0052) and were used as if they shared one; if the "
        "patient was moved between them, the positions are wrong: see line agreement"
    )
    return [Finding("", NoteCode.FRAME_OF_REFERENCE, sentence)]


def _few_frames_sentence(cines: Mapping[CardiacView, Sequence[ReadSlice]]) -> str:
    """Say that end-systole was not searched."""
    n_frames = max(one.n_frames for slices in cines.values() for one in slices)
    return (
        f"end-systole could not be told ({n_frames} frames, at least {MIN_SEARCH_FRAMES} of changing images are needed); "
        "only end-diastole was kept"
    )


def _standing_slice(view: CardiacView, subject: SubjectViews) -> ReadSlice:
    """Return the slice that stands for a view: the middle one of SAX, the only one of a long-axis view."""
    slices = subject.views[view]
    return slices[middle_slice([one.plane for one in slices])]


def _make_view(view: CardiacView, assembly: _Assembly) -> tuple[ViewRecord | None, list[Finding]]:
    """Make the record of one view, or reject it."""
    subject = assembly.subject
    slices = list(subject.views[view])
    findings = list(subject.view_findings.get(view, ()))
    phases, frame_index = _choose_frames(view, slices, assembly)
    keep, found = _readable_slices(view, slices, frame_index)
    findings += found
    positions: list[Positions] | None = None
    if not _missing_planes(view, subject):
        keep, positions, found = _place_positions(view, slices, keep, assembly)
        findings += found
    if not keep:
        return None, findings
    slices = [slices[index] for index in keep]
    frame_index = frame_index[:, keep]
    agreement = None
    if positions is not None:
        agreement = _measure_agreement(view, slices, assembly)
        findings += _agreement_findings(view, agreement, assembly.options.min_agreement)
        if findings and findings[-1].is_rejection:
            return None, findings
    record = _record(view, slices, phases, frame_index, positions, agreement)
    is_stated = positions is not None and any(line.view in subject.stated_planes for line in VIEW_LINES[view])
    return replace(record, has_stated_planes=is_stated), findings


def _record(
    view: CardiacView,
    slices: Sequence[ReadSlice],
    phases: tuple[str, ...],
    frame_index: IntArray,
    positions: Sequence[Positions] | None,
    agreement: FloatArray | None,
) -> ViewRecord:
    """Put together what is stored of a view; ``frame_index`` has shape (phase, slice)."""
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
        rescale=slices[0].rescale,
        manufacturer=slices[0].manufacturer,
        field_strength_t=slices[0].field_strength_t,
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


def _choose_frames(view: CardiacView, slices: Sequence[ReadSlice], assembly: _Assembly) -> tuple[tuple[str, ...], IntArray]:
    """Return the names of a view's phases, and the frame of each phase and slice, shape (phase, slice)."""
    named = assembly.subject.named_phases.get(view)
    if named is not None:
        return tuple(phase.value for phase in named), np.repeat(np.arange(len(named))[:, np.newaxis], len(slices), axis=1)
    phases, frame_index = choose_frames(slices, assembly.choice.cycle, assembly.options.phases)
    if assembly.options.phases is PhaseChoice.ED_ES:
        frame_index = assembly.choice.override(view, slices, frame_index)
    return phases, frame_index


def _readable_slices(view: CardiacView, slices: Sequence[ReadSlice], frame_index: IntArray) -> tuple[list[int], list[Finding]]:
    """Return the slices whose chosen frames can be read; the others are noted, or rejected with the view if none is left."""
    kept, failures = [], []
    for column, one in enumerate(slices):
        try:
            one.load(frame_index[:, column].tolist())
        except UnreadablePixelsError as error:
            failures.append(f"{one.label}: {error}")
        else:
            kept.append(column)
    if not failures:
        return kept, []
    if kept:
        sentence = f"{len(failures)} of {len(slices)} slices were left out; {failures[0]}"
        return kept, [Finding(view.value, NoteCode.SLICE_LEFT_OUT, sentence)]
    return [], [Finding(view.value, RejectionCode.UNREADABLE_PIXELS, failures[0])]


def _place_positions(
    view: CardiacView, slices: Sequence[ReadSlice], keep: Sequence[int], assembly: _Assembly
) -> tuple[list[int], list[Positions] | None, list[Finding]]:
    """Place positions on the slices in ``keep``; return those on which they could be placed, the positions, and what was found."""
    first, second = VIEW_LINES[view]
    subject = assembly.subject
    planes = [_line_plane(line.view, subject) for line in (first, second)]
    placed: dict[int, Positions] = {}
    failures: list[GeometryError] = []
    for index in keep:
        try:
            placed[index] = compute_positions(
                slices[index].plane, *planes, axes=(first.axis, second.axis), layout=assembly.options.layout, patient=subject.axes
            )
        except GeometryError as error:
            failures.append(error)
    if not failures:
        return list(placed), list(placed.values()) or None, []
    if placed:
        sentence = f"{len(failures)} of {len(slices)} slices were left out: {failures[0]}"
        return list(placed), list(placed.values()), [Finding(view.value, NoteCode.SLICE_LEFT_OUT, sentence)]
    if view in assembly.kept:
        sentence = f"images were kept without positions: {failures[0]}"
        return list(keep), None, [Finding(view.value, NoteCode.NO_POSITIONS, sentence)]
    return [], None, [Finding(view.value, failures[0].code, str(failures[0]))]


def _measure_agreement(view: CardiacView, slices: Sequence[ReadSlice], assembly: _Assembly) -> FloatArray:
    """Correlate each slice with the two views that leave lines on it, at ED; shape (slice, 2), NaN where that cannot be done."""
    cycle, subject = assembly.choice.cycle, assembly.subject
    lines = [line.view for line in VIEW_LINES[view]]
    agreement = np.full((len(slices), len(lines)), np.nan)
    for column, line in enumerate(lines):
        if line in subject.stated_planes:
            continue
        other = _standing_slice(line, subject)
        for row, one in enumerate(slices):
            try:
                ours, theirs = end_diastolic_image(one, cycle), end_diastolic_image(other, cycle)
            except UnreadablePixelsError:
                continue
            agreement[row, column] = line_agreement(one.plane, ours, other.plane, theirs)
    return agreement


def _agreement_findings(view: CardiacView, agreement: FloatArray, least: float | None) -> list[Finding]:
    """Note or, last, reject a view whose images disagree with another view's along their common line."""
    findings: list[Finding] = []
    for line, column in zip(VIEW_LINES[view], agreement.T, strict=True):
        known = column[np.isfinite(column)]
        if not len(known):
            continue
        median = float(np.median(known))
        sentence = (
            f"the {view.title} images agree only {median:.2f} (median correlation) with the {line.view.title} image along their "
            "common line; look at them (cmr-planes show): the patient may have breathed differently, or a header may be wrong"
        )
        if least is not None and median < least:
            return [*findings, Finding(view.value, RejectionCode.LOW_AGREEMENT, f"{sentence}; at least {least:g} was asked for")]
        if median < LOW_AGREEMENT:
            findings.append(Finding(view.value, NoteCode.LOW_AGREEMENT, sentence))
    return findings
