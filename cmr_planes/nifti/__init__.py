"""NIfTI volumes to arrays, planes and affines, and back; words in file names. The meaning of voxel values does not belong here."""
