"""One subject: from its files to the record that a shard stores."""

import re
import traceback
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from cmr_planes.annotations.files import LabelFile
from cmr_planes.annotations.reading import read_annotations
from cmr_planes.cine.acquisitions import CineSlice, CineStudy, choose_study, find_cine_slices, order_remarks
from cmr_planes.cine.frame_choice import choose_frames, end_diastolic_image, find_cycle_phases
from cmr_planes.cine.line_agreement import line_agreement
from cmr_planes.cine.phases import MIN_SEARCH_FRAMES, CyclePhases
from cmr_planes.cine.view_selection import ViewSelection, select_views
from cmr_planes.dicom.frame_images import FrameImages
from cmr_planes.dicom.headers import HeaderScan, read_headers
from cmr_planes.dicom.pixels import PixelReader
from cmr_planes.discovery.subjects import SubjectSource
from cmr_planes.errors import (
    CmrPlanesError,
    GeometryError,
    Note,
    NoteCode,
    Rejection,
    RejectionCode,
    StudyError,
    UnreadablePixelsError,
)
from cmr_planes.extraction.annotated_frames import AnnotatedCycle, SubjectAnnotations, instance_ref
from cmr_planes.extraction.options import ExtractOptions
from cmr_planes.geometry import VIEW_LINES, ImagePlane, Positions, compute_positions, middle_slice
from cmr_planes.geometry.arrays import FloatArray, IntArray
from cmr_planes.shards.records import SubjectRecord, ViewLabels, ViewRecord
from cmr_planes.views import CardiacView, PhaseChoice

LOW_AGREEMENT = 0.5
"""Images that agree less than this along their common line are noted; a real study has 0.69 to 0.95."""

_VENDORS = re.compile(r"\b(siemens|ge|philips|canon|toshiba|united imaging|uih|hitachi|fujifilm)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class ExtractedSubject:
    """What one subject gives."""

    record: SubjectRecord
    """Images, positions, and what was left out."""
    labels: Mapping[CardiacView, ViewLabels]
    """Labels of the record's images, by view; empty without annotations."""


@dataclass(slots=True)
class _Findings:
    """What is learnt about a subject on the way."""

    subject: str
    rejections: list[Rejection] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)

    def reject(self, view: str, code: RejectionCode, sentence: str) -> None:
        self.rejections.append(Rejection(self.subject, view, code, sentence))

    def note(self, view: str, code: NoteCode, sentence: str) -> None:
        self.notes.append(Note(self.subject, view, code, sentence))


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
        The record and the labels. Whatever is wrong with the data ends in the record's rejections and notes, with the annotations
        in notes, never in an exception.
    """
    findings = _Findings(source.key)
    views: tuple[ViewRecord, ...] = ()
    labels: Mapping[CardiacView, ViewLabels] = {}
    try:
        read, failures = read_annotations(label_files, None if options.labels is None else options.labels.classes)
        annotations = SubjectAnnotations(read)
        views = _extract_views(source, options, annotations, findings)
        labels, remarks = annotations.labels_on(views)
        findings.notes += [Note(source.key, "", NoteCode.LABELS, sentence) for sentence in (*failures, *remarks)]
    except CmrPlanesError as error:
        findings.reject("", error.code, str(error))
    except Exception as error:  # noqa: BLE001  # the boundary: an unforeseen fault costs one subject, not the run
        findings.rejections.append(unforeseen(source.key, error))
    record = SubjectRecord(
        key=source.key,
        participant=source.participant,
        views=views,
        rejections=tuple(findings.rejections),
        notes=tuple(findings.notes),
    )
    return ExtractedSubject(record, labels)


def unforeseen(subject: str, error: Exception) -> Rejection:
    """Reject a subject for an error that nobody foresaw; names the place in the code, and nothing of the data."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    place = f"{Path(frame.filename).name}, line {frame.lineno}"
    return Rejection(subject, "", RejectionCode.UNEXPECTED_ERROR, f"unforeseen {type(error).__name__} ({place}); please report it")


def _extract_views(
    source: SubjectSource, options: ExtractOptions, annotations: SubjectAnnotations, findings: _Findings
) -> tuple[ViewRecord, ...]:
    """Read headers, choose views and phases, place positions."""
    scan = read_headers(source.paths, source.study_uid)
    _note_scan(scan, findings)
    frames, remarks = choose_study(scan.frames)
    for code, sentence in remarks:
        findings.note("", code, sentence)
    study = find_cine_slices(frames, options.names)
    if not study.slices:
        raise _no_cine(study, len(frames))
    selection = select_views(study, source.key)
    findings.notes += selection.notes
    annotated = annotations.views_among(selection.views)
    targets = [view for view in options.views if _is_possible(view, selection, options, annotated, findings)]
    if not targets:
        return ()
    _note_frames_of_reference(selection, findings)
    with PixelReader() as reader:
        images = FrameImages(reader)
        choice = annotations.cycle(selection.views, find_cycle_phases(selection, images))
        cycle = choice.cycle
        if cycle.es is None and options.phases is PhaseChoice.ED_ES:
            findings.note("", NoteCode.FEW_FRAMES, _few_frames_sentence(selection))
        records = [
            _make_view(view, selection, choice, images, options, findings, keep_images=options.keep_all or view in annotated)
            for view in targets
        ]
    return tuple(record for record in records if record is not None)


