"""From headers to cine slices."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cmr_planes.cine.acquisitions import is_complete, order_findings
from cmr_planes.dicom.frames import FileRef
from cmr_planes.errors import Finding, NoteCode, RejectionCode
from cmr_planes.fates import Fate
from cmr_planes.geometry import ImagePlane
from cmr_planes.views import CardiacView
from tests.helpers.headers import as_slice, as_study, cine_frames, moved

PLANE = ImagePlane.from_attributes([0, 0, 0], [1, 0, 0, 0, 1, 0], [2.0, 2.0], rows=40, columns=40)
OTHER = moved(PLANE, shift_mm=(0, 0, 10))


def numbers(cine):
    return [frame.instance_number for frame in cine.frames]


def test_a_series_of_two_planes_is_two_slices():
    frames = cine_frames(PLANE) + [replace(frame, plane=OTHER) for frame in cine_frames(PLANE)]
    study = as_study(frames)
    assert [len(cine.frames) for cine in study.slices] == [10, 10]
    assert {cine.plane.position_mm[2] for cine in study.slices} == {0.0, 10.0}


def test_two_series_of_one_description_are_two_slices():
    study = as_study(cine_frames(PLANE, number=1, series_description="SAX"), cine_frames(PLANE, number=2, series_description="SAX"))
    assert len(study.slices) == 2


def test_empty_series_uids_are_told_apart_by_folder_and_number():
    first = cine_frames(PLANE, number=1, series_uid="")
    second = [
        replace(frame, file=FileRef(Path("other") / str(index)))
        for index, frame in enumerate(cine_frames(PLANE, number=1, series_uid=""))
    ]
    assert len(as_study(first, second).slices) == 2


def test_planes_that_jitter_are_one_slice():
    frames = cine_frames(PLANE)
    jittered = [replace(frame, plane=moved(PLANE, shift_mm=(0, 0, 0.03 * (index % 2)))) for index, frame in enumerate(frames)]
    assert [len(cine.frames) for cine in as_study(jittered).slices] == [10]


def test_frames_are_ordered_by_trigger_time_whatever_the_order_of_files():
    frames = cine_frames(PLANE, n_frames=30)
    frames = [frames[index] for index in np.random.default_rng(1).permutation(30)]
    assert numbers(as_study(frames).slices[0]) == list(range(1, 31))


@pytest.mark.parametrize("times", [None, 0.0], ids=["missing", "all zero"])
def test_without_usable_trigger_times_temporal_position_orders_then_instance_number_as_a_number(times):
    frames = [replace(frame, trigger_time_ms=times) for frame in cine_frames(PLANE, n_frames=12)]
    backwards = [replace(frame, temporal_position=50 - frame.instance_number) for frame in frames]
    assert numbers(as_study(backwards).slices[0]) == list(range(12, 0, -1))
    (cine,) = as_study(frames).slices
    assert numbers(cine) == list(range(1, 13))
    (note,) = order_findings(CardiacView.SAX, [cine])
    assert note.code is NoteCode.NO_TRIGGER_TIME


def test_every_time_twice_is_two_acquisitions_the_later_one_last():
    first = cine_frames(PLANE, acquired_at="20200101100000")
    second = [replace(frame, instance_number=frame.instance_number + 10, acquired_at="20200101110000") for frame in first]
    study = as_study(second + first)
    assert [numbers(cine) for cine in study.slices] == [list(range(1, 11)), list(range(11, 21))]
    assert study.slices[1].recency > study.slices[0].recency


def test_phase_images_of_a_series_are_kept_apart_from_its_magnitude_images():
    frames = cine_frames(PLANE) + [replace(frame, image_type=("ORIGINAL", "PRIMARY", "P")) for frame in cine_frames(PLANE)]
    study = as_study(frames)
    assert [len(cine.frames) for cine in study.slices] == [10]
    assert study.excluded == {"phase images": 10}


def test_single_frames_and_other_modalities_are_counted_not_used():
    study = as_study(cine_frames(PLANE, n_frames=1), cine_frames(OTHER, number=2, modality="CT"))
    assert study.slices == ()
    assert study.n_single_frames == 1
    assert study.excluded == {"not MR": 10}


def test_frames_without_a_plane_are_told_once_for_each_reason():
    defect = Finding(
        "", RejectionCode.INVALID_PLANE, "PixelSpacing (0028,0030) holds -1.0: two positive numbers in mm are expected"
    )
    study = as_study(cine_frames(PLANE), [replace(frame, plane=None, defect=defect) for frame in cine_frames(OTHER, number=2)])
    assert len(study.slices) == 1
    assert study.defects == (defect,)


def test_complete_is_what_the_header_promises_or_else_what_is_usual():
    full = as_slice(PLANE, n_frames=10)
    (short,) = as_study(cine_frames(OTHER, n_frames=10, number=2)[:8]).slices
    assert is_complete(full, [full, full, short])
    assert not is_complete(short, [full, full, short])
    promised = as_slice(PLANE, n_frames=10, cardiac_number_of_images=12)
    assert not is_complete(promised, [promised])
    single_shot = as_slice(PLANE, n_frames=10, cardiac_number_of_images=1)
    assert is_complete(single_shot, [single_shot])


def test_labels_name_series_by_number_only():
    cine = as_slice(PLANE, number=7, series_description="Mustermann SAX")
    assert cine.label == "series 7"
    assert as_slice(PLANE).header.series_number == 1
    assert np.array_equal(cine.plane.position_mm, PLANE.position_mm)


def test_a_piece_that_promises_no_more_than_it_has_is_not_complete_beside_a_whole_cycle():
    whole = as_slice(PLANE, n_frames=12, cardiac_number_of_images=12)
    frames = cine_frames(PLANE, n_frames=12, number=2, cardiac_number_of_images=6)[:6]
    (piece,) = as_study(frames).slices
    assert not is_complete(piece, [whole, piece])
    untimed = [replace(frame, trigger_time_ms=None) for frame in frames]
    assert not is_complete(as_study(untimed).slices[0], [whole, piece])


def test_fewer_frames_over_the_whole_cycle_are_complete():
    fine, coarse = as_slice(PLANE, n_frames=30), as_slice(PLANE, n_frames=20, number=2)
    assert is_complete(coarse, [fine, fine, coarse])
    (holed,) = as_study(
        [frame for frame in cine_frames(PLANE, n_frames=30, number=2) if frame.instance_number not in (9, 15, 20, 25)]
    ).slices
    assert not is_complete(holed, [fine, fine, holed])


def test_two_shots_that_nothing_orders_are_no_reason_of_rejection():
    shots = [replace(frame, trigger_time_ms=None, instance_number=1) for frame in cine_frames(OTHER, n_frames=2, number=3)]
    alone, beside = as_study(shots), as_study(cine_frames(PLANE), shots)
    assert alone.slices == alone.defects == ()
    assert beside.findings == ()
    assert [(row.series_number, row.n_frames, row.fate) for row in beside.passed_over] == [(3, 2, Fate.NOT_USED)]


def test_frames_without_a_place_are_noted_by_series_unless_they_are_pictures_of_reports():
    defect = Finding("", RejectionCode.MISSING_ATTRIBUTE, "ImagePositionPatient (0020,0032) is missing")
    lost = [replace(frame, plane=None, defect=defect) for frame in cine_frames(OTHER, n_frames=1, number=5)]
    capture = [replace(frame, series_number=99, image_type=("DERIVED", "SECONDARY")) for frame in lost]
    study = as_study(cine_frames(PLANE), lost, capture)
    assert [note.sentence.partition(":")[0] for note in study.findings] == ["1 frame of series 5 left out"]
    assert [(row.series_number, row.fate) for row in study.passed_over] == [(5, Fate.NO_PLACE), (99, Fate.NO_PLACE)]
