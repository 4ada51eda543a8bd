"""The pixel sizes of a set of images."""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from cmr_planes.shards.catalogue import Catalogue
from cmr_planes.shards.columns import ImageIndex

LARGE_DIFFERENCE = 1.1
"""Pixel sizes whose ratio is larger show a heart at clearly different sizes."""


def spacings_of(catalogue: Catalogue, index: ImageIndex) -> NDArray[np.float64]:
    """Return the distances between rows and between columns of each view in an index, shape (views, 2), in mm."""
    found = [np.zeros((0, 2))]
    for view in np.unique(index.view).tolist():
        wanted = {*index.select(index.view == view).keys()}
        subjects, spacings_mm = catalogue.spacings_mm(view)
        found.append(spacings_mm[np.array([subject in wanted for subject in subjects], dtype=np.bool_)])
    return np.concatenate(found)


@dataclass(frozen=True, slots=True, kw_only=True)
class PixelSizes:
    """Pixel sizes of one or more views."""

    median_mm: tuple[float, float]
    """Medians of the distances between rows and between columns."""
    low_mm: float
    """The least distance."""
    high_mm: float
    """The largest distance."""

    @classmethod
    def of(cls, spacings_mm: NDArray[np.float64]) -> Self:
        """Summarise distances between rows and between columns, shape (views, 2), one view or more."""
        rows, columns = np.median(spacings_mm, axis=0).tolist()
        return cls(median_mm=(rows, columns), low_mm=float(spacings_mm.min()), high_mm=float(spacings_mm.max()))

    @property
    def square_mm(self) -> float:
        """The edge of a square pixel as large as the median one."""
        return float(np.sqrt(self.median_mm[0] * self.median_mm[1]))

    @property
    def varies(self) -> bool:
        """Whether the sizes vary by more than a tenth."""
        return self.high_mm > LARGE_DIFFERENCE * self.low_mm

    def is_far_from(self, pixel_mm: tuple[float, float]) -> bool:
        """Return whether a size differs from another by more than a tenth."""
        return max(self.high_mm, *pixel_mm) > LARGE_DIFFERENCE * min(self.low_mm, *pixel_mm)

    def to_json(self) -> dict[str, Any]:
        """Return what JSON can hold."""
        return {"median": list(self.median_mm), "low": self.low_mm, "high": self.high_mm}

    def __str__(self) -> str:
        low, high = f"{self.low_mm:.2f}", f"{self.high_mm:.2f}"
        return f"{low} mm" if low == high else f"{low} to {high} mm"


def pixel_text(pixel_mm: tuple[float, float]) -> str:
    """Return a pixel size in words."""
    rows, columns = (f"{edge:.2f}" for edge in pixel_mm)
    return f"{rows} mm" if rows == columns else f"{rows} × {columns} mm"
