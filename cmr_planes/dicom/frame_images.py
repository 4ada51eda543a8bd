"""Pixels of a study's frames, a bounded number of them kept."""

from collections.abc import Sequence

import numpy as np

from cmr_planes.dicom.frames import FrameHeader
from cmr_planes.dicom.pixel_format import StoredImage
from cmr_planes.dicom.pixels import PixelReader
from cmr_planes.errors import UnreadablePixelsError
from cmr_planes.geometry.arrays import BoolArray


class FrameImages:
    """Stored images of frames, each read once, and never more of them than a subject may take."""

    def __init__(self, reader: PixelReader) -> None:
        self._reader = reader
        self._images: dict[int, StoredImage] = {}
        self._n_bytes = 0

    def load(self, frames: Sequence[FrameHeader]) -> None:
        """Read the images of ``frames`` that are not there yet; raises UnreadablePixelsError."""
        missing = [frame for frame in frames if id(frame) not in self._images]
        if not missing:
            return
        wanted = sum(2 * frame.plane.rows * frame.plane.columns for frame in missing if frame.plane is not None)
        if self._n_bytes + wanted > MAX_BYTES:
            raise UnreadablePixelsError(
                f"its images would take more than {MAX_BYTES >> 20} MiB with those of the other slices, as no cine study does, and "
                "were not read; look at Rows (0028,0010), Columns (0028,0011) and the number of frames"
            )
        for frame, image in zip(missing, self._reader.read(missing), strict=True):
            self._images[id(frame)] = image
            self._n_bytes += image.pixels.nbytes

    def readable(self, frames: Sequence[FrameHeader]) -> BoolArray:
        """Load what can be read of ``frames`` and tell which that is."""
        try:
            self.load(frames)
        except UnreadablePixelsError:
            return np.array([self._is_readable(frame) for frame in frames])
        return np.ones(len(frames), dtype=np.bool_)

    def _is_readable(self, frame: FrameHeader) -> bool:
        try:
            self.load([frame])
        except UnreadablePixelsError:
            return False
        return True

    def __getitem__(self, frame: FrameHeader) -> StoredImage:
        """Return the image of a frame, reading it if need be; raises UnreadablePixelsError."""
        if id(frame) not in self._images:
            self.load([frame])
        return self._images[id(frame)]


MAX_BYTES = 384 << 20
"""Bytes of all images of a subject that are held; 600 images of 512 × 512 pixels take 300 MiB."""
