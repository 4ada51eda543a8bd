"""JSON as text that is equal for equal values."""

import json
from collections.abc import Mapping, Sequence
from math import isnan
from typing import Any, TypeAlias

JSON: TypeAlias = "str | int | float | bool | Sequence[JSON] | Mapping[str, JSON] | None"
"""A value that JSON can hold."""


def canonical_json(value: Mapping[str, JSON]) -> str:
    """Write JSON so that equal values give equal text."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def readable_json(value: Any, encoding: str = "utf-8") -> str:  # noqa: ANN401  # whatever JSON can hold
    """Write JSON for people and programs, indented; NaN, which JSON cannot hold, becomes null.

    Parameters
    ----------
    value
        What to write.
    encoding
        Of the stream to which it goes; where it lacks a character, all but ASCII is written as JSON's escapes.

    Raises
    ------
    ValueError
        A number is infinite.

    Examples
    --------
    >>> print(readable_json({"dice": float("nan"), "n": 2}))
    {
      "dice": null,
      "n": 2
    }
    """
    text = json.dumps(_nan_to_null(value), indent=2, ensure_ascii=False, allow_nan=False)
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return json.dumps(_nan_to_null(value), indent=2, allow_nan=False)
    return text


def _nan_to_null(value: Any) -> Any:  # noqa: ANN401  # as above
    if isinstance(value, Mapping):
        return {key: _nan_to_null(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_nan_to_null(item) for item in value]
    return None if isinstance(value, float) and isnan(value) else value
