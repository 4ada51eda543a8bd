"""When in the cardiac cycle frames lie: times as fractions of the RR interval, 0 at the R wave, cyclic.

Frames of different slices show one moment where these times agree, however many frames a slice has and whatever part of the cycle
they span. TriggerTime tells the time; the RR interval comes from what is best founded: the frames' own span where it is a whole
cycle, NominalInterval where it fits the span, the interval of the subject's other slices, HeartRate. NominalInterval alone is no
evidence: some systems write 0 or 1000 whatever the heart does.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np

from cmr_planes.geometry.arrays import FloatArray, IntArray, distinct

PLAUSIBLE_INTERVAL_MS = (250.0, 2200.0)
"""RR intervals of 240 to 27 beats a minute."""
PLAUSIBLE_SHARE = (0.4, 1.1)
"""A span of frames fits NominalInterval if it is this part of it; two whole beats fit too."""
POSSIBLE_SHARE = (0.1, 2.2)
"""Frames that span another part of the subject's RR interval are not timed by it: their times count something else."""
WHOLE_SHARE = (0.95, 1.1)
"""A span that is this part of NominalInterval is one whole cycle."""
SAME_INTERVAL = 0.15
"""RR intervals that differ by less than this share are of one heart rate."""
MAX_SECONDS = 3.0
"""A span below this can only be in seconds: no cine is taken in 3 ms."""
MAX_DELAY = 1.5
"""A first frame that comes later, in RR intervals, is not timed from its own R wave."""
MIN_KNOWN_TIMES = 0.5
"""Times serve if at least this share of the frames has one; the others lie between their neighbours."""
FAR_CYCLE = 0.04
"""A frame is far from a moment if it is this part of the cycle farther than half its distance to the next frame."""
_TIE = 1e-6
"""Fractions of the cycle that differ by less are the same."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FrameTiming:
    """What a source says about the times of a slice's frames, in their order."""

    times_ms: FloatArray
    """Shape (frame,): TriggerTime, NaN where not known."""
    nominal_interval_ms: float | None = None
    """NominalInterval, the RR interval."""
    heart_rate_bpm: float | None = None
    """HeartRate, in beats a minute."""
    stated: FloatArray | None = None
    """Shape (frame,): fractions of the cycle that the source itself gives, None if it gives none."""

    @classmethod
    def evenly(cls, n_frames: int) -> "FrameTiming":
        """Return the timing of frames that are spread evenly over one whole cycle."""
        return cls(times_ms=np.full(n_frames, np.nan), stated=np.arange(n_frames) / n_frames)


@dataclass(frozen=True, slots=True, eq=False)
class _Clock:
    """Times of a slice's frames that can be used: ascending, one for each frame."""

    times_ms: FloatArray
    """Shape (frame,)."""
    nominal_ms: float | None
    """NominalInterval in the unit of the times, None if there is none above 0."""

    @property
    def span_ms(self) -> float:
        """From the first frame to the end of the last."""
        return float(self.times_ms[-1] - self.times_ms[0]) + _middle(self.times_ms[1:] - self.times_ms[:-1])

    @property
    def share(self) -> float:
        """The span as a part of NominalInterval, NaN without it."""
        return self.span_ms / self.nominal_ms if self.nominal_ms else float("nan")


def cycle_times(timings: Sequence[FrameTiming]) -> tuple[FloatArray | None, ...]:
    """Place the frames of a subject's slices in the cardiac cycle.

    Parameters
    ----------
    timings
        What is known of each slice, those first on which phases are searched.

    Returns
    -------
        For each slice the times of its frames, shape (frame,), fractions of the RR interval from 0 to below 1; None where they are
        not known. Frames without times are taken as evenly spread over the cycle, where all slices without times have as many, and
        as simultaneous with those of a timed slice that has as many.
    """
    clocks = [_clock(timing) for timing in timings]
    interval_ms = _subject_interval_ms(clocks, timings)
    times = [_place(clock, timing, interval_ms) for clock, timing in zip(clocks, timings, strict=True)]
    return tuple(_fill_by_count(times, [len(timing.times_ms) for timing in timings]))


def cyclic_distance(first: FloatArray | float, second: FloatArray | float) -> FloatArray:
    """Return how far apart fractions of the cycle are, 0 to 0.5; shapes as numpy broadcasts them."""
    apart = np.abs(np.subtract(first, second)) % 1.0
    return np.asarray(np.minimum(apart, 1.0 - apart))


def frame_step(times: FloatArray) -> float:
    """Return the usual distance of a slice's frames, shape (frame,), in cycles; 1 for a single frame."""
    return _middle((times[1:] - times[:-1]) % 1.0) if len(times) > 1 else 1.0


def r_wave_frame(times: FloatArray) -> int:
    """Return the frame at the R wave, of times of shape (frame,).

    One shortly after the R wave is taken rather than one before it that is not less than half as far: scanners state the middle or
    the end of the time in which a frame was acquired, and in the first frame the ventricles are full.
    """
    late = np.where(times < 0.5, times, 2.0 * (1.0 - times))
    return int(np.flatnonzero(late <= late.min() + _TIE)[0])


def nearest_frame(times: FloatArray, moment: float) -> int:
    """Return the frame nearest to a moment of the cycle, the first of those that are equally near.

    Parameters
    ----------
    times
        Times of the frames, shape (frame,).
    moment
        Fraction of the cycle.
    """
    distance = cyclic_distance(times, moment)
    return int(np.flatnonzero(distance <= distance.min() + _TIE)[0])


