"""What people call the chambers of the heart and the muscle: names of segments, in English words."""

import re

from cmr_planes.views import Structure

_WHOLE = {
    "lv": "left ventricle",
    "rv": "right ventricle",
    "la": "left atrium",
    "ra": "right atrium",
    **dict.fromkeys(("lvm", "lvmyo"), "left ventricle muscle"),
    **dict.fromkeys(("lvbp", "lvc", "lvv", "lvendo"), "left ventricle pool"),
    **dict.fromkeys(("rvbp", "rvc", "rvv", "rvendo"), "right ventricle pool"),
    "ventricular": "ventricle",
    "atrial": "atrium",
    **dict.fromkeys(("myo", "myocard", "myocardium", "myocardial"), "muscle"),
    **dict.fromkeys(("blood", "bloodpool", "cavity", "lumen", "chamber", "endo", "endocardium"), "pool"),
    **dict.fromkeys(("of", "the", "heart", "cardiac", "structure", "segmentation", "mask", "label"), ""),
}
"""Short words, and other forms of a word; words that say nothing."""

_STRUCTURES = {
    **dict.fromkeys(
        ("muscle", "muscle wall", "left muscle", "left ventricle muscle", "left ventricle wall", "left ventricle muscle wall"),
        Structure.MYO,
    ),
    **{
        f"{words}{pool}": structure
        for words, structure in (
            ("left ventricle", Structure.LV),
            ("right ventricle", Structure.RV),
            ("left atrium", Structure.LA),
            ("right atrium", Structure.RA),
        )
        for pool in ("", " pool")
    },
}
_BY_WORDS = {frozenset(words.split()): structure for words, structure in _STRUCTURES.items()}


def structure_named(name: str) -> Structure | None:
    """Return the structure that a name stands for, whatever the order of its words; None if it has a word that is not known.

    Examples
    --------
    >>> structure_named("Myocardium of LV").title, structure_named("heart_ventricle_left").title, structure_named("LV apex")
    ('Myo', 'LV', None)
    """
    parted = re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", " ", name)
    words = re.findall(r"[^\W_]+", parted.lower().replace("blood pool", "bloodpool"))
    return _BY_WORDS.get(frozenset(" ".join(_WHOLE.get(word, word) for word in words).split()))
