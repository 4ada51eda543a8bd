"""Whose annotation files are: by the names of folders and files."""

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence

from cmr_planes.annotations.files import LabelFile
from cmr_planes.annotations.model import LabelFormat
from cmr_planes.nifti.file_names import parse_label_name
from cmr_planes.system.names import stem_of

_AFTER_KEY = re.compile(r"[_.\-\s]")


def assign_files(
    files: Sequence[LabelFile],
    keys: Iterable[str],
    participants: Mapping[str, str],
    spellings: Callable[[str], Sequence[str]] = lambda name: (name,),
) -> dict[str, list[LabelFile]]:
    """Give every subject its annotation files.

    Parameters
    ----------
    files
        The files under LABELS.
    keys
        The catalogue's subjects.
    participants
        The person of each key.
    spellings
        The keys and persons that a name in LABELS may stand for: itself, or its pseudonyms.

    Returns
    -------
        Files by key. A file is a subject's if a folder, the zip or the file bears its name, or begins with its name and a
        separator; failing that, if it bears the name of the person, when every visit of the person gets it and geometry decides. A
        single file or folder without any name goes to the only subject there is.
    """
    by_name: defaultdict[str, list[str]] = defaultdict(list)
    subjects = list(keys)
    for key in subjects:
        by_name[key].append(key)
    visits: defaultdict[str, list[str]] = defaultdict(list)
    for key in subjects:
        visits[participants.get(key, key)].append(key)
    assigned: defaultdict[str, list[LabelFile]] = defaultdict(list)
    for file in files:
        owners = _owners(file, by_name, spellings) or _owners(file, visits, spellings)
        if not owners and len(subjects) == 1:
            owners = subjects
        for key in owners:
            assigned[key].append(file)
    return {key: _labels_only(assigned[key]) for key in subjects if key in assigned}


def _owners(file: LabelFile, names: Mapping[str, Sequence[str]], spellings: Callable[[str], Sequence[str]]) -> Sequence[str]:
    """Return the keys that a file's path names, the longest name of the innermost part first."""
    for part in reversed(file.parts):
        stem = stem_of(part)
        candidates = [stem, *(stem[: match.start()] for match in reversed(list(_AFTER_KEY.finditer(stem))))]
        for spelling in (spelling for candidate in candidates for spelling in spellings(candidate)):
            if spelling in names:
                return names[spelling]
    return ()


def _labels_only(files: Sequence[LabelFile]) -> list[LabelFile]:
    """Leave out NIfTI images that lie beside label maps, and automatic maps (``seg_``) beside manual ones (``label_``)."""
    volumes = [file for file in files if file.label_format is LabelFormat.NIFTI]
    labels = [file for file in volumes if parse_label_name(file.stem).is_label]
    manual = [file for file in labels if file.stem.lower().startswith("label_")]
    kept = {id(file) for file in manual or labels or volumes}
    return [file for file in files if file.label_format is not LabelFormat.NIFTI or id(file) in kept]
