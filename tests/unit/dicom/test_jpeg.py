"""JPEG streams, beside another library (libjpeg by way of pylibjpeg) and against what was encoded; and damaged ones."""

import struct

import imagecodecs
import numpy as np
import pytest
from libjpeg import decode as libjpeg_decode

from cmr_planes.dicom.jpeg import decode_jpeg
from cmr_planes.errors import UnreadablePixelsError
from tests.helpers import jpeg_lossless

ROWS, COLUMNS = 48, 64


def image(bits: int) -> np.ndarray:
    rows, columns = np.mgrid[:ROWS, :COLUMNS]
    smooth = (np.sin(columns / 9) + np.cos(rows / 7) + 2) / 4 * 0.9 * (2**bits - 1)
    noisy = smooth + np.random.default_rng(bits).normal(0, 2**bits / 40, smooth.shape)
    return np.clip(noisy, 0, 2**bits - 1).astype(np.uint8 if bits == 8 else np.uint16)


@pytest.mark.parametrize("bits", [8, 10, 12, 16])
@pytest.mark.parametrize("predictor", [1, 2, 3, 4, 5, 6, 7])
def test_lossless_streams_of_every_predictor(bits, predictor):
    stream = imagecodecs.jpeg8_encode(image(bits), lossless=True, predictor=predictor, bitspersample=bits)
    np.testing.assert_array_equal(decode_jpeg(stream, ROWS, COLUMNS), image(bits))
    np.testing.assert_array_equal(libjpeg_decode(stream), image(bits))


@pytest.mark.parametrize("bits", [8, 12, 16])
def test_a_literal_encoders_streams(bits):
    stream = jpeg_lossless.encode(image(bits).astype(np.uint16), bits)
    np.testing.assert_array_equal(decode_jpeg(stream + b"\0", ROWS, COLUMNS), image(bits))


@pytest.mark.parametrize("bits", [8, 10, 12, 16])
def test_jpeg_ls(bits):
    stream = imagecodecs.jpegls_encode(image(bits))
    np.testing.assert_array_equal(decode_jpeg(stream, ROWS, COLUMNS), image(bits))


@pytest.mark.parametrize("bits", [8, 12])
def test_lossy_streams_differ_from_another_decoder_by_one_at_most(bits):
    """T.81 leaves the last bit of the inverse cosine transform open."""
    stream = imagecodecs.jpeg8_encode(image(bits), level=95, bitspersample=bits)
    difference = decode_jpeg(stream, ROWS, COLUMNS).astype(int) - libjpeg_decode(stream).astype(int)
    assert abs(difference).max() <= 1


def lossless() -> bytes:
    return imagecodecs.jpeg8_encode(image(12), lossless=True, predictor=1, bitspersample=12)


@pytest.mark.parametrize("stream", [lossless(), imagecodecs.jpegls_encode(image(12))], ids=["lossless", "LS"])
def test_a_stream_that_is_cut_off_is_refused_wherever_that_is(stream):
    for length in range(0, len(stream) - 1, 97):
        with pytest.raises(UnreadablePixelsError):
            decode_jpeg(stream[:length], ROWS, COLUMNS)


def test_codes_that_do_not_exist_are_found():
    """Where noise stands for codes, decoders continue differently; of 32 codes of five bits 17 exist."""
    stream, rng, n_refused = jpeg_lossless.encode(image(12), 12), np.random.default_rng(3), 0
    for _ in range(40):
        start = int(rng.integers(200, len(stream) - 50))
        damaged = stream[:start] + rng.integers(0, 256, 40, dtype=np.uint8).tobytes() + stream[start + 40 :]
        try:
            decode_jpeg(damaged, ROWS, COLUMNS)
        except UnreadablePixelsError:
            n_refused += 1
    assert n_refused > 20


@pytest.mark.parametrize("kind", ["lossless", "LS"])
def test_another_matrix_than_the_headers_is_refused_before_it_is_decoded(kind, monkeypatch):
    stream = lossless() if kind == "lossless" else imagecodecs.jpegls_encode(image(12))
    for name in ("jpeg8_decode", "jpegsof3_decode", "jpegls_decode"):
        monkeypatch.setattr(imagecodecs, name, None)
    bomb = stream.replace(struct.pack(">HH", ROWS, COLUMNS), struct.pack(">HH", 60_000, 60_000), 1)
    with pytest.raises(UnreadablePixelsError, match="60000 rows and 60000 columns where its header has 48 and 64"):
        decode_jpeg(bomb, ROWS, COLUMNS)


def test_what_is_no_grey_jpeg_is_refused_in_a_sentence():
    for stream in (b"", b"\xff\xd8", b"\x00" * 100, lossless()[2:2]):
        with pytest.raises(UnreadablePixelsError, match="no JPEG image"):
            decode_jpeg(stream, ROWS, COLUMNS)
    with pytest.raises(UnreadablePixelsError, match="of 3 colours"):
        decode_jpeg(imagecodecs.jpeg8_encode(np.zeros((ROWS, COLUMNS, 3), np.uint8)), ROWS, COLUMNS)
    progressive = lossless().replace(b"\xff\xc3", b"\xff\xc2", 1)
    with pytest.raises(UnreadablePixelsError, match="marker FFC2"):
        decode_jpeg(progressive, ROWS, COLUMNS)
