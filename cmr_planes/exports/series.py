"""The images of one view of one subject, as they are exported, with what belongs to them."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cmr_planes.geometry.arrays import FloatArray, IntArray, LabelArray
from cmr_planes.shards.catalogue import Catalogue
from cmr_planes.shards.records import ViewLabels, ViewRecord
from cmr_planes.views import CardiacPhase, CardiacView

_NAMED_PHASES = frozenset(CardiacPhase)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ImageSeries:
    """The images of one view of one subject: end-diastole and end-systole, or a whole cine."""

    view: CardiacView
    """The view."""
    phases: tuple[str, ...]
    """Name of each phase: ``ed``, ``es``; of a whole cine ``000``, ``001``, … in order of time."""
    image: NDArray[np.uint16]
    """Shape (phase, slice, row, column), stored intensities; bright tissue is high."""
    rescale: FloatArray
    """Shape (phase, slice, 2): slope and intercept of each image."""
    affines_lps_mm: FloatArray
    """Shape (slice, 4, 4): (column, row, 0, 1) to LPS; the third column is the unit normal."""
    slice_thickness_mm: FloatArray
    """Shape (slice,): NaN where not known."""
    trigger_time_ms: FloatArray
    """Shape (phase, slice): NaN where not known."""
    frame_numbers: IntArray
    """Shape (phase, slice): place of the frame in its slice's cycle, from 1."""
    manufacturer: str
    """A vendor in lower case, or empty."""
    field_strength_t: float
    """Tesla, NaN if not known."""
    has_directions: bool
    """Whether the affines' directions are the patient's."""
    labels: ViewLabels | None = None
    """Manual labels, None where the view has none."""
    positions: LabelArray | None = None
    """Shape (phase, slice, row, column): classes 0 to 9; None where the view has none, or they are not needed."""

    @property
    def is_cine(self) -> bool:
        """Whether the phases are the frames of a cine, not end-diastole and end-systole."""
        return not _NAMED_PHASES.issuperset(self.phases)


def series_of(record: ViewRecord) -> ImageSeries:
    """Return the images of a record."""
    unknown = np.full(len(record.planes), np.nan)
    return ImageSeries(
        view=record.view,
        phases=record.phases,
        image=record.image,
        rescale=record.rescale,
        affines_lps_mm=np.stack([plane.patient_from_pixel for plane in record.planes]),
        slice_thickness_mm=unknown if record.slice_thickness_mm is None else record.slice_thickness_mm,
        trigger_time_ms=record.trigger_time_ms,
        frame_numbers=record.frame_numbers,
        manufacturer=record.manufacturer,
        field_strength_t=record.field_strength_t,
        has_directions=record.has_directions,
    )


def read_series(
    catalogue: Catalogue, subject: str, view: CardiacView, *, with_labels: bool = False, with_positions: bool = False
) -> ImageSeries:
    """Read the images of a view from a catalogue.

    Parameters
    ----------
    catalogue
        The catalogue.
    subject
        The subject's key.
    view
        A view of which the catalogue has images.
    with_labels
        Whether to read manual labels, which the view must have.
    with_positions
        Whether to read the position masks, which the view must have.

    Raises
    ------
    ShardError
        The images cannot be read; the message names the shard.
    """
    attributes = catalogue.view_attributes(subject, view)
    n_phases, n_slices = attributes.shape[:2]

    def stacked(read: Callable[[str, CardiacView, int, int], NDArray[np.generic]]) -> NDArray[np.generic]:
        return np.array([[read(subject, view, phase, slice_index) for slice_index in range(n_slices)] for phase in range(n_phases)])

    labels = None
    if with_labels:
        structures = catalogue.labelled_structures(subject, view)
        labels = ViewLabels(labels=stacked(catalogue.labels).astype(np.uint8), structures=structures, source="")
    return ImageSeries(
        view=view,
        phases=attributes.phases,
        image=stacked(catalogue.image).astype(np.uint16),
        rescale=attributes.rescale,
        affines_lps_mm=np.stack([plane.patient_from_pixel for plane in attributes.planes]),
        slice_thickness_mm=attributes.slice_thickness_mm,
        trigger_time_ms=attributes.trigger_time_ms,
        frame_numbers=attributes.frame_numbers,
        manufacturer=attributes.manufacturer,
        field_strength_t=attributes.field_strength_t,
        has_directions=attributes.has_directions,
        labels=labels,
        positions=stacked(catalogue.positions).astype(np.uint8) if with_positions else None,
    )
