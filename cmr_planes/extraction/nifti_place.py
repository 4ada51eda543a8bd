"""Where NIfTI images lie when their headers leave it open or are wrong: what label maps tell of base, apex and sides."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cmr_planes.annotations.model import Annotation, LabelVolume
from cmr_planes.annotations.placing import PARALLEL_COSINE
from cmr_planes.geometry import ImagePlane, order_from_base
from cmr_planes.geometry.arrays import FloatArray, unit
from cmr_planes.geometry.stack import TYPICAL_APEX_DIRECTION
from cmr_planes.nifti.grids import VolumeGrid, corner_distance_mm
from cmr_planes.views import CardiacView, Structure

MIN_TAPER = 0.03
"""Labels that lean less towards one end of their stack, as a share of half its length, do not tell the base. Of the 200 label maps
of ACDC, each leans towards the base, by 0.037 or more."""
MIN_SIDE = 0.2
"""A right ventricle whose direction from the left one has a smaller cosine with right and front does not tell the sides."""
HALF_TURN: FloatArray = np.diag([-1.0, -1.0, 1.0, 1.0])
"""Turns coordinates about z: takes x and y the other way round."""

_RIGHT_AND_FRONT: FloatArray = unit(np.array([-1.0, -1.0, 0.0]))
"""Where the right ventricle lies as seen from the left one, LPS, to within 90 degrees."""


@dataclass(frozen=True, slots=True, eq=False)
class HeartAxes:
    """How a heart lies, by its short-axis labels; LPS unit vectors in the coordinates that the files give."""

    to_apex: FloatArray | None = None
    """From base to apex; None if the labels do not tell."""
    to_rv: FloatArray | None = None
    """In the slices, from the left ventricle to the right one; None without either."""

    @property
    def is_apex_wrong(self) -> bool:
        """Whether the apex points to the right, back or up, as no heart's does."""
        return self.to_apex is not None and float(self.to_apex @ TYPICAL_APEX_DIRECTION) < 0

    @property
    def is_rv_wrong(self) -> bool:
        """Whether the right ventricle lies to the left of and behind the left one."""
        return self.to_rv is not None and float(self.to_rv @ _RIGHT_AND_FRONT) < -MIN_SIDE

    def turned(self) -> "HeartAxes":
        """Return the same heart where x and y are taken the other way round."""
        return HeartAxes(*(None if axis is None else HALF_TURN[:3, :3] @ axis for axis in (self.to_apex, self.to_rv)))

    @property
    def is_turned(self) -> bool:
        """Whether apex and right ventricle are both where no heart has them, and both right once x and y are turned round."""
        turned = self.turned()
        return self.is_apex_wrong and self.is_rv_wrong and not (turned.is_apex_wrong or turned.is_rv_wrong)


def heart_axes(annotations: Sequence[Annotation], planes: Sequence[ImagePlane]) -> HeartAxes:
    """Tell from label maps how the heart lies: areas fall from base to apex, and the right ventricle ends before the left.

    Parameters
    ----------
    annotations
        What the subject's label maps say.
    planes
        The short-axis slices.
    """
    normal = planes[0].normal
    tapers, sides = [], []
    for annotation in annotations:
        for volume in annotation.volumes:
            steps = volume.affine_lps_mm[:3, :3] / np.linalg.norm(volume.affine_lps_mm[:3, :3], axis=0)
            along = normal @ steps
            across = int(np.argmax(np.abs(along)))
            if volume.view not in (None, CardiacView.SAX) or abs(along[across]) < PARALLEL_COSINE:
                continue
            taper = _taper(volume, across)
            tapers += [] if taper is None else [taper * np.sign(along[across])]
            side = _side(volume, across)
            sides += [] if side is None else [side]
    taper = float(np.mean(tapers)) if tapers else 0.0
    return HeartAxes(
        to_apex=normal * np.sign(taper) if abs(taper) > MIN_TAPER else None,
        to_rv=unit(np.mean(sides, axis=0)) if sides and np.linalg.norm(np.mean(sides, axis=0)) > MIN_SIDE else None,
    )


