"""The chest around the heart, as distance fields in patient coordinates (LPS, mm). It does not move with the heart beat."""

from dataclasses import dataclass

import numpy as np

from cmr_planes.phantom.fields import (
    Coordinates,
    Field,
    Ripple,
    Vector,
    blend,
    ellipsoid,
    intersection,
    paint,
    rippled,
    single,
    tube,
    union,
    vessel,
)
from cmr_planes.phantom.tissues import Tissues


@dataclass(frozen=True, slots=True, kw_only=True)
class BowelLoop:
    """A loop of bowel, or another small organ, under the diaphragm."""

    centre_mm: Vector
    """From the point of the diaphragm's level under the heart, LPS."""
    semi_axes_mm: Vector
    wall_mm: float
    signal: float
    """Brightness of what it holds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TorsoShape:
    """Size of one chest."""

    half_width_mm: float = 172.0
    half_depth_mm: float = 112.0
    """Half of the distance from breastbone to back, over the skin."""
    fat_mm: float = 14.0
    """Thickness of the subcutaneous fat."""
    wall_mm: float = 17.0
    """Thickness of the chest wall's muscles and ribs."""
    rib_phase: float = 0.0
    """Where ribs lie along the body, radians."""
    diaphragm_mm: float = 12.0
    """Level (z) of the diaphragm under the heart."""
    vessel_origin_mm: Vector = (4.0, 3.0, 60.0)
    """Middle of the mitral annulus, from which the great vessels rise."""
    ripples: tuple[Ripple, ...] = ()
    """What makes the chest irregular."""
    loops: tuple[BowelLoop, ...] = ()
    """What lies under the stomach and the liver."""


_VEIN_ENDS_MM: tuple[Vector, ...] = ((-105.0, 0.0, -10.0), (-75.0, -45.0, -20.0), (-95.0, 50.0, -35.0), (-20.0, -50.0, -25.0))
"""Where the liver's veins begin, LPS."""


def paint_torso(image: Field, fixed: Coordinates, moving: Coordinates, torso: TorsoShape, tissues: Tissues, edge_mm: float) -> None:
    """Paint the chest on an image of air, in place.

    Parameters
    ----------
    image
        Any shape; 0 where nothing has been painted.
    fixed
        Patient coordinates of its points.
    moving
        The same points in the coordinates of the organs that move with the breath: shifted by the breath-hold's position.
    torso
        Whose chest.
    tissues
        How bright each tissue is.
    edge_mm
        Width of edges.
    """
    fixed, moving = rippled(fixed, torso.ripples), rippled(moving, torso.ripples)
    skin = _outline(fixed, torso)
    paint(image, skin, tissues.muscle, edge_mm)
    paint(image, skin + 1.5, tissues.fat, edge_mm)
    muscle = skin + torso.fat_mm
    paint(image, muscle, tissues.muscle, edge_mm)
    _paint_ribs(image, fixed, muscle, torso, tissues, edge_mm)
    cavity = muscle + torso.wall_mm
    paint(image, cavity, tissues.lung, edge_mm)
    _paint_abdomen(image, moving, cavity, torso, tissues, edge_mm)
    _paint_midline(image, fixed, moving, torso, tissues, edge_mm)


def great_vessels(points: Coordinates, torso: TorsoShape, tissues: Tissues) -> list[tuple[Field, float]]:
    """Return the great vessels above the heart, back to front: distance and brightness, each vessel's wall before its blood.

    ``points`` move with the breath.
    """
    x, y, z = torso.vessel_origin_mm

    def at(*course: tuple[float, float, float, float]) -> Field:
        return vessel(points, [((x + dx, y + dy, z + dz), radius) for dx, dy, dz, radius in course])

    veins = union(
        at((-47, -4, 18, 9), (-46, -2, 60, 9), (-40, -4, 110, 9)),
        at((-40, 6, -26, 11), (-38, 14, -48, 11), (-32, 20, -110, 12)),
    )
    lungs_veins = union(
        at((-30, 24, 12, 7), (-75, 34, 20, 5)),
        at((-4, 30, 14, 7), (42, 48, 22, 5)),
        at((-32, 26, -4, 6), (-78, 40, -20, 4)),
        at((0, 32, -2, 6), (46, 52, -14, 4)),
    )
    arteries = union(
        at((0, -36, 26, 12.5), (5, -22, 50, 12.5), (4, -6, 62, 12)),
        at((4, -6, 62, 11), (-38, 6, 62, 10), (-80, 10, 55, 6)),
        at((4, -6, 62, 11), (38, 22, 62, 9), (75, 30, 50, 5)),
    )
    aorta = at((-22, -12, 34, 13), (-28, -14, 60, 14), (-24, -6, 92, 14), (0, 20, 106, 13), (20, 50, 92, 12))
    layers = []
    for field, wall_mm, blood in (
        (lungs_veins, 1.8, tissues.arterial_blood),
        (veins, 1.8, tissues.venous_blood),
        (arteries, 1.8, tissues.rv_blood),
        (aorta, 2.2, tissues.arterial_blood),
    ):
        layers += [(single(field - wall_mm), tissues.wall), (field, blood)]
    return layers


