"""What a DICOM object is made of: the images that it is about, whose they are, and the network that made it."""

import hashlib
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pydicom.dataset import Dataset

from cmr_planes.dicom.frames import FrameHeader
from cmr_planes.dicom.quiet import quiet_pydicom
from cmr_planes.dicom_output.authorship import signed
from cmr_planes.dicom_output.identifiers import derived_uid
from cmr_planes.errors import MissingAttributeError
from cmr_planes.system.text import either, part
from cmr_planes.views import CardiacView


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class SourceImages:
    """The DICOM images of one view of a subject, and their patient and study. They identify a person, and stay in memory.

    Raises
    ------
    MissingAttributeError
        The images have no UIDs by which they could be referred to, or those of several studies.
    """

    view: CardiacView
    """The view."""
    phases: tuple[str, ...]
    """Name of each phase."""
    frames: tuple[tuple[FrameHeader, ...], ...]
    """By phase and slice; each has a plane."""
    header: Dataset
    """As :func:`cmr_planes.dicom.study_header.read_study_header` returns it."""

    def __post_init__(self) -> None:
        frames = self.flat
        for value, name in (
            ("sop_instance_uid", "SOPInstanceUID (0008,0018)"),
            ("sop_class_uid", "SOPClassUID (0008,0016)"),
            ("series_uid", "SeriesInstanceUID (0020,000E)"),
            ("study_uid", "StudyInstanceUID (0020,000D)"),
        ):
            n_empty = sum(not getattr(frame, value) for frame in frames)
            if n_empty:
                raise MissingAttributeError(
                    f"{part(n_empty, len(frames), 'image')} of view {self.view.title} {either(n_empty, 'has', 'have')} "
                    f"no {name}, so that a DICOM object cannot "
                    "refer to them; give files that still have their UIDs"
                )
        n_studies = len({frame.study_uid for frame in frames})
        if n_studies > 1:
            raise MissingAttributeError(
                f"the images of view {self.view.title} have {n_studies} values of StudyInstanceUID (0020,000D), and a DICOM object "
                "belongs to one study; give files that still have their UIDs"
            )

    @property
    def flat(self) -> list[FrameHeader]:
        """All images, phase by phase."""
        return [frame for row in self.frames for frame in row]

    @property
    def study_uid(self) -> str:
        """The images' study."""
        return self.frames[0][0].study_uid

    @property
    def header_digest(self) -> str:
        """What stands for patient and study in the UIDs of objects that name them."""
        return hashlib.sha256(repr([(element.keyword, str(element.value)) for element in self.header]).encode()).hexdigest()

    @property
    def frame_of_reference_uid(self) -> str:
        """The images' frame of reference; one of their own where they state none, or several."""
        stated = {frame.frame_of_reference_uid for frame in self.flat}
        if len(stated) == 1 and "" not in stated:
            return stated.pop()
        return derived_uid("frame of reference", *references_of(self.flat))


def references_of(frames: Sequence[FrameHeader]) -> list[str]:
    """Return what names each image: its instance and frame."""
    return [f"{frame.sop_instance_uid} {frame_number(frame)}" for frame in frames]


def frame_number(frame: FrameHeader) -> int:
    """Return the number of a frame in its instance, from 1; 0 for the only frame of another."""
    return frame.frame_index + 1 if frame.n_frames > 1 else 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """What made labels and measures: one network or several."""

    version: str
    """Of the software."""
    weights_sha256: tuple[str, ...]
    """Of the file of its weights; of several networks whose answers are averaged, each one's."""
    options: Mapping[str, str] = field(default_factory=dict)
    """What decides the labels besides, where it is not the default."""

    @property
    def serial_number(self) -> str:
        """64 hexadecimal digits that stand for the weights."""
        first, *others = self.weights_sha256
        return hashlib.sha256(" ".join(self.weights_sha256).encode()).hexdigest() if others else first

    @property
    def parameters(self) -> dict[str, str]:
        """Weights and options, as the objects state them."""
        return {"weights_sha256": " ".join(self.weights_sha256), **self.options}

    @property
    def names(self) -> tuple[str, ...]:
        """What tells networks apart, for derived UIDs."""
        return self.version, *(f"{name}={value}" for name, value in self.parameters.items())


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class DicomObject:
    """A DICOM object and the end of its file's name."""

    name: str
    """For example ``sax_ed``."""
    dataset: Dataset
    """The object."""

    def encode(self) -> bytes:
        """Return the bytes of a DICOM file, signed as :mod:`cmr_planes.dicom_output.authorship` says."""
        buffer = io.BytesIO()
        with quiet_pydicom():
            self.dataset.save_as(buffer, enforce_file_format=True)
        return signed(buffer.getvalue())
