"""The quick walk over elements, compared with pydicom's reader."""

import io
import random
import struct

import pydicom
import pytest
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.filereader import data_element_generator
from pydicom.sequence import Sequence

from cmr_planes.dicom import tags
from cmr_planes.dicom.headers import HEADER_TAGS
from cmr_planes.dicom.other_elements import PARSE_ERRORS
from cmr_planes.dicom.plain_elements import walk_plain_elements
from cmr_planes.dicom.quiet import quiet_pydicom
from cmr_planes.phantom.small_study import encode_study, simple_study

WANTED = frozenset(HEADER_TAGS)
Reading = tuple[dict[int, bytes], int]


def by_pydicom(data: bytes, start: int) -> Reading | None:
    """Return the wanted elements and where pydicom stops; None where it fails or values are cut off."""
    stream = io.BytesIO(data)
    stream.seek(start)
    values: dict[int, bytes] = {}
    elements = data_element_generator(
        stream, False, True, lambda tag, *_: int(tag) > tags.RESCALE_SLOPE, specific_tags=list(HEADER_TAGS)
    )
    try:
        with quiet_pydicom():
            for element in elements:
                if isinstance(element, RawDataElement):
                    values[int(element.tag)] = element.value or b""
                    if len(values[int(element.tag)]) < element.length:
                        return None
    except PARSE_ERRORS:
        return None
    return values, stream.tell()


def walked_then_by_pydicom(data: bytes, start: int) -> Reading | None:
    """Return the same from a walk that pydicom continues with."""
    values, position, is_past_last = walk_plain_elements(data, start, WANTED, tags.RESCALE_SLOPE)
    if is_past_last:
        return values, position
    rest = by_pydicom(data, position)
    return None if rest is None else ({**values, **rest[0]}, rest[1])


def header() -> bytes:
    """Return a header without file meta information, with a little of its private group.

    Without a character set too: pydicom gives up a file where it knows no such codec, the walk does not ask.
    """
    file = encode_study(simple_study(n_slices=1, n_frames=1, rows=8, columns=8, views=("sax",), private_bytes=64))[0]
    stream = io.BytesIO()
    dataset = pydicom.dcmread(io.BytesIO(file.data))
    plain = Dataset()
    plain.update({element.tag: element for element in dataset})
    del plain.SpecificCharacterSet
    pydicom.dcmwrite(stream, plain, implicit_vr=False, little_endian=True, enforce_file_format=False)
    return stream.getvalue()


HEADER = header()


def with_sequence(*, is_undefined: bool) -> bytes:
    """Return a sequence in front of the header."""
    item = Dataset()
    item.ReferencedSOPClassUID = "1.2.3"
    item.PatientID = "of the item"
    dataset = Dataset()
    dataset.ReferencedStudySequence = Sequence([item])
    dataset["ReferencedStudySequence"].is_undefined_length = is_undefined
    stream = io.BytesIO()
    pydicom.dcmwrite(stream, dataset, implicit_vr=False, little_endian=True, enforce_file_format=False)
    return stream.getvalue() + HEADER


def test_a_plain_header_is_read_to_its_end() -> None:
    walk = walk_plain_elements(HEADER, 0, WANTED, tags.RESCALE_SLOPE)
    assert walk.is_past_last
    assert (walk.values, walk.position) == by_pydicom(HEADER, 0)
    assert len(walk.values) > 30


@pytest.mark.parametrize("is_undefined", [True, False])
def test_sequences_are_passed_over(is_undefined: bool) -> None:
    data = with_sequence(is_undefined=is_undefined)
    assert walk_plain_elements(data, 0, WANTED, tags.RESCALE_SLOPE).is_past_last is not is_undefined
    assert walked_then_by_pydicom(data, 0) == by_pydicom(data, 0)


@pytest.mark.parametrize("vr", [b"\x04\x00", b"QQ", b"UN"])
def test_elements_of_other_value_representations_are_left_to_pydicom(vr: bytes) -> None:
    size = struct.pack("<HL", 0, 4) if vr == b"UN" else struct.pack("<H", 0 if vr[0] < ord("A") else 4)
    data = struct.pack("<HH", 0x0009, 0x1001) + vr + size + b"abcd" + HEADER
    assert walked_then_by_pydicom(data, 0) == by_pydicom(data, 0) is not None


def test_a_header_that_is_cut_off_anywhere_is_read_as_by_pydicom() -> None:
    for size in range(len(HEADER)):
        data = HEADER[:size]
        walk = walk_plain_elements(data, 0, WANTED, tags.RESCALE_SLOPE)
        assert not (walk.is_past_last and size <= walk.position)
        assert walked_then_by_pydicom(data, 0) == by_pydicom(data, 0)


@pytest.mark.parametrize("seed", range(4))
def test_damaged_headers_are_read_as_by_pydicom(seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(250):
        data = bytearray(with_sequence(is_undefined=rng.random() < 0.5))
        for _ in range(rng.randint(1, 4)):
            data[rng.randrange(len(data))] = rng.choice((0, 1, 2, 8, 255, rng.randrange(256)))
        assert walked_then_by_pydicom(bytes(data), 0) == by_pydicom(bytes(data), 0)
