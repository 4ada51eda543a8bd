"""Images of a subject on a plane: slice profile, texture, coil sensitivity, noise; and the true labels there."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cmr_planes.geometry import ImagePlane
from cmr_planes.geometry.arrays import FloatArray, LabelArray
from cmr_planes.phantom.artefacts import Artefacts, banding, detected, displayed, flowing, ghosted, off_resonance, smeared
from cmr_planes.phantom.fields import Field
from cmr_planes.phantom.heart import heart_labels, heart_state
from cmr_planes.phantom.painting import SliceScene, paint_still, paint_window, plan_scene, plane_points, to_heart
from cmr_planes.phantom.people import Subject
from cmr_planes.phantom.tissues import USUAL_TISSUES, Tissues

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
    coils: float = 1.0
    """Exponent of the coils' sensitivity: 0 where the scanner has evened it out, more than 1 for small coils."""
    texture: tuple[float, float] = (0.05, 0.03)
    """Standard deviations of a fine and a coarse texture of all tissues, relative to the signal."""
    exposure: float = 0.0
    """Part of the cardiac cycle over which a frame is averaged."""
    tissues: Tissues = USUAL_TISSUES
    artefacts: Artefacts | None = None


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
    scene = plan_scene(subject, plane, offsets_mm, breath_mm, scanner.tissues)
    still = paint_still(scene)
    still += _lung_vessels(subject, plane, still, rng)
    fine, coarse = scanner.texture
    texture = 1.0 + fine * smooth_noise(rng, still.shape, 2.2) + coarse * smooth_noise(rng, still.shape, 7.0)
    frames = np.empty((len(fractions), plane.rows, plane.columns), dtype=np.float32)
    frames[:] = still
    if scene.points[0].size:
        plain = paint_still(scene)[scene.window]
        extra = still[scene.window] - plain
        for frame, fraction in zip(frames, fractions, strict=True):
            beating = _exposed(scene, fraction, scanner.exposure)
            frame[scene.window] = beating + np.where(np.abs(beating) < np.abs(plain) + 1.0, extra, 0.0)
    np.abs(frames, out=frames)
    frames *= texture * _sensitivity(plane, scanner)
    if scanner.artefacts is None:
        return _detect(frames, scanner, rng)
    return _stored(_spoilt(frames, scene.window, plane, scanner, scanner.artefacts, rng), scanner)


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
    inside = (np.abs(x) < 0.9 * torso.half_width_mm) & (np.abs(y) < 0.88 * torso.half_depth_mm) & (np.abs(still) < 40.0)
    dots = np.clip(smooth_noise(rng, still.shape, 1.3) - 1.35, 0.0, None) * 110.0
    return np.where(inside, dots, 0.0).astype(np.float32)


def _exposed(scene: SliceScene, fraction: float, exposure: float) -> Field:
    """Paint the beating part of a slice, averaged over a part of the cycle."""
    moments = [fraction + exposure * step for step in ((-0.5, 0.0, 0.5) if exposure else (0.0,))]
    cycle = scene.subject.cycle
    parts = [paint_window(scene, float(cycle.filling(moment)), mitral_is_open=cycle.is_filling(fraction)) for moment in moments]
    return parts[0] if len(parts) == 1 else np.mean(parts, axis=0, dtype=np.float32)


def _spoilt(
    frames: Field, window: tuple[slice, slice], plane: ImagePlane, scanner: Scanner, artefacts: Artefacts, rng: np.random.Generator
) -> Field:
    """Put artefacts and noise on images, shape (T, rows, columns); ``window`` is where the heart beats."""
    tissues = scanner.tissues
    moving = np.zeros_like(frames)
    moving[:, *window] = frames[:, *window]
    swirl = np.stack([smooth_noise(rng, frames.shape[1:], 6.0 / plane.column_spacing_mm) for _ in frames])
    frames = flowing(frames, artefacts.flow * swirl, tissues.myocardium, tissues.lv_blood)
    axis = 1 + int(rng.integers(2))
    extent_px = frames.shape[axis]
    frames = ghosted(frames, moving, int(rng.integers(extent_px // 6, extent_px // 2)), artefacts.ghost * rng.random(), axis)
    frames = frames * banding(off_resonance(plane_points(plane, np.zeros(1)), artefacts)[0])
    way_mm = artefacts.breathing_mm * rng.standard_normal(2)
    frames = smeared(frames, (way_mm[0] / plane.row_spacing_mm, way_mm[1] / plane.column_spacing_mm))
    return displayed(detected(frames, scanner.noise, artefacts, rng), artefacts)


def _sensitivity(plane: ImagePlane, scanner: Scanner) -> Field:
    """Sensitivity of the coils on a plane: strongest near the front of the chest, shape (rows, columns)."""
    x, y, z = (coordinate[0] for coordinate in plane_points(plane, np.zeros(1)))
    front = np.exp(-(((y + 115.0) / 150.0) ** 2) - ((x - 10.0) / 220.0) ** 2)
    back = np.exp(-(((y - 120.0) / 140.0) ** 2) - (x / 240.0) ** 2)
    tilt = 1.0 + (x * scanner.bias[0] + y * scanner.bias[1] + (z - 40.0) * scanner.bias[2]) * 0.01
    coils: Field = ((0.30 + 0.80 * front + 0.42 * back) * np.clip(tilt, 0.5, 1.5)).astype(np.float32)
    return coils**scanner.coils


def _detect(frames: Field, scanner: Scanner, rng: np.random.Generator) -> NDArray[np.uint16]:
    """Add Rician noise and store as 12-bit integers; ``frames`` is overwritten."""
    frames += scanner.noise * rng.standard_normal(frames.shape, dtype=np.float32)
    other = rng.standard_normal(frames.shape, dtype=np.float32)
    other *= scanner.noise
    np.hypot(frames, other, out=frames)
    return _stored(frames, scanner)


def _stored(frames: Field, scanner: Scanner) -> NDArray[np.uint16]:
    """Store images as 12-bit integers; ``frames`` is overwritten."""
    frames *= scanner.gain
    return np.clip(np.rint(frames), 0, MAX_STORED).astype(np.uint16)
