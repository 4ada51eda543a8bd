"""How much people, scanners and prescriptions differ in a hard cohort: one table of ranges, and the draws from it."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from cmr_planes.phantom.acquisition import Protocol
from cmr_planes.phantom.artefacts import Artefacts, Device, Wave
from cmr_planes.phantom.fields import Ripple
from cmr_planes.phantom.people import Pathology, Subject, sample_subject
from cmr_planes.phantom.rendering import Scanner
from cmr_planes.phantom.tissues import Tissues
from cmr_planes.phantom.torso import BowelLoop

HARD_FRACTIONS: Mapping[Pathology, float] = dict.fromkeys(Pathology, 0.2)
"""Parts of a hard cohort; ACDC too has five groups of one size."""


@dataclass(frozen=True, slots=True)
class Range:
    """From where to where a quantity differs."""

    low: float
    high: float
    reason: str

    def draw(self, rng: np.random.Generator) -> float:
        """Draw a value, uniformly."""
        return float(rng.uniform(self.low, self.high))


@dataclass(frozen=True, slots=True)
class Spread:
    """A normal distribution that is cut off at both ends."""

    mean: float
    deviation: float
    low: float
    high: float
    reason: str

    def draw(self, rng: np.random.Generator) -> float:
        """Draw a value."""
        return float(np.clip(rng.normal(self.mean, self.deviation), self.low, self.high))


ACDC = "measured on ACDC"
"""A middle short-axis image at end-diastole of each of the 100 training subjects."""

VARIETY: Mapping[str, Range | Spread] = {
    # people
    "heart size": Range(0.88, 1.14, "lengths relative to the usual phantom's; volumes go with the cube: 0.68 to 1.48"),
    "wall thickness": Range(0.75, 1.15, "relative to the usual phantom's of the same pathology; ACDC's walls are 4 to 16 mm"),
    "right ventricle": Range(0.90, 1.35, "width relative to the usual phantom's of the same pathology"),
    "turn of the right heart": Range(
        -18.0, 18.0, "degrees about the left ventricle's axis: 4Ch planes lie within 14 of the ventricles' axis"
    ),
    "flattened septum": Range(0.78, 0.94, "short-axis width over that of a round ventricle, in a loaded right ventricle"),
    "round septum": Range(0.93, 1.05, "the same in all others"),
    "septal shift": Range(0.15, 0.40, "of the wall's thickness, in hypertrophy: the septum is up to 2.3 times as thick"),
    "papillary muscles": Range(0.6, 1.7, "thickness relative to usual ones"),
    "trabeculae": Range(0.3, 2.2, "mm in both ventricles; readers count them as cavity"),
    "epicardial fat": Range(1.5, 9.0, "mm over the right ventricle, from lean to obese"),
    "effusion": Range(4.0, 14.0, "mm; under 10 is mild, 10 to 20 moderate (ESC guidelines on pericardial diseases, 2015)"),
    "bends of the heart": Range(0.4, 2.4, "mm, amplitude of each of six waves of 45 to 110 mm"),
    "bends of the chest": Range(2.0, 9.0, "mm, amplitude of each of five waves of 110 to 260 mm"),
    "chest": Range(0.86, 1.16, "width and depth relative to the usual phantom's"),
    "subcutaneous fat": Range(5.0, 42.0, "mm, from lean to obese"),
    "loops of bowel": Range(12.0, 40.0, "number in the 130 mm under the diaphragm"),
    "size of a loop": Range(8.0, 26.0, "mm, semi-axes"),
    "wall of a loop": Range(1.5, 5.0, "mm"),
    "diaphragm": Range(-12.0, 24.0, "mm from the usual place under the heart: breath-holds in expiration and inspiration"),
    # prescription
    "pixel size": Spread(1.51, 0.20, 0.90, 1.95, f"mm, {ACDC}: 1.51 ± 0.19, 0.70 to 1.92"),
    "width of the field of view": Spread(329.0, 43.0, 224.0, 430.0, f"mm, {ACDC}"),
    "height of the field of view": Spread(369.0, 46.0, 241.0, 480.0, f"mm, {ACDC}"),
    "off centre, across": Spread(
        10.0,
        14.0,
        -20.0,
        45.0,
        f"mm that the image's centre lies to the right of the usual phantom's, so that it is 18 ± 14 from the heart, as {ACDC}",
    ),
    "off centre, down": Spread(6.0, 19.0, -49.0, 60.0, "the same, downwards: 0 ± 19"),
    "turn of the field of view": Spread(
        -6.0, 30.0, -60.0, 50.0, f"degrees, so that the direction from RV to LV varies by 31, as {ACDC}"
    ),
    "error of a plane's angle": Range(3.0, 6.0, "degrees, standard deviation about each axis"),
    "breath-holds": Range(1.0, 5.0, "mm, standard deviation of the organs' place from slice to slice"),
    "gap": Range(0.0, 0.4, "of the distance of slices"),
    "slices beyond the heart": Range(-10.0, 25.0, "mm of the stack's length over the ventricle's"),
    # contrast, relative to the blood of the left ventricle
    "myocardium": Spread(0.40, 0.11, 0.22, 0.69, f"of the blood's brightness, {ACDC}"),
    "blood of the right ventricle": Range(0.55, 0.95, f"of the left one's, {ACDC}: 0.76 ± 0.12"),
    "fat": Range(0.50, 1.20, f"of the blood's brightness; the images' 99th percentile is 1.0 to 2.4 times the blood's, {ACDC}"),
    "liver": Range(0.20, 0.65, "of the blood's brightness: with T2/T1, iron and contrast agent"),
    "lung": Range(0.01, 0.14, "of the blood's brightness: with lung volume and echo time"),
    "muscle": Range(0.70, 1.30, "of the myocardium's brightness"),
    "bowel": Range(0.02, 1.0, "of the blood's brightness: gas, food or fluid"),
    "fluid": Range(0.80, 1.35, "of the blood's brightness"),
    # scanner
    "noise": Range(9.0, 36.0, "1 to 4 times that of the usual phantom"),
    "coils": Range(0.1, 1.3, "exponent of the sensitivity: evened out, or small coils"),
    "tilt of the coils": Range(-0.25, 0.25, "relative change per 100 mm, twice that of the usual phantom"),
    "fine texture": Range(
        0.02, 0.10, "standard deviation relative to the signal; the myocardium varies by 0.08 to 0.27 in ACDC, noise included"
    ),
    "coarse texture": Range(0.01, 0.07, "the same, at 7 pixels"),
    "exposure": Range(0.02, 0.12, "of the cycle that a frame averages: 20 to 100 ms"),
    "flow": Range(0.04, 0.22, "standard deviation of the blood's texture; ACDC's cavities vary by 0.14 to 0.35, muscles included"),
    "ghost": Range(0.0, 0.22, "of the heart's brightness, at most"),
    "breathing": Range(0.0, 3.5, "mm, standard deviation of the way during a slice"),
    "resolution": Range(0.50, 1.0, "measured part of k-space, each way"),
    "parallel imaging": Range(0.0, 1.2, "noise of the middle over that of the edge, less 1"),
    "field": Range(0.2, 1.3, "radians per repetition time, amplitude of each of three waves of 150 to 420 mm"),
    "centre frequency": Range(-1.3, 1.3, "radians per repetition time"),
    "pacemaker": Range(0.8, 3.0, "radians per repetition time at 100 mm from the generator"),
    "gamma": Range(0.75, 1.35, "of the stored values; 64 of ACDC's 100 subjects were windowed to 0 to 255"),
    "saturation": Range(0.55, 1.0, "part of the brightest signal at which values are cut off"),
    "gain": Range(0.4, 2.0, "stored value of a unit"),
}
"""All ranges of a hard cohort."""

SLICE_DISTANCES_MM: Mapping[float, float] = {10.0: 0.70, 8.0: 0.16, 6.5: 0.04, 5.0: 0.10}
"""Distances of slices and how often they are; 86 of ACDC's 100 subjects have 10 mm, 12 have 5."""
EFFUSION_SHARE, DEVICE_SHARE, OPPOSED_SHARE = 0.15, 0.08, 0.8
"""Parts of a hard cohort with an effusion, with a pacemaker, and with fat and water in opposed phase."""

