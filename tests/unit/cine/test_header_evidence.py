"""What the headers of an acquisition say for and against a cine."""

from dataclasses import replace

import pytest

from cmr_planes.cine.acquisitions import find_cine_slices
from cmr_planes.cine.header_evidence import HeaderEvidence, judge_headers
from cmr_planes.geometry import ImagePlane
from tests.helpers.headers import cine_frames

PLANE = ImagePlane.from_attributes([0, 0, 0], [1, 0, 0, 0, 1, 0], [2.0, 2.0], rows=40, columns=40)


def judged(n_frames=12, *, per_frame=None, **changes) -> HeaderEvidence:
    frames = cine_frames(PLANE, n_frames=n_frames)
    frames = [replace(frame, **changes, **(per_frame(index) if per_frame else {})) for index, frame in enumerate(frames)]
    (cine,) = find_cine_slices(frames).slices
    return judge_headers(cine)


def times(start_ms, step_ms):
    return lambda index: {"trigger_time_ms": start_ms + step_ms * index}


@pytest.mark.parametrize("share", [0.5, 0.6, 0.85, 1.0, 1.2], ids=lambda share: f"{share:.0%}")
def test_retrospective_and_prospective_cines_follow_a_beat(share):
    evidence = judged(per_frame=times(10.0, 1000.0 * share / 12))
    assert evidence == HeaderEvidence(exclusion="", doubt="", has_times=True, follows_beat=True)


def test_a_cine_over_two_beats_or_with_a_delay_is_no_less_a_cine():
    assert judged(40, per_frame=times(0.0, 49.0)).follows_beat
    assert judged(per_frame=times(500.0, 80.0)) == HeaderEvidence(exclusion="", doubt="", has_times=True, follows_beat=True)


@pytest.mark.parametrize("time", [None, 0.0], ids=["none", "all zero"])
def test_missing_times_say_nothing(time):
    assert judged(trigger_time_ms=time) == HeaderEvidence(exclusion="", doubt="", has_times=False, follows_beat=False)


def test_times_in_seconds_say_nothing():
    evidence = judged(per_frame=times(0.0, 0.08))
    assert (evidence.exclusion, evidence.doubt) == ("", "")


@pytest.mark.parametrize(
    ("changes", "per_frame", "reason"),
    [
        ({}, times(100.0, 900.0), "one image per heart beat"),
        ({"nominal_interval_ms": None, "heart_rate_bpm": 120.0}, times(20.0, 500.0), "one image per heart beat"),
        ({}, times(650.0, 0.0), "one trigger time (650 ms)"),
        ({}, times(600.0, 2.0), "one trigger time (600 ms)"),
        ({}, lambda index: {"echo_time_ms": 2.0 + 2 * index}, "EchoTime"),
        ({}, lambda index: {"inversion_time_ms": 60.0 + 25 * index}, "InversionTime"),
        ({"image_type": ("ORIGINAL", "PRIMARY", "P", "ND")}, None, "phase"),
        ({"image_type": ("ORIGINAL", "PRIMARY", "PHASE MAP", "P", "FFE")}, None, "phase"),
        ({"complex_component": "PHASE"}, None, "phase"),
        ({"image_type": ("ORIGINAL", "PRIMARY", "R_FFE", "R", "FFE")}, None, "real or imaginary"),
        ({"image_type": ("ORIGINAL", "PRIMARY", "I_FFE", "I", "FFE")}, None, "real or imaginary"),
        ({"complex_component": "IMAGINARY"}, None, "real or imaginary"),
        ({"image_type": ("ORIGINAL", "PRIMARY", "M_PCA", "M", "PCA")}, None, "flow"),
        ({"sequence_name": "fl2d1_v150in"}, None, "flow"),
        ({"sequence_name": "*fl3d1_v100fh"}, None, "flow"),
        ({"image_type": ("DERIVED", "PRIMARY", "M", "T1 MAP")}, None, "mapping"),
        ({"samples_per_pixel": 3}, None, "colour"),
        ({"modality": "CT"}, None, "not MR"),
    ],
)
def test_other_kinds_of_images_are_no_cine(changes, per_frame, reason):
    assert reason in judged(per_frame=per_frame, **changes).exclusion


@pytest.mark.parametrize(
    "changes",
    [
        {"image_type": ("ORIGINAL", "PRIMARY", "M", "RETRO", "DIS2D")},
        {"image_type": ("ORIGINAL", "PRIMARY", "M_FFE", "M", "FFE")},
        {"image_type": ("ORIGINAL", "PRIMARY", "OTHER")},
        {"complex_component": "MAGNITUDE", "echo_time_ms": 1.4},
        {"sequence_name": "tfi2d1_14"},
    ],
)
def test_the_kinds_of_three_vendors_are_cines(changes):
    assert judged(**changes) == HeaderEvidence(exclusion="", doubt="", has_times=True, follows_beat=True)


def test_echo_times_that_differ_by_rounding_are_one():
    assert judged(per_frame=lambda index: {"echo_time_ms": 1.20 + 0.01 * (index % 2)}).exclusion == ""


@pytest.mark.parametrize(
    ("changes", "per_frame", "doubt"),
    [
        ({"nominal_interval_ms": None}, times(1500.0, 60.0), "begin 1500 ms after the R wave"),
        ({}, times(0.0, 300.0), "span 3.6 RR intervals"),
        ({"image_type": ("DERIVED", "SECONDARY", "M", "RETRO")}, None, "derived"),
        ({"image_type": ("ORIGINAL", "PRIMARY", "MPR")}, None, "reformatted"),
        ({"sop_class_uid": "1.2.840.10008.5.1.4.1.1.7"}, None, "saved pictures"),
    ],
)
def test_weak_evidence_is_a_doubt(changes, per_frame, doubt):
    evidence = judged(per_frame=per_frame, **changes)
    assert evidence.exclusion == ""
    assert doubt in evidence.doubt


def test_cardiac_number_of_images_speaks_for_a_cine_whose_times_are_all_equal():
    assert judged(per_frame=times(650.0, 0.0), cardiac_number_of_images=12).exclusion == ""
