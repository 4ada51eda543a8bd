"""cvi42 workspaces: what is read, what is skipped, and what is refused."""

import io
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest

from cmr_planes.annotations.cvi42 import read_cvi42
from cmr_planes.annotations.files import find_label_files, open_label_file
from cmr_planes.annotations.model import LabelFormat, Outline
from cmr_planes.errors import AnnotationError, SourceError
from tests.helpers.labels import NAMESPACES, cvi42_contour, cvi42_workspace

SQUARE = np.array([[10.0, 12.0], [20.25, 12.0], [20.25, 30.5], [10.0, 30.5]])


def read(data: bytes):
    return read_cvi42(io.BytesIO(data))


@pytest.mark.parametrize("resolution_first", [False, True], ids=["resolution last", "resolution first"])
@pytest.mark.parametrize("resolution", [1, 4, 8])
def test_points_are_divided_by_their_own_contour_s_resolution(resolution: int, resolution_first: bool) -> None:
    contours = [
        cvi42_contour("saendocardialContour", SQUARE, resolution=resolution, resolution_first=resolution_first),
        cvi42_contour("saepicardialContour", SQUARE, resolution=4),
    ]
    (image,) = read(cvi42_workspace({"1.2.3": contours})).contour_images
    assert image.sop_instance_uid == "1.2.3"
    assert [contour.outline for contour in image.contours] == [Outline.LV_ENDO, Outline.LV_EPI]
    np.testing.assert_allclose(image.contours[0].points_px, np.rint(SQUARE * resolution) / resolution)
    np.testing.assert_allclose(image.contours[1].points_px, SQUARE)


def test_every_contour_that_is_used_is_recognised_and_others_are_passed_over() -> None:
    names = "saendocardialContour saepicardialOpenContour sarvendocardialContour laendocardialContour laepicardialContour larvendocardialContour lalaContour laraContour"
    others = "sapapilMuscContour saReferenceMyoContour freeDrawRoiContour laxLvExtentPoints"
    contours = [cvi42_contour(name, SQUARE) for name in f"{names} {others}".split()]
    (image,) = read(cvi42_workspace({"1.2.3": contours})).contour_images
    outlines = [contour.outline for contour in image.contours]
    lv, epi, rv = Outline.LV_ENDO, Outline.LV_EPI, Outline.RV_ENDO
    assert outlines == [lv, epi, rv, lv, epi, rv, Outline.LA, Outline.RA]


def test_empty_contours_are_passed_over_and_a_missing_resolution_is_cvi42_s() -> None:
    bare = cvi42_contour("saendocardialContour", SQUARE)
    without = bare.replace('<Hash:item Hash:key="SubpixelResolution">4</Hash:item>', "")
    empty = cvi42_contour("saepicardialContour", np.empty((0, 2)))
    (image,) = read(cvi42_workspace({"1.2.3": [without, empty]})).contour_images
    np.testing.assert_allclose([contour.points_px for contour in image.contours], [SQUARE])


def test_nothing_of_the_annotator_is_kept() -> None:
    data = cvi42_workspace({"1.2.3": [cvi42_contour("saendocardialContour", SQUARE)]}, owner="Doctor Who")
    assert "Who" not in repr(read(data))
    assert "1.2.3" not in repr(read(data))


BOMB = b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]><x>&b;</x>'
EXTERNAL = b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><x>&a;</x>'
REMOTE_DTD = b'<?xml version="1.0"?><!DOCTYPE x SYSTEM "http://localhost/x.dtd"><x/>'


@pytest.mark.parametrize("data", [BOMB, EXTERNAL, REMOTE_DTD], ids=["bomb", "external entity", "remote document type"])
def test_hostile_xml_is_refused_before_it_does_anything(data: bytes) -> None:
    with pytest.raises(AnnotationError, match="as an attack on XML readers does, and was not read") as caught:
        read(data)
    assert "passwd" not in str(caught.value)


