"""Who is scanned: hearts, chests and heart beats that differ, with named pathologies."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np

from cmr_planes.geometry.arrays import FloatArray, unit
from cmr_planes.phantom.cycle import CardiacCycle
from cmr_planes.phantom.fields import Ripple
from cmr_planes.phantom.heart import HeartShape
from cmr_planes.phantom.torso import TorsoShape


class Pathology(StrEnum):
    """What a subject has."""

    NORMAL = "normal"
    DILATED = "dilated"
    """Dilated left ventricle with poor function."""
    HYPERTROPHIC = "hypertrophic"
    """Thick wall, small cavity, vigorous contraction."""
    RV_ENLARGED = "rv-enlarged"
    """Wide, weak right ventricle."""
    HIGH_BMI = "high-bmi"
    """Much subcutaneous and epicardial fat, a more horizontal heart."""


DEFAULT_FRACTIONS: Mapping[Pathology, float] = {
    Pathology.NORMAL: 0.6,
    Pathology.DILATED: 0.1,
    Pathology.HYPERTROPHIC: 0.1,
    Pathology.RV_ENLARGED: 0.1,
    Pathology.HIGH_BMI: 0.1,
}
"""Parts of a cohort."""

APEX_DIRECTION = unit(np.array([0.760, -0.558, -0.332]))
"""From base to apex in a real adult, LPS: left, anterior, inferior."""
ANTERIOR_DIRECTION = np.array([-0.027, -0.428, 0.903])
"""Normal of the same adult's 4Ch plane: where the left ventricle's anterior wall lies (made perpendicular before use)."""


MAX_APEX_HEIGHT = -0.27
"""Largest z component of the direction to the apex: in a flatter heart, superior and inferior could not be distinguished on 4Ch."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Subject:
    """One synthetic person."""

    pathology: Pathology = Pathology.NORMAL
    heart: HeartShape = field(default_factory=HeartShape)
    torso: TorsoShape = field(default_factory=TorsoShape)
    cycle: CardiacCycle = field(default_factory=CardiacCycle)
    origin_mm: FloatArray = field(default_factory=lambda: np.array([4.0, 3.0, 60.0]))
    """Middle of the mitral annulus at end-diastole, shape (3,), LPS."""
    patient_from_heart: FloatArray = field(default_factory=lambda: heart_axes(np.zeros(3)))
    """Rotation, shape (3, 3): its columns are the heart's axes in patient coordinates (LPS)."""
    ripples: tuple[Ripple, ...] = ()
    """What makes the heart irregular, in heart coordinates; its base stays flat and its volumes stay."""
    has_device: bool = False
    """Whether there is a pacemaker."""


def heart_axes(tilt_deg: FloatArray) -> FloatArray:
    """Return the heart's axes in the patient.

    Parameters
    ----------
    tilt_deg
        Rotations about the patient's x, y and z axis that turn a usual heart into this one, shape (3,), degrees.

    Returns
    -------
        Shape (3, 3): columns are the lateral, the anterior and the apical direction, LPS.
    """
    anterior = unit(ANTERIOR_DIRECTION - (ANTERIOR_DIRECTION @ APEX_DIRECTION) * APEX_DIRECTION)
    usual = np.stack([np.cross(anterior, APEX_DIRECTION), anterior, APEX_DIRECTION], axis=1)
    return rotation(tilt_deg) @ usual


def rotation(angles_deg: FloatArray) -> FloatArray:
    """Rotation about x, then y, then z by angles in degrees, shape (3,); shape (3, 3)."""
    (cx, cy, cz), (sx, sy, sz) = np.cos(np.radians(angles_deg)), np.sin(np.radians(angles_deg))
    about_x = np.array([[1, 0, 0], [0, cx, -sx], [0, sx, cx]])
    about_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    about_z = np.array([[cz, -sz, 0], [sz, cz, 0], [0, 0, 1]])
    result: FloatArray = about_z @ about_y @ about_x
    return result


def choose_pathology(index: int, seed: int, fractions: Mapping[Pathology, float] = DEFAULT_FRACTIONS) -> Pathology:
    """Choose a subject's pathology so that every run of subjects holds each nearly in its fraction.

    Parameters
    ----------
    index
        Number of the subject in the cohort, from 0; a subject's pathology does not depend on how many follow.
    seed
        Of the cohort.
    fractions
        Parts of the cohort; they are scaled to sum to 1.
    """
    golden = (5**0.5 - 1) / 2
    remainder = (np.random.default_rng(seed).random() + (index + 1) * golden) % 1.0 * sum(fractions.values())
    for pathology, fraction in fractions.items():
        remainder -= fraction
        if remainder < 0:
            return pathology
    return next(iter(fractions))


