"""An examination of one subject: planes prescribed as a technologist would, and the cine images on them."""

from dataclasses import dataclass, field, replace

import numpy as np

from cmr_planes.errors import GeometryError
from cmr_planes.geometry import VIEW_LINES, BoxLayout, DecidingAxis, ImagePlane, Positions, compute_positions, middle_slice
from cmr_planes.geometry.arrays import FloatArray, unit
from cmr_planes.phantom.dicom_model import CineSeries, Vendor
from cmr_planes.phantom.people import Subject
from cmr_planes.phantom.rendering import Scanner, render_cine
from cmr_planes.views import TARGET_VIEWS, CardiacView

LINE_ANGLES_DEG = {CardiacView.FOUR_CHAMBER: 0.0, CardiacView.TWO_CHAMBER: 70.0, CardiacView.THREE_CHAMBER: 130.0}
"""Direction of each long-axis view's line on the short axis: 0 is lateral, 90 anterior, in the heart's own axes, degrees."""

USUAL_ORIENTATIONS = {
    CardiacView.SAX: ((0.592, 0.806, 0.0), (-0.760, 0.558, 0.332)),
    CardiacView.TWO_CHAMBER: ((0.729, -0.685, 0.0), (0.685, 0.729, 0.0)),
    CardiacView.THREE_CHAMBER: ((0.844, -0.134, -0.520), (0.537, 0.211, 0.817)),
    CardiacView.FOUR_CHAMBER: ((1.0, 0.0, 0.0), (-0.027, -0.428, 0.903)),
}
"""Row cosine and normal of a real adult's images, LPS: they decide how images are turned, so that they look as readers expect."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Protocol:
    """How subjects are examined."""

    n_slices: int = 10
    """Number of short-axis slices."""
    slice_thickness_mm: float = 8.0
    slice_gap_mm: float = 2.0
    rows: int = 180
    columns: int = 208
    spacing_mm: float = 1.82
    """Pixel size, both ways."""
    n_frames: int = 50
    """Cardiac phases; 2 are end-diastole and end-systole."""
    angle_error_deg: float = 4.0
    """Standard deviation of each plane's angle about the ideal one, per axis."""
    position_error_mm: float = 3.0
    """Standard deviation of each plane's shift along its normal, and of the field of view within the plane."""
    turn_deg: float = 8.0
    """Standard deviation of the field of view's rotation in its plane."""
    field_turn_deg: float = 0.0
    """Rotation of the field of view that all planes of a subject share, in their planes."""
    off_centre_mm: tuple[float, float] = (0.0, 0.0)
    """Where the middle of the field of view lies from the heart, to the right and downwards on the image."""
    breath_mm: float = 2.0
    """Standard deviation of the organs' shift from breath-hold to breath-hold, mostly towards head and feet."""
    vendors: tuple[Vendor, ...] = (Vendor.SIEMENS,)
    """Scanners, one drawn for each subject."""
    is_mixed: bool = False
    """Whether matrix and pixel size differ between subjects, as between hospitals."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Prescription:
    """One plane of an examination."""

    view: CardiacView
    slice_number: int
    """Short-axis slice from the base, from 1; 0 for a long-axis view."""
    plane: ImagePlane
    breath_mm: FloatArray
    """Shift of the organs while it is imaged, shape (3,), LPS."""
    interval_ms: float
    """RR interval while it is imaged."""
    thickness_mm: float

    @property
    def description(self) -> str:
        """The SeriesDescription, in UK Biobank's words."""
        return f"CINE_segmented_SAX_b{self.slice_number}" if self.slice_number else f"CINE_segmented_LAX_{self.view.title}"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Examination:
    """A subject on a scanner."""

    subject: Subject
    protocol: Protocol
    vendor: Vendor
    scanner: Scanner
    prescriptions: tuple[Prescription, ...]
    """2Ch, 3Ch, 4Ch, then SAX from base to apex."""
    seeds: tuple[np.random.SeedSequence, ...] = field(repr=False)
    """One source of texture and noise a prescription."""

    @property
    def es_frame(self) -> int:
        """The true end-systolic frame, from 0; end-diastole is frame 0."""
        fractions = self.subject.cycle.frame_fractions(self.protocol.n_frames)
        return int(np.argmin(self.subject.cycle.filling(fractions)))

    def slices(self, view: CardiacView) -> tuple[Prescription, ...]:
        """Return the planes of one view."""
        return tuple(prescription for prescription in self.prescriptions if prescription.view is view)


