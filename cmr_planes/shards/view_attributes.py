"""What is stored beside the images of a view: from HDF5 back to planes and boxes."""

import struct
from dataclasses import dataclass
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from cmr_planes.errors import GeometryError
from cmr_planes.geometry import BoxLayout, BoxUnits, ImagePlane, SliceShifts
from cmr_planes.geometry.arrays import FloatArray, IntArray
from cmr_planes.shards.opening import DAMAGE_ERRORS, check_size
from cmr_planes.shards.schema import Attribute, Dataset
from cmr_planes.views import CardiacView


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BoxAttributes:
    """The nine positions on each slice of a view. Row k of the second axis is class k + 1."""

    layout: BoxLayout
    """Size and gap of the boxes."""
    line_views: tuple[CardiacView, CardiacView]
    """The views whose planes leave the line of classes 2 to 5 and that of classes 6 to 9."""
    classes: tuple[str, ...]
    """Names of classes 0 to 9 in the view's words."""
    centres_px: FloatArray
    """Shape (slice, 9, 2): exact centres, (column, row)."""
    centres_mm: FloatArray
    """Shape (slice, 9, 3): the same points, LPS, mm."""
    boxes: IntArray
    """Shape (slice, 9, 4): first row, row past the last, first column, column past the last; not clipped."""
    alignment: FloatArray
    """Shape (slice, 2): absolute cosine of each line with its deciding axis."""
    angle_deg: FloatArray
    """Shape (slice,): angle between the lines in the image."""
    condition_number: FloatArray
    """Shape (slice,): condition number of the three planes."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ViewAttributes:
    """What a view's group holds beside its images."""

    view: CardiacView
    """Which view."""
    shape: tuple[int, int, int, int]
    """Phases, slices, rows, columns."""
    phases: tuple[str, ...]
    """Name of each phase."""
    frame_numbers: IntArray
    """Shape (phase, slice): place of the frame in its slice's cycle, from 1."""
    trigger_time_ms: FloatArray
    """Shape (phase, slice): NaN where not known."""
    planes: tuple[ImagePlane, ...]
    """One plane a slice."""
    rescale: FloatArray
    """Shape (phase, slice, 2): slope and intercept of each image."""
    manufacturer: str
    """One of nine vendor names in lower case, such as ``siemens`` or ``united imaging``; empty for any other, or if not given."""
    field_strength_t: float
    """Tesla, NaN if not known."""
    slice_thickness_mm: FloatArray
    """Shape (slice,): SliceThickness, NaN where not known, as in files of earlier versions."""
    has_directions: bool
    """Whether the source says where anterior, left and head are."""
    source_order: tuple[int, ...] | None
    """By slice, its index in the source's own order; None where the source is not one volume."""
    source_header: bytes | None
    """A NIfTI-1 header with size and place of the source's voxels; None where the source is not one volume, and in catalogues of
    earlier releases."""
    boxes: BoxAttributes | None
    """The positions, None if the view has none."""
    line_agreement: FloatArray | None
    """Shape (slice, 2): correlation along each line, None without positions."""
    shifts: SliceShifts | None
    """How far each slice lies from where the subject's images agree; None where not measured, as in files of earlier versions."""
    instance_numbers: IntArray | None
    """Shape (phase, slice): InstanceNumber, 0 where not known; None where the images are not DICOM."""
    instance_digests: tuple[tuple[str, ...], ...] | None
    """By phase and slice, what stands for each image's DICOM instance (:func:`cmr_planes.shards.schema.instance_digest`)."""


def read_view_attributes(group: h5py.Group) -> ViewAttributes:
    """Read a view's group.

    Parameters
    ----------
    group
        ``/data/<subject>/<view>``.

    Raises
    ------
    OSError
        Something is missing or damaged.
    """
    try:
        return _read(group)
    except (*DAMAGE_ERRORS, GeometryError) as error:
        raise OSError(f"{group.name}: {error}") from error


def _read(group: h5py.Group) -> ViewAttributes:
    for name in group:
        check_size(group[name])
    values = dict(group.attrs.items())
    shape = group[Dataset.IMAGE].shape
    agreement = values.get(Attribute.LINE_AGREEMENT)
    return ViewAttributes(
        view=CardiacView(values[Attribute.VIEW]),
        shape=shape,
        phases=tuple(group[Dataset.PHASES].asstr()[()]),
        frame_numbers=group[Dataset.FRAME_NUMBERS][()].astype(np.int64, casting="same_kind"),
        trigger_time_ms=group[Dataset.TRIGGER_TIME_MS][()],
        planes=tuple(
            plane_from_affine(affine, spacing, rows=shape[2], columns=shape[3])
            for affine, spacing in zip(values[Attribute.AFFINE_LPS_MM], values[Attribute.SPACING_MM], strict=True)
        ),
        rescale=_rescale(group, shape),
        manufacturer=str(values[Attribute.MANUFACTURER]),
        field_strength_t=float(values[Attribute.FIELD_STRENGTH_T]),
        slice_thickness_mm=np.asarray(
            values.get(Attribute.SLICE_THICKNESS_MM, np.full(shape[1], np.nan)), dtype=np.float64
        ).reshape(shape[1]),
        has_directions=bool(values.get(Attribute.HAS_DIRECTIONS, True)),
        source_order=tuple(values[Attribute.SOURCE_ORDER].tolist()) if Attribute.SOURCE_ORDER in values else None,
        source_header=_source_header(values, shape) if Attribute.SOURCE_HEADER in values else None,
        boxes=_boxes(values) if Attribute.BOXES_PX in values else None,
        line_agreement=agreement,
        shifts=_shifts(values) if Attribute.SHIFT_MM in values else None,
        instance_numbers=group[Dataset.INSTANCE_NUMBERS][()].astype(np.int64, casting="same_kind")
        if Dataset.INSTANCE_NUMBERS in group
        else None,
        instance_digests=_digests(group),
    )


