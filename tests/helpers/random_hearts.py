"""Studies of random hearts, in memory: planes with known kinds, as headers, for measuring how views are chosen.

Each plane carries what it was made as, so that a choice is right or wrong by construction, whatever the code under test thinks.
Directions on the short-axis plane are angles from superior towards the patient's left, as in :mod:`cmr_planes.cine.long_axis`.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np

from cmr_planes.cine.acquisitions import CineSlice, CineStudy
from cmr_planes.cine.view_selection import ViewSelection
from cmr_planes.geometry import ImagePlane
from cmr_planes.geometry.arrays import FloatArray, unit
from cmr_planes.views import CardiacView
from tests.helpers.headers import as_study, cine_frames

TYPICAL_AXIS = (0.70, -0.56, -0.44)
ANGLES_DEG = {"2ch": 0.0, "4ch": 70.0, "3ch": 120.0}
PIXELS, SPACING_MM = 16, 20.0
N_FRAMES = 10
STEP_MM = 8.0
"""Distance of the slices of a stack that is not the short axis."""
POOL_RADIUS_MM = 22.0

SITES = (
    {
        "sax": "SAX",
        "2ch": "2CH",
        "3ch": "3CH",
        "4ch": "4CH",
        "rv2ch": "RV 2CH",
        "rvot": "RVOT",
        "lvot2": "LVOT",
        "av": "Aortic valve",
    },
    {
        "sax": "cine_sa",
        "2ch": "cine_vla",
        "3ch": "cine_lvot",
        "4ch": "cine_hla",
        "rv2ch": "cine_rv_vla",
        "rvot": "cine_rvot",
        "lvot2": "cine_lvot_cor",
        "av": "cine_ao_valve",
    },
    {
        "sax": "trufi short-axis",
        "2ch": "trufi 2-chamber",
        "3ch": "trufi 3-chamber",
        "4ch": "trufi 4-chamber",
        "rv2ch": "trufi RV 2-ch",
        "rvot": "trufi RVOT",
        "lvot2": "trufi lvot",
        "av": "trufi av",
    },
)
"""What three sites call their series."""
OTHER_NAMES = {
    "axial": "cine axial",
    "coronal": "cine coronal",
    "sagittal": "cine sagittal",
    "radial": "cine radial",
    "atria": "SA cine",
}
MISLEADING = {
    "rv2ch": "2ch",
    "rvot": "2ch",
    "lvot2": "3ch",
    "av": "sax",
    "axial": "4ch",
    "coronal": "2ch",
    "sagittal": "2ch",
    "radial": "4ch",
    "atria": "sax",
}
"""The view after which a plane is named that is none."""


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

    def long_axis(
        self, kind: str, *, series: str = "", angle_deg: float | None = None, off_mm: float = 0.0, named: str = ""
    ) -> MadePlane:
        """Make a plane through the axis, with a planner's errors."""
        angle_deg = ANGLES_DEG[kind] if angle_deg is None else angle_deg
        line = self.direction(angle_deg + self.rng.normal(0, 6))
        normal = turned(np.cross(self.axis, line), line, self.rng.normal(0, 4))
        point = self.centre_mm + (self.rng.normal(0, 3.5) + off_mm) * normal
        return MadePlane(plane=self.image(normal, point), kind=kind, series=series or kind, angle_deg=angle_deg, named=named)

    def shifted(self, made: MadePlane, off_mm: float, *, kind: str, series: str, turn_deg: float = 0.0) -> MadePlane:
        """Make a plane beside another one; ``off_mm`` counts towards the patient's left."""
        normal = made.plane.normal * np.sign(made.plane.normal[0])
        foot = self.centre_mm - made.plane.signed_distance_mm(self.centre_mm) * made.plane.normal
        plane = self.image(turned(normal, self.axis, turn_deg), foot + off_mm * normal)
        return MadePlane(plane=plane, kind=kind, series=series)

    def short_axis(self, n_levels: int | None = None, *, series: str = "sax", turn_deg: float = 0.0) -> list[MadePlane]:
        """Make a stack of levels 10 mm apart, basal ones first."""
        n_levels = int(self.rng.integers(8, 13)) if n_levels is None else n_levels
        across = self.direction(self.rng.uniform(0, 360))
        normal = turned(self.axis, across, self.rng.normal(0, self.sax_tilt_sd_deg) + turn_deg)
        first = self.image(normal, self.centre_mm)
        offsets_mm = 10.0 * (np.arange(n_levels) - (n_levels - 1) / 2)
        return [
            MadePlane(plane=replace(first, position_mm=first.position_mm + off_mm * normal), kind="sax", series=series)
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
        row = unit(np.cross(normal, turned(np.array([0.31, 0.42, 0.85]), normal, 0.0)))
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


def right_2ch(heart: RandomHeart, planes: Planes, series: str = "rv2ch") -> MadePlane:
    """Make the right ventricle's two-chamber view, beside the left one's."""
    (left,) = [made for made in planes if made.kind == "2ch"]
    return heart.shifted(left, -heart.rng.uniform(38, 58), kind="rv2ch", series=series, turn_deg=heart.rng.normal(8, 5))


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


def mirrored(planes: Planes, axis: int = 0) -> Planes:
    """Mirror a patient."""
    flip = np.ones(3)
    flip[axis] = -1
    return [
        replace(
            made,
            plane=replace(
                made.plane,
                position_mm=made.plane.position_mm * flip,
                row_cosine=made.plane.row_cosine * flip,
                column_cosine=made.plane.column_cosine * flip,
            ),
        )
        for made in planes
    ]


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A kind of study."""

    title: str
    make: Callable[[RandomHeart], Planes]
    heart: Callable[[np.random.Generator], RandomHeart] = random_heart
    refused: bool = False
    """Whether nothing but a refusal is right."""
    misleading: bool = False
    """Whether names that mislead are tried too."""
    seen: bool = False
    """Whether it makes a difference that images can be looked at."""
    keeps_all_levels: bool = True


def _beside(*others: str, leave_out: Sequence[str] = ()) -> Callable[[RandomHeart], Planes]:
    """Return a maker of the standard views without some, with other planes beside them."""

    def make(heart: RandomHeart) -> Planes:
        planes = standard(heart, leave_out=leave_out)
        for other in others:
            if other == "rv2ch":
                planes.append(right_2ch(heart, planes))
            elif other in PATIENT_AXES:
                planes += patient_stack(heart, other)
            elif other == "localisers":
                planes += [made for axis in PATIENT_AXES for made in patient_stack(heart, axis, int(heart.rng.integers(1, 4)))]
            elif other == "radial":
                planes += radial(heart, 6)
            elif other == "4ch stack":
                planes += four_chamber_stack(heart)
            elif other == "atria":
                planes += atria(heart, planes)
            else:
                planes.append(other_plane(heart, other))
        return planes

    return make


def _only_right(*, leave_out: Sequence[str]) -> Callable[[RandomHeart], Planes]:
    """Return a maker of studies in which the right ventricle's two-chamber view stands alone."""
    make = _beside("rv2ch", leave_out=leave_out)
    return lambda heart: [made for made in make(heart) if made.kind != "2ch"]


def _one_series(heart: RandomHeart) -> Planes:
    planes = standard(heart, leave_out=["3ch"])
    (left,) = [made for made in planes if made.kind == "2ch"]
    right = heart.shifted(left, -48, kind="rv2ch", series="2ch")
    return [*planes, replace(right, named="2ch")]


def _stacks(heart: RandomHeart) -> Planes:
    tract = outflow(heart)
    lvot = other_plane(heart, "lvot2").plane.normal
    n_av, n_lvot = int(heart.rng.integers(5, 13)), int(heart.rng.integers(3, 8))
    up = np.array([0.0, 0.0, 1.0])
    return [
        *standard(heart),
        *heart.stack("av", tract, heart.centre_mm + 55 * tract, n_av),
        *heart.stack("lvot2", lvot, heart.centre_mm + 45 * up, n_lvot),
    ]


def _rvot_stack(heart: RandomHeart) -> Planes:
    point_mm = heart.centre_mm + np.array([-25.0, 0.0, 30.0])
    return [*standard(heart), *heart.stack("rvot", np.array([0.9, 0.35, 0.0]), point_mm, int(heart.rng.integers(8, 15)))]


def _turned_half(heart: RandomHeart) -> Planes:
    planes = standard(heart, n_levels=10)
    levels = [made for made in planes if made.kind == "sax"]
    about = heart.direction(heart.rng.uniform(0, 360))
    turned_levels = [
        replace(made, plane=_turned_plane(made.plane, about, 6.0), series="sax") if index >= 5 else made
        for index, made in enumerate(levels)
    ]
    return turned_levels + [made for made in planes if made.kind != "sax"]


def _turned_plane(plane: ImagePlane, about: FloatArray, angle_deg: float) -> ImagePlane:
    middle = plane.centre_mm
    return replace(
        plane,
        position_mm=middle + turned(plane.position_mm - middle, about, angle_deg),
        row_cosine=turned(plane.row_cosine, about, angle_deg),
        column_cosine=turned(plane.column_cosine, about, angle_deg),
    )


def _planned_anew(heart: RandomHeart) -> Planes:
    planes = standard(heart)
    old = [made for made in planes if made.kind == "sax"]
    about = heart.direction(heart.rng.uniform(0, 360))
    later = [replace(made, plane=_turned_plane(made.plane, about, 4.0), series="sax later") for made in old]
    return [*later, *(replace(made, kind="old sax", named="sax") if made.kind == "sax" else made for made in planes)]


def _rolled(rng: np.random.Generator) -> RandomHeart:
    return random_heart(rng, roll_deg=rng.uniform(20, 30) * rng.choice([-1, 1]))


def _on_the_heart(rng: np.random.Generator) -> RandomHeart:
    """Draw a heart whose fields of view are on the middle of both ventricles."""
    heart = random_heart(rng)
    return replace(heart, field_shift_mm=-24 * heart.direction(90))


_wide = partial(random_heart, field_sd_mm=40.0)
_NO_3CH = ("3ch",)

KINDS = (
    Kind(title="standard protocol", make=standard),
    Kind(title="no 3Ch (DSB2016)", make=partial(standard, leave_out=_NO_3CH), seen=True),
    Kind(title="no 3Ch, field of view ± 40 mm", make=partial(standard, leave_out=_NO_3CH), heart=_wide, seen=True),
    Kind(title="no 3Ch, LV's and RV's 2Ch", make=_beside("rv2ch", leave_out=_NO_3CH), misleading=True),
    Kind(
        title="no 3Ch, both 2Ch, field of view on the middle of the heart",
        make=_beside("rv2ch", leave_out=_NO_3CH),
        heart=_on_the_heart,
        misleading=True,
    ),
    Kind(title="no 3Ch, RV's 2Ch only", make=_only_right(leave_out=_NO_3CH), refused=True, misleading=True, seen=True),
    Kind(title="3Ch, RV's 2Ch only", make=_only_right(leave_out=()), refused=True, misleading=True, seen=True),
    Kind(title="3Ch, LV's and RV's 2Ch", make=_beside("rv2ch"), misleading=True),
    Kind(title="RV 2Ch, RVOT, LVOT 2, AV plane besides", make=_beside("rv2ch", "rvot", "lvot2", "av"), misleading=True),
    Kind(title="no 3Ch, RVOT, LVOT 2 besides", make=_beside("rvot", "lvot2", leave_out=_NO_3CH), misleading=True, seen=True),
    Kind(title="axial stack besides", make=_beside("axial"), misleading=True),
    Kind(title="coronal stack besides", make=_beside("coronal"), misleading=True),
    Kind(title="sagittal stack besides", make=_beside("sagittal"), misleading=True),
    Kind(title="1 to 3 localiser cines each way", make=_beside("localisers")),
    Kind(title="1 to 3 localiser cines each way, no 3Ch", make=_beside("localisers", leave_out=_NO_3CH), seen=True),
    Kind(title="12 radial planes and SAX", make=lambda heart: [*heart.short_axis(), *radial(heart, 12)]),
    Kind(title="6 radial planes and SAX", make=lambda heart: [*heart.short_axis(), *radial(heart, 6)]),
    Kind(title="6 radial planes and the standard views", make=_beside("radial"), misleading=True),
    Kind(title="4Ch repeated 10 to 20° off", make=lambda heart: standard(heart) + repeats(heart, "4ch")),
    Kind(title="2Ch repeated 10 to 20° off", make=lambda heart: standard(heart) + repeats(heart, "2ch")),
    Kind(title="3Ch repeated 10 to 20° off", make=lambda heart: standard(heart) + repeats(heart, "3ch")),
    Kind(
        title="2Ch and 4Ch repeated so, no 3Ch",
        make=lambda heart: standard(heart, leave_out=_NO_3CH) + repeats(heart, "2ch", "4ch"),
        seen=True,
    ),
    Kind(title="4Ch as a stack of 3 to 7 slices, 8 mm", make=_beside("4ch stack", leave_out=["4ch"]), seen=True),
    Kind(title="4Ch as such a stack, no 3Ch", make=_beside("4ch stack", leave_out=["3ch", "4ch"]), seen=True),
    Kind(title="dextrocardia (x mirrored)", make=lambda heart: mirrored(standard(heart)), refused=True),
    Kind(title="dextrocardia, no 3Ch", make=lambda heart: mirrored(standard(heart, leave_out=_NO_3CH)), refused=True),
    Kind(title="vertical heart", make=standard, heart=partial(random_heart, axis=(0.35, -0.42, -0.84), spread_deg=6.0)),
    Kind(title="horizontal heart", make=standard, heart=partial(random_heart, axis=(0.83, -0.53, -0.10), spread_deg=6.0)),
    Kind(title="heart rolled by 20 to 30°", make=standard, heart=_rolled),
    Kind(title="heart so rolled, no 3Ch", make=partial(standard, leave_out=_NO_3CH), heart=_rolled, seen=True),
    Kind(title="AV stack of 5 to 12, LVOT stack of 3 to 7", make=_stacks, misleading=True),
    Kind(
        title="heart 60 mm to the right",
        make=standard,
        heart=partial(random_heart, moved_mm=np.array([-60.0, 0, 0])),
    ),
    Kind(title="SAX tilted by 12°", make=standard, heart=partial(random_heart, sax_tilt_sd_deg=12.0)),
    Kind(title="LV's and RV's 2Ch as two slices of one series, no 3Ch", make=_one_series),
    Kind(title="RVOT stack of 8 to 14", make=_rvot_stack, misleading=True),
    Kind(title="one SAX level", make=partial(standard, n_levels=1)),
    Kind(
        title="3 SAX levels, 12 axial planes",
        make=lambda heart: standard(heart, n_levels=3) + patient_stack(heart, "axial", 12),
        misleading=True,
    ),
    Kind(title="3Ch and 4Ch with each other's names", make=lambda heart: renamed(standard(heart), {"3ch": "4ch", "4ch": "3ch"})),
    Kind(
        title="RV 2Ch named 2CH, LV's 2Ch without a name",
        make=lambda heart: renamed(_beside("rv2ch")(heart), {"rv2ch": "2ch", "2ch": "none"}),
    ),
    Kind(
        title="no 4Ch; 3Ch named 4CH",
        make=lambda heart: renamed(standard(heart, leave_out=["4ch"]), {"3ch": "4ch"}),
        refused=True,
        seen=True,
    ),
    Kind(title="six atrial levels above the SAX, own series", make=_beside("atria"), misleading=True),
    Kind(title="angle changed by 6° in mid-stack", make=_turned_half),
    Kind(title="whole stack planned anew, 4° off", make=_planned_anew),
)
"""Every kind of study that is tried."""


def named_planes(planes: Planes, names: str, site: int) -> list[tuple[MadePlane, str]]:
    """Give each plane its series description: ``named``, ``blank`` or ``misleading``."""
    words = {**SITES[site], **OTHER_NAMES, "none": "", "old sax": SITES[site]["sax"]}
    if names == "misleading":
        words |= {kind: words[view] for kind, view in MISLEADING.items()}
    return [(made, "" if names == "blank" else words[made.named or made.kind]) for made in planes]


def as_headers(planes: Planes, names: str, site: int) -> tuple[CineStudy, dict[int, MadePlane]]:
    """Return the cine slices of a study, and what each plane was made as by the identity of its plane."""
    numbers = {series: number for number, series in enumerate(sorted({made.series for made in planes}), start=1)}
    groups = [
        cine_frames(made.plane, n_frames=N_FRAMES, number=numbers[made.series], series_description=name)
        for made, name in named_planes(planes, names, site)
    ]
    return as_study(*groups), {id(made.plane): made for made in planes}


def judge(kind: Kind, selection: ViewSelection, made: dict[int, MadePlane], heart: RandomHeart) -> str:
    """Return ``right``, ``wrong`` or ``refused``."""
    chosen = {view: [made[id(cine.plane)] for cine in slices] for view, slices in selection.views.items()}
    complete = {CardiacView.SAX, CardiacView.TWO_CHAMBER, CardiacView.FOUR_CHAMBER} <= chosen.keys()
    if kind.refused:
        return "wrong" if complete else "refused"
    if CardiacView.SAX in chosen:
        levels = [one for one in made.values() if one.kind == "sax"]
        if {id(one) for one in levels} != {id(one) for one in chosen[CardiacView.SAX]}:
            return "wrong"
    for view in (CardiacView.TWO_CHAMBER, CardiacView.FOUR_CHAMBER):
        if view in chosen and not _is_view(chosen[view][0], view.value, made, heart):
            return "wrong"
    return "right" if complete else "refused"


def _is_view(chosen: MadePlane, view: str, made: dict[int, MadePlane], heart: RandomHeart) -> bool:
    """Tell whether a plane was made as a view; of a stack, whether it is the slice through the left ventricle."""
    if chosen.kind == "radial":
        return abs((chosen.angle_deg - ANGLES_DEG[view] + 90) % 180 - 90) <= 20
    if chosen.kind != view:
        return False
    stack = [one for one in made.values() if one.series == chosen.series and one.kind == view]
    off_mm = [abs(float(one.plane.signed_distance_mm(heart.centre_mm))) for one in stack]
    return abs(float(chosen.plane.signed_distance_mm(heart.centre_mm))) <= min(off_mm) + STEP_MM / 2


Choose = Callable[..., ViewSelection]


def tally(kind: Kind, names: str, n_hearts: int, choose: Choose, *, seen: bool = False) -> dict[str, int]:
    """Try a kind on random hearts; the seed is fixed by the kind and the number of the heart.

    Parameters
    ----------
    kind
        The kind of study.
    names
        ``named``, ``blank`` or ``misleading``.
    n_hearts
        How many hearts are drawn.
    choose
        The function under test: takes a study and, where ``seen``, what images show.
    seen
        Whether images can be looked at.

    Returns
    -------
        How many came out ``right``, ``wrong`` and ``refused``.
    """
    counts = {"right": 0, "wrong": 0, "refused": 0}
    for number in range(n_hearts):
        heart = kind.heart(np.random.default_rng([7, number]))
        study, made = as_headers(kind.make(heart), names, number % len(SITES))
        selection = choose(study, heart.ventricle_at) if seen else choose(study)
        counts[judge(kind, selection, made, heart)] += 1
    return counts