_USUAL_BLOOD = Tissues().lv_blood
_GENERATOR_MM = (88.0, -62.0, 108.0)
"""Where a pacemaker's generator lies from the mitral annulus, LPS: under the left collar bone."""


def sample_varied_subject(rng: np.random.Generator, pathology: Pathology) -> Subject:
    """Draw a person of a hard cohort.

    Parameters
    ----------
    rng
        Source of all differences.
    pathology
        What the person has; an effusion or a pacemaker may come with any.
    """
    usual = sample_subject(rng, pathology)
    size = _draw(rng, "heart size")
    wall_mm = float(np.clip(usual.heart.wall_mm * _draw(rng, "wall thickness"), 4.5, 20.0))
    shift, flat, round_ = _draw(rng, "septal shift"), _draw(rng, "flattened septum"), _draw(rng, "round septum")
    effusion_mm, has_effusion = _draw(rng, "effusion"), rng.random() < EFFUSION_SHARE
    heart = replace(
        usual.heart,
        edv_ml=usual.heart.edv_ml * size**3,
        length_mm=usual.heart.length_mm * size * (1.08 if pathology is Pathology.DILATED else 1.0),
        wall_mm=wall_mm,
        rv_scale=usual.heart.rv_scale * size * _draw(rng, "right ventricle"),
        fat_mm=_draw(rng, "epicardial fat"),
        effusion_mm=effusion_mm if has_effusion else 0.0,
        septal_shift_mm=shift * wall_mm if pathology is Pathology.HYPERTROPHIC else 0.0,
        flattening=flat if pathology is Pathology.RV_ENLARGED else round_,
        right_turn_deg=_draw(rng, "turn of the right heart"),
        papillary_scale=_draw(rng, "papillary muscles"),
        papillary_turn_deg=float(rng.uniform(-20.0, 20.0)),
        trabeculae_mm=_draw(rng, "trabeculae"),
        rv_trabeculae_mm=_draw(rng, "trabeculae"),
    )
    torso = replace(
        usual.torso,
        half_width_mm=usual.torso.half_width_mm * _draw(rng, "chest"),
        half_depth_mm=usual.torso.half_depth_mm * _draw(rng, "chest"),
        fat_mm=max(usual.torso.fat_mm if pathology is Pathology.HIGH_BMI else 0.0, _draw(rng, "subcutaneous fat")),
        diaphragm_mm=usual.torso.diaphragm_mm + _draw(rng, "diaphragm"),
        loops=tuple(_loop(rng) for _ in range(int(_draw(rng, "loops of bowel")))),
        ripples=tuple(_ripple(rng, axis, _draw(rng, "bends of the chest"), (110.0, 260.0)) for axis in (0, 1, 2, 0, 1)),
    )
    return replace(
        usual,
        heart=heart,
        torso=torso,
        ripples=tuple(_ripple(rng, axis, _draw(rng, "bends of the heart"), (45.0, 110.0)) for axis in (0, 1, 0, 1, 0, 1)),
        has_device=bool(rng.random() < DEVICE_SHARE),
    )


