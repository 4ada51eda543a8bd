"""Sentences about annotations that lie on no image, and about images without annotations."""

from collections.abc import Mapping, Sequence

from cmr_planes.annotations.model import LabelVolume, TimePoint
from cmr_planes.annotations.nesting import Misnested, NestingFault
from cmr_planes.annotations.placing import SlicePlacement
from cmr_planes.geometry.arrays import BoolArray
from cmr_planes.shards.records import ViewLabels
from cmr_planes.system.text import counted, either, part
from cmr_planes.views import CardiacPhase, CardiacView, Structure

KEEP_FRAMES = "extracting with these annotations keeps the annotated frames, extracting all phases every frame"
"""What keeps the frames that annotations are of."""


def missed_slices_sentence(view: CardiacView, offsets_mm: Mapping[int, float]) -> str:
    """Say which slices a label map misses, though it reaches beyond them."""
    return (
        f"{counted(len(offsets_mm), f'{view.title} slice')} {either(len(offsets_mm), 'lies', 'lie')} up to "
        f"{max(offsets_mm.values()):.1f} mm from the label map's (at most half a "
        "pixel is allowed) and got no labels"
    )


def contradicting_sentence(offset_mm: float) -> str:
    """Say that a label map lies elsewhere than the image that it names."""
    return (
        f"planes and references disagree by {offset_mm:.1f} mm: the image that the label map refers to is not the one that it lies "
        "on; export it again"
    )


def misnesting_sentences(view: CardiacView, faults: Sequence[Misnested], outer: str) -> list[str]:
    """Say on how many images the blood of a ventricle does not lie where it should; ``outer`` is what LV should lie in."""
    shares: dict[NestingFault, list[float]] = {}
    for one in faults:
        shares.setdefault(one.fault, []).append(one.share)
    return [_misnesting_sentence(view, fault, of_fault, outer) for fault, of_fault in shares.items()]


def _misnesting_sentence(view: CardiacView, fault: NestingFault, shares: Sequence[float], outer: str) -> str:
    low, high = (f"{100 * share:.0f}" for share in (min(shares), max(shares)))
    share = f"{low} %" if low == high else f"{low} to {high} %"
    images = f"on {counted(len(shares), f'{view.title} image')}"
    match fault:
        case NestingFault.OUTSIDE:
            return (
                f"{images} {share} of the edge of LV lies outside {outer}, and all should lie inside: one of the two is "
                "another patient's or another image's; Myo was not used there and counts as not annotated"
            )
        case NestingFault.EXCHANGED:
            return f"{images} {outer} lies inside LV, and LV should lie inside it: the two are exchanged; neither was used there"
        case NestingFault.RIGHT_INSIDE:
            return (
                f"{images} {share} of the edge of RV lies inside {outer} of LV, and none should: RV was not used there and "
                "counts as not annotated"
            )


def no_image_sentence(volume: LabelVolume, phases: Sequence[str]) -> str:
    """Say why a label map that lies on the images belongs to none of them; ``phases`` are the names of the images' phases."""
    time_point = volume.time_point
    if time_point == TimePoint() and not volume.sop_instance_uid:
        return "neither the file's name (ED, ES, frame01) nor a reference to an instance gives its phase"
    if time_point.phase is not None and time_point.frame_number is None and not {*phases} & {*CardiacPhase}:
        return (
            f"the catalogue holds whole cines, which do not say which frame is {time_point.phase.value.upper()}; give the frame's "
            "number in the file's name (frame01), or extract with these annotations"
        )
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


def gap_sentences(view: CardiacView, placed: ViewLabels, phases: Sequence[str], refused_muscle: BoolArray) -> list[str]:
    """Say which phases and slices of an annotated view have no labels; muscle that was refused, (phase, slice), is not missing."""
    annotated = placed.annotated
    sentences = []
    if len(phases) <= len(CardiacPhase):
        without = [name.upper() for phase, name in enumerate(phases) if not annotated[phase].any()]
        sentences += [f"{view.title} is annotated without {', '.join(without)}"] if without else []
    n_slices = int(annotated.any(axis=0).sum())
    if n_slices < annotated.shape[1]:
        sentences.append(f"{part(n_slices, annotated.shape[1], f'{view.title} slice')} {either(n_slices, 'is', 'are')} annotated")
    muscle = placed.structures[..., Structure.LV] & ~placed.structures[..., Structure.MYO] & ~refused_muscle
    if muscle.any():
        sentences.append(f"LV alone is drawn on {counted(int(muscle.sum()), f'{view.title} image')}, without an epicardium")
    return sentences + [
        f"{view.title} {name.upper()} has Myo and no LV on any slice: if only the epicardium was drawn, Myo covers the blood too"
        for name, labels, structures in zip(phases, placed.labels, placed.structures, strict=True)
        if structures[:, Structure.LV].any() and (labels == Structure.MYO).any() and not (labels == Structure.LV).any()
    ]
