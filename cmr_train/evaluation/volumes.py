"""Volumes of the ventricles, ejection fraction and mass from label maps of a short-axis stack."""

from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum
from typing import Self

import numpy as np
from numpy.typing import NDArray

from cmr_planes.views import CardiacPhase, Structure

MYOCARDIAL_DENSITY_G_PER_ML = 1.05
"""Of the myocardium, as the guidelines of the field use it."""

MM3_PER_ML = 1000.0


class Doubt(StrEnum):
    """Why a measure does not exist, or should be examined before it is used. The values are stable."""

    LV_NOT_SEGMENTED = "lv_not_segmented"
    """The network does not find the left ventricle."""
    RV_NOT_SEGMENTED = "rv_not_segmented"
    """The network does not find the right ventricle."""
    MYO_NOT_SEGMENTED = "myo_not_segmented"
    """The network does not find the myocardium."""
    LV_MISSING_ED = "lv_missing_ed"
    """No left ventricle was found at end-diastole."""
    LV_MISSING_ES = "lv_missing_es"
    """No left ventricle was found at end-systole."""
    LV_LARGER_AT_ES = "lv_larger_at_es"
    """The left ventricle is as large at end-systole as at end-diastole, or larger."""
    RV_MISSING_ED = "rv_missing_ed"
    """No right ventricle was found at end-diastole."""
    RV_MISSING_ES = "rv_missing_es"
    """No right ventricle was found at end-systole."""
    RV_LARGER_AT_ES = "rv_larger_at_es"
    """The right ventricle is as large at end-systole as at end-diastole, or larger."""
    NO_MYOCARDIUM = "no_myocardium"
    """No myocardium was found at end-diastole."""
    NO_PHASES = "no_phases"
    """End-diastole and end-systole are not distinguished: no left ventricle in any phase, or a single phase without a name."""
    SINGLE_SLICE = "single_slice"
    """A single slice has no volume: nothing says how far it reaches."""
    LV_MISSING_MID = "lv_missing_mid"
    """The left ventricle is missing on a slice of the middle third of the stack, or between two on which it was found."""
    STACK_GAP = "stack_gap"
    """Two neighbouring slices are much farther apart than the others."""
    RUNS_DIFFER = "runs_differ"
    """The networks whose probabilities are averaged differ in a structure."""
    MUCH_REMOVED = "much_removed"
    """Much of a structure lay outside its largest connected part, and was removed."""


