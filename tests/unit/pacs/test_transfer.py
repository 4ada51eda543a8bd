import pytest

from cmr_planes.errors import PacsError
from cmr_planes.pacs.transfer import BusyError, InterruptedTransferError, Patience


def failing(*errors):
    """An attempt that fails with each of these errors, then succeeds."""
    pending = list(errors)

    def attempt():
        if pending:
            raise pending.pop(0)
        return "done"

    return attempt


@pytest.fixture
def waits(monkeypatch):
    """The seconds that were waited; no time passes."""
    seconds = []
    monkeypatch.setattr("tenacity.nap.time.sleep", seconds.append)
    return seconds


def test_waits_double(waits):
    said = []
    errors = [InterruptedTransferError("it broke")] * 4
    assert Patience(attempts=5).insist(failing(*errors), said.append) == "done"
    assert waits == [1, 2, 4, 8]
    assert said[0] == "it broke; attempt 2 of 5 in 1 s"


def test_the_server_may_ask_for_longer_waits_within_bounds(waits):
    patience = Patience(longest_wait_seconds=100.0)
    assert patience.insist(failing(BusyError("busy", 30.0), BusyError("busy", 1e9), BusyError("busy"))) == "done"
    assert waits == [30, 100, 4]


def test_patience_ends(waits):
    with pytest.raises(InterruptedTransferError, match="the third"):
        Patience(attempts=3).insist(failing(*(InterruptedTransferError(f"the {word}") for word in ("first", "second", "third"))))
    assert waits == [1, 2]


def test_what_waiting_does_not_mend_is_not_tried_again(waits):
    with pytest.raises(PacsError, match="forbidden"):
        Patience().insist(failing(PacsError("forbidden")))
    assert waits == []