def examine(subject: Subject, protocol: Protocol, seed: np.random.SeedSequence, *, scanner: Scanner | None = None) -> Examination:
    """Prescribe all planes of an examination.

    Parameters
    ----------
    subject
        Who is scanned.
    protocol
        How.
    seed
        Source of all that differs from the ideal.
    scanner
        What the images are like; None draws a usual one.
    """
    planning, *seeds = seed.spawn(1 + 3 + protocol.n_slices)
    rng = np.random.default_rng(planning)
    vendor = protocol.vendors[int(rng.integers(len(protocol.vendors)))]
    if protocol.is_mixed:
        spacing_mm = float(rng.choice([1.4, 1.6, 1.82, 2.0]))
        rows, columns = (16 * round(extent_mm / spacing_mm / 16) for extent_mm in (rng.choice([328.0, 352.0]), 378.0))
        protocol = replace(protocol, spacing_mm=spacing_mm, rows=rows, columns=columns)
    if scanner is None:
        scanner = Scanner(
            noise=float(rng.uniform(6.0, 12.0)), gain=float(rng.uniform(0.7, 1.6)), bias=tuple(rng.uniform(-0.12, 0.12, 3).tolist())
        )
    planes = {view: _long_axis_plane(subject, protocol, view, rng) for view in LINE_ANGLES_DEG}
    order = (CardiacView.TWO_CHAMBER, CardiacView.THREE_CHAMBER, CardiacView.FOUR_CHAMBER)
    placed = [(view, 0, planes[view], 6.0) for view in order]
    stack = _short_axis_planes(subject, protocol, rng)
    placed += [
        (CardiacView.SAX, slice_number, plane, protocol.slice_thickness_mm) for slice_number, plane in enumerate(stack, start=1)
    ]
    prescriptions = tuple(
        Prescription(
            view=view,
            slice_number=slice_number,
            plane=plane,
            breath_mm=rng.normal(0.0, [0.2, 0.4, 1.0]) * protocol.breath_mm,
            interval_ms=float(subject.cycle.interval_ms * rng.normal(1.0, 0.02)),
            thickness_mm=thickness_mm,
        )
        for view, slice_number, plane, thickness_mm in placed
    )
    return Examination(
        subject=subject, protocol=protocol, vendor=vendor, scanner=scanner, prescriptions=prescriptions, seeds=tuple(seeds)
    )


def image_series(examination: Examination, index: int, *, number: int) -> CineSeries:
    """Image one prescription.

    Parameters
    ----------
    examination
        The examination.
    index
        Which of its prescriptions.
    number
        SeriesNumber.

    Returns
    -------
        All frames, with their trigger times.
    """
    prescription = examination.prescriptions[index]
    fractions = examination.subject.cycle.frame_fractions(examination.protocol.n_frames)
    frames = render_cine(
        examination.subject,
        prescription.plane,
        fractions.tolist(),
        thickness_mm=prescription.thickness_mm,
        scanner=examination.scanner,
        breath_mm=prescription.breath_mm,
        rng=np.random.default_rng(examination.seeds[index]),
    )
    return CineSeries(
        plane=prescription.plane,
        frames=frames,
        trigger_times_ms=fractions * prescription.interval_ms,
        nominal_interval_ms=prescription.interval_ms,
        description=prescription.description,
        number=number,
        slice_thickness_mm=prescription.thickness_mm,
    )


