"""The order of frames over the cardiac cycle."""

from dataclasses import replace

import numpy as np
import pytest

from cmr_planes.cine.frame_order import order_frames
from cmr_planes.cine.moments import OrderedBy
from cmr_planes.geometry import ImagePlane
from tests.helpers.headers import cine_frames

PLANE = ImagePlane.from_attributes([0, 0, 0], [1, 0, 0, 0, 1, 0], [2.0, 2.0], rows=40, columns=40)
N_FRAMES = 12
SHUFFLED = [(5 * index) % N_FRAMES for index in range(N_FRAMES)]


def truth(order):
    """The true places of ordered frames, which the frames carry in a header value that orders nothing."""
    return [int(frame.sequence_name) for frame in order.frames]


def silent_frames():
    """Frames of which nothing but a hidden truth tells the place; in another order than that of time."""
    frames = [
        replace(frame, trigger_time_ms=None, instance_number=None, acquired_at="", sequence_name=str(place))
        for place, frame in enumerate(cine_frames(PLANE, n_frames=N_FRAMES))
    ]
    return [frames[place] for place in SHUFFLED]


def told(frames, **attributes):
    """Set attributes of frames to functions of the true place."""
    return [replace(frame, **{name: value(int(frame.sequence_name)) for name, value in attributes.items()}) for frame in frames]


@pytest.mark.parametrize(
    ("attribute", "value", "by"),
    [
        ("trigger_time_ms", lambda place: 83.3 * place, OrderedBy.TRIGGER_TIME),
        ("cycle_percentage", lambda place: 8.3 * place, OrderedBy.CYCLE_PERCENTAGE),
        ("temporal_position", lambda place: place + 1, OrderedBy.TEMPORAL_POSITION),
        ("dimension_index", lambda place: (1, 3, place + 1), OrderedBy.DIMENSION_INDEX),
        ("instance_number", lambda place: place + 1, OrderedBy.INSTANCE_NUMBER),
        ("content_at", lambda place: f"202001021000{place:02d}", OrderedBy.CONTENT_TIME),
        ("acquired_at", lambda place: f"1000{place:02d}.5", OrderedBy.ACQUISITION_TIME),
    ],
)
def test_each_attribute_orders_frames_where_it_is_the_only_one(attribute, value, by):
    order = order_frames(told(silent_frames(), **{attribute: value}))
    assert truth(order) == list(range(N_FRAMES))
    assert (order.by, order.irregularity) == (by, "")


def test_frames_that_nothing_tells_apart_have_no_order():
    assert order_frames(silent_frames()) is None
    assert order_frames(told(silent_frames(), trigger_time_ms=lambda _: 0.0, instance_number=lambda _: 1)) is None


def test_equal_times_do_not_order_and_the_next_attribute_does():
    frames = told(silent_frames(), trigger_time_ms=lambda _: 0.0, acquired_at=lambda place: f"1000{place:02d}")
    assert truth(order_frames(frames)) == list(range(N_FRAMES))


@pytest.mark.parametrize("clock", ["content_at", "acquired_at"])
def test_shuffled_numbers_give_way_to_a_clock(clock):
    frames = told(silent_frames(), instance_number=lambda place: SHUFFLED[place] + 1, **{clock: lambda place: f"1000{place:02d}"})
    assert truth(order_frames(frames)) == list(range(N_FRAMES))


def test_numbers_stand_where_a_clock_agrees_but_for_two_neighbours():
    late = {4: "100005", 5: "100004"}
    clock = {"content_at": lambda place: late.get(place, f"1000{place:02d}")}
    order = order_frames(told(silent_frames(), instance_number=lambda place: place + 1, **clock))
    assert (truth(order), order.by) == (list(range(N_FRAMES)), OrderedBy.INSTANCE_NUMBER)


@pytest.mark.parametrize("missing", [0, 7, N_FRAMES - 1])
def test_one_missing_time_is_put_into_the_gap(missing):
    times = {"trigger_time_ms": lambda place: None if place == missing else 83.3 * place}
    order = order_frames(told(silent_frames(), instance_number=lambda place: SHUFFLED[place] + 1, **times))
    assert truth(order) == list(range(N_FRAMES))
    assert order.n_placed == 1
    assert order.irregularity.startswith("1 frame without TriggerTime (0018,1060)")


def test_a_frame_without_time_that_fits_in_two_gaps_is_left_out():
    times = {"trigger_time_ms": lambda place: None if place == 7 else 83.3 * place}
    frames = [frame for frame in told(silent_frames(), **times) if frame.sequence_name != "3"]
    order = order_frames(frames)
    assert truth(order) == [0, 1, 2, 4, 5, 6, 8, 9, 10, 11]
    assert (order.n_placed, order.n_left_out) == (0, 1)
    assert "left out" in order.irregularity


def test_frames_without_time_are_placed_by_numbers_that_agree_with_the_other_times():
    frames = cine_frames(PLANE, n_frames=24)
    frames = [replace(frame, trigger_time_ms=None) if place in (5, 6, 11) else frame for place, frame in enumerate(frames)]
    order = order_frames([frames[place] for place in np.random.default_rng(2).permutation(24)])
    assert [frame.instance_number for frame in order.frames] == list(range(1, 25))
    assert order.n_placed == 3


def test_a_doubled_time_is_decided_by_the_number():
    times = {"trigger_time_ms": lambda place: 83.3 * (6 if place == 7 else place)}
    numbers = {place: number + 1 for place, number in enumerate(SHUFFLED)}
    order = order_frames(told(silent_frames(), instance_number=numbers.get, **times))
    first, second = sorted((6, 7), key=numbers.get)
    assert truth(order) == [*range(6), first, second, *range(8, N_FRAMES)]
    assert order.n_equal == 1


def test_times_rounded_until_pairs_are_equal_still_order_the_pairs():
    order = order_frames(
        told(silent_frames(), trigger_time_ms=lambda place: 100.0 * (place // 2), instance_number=lambda place: place)
    )
    assert truth(order) == list(range(N_FRAMES))
    assert order.n_equal == N_FRAMES // 2


def test_times_in_steps_as_of_two_acquisitions_are_noted():
    first = cine_frames(PLANE, n_frames=N_FRAMES)
    second = [replace(frame, trigger_time_ms=0.87 * frame.trigger_time_ms + 3) for frame in first]
    assert "as uneven as if two acquisitions were mixed" in order_frames(first + second).irregularity


@pytest.mark.parametrize("missing", [(2, 9), (3, 4, 8)])
def test_times_order_frames_where_up_to_a_quarter_of_them_is_missing(missing):
    times = {"trigger_time_ms": lambda place: None if place in missing else 83.3 * place}
    order = order_frames(told(silent_frames(), instance_number=lambda place: SHUFFLED[place] + 1, **times))
    assert truth(order) == [place for place in range(N_FRAMES) if place not in missing]
    assert order.n_left_out == len(missing)
