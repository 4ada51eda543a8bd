"""The beating heart, as distance fields in its own coordinates.

Heart coordinates, mm: the origin is the middle of the mitral annulus at end-diastole; +z runs along the left ventricle to the
apex, +x to its lateral wall, +y to its anterior wall, so the septum and the right ventricle lie at -x. The left ventricle is a
spheroid cut off at the base. Its cavity holds exactly the volume that is asked for (papillary muscles count as cavity, as in
manual contours), its wall keeps its volume, the base moves towards a fixed apex, and the atria fill what the base leaves.
"""

from dataclasses import dataclass

import numpy as np

from cmr_planes.geometry.arrays import LabelArray
from cmr_planes.phantom.fields import (
    Coordinates,
    Field,
    Vector,
    blend,
    ellipsoid,
    intersection,
    single,
    tube,
    turned,
    union,
    vessel,
)
from cmr_planes.views import Structure

BASE_FRACTION = 0.28
"""Distance of the widest level from the base, as a part of the cavity's length."""

RV_WALL_MM = 3.0
"""Thickness of the right ventricle's free wall."""

ATRIAL_WALL_MM = 2.0
"""Thickness of the atria's and the vessels' walls."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HeartShape:
    """Size and function of one heart."""

    edv_ml: float = 140.0
    """Left ventricular volume at end-diastole."""
    ef: float = 0.60
    """Left ventricular ejection fraction, 0 to 1."""
    length_mm: float = 88.0
    """Length of the cavity from base to apex at end-diastole."""
    wall_mm: float = 8.5
    """Thickness of the wall at its widest level at end-diastole."""
    shortening_mm: float = 13.0
    """Way of the base towards the apex."""
    rv_scale: float = 1.0
    """Width of the right ventricle relative to a usual one."""
    rv_ejection: float = 1.0
    """Contraction of the right ventricle relative to a usual one."""
    atrial_scale: float = 1.0
    """Size of the atria relative to usual ones."""
    fat_mm: float = 4.0
    """Thickness of the epicardial fat over the right ventricle."""
    effusion_mm: float = 0.0
    """Thickness of the fluid in the pericardium, twice as thick behind the heart as before it."""
    septal_shift_mm: float = 0.0
    """How far the cavity lies from the middle of the wall, away from the septum: asymmetric hypertrophy."""
    flattening: float = 1.0
    """Width of the left ventricle across the septum relative to a round one of the same volume; a loaded right one flattens it."""
    right_turn_deg: float = 0.0
    """Turn of the right heart about the left ventricle's axis, towards the front."""
    papillary_scale: float = 1.0
    """Thickness of the papillary muscles relative to usual ones."""
    papillary_turn_deg: float = 0.0
    """Turn of the papillary muscles about the left ventricle's axis."""
    trabeculae_mm: float = 0.9
    """How far trabeculae stand into the left ventricle's cavity, of which they count as part."""
    rv_trabeculae_mm: float = 0.0
    """The same in the right ventricle."""

    @property
    def esv_ml(self) -> float:
        """Left ventricular volume at end-systole."""
        return self.edv_ml * (1 - self.ef)

    def volume_ml(self, filling: float) -> float:
        """Left ventricular volume when the ventricle is filled to a part (0 to 1) of its stroke."""
        return self.esv_ml + filling * (self.edv_ml - self.esv_ml)