GOOD = cvi42_workspace({"1.2.3": [cvi42_contour("saendocardialContour", SQUARE)]})


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        pytest.param(b"", "not well-formed XML", id="empty"),
        pytest.param(b"\x00\x01CVI42\xff" * 40, "binary workspace", id="binary"),
        pytest.param(GOOD[:-40], "not well-formed XML at line 1: it is cut off", id="cut off"),
        pytest.param(GOOD.replace(b"ImageStates", b"OtherStates"), "holds no contour", id="no contours"),
        pytest.param(f"<Hash:x {NAMESPACES}/>".encode(), "holds no contour", id="nothing"),
        pytest.param(GOOD.replace(b">40<", b">forty<"), "are no numbers", id="words for points"),
        pytest.param(GOOD.replace(b">40<", b">nan<"), "beyond any image", id="nan"),
        pytest.param(GOOD.replace(b"<Point:x>40</Point:x>", b""), "are no numbers", id="missing x"),
        pytest.param(GOOD.replace(b'tion">4<', b'tion">0<'), "beyond any image", id="resolution 0"),
        pytest.param(b'<?xml version="1.0" encoding="utf-99"?><x/>', "not well-formed XML", id="unknown encoding"),
    ],
)
def test_malformed_workspaces_end_in_a_sentence(data: bytes, sentence: str) -> None:
    with pytest.raises(AnnotationError, match=sentence) as caught:
        read(data)
    assert "\n" not in str(caught.value)


def test_large_workspaces_are_streamed() -> None:
    circle = np.stack([40 + 20 * np.cos(np.linspace(0, 6.2, 200)), 40 + 20 * np.sin(np.linspace(0, 6.2, 200))], axis=1)
    other = "".join(f'<Hash:item Hash:key="k{index}">{"x" * 200}</Hash:item>' for index in range(8))
    contour = cvi42_contour("saendocardialContour", circle)
    data = cvi42_workspace({f"1.2.{number}": [contour] for number in range(120)})
    data = data.replace(b"</List:item></Hash:item></Hash:root>", (other * 150).encode() + b"</List:item></Hash:item></Hash:root>")
    stream = io.BytesIO(data)
    read_cvi42(io.BytesIO(GOOD))  # what is imported at first use is not of the workspace
    tracemalloc.start()
    images = read_cvi42(stream).contour_images
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(images) == 120
    assert peak < len(data) / 2, "a tree of the whole would be several times as large"


def test_a_workspace_is_read_from_its_zip(tmp_path: Path) -> None:
    path = tmp_path / "SYN-0001_cvi42.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("SYN-0001.cvi42wsx", GOOD)
        archive.writestr("readme.pdf", b"")
    (file,) = find_label_files(tmp_path)
    assert (file.label_format, file.parts) == (LabelFormat.CVI42, ("SYN-0001_cvi42", "SYN-0001.cvi42wsx"))
    with open_label_file(file) as stream:
        assert len(read_cvi42(stream).contour_images) == 1


def test_a_zip_that_inflates_like_a_bomb_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "SYN-0001.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.cvi42wsx", bytes(40 << 20))
    (file,) = find_label_files(tmp_path)
    with pytest.raises(AnnotationError, match="inflates more than 400-fold to 40 MiB, as a zip bomb does"), open_label_file(file):
        pass


def test_a_damaged_zip_ends_in_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "SYN-0001.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.cvi42wsx", GOOD * 3)
    data = bytearray(path.read_bytes())
    data[60:90] = bytes(30)
    path.write_bytes(data)
    (file,) = find_label_files(tmp_path)
    with pytest.raises(AnnotationError, match=r"is damaged: .*fetch the zip again"), open_label_file(file) as stream:
        read_cvi42(stream)


def test_an_encrypted_zip_is_refused_with_the_reason(tmp_path: Path) -> None:
    path = tmp_path / "SYN-0001.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.cvi42wsx", GOOD)
    data = bytearray(path.read_bytes())
    data[data.index(b"PK\x01\x02") + 8] |= 1  # the flag of encryption in the zip's directory
    path.write_bytes(data)
    (file,) = find_label_files(tmp_path)
    with pytest.raises(AnnotationError, match="is encrypted; unpack it with its password first"), open_label_file(file):
        pass


def test_medis_contours_are_refused_with_the_reason(tmp_path: Path) -> None:
    (tmp_path / "SYN-0001.con").write_text("[XYCONTOUR]\n0 0 0  1.0\n3\n1 1\n2 2\n3 1\n")
    with pytest.raises(SourceError, match=r"Medis .con files are not read, because they name a slice by its number alone"):
        find_label_files(tmp_path)


def test_folders_without_annotations_are_named(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("x")
    with pytest.raises(SourceError, match="no annotation files in it"):
        find_label_files(tmp_path)
    with pytest.raises(SourceError, match="cannot be read"):
        find_label_files(tmp_path / "absent")
