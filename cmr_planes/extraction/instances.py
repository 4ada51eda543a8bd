"""From an image of a catalogue back to the DICOM instance that it was read from.

A catalogue holds digests of instances, not their UIDs: who has the DICOM files can compute them too. What is found stays in memory.
"""

import os
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from cmr_planes.dicom.frames import FrameHeader
from cmr_planes.dicom.headers import read_headers
from cmr_planes.dicom.study_header import read_study_header
from cmr_planes.dicom_output.model import SourceImages, frame_number
from cmr_planes.discovery.subjects import SubjectSource, find_subjects
from cmr_planes.errors import InvalidAttributeError, MissingAttributeError, SourceChangedError, SourceError, UnreadableFileError
from cmr_planes.geometry import ImagePlane
from cmr_planes.shards.catalogue import Catalogue
from cmr_planes.shards.schema import configuration_digest, instance_digest
from cmr_planes.system.names import PathLike
from cmr_planes.system.text import counted, either, part
from cmr_planes.views import CardiacView, to_view

_SHARED = (
    "SOPInstanceUID (0008,0018), so that a DICOM object cannot refer to one of them; give files that still have their own UIDs"
)

SAME_PLACE_MM = 1e-3
"""A header's plane is the catalogue's if no entry of their matrices differs by more."""


class SourceInstances:
    """The DICOM instances of a catalogue's images.

    Parameters
    ----------
    sources
        The folders, zips and files from which the catalogue was extracted, without pseudonyms.
    catalogue
        The catalogue, open.

    Raises
    ------
    SourceError
        A source cannot be listed, or the catalogue was made of NIfTI images.
    """

    def __init__(self, sources: PathLike | Sequence[PathLike], catalogue: Catalogue) -> None:
        configuration = catalogue.configuration()
        if configuration.get("nifti"):
            raise SourceError("NIfTI images are no DICOM instances that a DICOM object could refer to; give the DICOM files")
        paths = [Path(sources)] if isinstance(sources, str | os.PathLike) else [Path(source) for source in sources]
        self._catalogue = catalogue
        self._salt = configuration_digest(configuration)
        self._subjects = {subject.key: subject for subject in find_subjects(paths)}

    def images(self, subject: str, view: CardiacView | str) -> SourceImages:
        """Find the instances of a subject's view.

        Parameters
        ----------
        subject
            The subject's key.
        view
            The view.

        Raises
        ------
        DicomError
            The images have no UIDs, share them, or are not in the sources.
        """
        view = to_view(view)
        attributes = self._catalogue.view_attributes(subject, view)
        digests = attributes.instance_digests
        if digests is None or not all(map(all, digests)):
            raise MissingAttributeError(
                f"images of view {view.title} have no SOPInstanceUID (0008,0018), so that a DICOM object cannot refer to them; "
                "give files that still have their UIDs"
            )
        wanted = [digest for row in digests for digest in row]
        if len(set(wanted)) < len(wanted):
            raise InvalidAttributeError(
                f"{counted(len(wanted), 'image')} of view {view.title} share {counted(len(set(wanted)), 'value')} of {_SHARED}"
            )
        found = self._by_digest(self._subjects.get(subject), frozenset(wanted))
        frames = tuple(
            tuple(_at_place(found[digest], plane, view) for digest, plane in zip(row, attributes.planes, strict=True))
            for row in digests
        )
        try:
            header = read_study_header(frames[0][0].file)
        except UnreadableFileError as error:
            raise UnreadableFileError(f"the first image of view {view.title} {error}") from error
        return SourceImages(view, attributes.phases, frames, header)

    def _by_digest(self, source: SubjectSource | None, wanted: frozenset[str]) -> dict[str, list[FrameHeader]]:
        """Read the headers of a subject's files again."""
        found: defaultdict[str, list[FrameHeader]] = defaultdict(list)
        for frame in () if source is None else read_headers(source.paths, source.members).frames:
            digest = instance_digest(frame.sop_instance_uid, frame_number(frame), self._salt)
            if digest in wanted and frame.plane is not None:
                found[digest].append(frame)
        if len(found) < len(wanted):
            raise SourceChangedError(
                f"{part(len(wanted) - len(found), len(wanted), 'image')} of the catalogue "
                f"{either(len(wanted) - len(found), 'is', 'are')} not in the subject's files; give the "
                "files that it was extracted from, and run the same command again if they changed meanwhile"
            )
        return found


def _at_place(frames: Sequence[FrameHeader], plane: ImagePlane, view: CardiacView) -> FrameHeader:
    """Return the only image of an instance's UID, of which there may be copies; it must lie where the catalogue says."""
    matrices = [frame.plane.patient_from_pixel for frame in frames if frame.plane is not None]
    are_there = all(np.allclose(matrix, plane.patient_from_pixel, rtol=0, atol=SAME_PLACE_MM) for matrix in matrices)
    if not are_there or len({(frame.instance_number, frame.trigger_time_ms) for frame in frames}) > 1:
        raise InvalidAttributeError(f"several images, one of them of view {view.title}, share {_SHARED}")
    return frames[0]
