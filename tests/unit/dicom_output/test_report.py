"""Reports of measures, read back by highdicom and judged by dicom3tools."""

import math
from dataclasses import replace

import pydicom
import pytest
from highdicom.sr import Comprehensive3DSR
from pydicom.sr._concepts_dict import concepts

from cmr_planes.dicom_output import codes
from cmr_planes.dicom_output.codes import Quantity
from cmr_planes.dicom_output.model import SourceImages
from cmr_planes.dicom_output.report import VentricleMeasures, make_report
from cmr_planes.dicom_output.segmentation import make_segmentations
from cmr_planes.views import Structure
from tests.helpers.dicom_objects import (
    IDENTITY,
    NETWORK,
    VENTRICLES,
    dciodvfy,
    heart_of,
    make_study,
    parsed,
    source_images,
    uids_in,
)
from tests.helpers.leaks import found_in

STUDY = make_study()
REMARK = "no right ventricle was found at end-systole"
LV = VentricleMeasures(
    Structure.LV,
    {
        Quantity.END_DIASTOLIC_VOLUME: 123.456,
        Quantity.END_SYSTOLIC_VOLUME: 60.125,
        Quantity.STROKE_VOLUME: 63.331,
        Quantity.EJECTION_FRACTION: 51.298,
        Quantity.MASS: 0.1 + 0.2,
    },
)
RV = VentricleMeasures(
    Structure.RV, {Quantity.END_DIASTOLIC_VOLUME: 150.0, Quantity.END_SYSTOLIC_VOLUME: math.nan, Quantity.MASS: math.nan}, (REMARK,)
)


@pytest.fixture(scope="module")
def images(tmp_path_factory) -> SourceImages:
    return source_images(tmp_path_factory.mktemp("stack"), STUDY, "series")


@pytest.fixture(scope="module")
def segmentations(images) -> dict[bool, list]:
    labels = heart_of(images, STUDY)
    return {anonymous: make_segmentations(images, labels, VENTRICLES, NETWORK, anonymous=anonymous) for anonymous in (False, True)}


def report(images, segmentations, *, anonymous: bool = False, ventricles=(LV, RV)):
    return make_report(images, segmentations[anonymous], ventricles, NETWORK, anonymous=anonymous)


def test_highdicom_reads_the_measures(images, segmentations) -> None:
    read = Comprehensive3DSR.from_dataset(parsed(report(images, segmentations)))
    found = {}
    for group in read.content.get_image_measurement_groups():
        site = group.finding_sites[0].value.value
        for one in group.get_measurements():
            found[site, one.name.value] = (one.value, one.unit.value)
    assert found == {
        ("87878005", "18026-5"): (123.46, "mL"),
        ("87878005", "18148-7"): (round(60.125, 2), "mL"),
        ("87878005", "90096001"): (63.33, "mL"),
        ("87878005", "8811-2"): (51.3, "%"),
        ("87878005", "18087-7"): (0.3, "g"),
        ("53085002", "8822-9"): (150.0, "mL"),
    }
    assert (read.CompletionFlag, read.VerificationFlag, read.PreliminaryFlag) == ("COMPLETE", "UNVERIFIED", "PRELIMINARY")


def test_why_a_measure_is_missing_stands_beside_the_others(images, segmentations) -> None:
    texts = [str(item.value) for item in parsed(report(images, segmentations)).iterall() if item.keyword == "TextValue"]
    assert texts.count(REMARK) == 1


@pytest.mark.parametrize("anonymous", [False, True])
@pytest.mark.parametrize("ventricles", [(LV, RV), (VentricleMeasures(Structure.LV, {}, (REMARK,)),)])
def test_dciodvfy_finds_nothing_wrong(images, segmentations, tmp_path, anonymous: bool, ventricles) -> None:
    assert dciodvfy(tmp_path, report(images, segmentations, anonymous=anonymous, ventricles=ventricles)) == []


@pytest.mark.parametrize("anonymous", [False, True])
def test_evidence_are_the_segmentations_and_the_images(images, segmentations, anonymous: bool) -> None:
    read = parsed(report(images, segmentations, anonymous=anonymous))
    (study,) = read.CurrentRequestedProcedureEvidenceSequence
    found = {
        (series.SeriesInstanceUID, item.ReferencedSOPInstanceUID)
        for series in study.ReferencedSeriesSequence
        for item in series.ReferencedSOPSequence
    }
    expected = {(one.dataset.SeriesInstanceUID, one.dataset.SOPInstanceUID) for one in segmentations[anonymous]}
    if not anonymous:
        expected |= {(frame.series_uid, frame.sop_instance_uid) for frame in images.flat}
    assert found == expected
    assert study.StudyInstanceUID == read.StudyInstanceUID == segmentations[anonymous][0].dataset.StudyInstanceUID
    assert (read.StudyInstanceUID == images.study_uid) is not anonymous


def test_an_anonymous_report_holds_nothing_of_the_source(images, segmentations) -> None:
    needles = {*IDENTITY.values(), images.study_uid, *(frame.sop_instance_uid for frame in images.flat)}
    assert found_in(needles, [report(images, segmentations).encode()]) == needles
    assert found_in(needles, [report(images, segmentations, anonymous=True).encode()]) == set()


@pytest.mark.parametrize("anonymous", [False, True])
def test_no_clock_and_no_random_number_is_in_a_report(images, segmentations, anonymous: bool) -> None:
    first, again = (report(images, segmentations, anonymous=anonymous) for _ in range(2))
    assert first.encode() == again.encode()
    read = parsed(first)
    times = {str(element.value) for element in read.iterall() if element.VR in ("DA", "DT", "TM")}
    assert times <= ({"19000101", "000000", ""} if anonymous else {"20190405", "101112.5", "19470229"})
    classes = ("SOPClassUID", "ReferencedSOPClassUID")
    assert all(uid.startswith("2.25.") for uid, keyword in uids_in(read).items() if keyword not in classes)


def test_other_values_have_another_uid(images, segmentations) -> None:
    other = (replace(LV, values={**LV.values, Quantity.MASS: 100.0}), RV)
    uids = {report(images, segmentations, ventricles=ventricles).dataset.SOPInstanceUID for ventricles in ((LV, RV), other)}
    assert len(uids) == 2


def test_codes_mean_what_the_dictionaries_say() -> None:
    of_module = [value for value in vars(codes).values() if isinstance(value, pydicom.sr.coding.Code)]
    tables = (codes.SEGMENT_TYPES, codes.MEASUREMENTS, codes.UNITS)
    for code in [*of_module, *(code for table in tables for code in table.values())]:
        if (code.scheme_designator, code.value) in {("UCUM", "mL"), ("UCUM", "g")}:  # not in pydicom's
            continue
        meanings = {entry[code.value][0] for entry in concepts[code.scheme_designator].values() if code.value in entry}
        assert code.meaning in meanings
