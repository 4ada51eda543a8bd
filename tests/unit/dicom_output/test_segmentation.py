"""Segmentations, read back by highdicom and by our own reader, and judged by dicom3tools."""

import functools
import io
from dataclasses import replace

import highdicom
import numpy as np
import pydicom
import pytest

from cmr_planes.annotations.dicom_seg import read_dicom_seg
from cmr_planes.annotations.matching import match
from cmr_planes.dicom_output.identifiers import derived_uid
from cmr_planes.dicom_output.model import SourceImages, frame_number
from cmr_planes.dicom_output.segmentation import make_segmentations
from cmr_planes.errors import MissingAttributeError
from cmr_planes.views import CardiacView, Structure
from tests.helpers.dicom_objects import (
    IDENTITY,
    NETWORK,
    ONE_SERIES,
    VENTRICLES,
    dciodvfy,
    heart_of,
    make_study,
    parsed,
    source_images,
    stack_of,
    uids_in,
)
from tests.helpers.labels import make_target
from tests.helpers.leaks import found_in

STUDY = make_study()
LAYOUTS = ("series", "stack", "enhanced")


@pytest.fixture(scope="module")
def by_layout(tmp_path_factory) -> dict[str, SourceImages]:
    return {layout: source_images(tmp_path_factory.mktemp(layout), STUDY, layout) for layout in LAYOUTS}


@pytest.fixture
def images(by_layout) -> SourceImages:
    return by_layout["stack"]


@functools.cache
def made(images: SourceImages, *, anonymous: bool = False):
    return make_segmentations(images, heart_of(images, STUDY), VENTRICLES, NETWORK, anonymous=anonymous)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_there_is_one_object_for_each_phase_and_series(by_layout, layout: str) -> None:
    objects = made(by_layout[layout])
    levels = ("_01", "_02", "_03") if layout == "series" else ("",)
    assert [one.name for one in objects] == [f"sax_{phase}{level}" for phase in ("ed", "es") for level in levels]
    read = [parsed(one) for one in objects]
    assert len({one.SOPInstanceUID for one in read}) == len(objects)
    assert len({one.SeriesInstanceUID for one in read}) == len(objects), "OHIF shows one instance of a series"
    assert len({one.SeriesNumber for one in read}) == len(objects)
    assert read[-1].SeriesDescription == ("SAX ES 3 of 3, cmr-train" if layout == "series" else "SAX ES, cmr-train")
    for one in read:
        assert len(one.ReferencedSeriesSequence) == 1


@pytest.mark.parametrize("layout", LAYOUTS)
def test_highdicom_reads_each_label_on_the_image_that_it_lies_on(by_layout, layout: str) -> None:
    images = by_layout[layout]
    truth = heart_of(images, STUDY)
    n_seen = 0
    for one in made(images):
        read = highdicom.seg.Segmentation.from_dataset(parsed(one))
        phase = ("ed", "es").index(one.name.split("_")[1])
        referenced = set()
        for slice_index, frame in enumerate(images.frames[phase]):
            if layout == "series" and not one.name.endswith(f"{slice_index + 1:02d}"):
                continue
            if layout == "enhanced":
                found = read.get_pixels_by_source_frame(frame.sop_instance_uid, [frame_number(frame)], combine_segments=True)
            else:
                found = read.get_pixels_by_source_instance([frame.sop_instance_uid], combine_segments=True)
            np.testing.assert_array_equal(found[0], truth[phase, slice_index])
            referenced.add(frame.sop_instance_uid)
            n_seen += 1
        listed = {item.ReferencedSOPInstanceUID for item in read.ReferencedSeriesSequence[0].ReferencedInstanceSequence}
        assert listed == referenced, "instances that no frame lies on are not listed"
    assert n_seen == truth.shape[0] * truth.shape[1]


def test_a_volume_is_not_mirrored(images) -> None:
    truth = heart_of(images, STUDY)
    volume = highdicom.seg.Segmentation.from_dataset(parsed(made(images)[0])).get_volume(combine_segments=True)
    for slice_index, series in enumerate(stack_of(STUDY)):
        rows, columns = np.nonzero(truth[0, slice_index])
        points_mm = series.plane.pixel_to_patient(np.stack([columns, rows], axis=-1))
        index = np.rint(volume.map_reference_to_indices(points_mm)).astype(int)
        np.testing.assert_array_equal(volume.array[tuple(index.T)], truth[0, slice_index][rows, columns])
    assert volume.array.astype(bool).sum() == truth[0].astype(bool).sum()


@pytest.mark.parametrize("anonymous", [False, True])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_our_reader_gives_the_labels_back(by_layout, layout: str, anonymous: bool) -> None:
    images = by_layout[layout]
    truth = heart_of(images, STUDY)
    keys = tuple(tuple(f"{frame.sop_instance_uid} {frame_number(frame)}" for frame in row) for row in images.frames)
    target = make_target(CardiacView.SAX, [one.plane for one in stack_of(STUDY)], instance_keys=keys)
    read = [read_dicom_seg(io.BytesIO(one.encode()), f"SYN-0001_{one.name}") for one in made(images, anonymous=anonymous)]
    placed = match(read, [target], lambda uid, number: f"{uid} {number}").views[CardiacView.SAX]
    np.testing.assert_array_equal(placed.labels, truth)
    np.testing.assert_array_equal(placed.structures[..., 1:4].all(axis=2), truth.any(axis=(2, 3)))


