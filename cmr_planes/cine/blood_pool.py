"""Whether a short-axis image shows the left ventricle at a point: a round pool of blood in a ring of muscle.

The right ventricle's pool is a crescent with a thin wall. Rays run from the point to where blood ends; the point moves to the
middle of their ends until it rests. How uneven the ends' distances are, and how many rays meet a thin wall, tells the ventricles
apart.
"""

import numpy as np

from cmr_planes.cine.sampling import sample, smooth
from cmr_planes.geometry import ImagePlane
from cmr_planes.geometry.arrays import FloatArray, median, percentiles

N_RAYS = 36
STEP_MM = 1.0
LENGTH_MM = 60.0
"""Length of a ray."""
MAX_RADIUS_MM = 50.0
"""Blood that reaches farther counts as reaching so far."""
REGION_MM = 45.0
"""Dark and bright intensities are taken within this of the point."""
BLOOD_RADIUS_MM = 5.0
"""Blood's intensity is the median within this of the middle of the pool."""
SMOOTHING_MM = 1.5
"""Standard deviation of the smoothing before rays are cast."""
CUTS = (0.4, 0.5, 0.6)
"""Blood ends where the intensity falls below this share of the way from dark to blood; each is tried."""
MAX_MOVES = 10
REST_MM = 0.2
"""The point rests once it moves by less."""

POOL_RADIUS_MM = (9.0, 42.0)
"""Radius of a left ventricle's pool near end-diastole, from a small one to a dilated one."""
MAX_OFFSET_MM = 20.0
"""A point farther from the middle of the pool is not at it."""
WALL_MM = 6
"""The left ventricle's wall is at least so thick on most sides, the right one's is not."""
MAX_DOUBT = 0.245
"""Largest sum of the unevenness of the ends' distances (standard deviation over mean) and the share of rays that meet a thin
wall.

On the middle three levels of 100 public examinations at end-diastole, with points scattered by 6 mm, 93 % of left ventricles
have a level below it, and 2 % of right ones.
"""


def left_ventricle_at(image: FloatArray, plane: ImagePlane, point_mm: FloatArray) -> FloatArray | None:
    """Find the left ventricle's blood pool at a point.

    Parameters
    ----------
    image
        Intensities of a short-axis image near end-diastole, shape (row, column); blood is brighter than muscle.
    plane
        Its plane.
    point_mm
        A point on it, shape (3,), LPS.

    Returns
    -------
        The middle of the pool, shape (3,), LPS, mm; None if the point does not lie in a round pool with muscle around it.
    """
    spacing_mm = np.array([plane.column_spacing_mm, plane.row_spacing_mm])
    start_px = plane.patient_to_pixel(point_mm)
    if not plane.contains(start_px):
        return None
    smoothed = smooth(image.astype(np.float64), SMOOTHING_MM / spacing_mm[::-1])
    angles = np.linspace(0, 2 * np.pi, N_RAYS, endpoint=False)
    rays = np.stack([np.cos(angles), np.sin(angles)], axis=1) / spacing_mm
    (dark,) = percentiles(_along(smoothed, start_px, rays, REGION_MM), (10,))
    pools = [_pool(smoothed, start_px, rays, dark, cut) for cut in CUTS]
    doubt, middles_px = 0.0, []
    for middle_px, radius_mm, unevenness in pools:
        offset_mm = float(np.linalg.norm((middle_px - start_px) * spacing_mm))
        if not POOL_RADIUS_MM[0] <= radius_mm <= POOL_RADIUS_MM[1] or offset_mm > min(radius_mm, MAX_OFFSET_MM):
            return None
        doubt += unevenness / len(CUTS)
        middles_px.append(middle_px)
    return plane.pixel_to_patient(np.mean(middles_px, axis=0)) if doubt <= MAX_DOUBT else None


def _pool(image: FloatArray, start_px: FloatArray, rays: FloatArray, dark: float, cut: float) -> tuple[FloatArray, float, float]:
    """Return the middle of the pool around a point, shape (2,), its mean radius in mm, and its unlikeness to a left ventricle's."""
    middle_px = start_px
    for _ in range(MAX_MOVES):
        values = _along(image, middle_px, rays, LENGTH_MM)
        blood = median(values[:, : int(BLOOD_RADIUS_MM / STEP_MM) + 1])
        is_blood = values >= dark + cut * max(blood - dark, 0.0)
        ends = np.where(is_blood.all(axis=1), is_blood.shape[1], is_blood.argmin(axis=1))
        ends_mm = np.minimum(ends * STEP_MM, MAX_RADIUS_MM)
        move_px = (ends_mm[:, None] * rays).mean(axis=0)
        middle_px = middle_px + move_px
        if np.linalg.norm(move_px / np.linalg.norm(rays, axis=1).max()) < REST_MM:
            break
    wall = np.arange(is_blood.shape[1]) - ends[:, None]
    is_thin = (is_blood & (wall >= 0) & (wall < WALL_MM)).any(axis=1)
    return middle_px, float(ends_mm.mean()), float(ends_mm.std() / max(ends_mm.mean(), 1.0) + is_thin.mean())


def _along(image: FloatArray, centre_px: FloatArray, rays: FloatArray, length_mm: float) -> FloatArray:
    """Sample an image along rays every ``STEP_MM``, shape (rays, distances)."""
    points = centre_px + np.arange(0, length_mm, STEP_MM)[None, :, None] * rays[:, None, :]
    return sample(image, (points[..., 1], points[..., 0]))