def _note_scan(scan: HeaderScan, findings: _Findings) -> None:
    """Carry over what was found while reading headers; raise if nothing was readable."""
    for code, sentence in scan.notes:
        findings.note("", code, sentence)
    if not scan.frames:
        if scan.unreadable:
            raise StudyError(scan.unreadable[0].code, scan.unreadable[0].sentence)
        raise StudyError(RejectionCode.NO_DICOM, f"no DICOM image among {scan.n_files} files; check the subject's folder or zip")
    if scan.unreadable:
        first = scan.unreadable[0].sentence
        sentence = f"{len(scan.unreadable)} of {scan.n_files} files could not be read and were passed over; the first: {first}"
        findings.note("", NoteCode.UNREADABLE_FILES, sentence)


def _no_cine(study: CineStudy, n_frames: int) -> CmrPlanesError:
    """Return the error for a study without cine slices."""
    if study.defects:
        return study.defects[0]
    left_out = ", ".join(f"{count} {reason}" for reason, count in study.excluded.items()) or "none"
    return StudyError(
        RejectionCode.NO_CINE,
        f"no plane with two or more cardiac phases among {n_frames} frames (planes with one frame: {study.n_single_frames}; frames "
        f"left out by name or image type: {left_out}); export the cine series too",
    )


def _is_possible(
    view: CardiacView,
    selection: ViewSelection,
    options: ExtractOptions,
    annotated: Container[CardiacView],
    findings: _Findings,
) -> bool:
    """Tell whether a target view can be stored; note or reject what is missing."""
    needed = (view, *(line.view for line in VIEW_LINES[view]))
    absent = next((other for other in needed if other not in selection.views), None)
    if absent is None:
        return True
    code, sentence = selection.missing[absent]
    if absent is not view:
        sentence = f"positions on {view.title} need the {absent.title} plane: {sentence}"
    if (options.keep_all or view in annotated) and view in selection.views:
        findings.note(view.value, NoteCode.NO_POSITIONS, f"images were kept without positions; {sentence}")
        return True
    findings.reject(view.value, code, sentence)
    return False


def _note_frames_of_reference(selection: ViewSelection, findings: _Findings) -> None:
    """Note planes that do not share a frame of reference; empty identifiers say nothing."""
    slices = [cine for chosen in selection.views.values() for cine in chosen]
    uids = {frame.frame_of_reference_uid for cine in slices for frame in cine.frames} - {""}
    if len(uids) > 1:
        sentence = (
            f"the views carry {len(uids)} different FrameOfReferenceUID (0020,0052) and were used as if they shared one; if the "
            "patient was moved between them, the positions are wrong: see line agreement"
        )
        findings.note("", NoteCode.FRAME_OF_REFERENCE, sentence)


def _few_frames_sentence(selection: ViewSelection) -> str:
    """Say that end-systole was not looked for."""
    n_frames = max(len(cine.frames) for slices in selection.views.values() for cine in slices)
    return (
        f"end-systole could not be told ({n_frames} frames, at least {MIN_SEARCH_FRAMES} of changing images are needed); "
        "only end-diastole was kept"
    )


def _plane_of(view: CardiacView, selection: ViewSelection) -> ImagePlane:
    """Return the plane that stands for a view: the middle slice of SAX, the one slice of a long-axis view."""
    return _slice_of(view, selection).plane


def _slice_of(view: CardiacView, selection: ViewSelection) -> CineSlice:
    """Return the slice that stands for a view."""
    slices = selection.views[view]
    return slices[middle_slice([cine.plane for cine in slices])]


def _make_view(
    view: CardiacView,
    selection: ViewSelection,
    choice: AnnotatedCycle,
    images: FrameImages,
    options: ExtractOptions,
    findings: _Findings,
    *,
    keep_images: bool,
) -> ViewRecord | None:
    """Make the record of one view, or reject it."""
    cycle = choice.cycle
    slices = list(selection.views[view])
    findings.notes += order_remarks(findings.subject, view.value, slices)
    phases, frame_index = choose_frames(slices, cycle, options.phases)
    if options.phases is PhaseChoice.ED_ES:
        frame_index = choice.override(view, slices, frame_index)
    keep = _readable_slices(slices, frame_index, images, view, findings)
    positions: list[Positions] | None = None
    if all(line.view in selection.views for line in VIEW_LINES[view]):
        keep, positions = _place_positions(view, slices, keep, selection, options, findings, keep_images=keep_images)
    if not keep:
        return None
    slices = [slices[index] for index in keep]
    frame_index = frame_index[:, keep]
    agreement = None
    if positions is not None:
        agreement = _measure_agreement(view, slices, selection, cycle, images)
        if not _agrees(view, agreement, options, findings):
            return None
    frames = [[cine.frames[index] for cine, index in zip(slices, row, strict=True)] for row in frame_index]
    header = slices[0].header
    return ViewRecord(
        view=view,
        image=np.stack([np.stack([images[frame] for frame in row]) for row in frames]),
        phases=phases,
        frame_numbers=frame_index + 1,
        trigger_time_ms=np.array([[_number(frame.trigger_time_ms) for frame in row] for row in frames]),
        planes=tuple(cine.plane for cine in slices),
        positions=None if positions is None else tuple(positions),
        line_agreement=agreement,
        rescale=header.rescale,
        manufacturer=_vendor(header.manufacturer),
        field_strength_t=_number(header.field_strength_t),
        instances=tuple(tuple(instance_ref(frame) for frame in row) for row in frames),
    )


