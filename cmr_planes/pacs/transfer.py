"""What goes wrong in a transfer, and how often it is tried again."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from tenacity import RetryCallState, Retrying, retry_if_exception_type, stop_after_attempt

from cmr_planes.errors import PacsError
from cmr_planes.system.progress import OnMessage, ignore_message

T = TypeVar("T")


class InterruptedTransferError(PacsError):
    """What was asked for did not come, or not whole; asking again may help."""


class BusyError(InterruptedTransferError):
    """The server asks to wait, or fails for the moment."""

    def __init__(self, sentence: str, wait_seconds: float = 0.0) -> None:
        super().__init__(sentence)
        self.wait_seconds = wait_seconds


class DeniedError(PacsError):
    """The server does not let this user or this side in, or cannot be trusted: nothing else can be asked of it either."""


class GoneError(PacsError):
    """What was asked for is not on the server."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How often something is tried, and how long is waited in between."""

    attempts: int = 6
    """Attempts in all."""
    first_wait_seconds: float = 1.0
    """Before the second attempt; then twice as long each time."""
    longest_wait_seconds: float = 300.0
    """No wait is longer, whatever the server asks for."""

    def insist(self, attempt: Callable[[], T], on_message: OnMessage = ignore_message) -> T:
        """Do something, again and again after an :class:`InterruptedTransferError`.

        Parameters
        ----------
        attempt
            What to do.
        on_message
            Called with a sentence before each wait.

        Returns
        -------
            What the first attempt returns that does not fail.

        Raises
        ------
        InterruptedTransferError
            All attempts failed; of the last one.
        """

        def wait(state: RetryCallState) -> float:
            failure = _failure(state)
            asked = failure.wait_seconds if isinstance(failure, BusyError) else 0.0
            return min(max(asked, self.first_wait_seconds * 2.0 ** (state.attempt_number - 1)), self.longest_wait_seconds)

        def say(state: RetryCallState) -> None:
            seconds = 0.0 if state.next_action is None else state.next_action.sleep
            on_message(f"{_failure(state)}; attempt {state.attempt_number + 1} of {self.attempts} in {seconds:,.0f} s")

        retrying = Retrying(
            stop=stop_after_attempt(self.attempts),
            wait=wait,
            retry=retry_if_exception_type(InterruptedTransferError),
            before_sleep=say,
            reraise=True,
        )
        return retrying(attempt)


def _failure(state: RetryCallState) -> BaseException | None:
    return None if state.outcome is None else state.outcome.exception()
