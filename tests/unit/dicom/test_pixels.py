"""Decoded images, compared with what was written and with pydicom and SimpleITK."""

import io
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pydicom
import pytest
import SimpleITK
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.uid import UID

from cmr_planes.dicom import archive, pixels
from cmr_planes.dicom.frames import FileRef, FrameHeader
from cmr_planes.dicom.pixel_format import PixelRepair, StoredImage
from cmr_planes.dicom.pixels import PixelReader
from cmr_planes.discovery.subjects import SubjectSource, find_subjects
from cmr_planes.errors import RejectionCode, SourceChangedError, UnreadablePixelsError
from cmr_planes.phantom.dicom_model import TransferSyntax
from cmr_planes.phantom.enhanced_writer import write_enhanced
from cmr_planes.phantom.small_study import SimpleStudy, encode_study, simple_study
from tests.helpers.headers import decode_frames, read_subject

DATA = Path(__file__).resolve().parents[3].parent / "shared" / "data"
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="the real scans are not here")
ENCODINGS = [pytest.param(syntax, id=syntax.name) for syntax in TransferSyntax]
RNG = np.random.default_rng(7)


def tiny(**changes: object) -> SimpleStudy:
    return simple_study(**{"n_slices": 2, "n_frames": 3, "rows": 32, "columns": 36, "views": ("sax",), **changes})  # type: ignore[arg-type]


def headers_of(*paths: Path) -> tuple[FrameHeader, ...]:
    return read_subject(SubjectSource(key="S", participant="S", paths=paths, root=paths[0].parent)).frames


def header_of(tmp_path: Path, data: bytes) -> FrameHeader:
    path = tmp_path / "image"
    path.write_bytes(data)
    (frame,) = headers_of(path)
    return frame


def read_one(tmp_path: Path, data: bytes) -> NDArray[np.uint16]:
    (image,) = decode_frames([header_of(tmp_path, data)])
    return image


def template(**overrides: object) -> Dataset:
    dataset = pydicom.dcmread(io.BytesIO(encode_study(tiny(n_slices=1, n_frames=1))[0].data))
    for keyword, value in overrides.items():
        setattr(dataset, keyword, value)
    return dataset


def encoded(dataset: Dataset, syntax: TransferSyntax | None = None) -> bytes:
    if syntax is not None:
        dataset.file_meta.TransferSyntaxUID = UID(str(syntax))
    stream = io.BytesIO()
    dataset.save_as(stream)
    return stream.getvalue()


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize("syntax", ENCODINGS)
def test_images_come_back_as_they_were_written(tmp_path: Path, syntax: TransferSyntax, zipped: bool) -> None:
    study = tiny(private_bytes=30_000)
    truth = np.concatenate([series.frames for series in study.series.values()])
    files = encode_study(study, transfer_syntax=syntax)
    if zipped:
        with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as target:
            for index, file in enumerate(files):
                target.writestr(f"{index:03d}.dcm", file.data)
        frames = headers_of(tmp_path / "a.zip")
    else:
        (tmp_path / "files").mkdir()
        for index, file in enumerate(files):
            (tmp_path / "files" / f"{index:03d}").write_bytes(file.data)
        frames = headers_of(tmp_path / "files")
    images = decode_frames(frames)
    assert all(image.dtype == np.uint16 for image in images)
    np.testing.assert_array_equal(np.stack(images), truth)
    for image, file in zip(images, files, strict=True):
        np.testing.assert_array_equal(image, pydicom.dcmread(io.BytesIO(file.data)).pixel_array)


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize("syntax", ENCODINGS)
def test_frames_of_an_enhanced_instance(tmp_path: Path, syntax: TransferSyntax, zipped: bool) -> None:
    study = tiny()
    parts = list(study.series.values())
    data = write_enhanced(study.study, parts, transfer_syntax=syntax).data
    path = tmp_path / ("a.zip" if zipped else "a")
    if zipped:
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as target:
            target.writestr("a", data)
    else:
        path.write_bytes(data)
    frames = headers_of(path)
    truth = np.concatenate([part.frames for part in parts])
    wanted = [4, 0, 5, 0]
    images = decode_frames([frames[index] for index in wanted])
    np.testing.assert_array_equal(np.stack(images), truth[wanted])