@dataclass(frozen=True, slots=True, kw_only=True)
class HeartState:
    """A heart at one filling, in heart coordinates, mm."""

    contraction: float
    """0 at end-diastole, 1 at end-systole."""
    base_mm: float
    """Level of the mitral annulus."""
    tricuspid_mm: float
    """Level of the tricuspid annulus."""
    endo: tuple[Vector, Vector]
    """Centre and semi-axes of the cavity's spheroid."""
    epi: tuple[Vector, Vector]
    """Centre and semi-axes of the epicardial spheroid."""
    rv: tuple[Vector, Vector]
    """Centre and semi-axes of the right ventricle's free wall."""
    la: tuple[Vector, Vector]
    ra: tuple[Vector, Vector]
    aortic_root: tuple[tuple[Vector, float], ...]
    """Centre line and radius."""
    outflow: tuple[tuple[Vector, float], ...]
    """Right ventricular outflow tract up to the pulmonary valve: centre line and radius."""
    right_turn_deg: float
    """Turn of the right heart about the left ventricle's axis."""
    papillary_scale: float
    papillary_turn_deg: float
    mitral_is_open: bool

    @property
    def aorta_is_open(self) -> bool:
        """Whether the aortic valve is open: while the mitral valve is closed and the ventricle has begun to contract."""
        return not self.mitral_is_open and 0.05 < self.contraction < 0.97


def heart_state(shape: HeartShape, filling: float, *, mitral_is_open: bool = False) -> HeartState:
    """Return the heart at a filling of the left ventricle.

    Parameters
    ----------
    shape
        Whose heart.
    filling
        1 at end-diastole, 0 at end-systole.
    mitral_is_open
        Whether the mitral valve is open (it shows as a thin dark line when closed).
    """
    squeeze = 1.0 - filling
    base = shape.shortening_mm * squeeze
    endo, epi = _spheroids(shape, filling, base)
    wide = _spheroids(shape, 1.0, 0.0)[1][1][0]
    tricuspid = -2.0 + 1.3 * shape.shortening_mm * squeeze * shape.rv_ejection
    pull = squeeze * shape.rv_ejection
    rv_semi = (38.0 * shape.rv_scale - 11.0 * pull, 1.0 * wide * shape.rv_scale**0.4 - 5.0 * pull, 0.86 * shape.length_mm)
    rv = ((-0.82 * wide + 4.0 * pull, 2.0, 4.0), rv_semi)
    grow = shape.atrial_scale
    la_top, ra_top = -42.0 * grow, -44.0 * grow
    la_semi = ((18.0 + 4.0 * squeeze) * grow, (20.0 + 4.5 * squeeze) * grow, (base + 7.0 - la_top) / 2)
    ra_semi = ((20.0 + 4.0 * squeeze) * grow, (22.0 + 4.0 * squeeze) * grow, (tricuspid + 8.0 - ra_top) / 2)
    annulus = (-9.0, 11.0, base - 1.0)
    return HeartState(
        contraction=squeeze,
        base_mm=base,
        tricuspid_mm=tricuspid,
        endo=endo,
        epi=epi,
        rv=rv,
        la=((3.0, -7.0, (base + 7.0 + la_top) / 2), la_semi),
        ra=((-0.82 * wide - 12.0, -10.0, (tricuspid + 8.0 + ra_top) / 2), ra_semi),
        aortic_root=((annulus, 11.0), ((-14.0, 20.0, -13.0 + 0.5 * base), 15.0), ((-17.0, 32.0, -25.0), 13.0)),
        outflow=(
            ((-0.72 * wide, 0.55 * wide, 20.0 + base), 14.0 - 3.0 * pull),
            ((-0.40 * wide, 1.02 * wide, 2.0 + 0.6 * base), 13.0 - 2.0 * pull),
            ((-0.12 * wide, 1.18 * wide, -13.0 + 0.3 * base), 12.5),
        ),
        right_turn_deg=-shape.right_turn_deg,
        papillary_scale=shape.papillary_scale,
        papillary_turn_deg=shape.papillary_turn_deg,
        mitral_is_open=mitral_is_open,
    )