_NOT_SEGMENTED = {
    Structure.LV: Doubt.LV_NOT_SEGMENTED,
    Structure.MYO: Doubt.MYO_NOT_SEGMENTED,
    Structure.RV: Doubt.RV_NOT_SEGMENTED,
}
_MEASURED = tuple(_NOT_SEGMENTED)
_VENTRICLE_DOUBTS = {
    Structure.LV: (Doubt.LV_MISSING_ED, Doubt.LV_MISSING_ES, Doubt.LV_LARGER_AT_ES),
    Structure.RV: (Doubt.RV_MISSING_ED, Doubt.RV_MISSING_ES, Doubt.RV_LARGER_AT_ES),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Ventricle:
    """A ventricle's blood pool. NaN where a phase is missing, and throughout where the volumes cannot be true."""

    end_diastolic_ml: float
    end_systolic_ml: float

    @property
    def stroke_ml(self) -> float:
        """Stroke volume."""
        return self.end_diastolic_ml - self.end_systolic_ml

    @property
    def ejection_fraction_percent(self) -> float:
        """Stroke volume over end-diastolic volume."""
        return 100 * self.stroke_ml / self.end_diastolic_ml


@dataclass(frozen=True, slots=True, kw_only=True)
class VentricularFunction:
    """Volumes, ejection fractions and mass of the ventricles, from a short-axis stack."""

    lv: Ventricle
    rv: Ventricle
    lv_mass_g: float
    """Mass of the left ventricle's myocardium at end-diastole."""
    ed_phase: str
    """Name of the end-diastolic phase; empty if there is none."""
    es_phase: str
    """Name of the end-systolic phase; empty if there is none."""
    doubts: tuple[Doubt, ...]
    """Why measures do not exist, or should be examined."""

    @classmethod
    def measure(
        cls,
        labels: NDArray[np.uint8],
        phases: tuple[str, ...],
        voxels_ml: NDArray[np.float64],
        *,
        structures: Collection[Structure] = _MEASURED,
    ) -> Self:
        """Measure label maps.

        Parameters
        ----------
        labels
            Shape (phases, slices, rows, columns): classes of :class:`cmr_planes.views.Structure`.
        phases
            Name of each phase. Where none is ``ed``, the phase with the largest volume of the left ventricle is taken as
            end-diastole, and that with the smallest for end-systole.
        voxels_ml
            Shape (slices,): volume of a pixel of each slice, as :func:`voxel_volumes_ml` returns it.
        structures
            What the network finds.

        Returns
        -------
            The measures. A structure that the network does not find, or did not find here, has no volume, and a ventricle that is
            not smaller at end-systole than at end-diastole has none: such segmentations are wrong, and a number would hide it.
        """
        volumes = {structure: structure_volumes_ml(labels, structure, voxels_ml) for structure in _MEASURED}
        diastole, systole = _choose_phases(volumes[Structure.LV], phases)

        def volume(structure: Structure, phase: int | None) -> float:
            return np.nan if phase is None or structure not in structures else float(volumes[structure][phase])

        (lv, lv_doubts), (rv, rv_doubts) = (
            _measure_ventricle(volume(structure, diastole), volume(structure, systole), names)
            for structure, names in _VENTRICLE_DOUBTS.items()
        )
        myocardium_ml = volume(Structure.MYO, diastole)
        doubts = (*lv_doubts, *rv_doubts, *((Doubt.NO_MYOCARDIUM,) if myocardium_ml == 0 else ()))
        if diastole is None and systole is None:
            doubts = (Doubt.NO_PHASES,)
        if not np.isfinite(voxels_ml).all():
            doubts = (Doubt.SINGLE_SLICE,)
        doubts = (*(doubt for structure, doubt in _NOT_SEGMENTED.items() if structure not in structures), *doubts)
        return cls(
            lv=lv,
            rv=rv,
            lv_mass_g=MYOCARDIAL_DENSITY_G_PER_ML * myocardium_ml if myocardium_ml > 0 else np.nan,
            ed_phase="" if diastole is None else phases[diastole],
            es_phase="" if systole is None else phases[systole],
            doubts=doubts,
        )


def _measure_ventricle(ed_ml: float, es_ml: float, names: tuple[Doubt, Doubt, Doubt]) -> tuple[Ventricle, tuple[Doubt, ...]]:
    """Return a ventricle, and why volumes of it do not exist: it is missing at ED, missing at ES, not smaller at ES."""
    missing_at_ed, missing_at_es, is_larger = names
    if es_ml >= ed_ml > 0:
        return Ventricle(end_diastolic_ml=np.nan, end_systolic_ml=np.nan), (is_larger,)
    doubts = tuple(name for name, volume_ml in ((missing_at_ed, ed_ml), (missing_at_es, es_ml)) if volume_ml == 0)
    ventricle = Ventricle(end_diastolic_ml=ed_ml or np.nan, end_systolic_ml=es_ml or np.nan)
    return ventricle, doubts


def structure_volumes_ml(labels: NDArray[np.uint8], structure: Structure, voxels_ml: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the volume of a structure in every phase, shape (phases,); arguments as of :meth:`VentricularFunction.measure`."""
    n_pixels = np.count_nonzero(labels == structure, axis=(2, 3))
    volumes: NDArray[np.float64] = n_pixels @ voxels_ml
    return volumes


def voxel_volumes_ml(affines_lps_mm: NDArray[np.float64], spacing_mm: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the volume that a pixel of each slice stands for.

    Parameters
    ----------
    affines_lps_mm
        Shape (slices, 4, 4): (column, row, 0, 1) to LPS; the third column is the unit normal.
    spacing_mm
        Shape (slices, 2): distance between rows, distance between columns.

    Returns
    -------
        Shape (slices,), ml: pixel area times :func:`slice_distances_mm`.
    """
    return np.asarray(spacing_mm.prod(axis=1) * slice_distances_mm(affines_lps_mm) / MM3_PER_ML)


def slice_distances_mm(affines_lps_mm: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the extent along the normal that each slice stands for.

    Parameters
    ----------
    affines_lps_mm
        Shape (slices, 4, 4), as of :func:`voxel_volumes_ml`.

    Returns
    -------
        Shape (slices,), mm: half the distances to the neighbours on both sides, measured between the planes; a slice at an end has
        the same on its free side. So a gap between slices counts, and in a regular stack every slice has the distance of the
        planes, whatever the slice thickness in the header. NaN for a single slice: nothing says how far it reaches.
    """
    if len(affines_lps_mm) < 2:
        return np.full(len(affines_lps_mm), np.nan)
    gaps_mm = plane_distances_mm(affines_lps_mm)
    return np.asarray((np.append(gaps_mm[:1], gaps_mm) + np.append(gaps_mm, gaps_mm[-1:])) / 2)


def plane_distances_mm(affines_lps_mm: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the distance between the planes of neighbouring slices along the normal, mm, shape (slices - 1,)."""
    along_normal_mm: NDArray[np.float64] = affines_lps_mm[:, :3, 3] @ affines_lps_mm[0, :3, 2]
    return np.abs(np.diff(along_normal_mm))


def _choose_phases(lv_ml: NDArray[np.float64], phases: tuple[str, ...]) -> tuple[int | None, int | None]:
    """Return the indices of the end-diastolic and the end-systolic phase; None where there is none."""
    if CardiacPhase.ED in phases or CardiacPhase.ES in phases:
        indices = [phases.index(phase) if phase in phases else None for phase in (CardiacPhase.ED, CardiacPhase.ES)]
        return indices[0], indices[1]
    if len(phases) < 2 or not np.isfinite(lv_ml).all() or not lv_ml.any():
        return None, None
    return int(lv_ml.argmax()), int(lv_ml.argmin())
