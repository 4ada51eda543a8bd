"""Whole cines read from the files that a catalogue was extracted from, once it is certain that they are the same."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from cmr_planes.cine.frame_choice import choose_frames, time_views
from cmr_planes.cine.phases import CyclePhases
from cmr_planes.discovery.naming import NONE_KNOWN
from cmr_planes.discovery.pseudonyms import Pseudonyms
from cmr_planes.errors import CmrPlanesError, ExportError, SourceError
from cmr_planes.exports.series import ImageSeries, series_of
from cmr_planes.extraction.options import check_pseudonym_key, source_options
from cmr_planes.extraction.source_format import format_of
from cmr_planes.extraction.subject import view_record
from cmr_planes.extraction.subject_views import ReadSlice, SubjectViews
from cmr_planes.shards.catalogue import Catalogue
from cmr_planes.system.text import counted
from cmr_planes.views import STORED_VIEWS, TARGET_VIEWS, CardiacView, PhaseChoice

PLANE_TOLERANCE_MM = 1e-4
"""How far a slice of the catalogue and one of the source may lie apart to be the same: rounding only."""


class CineSource:
    """The sources of a catalogue.

    Parameters
    ----------
    catalogue
        The catalogue.
    sources
        Folders, zips or files, as for the extraction.
    pseudonyms
        Those with which the catalogue was made, None for none.

    Raises
    ------
    SourceError
        The sources hold none of the catalogue's subjects.
    ShardError
        The catalogue was made with other pseudonyms.
    ExportError
        The catalogue has whole cines itself.
    """

    def __init__(self, catalogue: Catalogue, sources: Sequence[Path], pseudonyms: Pseudonyms | None) -> None:
        configuration = catalogue.configuration()
        check_pseudonym_key(catalogue.path, configuration, pseudonyms)
        if configuration.get("phases") == PhaseChoice.ALL:
            raise ExportError(f"{str(catalogue.path)!r} holds whole cines itself; leave the sources out")
        self._options = source_options(configuration, pseudonyms)
        self._format = format_of(self._options)
        found = self._format.find(sources, NONE_KNOWN)
        if pseudonyms is not None:
            found, _ = pseudonyms.rename(found)
        self._subjects = {subject.key: subject for subject in found}
        if self._subjects.keys().isdisjoint(catalogue.subjects().key):
            raise SourceError(
                f"none of the {counted(len(found), 'subject')} in the sources is in {str(catalogue.path)!r}; give what "
                "it was extracted from"
            )
        self._n_absent = 0
        self._n_unreadable = 0
        self._n_other = 0
        self._n_single = 0

    def read(self, key: str, stored: Sequence[ImageSeries]) -> Iterator[ImageSeries]:
        """Read the cines of a subject.

        Parameters
        ----------
        key
            The subject's key.
        stored
            The images that the catalogue has of it.

        Yields
        ------
            The cine of each view that the catalogue has, on the same slices, and of 3Ch also where it has none. What is not there,
            or shows other images than the catalogue, is counted and left out.
        """
        subject = self._subjects.get(key)
        if subject is None:
            self._n_absent += 1
            return
        by_view = {series.view: series for series in stored}
        is_same = False
        with self._format.open(subject, self._options, ()) as views:
            for view in STORED_VIEWS:
                series = by_view.get(view)
                if series is None and (view in TARGET_VIEWS or view not in views.views or not is_same):
                    continue
                if view in views.named_phases:
                    self._n_single += 1
                    continue
                try:
                    cine = _cine(view, views, series)
                except CmrPlanesError:
                    self._n_unreadable += 1
                    continue
                if cine is None or (series is not None and not _shows(cine, series)):
                    self._n_other += 1
                    continue
                is_same = True
                yield cine

    def notes(self) -> Iterator[str]:
        """Say what could not be read."""
        if self._n_absent:
            yield f"subjects that the sources do not hold, and that have no whole cines therefore: {self._n_absent:,}"
        if self._n_other:
            yield f"views of which the sources hold other images than the catalogue, without whole cines: {self._n_other:,}"
        if self._n_single:
            yield f"views of which the sources hold ED and ES alone, without whole cines: {self._n_single:,}"
        if self._n_unreadable:
            yield f"views with frames that cannot be read, without whole cines: {self._n_unreadable:,}"


def _cine(view: CardiacView, views: SubjectViews, series: ImageSeries | None) -> ImageSeries | None:
    """Read all frames of the slices that the catalogue has, or of all; None if one is missing. Raises UnreadablePixelsError."""
    if view not in views.views:
        return None
    slices: Sequence[ReadSlice] = views.views[view]
    times = time_views({one: of_view for one, of_view in views.views.items() if one not in views.named_phases})[view]
    if series is not None:
        chosen = _same_slices(slices, series)
        if chosen is None:
            return None
        slices, times = [slices[index] for index in chosen], tuple(times[index] for index in chosen)
    phases, frame_index = choose_frames(slices, times, CyclePhases(ed=0.0, es=None), PhaseChoice.ALL)
    for one, frames in zip(slices, frame_index.T.tolist(), strict=True):
        one.load(frames)
    return series_of(view_record(view, slices, phases, frame_index, None, None))


def _same_slices(slices: Sequence[ReadSlice], series: ImageSeries) -> list[int] | None:
    """Return the slice that lies where each of the catalogue's does; None where one is missing."""
    matrix = series.image.shape[2:]
    affines = np.stack([one.plane.patient_from_pixel for one in slices])
    chosen = []
    for affine in series.affines_lps_mm:
        near = np.abs(affines - affine).max(axis=(1, 2)) <= PLANE_TOLERANCE_MM
        fits = [
            index for index in np.flatnonzero(near).tolist() if (slices[index].plane.rows, slices[index].plane.columns) == matrix
        ]
        if len(fits) != 1:
            return None
        chosen += fits
    return chosen


def _shows(cine: ImageSeries, series: ImageSeries) -> bool:
    """Tell whether a cine has the images that the catalogue has, at the frames that the catalogue names."""
    n_compared = 0
    for phase, slice_index in np.ndindex(series.frame_numbers.shape):
        number = series.frame_numbers[phase, slice_index]
        for frame in np.flatnonzero(cine.frame_numbers[:, slice_index] == number)[:1].tolist():
            if not np.array_equal(cine.image[frame, slice_index], series.image[phase, slice_index]):
                return False
            n_compared += 1
    return n_compared > 0