def _spheroids(shape: HeartShape, filling: float, base_mm: float) -> tuple[tuple[Vector, Vector], tuple[Vector, Vector]]:
    """Centre and semi-axes of the endo- and the epicardium, so that the cavity has its volume and the wall keeps its own."""
    apex_wall = 0.75 * shape.wall_mm
    endo = _cut_spheroid(shape.edv_ml, shape.length_mm)
    myocardium_ml = _cut_volume_ml(endo[0] + shape.wall_mm, endo[1], endo[1] + endo[2] + apex_wall) - shape.edv_ml
    apex = shape.length_mm - 0.3 * shape.shortening_mm * (1.0 - filling)
    radius, depth, half_length = _cut_spheroid(shape.volume_ml(filling), apex - base_mm)
    length = shape.length_mm + apex_wall - base_mm
    unit_ml = _cut_volume_ml(1.0, depth, length)
    epi_radius = ((shape.volume_ml(filling) + myocardium_ml) / unit_ml) ** 0.5
    inner, outer = (shape.septal_shift_mm, 0.0, base_mm + depth), (0.0, 0.0, base_mm + depth)
    across, along = shape.flattening, 1.0 / shape.flattening
    return (
        (inner, (radius * across, radius * along, half_length)),
        (outer, (epi_radius * across, epi_radius * along, length - depth)),
    )


def _cut_spheroid(volume_ml: float, length_mm: float) -> tuple[float, float, float]:
    """Radius, depth of the widest level below the cut, and half length of a cut spheroid of a volume and length."""
    depth = BASE_FRACTION * length_mm
    return (volume_ml / _cut_volume_ml(1.0, depth, length_mm)) ** 0.5, depth, length_mm - depth


def _cut_volume_ml(radius_mm: float, depth_mm: float, length_mm: float) -> float:
    """Volume of a spheroid of a radius, cut ``depth_mm`` above its middle and ``length_mm`` long from the cut to its tip."""
    half_length = length_mm - depth_mm
    cut = -depth_mm / half_length
    return float(np.pi * radius_mm**2 * half_length * (2.0 / 3.0 - cut + cut**3 / 3.0) / 1000.0)


def lv_cavity(points: Coordinates, state: HeartState) -> Field:
    """Left ventricular cavity, papillary muscles included."""
    return intersection(ellipsoid(points, *state.endo), state.base_mm - points[2])


def lv_epicardium(points: Coordinates, state: HeartState) -> Field:
    """Left ventricle, wall and cavity."""
    return intersection(ellipsoid(points, *state.epi), state.base_mm - points[2])


def rv_cavity(points: Coordinates, state: HeartState) -> Field:
    """Right ventricular cavity with its outflow tract; the left ventricle is to be cut out of it."""
    x, y, z = right = turned(points, state.right_turn_deg)
    bent = x - 0.25 * np.clip(z - 20.0, 0.0, None)
    body = intersection(ellipsoid((bent, y, z), *state.rv), state.tricuspid_mm - z)
    return blend(body, vessel(right, state.outflow), 6.0)


def left_atrium(points: Coordinates, state: HeartState) -> Field:
    """Left atrial cavity."""
    return intersection(ellipsoid(points, *state.la), points[2] - state.base_mm)


def right_atrium(points: Coordinates, state: HeartState) -> Field:
    """Right atrial cavity."""
    return intersection(ellipsoid(turned(points, state.right_turn_deg), *state.ra), points[2] - state.tricuspid_mm)


def aortic_root(points: Coordinates, state: HeartState) -> Field:
    """Aortic root, from the annulus upwards."""
    return intersection(vessel(points, state.aortic_root), points[2] - state.base_mm)


