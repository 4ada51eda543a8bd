"""Kinds of studies that archives have, of random hearts: which planes each has beside or instead of the standard views."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from tests.helpers.headers import turned
from tests.helpers.random_hearts import (
    PATIENT_AXES,
    Planes,
    RandomHeart,
    atria,
    four_chamber_stack,
    mirrored,
    other_plane,
    outflow,
    patient_stack,
    radial,
    random_heart,
    renamed,
    repeats,
    right_2ch,
    standard,
)


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
    """Whether it makes a difference that images can be examined."""


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
        replace(made, plane=turned(made.plane, about, 6.0)) if index >= 5 else made for index, made in enumerate(levels)
    ]
    return turned_levels + [made for made in planes if made.kind != "sax"]


def _planned_anew(heart: RandomHeart) -> Planes:
    planes = standard(heart)
    old = [made for made in planes if made.kind == "sax"]
    about = heart.direction(heart.rng.uniform(0, 360))
    later = [replace(made, plane=turned(made.plane, about, 4.0), series="sax later") for made in old]
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
    Kind(title="whole stack planned again, 4° off", make=_planned_anew),
)
"""Every kind of study that is tried."""
