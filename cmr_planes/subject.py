"""One subject: from its files to the record that a shard stores."""

import re
import traceback
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import mode

import numpy as np
from numpy.typing import NDArray

from cmr_planes.dicom.agreement import line_agreement
from cmr_planes.dicom.headers import FrameHeader, HeaderScan, read_headers
from cmr_planes.dicom.phases import (
    MIN_SEARCH_FRAMES,
    N_SEARCH_SLICES,
    CyclePhases,
    blood_pool_curve,
    combine_curves,
    difference_curve,
    disc_mask,
    find_phases,
    nearest_frame,
    phases_from_headers,
    search_frames,
)
from cmr_planes.dicom.pixels import PixelReader
from cmr_planes.dicom.sources import SubjectSource
from cmr_planes.dicom.studies import CineSlice, CineStudy, choose_study, find_cine_slices, order_remarks
from cmr_planes.dicom.view_selection import ViewSelection, select_views
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
from cmr_planes.geometry import VIEW_LINES, ImagePlane, Positions, compute_positions, intersect_three_planes, middle_slice
from cmr_planes.geometry.arrays import BoolArray, FloatArray, IntArray
from cmr_planes.options import ExtractOptions, PhaseChoice
from cmr_planes.shards.schema import SubjectRecord, ViewRecord
from cmr_planes.views import CardiacPhase, CardiacView

LOW_AGREEMENT = 0.5
"""Images that agree less than this along their common line are noted; a real study has 0.69 to 0.95."""

_VENDORS = re.compile(r"\b(siemens|ge|philips|canon|toshiba|united imaging|uih|hitachi|fujifilm)\b", re.IGNORECASE)


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


class _FrameImages:
    """Stored images of frames, each read once."""

    def __init__(self, reader: PixelReader) -> None:
        self._reader = reader
        self._images: dict[int, NDArray[np.uint16]] = {}

    def load(self, frames: Sequence[FrameHeader]) -> None:
        """Read the images of ``frames`` that are not there yet; raises UnreadablePixelsError."""
        missing = [frame for frame in frames if id(frame) not in self._images]
        for frame, image in zip(missing, self._reader.read(missing), strict=True):
            self._images[id(frame)] = image

    def readable(self, frames: Sequence[FrameHeader]) -> BoolArray:
        """Load what can be read of ``frames`` and tell which that is."""
        try:
            self.load(frames)
        except UnreadablePixelsError:
            return np.array([self._is_readable(frame) for frame in frames])
        return np.ones(len(frames), dtype=np.bool_)

    def _is_readable(self, frame: FrameHeader) -> bool:
        try:
            self.load([frame])
        except UnreadablePixelsError:
            return False
        return True

    def __getitem__(self, frame: FrameHeader) -> NDArray[np.uint16]:
        """Return the image of a frame, shape (rows, columns), reading it if need be."""
        self.load([frame])
        return self._images[id(frame)]


def extract_subject(source: SubjectSource, options: ExtractOptions) -> SubjectRecord:
    """Make the record of one subject.

    Parameters
    ----------
    source
        Where the subject's files lie.
    options
        What to make of them.

    Returns
    -------
        The record. Whatever is wrong with the data ends in its rejections and notes, never in an exception.
    """
    findings = _Findings(source.key)
    views: tuple[ViewRecord, ...] = ()
    try:
        views = _extract_views(source, options, findings)
    except CmrPlanesError as error:
        findings.reject("", error.code, str(error))
    except Exception as error:  # noqa: BLE001  # the boundary: an unforeseen fault costs one subject, not the run
        frame = traceback.extract_tb(error.__traceback__)[-1]
        place = f"{Path(frame.filename).name}, line {frame.lineno}"
        findings.reject("", RejectionCode.UNEXPECTED_ERROR, f"unforeseen {type(error).__name__} ({place}); please report it")
    return SubjectRecord(
        key=source.key,
        participant=source.participant,
        views=views,
        rejections=tuple(findings.rejections),
        notes=tuple(findings.notes),
    )


def _extract_views(source: SubjectSource, options: ExtractOptions, findings: _Findings) -> tuple[ViewRecord, ...]:
    """Read headers, choose views and phases, place positions."""
    scan = read_headers(source)
    _note_scan(scan, findings)
    frames, remarks = choose_study(scan.frames)
    for code, sentence in remarks:
        findings.note("", code, sentence)
    study = find_cine_slices(frames, options.names)
    if not study.slices:
        raise _no_cine(study, len(frames))
    selection = select_views(study, source.key)
    findings.notes += selection.notes
    targets = [view for view in options.views if _is_possible(view, selection, options, findings)]
    if not targets:
        return ()
    _note_frames_of_reference(selection, findings)
    with PixelReader() as reader:
        images = _FrameImages(reader)
        cycle = _find_cycle_phases(selection, images)
        if cycle.es is None and options.phases is PhaseChoice.ED_ES:
            findings.note("", NoteCode.FEW_FRAMES, _few_frames_sentence(selection))
        records = [_make_view(view, selection, cycle, images, options, findings) for view in targets]
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


def _is_possible(view: CardiacView, selection: ViewSelection, options: ExtractOptions, findings: _Findings) -> bool:
    """Tell whether a target view can be stored; note or reject what is missing."""
    needed = (view, *(line.view for line in VIEW_LINES[view]))
    absent = next((other for other in needed if other not in selection.views), None)
    if absent is None:
        return True
    code, sentence = selection.missing[absent]
    if absent is not view:
        sentence = f"positions on {view.title} need the {absent.title} plane: {sentence}"
    if options.keep_all and view in selection.views:
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