def test_a_large_member_is_read_in_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pixels, "_WHOLE_READ", 1000)
    monkeypatch.setattr(archive, "_CHUNK", 777)
    study = tiny()
    parts = list(study.series.values())
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as target:
        target.writestr("a", write_enhanced(study.study, parts).data)
    images = decode_frames(headers_of(tmp_path / "a.zip"))
    np.testing.assert_array_equal(np.stack(images), np.concatenate([part.frames for part in parts]))


def test_the_order_of_the_frames_asked_for_is_kept(tmp_path: Path) -> None:
    files = encode_study(tiny())
    for index, file in enumerate(files):
        (tmp_path / f"{index}").write_bytes(file.data)
    frames = headers_of(tmp_path)
    for image, index in zip(decode_frames([frames[index] for index in (5, 1, 3)]), (5, 1, 3), strict=True):
        np.testing.assert_array_equal(image, pydicom.dcmread(io.BytesIO(files[index].data)).pixel_array)


def test_an_image_holds_no_more_than_its_pixels(tmp_path: Path) -> None:
    image = read_one(tmp_path, encode_study(tiny(private_bytes=90_000))[0].data)
    base = image.base
    assert base is None or base.nbytes == image.nbytes


def test_a_reader_keeps_its_zips_open_and_closes_them(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as target:
        for index, file in enumerate(encode_study(tiny())):
            target.writestr(f"{index}", file.data)
    frames = headers_of(tmp_path / "a.zip")
    with PixelReader() as reader:
        first = reader.read(frames[:2])
        second = reader.read(frames[:2])
    np.testing.assert_array_equal([image.pixels for image in first], [image.pixels for image in second])


def test_simpleitk_agrees(tmp_path: Path) -> None:
    path = tmp_path / "image.dcm"
    path.write_bytes(encode_study(tiny(rows=40, columns=33, spacing_mm=(1.5, 2.5)))[0].data)
    frame = headers_of(path)[0]
    reference = SimpleITK.ReadImage(str(path))
    np.testing.assert_array_equal(decode_frames([frame])[0], SimpleITK.GetArrayFromImage(reference)[0])
    assert frame.plane is not None
    np.testing.assert_allclose(frame.plane.position_mm, reference.GetOrigin(), atol=1e-6)
    np.testing.assert_allclose(
        frame.plane.pixel_to_patient([7, 11]), reference.TransformIndexToPhysicalPoint((7, 11, 0)), atol=1e-4
    )


# pixel formats


def test_an_icon_is_not_the_image(tmp_path: Path) -> None:
    dataset = template()
    icon = Dataset()
    icon.SamplesPerPixel, icon.PhotometricInterpretation, icon.Rows, icon.Columns = 1, "MONOCHROME2", 4, 4
    icon.BitsAllocated, icon.BitsStored, icon.HighBit, icon.PixelRepresentation = 8, 8, 7, 0
    icon.PixelData = bytes(16)
    icon["PixelData"].VR = "OW"
    dataset.IconImageSequence = [icon]
    np.testing.assert_array_equal(read_one(tmp_path, encoded(dataset)), dataset.pixel_array)
    del dataset.PixelData
    with pytest.raises(UnreadablePixelsError, match="no PixelData"):
        read_one(tmp_path, encoded(dataset))


@pytest.mark.parametrize("implicit", [True, False])
def test_eight_bits_and_an_odd_number_of_pixels(tmp_path: Path, implicit: bool) -> None:
    truth = RNG.integers(0, 256, (33, 35)).astype(np.uint8)
    dataset = template(Rows=33, Columns=35, BitsAllocated=8, BitsStored=8, HighBit=7, PixelData=truth.tobytes() + b"\x00")
    dataset["PixelData"].VR = "OB"
    syntax = TransferSyntax.IMPLICIT_LITTLE if implicit else TransferSyntax.EXPLICIT_LITTLE
    np.testing.assert_array_equal(read_one(tmp_path, encoded(dataset, syntax)), truth)


@pytest.mark.parametrize(("bits", "high"), [(12, 11), (10, 9), (16, 15), (12, 15), (12, 13)])
def test_bits_beside_the_stored_ones_are_dropped(tmp_path: Path, bits: int, high: int) -> None:
    truth = RNG.integers(0, 1 << bits, (32, 36)).astype(np.uint16)
    noise = RNG.integers(0, 1 << 16, truth.shape).astype(np.uint16)
    shift = high + 1 - bits
    mask = np.uint16(((1 << bits) - 1) << shift)
    stored = (truth << np.uint16(shift)) | (noise & ~mask)
    dataset = template(BitsStored=bits, HighBit=high, PixelData=stored.astype("<u2").tobytes())
    np.testing.assert_array_equal(read_one(tmp_path, encoded(dataset)), truth)


@pytest.mark.parametrize("bits", [12, 16])
@pytest.mark.parametrize("big", [False, True])
def test_signed_values_that_are_not_negative(tmp_path: Path, bits: int, big: bool) -> None:
    truth = RNG.integers(0, 1 << (bits - 1), (32, 36)).astype(np.int16)
    data = truth.astype(">i2" if big else "<i2").tobytes()
    dataset = template(BitsStored=bits, HighBit=bits - 1, PixelRepresentation=1, PixelData=data)
    del dataset.SmallestImagePixelValue, dataset.LargestImagePixelValue
    if big:
        dataset = pydicom.dcmread(io.BytesIO(encoded(dataset)))
        stream = io.BytesIO()
        dataset.file_meta.TransferSyntaxUID = UID(str(TransferSyntax.EXPLICIT_BIG))
        pydicom.dcmwrite(stream, dataset, implicit_vr=False, little_endian=False, enforce_file_format=True)
        np.testing.assert_array_equal(read_one(tmp_path, stream.getvalue()), truth)
    else:
        np.testing.assert_array_equal(read_one(tmp_path, encoded(dataset)), truth)


@pytest.mark.parametrize("bits", [12, 16])
def test_many_negative_values_are_refused(tmp_path: Path, bits: int) -> None:
    values = np.tile(np.arange(36, dtype=np.int16), (32, 1))
    values[3:8, 4:9] = -5
    dataset = template(BitsStored=bits, HighBit=bits - 1, PixelRepresentation=1, PixelData=values.astype("<i2").tobytes())
    del dataset.SmallestImagePixelValue, dataset.LargestImagePixelValue
    with pytest.raises(UnreadablePixelsError, match=r"negative values \(down to -5, in 2% of its pixels\)"):
        read_one(tmp_path, encoded(dataset))


@pytest.mark.parametrize("syntax", [TransferSyntax.EXPLICIT_LITTLE, TransferSyntax.RLE])
def test_monochrome1_is_inverted_within_its_bits(tmp_path: Path, syntax: TransferSyntax) -> None:
    dataset = template(PhotometricInterpretation="MONOCHROME1")
    truth = 4095 - dataset.pixel_array
    if syntax is TransferSyntax.RLE:
        dataset.compress(str(syntax), generate_instance_uid=False)
    np.testing.assert_array_equal(read_one(tmp_path, encoded(dataset)), truth)


def read_whole(tmp_path: Path, dataset: Dataset) -> StoredImage:
    """Read the image of a dataset with what was changed in it."""
    with PixelReader() as reader:
        (image,) = reader.read([header_of(tmp_path, encoded(dataset))])
    return image


@pytest.mark.parametrize("slope", [1.0, 2.0, -1.0, -0.5])
@pytest.mark.parametrize("interpretation", ["MONOCHROME1", "MONOCHROME2"])
def test_bright_tissue_is_high_and_rescaling_gives_the_scanners_values(tmp_path: Path, interpretation: str, slope: float) -> None:
    dataset = template(PhotometricInterpretation=interpretation, RescaleSlope=slope, RescaleIntercept=-100.0)
    stored = read_whole(tmp_path, dataset)
    scanner = dataset.pixel_array * slope - 100.0
    np.testing.assert_allclose(stored.pixels * stored.rescale[0] + stored.rescale[1], scanner)
    is_turned = interpretation == "MONOCHROME1"
    assert np.corrcoef(stored.pixels.ravel(), scanner.ravel())[0, 1] == pytest.approx(-1.0 if is_turned else 1.0)


def test_signed_monochrome1_is_inverted_within_its_positive_values(tmp_path: Path) -> None:
    dataset = template(PhotometricInterpretation="MONOCHROME1", PixelRepresentation=1)
    del dataset.SmallestImagePixelValue, dataset.LargestImagePixelValue
    np.testing.assert_array_equal(read_whole(tmp_path, dataset).pixels, 2047 - dataset.pixel_array)


def test_a_slope_of_zero_is_taken_as_one(tmp_path: Path) -> None:
    stored = read_whole(tmp_path, template(RescaleSlope=0.0, RescaleIntercept=3.0))
    assert (stored.rescale, stored.repair) == ((1.0, 3.0), PixelRepair(has_zero_slope=True))


@pytest.mark.parametrize("share", ["few", "shallow"])
def test_a_few_negative_values_and_shallow_ones_are_set_to_zero_and_counted(tmp_path: Path, share: str) -> None:
    values = template().pixel_array.astype(np.int16)
    negative = np.zeros(values.shape, dtype=bool)
    if share == "few":
        negative[3, 4:7] = True
        values[negative] = -400
    else:
        negative[:, :9] = True
        values[negative] = -5
    dataset = template(PixelRepresentation=1, PixelData=values.astype("<i2").tobytes())
    del dataset.SmallestImagePixelValue, dataset.LargestImagePixelValue
    stored = read_whole(tmp_path, dataset)
    np.testing.assert_array_equal(stored.pixels, np.where(negative, 0, values))
    assert stored.repair == PixelRepair(n_negative=int(negative.sum()))


def test_values_beyond_the_stored_bits_are_counted(tmp_path: Path) -> None:
    values = template().pixel_array.copy()
    values[5:7, 5:9] = 5000
    stored = read_whole(tmp_path, template(PixelData=values.astype("<u2").tobytes()))
    assert stored.repair == PixelRepair(n_cut=8)
    assert stored.pixels[5, 5] == 5000 - 4096


def test_signed_values_beyond_the_stored_bits_are_counted(tmp_path: Path) -> None:
    values = template().pixel_array.astype(np.int16)
    values[5, 5:9] = -3000
    values[6, 5] = -2
    dataset = template(PixelRepresentation=1, PixelData=values.astype("<i2").tobytes())
    del dataset.SmallestImagePixelValue, dataset.LargestImagePixelValue
    assert read_whole(tmp_path, dataset).repair == PixelRepair(n_negative=1, n_cut=4)


@pytest.mark.parametrize("interpretation", ["MONOCHROME1", "MONOCHROME2"])
@pytest.mark.parametrize("level", [0, 4095, 77])
def test_black_images_are_refused_even_with_a_few_marks_in_them(tmp_path: Path, interpretation: str, level: int) -> None:
    values = np.full((32, 36), level, dtype=np.uint16)
    values[0, :3] = (1, 7, 3) if level == 0 and interpretation == "MONOCHROME2" else level
    dataset = template(PhotometricInterpretation=interpretation, PixelData=values.astype("<u2").tobytes())
    with pytest.raises(UnreadablePixelsError, match="image 1 of series 3 is black"):
        read_whole(tmp_path, dataset)


def test_padding_after_the_pixels(tmp_path: Path) -> None:
    dataset = template()
    dataset.add_new(0xFFFC_FFFC, "OB", bytes(10))
    np.testing.assert_array_equal(read_one(tmp_path, encoded(dataset)), dataset.pixel_array)


def test_thirty_two_bits_are_read_if_the_values_fit(tmp_path: Path) -> None:
    truth = RNG.integers(0, 60_000, (32, 36)).astype(np.uint32)
    dataset = template(BitsAllocated=32, BitsStored=32, HighBit=31, PixelData=truth.astype("<u4").tobytes())
    np.testing.assert_array_equal(read_one(tmp_path, encoded(dataset)), truth)
    dataset.PixelData = (truth + 50_000).astype("<u4").tobytes()
    with pytest.raises(UnreadablePixelsError, match="at most 65535"):
        read_one(tmp_path, encoded(dataset))


# what cannot be read


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"SamplesPerPixel": 3, "PhotometricInterpretation": "RGB", "PlanarConfiguration": 0}, "colour images are not supported"),
        ({"BitsStored": 12, "HighBit": 3}, "contradict each other"),
        ({"BitsAllocated": None}, "is no image"),
        ({"Rows": 65_000, "Columns": 65_000}, "that is no cine image"),
        ({"PixelData": bytes(100)}, "has 100 of 2304 bytes of pixel data"),
    ],
)
def test_what_is_refused_says_why(tmp_path: Path, overrides: dict[str, object], message: str) -> None:
    dataset = template(**{keyword: value for keyword, value in overrides.items() if value is not None})
    for keyword in (keyword for keyword, value in overrides.items() if value is None):
        delattr(dataset, keyword)
    with pytest.raises(UnreadablePixelsError, match=message) as caught:
        read_one(tmp_path, encoded(dataset))
    assert caught.value.code is RejectionCode.UNREADABLE_PIXELS
    assert str(caught.value).startswith("image 1 of series 3 has ")


