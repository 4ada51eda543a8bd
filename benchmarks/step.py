"""What the data path costs a training step: its time over that of the same step on one batch that never changes.

    python benchmarks/step.py CATALOGUE [--base-channels 64] [--steps 20] [--rounds 3] [--device auto]

Both train the U-net on 192 × 208 images, 20 at a time, with Adam. The one reads, sends and augments batches as ``cmr-train`` does;
the other has images and classes on the device already. They take turns; the medians are printed. Goal: a ratio of at most 1.05.
On CUDA also images a second and the share of the peak of bf16 matrix products of the GPU, as given by --peak-tflops.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
from rich.console import Console

from cmr_planes import CardiacView, Catalogue
from cmr_train.choices import DeviceKind, Head, Recipe
from cmr_train.compute.devices import Compute, choose_compute
from cmr_train.data.augment import transform
from cmr_train.data.batches import BatchOptions, Order, batches
from cmr_train.data.datasets import PlaneDataset, Target
from cmr_train.data.images import Grid
from cmr_train.models.initial_weights import initialise
from cmr_train.presets import configure
from cmr_train.runs.run import make_network
from cmr_train.training.loop import Task, augmentation, step
from cmr_train.training.losses import cross_entropy
from cmr_train.training.objectives import ClassObjective
from cmr_train.training.state import TrainState, make_state


def main() -> None:
    """Time both and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("catalogue", type=Path)
    parser.add_argument("--base-channels", type=int, default=64)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--device", type=DeviceKind, default=DeviceKind.AUTO)
    parser.add_argument("--disk", action="store_true", help="Read from disk instead of memory.")
    parser.add_argument("--peak-tflops", type=float, default=989.0, help="Of the GPU; the default is that of an H100.")
    arguments = parser.parse_args()
    config = configure(
        Recipe.PRETEXT,
        data=arguments.catalogue,
        base_channels=arguments.base_channels,
        device=arguments.device,
        threads=arguments.threads,
    )
    compute = choose_compute(config.runtime)
    with Catalogue(config.data.data) as catalogue:
        index = catalogue.index(CardiacView.SAX)
        target = Target(view=CardiacView.SAX, head=Head.POSITIONS, classes=tuple(range(10)), grid=Grid.of(config, None))
        dataset = PlaneDataset(catalogue, index.select(index.has_positions), target)
        if not arguments.disk:
            dataset.fill_cache()
        size = config.training.batch_size
        order = Order(n_images=len(dataset), batch_size=size, seed=0, task=0)
        task = Task(head=Head.POSITIONS, name="positions", dataset=dataset, order=order, objective=ClassObjective(cross_entropy))
        model = make_network(config)
        initialise(model, 0)
        state = make_state(model, config, compute)
        options = BatchOptions(augmentation=augmentation(config.training))
        n_steps = arguments.steps * (arguments.rounds + 1) + 8
        stream = batches(dataset, order, options, compute.device, start=0, stop=n_steps)
        first = next(stream)
        images, classes = transform(first.images, first.masks, first.matrices)
        images = images.contiguous(memory_format=compute.memory_format)
        ways: dict[str, Callable[[], None]] = {
            "with the data path": lambda: step(state, task, next(stream), model, compute, 0.001),
            "on one batch": lambda: bare_step(state, images, classes, compute),
        }
        seconds: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
        for number in range(arguments.rounds + 1):
            for name, way in ways.items():
                found = time_steps(way, arguments.steps if number else 3, compute)
                if number:
                    seconds[name].append(found)
        stream.close()
    middle = {name: statistics.median(wall for wall, _ in found) for name, found in seconds.items()}
    used = {name: statistics.median(cpu for _, cpu in found) for name, found in seconds.items()}
    console = Console()
    for name, found in middle.items():
        console.print(f"{name}: {found * 1e3:,.1f} ms a step, {size / found:,.1f} images/s")
    console.print(f"ratio: {middle['with the data path'] / middle['on one batch']:.3f} on {compute.device}")
    console.print(f"ratio of CPU time: {used['with the data path'] / used['on one batch']:.3f}")
    if compute.device.type == "cuda":
        rate = flops_a_step(state, images, classes, compute) / middle["with the data path"]
        console.print(f"{rate / 1e12:,.1f} TFLOP/s, {rate / 1e10 / arguments.peak_tflops:.1f} % of {arguments.peak_tflops:g}")


def bare_step(state: TrainState, images: torch.Tensor, classes: torch.Tensor, compute: Compute) -> None:
    """Move the weights once on what is on the device already."""
    optimiser = state.optimisers[Head.POSITIONS]
    optimiser.zero_grad(set_to_none=True)
    with compute.autocast():
        loss = cross_entropy(state.model(images, Head.POSITIONS.value), classes)
    loss.backward()
    optimiser.step()


def time_steps(way: Callable[[], None], n_steps: int, compute: Compute) -> tuple[float, float]:
    """Return the seconds of a step, by the clock and of all cores."""
    wait(compute)
    start, start_cpu = time.perf_counter(), time.process_time()
    for _ in range(n_steps):
        way()
    wait(compute)
    return (time.perf_counter() - start) / n_steps, (time.process_time() - start_cpu) / n_steps


def wait(compute: Compute) -> None:
    """Wait for the device."""
    if compute.device.type == "cuda":
        torch.cuda.synchronize()


def flops_a_step(state: TrainState, images: torch.Tensor, classes: torch.Tensor, compute: Compute) -> float:
    """Count the floating point operations of the matrix products and convolutions of a step."""
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter:
        bare_step(state, images, classes, compute)
    return float(counter.get_total_flops())


if __name__ == "__main__":
    main()
