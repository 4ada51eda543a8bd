"""What the channels-last layout is worth: the time of a training step, and of an answer, over that with contiguous tensors.

    python benchmarks/memory_format.py [--base-channels 8 16 64] [--size 192 208] [--rounds 9] [--device cpu]

The same network has both layouts and answers in turns, within one process, so that other work on the machine meets both. Medians of
the rounds' ratios are printed with the lowest and the highest; below 1 channels-last is faster. On a CPU the time is that of the
process, on one thread, which other processes change less than that of the clock.
"""

import argparse
import copy
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import nn

from cmr_train.choices import DeviceKind, Recipe
from cmr_train.compute.devices import choose_device
from cmr_train.models.initial_weights import initialise
from cmr_train.presets import configure
from cmr_train.runs.run import make_network
from cmr_train.training.losses import cross_entropy

BATCH = 20
AT_ONCE = 16
LAYOUTS = (torch.channels_last, torch.contiguous_format)


def main() -> None:
    """Time both and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base-channels", type=int, nargs="+", default=[8, 16, 64])
    parser.add_argument("--size", type=int, nargs=2, default=[192, 208])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--device", type=DeviceKind, default=DeviceKind.CPU)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    device = choose_device(arguments.device)
    for channels in arguments.base_channels:
        config = configure(Recipe.PRETEXT, data=Path("out.h5"), base_channels=channels)
        model = make_network(config)
        initialise(model, 0)
        models = [copy.deepcopy(model).to(device=device, memory_format=layout) for layout in LAYOUTS]  # type: ignore[call-overload]
        for name, ways in {
            "step": [training(each, layout, arguments.size, device) for each, layout in zip(models, LAYOUTS, strict=True)],
            "answer": [answering(each, layout, arguments.size, device) for each, layout in zip(models, LAYOUTS, strict=True)],
        }.items():
            report(f"{channels} channels, {name}", ways, arguments.rounds, device)


def batch(n: int, size: list[int], layout: torch.memory_format, device: torch.device) -> torch.Tensor:
    images = np.random.default_rng(0).random((n, 1, *size), dtype=np.float32)
    return torch.from_numpy(images).to(device).contiguous(memory_format=layout)


def training(model: nn.Module, layout: torch.memory_format, size: list[int], device: torch.device) -> Callable[[], None]:
    """Return a step of the optimiser."""
    images = batch(BATCH, size, layout, device)
    classes = torch.zeros((BATCH, *size), dtype=torch.int64, device=device)
    optimiser = torch.optim.Adam(model.parameters())

    def step() -> None:
        model.train()
        optimiser.zero_grad(set_to_none=True)
        cross_entropy(model(images, "positions"), classes).backward()
        optimiser.step()

    return step


def answering(model: nn.Module, layout: torch.memory_format, size: list[int], device: torch.device) -> Callable[[], None]:
    """Return an answer as prediction, evaluation and validation have it."""
    images = batch(AT_ONCE, size, layout, device)

    def answer() -> None:
        model.eval()
        with torch.inference_mode():
            model(images, "positions").softmax(dim=1).argmax(dim=1)

    return answer


def report(name: str, ways: list[Callable[[], None]], n_rounds: int, device: torch.device) -> None:
    """Time two ways in turns, the first of each round changing, and print."""
    seconds: list[tuple[float, float]] = []
    for number in range(n_rounds + 1):
        found = [0.0, 0.0]
        for which in (0, 1) if number % 2 else (1, 0):
            found[which] = timed(ways[which], device)
        if number:  # the first warms up
            seconds.append((found[0], found[1]))
    ratios = [last / contiguous for last, contiguous in seconds]
    last, contiguous = (statistics.median(column) for column in zip(*seconds, strict=True))
    print(
        f"{name}: channels-last {last * 1e3:,.0f} ms, contiguous {contiguous * 1e3:,.0f} ms, ratio {statistics.median(ratios):.2f} "
        f"({min(ratios):.2f} to {max(ratios):.2f})"
    )


def timed(way: Callable[[], None], device: torch.device) -> float:
    """Return the seconds that a way takes."""
    if device.type == "cuda":
        torch.cuda.synchronize()
        start = time.perf_counter()
        way()
        torch.cuda.synchronize()
        return time.perf_counter() - start
    start = time.process_time()
    way()
    return time.process_time() - start


if __name__ == "__main__":
    main()
