"""Counts, times and measured values as both programs print them."""

from collections.abc import Iterable
from math import isnan

NO_VALUE = "–"
"""Stands in a table where there is no value."""


def counted(count: int, noun: str, plural: str = "") -> str:
    """Print a number of things.

    Parameters
    ----------
    count
        How many.
    noun
        One of them.
    plural
        Several of them; by default the noun with an s.

    Examples
    --------
    >>> counted(1, "subject"), counted(1200, "subject"), counted(2, "study", "studies")
    ('1 subject', '1,200 subjects', '2 studies')
    """
    return f"{count:,} {noun if count == 1 else plural or f'{noun}s'}"


def part(count: int, total: int, noun: str, plural: str = "") -> str:
    """Print how many of some things.

    Examples
    --------
    >>> part(1, 12, "image"), part(1, 1, "image")
    ('1 of 12 images', '1 of 1 image')
    """
    return f"{count:,} of {counted(total, noun, plural)}"


def either(count: int, one: str, several: str) -> str:
    """Return the word that goes with a number of things, such as the verb behind them.

    Examples
    --------
    >>> [f"{counted(n, 'image')} {either(n, 'is', 'are')} there" for n in (1, 2)]
    ['1 image is there', '2 images are there']
    """
    return one if count == 1 else several


def file_size(n_bytes: int) -> str:
    """Print the size of files.

    Examples
    --------
    >>> file_size(740), file_size(31_400), file_size(3_240_000), file_size(1_790_000_000)
    ('740 bytes', '31 kB', '3.2 MB', '1,790 MB')
    """
    if n_bytes >= 1e6:
        return f"{n_bytes / 1e6:,.{1 if n_bytes < 1e7 else 0}f} MB"
    return f"{n_bytes / 1e3:.0f} kB" if n_bytes >= 1e3 else counted(n_bytes, "byte")


def listed(words: Iterable[str]) -> str:
    """Join words as in a sentence.

    Examples
    --------
    >>> listed(["LV"]), listed(["LV", "Myo", "RV"])
    ('LV', 'LV, Myo and RV')
    """
    *first, last = words
    return f"{', '.join(first)} and {last}" if first else last


def duration(seconds: float) -> str:
    """Print a length of time.

    Examples
    --------
    >>> duration(4.26), duration(42.3), duration(3723)
    ('4.3 s', '42 s', '1 h 02 min')
    """
    if seconds < 120:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60:,} h {minutes % 60:02} min"


def clock(seconds: float) -> str:
    """Print a length of time as a clock does.

    Examples
    --------
    >>> clock(4.26), clock(134), clock(3723), clock(400_000)
    ('0:04', '2:14', '1:02:03', '4.6 days')
    """
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours >= 48:
        return f"{seconds / 86_400:,.1f} days"
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def decimals(value: float | None, digits: int, *, signed: bool = False) -> str:
    """Print a measured value with a fixed number of decimals, or a dash for None and NaN; zero has no sign.

    Examples
    --------
    >>> decimals(0.8964, 2), decimals(0.8964, 2, signed=True), decimals(None, 2), decimals(float("nan"), 2)
    ('0.90', '+0.90', '–', '–')
    >>> decimals(-0.0004, 2), decimals(0.0004, 2, signed=True)
    ('0.00', '0.00')
    """
    if value is None or isnan(value):
        return NO_VALUE
    text = f"{value:z.{digits}f}"
    return f"+{text}" if signed and float(text) > 0 else text