def _taper(volume: LabelVolume, across: int) -> float | None:
    """Return how far labels lean towards the first of their slices, -1 to 1; None where they do not tell.

    Ventricles and muscle together lean towards the base, and so does the right ventricle alone; both must agree.
    """
    axes = tuple(axis for axis in range(3) if axis != across)
    is_rv = volume.labels == Structure.RV
    ventricles = np.count_nonzero(is_rv | (volume.labels == Structure.LV) | (volume.labels == Structure.MYO), axis=axes)
    labelled = np.flatnonzero(ventricles)
    if len(labelled) < 3:
        return None
    middle, half = (labelled[-1] + labelled[0]) / 2, (labelled[-1] - labelled[0]) / 2
    leans = [
        (middle - np.average(np.arange(len(areas)), weights=areas)) / half
        for areas in (ventricles, np.count_nonzero(is_rv, axis=axes))
        if areas.any()
    ]
    return float(leans[0]) if len({lean > 0 for lean in leans}) == 1 else None


def _side(volume: LabelVolume, across: int) -> FloatArray | None:
    """Return the direction from the left to the right ventricle within the slices, LPS; None without either."""
    centres = []
    for structure in (Structure.LV, Structure.RV):
        places = np.argwhere(volume.labels == structure)
        if not len(places):
            return None
        centres.append(places.mean(axis=0))
    apart = centres[1] - centres[0]
    apart[across] = 0
    direction = volume.affine_lps_mm[:3, :3] @ apart
    length = np.linalg.norm(direction)
    return np.asarray(direction / length) if length > 0 else None


def side_sentences(axes: HeartAxes, *, is_turned: bool) -> list[str]:
    """Say what of sides and apex was turned by the labels' word, or is where no heart has it.

    Parameters
    ----------
    axes
        How the heart lies in the coordinates that were taken.
    is_turned
        Whether x and y were taken the other way round because the labels tell so.
    """
    sentences = []
    if is_turned:
        sentences.append(
            "as the files stand, the right ventricle would lie left of and behind the left one, and the apex would point to the "
            "right: their coordinates were taken as LPS (DICOM's), written where NIfTI has RAS; state the coordinates if "
            "that is wrong"
        )
    wrong = ["the apex points to the right, back or up"] if axes.is_apex_wrong else []
    wrong += ["the right ventricle lies left of and behind the left one"] if axes.is_rv_wrong else []
    if wrong:
        sentences.append(
            f"by labels and matrix together {' and '.join(wrong)}: one of the two is wrong; look at the pictures, and trust no side"
        )
    return sentences


def order_slices(planes: Sequence[ImagePlane], axes: HeartAxes, *, has_directions: bool) -> tuple[list[int], str]:
    """Order the slices of a short-axis stack from base to apex.

    Parameters
    ----------
    planes
        The slices, in the file's order.
    axes
        What the labels tell.
    has_directions
        Whether the planes' directions are those of the file.

    Returns
    -------
        Indices into ``planes``, and how the order was found: a part of a sentence.
    """
    by_file = list(range(len(planes)))
    if axes.to_apex is not None and len(planes) > 1:
        is_forward = float((planes[-1].position_mm - planes[0].position_mm) @ axes.to_apex) > 0
        return (by_file if is_forward else by_file[::-1]), "in the order that the labels tell"
    if has_directions:
        return order_from_base(planes), "in the order that the matrix tells"
    return by_file, "in the file's order, its first slice taken as the base"


def settle_matrix(grid: VolumeGrid, shape: tuple[int, ...], label_grids: Sequence[VolumeGrid]) -> tuple[FloatArray, str]:
    """Choose one of two matrices that contradict each other: the one that the label maps have, else the sform.

    Parameters
    ----------
    grid
        Of the images; it has :attr:`VolumeGrid.other_affine_ras`.
    shape
        The sizes of i, j and k.
    label_grids
        Of the subject's label maps.

    Returns
    -------
        The matrix, shape (4, 4), RAS; and the reason, a part of a sentence.
    """
    choices = {"sform": grid.affine_ras, "qform": grid.other_affine_ras}
    tolerance_mm = float(grid.sizes_mm.min())
    for name, affine in choices.items():
        for label_grid in label_grids:
            if (
                affine is not None
                and label_grid.other_affine_ras is None
                and corner_distance_mm(affine, label_grid.affine_ras, shape) < tolerance_mm
            ):
                return affine, f"the {name} was followed, which the label maps have"
    return grid.affine_ras, "the sform was followed, as the standard has it"
