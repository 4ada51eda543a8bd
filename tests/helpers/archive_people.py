"""Archives of several persons: who lies where, with which identifiers. ``persons`` are small studies with pixel [0, 2] = person."""

import io
import warnings
import zipfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import pydicom

from cmr_planes.phantom.dicom_writer import write_cine
from cmr_planes.shards.catalogue import Catalogue
from tests.helpers.cohorts import small_study

N_FRAMES = 4
"""Enough for a cine, whose end-systole no test here asks for."""

Changes = Mapping[str, Any]
"""Attributes to set; a callable is given the numbers of the series and of the frame."""


@cache
def person(number: int) -> dict[str, list[bytes]]:
    """Return the files of one person by folder name (``003``, …): six series, other planes for each person."""
    study = small_study(f"SYN-{number:04d}", translation_mm=(4 * number, 0, 0), n_frames=N_FRAMES)
    series = {}
    for one in study.series.values():
        one.frames[:, 0, 2] = number
        series[f"{one.number:03d}"] = [file.data for file in write_cine(study.study, one)]
    return series


def known(number: int, **changes: Any) -> Changes:
    """PatientID and moment of the study of a person, as hospitals write them."""
    return {"PatientID": f"X{number}", "StudyDate": f"2020{number:02d}01", "StudyTime": f"1{number}0000", **changes}


NOTHING = dict.fromkeys(("PatientID", "StudyDate", "StudyTime", "StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID"), "")


def rewritten(number: int, **changes: Any) -> Sequence[tuple[str, int, bytes]]:
    """Return folder, frame number and bytes of each file of a person, with changed attributes."""
    return _rewritten(number, tuple(changes.items()))


@lru_cache(maxsize=64)
def _rewritten(number: int, changes: tuple[tuple[str, Any], ...]) -> list[tuple[str, int, bytes]]:
    return [
        (name, frame, _changed(data, int(name), frame, changes) if changes else data)
        for name, files in person(number).items()
        for frame, data in enumerate(files)
    ]


def _changed(data: bytes, series: int, frame: int, changes: tuple[tuple[str, Any], ...]) -> bytes:
    dataset = pydicom.dcmread(io.BytesIO(data))
    for keyword, value in changes:
        setattr(dataset, keyword, value(series, frame) if callable(value) else value)
    stream = io.BytesIO()
    dataset.save_as(stream, enforce_file_format=True)
    return stream.getvalue()


def write_flat(folder: Path, number: int, **changes: Any) -> None:
    """Write a person's files into one folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, frame, data in rewritten(number, **changes):
        (folder / f"P{number}_{name}_{frame:02d}").write_bytes(data)


def write_series(folder: Path, number: int, keep: Callable[[str], bool] = lambda _: True, **changes: Any) -> None:
    """Write a person's files into a folder, one subfolder per series."""
    for name, frame, data in rewritten(number, **changes):
        if keep(name):
            (folder / name).mkdir(parents=True, exist_ok=True)
            (folder / name / f"IM{frame:04d}").write_bytes(data)


def write_zip(path: Path, members: Iterable[tuple[str, bytes]]) -> Path:
    """Write a zip; equal names are allowed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
        warnings.catch_warnings(action="ignore"),
    ):
        for name, data in members:
            archive.writestr(name, data)
    return path


def members(number: int, prefix: str = "", **changes: Any) -> Iterable[tuple[str, bytes]]:
    """Yield zip members of a person."""
    return ((f"{prefix}{name}/IM{frame:04d}.dcm", data) for name, frame, data in rewritten(number, **changes))


def owners(catalogue: Path) -> dict[str, set[int]]:
    """Return the persons whose pixels each subject of a catalogue has; an empty set for one that was left out."""
    with Catalogue(catalogue) as opened:
        found: dict[str, set[int]] = {key: set() for key in opened.subjects().key}
        for image in opened.images():
            found[image.subject].add(int(image.image[0, 2]))
    return found


def participants(catalogue: Path) -> dict[str, str]:
    """Return the participant of each subject."""
    with Catalogue(catalogue) as opened:
        subjects = opened.subjects()
        return dict(zip(subjects.key, subjects.participant, strict=True))


def rejections(catalogue: Path) -> dict[tuple[str, str], str]:
    """Return the sentences of what was left out, by subject and code."""
    with Catalogue(catalogue) as opened:
        return {(finding.subject, finding.code.value): finding.sentence for finding in opened.rejections()}


def notes(catalogue: Path) -> dict[tuple[str, str], str]:
    """Return the sentences of what was noted, by subject and code."""
    with Catalogue(catalogue) as opened:
        return {(finding.subject, finding.code.value): finding.sentence for finding in opened.notes()}
