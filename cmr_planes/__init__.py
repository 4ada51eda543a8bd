"""Anatomical position masks from the view planes of cardiac MR.

Example::

    import cmr_planes

    summary = cmr_planes.extract("studies/", "out.h5")
    with summary.open() as catalogue:
        index = catalogue.index(cmr_planes.CardiacView.SAX)

The names below are loaded when they are first used, so that importing the package takes no time.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cmr_planes.annotations.reading import LabelSource
    from cmr_planes.errors import (
        AnnotationError,
        ClusterError,
        CmrPlanesError,
        DicomError,
        ExportError,
        GeometryError,
        InUseError,
        PacsError,
        ShardError,
        SourceError,
        StudyError,
    )
    from cmr_planes.exports.job import ExportSummary, export
    from cmr_planes.exports.options import ExportForm, ExportLabels, ExportOptions
    from cmr_planes.extraction.annotating import AnnotateSummary, annotate
    from cmr_planes.extraction.instances import SourceInstances
    from cmr_planes.extraction.job import ExtractSummary, extract
    from cmr_planes.extraction.options import ExtractOptions
    from cmr_planes.geometry import BoxLayout, BoxUnits, DecidingAxis, ImagePlane, Positions, compute_positions, draw_mask
    from cmr_planes.quality.page import QualityPage, write_quality_page
    from cmr_planes.shards.catalogue import Catalogue
    from cmr_planes.shards.catalogue_image import CatalogueImage
    from cmr_planes.views import CardiacPhase, CardiacView, PhaseChoice, PositionClass, Structure

__all__ = [
    "AnnotateSummary",
    "AnnotationError",
    "BoxLayout",
    "BoxUnits",
    "CardiacPhase",
    "CardiacView",
    "Catalogue",
    "CatalogueImage",
    "ClusterError",
    "CmrPlanesError",
    "DecidingAxis",
    "DicomError",
    "ExportError",
    "ExportForm",
    "ExportLabels",
    "ExportOptions",
    "ExportSummary",
    "ExtractOptions",
    "ExtractSummary",
    "GeometryError",
    "ImagePlane",
    "InUseError",
    "LabelSource",
    "PacsError",
    "PhaseChoice",
    "PositionClass",
    "Positions",
    "QualityPage",
    "ShardError",
    "SourceError",
    "SourceInstances",
    "Structure",
    "StudyError",
    "annotate",
    "compute_positions",
    "draw_mask",
    "export",
    "extract",
    "write_quality_page",
]

_MODULES = {
    "cmr_planes.annotations.reading": ("LabelSource",),
    "cmr_planes.errors": (
        "AnnotationError",
        "ClusterError",
        "CmrPlanesError",
        "DicomError",
        "ExportError",
        "GeometryError",
        "InUseError",
        "PacsError",
        "ShardError",
        "SourceError",
        "StudyError",
    ),
    "cmr_planes.exports.job": ("ExportSummary", "export"),
    "cmr_planes.exports.options": ("ExportForm", "ExportLabels", "ExportOptions"),
    "cmr_planes.extraction.annotating": ("AnnotateSummary", "annotate"),
    "cmr_planes.extraction.instances": ("SourceInstances",),
    "cmr_planes.extraction.job": ("ExtractSummary", "extract"),
    "cmr_planes.extraction.options": ("ExtractOptions",),
    "cmr_planes.geometry": ("BoxLayout", "BoxUnits", "DecidingAxis", "ImagePlane", "Positions", "compute_positions", "draw_mask"),
    "cmr_planes.quality.page": ("QualityPage", "write_quality_page"),
    "cmr_planes.shards.catalogue": ("Catalogue",),
    "cmr_planes.shards.catalogue_image": ("CatalogueImage",),
    "cmr_planes.views": ("CardiacPhase", "CardiacView", "PhaseChoice", "PositionClass", "Structure"),
}
_HOMES = {name: module for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> Any:  # noqa: ANN401  # any of the names above
    """Load a name of the front door from the module that defines it; ``__version__`` is that of the installed package."""
    if name == "__version__":
        from importlib.metadata import version

        return version("cmr-planes")
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    """List the names of the front door."""
    return sorted({*globals(), *__all__})
