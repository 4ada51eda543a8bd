"""From a catalogue to the images of its contact sheets, with their positions, labels and warnings."""

from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass
from typing import Self

from cmr_planes.errors import NoteCode
from cmr_planes.geometry.arrays import BoolArray
from cmr_planes.pictures.contact_sheet import SheetImage
from cmr_planes.shards.catalogue import Catalogue
from cmr_planes.shards.view_attributes import ViewAttributes
from cmr_planes.system.text import decimals
from cmr_planes.views import CardiacPhase, CardiacView


@dataclass(frozen=True, slots=True)
class Series:
    """The images of one view of one subject, any of which can be drawn."""

    subject: str
    """The subject's key."""
    number: int
    """The subject's number in the catalogue, from 1."""
    attributes: ViewAttributes
    """Attributes of the images."""
    is_low: bool
    """True if low agreement was noted."""
    annotated: BoolArray | None
    """Shape (phase, slice): which images have labels; None if none has."""

    def phases(self, asked: Sequence[str] = ()) -> tuple[int, ...]:
        """Return the indices of the requested phases; by default ED and ES, or the first where the phases have no such names."""
        stored = self.attributes.phases
        names = set(asked) or set(CardiacPhase) & set(stored) or set(stored[:1])
        return tuple(index for index, name in enumerate(stored) if name in names)


class SheetReader:
    """Reads the images of contact sheets from a catalogue.

    Parameters
    ----------
    catalogue
        The catalogue, open.
    low
        Subject and view of those for which low agreement was noted.
    labelled
        The same of those whose labels are to be drawn.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        *,
        low: Container[tuple[str, str]] = frozenset(),
        labelled: Container[tuple[str, str]] = frozenset(),
    ) -> None:
        self._catalogue = catalogue
        self._low = low
        self._labelled = labelled

    @classmethod
    def of(cls, catalogue: Catalogue) -> Self:
        """Make a reader that marks all low agreement and draws all labels; raises ShardError if a table cannot be read."""
        annotations = catalogue.annotations()
        return cls(
            catalogue,
            low={(note.subject, note.view) for note in catalogue.notes() if note.code is NoteCode.LOW_AGREEMENT},
            labelled=set(zip(annotations.subject, annotations.view, strict=True)),
        )

    def series(self, subject: str, number: int, view: CardiacView) -> Series:
        """Find the images of one view of a subject.

        Parameters
        ----------
        subject, number
            The subject's key, and its number in the catalogue from 1.
        view
            The view.

        Raises
        ------
        ShardError
            There is no such view, or its shard is missing or damaged.
        """
        place = (subject, view)
        annotated = self._catalogue.labelled_structures(subject, view)[..., 0] if place in self._labelled else None
        return Series(subject, number, self._catalogue.view_attributes(subject, view), place in self._low, annotated)

    def image(self, series: Series, phase: int, slice_index: int, *, with_key: bool) -> SheetImage:
        """Read one image.

        Parameters
        ----------
        series
            The view of the subject.
        phase, slice_index
            Indices of the image.
        with_key
            Whether the subject's key is written above the image, beside its number.

        Raises
        ------
        ShardError
            Its shard is missing or damaged.
        """
        attributes, n_slices = series.attributes, series.attributes.shape[1]
        words = [f"subject {series.number}", attributes.phases[phase].upper()]
        words += [f"slice {slice_index + 1} of {n_slices}"] if n_slices > 1 else []
        words += [series.subject] if with_key else []
        return SheetImage(
            image=self._catalogue.image(series.subject, attributes.view, phase, slice_index),
            plane=attributes.planes[slice_index],
            has_directions=attributes.has_directions,
            centres_px=None if attributes.boxes is None else attributes.boxes.centres_px[slice_index],
            boxes=None if attributes.boxes is None else attributes.boxes.boxes[slice_index],
            line_names=None if attributes.boxes is None else line_names(attributes.boxes.line_views),
            title=" · ".join(words),
            labels=self._catalogue.labels(series.subject, attributes.view, phase, slice_index)
            if series.annotated is not None and series.annotated[phase, slice_index]
            else None,
            warning=_warning(attributes, slice_index) if series.is_low else "",
        )

    def images(self, chosen: Sequence[Series], phases: Sequence[str], *, with_keys: bool) -> Iterator[SheetImage]:
        """Read the images of some views one at a time: by subject, phase, slice; parameters as of :meth:`image`."""
        for series in chosen:
            for phase in series.phases(phases):
                for slice_index in range(series.attributes.shape[1]):
                    yield self.image(series, phase, slice_index, with_key=with_keys)


def line_names(views: tuple[CardiacView, CardiacView]) -> tuple[str, str]:
    """Name the two lines of an image by the views whose planes leave them."""
    first, second = (f"{view.title} plane" for view in views)
    return first, second


def sheet_heading(view: CardiacView, panels: Sequence[SheetImage]) -> str:
    """Say what a sheet of these images of one view shows."""
    has_boxes = any(panel.boxes is not None for panel in panels)
    if any(panel.labels is not None for panel in panels):
        return f"{view.title}: positions and manual labels" if has_boxes else f"{view.title}: manual labels"
    return f"{view.title}: positions from the view planes" if has_boxes else f"{view.title}: images without positions"


def _warning(attributes: ViewAttributes, slice_index: int) -> str:
    """Say how little the images agree along the two lines."""
    if attributes.line_agreement is None:
        return "low agreement"
    values = ", ".join(decimals(value, 2) for value in attributes.line_agreement[slice_index].tolist())
    return f"low agreement along the lines: {values}"
