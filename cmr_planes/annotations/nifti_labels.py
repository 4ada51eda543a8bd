"""NIfTI label maps: values by a stated convention, coordinates turned from RAS to LPS."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from cmr_planes.annotations.classes import PRESETS, ClassMap, check_anatomy
from cmr_planes.annotations.model import Annotation, LabelFormat, LabelVolume, TimePoint
from cmr_planes.annotations.structure_names import structure_named
from cmr_planes.errors import AnnotationError
from cmr_planes.geometry.arrays import IntArray
from cmr_planes.nifti.file_names import label_convention, parse_label_name
from cmr_planes.nifti.volumes import LPS_FROM_RAS, read_volume
from cmr_planes.system.names import stem_of
from cmr_planes.views import CardiacView, Structure

_MAX_CLASS = 10_000
"""Values from here on are no classes."""


def read_nifti_labels(path: Path, classes: ClassMap | None = None, stem: str | None = None) -> Annotation:
    """Read a label map of one time point, or of several (a fourth axis).

    Parameters
    ----------
    path
        The file.
    classes
        What its values mean.
    stem
        Its name without suffix, None to take it from ``path``: it gives the view and the phase (``ED``, ``ES``, ``frame01``) where
        it follows a public data set, and the convention where ``classes`` is None and no ``dataset.json`` (nnU-Net) states them.

    Returns
    -------
        One volume per time point; of several, those without any label are left out.

    Raises
    ------
    AnnotationError
        It cannot be read, its values are not whole numbers or not those of the convention, its convention is not known, or LV and
        RV are swapped.
    """
    stem = stem_of(path.name) if stem is None else stem
    convention = label_convention(stem)
    classes = classes or _dataset_classes(path) or (None if convention is None else PRESETS[convention])
    if classes is None:
        raise AnnotationError(
            "has a name from which its classes are not known, and sources differ (1 is RV in ACDC and LV in M&Ms); state the "
            "classes, for example acdc or 1=RV,2=Myo,3=LV"
        )
    values, grid = read_volume(path)
    view = parse_label_name(stem).view
    volumes = []
    n_time_points = values.shape[3]
    for index in range(n_time_points):
        labels = classes.apply(_whole_numbers(values[..., index]))
        if view in (None, CardiacView.SAX):
            check_anatomy(labels)
        if labels.any() or n_time_points == 1:
            volumes.append(
                LabelVolume(
                    labels=labels,
                    affine_lps_mm=LPS_FROM_RAS @ grid.affine_ras,
                    structures=frozenset(classes.structures.values()) - {Structure.BACKGROUND},
                    time_point=TimePoint(frame_number=index + 1) if n_time_points > 1 else TimePoint.from_name(stem),
                    view=view,
                )
            )
    return Annotation(source=LabelFormat.NIFTI, volumes=tuple(volumes))


def _dataset_classes(path: Path) -> ClassMap | None:
    """Return the classes that nnU-Net's ``dataset.json`` states above a folder of labels; None if it states none that are known."""
    try:
        text = (path.parent.parent / "dataset.json").read_text(encoding="utf-8")
        named = json.loads(text)["labels"]
        by_name = {name: value for name, value in named.items() if not name.isdecimal()}  # {"RV": 1}, or before 2023 {"1": "RV"}
        values = by_name or {name: int(value) for value, name in named.items()}
        structures = {value: _structure(name) for name, value in values.items() if value != 0}
    except (OSError, ValueError, TypeError, LookupError, AttributeError):
        return None
    known = {value: structure for value, structure in structures.items() if structure is not None}
    is_whole = len(known) == len(structures) > 0 and all(isinstance(value, int) and 0 < value < _MAX_CLASS for value in known)
    return ClassMap("dataset.json", known) if is_whole else None


def _structure(name: str) -> Structure | None:
    """Return the structure of a name in ``dataset.json``; MLV, the muscle of the left ventricle, is nnU-Net's own for ACDC."""
    return Structure.MYO if name.lower() == "mlv" else structure_named(name)


def _whole_numbers(values: np.ndarray[Any, Any]) -> IntArray:
    """Return label values as integers; raises AnnotationError for others."""
    if values.dtype.kind not in "uif":
        raise AnnotationError(f"holds values of type {values.dtype}, and whole numbers are expected")
    numbers = np.rint(values) if values.dtype.kind == "f" else values
    if not 0 <= values.min() <= values.max() < _MAX_CLASS or np.abs(numbers - values).max() > 1e-3:  # NaN is not above 0
        raise AnnotationError(
            "holds values that are no classes (fractions, negative or huge numbers, or NaN): is it an image, or interpolated?"
        )
    return numbers.astype(np.int64)
