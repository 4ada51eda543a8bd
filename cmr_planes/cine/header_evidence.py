"""What headers say of an acquisition: whether its frames follow one heart beat, and what kind of images they are.

A cine shows one plane at many moments of the RR interval, in equal steps that are much shorter than a beat, with one echo time.
Perfusion has one image per beat; maps have several echo or inversion times at one moment of the beat; real-time imaging runs on
over several beats. Truncated (prospective) cines and those of two beats are cines.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np

from cmr_planes.cine.acquisitions import CineSlice
from cmr_planes.dicom.frames import FrameHeader
from cmr_planes.geometry.arrays import FloatArray, distinct, median
from cmr_planes.system.text import counted

USUAL_RR_MS = 1000.0
"""RR interval where headers give none."""
_PLAUSIBLE_RR_MS = (250.0, 3000.0)
"""Other values are placeholders."""
MIN_BEAT_STEP = 0.4
"""From frame to frame, as a share of the RR interval: larger steps are one image per heart beat."""
ONE_MOMENT_SHARE = 0.1
"""Times that differ by less of the RR interval, well after the R wave, are one moment of the beat."""
MAX_START_SHARE = 0.75
"""A cine begins earlier in the RR interval."""
MAX_BEATS = 2.5
"""A cine shows fewer heart beats."""
MIN_BEAT_FRAMES = 8
"""As many frames over the RR interval show that images follow a beat."""
BEAT_SHARES = (0.35, 1.3)
"""Part of the RR interval that a cine shows: prospective ones 60 to 85 per cent."""
MIN_RATIO = 1.15
"""Echo or inversion times whose largest and smallest differ by this factor are not one value in several roundings."""

PHASE_IMAGES = "phase images"
"""The kind of image that flow measurements have beside magnitude images."""

_PHASE = frozenset({"P", "PHASE", "PHASE MAP", "PHASE_MAP"})
_PARTS = frozenset({"R", "I", "REAL", "IMAGINARY"})
_PART = re.compile(r"[RI]_[A-Z]+")
_FLOW = re.compile(r"PCA\b|PHASE CONTRAST|VELOCITY|FLOW")
_MAP = re.compile(r"\b(T1|T2|T2_?STAR|ECV|R2)[ _]MAP\b")
_REFORMATTED = frozenset({"MPR", "MIP", "PROJECTION IMAGE", "REFORMATTED"})
_FLOW_SEQUENCE = re.compile(r"_v\d+", re.IGNORECASE)
"""Siemens: ``fl2d1_v150in`` encodes velocities up to 150 cm/s."""
_TAG_SEQUENCE = re.compile(r"tag|spamm", re.IGNORECASE)
_SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"


@dataclass(frozen=True, slots=True, kw_only=True)
class HeaderEvidence:
    """What the headers of an acquisition say."""

    exclusion: str
    """Why it is no cine, empty if nothing says so."""
    doubt: str
    """What a cine's headers usually do not say, empty for nothing."""
    has_times: bool
    """Whether its frames have different trigger times."""
    follows_beat: bool
    """Whether its times show that the frames follow one heart beat or two."""


def judge_headers(cine: CineSlice) -> HeaderEvidence:
    """Tell what the headers of an acquisition say.

    Parameters
    ----------
    cine
        An acquisition of two or more frames.

    Returns
    -------
        Strong evidence against a cine as ``exclusion``, weak evidence as ``doubt``.
    """
    times_ms = distinct([frame.trigger_time_ms for frame in cine.frames if frame.trigger_time_ms is not None])
    rr_ms = _rr_ms(cine.frames)
    exclusion = _image_kind(cine.header) or _varying(cine.frames) or _no_beat(cine, times_ms, rr_ms)
    return HeaderEvidence(
        exclusion=exclusion,
        doubt=_processed(cine.header) or _odd_times(times_ms, rr_ms),
        has_times=len(times_ms) > 1,
        follows_beat=not exclusion and _follows_beat(times_ms, rr_ms),
    )


def _rr_ms(frames: Sequence[FrameHeader]) -> float:
    """Return the RR interval, else the usual one."""
    intervals_ms = (frame.nominal_interval_ms or 0.0 for frame in frames)
    from_rates_ms = (60_000.0 / frame.heart_rate_bpm if frame.heart_rate_bpm else 0.0 for frame in frames)
    low, high = _PLAUSIBLE_RR_MS
    return next((value for value in chain(intervals_ms, from_rates_ms) if low <= value <= high), USUAL_RR_MS)