@pytest.mark.parametrize("anonymous", [False, True])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_dciodvfy_finds_nothing_wrong(by_layout, tmp_path, layout: str, anonymous: bool) -> None:
    for one in made(by_layout[layout], anonymous=anonymous)[-1:]:
        assert dciodvfy(tmp_path, one) == []


def test_long_axis_views_have_atria(images, tmp_path) -> None:
    labels = np.zeros((2, 3, 60, 52), dtype=np.uint8)
    labels[:, :, 10:20, 10:20], labels[:, :, 30:40, 10:20] = Structure.LA, Structure.LV
    four = SourceImages(CardiacView.FOUR_CHAMBER, images.phases, images.frames, images.header)
    structures = (Structure.LV, Structure.LA, Structure.RA)
    one = make_segmentations(four, labels, structures, NETWORK)[0]
    assert dciodvfy(tmp_path, one) == []
    segments = {item.SegmentLabel: item.SegmentedPropertyTypeCodeSequence[0].CodeValue for item in parsed(one).SegmentSequence}
    assert segments == {"LV blood pool": "87878005", "Left atrium": "82471001", "Right atrium": "73829009"}
    found = highdicom.seg.Segmentation.from_dataset(parsed(one)).get_volume(combine_segments=True).array
    assert {int(value): int((found == value).sum()) for value in np.unique(found)} == {0: 3 * (60 * 52 - 200), 1: 300, 2: 300}


def test_the_same_arguments_give_the_same_bytes_and_others_other_uids(images) -> None:
    labels = heart_of(images, STUDY)
    again = make_segmentations(images, labels, VENTRICLES, NETWORK)
    assert [one.encode() for one in made(images)] == [one.encode() for one in again]
    labels[0, 0, 0, 0] = Structure.RV
    others = [
        make_segmentations(images, labels, VENTRICLES, NETWORK)[0],
        make_segmentations(images, heart_of(images, STUDY), VENTRICLES, replace(NETWORK, weights_sha256=("f" * 64, "e" * 64)))[0],
        make_segmentations(images, heart_of(images, STUDY), (*VENTRICLES, Structure.LA), NETWORK)[0],
        make_segmentations(replace(images, phases=("000", "001")), heart_of(images, STUDY), VENTRICLES, NETWORK)[0],
        make_segmentations(replace(images, header=pydicom.Dataset()), heart_of(images, STUDY), VENTRICLES, NETWORK)[0],
        made(images, anonymous=True)[0],
    ]
    uids = [(one.dataset.SOPInstanceUID, one.dataset.SeriesInstanceUID) for one in [made(images)[0], *others]]
    assert len(set(uids)) == len(set(dict(uids).values())) == 7


@pytest.mark.parametrize("anonymous", [False, True])
def test_new_uids_lie_under_2_25_and_no_clock_is_in_an_object(images, anonymous: bool) -> None:
    own = {str(frame.sop_instance_uid) for frame in images.flat} | {images.study_uid, images.frame_of_reference_uid, ONE_SERIES}
    for one in made(images, anonymous=anonymous):
        read = parsed(one)
        new = {uid for uid, keyword in uids_in(read).items() if keyword not in ("SOPClassUID", "ReferencedSOPClassUID")}
        assert all(uid.startswith("2.25.") for uid in new - own)
        assert not anonymous or not new & own
        times = {str(element.value) for element in read.iterall() if element.VR in ("DA", "DT", "TM")}
        assert times <= ({"19000101", "000000", ""} if anonymous else {"20190405", "101112.5", "19470229"})


def test_patient_and_study_are_those_of_the_source(images) -> None:
    read = parsed(made(images)[0])
    assert {keyword: str(read.get(keyword)) for keyword in IDENTITY} == IDENTITY
    assert read.StudyInstanceUID == images.study_uid
    assert read.FrameOfReferenceUID == images.frame_of_reference_uid
    assert (read.ContentDate, read.ContentTime) == ("20190405", "101112.5")


def test_an_anonymous_object_holds_nothing_of_the_source(images) -> None:
    uids = {frame.sop_instance_uid for frame in images.flat} | {images.study_uid, images.frame_of_reference_uid, ONE_SERIES}
    needles = {*IDENTITY.values(), *uids, "Tilda", "SYN-0001"}
    blobs = [one.encode() for one in made(images)]
    assert found_in(needles, blobs) == needles - {"SYN-0001"}, "the search finds what exists"
    blobs = [one.encode() for one in made(images, anonymous=True)]
    assert found_in(needles, blobs) == set()
    read = pydicom.dcmread(io.BytesIO(blobs[0]))
    assert {str(read.get(keyword)) for keyword in ("PatientName", "PatientID", "PatientBirthDate", "StudyDate")} == {""}
    assert read.PatientIdentityRemoved == "YES"


