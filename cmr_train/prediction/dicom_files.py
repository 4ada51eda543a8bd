"""A prediction as DICOM files: segmentations that refer to their source images, and a report of the volumes."""

import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cmr_planes.dicom_output.codes import Quantity
from cmr_planes.dicom_output.model import Network, SourceImages
from cmr_planes.dicom_output.report import VentricleMeasures, make_report
from cmr_planes.dicom_output.segmentation import make_segmentations
from cmr_planes.system.whole_file import write_whole
from cmr_planes.views import CardiacPhase, Structure
from cmr_train.errors import TrainError
from cmr_train.evaluation.volumes import Doubt, Ventricle, VentricularFunction

_BOTH, _LV, _RV = (Structure.LV, Structure.RV), (Structure.LV,), (Structure.RV,)

DOUBT_SENTENCES = {
    Doubt.LV_NOT_SEGMENTED: (_LV, "the network does not find the left ventricle"),
    Doubt.RV_NOT_SEGMENTED: (_RV, "the network does not find the right ventricle"),
    Doubt.MYO_NOT_SEGMENTED: (_LV, "the network does not find the myocardium"),
    Doubt.LV_MISSING_ED: (_LV, "no left ventricle was found at end-diastole"),
    Doubt.LV_MISSING_ES: (_LV, "no left ventricle was found at end-systole"),
    Doubt.LV_LARGER_AT_ES: (_LV, "the left ventricle is not smaller at end-systole than at end-diastole"),
    Doubt.RV_MISSING_ED: (_RV, "no right ventricle was found at end-diastole"),
    Doubt.RV_MISSING_ES: (_RV, "no right ventricle was found at end-systole"),
    Doubt.RV_LARGER_AT_ES: (_RV, "the right ventricle is not smaller at end-systole than at end-diastole"),
    Doubt.NO_MYOCARDIUM: (_LV, "no myocardium was found at end-diastole"),
    Doubt.NO_PHASES: (_BOTH, "end-diastole and end-systole are not distinguished"),
    Doubt.SINGLE_SLICE: (_BOTH, "a single slice has no volume"),
    Doubt.LV_MISSING_MID: (_LV, "the left ventricle is missing on a slice in the middle of the stack; look at the segmentation"),
    Doubt.STACK_GAP: (_BOTH, "two neighbouring slices are much farther apart than the others; volumes may be wrong"),
    Doubt.RUNS_DIFFER: (_BOTH, "the networks whose probabilities are averaged differ; look at the segmentation"),
    Doubt.MUCH_REMOVED: (_BOTH, "much of a structure lay outside its largest part and was removed; look at the segmentation"),
}
"""Whose measures a doubt is about, and what a report says of it."""


def check_highdicom() -> None:
    """Raise TrainError where the library that makes DICOM objects is not installed."""
    if importlib.util.find_spec("highdicom") is None:
        raise TrainError("DICOM files need the package highdicom; install it with: pip install 'cmr-planes[seg]'")


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class DicomResult:
    """What DICOM files of one subject are made of."""

    images: SourceImages
    """The source images."""
    labels: NDArray[np.uint8]
    """Shape (phases, slices, rows, columns)."""
    structures: tuple[Structure, ...]
    """What the network finds."""
    function: VentricularFunction | None
    """Volumes; None for no report."""
    network: Network
    """What made the labels."""


def write_dicom(folder: Path, stem: str, result: DicomResult, *, anonymous: bool) -> int:
    """Write the DICOM files of one subject.

    Parameters
    ----------
    folder
        Where to.
    stem
        How the names of the files begin.
    result
        What they are made of.
    anonymous
        Whether the files say nothing of patient, study and source.

    Returns
    -------
        Number of files.

    Raises
    ------
    ShardError
        A file cannot be written.
    """
    images, network = result.images, result.network
    objects = make_segmentations(images, result.labels, result.structures, network, anonymous=anonymous)
    if result.function is not None:
        objects.append(make_report(images, objects, measures_of(result.function), network, anonymous=anonymous))
    for one in objects:
        write_whole(folder / f"{stem}_{one.name}.dcm", one.encode())
    return len(objects)


def measures_of(function: VentricularFunction) -> tuple[VentricleMeasures, VentricleMeasures]:
    """Return what a report says of both ventricles."""
    lv = {**_volumes(function.lv), Quantity.MASS: function.lv_mass_g}
    return _measures(Structure.LV, lv, function), _measures(Structure.RV, _volumes(function.rv), function)


def _volumes(ventricle: Ventricle) -> dict[Quantity, float]:
    return {
        Quantity.END_DIASTOLIC_VOLUME: ventricle.end_diastolic_ml,
        Quantity.END_SYSTOLIC_VOLUME: ventricle.end_systolic_ml,
        Quantity.STROKE_VOLUME: ventricle.stroke_ml,
        Quantity.EJECTION_FRACTION: ventricle.ejection_fraction_percent,
    }


def _measures(structure: Structure, values: dict[Quantity, float], function: VentricularFunction) -> VentricleMeasures:
    missing = ", ".join(quantity.value for quantity, value in values.items() if np.isnan(value))
    sentences = [sentence for doubt in function.doubts for whose, sentence in [DOUBT_SENTENCES[doubt]] if structure in whose]
    remarks = (*([f"without {missing}"] if missing else []), *sentences, *_phase_sentences(function))
    return VentricleMeasures(structure, values, remarks)


def _phase_sentences(function: VentricularFunction) -> list[str]:
    """Say which phase is missing, or which of a cine were taken."""
    ed, es = function.ed_phase, function.es_phase
    if bool(ed) != bool(es):
        return [f"there is no image at {'end-systole' if ed else 'end-diastole'}"]
    return [f"end-diastole is phase {ed}, end-systole phase {es}"] if ed and {ed, es} != set(CardiacPhase) else []


def network_of(weights_sha256: Sequence[str], options: dict[str, object]) -> Network:
    """Return what made a prediction, as its files state it."""
    from importlib.metadata import version

    return Network(
        version=version("cmr-planes"),
        weights_sha256=tuple(weights_sha256),
        options={name: str(value) for name, value in options.items()},
    )
