"""A small study whose headers can be spoilt file by file; the truth is in two pixels that no search examines."""

import copy
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache
from io import BytesIO
from pathlib import Path

import h5py
import hdf5plugin  # noqa: F401  # registers the filter
import numpy as np
import pydicom
from pydicom.dataset import Dataset

from cmr_planes.fates import Fate, PlaneFate
from cmr_planes.phantom.dicom_model import make_uid
from cmr_planes.phantom.dicom_writer import write_cine
from cmr_planes.shards.catalogue import Catalogue
from tests.helpers.cohorts import extract, small_study

N_FRAMES = 12
RIGHT, OTHER = 1, 5
"""Marks of acquisitions: the one that a careful reader uses, and one that is not to be used."""


@dataclass(slots=True, eq=False)
class File:
    """One image of the study."""

    series: str
    """``sax1`` to ``sax3``, ``2ch``, ``3ch``, ``4ch``."""
    place: int
    """The frame's place in the cycle, from 0."""
    header: Dataset
    folder: str = ""

    def set(self, **attributes: object) -> None:
        """Set attributes; None deletes one."""
        for keyword, value in attributes.items():
            if value is None:
                if keyword in self.header:
                    delattr(self.header, keyword)
            else:
                setattr(self.header, keyword, value)


@dataclass(slots=True, eq=False)
class Files:
    """The images of one person's study."""

    files: list[File] = field(default_factory=list)

    def of(self, *series: str) -> list[File]:
        """Return the files of some series, or of those whose name begins so; all of them for none."""
        return [file for file in self.files if file.series.startswith(series or ("",))]

    def again(self, *series: str, places: Iterable[int] = range(N_FRAMES), own_series: bool = True) -> list[File]:
        """Add copies of images under other UIDs, marked as another acquisition; a later one in a series of its own, or not."""
        copies = []
        for file in [file for file in self.of(*series) if file.place in places]:
            again = File(file.series, file.place, copy.deepcopy(file.header))
            again.header.SOPInstanceUID = make_uid("again", file.header.SOPInstanceUID, str(len(self.files)))
            mark(again, OTHER)
            if own_series:
                again.header.SeriesInstanceUID = make_uid("again", file.header.SeriesInstanceUID)
                again.header.SeriesNumber = str(int(file.header.SeriesNumber) + 100)
                again.header.AcquisitionTime = "233000.00"
            self.files.append(again)
            copies.append(again)
        return copies

    def write(self, folder: Path) -> Path:
        """Write all images, in names that follow neither time nor series."""
        for index, file in enumerate(self.files):
            path = folder / "p1" / file.folder / f"{(index * 7919) % 100_003:06d}.dcm"
            path.parent.mkdir(parents=True, exist_ok=True)
            if "SOPInstanceUID" in file.header:
                file.header.file_meta.MediaStorageSOPInstanceUID = file.header.SOPInstanceUID
            file.header.save_as(path, enforce_file_format=True)
        return folder


def study_files() -> Files:
    """Return a study of three short-axis slices and three long-axis views, a series each."""
    return Files([File(series, place, pydicom.dcmread(BytesIO(data))) for series, place, data in _encoded()])


@cache
def _encoded() -> list[tuple[str, int, bytes]]:
    """Encode the study once: reading it again takes less than copying its headers."""
    study = small_study(n_frames=N_FRAMES)
    encoded = []
    for name, series in study.series.items():
        for place, written in enumerate(write_cine(study.study, series)):
            file = File(name, place, pydicom.dcmread(BytesIO(written.data)))
            mark(file, RIGHT)
            stream = BytesIO()
            file.header.save_as(stream, enforce_file_format=True)
            encoded.append((name, place, stream.getvalue()))
    return encoded


def mark(file: File, acquisition: int) -> None:
    """Write the truth into the first two pixels: the acquisition, and the frame's number from 1."""
    pixels = np.frombuffer(file.header.PixelData, "<u2").copy()
    pixels[:2] = acquisition, file.place + 1
    file.header.PixelData = pixels.tobytes()


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """What extraction made of a study."""

    exit_code: int
    acquisitions: dict[str, set[int]]
    """By view: the marks of the acquisitions whose images are stored."""
    frames: dict[str, list[list[int]]]
    """By view: the true frame number of each phase and slice."""
    notes: list[tuple[str, str]]
    """Code and sentence of each note."""
    rejections: list[tuple[str, str]]
    fates: list[PlaneFate]
    """What became of each plane that was not used."""

    def note(self, code: str) -> str:
        """Return the sentences of a code, joined; empty if there is none."""
        return "\n".join(sentence for known, sentence in self.notes if known == code)


def outcome(files: Files, folder: Path, *options: object) -> Outcome:
    """Write a study and extract it."""
    return extracted(files.write(folder / "source"), folder / "out.h5", *options)


def extracted(source: Path, out: Path, *options: object) -> Outcome:
    """Extract what lies in a folder."""
    result = extract(source, out, *options)
    acquisitions, frames = {}, {}
    with h5py.File(out) as file:
        for subject in file["data"].values():
            for view, group in subject.items():
                acquisitions[view] = set(np.unique(group["image"][:, :, 0, 0]).tolist())
                frames[view] = group["image"][:, :, 0, 1].tolist()
    with Catalogue(out) as catalogue:
        return Outcome(
            exit_code=result.exit_code,
            acquisitions=acquisitions,
            frames=frames,
            notes=[(note.code.value, note.sentence) for note in catalogue.notes()],
            rejections=[(row.code.value, row.sentence) for row in catalogue.rejections()],
            fates=[row for row in catalogue.planes().fates if row.fate is not Fate.USED],
        )
