"""NIfTI files as public sets have them, with headers that are right, lost or contradictory, of one small heart."""

from pathlib import Path

import nibabel
import numpy as np
from numpy.typing import NDArray

from cmr_planes.views import CardiacView
from tests.helpers.labels import ACDC, LV, MYO, RV, recode
from tests.helpers.records import APEX, make_plane

SHAPE = (56, 64, 7)
"""Sizes of i, j and k."""
PIXEL_MM, DISTANCE_MM = 1.37, 10.0
PIXDIM = (PIXEL_MM, PIXEL_MM, DISTANCE_MM)
PLACEHOLDER = np.diag([-1.0, -1.0, 1.0, 1.0])
"""ACDC's matrix."""
VALUES = np.array([120, 620, 200, 560])
"""Intensities of background, LV, Myo, RV."""

_PLANE = make_plane(CardiacView.SAX, spacing_mm=PIXEL_MM, matrix=(SHAPE[1], SHAPE[0]))


def true_affine() -> NDArray[np.float64]:
    """Where the heart lies, base first: (i, j, k, 1) to RAS in mm."""
    lps = np.eye(4)
    lps[:3, 0], lps[:3, 1] = _PLANE.row_cosine * PIXEL_MM, _PLANE.column_cosine * PIXEL_MM
    lps[:3, 2], lps[:3, 3] = APEX * DISTANCE_MM, _PLANE.position_mm
    return np.diag([-1.0, -1.0, 1.0, 1.0]) @ lps


def heart(scale: float = 1.0) -> NDArray[np.uint8]:
    """Labels, shape SHAPE, the base at k = 0, RV at smaller i: areas fall to the apex, and RV ends before LV."""
    i, j = np.meshgrid(np.arange(SHAPE[0]), np.arange(SHAPE[1]), indexing="ij")
    labels = np.zeros(SHAPE, dtype=np.uint8)
    for k in range(SHAPE[2]):
        size = 1 - 0.09 * k
        from_lv = np.hypot(i - 31, j - 33)
        if k < SHAPE[2] - 2:
            labels[..., k][np.hypot((i - 17) / 1.0, (j - 30) / 1.2) < 12 * size] = RV
        labels[..., k][from_lv < 14 * size] = MYO
        labels[..., k][from_lv < 9 * size * scale] = LV
    return labels


def image_of(labels: NDArray[np.uint8], seed: int = 0) -> NDArray[np.int16]:
    """An image of labels, with noise."""
    noise = np.random.default_rng(seed).normal(0, 25, labels.shape)
    return np.rint(VALUES[labels] + noise).clip(0).astype(np.int16)


def write(
    path: Path,
    values: NDArray[np.generic],
    *,
    sform: NDArray[np.float64] | None = None,
    qform: NDArray[np.float64] | None = None,
    pixdim: tuple[float, ...] | None = None,
    unit: str | None = None,
) -> Path:
    """Write values under a header of one's own; without ``pixdim`` it is that of the matrix."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = nibabel.Nifti1Image(np.asarray(values), None)
    image.header.set_sform(sform, code=0 if sform is None else 2)
    image.header.set_qform(qform, code=0 if qform is None else 1)
    matrix = sform if sform is not None else qform
    if pixdim is not None or matrix is not None:
        image.header["pixdim"][1:4] = np.linalg.norm(matrix[:3, :3], axis=0) if pixdim is None else pixdim
    if unit is not None:
        image.header.set_xyzt_units(unit)
    image.update_header = lambda: None  # nibabel would write the matrix over what was set
    nibabel.save(image, path)
    return path


def write_pair(
    folder: Path, stem: str, labels: NDArray[np.uint8], *, seed: int = 0, gt: dict[str, object] | None = None, **header: object
) -> None:
    """Write an image and, as ``_gt`` in ACDC's values, its labels; ``gt`` is the header of the labels where it differs."""
    write(folder / f"{stem}.nii.gz", image_of(labels, seed), **header)
    write(folder / f"{stem}_gt.nii.gz", recode(labels, ACDC), **(header if gt is None else gt))


def write_subject(folder: Path, key: str = "patient001", **header: object) -> Path:
    """Write ED and ES of a subject as ACDC does; returns the set's folder."""
    write_pair(folder / key, f"{key}_frame01", heart(), **header)
    write_pair(folder / key, f"{key}_frame12", heart(0.7), seed=1, **header)
    return folder
