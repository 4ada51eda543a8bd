"""cvi42 workspaces: contours by SOP instance UID, in XML of up to 100 MB, streamed.

The path to a contour is ``ImageStates > <SOPInstanceUID> > Contours > <name> > Points``. Points are integers on a grid of
``SubpixelResolution`` steps a pixel. Nothing else is read, least of all who drew it.
"""

from collections import defaultdict
from typing import Any, BinaryIO
from xml.etree.ElementTree import Element, ParseError

import numpy as np
from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import iterparse

from cmr_planes.annotations.model import Annotation, Contour, ContourImage, LabelFormat, Outline
from cmr_planes.errors import AnnotationError

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
    contours: defaultdict[str, list[Contour]] = defaultdict(list)
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
    images = (ContourImage(contours=tuple(contours[uid]), sop_instance_uid=uid) for uid in sorted(contours))
    return Annotation(source=LabelFormat.CVI42, contour_images=tuple(images))


def _read_contours(stream: BinaryIO, contours: dict[str, list[Contour]]) -> None:
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


def _contour(element: Element, outline: Outline) -> Contour | None:
    """Read one contour; None if it has too few points to enclose anything."""
    resolution = DEFAULT_SUBPIXEL_RESOLUTION
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
    if not (np.isfinite(array).all() and np.abs(array).max() < 1e6 and 0 < resolution < 1e4 and len(points) <= _MAX_POINTS):
        raise AnnotationError(
            f"holds a contour of {len(points)} points with coordinates or a SubpixelResolution ({resolution:g}) beyond any image; "
            "export the workspace again"
        )
    return Contour(outline, array / resolution)


def _point(element: Element) -> tuple[float, float]:
    """Return a point's x and y; raises ValueError."""
    values: dict[str, Any] = {child.tag.rpartition("}")[2]: child.text for child in element}
    return float(values.get("x") or "missing"), float(values.get("y") or "missing")


def _key(element: Element) -> str:
    """Return an element's ``Hash:key``, whatever the prefix; empty if it has none."""
    return next((value for name, value in element.attrib.items() if name.rpartition("}")[2].rpartition(":")[2] == "key"), "")