def _outline(points: Coordinates, torso: TorsoShape) -> Field:
    """The skin: a rounded rectangle across, straight along the body."""
    u = np.abs(points[0]) * (1.0 / torso.half_width_mm)
    v = np.abs(points[1]) * (1.0 / torso.half_depth_mm)
    radius = np.sqrt(np.sqrt(u**4 + v**4 + 0.9 * (u * v) ** 2))
    steep = np.sqrt(u**2 * (1.0 / torso.half_width_mm**2) + v**2 * (1.0 / torso.half_depth_mm**2)) + np.float32(1e-6)
    return single((radius - 1.0) * radius / steep)


def _paint_ribs(image: Field, points: Coordinates, muscle: Field, torso: TorsoShape, tissues: Tissues, edge_mm: float) -> None:
    x, y, z = points
    along = z - 0.45 * y - 0.12 * np.abs(x)
    wave = np.cos(along * (2 * np.pi / 27.0) + torso.rib_phase)
    middle = np.abs(muscle + 0.66 * torso.wall_mm) - 4.0
    rib = np.maximum(middle, (0.35 - wave) * 7.0)
    paint(image, rib, tissues.cortical_bone, edge_mm)
    paint(image, rib + 1.6, tissues.marrow, edge_mm)
    between = intersection(np.abs(muscle + 0.3 * torso.wall_mm) - 0.8, single(30.0 - np.abs(x)))
    paint(image, between, tissues.fat, edge_mm)


def _dome(points: Coordinates, torso: TorsoShape) -> Field:
    """Height above the diaphragm, mm: higher on the right than under the heart, falling off towards the walls."""
    x, y, z = points
    right = 34.0 * np.exp(-(((x + 78.0) / 58.0) ** 2) - ((y - 8.0) / 85.0) ** 2)
    left = 20.0 * np.exp(-(((x - 92.0) / 42.0) ** 2) - ((y - 25.0) / 60.0) ** 2)
    wide = ((x / (0.86 * torso.half_width_mm)) ** 2 + (y / (0.86 * torso.half_depth_mm)) ** 2) ** 2
    return single((z - (torso.diaphragm_mm + right + left - 34.0 * wide)) * 0.85)


