"""The forecast of a run of the paper's size on a CPU."""

import pytest
import torch

from cmr_train.choices import Preset, Recipe
from cmr_train.compute.devices import Compute
from cmr_train.presets import configure
from cmr_train.training.forecast import Forecast

CPU = Compute(torch.device("cpu"))


def sentences(forecast: Forecast, start: int, seconds: float) -> list[str]:
    """What is said of ten iterations, the first of which takes a minute."""
    found = [forecast.after(start + n, 60.0 + n * seconds) for n in range(1, 11)]
    return [sentence for sentence in found if sentence is not None]


@pytest.mark.parametrize("start", [0, 7])
def test_two_iterations_after_the_first_give_the_time_of_the_others(start):
    (sentence,) = sentences(Forecast(configure(Recipe.PRETEXT, iterations=50_000), CPU, start), start, 70.0)
    assert sentence.startswith(
        f"the remaining {50_000 - start - 3:,} iterations take about {(50_000 - start - 3) * 70 / 86400:.0f} days"
    )
    assert "at 70 s each" in sentence


@pytest.mark.parametrize(
    ("preset", "device", "seconds"),
    [
        pytest.param(Preset.QUICK, "cpu", 70.0, id="a preset for CPUs"),
        pytest.param(Preset.PAPER, "cuda", 70.0, id="a GPU"),
        pytest.param(Preset.PAPER, "cpu", 0.001, id="a run of less than a minute"),
    ],
)
def test_nothing_is_said_where_there_is_nothing_to_warn_of(preset, device, seconds):
    config = configure(Recipe.PRETEXT, preset, iterations=50_000)
    assert sentences(Forecast(config, Compute(torch.device(device)), 0), 0, seconds) == []
