"""One subject's DICOM files: from headers to the slices of each view."""

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from cmr_planes.annotations.model import Annotation
from cmr_planes.cine.acquisitions import CineSlice, CineStudy, find_cine_slices, order_findings
from cmr_planes.cine.blood_pool import left_ventricle_at
from cmr_planes.cine.cine_evidence import doubt_findings, keep_cines
from cmr_planes.cine.cycle_time import FrameTiming
from cmr_planes.cine.phases import phases_from_headers, timing_from_headers
from cmr_planes.cine.rest_and_stress import select_one_state
from cmr_planes.cine.slices import WHOLE, Region
from cmr_planes.cine.view_selection import select_views
from cmr_planes.dicom.frame_images import FrameImages
from cmr_planes.dicom.frames import FrameHeader
from cmr_planes.dicom.headers import HeaderScan, read_headers
from cmr_planes.dicom.pixel_format import PixelRepair
from cmr_planes.dicom.pixels import PixelReader
from cmr_planes.dicom.repairs import repair_notes
from cmr_planes.discovery.subjects import SubjectSource
from cmr_planes.errors import Finding, NoteCode, RejectionCode
from cmr_planes.extraction.examination import choose_examination
from cmr_planes.extraction.options import ExtractOptions
from cmr_planes.extraction.subject_views import ReadSlice, SubjectViews
from cmr_planes.geometry import ImagePlane
from cmr_planes.geometry.arrays import BoolArray, FloatArray
from cmr_planes.shards.records import InstanceRef
from cmr_planes.system.text import counted, either, part
from cmr_planes.views import CardiacView

_VENDORS = re.compile(r"\b(siemens|ge|philips|canon|toshiba|united imaging|uih|hitachi|fujifilm)\b", re.IGNORECASE)


N_FIRST_FRAMES = 3
"""Of this many frames the first one that is neither black nor damaged is examined for the left ventricle."""


