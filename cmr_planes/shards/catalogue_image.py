"""One image of a catalogue, with what belongs to it; each part is read when it is asked for."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from cmr_planes.geometry import ImagePlane
from cmr_planes.geometry.arrays import LabelArray
from cmr_planes.shards.columns import ImageIndex
from cmr_planes.shards.view_attributes import ViewAttributes
from cmr_planes.views import CardiacView


class ImageReader(Protocol):
    """What an image needs of its catalogue; :class:`cmr_planes.shards.catalogue.Catalogue` has it all."""

    def image(self, subject: str, view: CardiacView, phase: int, slice_index: int) -> NDArray[np.uint16]:
        """Read stored intensities, shape (rows, columns)."""
        ...

    def positions(self, subject: str, view: CardiacView, phase: int, slice_index: int) -> LabelArray:
        """Read a position mask, shape (rows, columns)."""
        ...

    def labels(self, subject: str, view: CardiacView, phase: int, slice_index: int) -> LabelArray:
        """Read manual labels, shape (rows, columns)."""
        ...

    def view_attributes(self, subject: str, view: CardiacView) -> ViewAttributes:
        """Read what is stored beside the images of a view."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CatalogueImage:
    """One 2D image, as :meth:`cmr_planes.shards.catalogue.Catalogue.images` yields it; usable while the catalogue is."""

    catalogue: ImageReader = field(repr=False)
    """The catalogue that holds it."""
    subject: str
    """The subject's key."""
    view: CardiacView
    """The view."""
    phase: str
    """``ed``, ``es``, or ``000``, ``001``, … in order of time."""
    phase_index: int
    """Index of the phase among those of the view."""
    slice_index: int
    """Index of the slice, 0 for long-axis views; SAX runs from base to apex."""
    has_positions: bool
    """True if there is a position mask."""
    is_annotated: bool
    """True if there are manual labels."""
    read_attributes: Callable[[str, CardiacView], ViewAttributes] = field(repr=False)
    """Reads what is stored beside the images of a view."""

    @property
    def image(self) -> NDArray[np.uint16]:
        """Stored intensities, shape (rows, columns)."""
        return self.catalogue.image(self.subject, self.view, self.phase_index, self.slice_index)

    @property
    def positions(self) -> LabelArray | None:
        """The position mask, shape (rows, columns), classes 0 to 9; None if there is none."""
        if not self.has_positions:
            return None
        return self.catalogue.positions(self.subject, self.view, self.phase_index, self.slice_index)

    @property
    def labels(self) -> LabelArray | None:
        """Manual labels, shape (rows, columns), values of :class:`cmr_planes.views.Structure`; None if there are none."""
        if not self.is_annotated:
            return None
        return self.catalogue.labels(self.subject, self.view, self.phase_index, self.slice_index)

    @property
    def plane(self) -> ImagePlane:
        """The image plane in the patient: LPS coordinates in mm."""
        return self.read_attributes(self.subject, self.view).planes[self.slice_index]


def images_of(catalogue: ImageReader, index: ImageIndex, rows: Iterable[int]) -> Iterator[CatalogueImage]:
    """Go through the images of some rows of a catalogue's index."""
    read_attributes = lru_cache(maxsize=1)(catalogue.view_attributes)  # images of one view come one after the other
    for row in rows:
        yield CatalogueImage(
            catalogue=catalogue,
            subject=index.subject(row),
            view=CardiacView(index.view[row]),
            phase=str(index.phase[row]),
            phase_index=int(index.phase_index[row]),
            slice_index=int(index.slice_index[row]),
            has_positions=bool(index.has_positions[row]),
            is_annotated=bool(index.is_annotated[row]),
            read_attributes=read_attributes,
        )