def true_positions(examination: Examination, layout: BoxLayout | None = None) -> dict[CardiacView, tuple[Positions | None, ...]]:
    """Place the nine positions on every plane of the three target views, from the planes as they were acquired.

    Where a plane can have none (a horizontal heart whose 2Ch line has no superior end, say) there is None.
    """
    stand_in = {}
    for view in TARGET_VIEWS:
        planes = [prescription.plane for prescription in examination.slices(view)]
        stand_in[view] = planes[middle_slice(planes)]
    positions: dict[CardiacView, tuple[Positions | None, ...]] = {}
    for view, (first, second) in VIEW_LINES.items():
        others, axes = (stand_in[first.view], stand_in[second.view]), (first.axis, second.axis)
        planes = [prescription.plane for prescription in examination.slices(view)]
        positions[view] = tuple(_positions_on(plane, others, axes, layout or BoxLayout()) for plane in planes)
    return positions


def _positions_on(
    plane: ImagePlane, others: tuple[ImagePlane, ImagePlane], axes: tuple[DecidingAxis, DecidingAxis], layout: BoxLayout
) -> Positions | None:
    """Place the positions on one plane, if it can have any."""
    try:
        return compute_positions(plane, *others, axes=axes, layout=layout)
    except GeometryError:
        return None


def _long_axis_plane(subject: Subject, protocol: Protocol, view: CardiacView, rng: np.random.Generator) -> ImagePlane:
    """Prescribe a plane through the long axis of the left ventricle."""
    lateral, anterior, apical = subject.patient_from_heart.T
    angle = np.radians(LINE_ANGLES_DEG[view])
    line = np.cos(angle) * lateral + np.sin(angle) * anterior
    middle_mm = subject.origin_mm + 0.42 * subject.heart.length_mm * apical
    return _plane(np.cross(line, apical), middle_mm, view, protocol, rng)


def _short_axis_planes(subject: Subject, protocol: Protocol, rng: np.random.Generator) -> list[ImagePlane]:
    """Prescribe a stack that covers the left ventricle from just above its base."""
    apical = subject.patient_from_heart[:, 2]
    distance_mm = protocol.slice_thickness_mm + protocol.slice_gap_mm
    middle_mm = subject.origin_mm + 0.46 * subject.heart.length_mm * apical
    first = _plane(-apical, middle_mm, CardiacView.SAX, protocol, rng)
    levels_mm = (np.arange(protocol.n_slices) - (protocol.n_slices - 1) / 2) * distance_mm
    towards_apex = first.normal * np.sign(first.normal @ apical)
    return [replace(first, position_mm=first.position_mm + level_mm * towards_apex) for level_mm in levels_mm]


def _plane(
    normal: FloatArray, middle_mm: FloatArray, view: CardiacView, protocol: Protocol, rng: np.random.Generator
) -> ImagePlane:
    """Prescribe a plane near an ideal one, its field of view near the heart."""
    usual_row, usual_normal = (np.array(direction) for direction in USUAL_ORIENTATIONS[view])
    normal = unit(normal) * np.sign(normal @ usual_normal)
    row = unit(usual_row - (usual_row @ normal) * normal)
    column = np.cross(normal, row)
    tilt, nod, turn = rng.normal(0.0, [protocol.angle_error_deg, protocol.angle_error_deg, protocol.turn_deg])
    rotation = _about(row, tilt) @ _about(column, nod) @ _about(normal, turn + protocol.field_turn_deg)
    row, column, normal = rotation @ row, rotation @ column, rotation @ normal
    shift_mm = rng.normal(0.0, protocol.position_error_mm, 3) * np.array([2.0, 2.0, 1.0])
    middle_mm = middle_mm + shift_mm[0] * row + shift_mm[1] * column + shift_mm[2] * normal
    middle_mm = middle_mm + protocol.off_centre_mm[0] * row + protocol.off_centre_mm[1] * column
    half = np.array([protocol.columns - 1, protocol.rows - 1]) / 2 * protocol.spacing_mm
    return ImagePlane(
        position_mm=middle_mm - half[0] * row - half[1] * column,
        row_cosine=row,
        column_cosine=column,
        row_spacing_mm=protocol.spacing_mm,
        column_spacing_mm=protocol.spacing_mm,
        rows=protocol.rows,
        columns=protocol.columns,
    )


def _about(axis: FloatArray, angle_deg: float) -> FloatArray:
    """Rotation about a unit axis, shape (3, 3) (Rodrigues' formula)."""
    x, y, z = axis
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    angle = np.radians(angle_deg)
    result: FloatArray = np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross
    return result
