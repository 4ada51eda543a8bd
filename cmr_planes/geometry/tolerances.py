"""The tolerances of the geometry, each with its unit and its reason. Nowhere else is a bare epsilon."""

UNIT_LENGTH_TOLERANCE = 1e-3
"""Allowed deviation of a direction cosine's length from 1. Headers round cosines to 4 to 16 digits."""

PERPENDICULAR_TOLERANCE = 1e-3
"""Allowed dot product of the row and the column cosine (DICOM PS3.3 C.7.6.2.1.1 wants them orthogonal)."""

MAX_POSITION_MM = 1e6
"""A coordinate farther from the scanner's origin than this is none, in mm; scanners stay below 1e3."""

MAX_SPACING_MM = 1e4
"""Pixels larger than this, or smaller than its inverse, are none, in mm; scanners have 0.1 to 10."""

PARALLEL_ANGLE_DEG = 0.5
"""Planes (or lines in an image) that meet at a smaller angle count as parallel, in degrees."""

MAX_CONDITION_NUMBER = 100.0
"""Three planes whose unit normals form a worse conditioned matrix have no usable common point."""

SAME_ORIENTATION_DEG = 3.0
"""Slices of one stack: largest angle between their normals, in degrees."""

MIN_LINE_ANGLE_DEG = 32.0
"""Smallest angle between the two lines in the image: below it, boxes of 11 pixels at 30 pixels' distance can overlap."""

MIN_ALIGNMENT = 0.05
"""Smallest absolute cosine of a line with its deciding patient axis.

The 2Ch line on the 4Ch image is the weak one: a real heart has 0.29 with the superior axis, a horizontal one less. Headers give the
line's direction to far better than the 3 degrees that are left out here.
"""

MIN_VISIBLE_BOXES = 5
"""Fewer visible boxes than this teach too little; the view is rejected."""

MIDDLE_TIE_MM = 0.4
"""Slices whose distances from the middle of the stack differ by less are as near, in mm: headers round positions to 1 to 6
decimals, which moves the difference of two distances by up to 0.35 mm."""

TIE_PX = 1e-9
"""A point within this of the middle between two pixels is as near to the one as to the other: arithmetic leaves about 1e-12."""