def papillary_muscles(points: Coordinates, state: HeartState) -> Field:
    """The two papillary muscles, anterolateral and posteromedial, and a few trabeculae near the apex."""
    (shift, _, middle), (radius, _, half_length) = state.endo
    points = (points[0] - shift, points[1], points[2])
    pieces = []
    for usual_deg, size in ((25.0, 1.0), (245.0, 1.0), (70.0, 0.5), (200.0, 0.45), (310.0, 0.45)):
        angle_deg = usual_deg + state.papillary_turn_deg
        direction = (float(np.cos(np.radians(angle_deg))), float(np.sin(np.radians(angle_deg))))
        start = (0.60 * radius * direction[0], 0.60 * radius * direction[1], middle + 0.16 * half_length)
        stop = (0.66 * radius * direction[0], 0.66 * radius * direction[1], middle + 0.62 * half_length)
        if size < 1:
            start = (0.88 * radius * direction[0], 0.88 * radius * direction[1], middle + 0.30 * half_length)
        thick = size * state.papillary_scale * (3.6 + 1.2 * state.contraction)
        pieces.append(tube(points, start, stop, 0.8 * thick, 1.25 * thick))
    return union(*pieces)


def moderator_band(points: Coordinates, state: HeartState) -> Field:
    """A muscle bundle across the right ventricle near its apex."""
    (x, _, _), (width, _, _) = state.rv
    return tube(turned(points, state.right_turn_deg), (x + 0.45 * width, -6.0, 46.0), (x - 0.62 * width, 6.0, 40.0), 2.2, 2.8)


def pacing_lead(points: Coordinates, state: HeartState) -> Field:
    """The void around a pacing lead, from the right atrium to the right ventricle's apex."""
    (x, _, _), (width, _, length) = state.rv
    upper, valve, tip = (
        (*state.ra[0][:2], state.ra[0][2] - 25.0),
        (x - 0.3 * width, -6.0, state.tricuspid_mm),
        (x, -4.0, 0.72 * length),
    )
    return vessel(turned(points, state.right_turn_deg), [(upper, 3.0), (valve, 3.0), (tip, 4.5)])


@dataclass(frozen=True, slots=True, eq=False)
class HeartFields:
    """Distances from all parts of the heart at one filling, computed once for painting and labelling."""

    lv: Field
    epi: Field
    rv: Field
    la: Field
    ra: Field
    aorta: Field


def heart_fields(points: Coordinates, state: HeartState) -> HeartFields:
    """Compute the distances from all parts of the heart; ``points`` in heart coordinates."""
    return HeartFields(
        lv=lv_cavity(points, state),
        epi=lv_epicardium(points, state),
        rv=rv_cavity(points, state),
        la=left_atrium(points, state),
        ra=right_atrium(points, state),
        aorta=aortic_root(points, state),
    )


def sac(fields: HeartFields, fat_mm: float) -> Field:
    """The pericardial sac: the heart, its fat, and the filled grooves between its parts."""
    ventricles = blend(fields.epi - 2.5, fields.rv - (RV_WALL_MM + fat_mm), 10.0)
    atria = blend(fields.la - 3.5, fields.ra - 4.0, 10.0)
    return blend(blend(ventricles, atria, 26.0), fields.aorta - 4.0, 14.0)


def effusion(pericardium: Field, points: Coordinates, effusion_mm: float) -> Field:
    """Return the outer surface of the fluid around a heart whose sac without fluid is ``pericardium``."""
    return single(pericardium - effusion_mm * (1.0 - np.tanh(points[1] * (1.0 / 30.0)) / 3.0))


def heart_labels(points: Coordinates, state: HeartState) -> LabelArray:
    """Label points by structure.

    Parameters
    ----------
    points
        Heart coordinates, mm.
    state
        The heart at that filling.

    Returns
    -------
        Same shape: the values of :class:`Structure`.
    """
    fields = heart_fields(points, state)
    labels = np.zeros(fields.lv.shape, dtype=np.uint8)
    labels[fields.ra < 0] = Structure.RA
    labels[fields.rv < 0] = Structure.RV
    labels[fields.la < ATRIAL_WALL_MM] = Structure.BACKGROUND
    labels[fields.la < 0] = Structure.LA
    labels[fields.aorta < ATRIAL_WALL_MM] = Structure.BACKGROUND
    labels[fields.epi < 0] = Structure.MYO
    labels[fields.lv < 0] = Structure.LV
    return labels
