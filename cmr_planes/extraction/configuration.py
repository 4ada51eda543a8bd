"""What must be equal for a run to resume an output, and the words for what differs."""

import importlib.metadata
from collections.abc import Mapping

from cmr_planes.extraction.options import ExtractOptions
from cmr_planes.system.json_text import JSON

VERSION_FIELD, CONFIGURATION_FIELD = "cmr_planes_version", "configuration"

SAME_RESULTS = ("0.1.0", "1.0.0")
"""Releases that make equal images and positions of equal files and options: each resumes the outputs of the others.

The last one is this release; one that makes others stands here alone.
"""

MAX_SHOWN = 60
"""Characters of an option's value that a sentence quotes; a longer one is no value of ours."""

_IN_FULL = {
    "names": "another table of series names",
    "planes": "another table of planes",
    "annotations": "other annotations, or other meanings of their values",
    "nifti": "another kind of sources (DICOM, NIfTI)",
}
"""Options whose values are too long to quote."""

_LATER: dict[str, JSON] = {"align": False}
"""Options that stand in a configuration only where they differ from this."""


def identity(options: ExtractOptions) -> dict[str, JSON]:
    """Return what must be equal for a run to resume an output."""
    return {VERSION_FIELD: importlib.metadata.version("cmr-planes"), CONFIGURATION_FIELD: options.to_json()}


def differences(stored: Mapping[str, JSON], wanted: Mapping[str, JSON]) -> tuple[str, ...]:
    """Name what differs between two identities, each as part of a sentence; nothing if they are equal.

    Parameters
    ----------
    stored
        Of the run that made the output.
    wanted
        Of this run.

    Examples
    --------
    >>> differences({"configuration": {"keep_all": False, "box": 11}}, {"configuration": {"keep_all": True, "box": 9}})
    ('--keep-all off, not on', '--box 11, not 9')
    >>> differences({"configuration": {"names": ""}}, {"configuration": {"names": "[views]..."}})
    ('another table of series names',)
    """
    made_by, this = stored.get(VERSION_FIELD), wanted.get(VERSION_FIELD)
    if made_by != this and not (made_by in SAME_RESULTS and this in SAME_RESULTS):
        return (f"cmr-planes {_shown(made_by)}, not {_shown(this)}",)
    before, now = stored.get(CONFIGURATION_FIELD), wanted.get(CONFIGURATION_FIELD)
    if not (isinstance(before, Mapping) and isinstance(now, Mapping)):
        return () if before == now else ("other options",)
    before, now = {**_LATER, **before}, {**_LATER, **now}
    if before.keys() != now.keys():
        return ("another release of cmr-planes, which had other options",)
    return tuple(_difference(name, before.get(name), value) for name, value in now.items() if before.get(name) != value)


def _difference(name: str, before: JSON, now: JSON) -> str:
    """Say how an option differs, in the words of the command line."""
    option = f"--{name.replace('_', '-')}"
    if name not in _IN_FULL:
        return f"{option} {_shown(before)}, not {_shown(now)}"
    if before is None or now is None:
        return f"no {option}" if before is None else f"{option}, which this command lacks"
    return _IN_FULL[name]


def _shown(value: JSON) -> str:
    """Return an option's value as a user gives it."""
    if value is None or isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, float):
        return f"{value:g}"
    text = ",".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
    return text if text.isprintable() and len(text) <= MAX_SHOWN else "something unreadable"
