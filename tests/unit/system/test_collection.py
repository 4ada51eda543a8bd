"""Pauses of the collector of cycles."""

import gc

import pytest

from cmr_planes.system.collection import collection_paused


@collection_paused()
def is_collecting() -> bool:
    return gc.isenabled()


@collection_paused()
def fail() -> None:
    raise KeyError


def test_the_collector_rests_and_goes_on() -> None:
    assert gc.isenabled()
    assert not is_collecting()
    assert gc.isenabled()
    assert not is_collecting()
    with pytest.raises(KeyError):
        fail()
    assert gc.isenabled()


def test_a_collector_that_rests_is_left_so() -> None:
    gc.disable()
    try:
        with collection_paused():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()
