"""NIfTI volumes to and from arrays, planes and affines. What their values mean is decided elsewhere."""
