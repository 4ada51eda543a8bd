"""Random hearts, and planes around them of known kinds, for measuring how views are chosen.

Each plane carries what it was made as, so that a choice is right or wrong by construction, whatever the code under test thinks.
Directions on the short-axis plane are angles from superior towards the patient's left, as in :mod:`cmr_planes.cine.long_axis`.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from cmr_planes.cine.acquisitions import CineSlice
from cmr_planes.geometry import ImagePlane
from cmr_planes.geometry.arrays import FloatArray, unit
from tests.helpers.headers import moved

TYPICAL_AXIS = (0.70, -0.56, -0.44)
ANGLES_DEG = {"2ch": 0.0, "4ch": 70.0, "3ch": 120.0}
PIXELS, SPACING_MM = 16, 20.0
STEP_MM = 8.0
"""Distance of the slices of a stack that is not the short axis."""
POOL_RADIUS_MM = 22.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MadePlane:
    """A plane, and what it was made as."""

    plane: ImagePlane
    kind: str
    series: str
    """Planes of one text are one series; planes of a later text were acquired later."""
    angle_deg: float = float("nan")
    """Radial planes: the angle at which it was made, the roll apart."""
    named: str = ""
    """The kind after which it is named, if that is another than its own."""


@dataclass(frozen=True, slots=True, eq=False)
class RandomHeart:
    """Where a left ventricle lies, and planes made around it."""

    rng: np.random.Generator
    axis: FloatArray
    roll_deg: float
    centre_mm: FloatArray
    field_sd_mm: float = 20.0
    """Standard deviation of a field of view's middle from the left ventricle."""
    field_shift_mm: FloatArray = field(default_factory=lambda: np.zeros(3))
    """By how much all fields of view are off, in the patient."""
    sax_tilt_sd_deg: float = 4.0

    def direction(self, angle_deg: float) -> FloatArray:
        """Return a unit direction on the ideal short-axis plane."""
        superior = unit(np.array([0.0, 0.0, 1.0]) - self.axis[2] * self.axis)
        angle = np.radians(angle_deg + self.roll_deg)
        return np.asarray(np.cos(angle) * superior + np.sin(angle) * np.cross(superior, self.axis))

    def long_axis(self, kind: str, *, series: str = "", angle_deg: float | None = None) -> MadePlane:
        """Make a plane through the axis, with a planner's errors."""
        angle_deg = ANGLES_DEG[kind] if angle_deg is None else angle_deg
        line = self.direction(angle_deg + self.rng.normal(0, 6))
        normal = turned(np.cross(self.axis, line), line, self.rng.normal(0, 4))
        point = self.centre_mm + self.rng.normal(0, 3.5) * normal
        return MadePlane(plane=self.image(normal, point), kind=kind, series=series or kind, angle_deg=angle_deg)

    def shifted(self, made: MadePlane, off_mm: float, *, kind: str, series: str, turn_deg: float = 0.0) -> MadePlane:
        """Make a plane beside another one; ``off_mm`` counts towards the patient's left."""
        normal = made.plane.normal * np.sign(made.plane.normal[0])
        foot = self.centre_mm - made.plane.signed_distance_mm(self.centre_mm) * made.plane.normal
        plane = self.image(turned(normal, self.axis, turn_deg), foot + off_mm * normal)
        return MadePlane(plane=plane, kind=kind, series=series)

    def short_axis(self, n_levels: int | None = None) -> list[MadePlane]:
        """Make a stack of levels 10 mm apart, basal ones first."""
        n_levels = int(self.rng.integers(8, 13)) if n_levels is None else n_levels
        across = self.direction(self.rng.uniform(0, 360))
        normal = turned(self.axis, across, self.rng.normal(0, self.sax_tilt_sd_deg))
        first = self.image(normal, self.centre_mm)
        offsets_mm = 10.0 * (np.arange(n_levels) - (n_levels - 1) / 2)
        return [
            MadePlane(plane=replace(first, position_mm=first.position_mm + off_mm * normal), kind="sax", series="sax")
            for off_mm in offsets_mm
        ]

    def stack(self, kind: str, normal: FloatArray, point_mm: FloatArray, n_planes: int) -> list[MadePlane]:
        """Make parallel planes around a point."""
        normal = unit(normal)
        first = self.image(normal, point_mm)
        offsets_mm = STEP_MM * (np.arange(n_planes) - (n_planes - 1) / 2)
        return [
            MadePlane(plane=replace(first, position_mm=first.position_mm + off_mm * normal), kind=kind, series=kind)
            for off_mm in offsets_mm
        ]

    def image(self, normal: FloatArray, point_mm: FloatArray) -> ImagePlane:
        """Return an image on a plane, its middle somewhere around the heart."""
        normal = unit(normal)
        row = unit(np.cross(normal, [0.31, 0.42, 0.85]))
        column = np.cross(normal, row)
        off_mm = self.rng.normal(0, self.field_sd_mm, 2)
        shift_mm = self.field_shift_mm - (self.field_shift_mm @ normal) * normal
        middle = point_mm + off_mm[0] * row + off_mm[1] * column + shift_mm
        corner = middle - SPACING_MM * (PIXELS - 1) / 2 * (row + column)
        return ImagePlane.from_attributes(corner, [*row, *column], [SPACING_MM, SPACING_MM], rows=PIXELS, columns=PIXELS)

    def ventricle_at(self, level: CineSlice, point_mm: FloatArray) -> FloatArray | None:
        """Say what an image of a short-axis level shows at a point: the middle of the left ventricle's pool, if the point is in it."""
        on_axis = self.centre_mm + self.axis * float(
            -level.plane.signed_distance_mm(self.centre_mm) / (self.axis @ level.plane.normal)
        )
        return on_axis if np.linalg.norm(point_mm - on_axis) <= POOL_RADIUS_MM else None


