"""What spoils cine images: one function an artefact, images in, images out.

Images are ``float32`` of shape (T, rows, columns), or a still one of shape (rows, columns), in the units of :mod:`tissues`. None of
these functions moves a structure: what was true of an image before is true after.
"""

from dataclasses import dataclass

import numpy as np

from cmr_planes.phantom.fields import Coordinates, Field, Vector, single, wave_at

PASS_BAND = 0.55
"""Half width of a band's dark line, in radians of phase per repetition time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wave:
    """A part of the field's inhomogeneity: a plane wave."""

    amplitude: float
    """Radians of phase per repetition time."""
    wave: Vector
    """Radians per mm, LPS."""
    phase: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """A pacemaker's generator under the left collar bone."""

    centre_mm: Vector
    """LPS."""
    moment: float
    """Phase per repetition time at 100 mm on its axis, radians."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Artefacts:
    """What spoils the images of one examination."""

    shim: tuple[Wave, ...] = ()
    """The field's inhomogeneity that the shim has left."""
    offset: float = 0.0
    """The same everywhere: radians of phase per repetition time."""
    device: Device | None = None
    flow: float = 0.0
    """Standard deviation of the blood's texture, relative to its signal."""
    ghost: float = 0.0
    """Brightness of a ghost of the beating heart, relative to the heart."""
    breathing_mm: float = 0.0
    """Standard deviation of the organs' way during a slice, over which its image is smeared."""
    resolution: tuple[float, float] = (1.0, 1.0)
    """Measured part of k-space along rows and columns; the rest is filled with zeros."""
    g_factor: float = 0.0
    """How much noisier the middle of the field of view is than its edge, from parallel imaging."""
    gamma: float = 1.0
    """Exponent of the display curve that was applied before the images were stored."""
    saturation: float = 1.0
    """Part of the brightest signal at which stored values are cut off."""


def off_resonance(points: Coordinates, artefacts: Artefacts) -> Field:
    """Return the phase that the field's inhomogeneity gives per repetition time, radians; ``points`` in patient coordinates."""
    phase = np.full(np.broadcast_shapes(*(axis.shape for axis in points)), artefacts.offset, dtype=np.float32)
    for part in artefacts.shim:
        phase += part.amplitude * wave_at(points, part.wave, part.phase)
    if artefacts.device is not None:
        x, y, z = (axis - float(middle) for axis, middle in zip(points, artefacts.device.centre_mm, strict=True))
        square = x * x + y * y + z * z + np.float32(15.0**2)
        phase += artefacts.device.moment * 0.5e6 * (3.0 * z * z / square - 1.0) / square**1.5
    return phase


def banding(phase: Field) -> Field:
    """Return what bSSFP leaves of the signal at a phase per repetition time: dark lines where it is half a turn.

    Examples
    --------
    >>> [f"{signal:.2f}" for signal in banding(np.array([0.0, np.pi], dtype=np.float32))]
    ['1.00', '0.15']
    """
    beyond = np.abs(np.mod(phase, 2 * np.pi) - np.pi)
    dephased = (
        np.clip(np.abs(np.gradient(phase, axis=-1)) + np.abs(np.gradient(phase, axis=-2)) - 1.0, 0.0, 1.0)
        if phase.ndim > 1
        else 0.0
    )
    return single((1.0 - 0.85 * np.exp(-((beyond / PASS_BAND) ** 2))) * (1.0 - dephased))


def flowing(frames: Field, texture: Field, muscle: float, blood: float) -> Field:
    """Give blood a texture: what is as bright as blood varies with ``texture``, and what is as dark as muscle stays.

    Parameters
    ----------
    frames
        Shape (T, rows, columns).
    texture
        Relative change, same shape.
    muscle, blood
        Brightness of both.
    """
    share = np.clip((frames - muscle) * (1.0 / max(blood - muscle, 1.0)), 0.0, 1.0)
    return single(np.clip(frames * (1.0 + share * texture), 0.0, None))


def ghosted(frames: Field, moving: Field, shift_px: int, strength: float, axis: int) -> Field:
    """Add ghosts of what moves, on both sides along the phase-encoding axis.

    Parameters
    ----------
    frames, moving
        Shape (T, rows, columns): images, and what moves in them.
    shift_px
        Distance of the ghosts.
    strength
        Brightness relative to what moves.
    axis
        1 for ghosts along columns (up and down), 2 for ghosts along rows.
    """
    ghosts = np.roll(moving, shift_px, axis=axis) + np.roll(moving, -shift_px, axis=axis)
    return single(np.abs(frames + strength * ghosts))


def smeared(frames: Field, way_px: tuple[float, float]) -> Field:
    """Smear images along a way, whose middle stays, of (rows, columns) pixels."""
    from scipy.ndimage import shift

    if max(abs(way_px[0]), abs(way_px[1])) < 0.25:
        return frames
    parts = [
        shift(frames, (0.0, way_px[0] * step, way_px[1] * step), order=1, mode="nearest") for step in (-0.5, -0.25, 0.0, 0.25, 0.5)
    ]
    return single(np.mean(parts, axis=0))


def detected(frames: Field, noise: float, artefacts: Artefacts, rng: np.random.Generator) -> Field:
    """Measure images in k-space with complex noise, fill it with zeros, and take the magnitude.

    Parameters
    ----------
    frames
        Shape (T, rows, columns).
    noise
        Standard deviation in each channel, in the result.
    artefacts
        For the resolution and the distribution of noise.
    rng
        Source of the noise.
    """
    from scipy import fft

    rows, columns = frames.shape[1:]
    kept = [_kept(size, part) for size, part in zip((rows, columns), artefacts.resolution, strict=True)]
    level = noise / float(np.sqrt(kept[0].mean() * kept[1].mean())) * _parallel_imaging(rows, columns, artefacts.g_factor)
    signal = frames.astype(np.complex64)
    signal += level * rng.standard_normal(frames.shape, dtype=np.float32)
    signal += 1j * level * rng.standard_normal(frames.shape, dtype=np.float32)
    spectrum = fft.fft2(signal, axes=(1, 2))
    spectrum *= kept[0][:, None] & kept[1][None, :]
    return single(np.abs(fft.ifft2(spectrum, axes=(1, 2), overwrite_x=True)))


def displayed(frames: Field, artefacts: Artefacts) -> Field:
    """Apply the curve with which images were stored: a gamma, and a cut at the top."""
    top = float(frames.max()) * artefacts.saturation
    if top <= 0:
        return frames
    return single(top * np.clip(frames * (1.0 / top), 0.0, 1.0) ** artefacts.gamma)


def _kept(size: int, part: float) -> "np.ndarray[tuple[int], np.dtype[np.bool_]]":
    """Return which frequencies of an axis are measured."""
    return np.asarray(np.abs(np.fft.fftfreq(size)) <= 0.5 * part)


def _parallel_imaging(rows: int, columns: int, g_factor: float) -> Field:
    """Return how much the noise is amplified where, shape (rows, columns), 1 on average."""
    y, x = (np.linspace(-1.0, 1.0, size, dtype=np.float32) for size in (rows, columns))
    bump = 1.0 + g_factor * np.exp(-(y[:, None] ** 2 + x[None, :] ** 2) / 0.4)
    return single(bump / bump.mean())
