"""Intervals of allowed numbers."""

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """Numbers from a lowest to a highest, each included or not.

    Examples
    --------
    >>> str(Interval(low=0, high=1, is_high_included=False))
    '0 or more and less than 1'
    """

    low: float = 0
    high: float = math.inf
    is_low_included: bool = True
    is_high_included: bool = True

    def __contains__(self, value: float) -> bool:
        is_above = value >= self.low if self.is_low_included else value > self.low
        return is_above and (value <= self.high if self.is_high_included else value < self.high)

    def __str__(self) -> str:
        if self.is_low_included and self.is_high_included and self.is_bounded:
            return f"{self.low:g} to {self.high:g}"
        low = f"{self.low:g} or more" if self.is_low_included else f"more than {self.low:g}"
        high = f" and {'at most' if self.is_high_included else 'less than'} {self.high:g}"
        return low + (high if self.is_bounded else "")

    @property
    def is_bounded(self) -> bool:
        """Whether there is a highest number."""
        return math.isfinite(self.high)


POSITIVE, NOT_NEGATIVE = Interval(is_low_included=False), Interval()
"""More than 0; 0 or more."""
