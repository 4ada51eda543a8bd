"""What the values of a label map mean: every source has its own numbers."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from cmr_planes.errors import AnnotationError
from cmr_planes.geometry.arrays import IntArray, LabelArray
from cmr_planes.views import Structure

_LV, _MYO, _RV, _LA, _RA = Structure.LV, Structure.MYO, Structure.RV, Structure.LA, Structure.RA


@dataclass(frozen=True, slots=True)
class ClassMap:
    """The structures of a label map by value; 0 is background."""

    name: str
    """The preset's name, or the mapping as it was given."""
    structures: Mapping[int, Structure]
    """By value."""

    def apply(self, values: IntArray) -> LabelArray:
        """Turn a source's values, any shape, into :class:`cmr_planes.views.Structure`; raises AnnotationError for unknown ones."""
        unknown = sorted(set(np.unique(values).tolist()) - {0, *self.structures})
        if unknown:
            known = ", ".join(f"{value}={structure.title}" for value, structure in self.structures.items())
            raise AnnotationError(f"holds the value {unknown[0]}, and the classes {self.name!r} are {known}; state the classes")
        table = np.zeros(max(self.structures, default=0) + 1, dtype=np.uint8)
        for value, structure in self.structures.items():
            table[value] = structure
        mapped: LabelArray = table[values]
        return mapped

    def __reduce__(self) -> tuple[type["ClassMap"], tuple[str, dict[int, Structure]]]:
        return type(self), (self.name, dict(self.structures))


def _preset(name: str, *structures: tuple[int, Structure]) -> tuple[str, ClassMap]:
    return name, ClassMap(name, MappingProxyType(dict(structures)))


PRESETS: Mapping[str, ClassMap] = MappingProxyType(
    dict(
        (
            _preset("catalogue", *((int(structure), structure) for structure in Structure if structure)),
            _preset("acdc", (1, _RV), (2, _MYO), (3, _LV)),
            _preset("mnms", (1, _LV), (2, _MYO), (3, _RV)),
            _preset("ukbb-sax", (1, _LV), (2, _MYO), (3, _RV), (4, _RV)),
            _preset("ukbb-2ch", (1, _LA)),
            _preset("ukbb-4ch-atria", (1, _LA), (2, _RA)),
            _preset("ukbb-4ch", (1, _LV), (2, _MYO), (3, _RV), (4, _LA), (5, _RA)),
        )
    )
)
"""Conventions that have a name. ``ukbb-sax`` is also that of 4Dsegment, which calls RV 3 or 4, depending on its version."""

MOSTLY = 0.5
"""A structure lies inside another one that takes more than this share of what surrounds it. In ACDC, Myo takes 0.80 to 1.00 of what
surrounds LV on a slice, and at most 0.49 of what surrounds RV."""

_NAMES = {structure.title.lower(): structure for structure in Structure}


def parse_classes(text: str) -> ClassMap:
    """Read classes from a text: a preset's name, or ``1=RV,2=Myo,3=LV``.

    Raises
    ------
    ValueError
        It is neither.

    Examples
    --------
    >>> dict(parse_classes("1=RV, 2=Myo,3=LV").structures) == dict(parse_classes("acdc").structures)
    True
    """
    if text in PRESETS:
        return PRESETS[text]
    structures: dict[int, Structure] = {}
    for part in text.split(","):
        value, _, name = (piece.strip() for piece in part.partition("="))
        structure = _NAMES.get(name.lower())
        if not re.fullmatch(r"[0-9]{1,4}", value) or structure is None or int(value) in structures:
            raise ValueError(
                f"{part.strip()!r} is not a class: give {', '.join(PRESETS)}, or values with names such as 1=RV,2=Myo,3=LV "
                "(LV, Myo, RV, LA, RA, background)"
            )
        if int(value):
            structures[int(value)] = structure
    return ClassMap(text, MappingProxyType(structures))


def check_anatomy(labels: LabelArray) -> None:
    """Raise AnnotationError where another structure than the left ventricle lies in another than the muscle: classes are exchanged.

    Parameters
    ----------
    labels
        Shape (i, j, k), slices along the last axis.
    """
    ventricles = [structure for structure in (_LV, _MYO, _RV) if (labels == structure).any()]
    rims = {inner: _rim(labels, inner) for inner in ventricles}
    shares = {
        (inner, outer): float((rims[inner] == outer).mean())
        for inner in ventricles
        for outer in ventricles
        if inner is not outer and rims[inner].size
    }
    if not shares:
        return
    inner, outer = max(shares, key=lambda pair: shares[pair])
    if (inner, outer) != (_LV, _MYO) and shares[inner, outer] > MOSTLY:
        raise AnnotationError(
            f"has its class {inner.title} inside the class {outer.title}, where LV should lie inside Myo: its values are in "
            "another order (ACDC has 1=RV, 2=Myo, 3=LV, M&Ms 1=LV, 2=Myo, 3=RV); state the classes"
        )


def _rim(labels: LabelArray, structure: Structure) -> LabelArray:
    """Return the labels beside a structure in the slices, shape (n,)."""
    inside = labels == structure
    padded = np.pad(inside, ((1, 1), (1, 1), (0, 0)))
    around = padded[:-2, 1:-1] | padded[2:, 1:-1] | padded[1:-1, :-2] | padded[1:-1, 2:]
    rim: LabelArray = labels[around & ~inside]
    return rim