def _image_kind(header: FrameHeader) -> str:
    """Say which kind of image other than a magnitude image in grey it is, by attributes that name the kind."""
    kinds = [kind.upper() for kind in header.image_type]
    if header.modality not in ("", "MR"):
        return "not MR"
    if header.samples_per_pixel > 1:
        return "colour images"
    if "PHASE" in header.complex_component.upper() or _PHASE.intersection(kinds):
        return PHASE_IMAGES
    is_part = _PARTS.intersection(kinds[2:]) or any(map(_PART.fullmatch, kinds))
    if is_part or header.complex_component.upper() in ("REAL", "IMAGINARY"):
        return "real or imaginary images"
    if any(map(_FLOW.search, kinds)) or _FLOW_SEQUENCE.search(header.sequence_name):
        return "flow measurement"
    if _TAG_SEQUENCE.search(header.sequence_name):
        return "tagging"
    if any(map(_MAP.search, kinds)):
        return "mapping"
    return "localiser" if "LOCALIZER" in kinds else ""


def _varying(frames: Sequence[FrameHeader]) -> str:
    """Say which time that is constant in a cine differs from frame to frame."""
    values = (
        ("EchoTime (0018,0081)", {frame.echo_time_ms for frame in frames}),
        ("InversionTime (0018,0082)", {frame.inversion_time_ms for frame in frames}),
    )
    for name, numbers in values:
        known = [number for number in numbers if number]
        if known and max(known) >= MIN_RATIO * min(known):
            return f"{name} varies from {min(known):g} to {max(known):g} ms"
    return ""


def _no_beat(cine: CineSlice, times_ms: FloatArray, rr_ms: float) -> str:
    """Say how times contradict that frames follow a heart beat; ``times_ms`` are distinct and sorted."""
    n_frames = len(cine.frames)
    if not len(times_ms):
        return ""
    first_ms, span_ms = float(times_ms[0]), float(times_ms[-1] - times_ms[0])
    promised = cine.n_expected_frames
    if first_ms > max(span_ms, ONE_MOMENT_SHARE / 2 * rr_ms) and span_ms < ONE_MOMENT_SHARE * rr_ms and promised < MIN_BEAT_FRAMES:
        return f"{counted(n_frames, 'frame')}, one trigger time ({first_ms:.0f} ms)"
    if len(times_ms) > 3 and median(np.diff(times_ms)) >= MIN_BEAT_STEP * rr_ms:
        return (
            f"one image per heart beat: trigger times span {span_ms / rr_ms:.1f} RR intervals in {counted(len(times_ms), 'frame')}"
        )
    return ""


def _processed(header: FrameHeader) -> str:
    """Say that images were computed from others."""
    kinds = [kind.upper() for kind in header.image_type]
    if header.sop_class_uid.startswith(_SECONDARY_CAPTURE):
        return "saved pictures (Secondary Capture)"
    if "DERIVED" in kinds[:1]:
        return "derived images (ImageType (0008,0008))"
    return "reformatted images (ImageType (0008,0008))" if _REFORMATTED.intersection(kinds) else ""


def _odd_times(times_ms: FloatArray, rr_ms: float) -> str:
    """Say what of the times is unusual for a cine."""
    if len(times_ms) < 2:
        return ""
    beats = _span_ms(times_ms) / rr_ms
    if beats > MAX_BEATS:
        return f"trigger times span {beats:.1f} RR intervals, as in real-time imaging"
    if times_ms[0] > MAX_START_SHARE * rr_ms:
        return f"trigger times begin {times_ms[0]:.0f} ms after the R wave, as in real-time imaging"
    return ""


def _follows_beat(times_ms: FloatArray, rr_ms: float) -> bool:
    """Tell whether times run through one heart beat, or through two in steps as small."""
    if len(times_ms) < MIN_BEAT_FRAMES or _odd_times(times_ms, rr_ms):
        return False
    low, high = BEAT_SHARES
    share = _span_ms(times_ms) / rr_ms
    return low <= share <= high or (share <= MAX_BEATS and len(times_ms) >= 2 * MIN_BEAT_FRAMES)


def _span_ms(times_ms: FloatArray) -> float:
    """Return how long the frames last together, the last one as long as the others."""
    return float((times_ms[-1] - times_ms[0]) * len(times_ms) / (len(times_ms) - 1))
