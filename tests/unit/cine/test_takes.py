"""One plane acquired twice in one series is two takes; pieces of a cycle are one."""

from dataclasses import replace

import numpy as np
import pytest

from cmr_planes.cine.takes import join_pieces, split_takes
from cmr_planes.geometry import ImagePlane
from tests.helpers.headers import cine_frames

PLANE = ImagePlane.from_attributes([0, 0, 0], [1, 0, 0, 0, 1, 0], [2.0, 2.0], rows=40, columns=40)
N_FRAMES = 12


def frames_of(**changes):
    return cine_frames(PLANE, n_frames=N_FRAMES, **{"cardiac_number_of_images": N_FRAMES, "acquired_at": "100000", **changes})


def again(first, *, scale=1.0, offset_ms=0.0, numbers_from=N_FRAMES, **changes):
    """A second take of the same plane in the same series, at another heart rate."""
    return [
        replace(
            frame,
            trigger_time_ms=frame.trigger_time_ms * scale + offset_ms,
            instance_number=frame.instance_number + numbers_from,
            **changes,
        )
        for frame in first
    ]


def mixed(frames):
    return [frames[place] for place in np.random.default_rng(0).permutation(len(frames))]


def numbers(takes):
    return [sorted(frame.instance_number for frame in take) for take in takes]


TWO = [list(range(1, N_FRAMES + 1)), list(range(N_FRAMES + 1, 2 * N_FRAMES + 1))]


@pytest.mark.parametrize(
    ("scale", "offset_ms"),
    [(1.0, 0.0), (0.87, 3.0), (0.99, 0.0), (1.0, 1000.0 / N_FRAMES / 2)],
    ids=["equal times", "another heart rate", "nearly equal", "half a step later"],
)
@pytest.mark.parametrize(
    "changes",
    [{"acquisition_number": 2}, {"acquired_at": "100020"}, {"content_at": "100020"}, {}],
    ids=["AcquisitionNumber", "AcquisitionTime", "ContentTime", "times run back"],
)
def test_two_takes_in_one_series_are_told_apart(scale, offset_ms, changes):
    first = frames_of(acquisition_number=1, content_at="100000")
    takes = split_takes(mixed(first + again(first, scale=scale, offset_ms=offset_ms, **changes)))
    assert numbers(takes) == TWO


def test_without_a_promised_number_of_images_takes_at_another_heart_rate_are_told_apart():
    first = frames_of(cardiac_number_of_images=None)
    assert numbers(split_takes(mixed(first + again(first, scale=0.87, offset_ms=3.0)))) == TWO


def test_takes_of_equal_times_and_numbers_are_told_apart_by_their_uids():
    first = frames_of()
    takes = split_takes(mixed(first + again(first, scale=0.9, numbers_from=0, series_uid="2.25.99")))
    assert sorted({frame.series_uid for frame in take} == {"2.25.99"} for take in takes) == [False, True]


@pytest.mark.parametrize("attribute", ["nominal_interval_ms", "heart_rate_bpm"])
def test_takes_of_equal_numbers_are_told_apart_by_their_heart_rates(attribute):
    first = frames_of()
    takes = split_takes(mixed(first + again(first, scale=0.9, offset_ms=3.0, numbers_from=0, **{attribute: 55.0})))
    assert sorted({getattr(frame, attribute) for frame in take} == {55.0} for take in takes) == [False, True]


def test_three_takes_are_three():
    first = frames_of()
    second = again(first, scale=0.9, acquired_at="100020")
    third = again(first, scale=1.1, numbers_from=2 * N_FRAMES, acquired_at="100040")
    assert [len(take) for take in split_takes(mixed(first + second + third))] == [N_FRAMES] * 3


def test_a_take_that_was_broken_off_is_a_take():
    first = frames_of()
    takes = split_takes(mixed(first[:5] + again(first, scale=0.95)))
    assert [len(take) for take in takes] == [5, N_FRAMES]


