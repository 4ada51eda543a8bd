"""The names of ukbb_cardiac (Bai et al., JCMR 2018), which many later programs expect."""

from collections.abc import Iterator, Mapping

import numpy as np

from cmr_planes.exports.series import ImageSeries
from cmr_planes.exports.volumes import image_file, json_bytes, label_file, sidecar, volumes_of
from cmr_planes.geometry.arrays import BoolArray, LabelArray
from cmr_planes.shards.records import ViewLabels
from cmr_planes.views import CardiacView, Structure

VIEW_NAMES = {
    CardiacView.SAX: "sa",
    CardiacView.TWO_CHAMBER: "la_2ch",
    CardiacView.THREE_CHAMBER: "la_3ch",
    CardiacView.FOUR_CHAMBER: "la_4ch",
}
"""What files of a view are called."""

_VENTRICLES = (Structure.LV, Structure.MYO, Structure.RV)
_ALL = {structure: int(structure) for structure in Structure if structure}
_SHORT_AXIS = {structure: int(structure) for structure in _VENTRICLES}
_ATRIA = {
    CardiacView.TWO_CHAMBER: {Structure.LA: 1},
    CardiacView.FOUR_CHAMBER: {Structure.LA: 1, Structure.RA: 2},
}
"""Values of the long-axis label maps, which have atria only."""


def ukbb_files(name: str, series: ImageSeries) -> Iterator[tuple[str, bytes]]:
    """Return the files of one view of one subject.

    Parameters
    ----------
    name
        The subject's folder.
    series
        The view's images, and labels where it has any. Label maps stand beside the phases that are annotated; of a cine one label
        map has all frames, with zeros where none was drawn, as ukbb_cardiac has it.

    Yields
    ------
        Path and content of each file.
    """
    for volume in volumes_of(series):
        for phase in [None] if series.is_cine else range(len(series.phases)):
            parts = [VIEW_NAMES[series.view]]
            parts += [] if phase is None else [series.phases[phase].upper()]
            parts += [volume.slice_name] if volume.slice_name else []
            stem = "_".join(parts)
            yield f"{name}/{stem}.nii.gz", image_file(series, volume, phase)
            yield f"{name}/{stem}.json", sidecar(series, volume, phase)
            if series.labels is None or not series.labels.annotated[slice(None) if phase is None else phase, volume.slices].any():
                continue
            labels = series.labels.labels if phase is None else series.labels.labels[phase]
            for prefix, values in label_conventions(series.view, series.labels, phase).items():
                yield f"{name}/{prefix}_{stem}.nii.gz", label_file(series, volume, with_values(labels, values))
                yield f"{name}/{prefix}_{stem}.json", label_sidecar(series.labels, values, phase, volume.slices)


def label_conventions(view: CardiacView, labels: ViewLabels, phase: int | None) -> dict[str, Mapping[Structure, int]]:
    """Return the label maps that are written for a view: their prefix, and the value of each structure.

    ``label`` has the values that ukbb_cardiac gives the view, in which long-axis maps have atria only. ``label4`` has all five
    structures, and is written for long-axis views on which ventricles were drawn.
    """
    structures: BoolArray = labels.structures if phase is None else labels.structures[phase]
    drawn: BoolArray = np.asarray(structures.reshape(-1, len(Structure)).any(axis=0))
    if view is CardiacView.SAX:
        return {"label": _SHORT_AXIS}
    atria = _ATRIA.get(view, {})
    maps: dict[str, Mapping[Structure, int]] = {}
    if any(drawn[structure] for structure in atria):
        maps["label"] = atria
    if drawn[list(_VENTRICLES)].any() or not maps:
        maps["label4"] = _ALL
    return maps


def with_values(labels: LabelArray, values: Mapping[Structure, int]) -> LabelArray:
    """Return labels in other values; structures that have none become background."""
    table = np.zeros(len(Structure), dtype=np.uint8)
    for structure, value in values.items():
        table[structure] = value
    changed: LabelArray = table[labels]
    return changed


def label_sidecar(labels: ViewLabels, values: Mapping[Structure, int], phase: int | None, slices: slice) -> bytes:
    """Return the JSON beside a label map: its classes, and on which slices each was drawn, or searched for and absent.

    The lists have one value per slice; of a cine, one list of slices per frame.
    """
    structures: BoolArray = labels.structures if phase is None else labels.structures[phase : phase + 1]
    rows: list[list[list[bool]]] = structures[:, slices].tolist()

    def of(structure: Structure) -> list[list[bool]] | list[bool]:
        by_phase = [[one[structure] for one in row] for row in rows]
        return by_phase if phase is None else by_phase[0]

    return json_bytes(
        {
            "Labels": {str(value): structure.title for structure, value in values.items()},
            "Annotated": of(Structure.BACKGROUND),
            "AnnotatedStructures": {structure.title: of(structure) for structure in values},
        }
    )
