"""What is to be segmented, as a catalogue."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import cmr_planes
from cmr_planes.errors import RejectionCode, SourceError
from cmr_planes.shards.catalogue import Catalogue
from cmr_planes.system.names import PathLike
from cmr_planes.system.progress import OnProgress
from cmr_planes.views import CardiacView, PhaseChoice

NO_DICOM_CODES = (RejectionCode.NO_DICOM, RejectionCode.UNREADABLE_SOURCE)
"""Codes of subjects none of whose files is DICOM, such as the texts beside the images of a public set."""


@contextmanager
def opened_sources(
    sources: PathLike | Sequence[PathLike], view: CardiacView, phases: PhaseChoice, folder: Path, on_extract: OnProgress
) -> Iterator[Catalogue]:
    """Open a catalogue, or extract one view of scans into a temporary catalogue.

    Parameters
    ----------
    sources
        A catalogue (``.h5``); or folders and zips of DICOM files, or folders of NIfTI images.
    view, phases
        What is extracted.
    folder
        Where the temporary catalogue lies; made if it does not exist.
    on_extract
        Called with the number of subjects read.

    Raises
    ------
    SourceError
        A source holds no subject.
    ShardError
        The catalogue cannot be read.
    OSError
        The folder cannot be made.
    """
    stored = as_catalogue(sources)
    if stored is not None:
        with Catalogue(stored) as catalogue:
            yield catalogue
        return
    paths = _paths(sources)
    folder.mkdir(parents=True, exist_ok=True)
    options = cmr_planes.ExtractOptions(views=(view,), phases=phases, keep_all=True)
    with (
        TemporaryDirectory(prefix=".extracted-", dir=folder) as temporary,
        _extract(paths, Path(temporary), options, on_extract).open() as catalogue,
    ):
        yield catalogue


def as_catalogue(sources: PathLike | Sequence[PathLike]) -> Path | None:
    """Return the path of a catalogue, None where the sources are scans."""
    paths = _paths(sources)
    return paths[0] if len(paths) == 1 and paths[0].suffix == ".h5" else None


def _paths(sources: PathLike | Sequence[PathLike]) -> list[Path]:
    return [Path(sources)] if isinstance(sources, str | os.PathLike) else [Path(source) for source in sources]


def _extract(
    sources: Sequence[Path], folder: Path, options: cmr_planes.ExtractOptions, on_extract: OnProgress
) -> cmr_planes.ExtractSummary:
    """Extract DICOM files; or NIfTI images, where there are some and no other file is DICOM. Raises SourceError."""

    def read(kind: str, chosen: cmr_planes.ExtractOptions) -> cmr_planes.ExtractSummary:
        (folder / kind).mkdir()
        return cmr_planes.extract(sources, folder / kind / "out.h5", chosen, workers=1, on_progress=on_extract)

    found: cmr_planes.ExtractSummary | SourceError
    try:
        found = read("dicom", options)
    except SourceError as error:
        found = error
    if not isinstance(found, SourceError) and _has_dicom(found):
        return found
    try:
        return read("nifti", replace(options, nifti=True))
    except SourceError:
        if isinstance(found, SourceError):
            raise found from None
        return found


def _has_dicom(summary: cmr_planes.ExtractSummary) -> bool:
    """Tell whether any file of any subject was DICOM."""
    contents = summary.contents
    return contents.n_used > 0 or any(code not in NO_DICOM_CODES for code, _ in contents.subject_codes)
