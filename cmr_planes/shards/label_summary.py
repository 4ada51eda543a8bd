"""Counts of annotations by view, from the table of annotations alone."""

from collections import Counter
from dataclasses import dataclass
from typing import Any

from cmr_planes.shards.columns import AnnotationTable, ViewTable
from cmr_planes.views import CardiacView, Structure


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelSummary:
    """The labels of one view over all subjects."""

    view: CardiacView
    """The view."""
    n_subjects: int
    """Subjects with labels."""
    n_complete: int
    """Subjects of which every image has labels."""
    n_slices: int
    """Slices with labels at one phase at least."""
    n_images: int
    """2D images with labels."""
    structure_images: tuple[int, ...]
    """Images on which each of the six classes was drawn, or checked and absent."""
    pixel_shares: tuple[float, ...]
    """Share of the pixels of each class on the annotated images, adding up to 1."""
    sources: tuple[tuple[str, int], ...]
    """Formats, and the subjects with each, most frequent first."""


def summarise_labels(annotations: AnnotationTable, views: ViewTable) -> tuple[LabelSummary, ...]:
    """Summarise what is annotated, one summary for each view that has labels.

    Parameters
    ----------
    annotations, views
        The tables, as :class:`cmr_planes.shards.catalogue.Catalogue` returns them.
    """
    sizes = zip(views.n_phases.tolist(), views.n_slices.tolist(), strict=True)
    totals = {
        key: n_phases * n_slices
        for key, (n_phases, n_slices) in zip(zip(views.subject, views.view, strict=True), sizes, strict=True)
    }
    summaries = []
    for view in CardiacView:
        rows = [row for row, name in enumerate(annotations.view) if name == view.value]
        if not rows:
            continue
        images, pixels = annotations.n_images[rows], annotations.label_pixels[rows].sum(axis=0)
        whole = [totals.get((annotations.subject[row], view.value)) == annotations.n_images[row] for row in rows]
        summaries.append(
            LabelSummary(
                view=view,
                n_subjects=len(rows),
                n_complete=sum(map(bool, whole)),
                n_slices=int(annotations.n_slices[rows].sum()),
                n_images=int(images.sum()),
                structure_images=tuple(annotations.structure_images[rows].sum(axis=0).tolist()),
                pixel_shares=tuple((pixels / max(1, pixels.sum())).tolist()),
                sources=tuple(Counter(annotations.source[row] for row in rows).most_common()),
            )
        )
    return tuple(summaries)


def labels_to_json(summary: LabelSummary) -> dict[str, Any]:
    """Return a summary as JSON's types."""
    names = [structure.title for structure in Structure]
    return {
        "n_subjects": summary.n_subjects,
        "n_complete": summary.n_complete,
        "n_slices": summary.n_slices,
        "n_images": summary.n_images,
        "structure_images": dict(zip(names, summary.structure_images, strict=True)),
        "pixel_shares": dict(zip(names, summary.pixel_shares, strict=True)),
        "sources": dict(summary.sources),
    }
