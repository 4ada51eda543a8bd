"""Sentences about annotations that lie on no image, and about images without annotations."""

from collections.abc import Mapping, Sequence

from cmr_planes.annotations.model import LabelVolume, TimePoint
from cmr_planes.annotations.placing import SlicePlacement
from cmr_planes.shards.records import ViewLabels
from cmr_planes.views import CardiacPhase, CardiacView, Structure

KEEP_FRAMES = "extracting with these annotations keeps the annotated frames, extracting all phases every frame"
"""What keeps the frames that annotations are of."""


def missed_slices_sentence(view: CardiacView, offsets_mm: Mapping[int, float]) -> str:
    """Say which slices a label map misses, though it reaches beyond them."""
    return (
        f"{len(offsets_mm)} {view.title} slices lie up to {max(offsets_mm.values()):.1f} mm from the label map's (at most half a "
        "pixel is allowed) and got no labels"
    )


def no_image_sentence(volume: LabelVolume) -> str:
    """Say why a label map that lies on the images belongs to none of them."""
    time_point = volume.time_point
    if time_point == TimePoint() and not volume.sop_instance_uid:
        return "neither the file's name (ED, ES, frame01) nor a reference to an instance gives its phase"
    what = f"frame {time_point.frame_number}" if time_point.phase is None else time_point.phase.value.upper()
    if time_point == TimePoint():
        what = "the image that it was drawn on"
    return f"{what} is not in the catalogue; {KEEP_FRAMES}"


def misfit_sentence(volume: LabelVolume, of_views: Mapping[CardiacView, Sequence[SlicePlacement]]) -> str:
    """Say how far a label map that fits no slice is from the nearest one."""
    offsets = [(placement.offset_mm, view) for view, placements in of_views.items() for placement in placements]
    if not offsets:
        view = "" if volume.view is None else f"{volume.view.title} "
        return f"the subject has no {view}images that the label map could belong to"
    offset_mm, nearest = min(offsets, key=lambda item: item[0])
    return (
        f"the label map lies {offset_mm:.1f} mm from the nearest {nearest.title} slice, and at most half a pixel is allowed: it is "
        "another patient's, or its geometry was lost"
    )


def gap_sentences(view: CardiacView, placed: ViewLabels, phases: Sequence[str]) -> list[str]:
    """Say which phases and slices of an annotated view have no labels."""
    annotated = placed.annotated
    sentences = []
    if len(phases) <= len(CardiacPhase):
        without = [name.upper() for phase, name in enumerate(phases) if not annotated[phase].any()]
        sentences += [f"{view.title} is annotated without {', '.join(without)}"] if without else []
    n_slices = int(annotated.any(axis=0).sum())
    if n_slices < annotated.shape[1]:
        sentences.append(f"{n_slices} of {annotated.shape[1]} {view.title} slices are annotated")
    muscle = placed.structures[..., Structure.LV] & ~placed.structures[..., Structure.MYO]
    if muscle.any():
        sentences.append(f"{int(muscle.sum())} {view.title} images have LV only: no epicardium was drawn there")
    return sentences
