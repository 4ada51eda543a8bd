"""How long a run of the paper's size takes on a CPU, from its first iterations."""

from cmr_planes.system.text import counted, duration, either
from cmr_train.choices import Preset
from cmr_train.compute.devices import Compute
from cmr_train.config import RunConfig

_SKIPPED, _MEASURED = 1, 2
"""Iterations: the first prepares memory; those after it are measured."""
_LONG_SECONDS = 60.0
"""A shorter run needs no forecast."""
_DAY_SECONDS = 86_400.0


class Forecast:
    """Measures two iterations of a run and says how long the others take.

    Parameters
    ----------
    config
        The run; only those of the paper's preset have a forecast.
    compute
        The device; only a CPU has a forecast.
    iteration
        Iterations that are done when the run starts or is resumed.
    """

    def __init__(self, config: RunConfig, compute: Compute, iteration: int) -> None:
        self._is_wanted = config.preset is Preset.PAPER and compute.device.type == "cpu"
        self._n_iterations = config.training.iterations
        self._first = iteration + _SKIPPED
        self._seconds_at_first = 0.0

    def after(self, done: int, seconds: float) -> str | None:
        """Return the forecast once it is known, else None.

        Parameters
        ----------
        done
            Iterations that are done.
        seconds
            The time of a clock that only moves forward.
        """
        if done == self._first:
            self._seconds_at_first = seconds
        if not self._is_wanted or done != self._first + _MEASURED:
            return None
        each = (seconds - self._seconds_at_first) / _MEASURED
        n_left = self._n_iterations - done
        if each * n_left < _LONG_SECONDS:
            return None
        return (
            f"the remaining {counted(n_left, 'iteration')} {either(n_left, 'takes', 'take')} about "
            f"{_in_words(each * n_left)} on this CPU, at {duration(each)} each; a "
            "GPU is many times faster, and the preset quick is made for CPUs"
        )


def _in_words(seconds: float) -> str:
    return f"{seconds / _DAY_SECONDS:,.0f} days" if seconds >= 2 * _DAY_SECONDS else duration(seconds)
