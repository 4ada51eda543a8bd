"""A tiny study for tests: a short-axis stack and three long-axis views around a plausible heart, with cheap images.

::

    study = simple_study()                    # 6 SAX slices, 2Ch, 3Ch, 4Ch; 4 frames; 96 × 96 at 3.5 mm; a few ms a series
    write_study(directory, study)             # <directory>/<SOPInstanceUID>.dcm
    study.series["4ch"].plane                 # keys: "sax1" (most basal) …, "2ch", "3ch", "4ch"
    simple_study(n_frames=12, descriptions={"4ch": ""}, rotation=rotation, translation_mm=[1, 2, 3])

``dataclasses.replace`` on a series, or ``overrides``, make any fault that a test wants. The planes' normals are those of a real
case (patient supine, apex to the left, anterior and inferior); the heart is a bright ellipsoid in a dark shell in a grey body,
smallest at :data:`ES_FRACTION` of the cycle.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cmr_planes.geometry import ImagePlane
from cmr_planes.geometry.arrays import FloatArray, unit
from cmr_planes.phantom.dicom_model import CineSeries, DicomFile, DicomStudy, Override, TransferSyntax, Vendor
from cmr_planes.phantom.dicom_writer import write_cine, write_files

ES_FRACTION = 0.38
"""When in the cycle the ellipsoid is smallest."""

HEART_CENTRE_MM = np.array([38.0, -30.0, 40.0])
"""Middle of the left ventricle, LPS, mm, before ``translation_mm``."""

ORIENTATIONS = {
    "sax": ((0.592, 0.806, 0.0), (-0.760, 0.558, 0.332)),
    "2ch": ((0.729, -0.685, 0.0), (0.685, 0.729, 0.000)),
    "3ch": ((0.844, -0.134, -0.520), (0.537, 0.211, 0.817)),
    "4ch": ((1.0, -0.012, 0.025), (-0.027, -0.428, 0.903)),
}
"""Row cosine (made perpendicular before use) and normal of each view, LPS, of a real adult."""

DESCRIPTIONS = {"2ch": "CINE_segmented_LAX_2Ch", "3ch": "CINE_segmented_LAX_3Ch", "4ch": "CINE_segmented_LAX_4Ch"}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SimpleStudy:
    """A study, its series by key, and the heart's true centre."""

    study: DicomStudy
    series: dict[str, CineSeries]
    centre_mm: FloatArray
    """Where all long-axis planes and the middle short-axis plane meet, up to half a slice distance; shape (3,), LPS."""


def simple_study(
    *,
    name: str = "SYN-0001",
    n_slices: int = 6,
    n_frames: int = 4,
    rows: int = 96,
    columns: int = 96,
    spacing_mm: tuple[float, float] = (3.5, 3.5),
    slice_distance_mm: float = 14.0,
    views: Iterable[str] = ("sax", "2ch", "3ch", "4ch"),
    rotation: ArrayLike | None = None,
    translation_mm: ArrayLike = (0.0, 0.0, 0.0),
    descriptions: Mapping[str, str] | None = None,
    overrides: Mapping[str, Override] | None = None,
    vendor: Vendor = Vendor.SIEMENS,
    private_bytes: int = 0,
) -> SimpleStudy:
    """Make a tiny study.

    Parameters
    ----------
    name
        PatientID and seed of the UIDs.
    n_slices
        Short-axis slices, ``slice_distance_mm`` apart, the first one basal.
    n_frames
        Cardiac phases; the first is end-diastole.
    rows, columns, spacing_mm
        Matrix and spacing (between rows, between columns) of every series.
    slice_distance_mm
        Distance of neighbouring short-axis slices.
    views
        Which views to make.
    rotation
        Rotation of the whole patient about the origin, shape (3, 3); None for none.
    translation_mm
        Shift of the whole patient after the rotation, shape (3,).
    descriptions
        SeriesDescription by key (``"sax1"``, ``"4ch"``), or ``"sax"`` for all slices; others get UK Biobank's names.
    overrides
        Attributes to set or delete in every file.
    vendor, private_bytes
        As in :class:`DicomStudy`.

    Returns
    -------
        The study; the same arguments give the same one.
    """
    turn = np.eye(3) if rotation is None else np.asarray(rotation, dtype=np.float64)
    shift_mm = np.asarray(translation_mm, dtype=np.float64)
    apex = -unit(np.array(ORIENTATIONS["sax"][1]))
    targets: dict[str, tuple[str, FloatArray]] = {}
    for view in views:
        if view != "sax":
            targets[view] = (view, HEART_CENTRE_MM)
            continue
        for slice_index in range(n_slices):
            offset_mm = (slice_index - (n_slices - 1) / 2) * slice_distance_mm
            targets[f"sax{slice_index + 1}"] = ("sax", HEART_CENTRE_MM + offset_mm * apex)
    times_ms = np.arange(n_frames) * (1000.0 / n_frames)
    names = dict(descriptions or {})
    series = {}
    for number, (key, (view, centre_mm)) in enumerate(targets.items(), start=3):
        plane = _plane(view, centre_mm, turn, shift_mm, (rows, columns), spacing_mm)
        default = f"CINE_segmented_SAX_b{key[3:]}" if view == "sax" else DESCRIPTIONS[view]
        series[key] = CineSeries(
            plane=plane,
            frames=_images(plane, turn, shift_mm, [time_ms / 1000.0 for time_ms in times_ms.tolist()], seed=number),
            trigger_times_ms=times_ms,
            description=names.get(key, names.get(view, default)),
            number=number,
            slice_thickness_mm=8.0 if view == "sax" else 6.0,
        )
    study = DicomStudy(name=name, patient_id=name, vendor=vendor, private_bytes=private_bytes, overrides=dict(overrides or {}))
    return SimpleStudy(study=study, series=series, centre_mm=turn @ HEART_CENTRE_MM + shift_mm)


