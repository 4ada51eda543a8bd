"""Images of a subject on a plane: slice profile, texture, coil sensitivity, noise; and the true labels there."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cmr_planes.geometry import ImagePlane
from cmr_planes.geometry.arrays import FloatArray, LabelArray
from cmr_planes.phantom.fields import Field
from cmr_planes.phantom.heart import heart_labels, heart_state
from cmr_planes.phantom.painting import paint_still, paint_window, plan_scene, plane_points, to_heart
from cmr_planes.phantom.people import Subject

MAX_STORED = 4095
"""Largest value of 12 bits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scanner:
    """What turns tissues into an image."""

    noise: float = 9.0
    """Standard deviation of the noise in each of the two channels, in the units of :mod:`tissues`."""
    gain: float = 1.0
    """Stored value of one unit."""
    n_sheets: int = 3
    """Sheets across the slice thickness that are averaged."""
    bias: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """Relative change of the coils' sensitivity per 100 mm towards left, posterior and head."""


def render_cine(
    subject: Subject,
    plane: ImagePlane,
    fractions: Sequence[float],
    *,
    thickness_mm: float,
    scanner: Scanner,
    breath_mm: FloatArray,
    rng: np.random.Generator,
) -> NDArray[np.uint16]:
    """Image a subject on one plane over the cardiac cycle.

    Parameters
    ----------
    subject, plane
        Who and where.
    fractions
        Times of the frames as fractions of the cycle, length T.
    thickness_mm
        Slice thickness; partial volume through it is averaged.
    scanner
        Noise, gain and coils.
    breath_mm
        Shift of the organs in this breath-hold, shape (3,), LPS.
    rng
        Source of texture and noise.

    Returns
    -------
        Shape (T, rows, columns), 12-bit values.
    """
    offsets_mm = ((np.arange(scanner.n_sheets) + 0.5) / scanner.n_sheets - 0.5) * thickness_mm
    scene = plan_scene(subject, plane, offsets_mm, breath_mm)
    still = paint_still(scene)
    still += _lung_vessels(subject, plane, still, rng)
    texture = 1.0 + 0.05 * smooth_noise(rng, still.shape, 2.2) + 0.03 * smooth_noise(rng, still.shape, 7.0)
    frames = np.empty((len(fractions), plane.rows, plane.columns), dtype=np.float32)
    frames[:] = still
    if scene.points[0].size:
        fillings = subject.cycle.filling(fractions)
        plain = paint_still(scene)[scene.window]
        extra = still[scene.window] - plain
        for frame, fraction, filling in zip(frames, fractions, fillings, strict=True):
            beating = paint_window(scene, float(filling), mitral_is_open=subject.cycle.is_filling(fraction))
            frame[scene.window] = beating + np.where(beating < plain + 1.0, extra, 0.0)
    frames *= texture * _sensitivity(plane, scanner)
    return _detect(frames, scanner, rng)


def label_plane(subject: Subject, plane: ImagePlane, fraction: float, *, breath_mm: FloatArray) -> LabelArray:
    """Return the true structures on the middle of a slice.

    Parameters
    ----------
    subject, plane
        Who and where.
    fraction
        Time as a fraction of the cycle.
    breath_mm
        Shift of the organs in the slice's breath-hold, shape (3,), LPS.

    Returns
    -------
        Shape (rows, columns), values of :class:`Structure`.
    """
    points = to_heart(subject, plane_points(plane, np.zeros(1)), breath_mm)
    labels = heart_labels(points, heart_state(subject.heart, float(subject.cycle.filling(fraction))))
    middle: LabelArray = labels[0]
    return middle


def smooth_noise(rng: np.random.Generator, shape: tuple[int, ...], sigma_px: float) -> Field:
    """Smooth random texture of mean 0 and standard deviation 1."""
    from scipy.ndimage import gaussian_filter

    noise = gaussian_filter(rng.standard_normal(shape, dtype=np.float32), sigma_px, mode="wrap")
    field: Field = (noise - noise.mean()) / noise.std()
    return field


def _lung_vessels(subject: Subject, plane: ImagePlane, still: Field, rng: np.random.Generator) -> Field:
    """Bright dots where a still image, shape (rows, columns), shows lung."""
    x, y, _ = (coordinate[0] for coordinate in plane_points(plane, np.zeros(1)))
    torso = subject.torso
    inside = (np.abs(x) < 0.9 * torso.half_width_mm) & (np.abs(y) < 0.88 * torso.half_depth_mm) & (still < 40.0)
    dots = np.clip(smooth_noise(rng, still.shape, 1.3) - 1.35, 0.0, None) * 110.0
    return np.where(inside, dots, 0.0).astype(np.float32)


def _sensitivity(plane: ImagePlane, scanner: Scanner) -> Field:
    """Sensitivity of the coils on a plane: strongest near the front of the chest, shape (rows, columns)."""
    x, y, z = (coordinate[0] for coordinate in plane_points(plane, np.zeros(1)))
    front = np.exp(-(((y + 115.0) / 150.0) ** 2) - ((x - 10.0) / 220.0) ** 2)
    back = np.exp(-(((y - 120.0) / 140.0) ** 2) - (x / 240.0) ** 2)
    tilt = 1.0 + (x * scanner.bias[0] + y * scanner.bias[1] + (z - 40.0) * scanner.bias[2]) * 0.01
    field: Field = ((0.30 + 0.80 * front + 0.42 * back) * np.clip(tilt, 0.5, 1.5)).astype(np.float32)
    return field


def _detect(frames: Field, scanner: Scanner, rng: np.random.Generator) -> NDArray[np.uint16]:
    """Add Rician noise and store as 12-bit integers; ``frames`` is overwritten."""
    frames += scanner.noise * rng.standard_normal(frames.shape, dtype=np.float32)
    other = rng.standard_normal(frames.shape, dtype=np.float32)
    other *= scanner.noise
    np.hypot(frames, other, out=frames)
    frames *= scanner.gain
    return np.clip(np.rint(frames), 0, MAX_STORED).astype(np.uint16)
