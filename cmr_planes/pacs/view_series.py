"""Which series of a study views are made from, by the choice of ``extract`` itself, on headers alone."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from cmr_planes.cine.series_names import NameTable
from cmr_planes.dicom.frames import FileRef, FrameHeader
from cmr_planes.dicom.pixel_format import StoredImage
from cmr_planes.dicom.pixels import PixelReader
from cmr_planes.discovery.subjects import SubjectSource
from cmr_planes.errors import CmrPlanesError, Finding, PacsError
from cmr_planes.extraction.dicom_reader import DicomSlice, open_dicom
from cmr_planes.extraction.options import ExtractOptions

GetImage = Callable[[FrameHeader], Path]
"""Returns the file of the instance that a frame is of, with its pixels; raises UnreadablePixelsError where there are none."""


@dataclass(frozen=True, slots=True)
class SeriesChoice:
    """The series that views are made from."""

    series_uids: frozenset[str]
    """Empty if there is no view."""
    findings: tuple[Finding, ...]
    """Why views are missing."""


class _FetchingReader(PixelReader):
    """Reads frames whose files have no pixels yet: it gets them first."""

    def __init__(self, get_image: GetImage) -> None:
        super().__init__()
        self._get_image = get_image

    def read(self, frames: Sequence[FrameHeader]) -> list[StoredImage]:
        """Read the images of frames; as :meth:`PixelReader.read`."""
        return super().read([replace(frame, file=FileRef(self._get_image(frame))) for frame in frames])


def choose_series(folder: Path, names: NameTable, get_image: GetImage) -> SeriesChoice:
    """Choose the series that ``extract`` takes its views from.

    Parameters
    ----------
    folder
        The study's headers, as files with or without pixels.
    names
        What series names mean.
    get_image
        Gets the pixels of an instance, where headers leave the choice open.

    Returns
    -------
        The series, and what was found.

    Raises
    ------
    PacsError
        An image that is needed for the choice cannot be fetched.
    """
    source = SubjectSource(key="study", participant="study", paths=(folder,), root=folder)
    try:
        with open_dicom(source, ExtractOptions(names=names), (), lambda: _FetchingReader(get_image)) as views:
            slices = [one for chosen in views.views.values() for one in chosen if isinstance(one, DicomSlice)]
            series = frozenset(frame.series_uid for one in slices for frame in one.cine.frames)
            return SeriesChoice(series, (*views.missing.values(), *(one for one in views.findings if one.is_rejection)))
    except PacsError:
        raise
    except CmrPlanesError as error:
        return SeriesChoice(frozenset(), (Finding("", error.code, str(error)),))