def sample_protocol(rng: np.random.Generator, subject: Subject, usual: Protocol) -> Protocol:
    """Draw how a person of a hard cohort is examined: the matrix, pixels, slices and errors; ``usual`` has the rest."""
    distances_mm, shares = zip(*SLICE_DISTANCES_MM.items(), strict=True)
    distance_mm = float(rng.choice(distances_mm, p=shares))
    gap_mm = distance_mm * _draw(rng, "gap")
    spacing_mm = round(_draw(rng, "pixel size"), 4)
    width_mm, height_mm = _draw(rng, "width of the field of view"), _draw(rng, "height of the field of view")
    return replace(
        usual,
        n_slices=max(5, round((subject.heart.length_mm + _draw(rng, "slices beyond the heart")) / distance_mm)),
        slice_thickness_mm=distance_mm - gap_mm,
        slice_gap_mm=gap_mm,
        columns=2 * round(width_mm / spacing_mm / 2),
        rows=2 * round(height_mm / spacing_mm / 2),
        spacing_mm=spacing_mm,
        angle_error_deg=_draw(rng, "error of a plane's angle"),
        turn_deg=6.0,
        field_turn_deg=_draw(rng, "turn of the field of view"),
        off_centre_mm=(_draw(rng, "off centre, across"), _draw(rng, "off centre, down")),
        breath_mm=_draw(rng, "breath-holds"),
    )


def sample_scanner(rng: np.random.Generator, subject: Subject) -> Scanner:
    """Draw the contrast, the coils, the noise and the artefacts of an examination in a hard cohort."""
    return Scanner(
        noise=_draw(rng, "noise"),
        gain=_draw(rng, "gain"),
        n_sheets=4,
        bias=(_draw(rng, "tilt of the coils"), _draw(rng, "tilt of the coils"), _draw(rng, "tilt of the coils")),
        coils=_draw(rng, "coils"),
        texture=(_draw(rng, "fine texture"), _draw(rng, "coarse texture")),
        exposure=_draw(rng, "exposure"),
        tissues=_sample_tissues(rng),
        artefacts=_sample_artefacts(rng, subject),
    )