@pytest.mark.parametrize(
    ("character_set", "name"),
    [("ISO_IR 100", "Müller^Jürgen"), ("ISO_IR 192", "山田^太郎"), (["", "ISO 2022 IR 87"], "Yamada^Tarou=山田^太郎")],
)
def test_names_survive_other_character_sets(tmp_path, character_set, name: str) -> None:
    study = make_study({"SpecificCharacterSet": character_set, "PatientName": name})
    images = source_images(tmp_path, study, "stack")
    assert parsed(make_segmentations(images, heart_of(images, study), VENTRICLES, NETWORK)[0]).PatientName == name


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_values_that_break_the_standard_are_copied_as_they_stand(images, capsys) -> None:
    header = pydicom.Dataset()
    header.update(images.header)
    for keyword, value in {"PatientBirthDate": "1947.2.29", "StudyDate": "spring", "PatientID": "x" * 80}.items():
        header[keyword] = pydicom.DataElement(keyword, pydicom.datadict.dictionary_VR(keyword), value, validation_mode=0)
    frames = tuple(
        tuple(replace(frame, sop_instance_uid=f"1.02.{frame.sop_instance_uid}") for frame in row) for row in images.frames
    )
    odd = SourceImages(images.view, images.phases, frames, header)
    read = parsed(made(odd)[0])
    assert read.PatientBirthDate == "1947.2.29"
    assert read.PatientID == "x" * 80
    assert (read.ContentDate, read.ContentTime) == ("19000101", "000000")
    source = read.PerFrameFunctionalGroupsSequence[0].DerivationImageSequence[0].SourceImageSequence[0]
    assert source.ReferencedSOPInstanceUID == frames[0][0].sop_instance_uid
    assert capsys.readouterr() == ("", "")


def test_frames_of_reference_that_differ_give_one_of_their_own(images) -> None:
    frames = tuple(
        tuple(replace(frame, frame_of_reference_uid=derived_uid(str(phase), str(level))) for level, frame in enumerate(row))
        for phase, row in enumerate(images.frames)
    )
    found = {parsed(one).FrameOfReferenceUID for one in made(SourceImages(images.view, images.phases, frames, images.header))}
    assert len(found) == 1
    assert found.pop().startswith("2.25.")


def test_slices_that_are_turned_against_the_others_have_an_object_of_their_own(images) -> None:
    plane = images.frames[0][1].plane
    turned = replace(plane, row_cosine=plane.column_cosine, column_cosine=-plane.row_cosine)
    frames = tuple((row[0], replace(row[1], plane=turned), row[2]) for row in images.frames)
    odd = SourceImages(images.view, images.phases, frames, images.header)
    objects = made(odd)
    assert [one.name for one in objects] == ["sax_ed_01", "sax_ed_02", "sax_es_01", "sax_es_02"]
    orientation = parsed(objects[1]).SharedFunctionalGroupsSequence[0].PlaneOrientationSequence[0].ImageOrientationPatient
    np.testing.assert_allclose(orientation, [*turned.row_cosine, *turned.column_cosine], atol=1e-6)


def test_slices_at_one_place_have_an_object_each(images) -> None:
    frames = tuple((row[0], replace(row[1], plane=row[0].plane), row[2]) for row in images.frames)
    odd = SourceImages(images.view, images.phases, frames, images.header)
    assert [one.name for one in made(odd)] == ["sax_ed_01", "sax_ed_02", "sax_es_01", "sax_es_02"]


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"sop_class_uid": ""}, r"have no SOPClassUID \(0008,0016\)"),
        ({"sop_instance_uid": ""}, r"6 of 6 images of view SAX have no SOPInstanceUID \(0008,0018\)"),
        ({"series_uid": ""}, r"have no SeriesInstanceUID \(0020,000E\)"),
        ({"study_uid": ""}, r"have no StudyInstanceUID \(0020,000D\)"),
    ],
)
def test_images_without_uids_are_refused_in_a_sentence(images, changes: dict[str, str], sentence: str) -> None:
    frames = tuple(tuple(replace(frame, **changes) for frame in row) for row in images.frames)
    with pytest.raises(MissingAttributeError, match=sentence):
        SourceImages(images.view, images.phases, frames, images.header)


def test_images_of_several_studies_are_refused_in_a_sentence(images) -> None:
    frames = (images.frames[0], tuple(replace(frame, study_uid="2.25.5") for frame in images.frames[1]))
    with pytest.raises(MissingAttributeError, match="have 2 values of StudyInstanceUID") as caught:
        SourceImages(images.view, images.phases, frames, images.header)
    assert "2.25" not in str(caught.value)


def test_lost_values_stay_lost(images) -> None:
    header = pydicom.Dataset()
    header.update(images.header)
    header.LossyImageCompression, header.LossyImageCompressionRatio = "01", ["8.5"]
    header.LossyImageCompressionMethod = ["ISO_10918_1"]
    read = parsed(made(SourceImages(images.view, images.phases, images.frames, header))[0])
    assert (read.LossyImageCompression, read.LossyImageCompressionRatio) == ("01", 8.5)
    assert parsed(made(images)[0]).LossyImageCompression == "00"