_HEADER_BYTES, _DIM_OFFSET = 348, 40
"""Of NIfTI-1: the header's length, and where it states the number of axes and their sizes."""


def _rescale(group: h5py.Group, shape: tuple[int, int, int, int]) -> FloatArray:
    """Return slope and intercept of each image; shards of earlier versions state them once for the view."""
    if Dataset.RESCALE in group:
        return np.asarray(group[Dataset.RESCALE][()], dtype=np.float64).reshape(*shape[:2], 2)
    shared = [float(group.attrs[name]) for name in (Attribute.RESCALE_SLOPE, Attribute.RESCALE_INTERCEPT)]
    return np.tile(shared, (*shape[:2], 1))


def _source_header(values: dict[str, Any], shape: tuple[int, int, int, int]) -> bytes:
    """Return the header of the source's volume; raises ValueError where it is not of these images."""
    header: bytes = values[Attribute.SOURCE_HEADER].astype(np.uint8, casting="equiv").tobytes()
    n_axes, columns, rows, n_slices = struct.unpack_from("<4h", header, _DIM_OFFSET) if len(header) == _HEADER_BYTES else (0,) * 4
    places = values[Attribute.SOURCE_ORDER].tolist()
    if n_axes != 3 or (rows, columns) != shape[2:] or len(set(places)) < shape[1] or not set(places) <= set(range(n_slices)):
        raise ValueError("the header of the source is not one of these images")
    return header


def _shifts(values: dict[str, Any]) -> SliceShifts:
    """Return the shifts of a view's slices; raises ValueError or KeyError where they are damaged."""
    shift_mm, sd_mm, agreement = (
        np.asarray(values[name], dtype=np.float64)
        for name in (Attribute.SHIFT_MM, Attribute.SHIFT_SD_MM, Attribute.SHIFT_AGREEMENT)
    )
    return SliceShifts(shift_mm=shift_mm, sd_mm=sd_mm, agreement=agreement)


def _digests(group: h5py.Group) -> tuple[tuple[str, ...], ...] | None:
    """Return the digests of a view's instances, if it has any."""
    if Dataset.INSTANCE_DIGESTS not in group:
        return None
    return tuple(tuple(value.decode() for value in row) for row in group[Dataset.INSTANCE_DIGESTS][()].tolist())


def plane_from_affine(affine: NDArray[Any], spacing_mm: NDArray[Any], *, rows: int, columns: int) -> ImagePlane:
    """Return the plane whose ``patient_from_pixel`` is ``affine``, shape (4, 4).

    Parameters
    ----------
    affine
        Shape (4, 4), (column, row, 0, 1) to LPS in mm.
    spacing_mm
        Shape (2,): distance between rows, between columns.
    rows, columns
        The matrix size.
    """
    return ImagePlane(
        position_mm=affine[:3, 3],
        row_cosine=affine[:3, 0] / spacing_mm[1],
        column_cosine=affine[:3, 1] / spacing_mm[0],
        row_spacing_mm=float(spacing_mm[0]),
        column_spacing_mm=float(spacing_mm[1]),
        rows=rows,
        columns=columns,
    )


def _boxes(values: dict[str, Any]) -> BoxAttributes:
    first, second = (CardiacView(name) for name in values[Attribute.LINE_VIEWS])
    return BoxAttributes(
        layout=BoxLayout(
            size=float(values[Attribute.BOX_SIZE]),
            gap=float(values[Attribute.BOX_GAP]),
            units=BoxUnits(values[Attribute.BOX_UNITS]),
        ),
        line_views=(first, second),
        classes=tuple(str(name) for name in values[Attribute.POSITION_CLASSES]),
        centres_px=values[Attribute.BOX_CENTRES_PX],
        centres_mm=values[Attribute.BOX_CENTRES_LPS_MM],
        boxes=values[Attribute.BOXES_PX].astype(np.int64),
        alignment=values[Attribute.ALIGNMENT],
        angle_deg=values[Attribute.LINE_ANGLE_DEG],
        condition_number=values[Attribute.CONDITION_NUMBER],
    )