def encode_study(simple: SimpleStudy, *, transfer_syntax: TransferSyntax = TransferSyntax.EXPLICIT_LITTLE) -> list[DicomFile]:
    """Encode all series of a study."""
    return [file for series in simple.series.values() for file in write_cine(simple.study, series, transfer_syntax=transfer_syntax)]


def write_study(
    directory: Path,
    simple: SimpleStudy,
    *,
    transfer_syntax: TransferSyntax = TransferSyntax.EXPLICIT_LITTLE,
    suffix: str = ".dcm",
) -> list[Path]:
    """Write all series of a study to one directory, ``<SOPInstanceUID><suffix>`` each; return the paths."""
    return write_files(directory, encode_study(simple, transfer_syntax=transfer_syntax), suffix=suffix)


def _plane(
    view: str,
    centre_mm: FloatArray,
    turn: FloatArray,
    shift_mm: FloatArray,
    matrix: tuple[int, int],
    spacing_mm: tuple[float, float],
) -> ImagePlane:
    """Return the plane of a view whose field of view is centred on a point, moved with the patient."""
    row_direction, normal = (np.array(vector) for vector in ORIENTATIONS[view])
    normal = unit(normal)
    row_cosine = turn @ unit(row_direction - (row_direction @ normal) * normal)
    column_cosine = np.cross(turn @ normal, row_cosine)
    rows, columns = matrix
    middle = turn @ centre_mm + shift_mm
    corner = middle - (columns - 1) / 2 * spacing_mm[1] * row_cosine - (rows - 1) / 2 * spacing_mm[0] * column_cosine
    return ImagePlane.from_attributes(corner, [*row_cosine, *column_cosine], spacing_mm, rows=rows, columns=columns)


def _images(plane: ImagePlane, turn: FloatArray, shift_mm: FloatArray, phases: Sequence[float], *, seed: int) -> NDArray[np.uint16]:
    """Return the images of a plane at phases of the cycle in [0, 1), shape (T, rows, columns)."""
    column, row = np.meshgrid(np.arange(plane.columns), np.arange(plane.rows))
    points = (plane.pixel_to_patient(np.stack([column, row], axis=-1)) - shift_mm) @ turn - HEART_CENTRE_MM
    axis = unit(np.array(ORIENTATIONS["sax"][1]))
    along2 = (points @ axis) ** 2
    across2 = (points**2).sum(axis=-1) - along2
    body = np.hypot(points[..., 0] + HEART_CENTRE_MM[0], (points[..., 1] + HEART_CENTRE_MM[1]) * 1.4) < 170
    rng = np.random.default_rng(seed)
    background = np.where(body, 220.0, 10.0) + rng.integers(0, 16, body.shape)
    wall = along2 / 50.0**2 + across2 / 36.0**2 < 1
    background = np.where(wall, 90.0, background)
    images = np.empty((len(phases), plane.rows, plane.columns), dtype=np.uint16)
    for index, phase in enumerate(phases):
        squeeze = 1 - 0.3 * np.exp(-(((phase - ES_FRACTION + 0.5) % 1 - 0.5) ** 2) / (2 * 0.13**2))
        blood = along2 / (42.0 * (0.5 + 0.5 * squeeze)) ** 2 + across2 / (25.0 * squeeze) ** 2 < 1
        images[index] = np.where(blood, 420.0, background)
    return images
