"""Frame headers made without DICOM files, for tests of what happens after reading."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from cmr_planes.cine.acquisitions import CineSlice, CineStudy, find_cine_slices
from cmr_planes.cine.cine_evidence import keep_cines
from cmr_planes.cine.series_names import load_names
from cmr_planes.dicom.frames import FileRef, FrameHeader
from cmr_planes.dicom.headers import HeaderScan, read_headers
from cmr_planes.dicom.pixels import PixelReader
from cmr_planes.discovery.subjects import SubjectSource
from cmr_planes.geometry import ImagePlane
from cmr_planes.geometry.arrays import FloatArray
from cmr_planes.phantom.small_study import SimpleStudy

TEMPLATE = FrameHeader(
    file=FileRef(Path("image")),
    frame_index=0,
    n_frames=1,
    sop_class_uid="1.2.840.10008.5.1.4.1.1.4",
    modality="MR",
    image_type=("ORIGINAL", "PRIMARY", "M"),
    study_uid="2.25.1",
    series_uid="2.25.2",
    frame_of_reference_uid="2.25.3",
    series_number=1,
    series_description="",
    protocol_name="",
    sequence_name="",
    manufacturer="SIEMENS",
    field_strength_t=1.5,
    instance_number=1,
    acquired_at="20200101100000",
    trigger_time_ms=0.0,
    temporal_position=None,
    nominal_interval_ms=1000.0,
    cardiac_number_of_images=None,
    cardiac_cycle_position="",
    slice_thickness_mm=8.0,
    spacing_between_slices_mm=None,
    rescale=(1.0, 0.0),
    plane=None,
    defect=None,
)
"""A header of a Siemens cine frame; tests replace what matters to them."""


def cine_frames(plane: ImagePlane, *, n_frames: int = 10, number: int = 1, **changes: Any) -> list[FrameHeader]:
    """Return the headers of one cine slice, each its own file of one series."""
    changes = {"series_uid": f"2.25.{number}", "acquired_at": f"2020010110{number:02d}00", **changes}
    return [
        replace(
            TEMPLATE,
            file=FileRef(Path(f"series{number}/{frame}")),
            plane=plane,
            series_number=number,
            instance_number=frame + 1,
            trigger_time_ms=frame * 1000.0 / n_frames,
            **changes,
        )
        for frame in range(n_frames)
    ]


def study_frames(simple: SimpleStudy, *, names: bool = True) -> dict[str, list[FrameHeader]]:
    """Return the headers of a simple study by series key, with or without series descriptions."""
    return {
        key: cine_frames(
            series.plane, n_frames=len(series.frames), number=series.number, series_description=series.description if names else ""
        )
        for key, series in simple.series.items()
    }


def as_study(*frames: list[FrameHeader]) -> CineStudy:
    """Group headers into a study."""
    return keep_cines(find_cine_slices([frame for group in frames for frame in group]), load_names())


def as_slice(plane: ImagePlane, **changes: Any) -> CineSlice:
    """Return a cine slice of one plane."""
    return as_study(cine_frames(plane, **changes)).slices[0]


def moved(plane: ImagePlane, *, shift_mm: Any = (0, 0, 0), rotation: Any = None) -> ImagePlane:
    """Return a plane that moved with a rotated (about the origin), then shifted patient."""
    turn = np.eye(3) if rotation is None else np.asarray(rotation)
    return replace(
        plane,
        position_mm=turn @ plane.position_mm + np.asarray(shift_mm),
        row_cosine=turn @ plane.row_cosine,
        column_cosine=turn @ plane.column_cosine,
    )


def turned(plane: ImagePlane, about: FloatArray, angle_deg: float, *, centre_mm: FloatArray | None = None) -> ImagePlane:
    """Return a plane turned about a unit vector through a point, the middle of its image if none is given."""
    centre_mm = plane.centre_mm if centre_mm is None else centre_mm
    rotation = Rotation.from_rotvec(np.radians(angle_deg) * about).as_matrix()
    return moved(plane, rotation=rotation, shift_mm=centre_mm - rotation @ centre_mm)


def read_subject(subject: SubjectSource) -> HeaderScan:
    """Read the headers of a subject's files."""
    return read_headers(subject.paths, subject.members)


def decode_frames(frames: Sequence[FrameHeader]) -> list[NDArray[np.uint16]]:
    """Read the images of frames, with a reader of their own."""
    with PixelReader() as reader:
        return [image.pixels for image in reader.read(frames)]