def is_far(times: FloatArray, moment: float) -> bool:
    """Tell whether even the nearest frame, of times of shape (frame,), is too far from a moment of the cycle to show it."""
    return bool(cyclic_distance(times, moment).min() > frame_step(times) / 2 + FAR_CYCLE)


def _clock(timing: FrameTiming) -> _Clock | None:
    """Take the times of a slice, if they tell anything; those that are missing or doubled come to lie between their neighbours."""
    times = timing.times_ms
    known = np.flatnonzero(np.isfinite(times))
    if len(known) < max(2, MIN_KNOWN_TIMES * len(times)) or (np.diff(times[known]) < 0).any():
        return None
    distinct = known[np.append(True, np.diff(times[known]) > 0)]
    if len(distinct) < max(2, MIN_KNOWN_TIMES * len(times)):
        return None
    filled = _between(len(times), distinct, times[distinct])
    nominal_ms = timing.nominal_interval_ms if timing.nominal_interval_ms and timing.nominal_interval_ms > 0 else None
    if filled[-1] - filled[0] < MAX_SECONDS:
        return _Clock(1000.0 * filled, nominal_ms if nominal_ms is None or nominal_ms > MAX_SECONDS else 1000.0 * nominal_ms)
    return _Clock(filled, nominal_ms)


def _between(n_frames: int, index: IntArray, values: FloatArray) -> FloatArray:
    """Interpolate values known at ascending frames, and continue beyond both ends by the usual step; shape (frame,)."""
    frames = np.arange(n_frames)
    step = _middle(np.diff(values) / np.diff(index))
    beyond = np.minimum(frames - index[0], 0) + np.maximum(frames - index[-1], 0)
    return np.asarray(np.interp(frames, index, values) + step * beyond)


def _subject_interval_ms(clocks: Sequence[_Clock | None], timings: Sequence[FrameTiming]) -> float | None:
    """Return the RR interval that fits the subject's slices best, None if nothing tells it."""
    usable = [clock for clock in clocks if clock is not None]
    nominal = [(clock.nominal_ms, clock.share) for clock in usable if clock.nominal_ms]
    whole = [interval for interval, share in nominal if _is_within(share, WHOLE_SHARE)]
    if whole:
        return median(whole)
    fitting = [interval for interval, share in nominal if _fits(share)]
    if fitting:
        return median(fitting)
    spans = [clock.span_ms for clock in usable if _is_within(clock.span_ms, PLAUSIBLE_INTERVAL_MS)]
    rates = [timing.heart_rate_bpm for timing in timings if timing.heart_rate_bpm]
    beats = [60_000.0 / rate for rate in rates if _is_within(60_000.0 / rate, PLAUSIBLE_INTERVAL_MS)]
    if beats and all(_fits(span / median(beats)) for span in spans):
        return median(beats)
    return max(spans, default=None)


def _place(clock: _Clock | None, timing: FrameTiming, interval_ms: float | None) -> FloatArray | None:
    """Return the times of a slice's frames in the cycle, from its own times, else as its source states them."""
    if clock is not None:
        rr_ms = _interval_of(clock, interval_ms)
        if rr_ms is not None:
            start = clock.times_ms[0] if clock.times_ms[0] > MAX_DELAY * rr_ms else 0.0
            return _in_cycle((clock.times_ms - start) / rr_ms)
    if timing.stated is not None and np.isfinite(timing.stated).all() and len(distinct(timing.stated)) > 1:
        return _in_cycle(timing.stated)
    return None


def _interval_of(clock: _Clock, interval_ms: float | None) -> float | None:
    """Return the RR interval of a slice: its own where it is founded, else the subject's."""
    is_usual = interval_ms is not None and abs(clock.span_ms / interval_ms - 1) <= SAME_INTERVAL
    if clock.nominal_ms is None or not _fits(clock.share):
        is_possible = interval_ms is not None and _is_within(clock.span_ms / interval_ms, POSSIBLE_SHARE)
        return clock.span_ms if is_usual else interval_ms if is_possible else None
    is_of_another_beat = interval_ms is not None and abs(clock.nominal_ms / interval_ms - 1) > SAME_INTERVAL
    if _is_within(clock.share, WHOLE_SHARE) or (is_usual and is_of_another_beat):
        return clock.span_ms
    return clock.nominal_ms


def _fits(share: float) -> bool:
    """Tell whether frames that span this part of an RR interval can be timed by it: a part, a whole cycle, or two."""
    return _is_within(share, PLAUSIBLE_SHARE) or _is_within(share / 2, WHOLE_SHARE)


def _middle(values: FloatArray) -> float:
    """Return the value in the middle of sorted ones; of an even number the larger of two. It takes a tenth of numpy's median."""
    return float(np.sort(values)[len(values) // 2])


def _is_within(value: float, limits: tuple[float, float]) -> bool:
    return limits[0] <= value <= limits[1]


def _in_cycle(times: FloatArray) -> FloatArray:
    """Take whole cycles off times; a time that rounding errors put just below the R wave is on it."""
    fraction = times % 1.0
    return np.where(fraction > 1.0 - _TIE, 0.0, fraction)


def _fill_by_count(times: Sequence[FloatArray | None], counts: Sequence[int]) -> list[FloatArray | None]:
    """Give slices without times those of a slice with as many frames; where no slice is timed, even ones to the usual number."""
    by_count = {len(known): known for known in reversed(times) if known is not None}
    if not by_count and counts:
        usual = Counter(counts).most_common(1)[0][0]
        by_count = {usual: np.arange(usual) / usual}
    return [by_count.get(count) if known is None else known for known, count in zip(times, counts, strict=True)]
