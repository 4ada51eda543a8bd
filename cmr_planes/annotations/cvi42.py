"""cvi42 workspaces: contours by SOP instance UID, in XML of up to 100 MB, streamed.

The path to a contour is ``ImageStates > <SOPInstanceUID> > Contours > <name> > Points``. Points are integers on a grid of
``SubpixelResolution`` steps a pixel. Nothing else is read, least of all who drew it.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO
from xml.etree.ElementTree import Element, ParseError

import numpy as np
from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import iterparse

from cmr_planes.annotations.model import Annotation, Contour, ContourImage, LabelFormat, Outline
from cmr_planes.annotations.rasterise import fill_polygon
from cmr_planes.errors import AnnotationError
from cmr_planes.geometry.arrays import FloatArray
from cmr_planes.system.text import counted, either

DEFAULT_SUBPIXEL_RESOLUTION = 4.0
"""Steps a pixel where the contour does not say: what cvi42 writes."""

OUTLINES = {
    "saendocardialContour": Outline.LV_ENDO,
    "saendocardialOpenContour": Outline.LV_ENDO,
    "saepicardialContour": Outline.LV_EPI,
    "saepicardialOpenContour": Outline.LV_EPI,
    "sarvendocardialContour": Outline.RV_ENDO,
    "laendocardialContour": Outline.LV_ENDO,
    "laendocardialOpenContour": Outline.LV_ENDO,
    "laepicardialContour": Outline.LV_EPI,
    "laepicardialOpenContour": Outline.LV_EPI,
    "larvendocardialContour": Outline.RV_ENDO,
    "lalaContour": Outline.LA,
    "laraContour": Outline.RA,
}
"""Contours that are used. Papillary muscles (``sapapilMuscContour``) belong to the blood pool and need no contour of their own."""

_MAX_POINTS = 100_000
_MIN_POINTS = 3
_GRID = 128


@dataclass(frozen=True, slots=True, eq=False)
class _StoredContour:
    """A contour as a workspace stores it."""

    outline: Outline
    points: FloatArray
    """Shape (n, 2): (column, row) in steps."""
    resolution: float | None
    """Steps a pixel, None if the contour does not say."""
    is_open: bool
    """Whether its name is that of an open contour."""

    def scaled(self, usual: float | None) -> Contour:
        """Return the contour in pixels; ``usual`` is the resolution of contours that do not say theirs, None for the default."""
        return Contour(self.outline, self.points / (self.resolution or usual or DEFAULT_SUBPIXEL_RESOLUTION))


def read_cvi42(stream: BinaryIO) -> Annotation:
    """Read a workspace.

    Parameters
    ----------
    stream
        The file.

    Returns
    -------
        Contours by instance, in the order of the UIDs.

    Raises
    ------
    AnnotationError
        It is not XML, holds a document type, entities or external references, or no contour.
    """
    contours: defaultdict[str, list[_StoredContour]] = defaultdict(list)
    try:
        _read_contours(stream, contours)
    except DefusedXmlException as error:
        raise AnnotationError(
            f"holds XML that a workspace never does ({type(error).__name__}), as an attack on XML readers does, and was not read"
        ) from error
    except (ParseError, UnicodeError, LookupError) as error:
        position = getattr(error, "position", None)
        where = f" at line {position[0]}" if position else ""
        raise AnnotationError(
            f"is not well-formed XML{where}: it is cut off, damaged, or a binary workspace (.cvi42ws); export it again as an XML "
            "workspace (.cvi42wsx)"
        ) from error
    if not contours:
        raise AnnotationError("holds no contour of the heart's chambers under ImageStates; export the workspace with its contours")
    resolutions = Counter(one.resolution for of_image in contours.values() for one in of_image if one.resolution is not None)
    usual = min(resolutions, key=lambda value: (-resolutions[value], value)) if resolutions else None
    n_without = sum(one.resolution is None for of_image in contours.values() for one in of_image)
    images = (
        ContourImage(
            contours=tuple(one.scaled(usual) for one in _closed_first(contours[uid])),
            sop_instance_uid=uid,
            is_scale_assumed=usual is None,
        )
        for uid in sorted(contours)
    )
    remarks = (_assumed_sentence(n_without, usual),) if n_without else ()
    return Annotation(source=LabelFormat.CVI42, contour_images=tuple(images), remarks=remarks)


def _assumed_sentence(n_contours: int, usual: float | None) -> str:
    """Say which scale was assumed for contours that do not state theirs."""
    taken = (
        f"{DEFAULT_SUBPIXEL_RESOLUTION:g} steps a pixel, as is usual, were"
        if usual is None
        else f"that of the others ({usual:g}) was"
    )
    return (
        f"{counted(n_contours, 'contour')} {either(n_contours, 'has', 'have')} no SubpixelResolution, and {taken} "
        f"assumed; check that {either(n_contours, 'it lies', 'they lie')} on the heart"
    )


def _closed_first(contours: Sequence[_StoredContour]) -> list[_StoredContour]:
    """Leave out open contours that lie apart from a closed one of the same kind: they were left over from an earlier attempt."""
    return [
        one
        for one in contours
        if not (
            one.is_open
            and (closed := [other for other in contours if other.outline is one.outline and not other.is_open])
            and not any(_overlap(one.points, other.points) for other in closed)
        )
    ]


def _overlap(first: FloatArray, second: FloatArray) -> bool:
    """Tell whether two contours, shape (n, 2), enclose a common area; compared on a grid of :data:`_GRID` steps each way."""
    low = np.minimum(first.min(axis=0), second.min(axis=0))
    size = np.maximum(first.max(axis=0), second.max(axis=0)) - low
    scale = (_GRID - 1) / max(float(size.max()), 1e-9)
    filled = [fill_polygon((points - low) * scale, _GRID, _GRID) for points in (first, second)]
    return bool((filled[0] & filled[1]).any())


def _read_contours(stream: BinaryIO, contours: dict[str, list[_StoredContour]]) -> None:
    """Gather contours from a stream of XML, forgetting each part once it is read."""
    path: list[tuple[str, Element]] = []
    for event, element in iterparse(stream, events=("start", "end"), forbid_dtd=True):
        if event == "start":
            path.append((_key(element), element))
            continue
        path.pop()
        keys = [key for key, _ in path]
        if "Contours" not in keys:
            element.clear()
            if path and len(path) > 1:
                path[-1][1].remove(element)
            continue
        if keys[-1] == "Contours" and len(keys) > 2 and keys[-3] == "ImageStates":  # the contour itself has been read
            outline = OUTLINES.get(_key(element))
            contour = None if outline is None else _contour(element, outline)
            if contour is not None:
                contours[keys[-2]].append(contour)
            element.clear()


def _contour(element: Element, outline: Outline) -> _StoredContour | None:
    """Read one contour; None if it has too few points to enclose anything."""
    resolution: float | None = None
    points: list[tuple[float, float]] = []
    try:
        for item in element:
            if _key(item) == "SubpixelResolution":
                resolution = float(item.text or "")
            elif _key(item) == "Points":
                points = [_point(point) for point in item]
    except ValueError as error:
        raise AnnotationError(
            "holds a contour whose points or SubpixelResolution are no numbers; export the workspace again"
        ) from error
    if len(points) < _MIN_POINTS:
        return None
    array = np.array(points)
    is_scale = resolution is None or 0 < resolution < 1e4
    if not (np.isfinite(array).all() and np.abs(array).max() < 1e6 and is_scale and len(points) <= _MAX_POINTS):
        steps = "" if resolution is None else f" or a SubpixelResolution ({resolution:g})"
        raise AnnotationError(
            f"holds a contour of {len(points)} points with coordinates{steps} beyond any image; export the workspace again"
        )
    return _StoredContour(outline, array, resolution, is_open="OpenContour" in _key(element))


def _point(element: Element) -> tuple[float, float]:
    """Return a point's x and y; raises ValueError."""
    values: dict[str, Any] = {child.tag.rpartition("}")[2]: child.text for child in element}
    return float(values.get("x") or "missing"), float(values.get("y") or "missing")


def _key(element: Element) -> str:
    """Return an element's ``Hash:key``, whatever the prefix; empty if it has none."""
    return next((value for name, value in element.attrib.items() if name.rpartition("}")[2].rpartition(":")[2] == "key"), "")