def turned(vector: FloatArray, about: FloatArray, angle_deg: float) -> FloatArray:
    """Turn a vector about a unit vector."""
    angle = np.radians(angle_deg)
    parallel = (vector @ about) * about
    return np.asarray(parallel + np.cos(angle) * (vector - parallel) + np.sin(angle) * np.cross(about, vector))


def random_heart(
    rng: np.random.Generator, *, axis: Sequence[float] = TYPICAL_AXIS, spread_deg: float = 10.0, **kind: Any
) -> RandomHeart:
    """Draw a heart."""
    mean = unit(np.array(axis))
    across = unit(np.cross(mean, rng.normal(size=3)))
    roll = kind.pop("roll_deg", None)
    centre_mm = np.array([35.0, -25.0, 30.0]) + rng.normal(size=3) * [10, 10, 15] + kind.pop("moved_mm", np.zeros(3))
    heart_axis = turned(mean, across, abs(rng.normal(0, spread_deg)))
    return RandomHeart(rng, unit(heart_axis), rng.normal(0, 9) if roll is None else roll, centre_mm, **kind)


Planes = list[MadePlane]


def standard(heart: RandomHeart, *, leave_out: Iterable[str] = (), **sax: Any) -> Planes:
    """Make the short axis and the long-axis views."""
    return heart.short_axis(**sax) + [heart.long_axis(kind) for kind in ANGLES_DEG if kind not in leave_out]


def right_2ch(heart: RandomHeart, planes: Planes) -> MadePlane:
    """Make the right ventricle's two-chamber view, beside the left one's."""
    (left,) = [made for made in planes if made.kind == "2ch"]
    return heart.shifted(left, -heart.rng.uniform(38, 58), kind="rv2ch", series="rv2ch", turn_deg=heart.rng.normal(8, 5))


def outflow(heart: RandomHeart) -> FloatArray:
    """Return the direction of the left ventricle's outflow tract: to the head, right and slightly forward."""
    return unit(np.array([-0.35, -0.10, 0.93]) + heart.rng.normal(0, 0.08, 3))


def other_plane(heart: RandomHeart, kind: str) -> MadePlane:
    """Make an oblique plane that is none of the views."""
    tract = outflow(heart)
    up, right = np.array([0.0, 0.0, 1.0]), np.array([-1.0, 0.0, 0.0])
    normal, point_mm = {
        "rvot": (np.array([0.9, 0.35, 0.0]), heart.centre_mm + 30 * up + 25 * right),
        "lvot2": (np.cross(np.cross(heart.axis, heart.direction(120)), tract), heart.centre_mm + 45 * up),
        "av": (tract, heart.centre_mm + 55 * tract),
    }[kind]
    wobble = unit(np.cross(normal, heart.rng.normal(size=3)))
    return MadePlane(plane=heart.image(turned(unit(normal), wobble, heart.rng.normal(0, 4)), point_mm), kind=kind, series=kind)


PATIENT_AXES = {"axial": (0.0, 0.0, 1.0), "coronal": (0.0, 1.0, 0.0), "sagittal": (1.0, 0.0, 0.0)}


def patient_stack(heart: RandomHeart, kind: str, n_planes: int | None = None) -> Planes:
    """Make a stack across a patient axis."""
    n_planes = int(heart.rng.integers(10, 22)) if n_planes is None else n_planes
    return heart.stack(kind, np.array(PATIENT_AXES[kind]), heart.centre_mm + heart.rng.normal(0, 10, 3), n_planes)


def radial(heart: RandomHeart, n_planes: int) -> Planes:
    """Make planes all around the axis, in one series."""
    return [heart.long_axis("radial", series="radial", angle_deg=180.0 * index / n_planes) for index in range(n_planes)]


def repeats(heart: RandomHeart, *kinds: str) -> Planes:
    """Make second takes of views, 10 to 20 degrees off."""
    turns = heart.rng.uniform(10, 20, len(kinds)) * heart.rng.choice([-1, 1], len(kinds))
    return [
        heart.long_axis(kind, angle_deg=ANGLES_DEG[kind] + turn, series=f"{kind} again")
        for kind, turn in zip(kinds, turns, strict=True)
    ]


def four_chamber_stack(heart: RandomHeart) -> Planes:
    """Make 3 to 7 parallel four-chamber slices, one of them through the left ventricle."""
    first = heart.long_axis("4ch")
    n_planes = int(heart.rng.integers(3, 8))
    through = int(heart.rng.integers(0, n_planes))
    offsets_mm = STEP_MM * (np.arange(n_planes) - through)
    normal = first.plane.normal
    return [
        replace(first, plane=replace(first.plane, position_mm=first.plane.position_mm + off_mm * normal)) for off_mm in offsets_mm
    ]


def mirrored(planes: Planes) -> Planes:
    """Mirror a patient: left and right change places."""
    return [replace(made, plane=moved(made.plane, rotation=np.diag([-1.0, 1.0, 1.0]))) for made in planes]


def renamed(planes: Planes, names: dict[str, str]) -> Planes:
    """Name the planes of some kinds after others."""
    return [replace(made, named=names.get(made.kind, made.named)) for made in planes]


def atria(heart: RandomHeart, planes: Planes) -> Planes:
    """Make six levels above the short-axis stack, in a series of their own."""
    levels = [made for made in planes if made.kind == "sax"]
    step_mm = levels[1].plane.position_mm - levels[0].plane.position_mm
    first = levels[0].plane
    return [
        MadePlane(plane=replace(first, position_mm=first.position_mm - step * step_mm), kind="atria", series="atria")
        for step in range(1, 7)
    ]
