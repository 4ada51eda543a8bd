"""Subjects without images: which they are, and whether their files changed since."""

import json
from collections.abc import Collection, Mapping
from pathlib import Path

from cmr_planes.discovery.copies import fingerprint
from cmr_planes.discovery.subjects import SubjectSource
from cmr_planes.errors import ShardError
from cmr_planes.shards.catalogue import Catalogue
from cmr_planes.system.json_text import canonical_json
from cmr_planes.system.whole_file import sealed

STATES_NAME = "left_out.json"
"""Among the shards: what the files of subjects without images were when they were read."""


def subjects_without_images(out: Path) -> frozenset[str]:
    """Return the keys of a catalogue's subjects that have no images; none without a readable catalogue."""
    if not out.exists():
        return frozenset()
    try:
        with Catalogue(out) as catalogue:
            subjects = catalogue.subjects()
    except ShardError:
        return frozenset()
    return frozenset(key for key, n_images in zip(subjects.key, subjects.n_images.tolist(), strict=True) if not n_images)


def read_states(folder: Path) -> dict[str, str]:
    """Return the :func:`fingerprint` of the files of subjects without images, as they were; empty where that is not known."""
    try:
        stored = json.loads((folder / STATES_NAME).read_text(encoding="utf-8"))
        return {str(key): str(state) for key, state in stored.items()}
    except (OSError, ValueError, AttributeError):
        return {}


def write_states(
    folder: Path, left_out: Collection[str], processed: Collection[str], sources: Mapping[str, SubjectSource], salt: str
) -> None:
    """Write down what the files of subjects without images are.

    Parameters
    ----------
    folder
        The folder of the shards.
    left_out
        The subjects.
    processed
        The subjects that were processed just now, whose earlier state no longer counts.
    sources
        Where the files of subjects lie that are in the sources now.
    salt
        Salt of the fingerprints.
    """
    states = {key: state for key, state in read_states(folder).items() if key in left_out and key not in processed}
    states |= {key: fingerprint(sources[key].paths, salt) for key in sorted(left_out) if key not in states and key in sources}
    path = folder / STATES_NAME
    if not states:
        path.unlink(missing_ok=True)
        return
    with sealed(path) as stream:
        stream.write(canonical_json(dict(sorted(states.items()))).encode())
