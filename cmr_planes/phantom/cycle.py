"""The cardiac cycle: how full the left ventricle is, and when."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from cmr_planes.geometry.arrays import FloatArray


@dataclass(frozen=True, slots=True, kw_only=True)
class CardiacCycle:
    """One heart beat. Time is a fraction of the RR interval in [0, 1), 0 at the R wave."""

    interval_ms: float = 950.0
    """RR interval."""
    es_fraction: float = 0.37
    """When the ventricle is smallest."""
    kick: float = 0.22
    """Part of the stroke volume that the atria push in at the end of diastole."""

    def filling(self, fractions: ArrayLike) -> FloatArray:
        """How full the left ventricle is: 1 at end-diastole, 0 at end-systole.

        Parameters
        ----------
        fractions
            Times as fractions of the cycle, any shape; cyclic.

        Returns
        -------
            Same shape, 0 to 1: ejection, early filling, diastasis, atrial kick. Smooth and cyclic, with one maximum at 0 and
            one minimum at ``es_fraction``.
        """
        es = self.es_fraction
        diastole = 1 - es
        knots = [
            (0.0, 1.0),
            (0.12 * es, 0.965),
            (0.5 * es, 0.52),
            (0.85 * es, 0.09),
            (es, 0.0),
            (es + 0.13 * diastole, 0.10),
            (es + 0.32 * diastole, 0.58),
            (es + 0.48 * diastole, 0.93 - self.kick),
            (es + 0.74 * diastole, 1.0 - self.kick),
            (es + 0.93 * diastole, 0.965),
        ]
        times, values = np.array(knots).T
        return _cyclic_monotone(times, values, np.asarray(fractions, dtype=np.float64))

    def is_filling(self, fraction: float) -> bool:
        """Whether the mitral valve is open at a time of the cycle."""
        return self.es_fraction + 0.05 < fraction % 1.0 < 0.98

    def frame_fractions(self, n_frames: int) -> FloatArray:
        """Times of the frames of a cine, shape (n_frames,): evenly over the cycle; of two frames the second is end-systole.

        Examples
        --------
        >>> CardiacCycle().frame_fractions(4).tolist()
        [0.0, 0.25, 0.5, 0.75]
        >>> CardiacCycle().frame_fractions(2).tolist()
        [0.0, 0.37]
        """
        if n_frames == 2:
            return np.array([0.0, self.es_fraction])
        return np.arange(n_frames, dtype=np.float64) / n_frames


def _cyclic_monotone(times: FloatArray, values: FloatArray, at: FloatArray) -> FloatArray:
    """Interpolate knots, shape (n,) each, of a curve of period 1 by cubics that add no extremum (Fritsch and Butland, 1984)."""
    times = np.append(times, times[0] + 1.0)
    values = np.append(values, values[0])
    width, rise = np.diff(times), np.diff(values)
    slope = rise / width
    before, after = np.roll(slope, 1), slope
    shorter, longer = np.roll(width, 1), width
    same_sign = before * after > 0
    weights = (2 * longer + shorter) / np.where(same_sign, before, 1.0) + (longer + 2 * shorter) / np.where(same_sign, after, 1.0)
    tangent = np.where(same_sign, 3 * (shorter + longer) / weights, 0.0)
    tangent = np.append(tangent, tangent[0])
    wrapped = np.mod(at, 1.0)
    piece = np.clip(np.searchsorted(times, wrapped, side="right") - 1, 0, len(width) - 1)
    part = (wrapped - times[piece]) / width[piece]
    result: FloatArray = (
        values[piece]
        + rise[piece] * part**2 * (3 - 2 * part)
        + width[piece] * (tangent[piece] * part * (1 - part) ** 2 - tangent[piece + 1] * part**2 * (1 - part))
    )
    return result
