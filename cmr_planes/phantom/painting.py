"""A slice of a subject, painted from back to front: what lies still once, the beating heart for every frame."""

from dataclasses import dataclass

import numpy as np

from cmr_planes.geometry import ImagePlane
from cmr_planes.geometry.arrays import FloatArray
from cmr_planes.phantom.fields import Coordinates, Field, intersection, paint, rippled, single
from cmr_planes.phantom.heart import (
    ATRIAL_WALL_MM,
    RV_WALL_MM,
    HeartFields,
    HeartState,
    effusion,
    heart_fields,
    heart_state,
    moderator_band,
    pacing_lead,
    papillary_muscles,
    sac,
)
from cmr_planes.phantom.people import Subject
from cmr_planes.phantom.tissues import Tissues
from cmr_planes.phantom.torso import great_vessels, paint_torso

HEART_MARGIN_MM = 4.0
"""How far outside the sac the beating part of an image reaches."""

_WINDOW_STRIDE = 4
"""Every this many pixels are examined to find where the heart beats."""

_PROBE = 1000.0
"""Brightness of the ground on which a layer's opacity is measured."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SliceScene:
    """One slice of a subject, ready to be painted at any filling. Arrays have shape (sheets, rows, columns)."""

    subject: Subject
    tissues: Tissues
    edge_mm: float
    chest: Field
    """The chest without heart and great vessels."""
    vessels_keep: Field
    """What the great vessels let through of what lies behind them, 0 to 1."""
    vessels_add: Field
    """What they add."""
    window: tuple[slice, slice]
    """Rows and columns in which the heart beats; empty where the slice does not meet it."""
    points: Coordinates
    """Heart coordinates of the window."""


def plan_scene(subject: Subject, plane: ImagePlane, offsets_mm: FloatArray, breath_mm: FloatArray, tissues: Tissues) -> SliceScene:
    """Paint what does not beat.

    Parameters
    ----------
    subject, plane
        Who and where.
    offsets_mm
        Distances of the sheets from the plane, shape (sheets,).
    breath_mm
        Shift of the organs in this breath-hold, shape (3,), LPS.
    tissues
        How bright each tissue is.
    """
    edge_mm = 0.5 * (plane.row_spacing_mm + plane.column_spacing_mm)
    points = plane_points(plane, offsets_mm)
    x, y, z = (coordinate - float(shift) for coordinate, shift in zip(points, breath_mm, strict=True))
    chest = np.full(x.shape, tissues.air, dtype=np.float32)
    paint_torso(chest, points, (x, y, z), subject.torso, tissues, edge_mm)
    dark, bright = np.zeros_like(chest), np.full_like(chest, _PROBE)
    for field, value in great_vessels((x, y, z), subject.torso, tissues):
        for ground in (dark, bright):
            paint(ground, field, value, edge_mm)
    in_heart = to_heart(subject, points, breath_mm)
    window = _window(subject, in_heart)
    px, py, pz = (coordinate[:, window[0], window[1]].copy() for coordinate in in_heart)
    return SliceScene(
        subject=subject,
        tissues=tissues,
        edge_mm=edge_mm,
        chest=chest,
        vessels_keep=(bright - dark) / _PROBE,
        vessels_add=dark,
        window=window,
        points=(px, py, pz),
    )


def paint_still(scene: SliceScene) -> Field:
    """Return the slice without its heart, averaged over its sheets, shape (rows, columns)."""
    image: Field = (scene.chest * scene.vessels_keep + scene.vessels_add).mean(axis=0)
    return image


def paint_window(scene: SliceScene, filling: float, *, mitral_is_open: bool) -> Field:
    """Return the scene's window with the heart at a filling, averaged over the sheets, shape (rows, columns)."""
    window = (slice(None), *scene.window)
    state = heart_state(scene.subject.heart, filling, mitral_is_open=mitral_is_open)
    fields = heart_fields(scene.points, state)
    image = scene.chest[window].copy()
    heart, tissues = scene.subject.heart, scene.tissues
    fat = sac(fields, heart.fat_mm)
    fluid = effusion(fat, scene.points, heart.effusion_mm)
    paint(image, fluid - 1.2, tissues.pericardium, scene.edge_mm)
    if heart.effusion_mm:
        paint(image, fluid, tissues.fluid, scene.edge_mm)
    paint(image, fat, tissues.epicardial_fat, scene.edge_mm)
    image *= scene.vessels_keep[window]
    image += scene.vessels_add[window]
    _paint_right_heart(image, scene, state, fields)
    _paint_left_heart(image, scene, state, fields)
    average: Field = image.mean(axis=0)
    return average


