"""Plane geometry of cardiac MR views: arrays in, arrays out.

Points are LPS patient coordinates in millimetres (+x to the patient's left, +y to the posterior, +z to the head, DICOM PS3.3
C.7.6.2.1.1). Pixels are ``(column, row)`` floats whose integer values lie at pixel centres. Nothing here knows of DICOM
files, HDF5 or logging.
"""

from cmr_planes.geometry.lines import Line, Plane, PlaneIntersection, intersect_planes, intersect_three_planes, line_in_image
from cmr_planes.geometry.patient_axes import LPS_AXES, DecidingAxis, PatientAxes
from cmr_planes.geometry.plane import ImagePlane, UnboundedPlane
from cmr_planes.geometry.positions import (
    VIEW_LINES,
    BoxLayout,
    BoxUnits,
    Positions,
    ViewLine,
    compute_positions,
    draw_mask,
)
from cmr_planes.geometry.shifts import SliceShifts, median_shift_mm
from cmr_planes.geometry.stack import angle_between_normals_deg, middle_slice, order_from_base

__all__ = [
    "LPS_AXES",
    "VIEW_LINES",
    "BoxLayout",
    "BoxUnits",
    "DecidingAxis",
    "ImagePlane",
    "Line",
    "PatientAxes",
    "Plane",
    "PlaneIntersection",
    "Positions",
    "SliceShifts",
    "UnboundedPlane",
    "ViewLine",
    "angle_between_normals_deg",
    "compute_positions",
    "draw_mask",
    "intersect_planes",
    "intersect_three_planes",
    "line_in_image",
    "median_shift_mm",
    "middle_slice",
    "order_from_base",
]