def test_a_multiple_of_the_promised_images_without_times_is_cut_by_number():
    first = [replace(frame, trigger_time_ms=None) for frame in frames_of()]
    second = [replace(frame, instance_number=frame.instance_number + N_FRAMES) for frame in first]
    assert numbers(split_takes(mixed(first + second))) == TWO


@pytest.mark.parametrize(
    "uid",
    [lambda place: f"2.25.{place % 2}", lambda place: f"2.25.{place > 6}", lambda place: f"2.25.{place}"],
    ids=["odd and even frames", "interrupted transfer", "one per file"],
)
@pytest.mark.parametrize("expected", [N_FRAMES, None])
def test_pieces_of_a_cycle_under_several_uids_are_one_take(uid, expected):
    frames = [replace(frame, series_uid=uid(place)) for place, frame in enumerate(frames_of(cardiac_number_of_images=expected))]
    assert [len(take) for take in split_takes(mixed(frames))] == [N_FRAMES]


@pytest.mark.parametrize("expected", [N_FRAMES, None])
def test_shuffled_numbers_are_no_takes(expected):
    frames = [
        replace(frame, instance_number=(5 * place) % N_FRAMES + 1)
        for place, frame in enumerate(frames_of(cardiac_number_of_images=expected))
    ]
    for faulty in (frames, [replace(frames[7], trigger_time_ms=frames[6].trigger_time_ms), *frames[:7], *frames[8:]]):
        assert [len(take) for take in split_takes(mixed(faulty))] == [N_FRAMES]


def test_times_rounded_until_pairs_are_equal_are_one_take():
    frames = [replace(frame, trigger_time_ms=round(frame.trigger_time_ms / 167) * 167.0) for frame in frames_of()]
    shuffled = [replace(frame, instance_number=(5 * place) % N_FRAMES + 1) for place, frame in enumerate(frames)]
    assert [len(take) for take in split_takes(shuffled)] == [N_FRAMES]


def test_a_single_shot_under_another_uid_is_no_part_of_the_cycle():
    frames = [replace(frame, series_number=None) for frame in frames_of()]
    shot = replace(frames[0], series_uid="2.25.77", trigger_time_ms=650.0, cardiac_number_of_images=None, instance_number=1)
    assert sorted(len(take) for take in split_takes([*frames, shot])) == [1, N_FRAMES]


def pieces_of(numbers, **changes):
    """Takes of one frame or more, by the series number that each frame gets."""
    frames = [replace(frame, series_number=numbers(place)) for place, frame in enumerate(frames_of(**changes))]
    return [
        [frame for frame in frames if frame.series_number == number] for number in sorted({numbers(p) for p in range(N_FRAMES)})
    ]


@pytest.mark.parametrize("numbers", [lambda place: place % 2, lambda place: int(place > 6), lambda place: place])
def test_pieces_under_several_series_numbers_that_complete_a_cycle_are_one_take(numbers):
    assert [len(take) for take in join_pieces(pieces_of(numbers))] == [N_FRAMES]


def test_takes_under_several_series_numbers_that_complete_no_cycle_stay_apart():
    halves = pieces_of(lambda place: place % 2, cardiac_number_of_images=None)
    assert join_pieces(halves) == halves
    broken_off, whole = frames_of()[:5], [replace(frame, series_number=9) for frame in frames_of()]
    assert join_pieces([broken_off, whole]) == [broken_off, whole]
    twice = [broken_off, [replace(frame, series_number=9) for frame in broken_off]]
    assert join_pieces(twice) == twice


def test_some_frames_with_other_identifiers_but_equal_times_are_a_take_of_their_own():
    first = frames_of()
    copies = [replace(frame, sop_instance_uid=f"2.25.{frame.instance_number}") for frame in first[:3]]
    assert sorted(len(take) for take in split_takes(mixed(first + copies))) == [3, N_FRAMES]
