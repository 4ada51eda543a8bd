"""From the images of a view to NIfTI files: which slices share a file, which values it holds, and what stands beside it."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite

import numpy as np
from numpy.typing import NDArray

from cmr_planes.exports.series import ImageSeries
from cmr_planes.geometry.arrays import FloatArray, LabelArray
from cmr_planes.nifti.writing import encode_image, is_regular_stack, stack_affine_ras
from cmr_planes.system.json_text import readable_json
from cmr_planes.views import CardiacView

_VENDORS = {"ge": "GE", "uih": "UIH"}
"""Vendors that are not written with one capital."""


@dataclass(frozen=True, slots=True, eq=False)
class Volume:
    """Slices of a view that lie on one regular grid, and so go into one file."""

    first: int
    """Index of the first slice."""
    n_slices: int
    """Number of slices."""
    affine_ras: FloatArray
    """Shape (4, 4): (column, row, slice, 1) to RAS in mm."""
    slice_name: str
    """``slice03`` where each slice has a file of its own, else empty."""

    @property
    def slices(self) -> slice:
        """The slices as an index."""
        return slice(self.first, self.first + self.n_slices)


def volumes_of(series: ImageSeries) -> tuple[Volume, ...]:
    """Divide a view's slices into volumes: one where they are a regular stack, else one for each slice.

    A single slice is as thick as SliceThickness says. Where that is not known it is 1 mm, or as thick as a pixel is wide where
    that is more: nnU-Net takes the axis of the largest spacing for that of the slices.
    """
    affines = series.affines_lps_mm
    if len(affines) > 1 and is_regular_stack(affines):
        return (Volume(0, len(affines), stack_affine_ras(affines), ""),)
    return tuple(
        Volume(
            index,
            1,
            stack_affine_ras(affines[index : index + 1], _thickness_mm(series, index)),
            f"slice{index:02d}" if len(affines) > 1 else "",
        )
        for index in range(len(affines))
    )


def _thickness_mm(series: ImageSeries, index: int) -> float:
    thickness = float(series.slice_thickness_mm[index])
    widths = np.linalg.norm(series.affines_lps_mm[index][:3, :2], axis=0)
    return thickness if isfinite(thickness) and thickness > 0 else max(1.0, float(widths.max()))


def image_file(series: ImageSeries, volume: Volume, phase: int | None) -> bytes:
    """Encode the images of a volume: those of one phase, or of all as a cine.

    Stored values are kept where all images of the file share slope and intercept, which then stand in the header; else the file
    holds the scanner's values as 32-bit floats.
    """
    phases = slice(None) if phase is None else phase
    image, rescale = series.image[phases, volume.slices], series.rescale[phases, volume.slices].reshape(-1, 2)
    values, shared = _values(image, rescale)
    return encode_image(
        values,
        volume.affine_ras,
        rescale=shared,
        interval_s=frame_interval_s(series, volume) if phase is None else None,
        has_directions=series.has_directions,
    )


def _values(
    image: NDArray[np.uint16], rescale: FloatArray
) -> tuple[NDArray[np.uint16] | NDArray[np.int16] | NDArray[np.float32], tuple[float, float]]:
    """Return what a file stores, and the slope and intercept that it states; ``rescale`` has a row for each image."""
    inverted = rescale[:, 0] < 0  # MONOCHROME1: bright tissue has low values, and is stored high
    rescale = np.where(inverted[:, np.newaxis], np.abs(rescale) * [1, 0], rescale)
    if (rescale == rescale[0]).all():
        is_short = image.max() <= np.iinfo(np.int16).max
        return (image.astype(np.int16) if is_short else image), (float(rescale[0, 0]), float(rescale[0, 1]))
    slopes, intercepts = (rescale[:, column].reshape(*image.shape[:-2], 1, 1) for column in (0, 1))
    return (image * slopes + intercepts).astype(np.float32), (1.0, 0.0)


def label_file(series: ImageSeries, volume: Volume, labels: LabelArray) -> bytes:
    """Encode labels of a volume, shape (slice, row, column), or (phase, slice, row, column) for a cine; all slices of the view."""
    interval_s = frame_interval_s(series, volume) if labels.ndim == 4 else None
    return encode_image(
        labels[..., volume.slices, :, :], volume.affine_ras, interval_s=interval_s, has_directions=series.has_directions
    )


def frame_interval_s(series: ImageSeries, volume: Volume) -> float | None:
    """Return the median time between two frames of a cine in seconds, None where the headers do not say."""
    steps = np.diff(series.trigger_time_ms[:, volume.slices], axis=0)
    steps = steps[np.isfinite(steps)]
    median = float(np.median(steps)) / 1000 if steps.size else 0.0
    return median if median > 0 else None


def sidecar(series: ImageSeries, volume: Volume, phase: int | None) -> bytes:
    """Return the JSON that stands beside an image: BIDS's and DICOM's terms, and nothing that could identify a person.

    ``TriggerTime`` (ms) and ``FrameNumber`` have one value per slice; of a cine, one list of slices per frame.
    """
    phases = slice(None) if phase is None else phase
    thickness = np.unique(series.slice_thickness_mm[volume.slices])
    distance = round(float(np.linalg.norm(volume.affine_ras[:3, 2])), 4) if volume.n_slices > 1 else None
    values = {
        "Modality": "MR",
        "CardiacView": series.view.title,
        "CardiacPhase": "cine" if phase is None else series.phases[phase].upper(),
        "Manufacturer": _VENDORS.get(series.manufacturer, series.manufacturer.title()) or None,
        "MagneticFieldStrength": series.field_strength_t,
        "SliceThickness": float(thickness[0]) if len(thickness) == 1 else None,
        "SpacingBetweenSlices": distance,
        "SliceOrder": "base to apex" if series.view is CardiacView.SAX else None,
        "TriggerTime": series.trigger_time_ms[phases, volume.slices].tolist(),
        "FrameNumber": series.frame_numbers[phases, volume.slices].tolist(),
        "HasPatientDirections": series.has_directions,
    }
    return json_bytes({name: value for name, value in values.items() if not _is_unknown(value)})


def json_bytes(value: Mapping[str, object]) -> bytes:
    """Return JSON for people and programs, NaN as null, with a line break at the end."""
    return f"{readable_json(value)}\n".encode()


def _is_unknown(value: object) -> bool:
    return value is None or (isinstance(value, float) and not isfinite(value))