@dataclass(frozen=True, slots=True, eq=False)
class DicomSlice:
    """A cine slice with its images: a :class:`cmr_planes.extraction.subject_views.ReadSlice`."""

    cine: CineSlice
    images: FrameImages

    @property
    def plane(self) -> ImagePlane:
        """Where the slice lies."""
        return self.cine.plane

    @property
    def n_frames(self) -> int:
        """Number of frames."""
        return len(self.cine.frames)

    @property
    def timing(self) -> FrameTiming:
        """The frames' trigger times, and what tells the RR interval."""
        return timing_from_headers(self.cine)

    @property
    def stated_phases(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """The frames that CardiacCyclePosition names."""
        return phases_from_headers(self.cine)

    @property
    def label(self) -> str:
        """The series by its number."""
        return self.cine.label

    @property
    def manufacturer(self) -> str:
        """The well-known vendor that Manufacturer names, or empty: free text stays out of the catalogue."""
        match = _VENDORS.search(self.cine.header.manufacturer)
        return match.group().lower() if match else ""

    @property
    def field_strength_t(self) -> float:
        """MagneticFieldStrength in tesla, NaN if not given."""
        return _number(self.cine.header.field_strength_t)

    @property
    def slice_thickness_mm(self) -> float:
        """SliceThickness in mm, NaN if not given."""
        return _number(self.cine.header.slice_thickness_mm)

    @property
    def frames_of_reference(self) -> frozenset[str]:
        """FrameOfReferenceUID of its frames, empty ones left out."""
        return frozenset(frame.frame_of_reference_uid for frame in self.cine.frames) - {""}

    @property
    def has_directions(self) -> bool:
        """True: DICOM's planes have directions."""
        return True

    @property
    def source_index(self) -> None:
        """None: each slice is a file, or several, of its own."""
        return

    def load(self, frames: Sequence[int]) -> None:
        """Read the images of some frames; raises UnreadablePixelsError."""
        self.images.load([self.cine.frames[frame] for frame in frames])

    def readable(self, frames: Sequence[int]) -> BoolArray:
        """Read what can be read of some frames; return which could be."""
        return self.images.readable([self.cine.frames[frame] for frame in frames])

    def image(self, frame: int) -> NDArray[np.uint16]:
        """Return the stored intensities of a frame."""
        return self.images[self.cine.frames[frame]].pixels

    def rescale(self, frame: int) -> tuple[float, float]:
        """Return slope and intercept from a frame's stored intensities to the scanner's values."""
        return self.images[self.cine.frames[frame]].rescale

    def repair(self, frame: int) -> PixelRepair:
        """Return what was changed in a frame's values."""
        return self.images[self.cine.frames[frame]].repair

    def intensities(self, frame: int, region: Region = WHOLE) -> FloatArray:
        """Return the scanner's values of a part of a frame, by its own rescaling; turned where bright tissue has low ones."""
        slope, intercept = self.rescale(frame)
        values = np.asarray(self.image(frame)[region] * slope + intercept, dtype=np.float64)
        return values if slope > 0 else -values

    def frame_number(self, frame: int) -> int:
        """Return the frame's place in time, from 1."""
        return frame + 1

    def trigger_time_ms(self, frame: int) -> float:
        """Return TriggerTime, NaN if not given."""
        return _number(self.cine.frames[frame].trigger_time_ms)

    def instance(self, frame: int) -> InstanceRef | None:
        """Return the instance that a frame is of."""
        return instance_ref(self.cine.frames[frame])


def instance_ref(header: FrameHeader) -> InstanceRef:
    """Return the instance that a frame is of."""
    frame_number = header.frame_index + 1 if header.n_frames > 1 else 0
    return InstanceRef(header.sop_instance_uid, frame_number, header.instance_number or 0)


@contextmanager
def open_dicom(
    source: SubjectSource,
    options: ExtractOptions,
    annotations: Sequence[Annotation],  # noqa: ARG001  # the headers tell the frames
    open_reader: Callable[[], PixelReader] = PixelReader,
) -> Iterator[SubjectViews]:
    """Read headers and choose views; images are read as they are asked for, while the context lasts.

    Parameters
    ----------
    source
        Where the subject's files lie.
    options
        What series names mean.
    annotations
        Not needed: headers and images tell the frames.
    open_reader
        Opens what reads the images.

    Yields
    ------
        The views. Whatever is wrong with the files is among the findings.
    """
    scan = read_headers(source.paths, source.members)
    if scan.damaged_zips:
        yield SubjectViews(findings=scan.damaged_zips)
        return
    findings = _scan_findings(scan)
    if not scan.frames:
        yield SubjectViews(findings=(*findings, _no_frames(scan)))
        return
    frames, about_study = choose_examination(scan.frames)
    findings += about_study
    study = keep_cines(find_cine_slices(frames), options.names)
    findings += study.findings
    if not study.slices:
        yield SubjectViews(findings=(*findings, _no_cine(study, len(frames))), planes=study.passed_over)
        return
    with open_reader() as reader:
        images = FrameImages(reader)
        selection = select_one_state(study, partial(select_views, find_ventricle=partial(_find_ventricle, images)))
        views: dict[CardiacView, tuple[ReadSlice, ...]] = {
            view: tuple(DicomSlice(cine, images) for cine in slices) for view, slices in selection.views.items()
        }
        yield SubjectViews(
            views=views,
            missing=selection.missing,
            findings=(*findings, *selection.findings),
            view_findings={
                view: (*order_findings(view, slices), *doubt_findings(view, slices)) for view, slices in selection.views.items()
            },
            planes=(*selection.planes, *study.passed_over),
        )


def _find_ventricle(images: FrameImages, level: CineSlice, point_mm: FloatArray) -> FloatArray | None:
    """Look at the first frame of a short-axis slice that can be read: a :data:`cmr_planes.cine.left_ventricle.FindVentricle`."""
    one = DicomSlice(level, images)
    frame = next((frame for frame in range(min(N_FIRST_FRAMES, one.n_frames)) if one.readable([frame]).all()), None)
    return None if frame is None else left_ventricle_at(one.intensities(frame), level.plane, point_mm)


def _scan_findings(scan: HeaderScan) -> list[Finding]:
    """Return what was found while reading headers."""
    findings = [*scan.notes, *repair_notes(scan.frames)]
    if scan.frames and scan.unreadable:
        first = scan.unreadable[0].sentence
        n_unreadable = len(scan.unreadable)
        sentence = (
            f"{part(n_unreadable, scan.n_files, 'file')} could not be read and {either(n_unreadable, 'was', 'were')} skipped"
            f"{either(n_unreadable, '', '; the first')}: {first}"
        )
        findings.append(Finding("", NoteCode.UNREADABLE_FILES, sentence))
    return findings


def _no_frames(scan: HeaderScan) -> Finding:
    """Say why there is no image at all."""
    if scan.unreadable:
        return scan.unreadable[0]
    files = counted(scan.n_files, "file") if scan.n_files else "its files"
    sentence = f"no DICOM image among {files}; check the subject's folder or zip"
    return Finding("", RejectionCode.NO_DICOM, sentence)


def _no_cine(study: CineStudy, n_frames: int) -> Finding:
    """Say why a study has no cine slices."""
    if study.defects:
        return study.defects[0]
    left_out = ", ".join(f"{count} {reason}" for reason, count in study.excluded.items()) or "none"
    sentence = (
        f"no plane with two or more cardiac phases among {counted(n_frames, 'frame')} (planes with one frame: "
        f"{study.n_single_frames}; frames "
        f"left out by name or image type: {left_out}); export the cine series too"
    )
    return Finding("", RejectionCode.NO_CINE, sentence)


def _number(value: float | None) -> float:
    """Return a number, NaN for None."""
    return float("nan") if value is None else value
