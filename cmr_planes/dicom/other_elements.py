"""Elements that a quick walk leaves, read by pydicom's low-level reader: odd ones, other encodings, damaged ones.

Loaded when a file needs it: pydicom takes longer to start than many a study to read.
"""

import io
import struct
import zlib

from pydicom.dataelem import RawDataElement
from pydicom.errors import BytesLengthException, InvalidDicomError
from pydicom.filereader import data_element_generator

from cmr_planes.dicom.plain_elements import DamagedElementsError, PlainElements
from cmr_planes.dicom.quiet import quiet_pydicom

PARSE_ERRORS = (
    EOFError,
    OSError,
    ValueError,
    TypeError,
    AttributeError,
    LookupError,
    NotImplementedError,
    RecursionError,
    OverflowError,
    InvalidDicomError,
    BytesLengthException,
    struct.error,
    zlib.error,
)
"""What pydicom's reader raises on bytes that are not what they claim to be."""


def read_other_elements(
    data: bytes,
    start: int,
    wanted: frozenset[int],
    last: int,
    *,
    is_implicit: bool,
    is_little: bool = True,
    n_elements: int | None = None,
) -> PlainElements | None:
    """Read wanted elements, whatever they are.

    Parameters
    ----------
    data
        The beginning of a file.
    start
        Where the first element begins.
    wanted
        The tags of the elements that are wanted; those of undefined length (sequences) are skipped.
    last
        Where to stop: at the first tag above this one.
    is_implicit, is_little
        How the elements are written.
    n_elements
        How many are read at most; None for all.

    Returns
    -------
        The elements, and how far the reading came; None if the data end before that.

    Raises
    ------
    DamagedElementsError
        The bytes are not those of elements.
    """
    n_begun = 0
    is_past_last = is_stopped = False

    def stop(tag: int, vr: str | None, length: int) -> bool:  # noqa: ARG001  # pydicom's signature
        nonlocal n_begun, is_past_last, is_stopped
        is_past_last = int.__gt__(tag, last)  # the operator of pydicom's tags is many times slower
        is_stopped = is_past_last or n_begun == n_elements
        n_begun += 1
        return is_stopped

    stream = io.BytesIO(data)
    stream.seek(start)
    values: dict[int, bytes] = {}
    with quiet_pydicom():
        try:
            for element in data_element_generator(stream, is_implicit, is_little, stop, specific_tags=[*wanted]):
                if isinstance(element, RawDataElement):
                    raw = element.value or b""
                    if len(raw) < element.length:
                        return None
                    values[int(element.tag)] = raw
        except PARSE_ERRORS as error:
            raise DamagedElementsError from error
    return PlainElements(values, stream.tell(), is_past_last) if is_stopped else None


def read_file_meta(data: bytes, start: int, wanted: frozenset[int], last: int) -> PlainElements:
    """Read as much of the file meta information as there is.

    Parameters
    ----------
    data
        The beginning of a file.
    start
        Where the file meta information begins.
    wanted, last
        The elements that are wanted, and the last tag that it can have.

    Returns
    -------
        The elements, and where the dataset begins.

    Raises
    ------
    DamagedElementsError
        The bytes are not those of elements.
    """
    stream = io.BytesIO(data)
    stream.seek(start)

    def stop(tag: int, vr: str | None, length: int) -> bool:  # noqa: ARG001  # pydicom's signature
        return int.__gt__(tag, last)

    with quiet_pydicom():
        try:
            elements = data_element_generator(
                stream, is_implicit_VR=False, is_little_endian=True, stop_when=stop, specific_tags=[*wanted]
            )
            values = {
                int(element.tag): element.value or b""
                for element in elements
                if isinstance(element, RawDataElement) and int(element.tag) in wanted
            }
        except PARSE_ERRORS as error:
            raise DamagedElementsError from error
    return PlainElements(values, stream.tell(), is_past_last=True)