def sample_subject(rng: np.random.Generator, pathology: Pathology = Pathology.NORMAL) -> Subject:
    """Draw a person.

    Parameters
    ----------
    rng
        Source of all differences.
    pathology
        What the person has.
    """
    size = float(np.clip(rng.normal(1.0, 0.06), 0.86, 1.14))
    heart = _sample_heart(rng, pathology, size)
    big = pathology is Pathology.HIGH_BMI
    wide = 172.0 * (1.17 if big else 1.0) * float(rng.normal(1.0, 0.035))
    depth = 112.0 * (1.20 if big else 1.0) * float(np.clip(rng.normal(1.0, 0.03), 0.95, 1.1))
    horizontal = 9.0 if big else 0.0
    tilt_deg = rng.normal(0.0, 6.0, 3).clip(-12, 12) + np.array([0.0, -horizontal, 0.0])
    while heart_axes(tilt_deg)[2, 2] > MAX_APEX_HEIGHT:
        tilt_deg = 0.8 * tilt_deg
    origin_mm = np.array([4.0, 3.0, 60.0]) + rng.normal(0.0, [5.0, 4.0, 12.0])
    axes = heart_axes(tilt_deg)
    lowest_mm = float((origin_mm + axes @ np.array([0.0, -36.0, 46.0]))[2])
    torso = TorsoShape(
        half_width_mm=wide,
        half_depth_mm=depth,
        fat_mm=float(rng.uniform(30, 40) if big else rng.uniform(9, 20)),
        wall_mm=float(rng.uniform(14, 18)),
        rib_phase=float(rng.uniform(0, 2 * np.pi)),
        diaphragm_mm=lowest_mm - 4.0,
        vessel_origin_mm=(float(origin_mm[0]), float(origin_mm[1]), float(origin_mm[2])),
    )
    cycle = CardiacCycle(
        interval_ms=float(np.clip(rng.normal(950.0, 130.0), 620.0, 1300.0)),
        es_fraction=float(rng.uniform(0.345, 0.405)),
        kick=float(rng.uniform(0.16, 0.28)),
    )
    return Subject(pathology=pathology, heart=heart, torso=torso, cycle=cycle, origin_mm=origin_mm, patient_from_heart=axes)


def _sample_heart(rng: np.random.Generator, pathology: Pathology, size: float) -> HeartShape:
    edv_ml, ef, wall_mm, shortening_mm, rv_scale = 138.0 * size**3, rng.normal(0.60, 0.04), rng.normal(8.3, 0.8), 13.0, 1.0
    length_mm, rv_ejection, atrial_scale = 88.0 * size, 1.0, float(rng.normal(1.0, 0.05))
    fat_mm = float(rng.uniform(2.5, 5.0))
    if pathology is Pathology.DILATED:
        edv_ml, ef, length_mm, shortening_mm = edv_ml * rng.uniform(1.45, 1.8), rng.uniform(0.22, 0.40), length_mm * 1.07, 7.0
    elif pathology is Pathology.HYPERTROPHIC:
        edv_ml, ef, wall_mm = edv_ml * rng.uniform(0.78, 0.92), rng.uniform(0.64, 0.72), rng.uniform(13.5, 17.0)
    elif pathology is Pathology.RV_ENLARGED:
        rv_scale, rv_ejection = float(rng.uniform(1.28, 1.45)), 0.6
    elif pathology is Pathology.HIGH_BMI:
        fat_mm = float(rng.uniform(6.0, 9.0))
    return HeartShape(
        edv_ml=float(edv_ml),
        ef=float(np.clip(ef, 0.2, 0.75)),
        length_mm=length_mm,
        wall_mm=float(np.clip(wall_mm, 6.5, 18.0)),
        shortening_mm=shortening_mm,
        rv_scale=rv_scale,
        rv_ejection=rv_ejection,
        atrial_scale=float(np.clip(atrial_scale, 0.88, 1.15)),
        fat_mm=fat_mm,
    )
