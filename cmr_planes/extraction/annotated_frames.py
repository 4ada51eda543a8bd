"""A subject's annotations during extraction: which frames they are of, and labels on the images that were kept."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial

import numpy as np
from numpy.typing import NDArray

from cmr_planes.annotations.model import Annotation, TargetView
from cmr_planes.annotations.placing import place_on_plane
from cmr_planes.cine.cycle_time import cyclic_distance
from cmr_planes.cine.frame_choice import SliceTimes
from cmr_planes.cine.phases import CyclePhases
from cmr_planes.errors import AnnotationError
from cmr_planes.extraction.subject_views import ReadSlice
from cmr_planes.geometry.arrays import FloatArray, IntArray
from cmr_planes.shards.records import InstanceRef, ViewLabels, ViewRecord
from cmr_planes.views import CardiacView

SAME_TIME = 0.12
"""Annotated frames within this share of the cycle of each other are of one time point: annotators do not keep to one frame on all
slices."""
SAME_FRAME = 0.01
"""Frames of different slices within this share of the cycle of each other are of one moment."""


@dataclass(frozen=True, slots=True, eq=False)
class AnnotatedCycle:
    """End-diastole and end-systole as the annotations say."""

    cycle: CyclePhases
    """The subject's."""
    frames: Mapping[CardiacView, Mapping[int, Mapping[int, float]]]
    """By view and slice, the annotated frames and their times in the cycle."""

    def override(self, view: CardiacView, frame_index: IntArray) -> IntArray:
        """Take the annotated frame of each slice where there is one near end-diastole or end-systole.

        Parameters
        ----------
        view
            The view.
        frame_index
            Shape (phase, slice): the frames chosen otherwise.

        Returns
        -------
            The frames, in the same shape.
        """
        chosen = frame_index.copy()
        fractions = [self.cycle.ed, self.cycle.es]
        for slice_index, frames in self.frames.get(view, {}).items():
            for phase in range(len(chosen)):
                fraction = fractions[phase]
                if fraction is None:
                    continue
                distance = {frame: float(cyclic_distance(frames[frame], fraction)) for frame in sorted(frames)}
                nearest = min(distance, key=lambda frame: distance[frame])
                if distance[nearest] <= SAME_TIME:
                    chosen[phase, slice_index] = nearest
        return chosen


class SubjectAnnotations:
    """A subject's annotations during its extraction. Each label map is laid on each plane once, whatever is asked of it.

    Parameters
    ----------
    annotations
        What the subject's files say.
    """

    def __init__(self, annotations: Sequence[Annotation]) -> None:
        self._annotations = tuple(annotations)
        self._place = cache(place_on_plane)  # label maps and planes are compared by identity

    def views_among(self, views: Mapping[CardiacView, Sequence[ReadSlice]]) -> frozenset[CardiacView]:
        """Return the views, by their slices, that any annotation is of."""
        if not self._annotations:  # nearly all subjects of a biobank
            return frozenset()
        from cmr_planes.annotations.matching import belongs

        return frozenset(
            view
            for view, slices in views.items()
            if belongs(self._annotations, whole_target(view, slices), extraction_key, self._place)
        )

    def cycle(
        self,
        views: Mapping[CardiacView, Sequence[ReadSlice]],
        times: Mapping[CardiacView, SliceTimes],
        automatic: CyclePhases,
    ) -> AnnotatedCycle:
        """Let annotations decide when end-diastole and end-systole are.

        Parameters
        ----------
        views
            The chosen slices of each view.
        times
            Times of their frames in the cycle; frames without are taken as evenly spread over it.
        automatic
            What was found in headers and images.

        Returns
        -------
            The annotated time points: of two, the one nearer to each of the automatic ones; of one, in place of the nearer; of
            many, the nearest ones. Without annotations that name frames, ``automatic``.
        """
        if not self._annotations:
            return AnnotatedCycle(automatic, {})
        from cmr_planes.annotations.matching import annotated_frames

        frames = {
            view: {
                index: {frame: _time_of(frame, slices[index], times[view][index]) for frame in of_slice}
                for index, of_slice in annotated_frames(
                    self._annotations, whole_target(view, slices), extraction_key, self._place
                ).items()
            }
            for view, slices in views.items()
        }
        fractions = [time for of_slices in frames.values() for of_slice in of_slices.values() for time in of_slice.values()]
        return AnnotatedCycle(_choose(_gatherings(fractions), automatic), frames)

    def labels_on(self, records: Sequence[ViewRecord]) -> tuple[Mapping[CardiacView, ViewLabels], tuple[str, ...]]:
        """Lay the annotations on the views that were kept; return the labels by view, and what was not used or is incomplete."""
        if not self._annotations or not records:
            return {}, ()
        from cmr_planes.annotations.brightness import contrast_sentences
        from cmr_planes.annotations.matching import match

        try:
            matched = match(self._annotations, [_target_of_record(record) for record in records], extraction_key, self._place)
        except AnnotationError as error:
            return {}, (f"no annotation was used: {error}",)
        doubts = [
            sentence
            for record in records
            if record.view in matched.views
            for sentence in contrast_sentences(record.view, record.phases, matched.views[record.view], partial(_image_of, record))
        ]
        return matched.views, (*matched.remarks, *doubts)