def _readable_slices(
    slices: Sequence[CineSlice], frame_index: IntArray, images: FrameImages, view: CardiacView, findings: _Findings
) -> list[int]:
    """Return the slices whose chosen frames can be read; the others are noted, or rejected with the view if none is left."""
    kept, failures = [], []
    for column, cine in enumerate(slices):
        try:
            images.load([cine.frames[index] for index in frame_index[:, column]])
        except UnreadablePixelsError as error:
            failures.append(f"{cine.label}: {error}")
        else:
            kept.append(column)
    if failures and kept:
        findings.note(view.value, NoteCode.SLICE_LEFT_OUT, f"{len(failures)} of {len(slices)} slices were left out; {failures[0]}")
    elif failures:
        findings.reject(view.value, RejectionCode.UNREADABLE_PIXELS, failures[0])
    return kept


def _place_positions(
    view: CardiacView,
    slices: Sequence[CineSlice],
    keep: Sequence[int],
    selection: ViewSelection,
    options: ExtractOptions,
    findings: _Findings,
    *,
    keep_images: bool,
) -> tuple[list[int], list[Positions] | None]:
    """Place positions on the slices in ``keep``; return those on which they could be, and the positions."""
    first, second = VIEW_LINES[view]
    planes = _plane_of(first.view, selection), _plane_of(second.view, selection)
    placed: dict[int, Positions] = {}
    failures: list[GeometryError] = []
    for index in keep:
        try:
            placed[index] = compute_positions(slices[index].plane, *planes, axes=(first.axis, second.axis), layout=options.layout)
        except GeometryError as error:
            failures.append(error)
    if placed:
        if failures:
            sentence = f"{len(failures)} of {len(slices)} slices were left out: {failures[0]}"
            findings.note(view.value, NoteCode.SLICE_LEFT_OUT, sentence)
        return list(placed), list(placed.values())
    if failures and keep_images:
        findings.note(view.value, NoteCode.NO_POSITIONS, f"images were kept without positions: {failures[0]}")
        return list(keep), None
    if failures:
        findings.reject(view.value, failures[0].code, str(failures[0]))
    return [], None


def _measure_agreement(
    view: CardiacView, slices: Sequence[CineSlice], selection: ViewSelection, cycle: CyclePhases, images: FrameImages
) -> FloatArray:
    """Correlate each slice with the two views that leave lines on it, at ED; shape (slice, 2), NaN where that cannot be done."""
    lines = [_slice_of(line.view, selection) for line in VIEW_LINES[view]]
    agreement = np.full((len(slices), len(lines)), np.nan)
    for column, other in enumerate(lines):
        for row, cine in enumerate(slices):
            try:
                ours, theirs = end_diastolic_image(cine, cycle, images), end_diastolic_image(other, cycle, images)
            except UnreadablePixelsError:
                continue
            agreement[row, column] = line_agreement(cine.plane, ours, other.plane, theirs)
    return agreement


def _agrees(view: CardiacView, agreement: FloatArray, options: ExtractOptions, findings: _Findings) -> bool:
    """Note or reject a view whose images disagree with another view's along their common line."""
    for line, column in zip(VIEW_LINES[view], agreement.T, strict=True):
        known = column[np.isfinite(column)]
        if not len(known):
            continue
        median = float(np.median(known))
        sentence = (
            f"the {view.title} images agree only {median:.2f} (median correlation) with the {line.view.title} image along their "
            "common line; look at them (cmr-planes show): the patient may have breathed differently, or a header may be wrong"
        )
        if options.min_agreement is not None and median < options.min_agreement:
            findings.reject(
                view.value, RejectionCode.LOW_AGREEMENT, f"{sentence}; at least {options.min_agreement:g} was asked for"
            )
            return False
        if median < LOW_AGREEMENT:
            findings.note(view.value, NoteCode.LOW_AGREEMENT, sentence)
    return True


def _vendor(manufacturer: str) -> str:
    """Return the well-known vendor that a Manufacturer value names, or an empty text: free text stays out of the catalogue."""
    match = _VENDORS.search(manufacturer)
    return match.group().lower() if match else ""


def _number(value: float | None) -> float:
    """Return a number, NaN for None."""
    return float("nan") if value is None else value
