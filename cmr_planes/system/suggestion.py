"""Suggesting a known word for one that is not known."""

import difflib
from collections.abc import Iterable


def suggest(word: str, known: Iterable[str]) -> str:
    """Return the end of a sentence about an unknown word: the known word that is most like it, if one is.

    Examples
    --------
    >>> suggest("iteration", ["iterations", "beta"])
    "; did you mean 'iterations'?"
    >>> suggest("colour", ["iterations", "beta"])
    ''
    """
    close = difflib.get_close_matches(word, [*known], n=1)
    return f"; did you mean {close[0]!r}?" if close else ""