def _find_cycle_phases(selection: ViewSelection, images: _FrameImages) -> CyclePhases:
    """Find ED and ES on the middle short-axis slices; without a short axis, on the first view there is."""
    slices = selection.views.get(CardiacView.SAX) or next(iter(selection.views.values()))
    middle = middle_slice([cine.plane for cine in slices])
    start = max(0, min(middle - N_SEARCH_SLICES // 2, len(slices) - N_SEARCH_SLICES))
    centre_mm = _region_centre(selection, slices[middle].plane)
    curves = [_curves(cine, centre_mm, images) for cine in slices[start : start + N_SEARCH_SLICES]]
    curves = [(pool, difference) for pool, difference in curves if np.isfinite(pool).any()]
    if not curves:
        return CyclePhases(ed=0.0, es=None)
    pools, differences = zip(*curves, strict=True)
    return find_phases(combine_curves(pools), combine_curves(differences))


def _region_centre(selection: ViewSelection, middle: ImagePlane) -> FloatArray:
    """Return where the blood pool is looked for: the planes' intersection, else the middle of the image; LPS, mm."""
    lines = [selection.views[line.view][0].plane for line in VIEW_LINES[CardiacView.SAX] if line.view in selection.views]
    try:
        return intersect_three_planes(middle, *lines).point_mm if len(lines) == 2 else middle.centre_mm
    except GeometryError:
        return middle.centre_mm


def _curves(cine: CineSlice, centre_mm: FloatArray, images: _FrameImages) -> tuple[FloatArray, FloatArray]:
    """Measure the blood pool of a slice and its difference from the first frame over the cycle.

    Both have shape (frames,), and NaN where a frame is not needed or cannot be read.
    """
    pool, difference = np.full((2, len(cine.frames)), np.nan)
    wanted = search_frames(len(cine.frames))
    wanted = wanted[images.readable([cine.frames[index] for index in wanted])]
    mask = disc_mask(cine.plane, cine.plane.patient_to_pixel(centre_mm))
    if len(wanted) and mask.any():
        stack = np.stack([_rescaled(images[cine.frames[index]], cine.frames[index]) for index in wanted])
        pool[wanted] = blood_pool_curve(stack[:, mask])
        difference[wanted] = difference_curve(stack, mask)
    return pool, difference


def _rescaled(stored: NDArray[np.uint16], frame: FrameHeader) -> FloatArray:
    """Return stored intensities as the scanner's values."""
    slope, intercept = frame.rescale
    return np.asarray(stored * slope + intercept, dtype=np.float64)


def _make_view(
    view: CardiacView,
    selection: ViewSelection,
    cycle: CyclePhases,
    images: _FrameImages,
    options: ExtractOptions,
    findings: _Findings,
) -> ViewRecord | None:
    """Make the record of one view, or reject it."""
    slices = list(selection.views[view])
    findings.notes += order_remarks(findings.subject, view.value, slices)
    phases, frame_index = _choose_frames(slices, cycle, options.phases)
    keep = _readable_slices(slices, frame_index, images, view, findings)
    positions: list[Positions] | None = None
    if all(line.view in selection.views for line in VIEW_LINES[view]):
        keep, positions = _place_positions(view, slices, keep, selection, options, findings)
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
    )


def _choose_frames(slices: Sequence[CineSlice], cycle: CyclePhases, choice: PhaseChoice) -> tuple[tuple[str, ...], IntArray]:
    """Return the names of the phases and the frame of each phase and slice, shape (phase, slice), zero-based."""
    if choice is PhaseChoice.ALL:
        n_frames = mode(len(cine.frames) for cine in slices)
        fractions = [frame / n_frames for frame in range(n_frames)]
        names = tuple(f"{frame:03d}" for frame in range(n_frames))
        stated: list[tuple[int | None, int | None]] = [(None, None)] * len(slices)
    else:
        fractions = [cycle.ed] if cycle.es is None else [cycle.ed, cycle.es]
        names = (CardiacPhase.ED.value, CardiacPhase.ES.value)[: len(fractions)]
        stated = [phases_from_headers(cine) for cine in slices]
    index = np.array([[nearest_frame(fraction, len(cine.frames)) for cine in slices] for fraction in fractions])
    for column, by_header in enumerate(stated):
        for phase, frame in enumerate(by_header[: len(fractions)]):
            if frame is not None:
                index[phase, column] = frame
    return names, index


def _readable_slices(
    slices: Sequence[CineSlice], frame_index: IntArray, images: _FrameImages, view: CardiacView, findings: _Findings
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
    if failures and options.keep_all:
        findings.note(view.value, NoteCode.NO_POSITIONS, f"images were kept without positions: {failures[0]}")
        return list(keep), None
    if failures:
        findings.reject(view.value, failures[0].code, str(failures[0]))
    return [], None


def _measure_agreement(
    view: CardiacView, slices: Sequence[CineSlice], selection: ViewSelection, cycle: CyclePhases, images: _FrameImages
) -> FloatArray:
    """Correlate each slice with the two views that leave lines on it, at ED; shape (slice, 2), NaN where that cannot be done."""
    lines = [_slice_of(line.view, selection) for line in VIEW_LINES[view]]
    agreement = np.full((len(slices), len(lines)), np.nan)
    for column, other in enumerate(lines):
        for row, cine in enumerate(slices):
            try:
                ours, theirs = _ed_image(cine, cycle, images), _ed_image(other, cycle, images)
            except UnreadablePixelsError:
                continue
            agreement[row, column] = line_agreement(cine.plane, ours, other.plane, theirs)
    return agreement


def _ed_image(cine: CineSlice, cycle: CyclePhases, images: _FrameImages) -> NDArray[np.uint16]:
    """Return the end-diastolic image of a slice."""
    stated, _ = phases_from_headers(cine)
    return images[cine.frames[nearest_frame(cycle.ed, len(cine.frames)) if stated is None else stated]]


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
