"""What a NIfTI header says of the place of its voxels, kept as a header, so that a label map can lie on an image's grid exactly."""

import struct
from typing import Any

_SIZES_OFFSET = 42
"""Of the first axis; the number of axes stands before it."""
_FIELDS = (
    *("qform_code", "sform_code", "quatern_b", "quatern_c", "quatern_d", "qoffset_x", "qoffset_y", "qoffset_z"),
    *("srow_x", "srow_y", "srow_z", "xyzt_units"),
)


def geometry_header(header: Any, shape: tuple[int, ...]) -> bytes:  # noqa: ANN401  # nibabel has no types
    """Return a header with the sizes and the place of a volume's voxels, and nothing else of its file: no text, no times.

    Parameters
    ----------
    header
        A NIfTI header of nibabel. Numbers of NIfTI-2 are rounded to single precision.
    shape
        The sizes of i, j and k.

    Returns
    -------
        348 bytes, little-endian NIfTI-1.
    """
    import nibabel

    kept: Any = nibabel.Nifti1Header(endianness="<")  # type: ignore[no-untyped-call]
    kept.set_data_dtype("u1")
    kept.set_data_shape(shape[:3])
    kept["pixdim"][:4] = header["pixdim"][:4]
    for name in _FIELDS:
        kept[name] = header[name]
    return bytes(kept.binaryblock)


def sizes_of(header: bytes) -> tuple[int, int, int]:
    """Return the sizes of i, j and k of a header of :func:`geometry_header`."""
    i, j, k = struct.unpack_from("<3h", header, _SIZES_OFFSET)
    return i, j, k
