"""DICOM segmentations, written by highdicom: by referenced instance, by geometry, and a sentence for what cannot be read."""

import io

import numpy as np
import pydicom
import pytest

from cmr_planes.annotations.classes import parse_classes
from cmr_planes.annotations.dicom_seg import read_dicom_seg
from cmr_planes.annotations.matching import match
from cmr_planes.annotations.model import Annotation, LabelFormat
from cmr_planes.errors import AnnotationError
from cmr_planes.phantom.dicom_writer import write_cine
from cmr_planes.phantom.small_study import simple_study
from cmr_planes.views import CardiacView, Structure
from tests.helpers.labels import LV, MYO, RV, dicom_seg, heart_labels, make_target

STUDY = simple_study(n_slices=3, n_frames=2)
SERIES = [STUDY.series[f"sax{level}"] for level in (1, 2, 3)]
FILES = [write_cine(STUDY.study, series) for series in SERIES]
PLANES = [series.plane for series in SERIES]
TRUTH = np.stack([heart_labels(plane, STUDY.centre_mm) for plane in PLANES])
STRUCTURES = (LV, MYO, RV)
TARGET = make_target(
    CardiacView.SAX, PLANES, instance_keys=tuple(tuple(files[frame].sop_instance_uid for files in FILES) for frame in (0, 1))
)


def key(uid: str, frame: int) -> str:
    return uid


def seg(frame: int = 1, names: tuple[str, ...] = ("Left ventricle", "Myocardium", "RV"), kind: str = "BINARY") -> bytes:
    return dicom_seg([files[frame].data for files in FILES], TRUTH, STRUCTURES, names, kind)


def read(data: bytes, stem: str = "", classes: str | None = None) -> Annotation:
    return read_dicom_seg(io.BytesIO(data), stem, None if classes is None else parse_classes(classes))


@pytest.mark.parametrize("kind", ["BINARY", "FRACTIONAL", "LABELMAP"])
def test_segments_lie_on_the_instances_that_they_name(kind: str) -> None:
    annotation = read(seg(kind=kind))
    assert annotation.source is LabelFormat.DICOM_SEG
    placed = match([annotation], [TARGET], key).views[CardiacView.SAX]
    np.testing.assert_array_equal(placed.labels[1], TRUTH)
    assert not placed.structures[0].any(), "the other phase lies at the same place and was not drawn on"
    assert placed.structures[1, :, 1:4].all()


def test_without_known_instances_geometry_and_the_name_decide() -> None:
    target = make_target(CardiacView.SAX, PLANES, instance_keys=None)
    placed = match([read(seg(), "SYN-0001_ES")], [target], key).views[CardiacView.SAX]
    np.testing.assert_array_equal(placed.labels[1], TRUTH)
    with pytest.raises(AnnotationError, match="the image that it was drawn on is not in the catalogue"):
        match([read(seg())], [target], key)


def test_slices_are_found_whatever_their_order() -> None:
    order = [2, 0, 1]
    data = dicom_seg([FILES[level][0].data for level in order], TRUTH[order], STRUCTURES, ("LV", "Myo", "RV"))
    placed = match([read(data)], [TARGET], key).views[CardiacView.SAX]
    np.testing.assert_array_equal(placed.labels[0], TRUTH)


@pytest.mark.parametrize(
    "names",
    [("LV", "LV myocardium", "RV blood pool"), ("left ventricular cavity", "myo", "right_ventricle"), ("LVC", "LV infarct", "RVC")],
)
def test_segment_names_tell_the_structure(names: tuple[str, ...]) -> None:
    if names[1] == "LV infarct":
        with pytest.raises(AnnotationError, match="has a segment 2 whose name and code do not stand for"):
            read(seg(names=names))
    else:
        assert read(seg(names=names)).volumes[0].structures == set(STRUCTURES)


def test_classes_tell_what_names_do_not_and_names_are_not_repeated() -> None:
    data = seg(names=("Anna's first", "Anna's second", "Anna's third"))
    with pytest.raises(AnnotationError, match=r"has a segment 1 .* for example 1=LV") as caught:
        read(data)
    assert "Anna" not in str(caught.value)
    placed = match([read(data, classes="1=LV,2=Myo,3=RV")], [TARGET], key).views[CardiacView.SAX]
    np.testing.assert_array_equal(placed.labels[1], TRUTH)


@pytest.mark.parametrize("muscle", [{"CodeValue": "74281007"}, {"CodeValue": "49848007"}, {"CodeMeaning": "Left ventricular wall"}])
def test_codes_tell_what_names_do_not(muscle: dict[str, str]) -> None:
    dataset = pydicom.dcmread(io.BytesIO(seg(names=("a", "b", "c"))))
    for item, code in zip(dataset.SegmentSequence, ({"CodeValue": "87878005"}, muscle, {"CodeValue": "53085002"}), strict=True):
        for keyword, value in code.items():
            setattr(item.SegmentedPropertyTypeCodeSequence[0], keyword, value)
    buffer = io.BytesIO()
    dataset.save_as(buffer)
    assert read(buffer.getvalue()).volumes[0].structures == {Structure.LV, Structure.MYO, Structure.RV}


def test_the_annotator_is_not_kept() -> None:
    assert "Anna" not in repr(read(seg()))


def changed(**values: object) -> bytes:
    dataset = pydicom.dcmread(io.BytesIO(seg()))
    for keyword, value in values.items():
        if value is None:
            del dataset[keyword]
        else:
            setattr(dataset, keyword, value)
    buffer = io.BytesIO()
    dataset.save_as(buffer)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        pytest.param(lambda: b"", "cannot be read as a DICOM segmentation|is not a DICOM file", id="empty"),
        pytest.param(lambda: b"x" * 4000, "is not a DICOM file", id="no DICOM"),
        pytest.param(lambda: FILES[0][0].data, "no segmentation", id="an image"),
        pytest.param(lambda: seg()[:-3000], "cannot be read as a DICOM segmentation", id="cut off"),
        pytest.param(lambda: changed(PixelData=b"\0\0"), "cannot be read as a DICOM segmentation", id="no pixels"),
        pytest.param(lambda: changed(PerFrameFunctionalGroupsSequence=None), "cannot be read", id="no frames"),
        pytest.param(lambda: changed(SegmentSequence=[]), "no segmentation", id="no segments"),
        pytest.param(lambda: changed(NumberOfFrames=1 << 30), "more than can be read", id="too many frames"),
    ],
)
def test_malformed_segmentations_end_in_a_sentence(data, sentence: str) -> None:
    with pytest.raises(AnnotationError, match=sentence) as caught:
        read(data())
    assert "\n" not in str(caught.value)