def _paint_abdomen(image: Field, points: Coordinates, cavity: Field, torso: TorsoShape, tissues: Tissues, edge_mm: float) -> None:
    x, y, _ = points
    dome = _dome(points, torso)
    inner = intersection(dome, cavity)
    paint(image, inner, tissues.muscle, edge_mm)
    paint(image, intersection(dome + 3.0, cavity + 2.0), tissues.fat, edge_mm)
    level = torso.diaphragm_mm
    left = ellipsoid(points, (78.0, 0.0, level - 30.0), (70.0, 75.0, 58.0))
    paint(image, intersection(dome + 4.0, cavity + 3.0, left), tissues.stomach, edge_mm)
    spleen = intersection(dome + 5.0, ellipsoid(points, (98.0, 48.0, level - 14.0), (26.0, 38.0, 42.0)))
    paint(image, spleen - 2.0, tissues.fat, edge_mm)
    paint(image, spleen, tissues.spleen, edge_mm)
    stomach = intersection(dome + 5.0, ellipsoid(points, (72.0, -12.0, level - 14.0), (36.0, 48.0, 34.0)))
    paint(image, stomach, tissues.wall, edge_mm)
    paint(image, stomach + 3.0, tissues.stomach, edge_mm)
    paint(image, intersection(stomach + 3.0, y + 22.0), tissues.stomach_gas, edge_mm)
    for loop in torso.loops:
        x_mm, y_mm, z_mm = loop.centre_mm
        outside = intersection(dome + 6.0, cavity + 5.0, ellipsoid(points, (x_mm, y_mm, z_mm + level), loop.semi_axes_mm))
        paint(image, outside, tissues.wall, edge_mm)
        paint(image, outside + loop.wall_mm, loop.signal, edge_mm)
    right_lobe = (x - 28.0 + 0.35 * y - 0.25 * (points[2] - level)) * 0.85
    left_lobe = ellipsoid(points, (26.0, -38.0, level - 18.0), (62.0, 46.0, 18.0))
    liver = intersection(dome + 3.5, cavity + 3.0, blend(right_lobe, left_lobe, 14.0))
    paint(image, liver - 1.5, tissues.fat, edge_mm)
    paint(image, liver, tissues.liver, edge_mm)
    hepatic_veins = union(*(tube(points, (-34.0, 22.0, level + 8.0), end, 5.0, 2.5) for end in _VEIN_ENDS_MM))
    paint(image, intersection(hepatic_veins, liver + 8.0), tissues.venous_blood, edge_mm)


def _paint_midline(
    image: Field, fixed: Coordinates, moving: Coordinates, torso: TorsoShape, tissues: Tissues, edge_mm: float
) -> None:
    """Mediastinum, spine with its canal, back muscles, breastbone, oesophagus, descending aorta."""
    x, y, z = fixed
    depth = torso.half_depth_mm - torso.fat_mm
    front = torso.half_depth_mm - torso.fat_mm - 11.0
    spine_y = depth - 24.0
    flat = (x, y, np.zeros((1,) * x.ndim, dtype=np.float32))
    behind = intersection(ellipsoid(flat, (8.0, spine_y - 24.0, 0.0), (28.0, 24.0, 1e4)), _dome(moving, torso))
    paint(image, behind, tissues.mediastinum, edge_mm)
    ahead = intersection(ellipsoid(flat, (8.0, -front + 12.0, 0.0), (34.0, 18.0, 1e4)), _dome(moving, torso))
    paint(image, ahead, tissues.fat, edge_mm)
    back = union(*(ellipsoid(flat, (side * 36.0, depth - 2.0, 0.0), (30.0, 15.0, 1e4)) for side in (-1.0, 1.0)))
    paint(image, back, tissues.muscle, edge_mm)
    vertebra = blend(
        ellipsoid(flat, (0.0, spine_y, 0.0), (19.0, 16.0, 1e4)), ellipsoid(flat, (0.0, depth - 3.0, 0.0), (20.0, 8.0, 1e4)), 12.0
    )
    paint(image, vertebra, tissues.cortical_bone, edge_mm)
    paint(image, vertebra + 1.5, tissues.marrow, edge_mm)
    disc = intersection(vertebra, np.cos(z * (2 * np.pi / 26.0)) * -4.0 + 3.4)
    paint(image, disc, tissues.disc, edge_mm)
    canal = ellipsoid(flat, (0.0, spine_y + 21.0, 0.0), (9.5, 8.5, 1e4))
    paint(image, canal, tissues.fluid, edge_mm)
    paint(image, canal + 4.5, tissues.cord, edge_mm)
    sternum = ellipsoid(flat, (0.0, -front, 0.0), (19.0, 7.0, 1e4))
    paint(image, sternum, tissues.cortical_bone, edge_mm)
    paint(image, sternum + 1.8, tissues.marrow, edge_mm)
    paint(image, tube(moving, (6.0, spine_y - 24.0, -400.0), (2.0, spine_y - 26.0, 400.0), 6.5, 6.5), tissues.oesophagus, edge_mm)
    aorta = tube(moving, (20.0, spine_y - 22.0, -400.0), (24.0, spine_y - 19.0, 400.0), 11.5, 11.5)
    paint(image, aorta - 2.0, tissues.wall, edge_mm)
    paint(image, aorta, tissues.arterial_blood, edge_mm)
