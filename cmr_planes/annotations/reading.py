"""A subject's annotation files, read whatever their format."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from cmr_planes.annotations.classes import ClassMap
from cmr_planes.annotations.files import LabelFile, open_label_file
from cmr_planes.annotations.model import Annotation, LabelFormat
from cmr_planes.errors import AnnotationError
from cmr_planes.system.json_text import JSON

_SUNNYBROOK_FILES = f"annotation files of {LabelFormat.SUNNYBROOK.value}"


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelSource:
    """Where annotations come from, and how they are to be read."""

    path: Path
    """Folder, zip or file."""
    label_format: LabelFormat | None = None
    """The format; None to identify it by the files' names."""
    classes: ClassMap | None = None
    """What values and segments mean; None to identify it by the files' names."""

    def to_json(self) -> dict[str, JSON]:
        """Return what decides the labels, without the path."""
        return {
            "format": None if self.label_format is None else self.label_format.value,
            "classes": None if self.classes is None else self.classes.name,
        }


def read_annotations(files: Sequence[LabelFile], classes: ClassMap | None) -> tuple[list[Annotation], list[str]]:
    """Read a subject's annotation files.

    Parameters
    ----------
    files
        The subject's files.
    classes
        What values and segments mean.

    Returns
    -------
        What could be read, and a sentence for each file that could not; files go by their number.
    """
    annotations: list[Annotation] = []
    failures: list[str] = []
    contours = [file for file in files if file.label_format is LabelFormat.SUNNYBROOK]
    if contours:
        from cmr_planes.annotations.sunnybrook import read_sunnybrook

        try:
            annotations.append(replace(read_sunnybrook(contours), name=_SUNNYBROOK_FILES))
        except AnnotationError as error:
            failures.append(f"{_SUNNYBROOK_FILES}: {error}")
    for number, file in enumerate(files, start=1):
        if file.label_format is LabelFormat.SUNNYBROOK:
            continue
        name = f"annotation file {number} of {len(files)} ({file.label_format.value})"
        try:
            annotations.append(replace(_read(file, classes), name=name))
        except AnnotationError as error:
            failures.append(f"{name} {error}")
    return annotations, failures


def _read(file: LabelFile, classes: ClassMap | None) -> Annotation:
    """Read one file; raises AnnotationError."""
    if file.label_format is LabelFormat.NIFTI:
        if file.member:
            raise AnnotationError("is a NIFTI file in a zip, which is not read; unpack the zip")
        from cmr_planes.annotations.nifti_labels import read_nifti_labels

        return read_nifti_labels(file.path, classes, file.stem)
    with open_label_file(file) as stream:
        if file.label_format is LabelFormat.CVI42:
            from cmr_planes.annotations.cvi42 import read_cvi42

            return read_cvi42(stream)
        from cmr_planes.annotations.dicom_seg import read_dicom_seg

        return read_dicom_seg(stream, file.stem, classes)
