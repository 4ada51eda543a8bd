"""Instances of a catalogue's images, found again in the files: classic, enhanced, zipped, and what cannot be referred to."""

from dataclasses import replace
from pathlib import Path

import pytest

import cmr_planes
from cmr_planes.errors import InvalidAttributeError, MissingAttributeError, SourceChangedError, SourceError
from cmr_planes.extraction.instances import SourceInstances
from cmr_planes.phantom.dicom_writer import write_cine, write_files
from cmr_planes.phantom.enhanced_writer import write_enhanced
from cmr_planes.phantom.small_study import SimpleStudy
from cmr_planes.shards.catalogue import Catalogue
from cmr_planes.views import CardiacView
from tests.helpers.cohorts import SMALL_BOXES, small_study, write_biobank_zips

SAX = CardiacView.SAX
IDS = {"PatientID": "HOSPITAL-4711", "StudyDate": "20190405"}


def study(**overrides: object) -> SimpleStudy:
    simple = small_study(n_frames=8)
    return replace(simple, study=replace(simple.study, overrides={**IDS, **overrides}))


def write(folder: Path, simple: SimpleStudy, *, enhanced: bool = False) -> Path:
    files = [
        file
        for one in simple.series.values()
        for file in ([write_enhanced(simple.study, [one])] if enhanced else write_cine(simple.study, one))
    ]
    write_files(folder / "SYN-0001", files)
    return folder


def extracted(source: Path, out: Path) -> Catalogue:
    size, gap = (float(text) for text in SMALL_BOXES[1::2])
    layout = cmr_planes.BoxLayout(size=size, gap=gap)
    options = cmr_planes.ExtractOptions(views=(SAX,), keep_all=True, layout=layout)
    return cmr_planes.extract(source, out, options, workers=1).open()


@pytest.mark.parametrize("layout", ["classic", "enhanced", "zips"])
def test_each_image_leads_to_its_instance(tmp_path: Path, layout: str) -> None:
    simple = study()
    if layout == "zips":
        write_biobank_zips(tmp_path / "dicom", simple)
        source = tmp_path / "dicom"
    else:
        source = write(tmp_path / "dicom", simple, enhanced=layout == "enhanced")
    with extracted(source, tmp_path / "out.h5") as catalogue:
        key = catalogue.index(SAX).subject(0)
        images = SourceInstances(source, catalogue).images(key, SAX)
        attributes = catalogue.view_attributes(key, SAX)
        assert images.phases == attributes.phases == ("ed", "es")
        for row, numbers, times_ms in zip(images.frames, attributes.instance_numbers, attributes.trigger_time_ms, strict=True):
            for frame, number, time_ms, plane in zip(row, numbers, times_ms, attributes.planes, strict=True):
                assert frame.instance_number == number
                assert frame.trigger_time_ms == pytest.approx(time_ms)
                assert frame.plane.position_mm == pytest.approx(plane.position_mm)
        assert len({(frame.sop_instance_uid, frame.frame_index) for frame in images.flat}) == len(images.flat)
        assert str(images.header.PatientID) == IDS["PatientID"]
        assert "4711" not in repr(images)


@pytest.mark.parametrize(
    ("overrides", "error", "sentence"),
    [
        ({"SOPInstanceUID": ""}, MissingAttributeError, "images of view SAX have no SOPInstanceUID"),
        ({"SOPInstanceUID": "2.25.4711"}, InvalidAttributeError, "share 1 value of SOPInstanceUID"),
        ({"StudyInstanceUID": ""}, MissingAttributeError, "6 of 6 images of view SAX have no StudyInstanceUID"),
    ],
)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_what_cannot_be_referred_to_ends_in_a_sentence(tmp_path: Path, overrides, error: type, sentence: str) -> None:
    source = write(tmp_path / "dicom", study(**overrides))
    with extracted(source, tmp_path / "out.h5") as catalogue:
        key = catalogue.index(SAX).subject(0)
        with pytest.raises(error, match=sentence) as caught:
            SourceInstances([source], catalogue).images(key, SAX)
    assert "4711" not in str(caught.value)


def test_files_that_are_gone_end_in_a_sentence(tmp_path: Path) -> None:
    source = write(tmp_path / "dicom", study())
    with extracted(source, tmp_path / "out.h5") as catalogue:
        key = catalogue.index(SAX).subject(0)
        found = SourceInstances(source, catalogue)
        used = found.images(key, SAX).frames[0][0].file.path
        used.unlink()
        with pytest.raises(SourceChangedError, match="1 of 6 images of the catalogue is not in the subject's files"):
            found.images(key, SAX)
        write(tmp_path / "another", study()).joinpath("SYN-0001").rename(tmp_path / "another" / "SYN-0002")
        with pytest.raises(SourceChangedError, match="6 of 6 images of the catalogue are not in the subject's files"):
            SourceInstances(tmp_path / "another", catalogue).images(key, SAX)


def test_nifti_images_are_refused() -> None:
    class Nifti:
        def configuration(self) -> dict[str, object]:
            return {"nifti": True}

    with pytest.raises(SourceError, match="give the DICOM files"):
        SourceInstances("nowhere", Nifti())
