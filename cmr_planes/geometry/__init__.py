"""Plane geometry of cardiac MR views: arrays in, arrays out.

Points are LPS patient coordinates in millimetres (+x to the patient's left, +y to the posterior, +z to the head, DICOM PS3.3
C.7.6.2.1.1). Pixels are ``(column, row)`` floats whose integer values lie at pixel centres. Nothing here knows of DICOM
files, HDF5 or logging.
"""

from cmr_planes.geometry.lines import Line, PlaneIntersection, intersect_planes, intersect_three_planes, line_in_image
from cmr_planes.geometry.plane import ImagePlane
from cmr_planes.geometry.positions import (
    VIEW_LINES,
    BoxLayout,
    BoxUnits,
    DecidingAxis,
    Positions,
    ViewLine,
    compute_positions,
    draw_mask,
)
from cmr_planes.geometry.stack import angle_between_normals_deg, middle_slice, order_from_base

__all__ = [
    "VIEW_LINES",
    "BoxLayout",
    "BoxUnits",
    "DecidingAxis",
    "ImagePlane",
    "Line",
    "PlaneIntersection",
    "Positions",
    "ViewLine",
    "angle_between_normals_deg",
    "compute_positions",
    "draw_mask",
    "intersect_planes",
    "intersect_three_planes",
    "line_in_image",
    "middle_slice",
    "order_from_base",
]