def plane_points(plane: ImagePlane, offsets_mm: FloatArray) -> Coordinates:
    """Patient coordinates of all pixels on sheets beside a plane, three arrays of shape (sheets, rows, columns)."""
    column = np.arange(plane.columns, dtype=np.float32)[None, None, :]
    row = np.arange(plane.rows, dtype=np.float32)[None, :, None]
    sheet = np.asarray(offsets_mm, dtype=np.float32)[:, None, None]
    matrix = plane.patient_from_pixel
    x, y, z = (
        column * float(matrix[axis, 0]) + row * float(matrix[axis, 1]) + sheet * float(matrix[axis, 2]) + float(matrix[axis, 3])
        for axis in range(3)
    )
    return x, y, z


def to_heart(subject: Subject, points: Coordinates, breath_mm: FloatArray) -> Coordinates:
    """Map patient coordinates to those of the heart, which the breath has shifted."""
    origin = subject.origin_mm + breath_mm
    shifted = [coordinate - float(start) for coordinate, start in zip(points, origin, strict=True)]
    x, y, z = (
        shifted[0] * float(axis[0]) + shifted[1] * float(axis[1]) + shifted[2] * float(axis[2])
        for axis in subject.patient_from_heart.T
    )
    return rippled((x, y, z), subject.ripples)


def _window(subject: Subject, points: Coordinates) -> tuple[slice, slice]:
    """Find the rows and columns that the heart reaches at any filling."""
    x, y, z = (coordinate[:, ::_WINDOW_STRIDE, ::_WINDOW_STRIDE] for coordinate in points)
    inside = np.zeros(x.shape[1:], dtype=np.bool_)
    for filling in (1.0, 0.0):
        fields = heart_fields((x, y, z), heart_state(subject.heart, filling))
        outer = effusion(sac(fields, subject.heart.fat_mm), (x, y, z), subject.heart.effusion_mm)
        inside |= (outer < HEART_MARGIN_MM).any(axis=0)
    rows, columns = np.flatnonzero(inside.any(axis=1)) * _WINDOW_STRIDE, np.flatnonzero(inside.any(axis=0)) * _WINDOW_STRIDE
    if not len(rows):
        return slice(0), slice(0)
    margin = _WINDOW_STRIDE
    return (
        slice(max(int(rows[0]) - margin, 0), int(rows[-1]) + margin + 1),
        slice(max(int(columns[0]) - margin, 0), int(columns[-1]) + margin + 1),
    )


def _paint_right_heart(image: Field, scene: SliceScene, state: HeartState, fields: HeartFields) -> None:
    points, tissues, edge_mm = scene.points, scene.tissues, scene.edge_mm
    paint(image, fields.ra - ATRIAL_WALL_MM, tissues.wall, edge_mm)
    paint(image, fields.ra, tissues.venous_blood, edge_mm)
    wall = fields.rv - RV_WALL_MM
    paint(image, intersection(wall, -(fields.ra + 0.5)), tissues.wall, edge_mm)
    paint(image, _trabeculated(fields.rv, points, scene.subject.heart.rv_trabeculae_mm), tissues.rv_blood, edge_mm)
    if not state.mitral_is_open:
        meet = np.maximum(fields.rv, fields.ra) - np.float32(3.0)
        valve = intersection(np.abs(points[2] - state.tricuspid_mm) - 0.8, meet)
        paint(image, valve, tissues.wall, edge_mm)
    paint(image, intersection(moderator_band(points, state), wall), tissues.myocardium, edge_mm)
    if scene.subject.has_device:
        paint(image, intersection(pacing_lead(points, state), single(np.minimum(fields.rv, fields.ra) - 3.0)), tissues.air, edge_mm)


def _paint_left_heart(image: Field, scene: SliceScene, state: HeartState, fields: HeartFields) -> None:
    tissues, edge_mm = scene.tissues, scene.edge_mm
    paint(image, fields.la - ATRIAL_WALL_MM, tissues.wall, edge_mm)
    paint(image, fields.la, tissues.lv_blood, edge_mm)
    paint(image, fields.aorta - ATRIAL_WALL_MM, tissues.wall, edge_mm)
    paint(image, fields.aorta, tissues.arterial_blood, edge_mm)
    paint(image, fields.epi, tissues.myocardium, edge_mm)
    paint(image, _trabeculated(fields.lv, scene.points, scene.subject.heart.trabeculae_mm), tissues.lv_blood, edge_mm)
    muscles = intersection(papillary_muscles(scene.points, state), fields.lv + 0.5)
    paint(image, muscles, tissues.myocardium, edge_mm)
    ring = intersection(np.abs(scene.points[2] - (state.base_mm - 0.5)) - 1.2, fields.lv - 3.0)
    if state.mitral_is_open:
        ring = intersection(ring, -(fields.la + 1.5))
    elif state.aorta_is_open:
        ring = intersection(ring, -(fields.aorta + 1.0))
    paint(image, ring, tissues.wall, edge_mm)


def _trabeculated(cavity: Field, points: Coordinates, height_mm: float) -> Field:
    """Roughen a cavity's wall by trabeculae of a height."""
    x, y, z = points
    return single(cavity + height_mm * np.sin(0.55 * x + 0.11 * z) * np.sin(0.52 * y - 0.13 * z)) if height_mm else cavity
