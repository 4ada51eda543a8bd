"""Names for the planes of random hearts, their headers, and how often the choice of views comes out right."""

from collections.abc import Callable

import numpy as np

from cmr_planes.cine.acquisitions import CineStudy
from cmr_planes.cine.view_selection import ViewSelection
from cmr_planes.views import CardiacView
from tests.helpers.headers import as_study, cine_frames
from tests.helpers.random_hearts import ANGLES_DEG, STEP_MM, MadePlane, Planes, RandomHeart
from tests.helpers.study_kinds import Kind

N_FRAMES = 10

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
        if set(levels) != set(chosen[CardiacView.SAX]):
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
        Whether images can be examined.

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