@pytest.mark.parametrize("syntax", ENCODINGS)
def test_a_file_that_is_cut_off_inside_its_pixels(tmp_path: Path, syntax: TransferSyntax) -> None:
    data = encode_study(tiny(), transfer_syntax=syntax)[0].data
    header = header_of(tmp_path, data)
    header.file.path.write_bytes(data[: -len(data) // 4])
    with pytest.raises(UnreadablePixelsError, match=r"cut off|cannot be decoded|has no PixelData|damaged|no JPEG image"):
        decode_frames([replace(header, file=FileRef(header.file.path))])  # as if it had been cut off before


@pytest.mark.parametrize("syntax", [TransferSyntax.RLE, TransferSyntax.JPEG_LS, TransferSyntax.JPEG_2000])
def test_damaged_compressed_data(tmp_path: Path, syntax: TransferSyntax) -> None:
    data = bytearray(encode_study(tiny(), transfer_syntax=syntax)[0].data)
    start = data.rindex(b"\xe0\x7f\x10\x00") + 12 + 8 + 8 + 8
    data[start : start + 64] = bytes(64)
    with pytest.raises(UnreadablePixelsError, match=r"cannot be decoded|another matrix|JPEG image"):
        read_one(tmp_path, bytes(data))


def test_a_frame_that_is_not_there(tmp_path: Path) -> None:
    header = header_of(tmp_path, encoded(template()))
    with pytest.raises(UnreadablePixelsError, match="has 1 frame: there is no frame 4"):
        decode_frames([replace(header, frame_index=3)])


def test_a_file_that_vanished(tmp_path: Path) -> None:
    header = header_of(tmp_path, encoded(template()))
    header.file.path.unlink()
    with pytest.raises(SourceChangedError, match="vanished while the subject was read") as caught:
        decode_frames([header])
    assert header.file.path.name not in str(caught.value).replace("image 1", "")


# real scans


@needs_data
def test_real_siemens_images_equal_pydicoms() -> None:
    (subject,) = find_subjects([DATA / "siemens_cine_case"])
    frames = read_subject(subject).frames[::3]
    for frame, image in zip(frames, decode_frames(frames), strict=True):
        np.testing.assert_array_equal(image, pydicom.dcmread(frame.file.path).pixel_array)


@needs_data
@pytest.mark.filterwarnings("ignore:Invalid value for VR UI")
def test_real_ge_images_equal_pydicoms() -> None:
    path = DATA / "sunnybrook" / "SCD0000101.zip"
    frames = headers_of(path)[::11]
    with zipfile.ZipFile(path) as zipped:
        for frame, image in zip(frames, decode_frames(frames), strict=True):
            np.testing.assert_array_equal(image, pydicom.dcmread(io.BytesIO(zipped.read(frame.file.member))).pixel_array)
