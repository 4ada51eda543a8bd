"""Names like those of BIDS (Brain Imaging Data Structure), which has no text for cardiac MR yet.

:data:`VIEW_LABELS`, the folder ``cmr``, the entities ``view``, ``phase`` and ``slice`` and the suffix ``cine`` are ours until then.
"""

import importlib.metadata
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

from cmr_planes.errors import ExportError
from cmr_planes.exports.names import MAX_LENGTH, first_equal
from cmr_planes.exports.series import ImageSeries
from cmr_planes.exports.ukbb import label_sidecar
from cmr_planes.exports.volumes import Volume, image_file, json_bytes, label_file, sidecar, volumes_of
from cmr_planes.views import CardiacView, Structure

VIEW_LABELS = {
    CardiacView.SAX: "sax",
    CardiacView.TWO_CHAMBER: "2ch",
    CardiacView.THREE_CHAMBER: "3ch",
    CardiacView.FOUR_CHAMBER: "4ch",
}
"""Label of the entity ``view``."""

LABEL_FOLDER = "derivatives/manual"
"""Where manual label maps lie."""

_VERSION = "1.10.0"
_CLASSES = {structure: int(structure) for structure in Structure if structure}
_README = """Cardiac MR images, exported by cmr-planes.

BIDS has no text for cardiac MR yet. Until then these names are ours: the folder 'cmr', the entities 'view' (sax, 2ch, 3ch, 4ch),
'phase' (ED, ES; none for a whole cine) and 'slice' (where slices are no regular stack), and the suffix 'cine'. Validators skip what
.bidsignore lists. Manual label maps are in derivatives/manual; desc-manual_dseg.tsv names their values.
"""


def bids_names(participants: Mapping[str, str]) -> dict[str, str]:
    """Return the folder of each subject: ``sub-<participant>``, with ``/ses-<visit>`` where its key says more than the participant.

    Parameters
    ----------
    participants
        The participant of each subject.

    Raises
    ------
    ExportError
        Two subjects would have the same folder, or a name is too long.

    Examples
    --------
    >>> bids_names({"9000001_2": "9000001", "SYN-0001": "SYN-0001"})
    {'9000001_2': 'sub-9000001/ses-2', 'SYN-0001': 'sub-SYN0001'}
    """
    rest = {key: _label(key.removeprefix(person)) if key != person else "" for key, person in participants.items()}
    without = {participants[key] for key, visit in rest.items() if not visit}
    n_visits = Counter(participants.values())
    names = {}
    for key, person in participants.items():
        visit = _label(key) if person in without and n_visits[person] > 1 else rest[key]
        names[key] = f"sub-{_label(person) or 'x'}" + (f"/ses-{visit}" if visit else "")
    pair = first_equal(names.values())
    if pair is not None:
        raise ExportError(
            f"subjects {pair[0]} and {pair[1]} of the export would have the same BIDS name, which holds letters and digits "
            "only; rename one of their folders and extract again, or export them into different folders"
        )
    if any(len(name) > MAX_LENGTH for name in names.values()):
        raise ExportError(f"a subject's key is longer than {MAX_LENGTH} characters; extract with pseudonyms, or rename its folder")
    return names


def _label(text: str) -> str:
    """Return what BIDS allows in a label: letters and digits."""
    return re.sub("[^A-Za-z0-9]", "", text)


def bids_files(name: str, series: ImageSeries) -> Iterator[tuple[str, bytes]]:
    """Return the files of one view of one subject.

    Parameters
    ----------
    name
        The subject's folder, of :func:`bids_names`.
    series
        The view's images, and labels where it has any.

    Yields
    ------
        Path and content of each file.
    """
    for volume in volumes_of(series):
        for phase in [None] if series.is_cine else range(len(series.phases)):
            stem = _stem(name, series, volume, phase)
            yield f"{stem}_cine.nii.gz", image_file(series, volume, phase)
            yield f"{stem}_cine.json", sidecar(series, volume, phase)
            if series.labels is None or not series.labels.annotated[slice(None) if phase is None else phase, volume.slices].any():
                continue
            labels = series.labels.labels if phase is None else series.labels.labels[phase]
            stem = f"{LABEL_FOLDER}/{stem}_desc-manual_dseg"
            yield f"{stem}.nii.gz", label_file(series, volume, labels)
            yield f"{stem}.json", label_sidecar(series.labels, _CLASSES, phase, volume.slices)


def _stem(name: str, series: ImageSeries, volume: Volume, phase: int | None) -> str:
    """Return the path of an image without suffix."""
    entities = [name.replace("/", "_"), f"view-{VIEW_LABELS[series.view]}"]
    entities += [] if phase is None else [f"phase-{series.phases[phase].upper()}"]
    entities += [f"slice-{volume.first:02d}"] if volume.slice_name else []
    return f"{name}/cmr/{'_'.join(entities)}"


def root_files(names: Mapping[str, str], *, has_labels: bool) -> dict[str, bytes]:
    """Return the files that describe a data set of these subjects."""
    people = sorted({name.partition("/")[0] for name in names.values()})
    files = {
        "dataset_description.json": _description("raw"),
        "participants.tsv": "\n".join(["participant_id", *people, ""]).encode(),
        "README": _README.encode(),
        ".bidsignore": b"cmr/\n**/cmr/\n",
    }
    if has_labels:
        rows = ["index\tname", *(f"{value}\t{structure.title}" for structure, value in _CLASSES.items()), ""]
        files[f"{LABEL_FOLDER}/dataset_description.json"] = _description("derivative")
        files[f"{LABEL_FOLDER}/desc-manual_dseg.tsv"] = "\n".join(rows).encode()
    return files


def _description(kind: str) -> bytes:
    software = {"Name": "cmr-planes", "Version": importlib.metadata.version("cmr-planes")}
    return json_bytes(
        {"Name": "Cardiac MR exported by cmr-planes", "BIDSVersion": _VERSION, "DatasetType": kind, "GeneratedBy": [software]}
    )


def check_alone(out: Path, entries: set[str]) -> None:
    """Raise ExportError where ``out`` has subjects or label maps that are not of an export; its tables would not list them."""
    found = {path.name for path in out.glob("sub-*")} | {LABEL_FOLDER for _ in out.glob(LABEL_FOLDER)}
    others = found - entries
    if others:
        raise ExportError(
            f"{str(out)!r} holds subjects or label maps that are not of this export ({len(others)}), and the tables of a BIDS "
            "folder list all that it has; choose another folder, or export all subjects together"
        )
