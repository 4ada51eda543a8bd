"""One look at the images under labels: in cine, blood is brighter than muscle; labels that say otherwise may lie elsewhere."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from cmr_planes.geometry.arrays import LabelArray
from cmr_planes.views import Structure

LOW_CONTRAST = 0.75
"""A slice on which blood is brighter than muscle in a smaller share of the pairs of their pixels is suspicious. In the 200 labelled
volumes of ACDC the median slice has 0.80 to 0.99; with labels mirrored in the plane 72 % of the volumes have less than this, with
labels moved by eight pixels 92 %."""
MIN_PIXELS = 10
"""Smaller blood pools and muscles say nothing."""


def blood_contrast(image: NDArray[np.generic], labels: LabelArray) -> float | None:
    """Measure how clearly the left ventricle's blood is brighter than its muscle.

    Parameters
    ----------
    image
        Shape (rows, columns), any intensities that rise with the signal.
    labels
        The same shape, values of :class:`cmr_planes.views.Structure`.

    Returns
    -------
        The share of pairs of a blood pixel and a muscle pixel in which blood is brighter, ties counted half: 1 for a clear pool,
        0.5 where the two are alike. None where either has fewer than :data:`MIN_PIXELS` pixels.

    Examples
    --------
    >>> labels = np.repeat(np.array([[1, 2]], dtype=np.uint8), 10, axis=0)
    >>> blood_contrast(np.repeat(np.array([[900, 200]]), 10, axis=0), labels)
    1.0
    """
    blood, muscle = image[labels == Structure.LV], np.sort(image[labels == Structure.MYO])
    if min(blood.size, muscle.size) < MIN_PIXELS:
        return None
    darker_or_equal = np.searchsorted(muscle, blood, side="left") + np.searchsorted(muscle, blood, side="right")
    return float(darker_or_equal.mean() / (2 * muscle.size))


def contrast_sentence(slices: Iterable[tuple[NDArray[np.generic], LabelArray]], what: str) -> str | None:
    """Say that labels may not lie on their images, if on most slices blood is not clearly brighter than muscle.

    Parameters
    ----------
    slices
        Images and their labels, as for :func:`blood_contrast`; one time point or several.
    what
        What the slices are of, such as ``"SAX"``.

    Returns
    -------
        A sentence, or None where nothing speaks against the labels: blood is brighter, or no slice has both blood and muscle.
    """
    measured = [contrast for contrast in (blood_contrast(image, labels) for image, labels in slices) if contrast is not None]
    n_low = sum(contrast < LOW_CONTRAST for contrast in measured)
    if 2 * n_low <= len(measured):
        return None
    return (
        f"{what} labels may not lie on the image: on {n_low} of {len(measured)} labelled images the blood of LV is not clearly "
        "brighter than its muscle; look at them, for labels may be flipped, moved or another patient's"
    )