def _sample_tissues(rng: np.random.Generator) -> Tissues:
    """Draw the contrast of an examination."""
    blood = _USUAL_BLOOD
    myocardium, fat, liver = (blood * _draw(rng, name) for name in ("myocardium", "fat", "liver"))
    right = blood * _draw(rng, "blood of the right ventricle")
    muscle = myocardium * _draw(rng, "muscle")
    sign = -1.0 if rng.random() < OPPOSED_SHARE else 1.0

    def about(value: float) -> float:
        return float(value * rng.uniform(0.75, 1.25))

    return Tissues(
        lung=blood * _draw(rng, "lung"),
        muscle=muscle,
        myocardium=myocardium,
        wall=about(myocardium),
        pericardium=about(0.6 * myocardium),
        liver=liver,
        spleen=about(1.15 * liver),
        stomach=about(0.35 * blood),
        marrow=sign * about(0.5 * fat),
        disc=about(0.3 * blood),
        oesophagus=about(muscle),
        cord=about(0.5 * blood),
        mediastinum=sign * about(0.7 * fat),
        fat=sign * fat,
        epicardial_fat=sign * about(0.9 * fat),
        rv_blood=right,
        venous_blood=about(right),
        lv_blood=blood,
        arterial_blood=about(0.93 * blood),
        fluid=blood * _draw(rng, "fluid"),
    )


def _sample_artefacts(rng: np.random.Generator, subject: Subject) -> Artefacts:
    """Draw what spoils the images of an examination."""
    device = None
    if subject.has_device:
        x, y, z = (float(start + step) for start, step in zip(subject.origin_mm, _GENERATOR_MM, strict=True))
        device = Device(centre_mm=(x, y, z), moment=_draw(rng, "pacemaker"))
    shim = []
    for _ in range(3):
        direction = rng.standard_normal(3)
        wave = direction / np.linalg.norm(direction) * (2 * np.pi / rng.uniform(150.0, 420.0))
        vector = (float(wave[0]), float(wave[1]), float(wave[2]))
        shim.append(Wave(amplitude=_draw(rng, "field"), wave=vector, phase=float(rng.uniform(0, 2 * np.pi))))
    return Artefacts(
        shim=tuple(shim),
        offset=_draw(rng, "centre frequency"),
        device=device,
        flow=_draw(rng, "flow"),
        ghost=_draw(rng, "ghost"),
        breathing_mm=_draw(rng, "breathing"),
        resolution=(_draw(rng, "resolution"), _draw(rng, "resolution")),
        g_factor=_draw(rng, "parallel imaging"),
        gamma=_draw(rng, "gamma"),
        saturation=_draw(rng, "saturation"),
    )


def _loop(rng: np.random.Generator) -> BowelLoop:
    """Draw a loop of bowel."""
    across, deep, high = (_draw(rng, "size of a loop") for _ in range(3))
    return BowelLoop(
        centre_mm=(float(rng.uniform(-60.0, 125.0)), float(rng.uniform(-85.0, 60.0)), float(rng.uniform(-130.0, 5.0))),
        semi_axes_mm=(across, deep, high),
        wall_mm=_draw(rng, "wall of a loop"),
        signal=_USUAL_BLOOD * _draw(rng, "bowel"),
    )


def _ripple(rng: np.random.Generator, axis: int, amplitude_mm: float, lengths_mm: tuple[float, float]) -> Ripple:
    """Draw a displacement along an axis, as a wave of a length in a random direction across it."""
    angle, length_mm = rng.uniform(0, 2 * np.pi), rng.uniform(*lengths_mm)
    wave = [0.0, 0.0, 0.0]
    across = [place for place in range(3) if place != axis]
    wave[across[0]], wave[across[1]] = (float(2 * np.pi / length_mm * part) for part in (np.cos(angle), np.sin(angle)))
    return Ripple(axis=axis, amplitude_mm=amplitude_mm, wave=(wave[0], wave[1], wave[2]), phase=float(rng.uniform(0, 2 * np.pi)))


def _draw(rng: np.random.Generator, name: str) -> float:
    return VARIETY[name].draw(rng)
