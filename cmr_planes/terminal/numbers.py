"""Numbers as options and arguments take them, with their unit in the help and the allowed ones in the message."""

import math
from typing import Any

import click

WHOLE, ANY = "N", "X"
"""What stands for a whole number, and for any number without a unit, in a help."""


class Number(click.ParamType[int | float]):
    """A number between two bounds.

    Parameters
    ----------
    kind
        ``int`` or ``float``.
    unit
        What stands for the number in the help: MM, PX, DEG; N or X by default.
    low, high
        The smallest and the largest allowed number.
    is_low_included
        Whether the smallest is allowed itself.
    """

    def __init__(
        self,
        kind: type[int | float],
        unit: str = "",
        *,
        low: float = -math.inf,
        high: float = math.inf,
        is_low_included: bool = True,
    ) -> None:
        self.kind, self.low, self.high, self.is_low_included = kind, low, high, is_low_included
        self.name = unit or (WHOLE if kind is int else ANY)

    @property
    def allowed(self) -> str:
        """The allowed numbers in words.

        Examples
        --------
        >>> Number(int, low=1).allowed, Number(float, low=0, high=45).allowed, Number(float, low=0, is_low_included=False).allowed
        ('1 or more', '0 to 45', 'more than 0')
        """
        if math.isinf(self.low):
            return "a number"
        if math.isfinite(self.high):
            return f"{self.low:g} to {self.high:g}"
        return f"{self.low:g} or more" if self.is_low_included else f"more than {self.low:g}"

    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str:  # noqa: ARG002  # click's signature
        """Return what stands for the number in the help."""
        return self.name

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int | float:  # noqa: ANN401  # click's signature
        """Turn what was typed into a number."""
        try:
            number = self.kind(value)
        except (ValueError, OverflowError):
            self.fail(f"must be a {'whole ' if self.kind is int else ''}number, got {value!r}", param, ctx)
        is_above = number >= self.low if self.is_low_included else number > self.low
        if not (is_above and number <= self.high):  # NaN is in no interval
            self.fail(f"must be {self.allowed}, got {value}", param, ctx)
        return number
