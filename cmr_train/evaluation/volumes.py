"""Volumes of the ventricles, ejection fraction and mass from label maps of a short-axis stack."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from cmr_planes.views import CardiacPhase, Structure

MYOCARDIAL_DENSITY_G_PER_ML = 1.05
"""Of the myocardium, as the guidelines of the field use it."""

MM3_PER_ML = 1000.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Ventricle:
    """A ventricle's blood pool. NaN where a phase is missing."""

    end_diastolic_ml: float
    end_systolic_ml: float

    @property
    def stroke_ml(self) -> float:
        """Stroke volume."""
        return self.end_diastolic_ml - self.end_systolic_ml

    @property
    def ejection_fraction_percent(self) -> float:
        """Stroke volume over end-diastolic volume; NaN where there is no blood pool at end-diastole."""
        return 100 * self.stroke_ml / self.end_diastolic_ml if self.end_diastolic_ml > 0 else np.nan


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

    @classmethod
    def measure(cls, labels: NDArray[np.uint8], phases: tuple[str, ...], voxels_ml: NDArray[np.float64]) -> Self:
        """Measure label maps.

        Parameters
        ----------
        labels
            Shape (phases, slices, rows, columns): classes of :class:`cmr_planes.views.Structure`.
        phases
            Name of each phase. Where none is ``ed``, the phase with the largest volume of the left ventricle is taken for
            end-diastole, and that with the smallest for end-systole.
        voxels_ml
            Shape (slices,): volume of a pixel of each slice, as :func:`voxel_volumes_ml` returns it.
        """
        volumes = {
            structure: structure_volumes_ml(labels, structure, voxels_ml)
            for structure in (Structure.LV, Structure.MYO, Structure.RV)
        }
        diastole, systole = _choose_phases(volumes[Structure.LV], phases)

        def volume(structure: Structure, phase: int | None) -> float:
            return np.nan if phase is None else float(volumes[structure][phase])

        lv, rv = (
            Ventricle(end_diastolic_ml=volume(structure, diastole), end_systolic_ml=volume(structure, systole))
            for structure in (Structure.LV, Structure.RV)
        )
        return cls(
            lv=lv,
            rv=rv,
            lv_mass_g=MYOCARDIAL_DENSITY_G_PER_ML * volume(Structure.MYO, diastole),
            ed_phase="" if diastole is None else phases[diastole],
            es_phase="" if systole is None else phases[systole],
        )


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
    along_normal_mm = affines_lps_mm[:, :3, 3] @ affines_lps_mm[0, :3, 2]
    gaps_mm = np.abs(np.diff(along_normal_mm))
    return np.asarray((np.append(gaps_mm[:1], gaps_mm) + np.append(gaps_mm, gaps_mm[-1:])) / 2)


def _choose_phases(lv_ml: NDArray[np.float64], phases: tuple[str, ...]) -> tuple[int | None, int | None]:
    """Return the indices of the end-diastolic and the end-systolic phase; None where there is none."""
    if CardiacPhase.ED in phases or CardiacPhase.ES in phases:
        indices = [phases.index(phase) if phase in phases else None for phase in (CardiacPhase.ED, CardiacPhase.ES)]
        return indices[0], indices[1]
    if len(phases) < 2 or not np.isfinite(lv_ml).all():
        return None, None
    return int(lv_ml.argmax()), int(lv_ml.argmin())
