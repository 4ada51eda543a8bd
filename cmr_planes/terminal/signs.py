"""Streams whose encoding lacks a sign: a plain one or an escape is written in its place, instead of an error."""

import codecs
import io
import sys

_ERRORS = "cmr_planes.plain_signs"
_PLAIN = {"×": "x", "–": "-", "—": "-", "·": "|", "…": "...", "±": "+-", "━": "=", "╸": "=", "╺": " ", "─": "-"}
"""What is written where an encoding lacks a sign of tables and progress."""


def use_plain_signs() -> None:
    """Let stdout and stderr of this process write whatever they are given."""
    codecs.register_error(_ERRORS, _plain)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=_ERRORS)


def _plain(error: UnicodeError) -> tuple[str, int]:
    """Return what stands in for signs that cannot be written, and where to continue; see :func:`codecs.register_error`."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    signs = error.object[error.start : error.end]
    return "".join(_PLAIN.get(sign) or sign.encode("ascii", "backslashreplace").decode() for sign in signs), error.end