def _time_of(frame: int, one: ReadSlice, times: FloatArray | None) -> float:
    return frame / one.n_frames if times is None else float(times[frame])


def _gatherings(fractions: Sequence[float]) -> list[float]:
    """Return the fractions around which annotated frames gather: of each gathering the most frequent, most frequent first.

    Fractions of one frame differ a little from slice to slice, as heart rates do.
    """
    distinct = sorted({round(fraction, 6) for fraction in fractions})
    counts = {one: int((cyclic_distance(np.array(fractions), one) <= SAME_FRAME).sum()) for one in distinct}
    gatherings: list[float] = []
    for fraction in sorted(counts, key=lambda one: (-counts[one], one)):
        if all(cyclic_distance(fraction, other) > SAME_TIME for other in gatherings):
            gatherings.append(fraction)
    return gatherings


def _choose(gatherings: Sequence[float], automatic: CyclePhases) -> CyclePhases:
    """Give end-diastole and end-systole their annotated time points."""
    ed, es = automatic.ed, automatic.es
    if not gatherings:
        return automatic
    expected_es = es if es is not None else (ed + 1 / 3) % 1.0  # systole takes a third of the cycle
    if len(gatherings) == 1:
        is_ed = cyclic_distance(gatherings[0], ed) <= cyclic_distance(gatherings[0], expected_es)
        return replace(automatic, ed=gatherings[0]) if is_ed else CyclePhases(ed=ed, es=gatherings[0])
    pairs = [(first, second) for first in gatherings for second in gatherings if first != second]
    best = min(pairs, key=lambda pair: cyclic_distance(pair[0], ed) + cyclic_distance(pair[1], expected_es))
    return CyclePhases(ed=best[0], es=best[1])


def _image_of(record: ViewRecord, phase: int, slice_index: int) -> NDArray[np.uint16]:
    image: NDArray[np.uint16] = record.image[phase, slice_index]
    return image


def _target_of_record(record: ViewRecord) -> TargetView:
    refs = record.instances
    return TargetView(
        view=record.view,
        planes=record.planes,
        phases=record.phases,
        frame_numbers=record.frame_numbers,
        instance_keys=None if refs is None else tuple(tuple(map(_key_of_ref, row)) for row in refs),
        instance_numbers=None if refs is None else np.array([[ref.instance_number for ref in row] for row in refs], dtype=np.int64),
    )


def whole_target(view: CardiacView, slices: Sequence[ReadSlice]) -> TargetView:
    """Return a view with all frames of its slices; slices with fewer frames than others end with nothing."""
    n_frames = max(one.n_frames for one in slices)
    rows = [[one if frame < one.n_frames else None for one in slices] for frame in range(n_frames)]
    refs = [[None if one is None else one.instance(frame) for one in row] for frame, row in enumerate(rows)]
    is_dicom = refs[0][0] is not None
    return TargetView(
        view=view,
        planes=tuple(one.plane for one in slices),
        phases=tuple(f"{frame:03d}" for frame in range(n_frames)),
        frame_numbers=np.array([[0 if one is None else one.frame_number(frame) for one in row] for frame, row in enumerate(rows)]),
        instance_keys=tuple(tuple("" if ref is None else _key_of_ref(ref) for ref in row) for row in refs) if is_dicom else None,
        instance_numbers=(
            np.array([[0 if ref is None else ref.instance_number for ref in row] for row in refs]) if is_dicom else None
        ),
    )


def extraction_key(sop_instance_uid: str, frame_number: int) -> str:
    """Return what stands for an instance while its headers are at hand."""
    return f"{sop_instance_uid} {frame_number}" if sop_instance_uid else ""


def _key_of_ref(ref: InstanceRef) -> str:
    return extraction_key(ref.sop_instance_uid, ref.frame_number)
