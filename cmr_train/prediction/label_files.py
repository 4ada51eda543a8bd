"""On which grid the label maps of a subject are written, and their files."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cmr_planes.errors import AnnotationError
from cmr_planes.nifti.target_grids import TargetGrid, write_on_grid
from cmr_planes.nifti.writing import write_label_map
from cmr_planes.shards.view_attributes import ViewAttributes
from cmr_planes.views import CardiacPhase
from cmr_train.choices import Head

SUBJECT_FIELD = "{subject}"
"""What stands for a subject's key in the pattern of paths of images."""

_SUFFIXES = {Head.STRUCTURES: "", Head.POSITIONS: "_positions"}


@dataclass(frozen=True, slots=True)
class LikeImages:
    """Images on whose grids label maps are written."""

    pattern: str
    """Path of the image of a subject, with ``{subject}`` in the place of its key; or one image's, for a single subject."""

    @property
    def is_of_one(self) -> bool:
        """Whether it is one image."""
        return SUBJECT_FIELD not in self.pattern

    def grid(self, subject: str, view: ViewAttributes) -> TargetGrid:
        """Return the grid of a subject's image.

        Raises
        ------
        AnnotationError
            There is none, it cannot be read, or its voxels are not those of the view's slices. The message names no subject.
        """
        path = Path(self.pattern.replace(SUBJECT_FIELD, subject))
        if not path.is_file():
            raise AnnotationError(f"{self.pattern!r} is not there" + ("" if self.is_of_one else " for this subject"))
        try:
            return TargetGrid.of_file(path, _affines_mm(view), (view.shape[2], view.shape[3]))
        except AnnotationError as error:
            raise AnnotationError(
                f"{self.pattern!r} {error}; label maps can have the grid of an image of the same slices, whose axes may run in "
                "other order or direction, and no other"
            ) from error


def own_grid(view: ViewAttributes) -> TargetGrid | None:
    """Return the grid of the NIfTI file that a view was read from, None where it was not, or the catalogue does not keep it."""
    if view.source_header is None or view.source_order is None:
        return None
    return TargetGrid(header=view.source_header, places=view.source_order)


def write_label_files(
    folder: Path, stem: str, labels: NDArray[np.uint8], view: ViewAttributes, head: Head, grid: TargetGrid | None
) -> None:
    """Write one volume for each named phase, or one cine.

    Parameters
    ----------
    folder
        An existing folder.
    stem
        How the names of the files begin.
    labels
        Shape (phases, slices, rows, columns).
    view
        The view that they are of.
    head
        What the classes are.
    grid
        On which they are written; without one slices run from base to apex, or in the order of the NIfTI file where it is known.

    Raises
    ------
    ShardError
        A file cannot be written.
    """
    description = f"cmr-train {head.value}"
    if set(view.phases) <= set(CardiacPhase):
        volumes: dict[str, NDArray[np.uint8]] = {
            f"{stem}_{name}{_SUFFIXES[head]}": volume for name, volume in zip(view.phases, labels, strict=True)
        }
    else:
        volumes = {f"{stem}{_SUFFIXES[head]}": labels}
    order = np.argsort(view.source_order or range(view.shape[1]))
    for name, volume in volumes.items():
        if grid is None:
            write_label_map(folder, name, volume[..., order, :, :], _affines_mm(view)[order], description)
        else:
            write_on_grid(folder, name, volume, grid, description)


def _affines_mm(view: ViewAttributes) -> NDArray[np.float64]:
    return np.stack([plane.patient_from_pixel for plane in view.planes])
