"""From zips to a trained pretext beside unzip, dcm2niix and MONAI: CPU seconds of all processes.

    python benchmarks/pretext_run.py [--subjects 8] [--iterations 200] [--size 192 208] [--rounds 1]
                                      [--threads 2]

The subjects are those of ``benchmarks/extract.py``. Ours: ``cmr-planes extract``, then ``cmr-train pretext`` with 8 channels,
images in memory. The peer: ``unzip`` and ``dcm2niix -z n``, then MONAI: CacheDataset of two frames of each short-axis level,
percentiles to [0, 1], padding and cropping, RandAffined, batches of 20, BasicUNet of the same widths with batch normalisation,
cross-entropy, Adam. Both train for as many iterations at one matrix. MONAI cannot draw positions: the peer is given ten-class
masks at no cost. All but RandAffined is cached, batches are whole, and neither validates. Both have two cores, and as many threads
as --threads says, and take turns; the medians are printed. Threads that wait for one another count as CPU time where other work
takes their cores: one thread then compares better.
"""

import argparse
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from extract import cohort, make_subject, script
from rich.console import Console
from rich.table import Table

from cmr_train.models.unet import UNet

CHANNELS, BATCH, CLASSES = 8, 20, 10
ROTATION_DEG, SCALING = 15.0, 0.15
FRAMES = (0, 17)
"""Frames of which the peer learns, as many as ours: end-diastole, and one near end-systole."""


def main() -> None:
    """Time both and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--subjects", type=int, default=8)
    parser.add_argument("--iterations", type=int, default=200)
    parser.add_argument("--size", type=int, nargs=2, default=(192, 208), metavar=("ROWS", "COLUMNS"))
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--peer", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    rows, columns = arguments.size
    if arguments.peer:
        train_peer(arguments.peer, arguments.iterations, (rows, columns), arguments.threads)
        return
    found: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory(prefix="cmr-planes-pretext-") as name:
        folder = Path(name)
        zips = cohort(folder / "cohort", make_subject(folder / "subject"), arguments.subjects)
        settings = ["--iterations", str(arguments.iterations), "--base-channels", str(CHANNELS)]
        settings += ["--threads", str(arguments.threads)]
        settings += ["--rows", str(rows), "--columns", str(columns), "--cache", "memory", "--device", "cpu", "--max-cut", "1"]
        again = [__file__, "--iterations", str(arguments.iterations), "--size", str(rows), str(columns)]
        again += ["--threads", str(arguments.threads)]
        for _ in range(arguments.rounds):
            steps = {
                "cmr-planes extract": [script("cmr-planes"), "extract", str(zips), str(folder / "out.h5"), "--overwrite"],
                "cmr-train pretext": [
                    script("cmr-train"),
                    "pretext",
                    "--data",
                    str(folder / "out.h5"),
                    "--out",
                    str(folder / "run"),
                ],
            }
            steps["cmr-train pretext"] += [*settings, "--overwrite"]
            for step, command in steps.items():
                found.setdefault(step, []).append(cpu_seconds([command]))
            shutil.rmtree(folder / "nifti", ignore_errors=True)
            found.setdefault("unzip + dcm2niix", []).append(cpu_seconds(conversion(zips, folder / "nifti")))
            found.setdefault("MONAI", []).append(cpu_seconds([[sys.executable, *again, "--peer", str(folder / "nifti")]]))
    middle = {step: statistics.median(seconds) for step, seconds in found.items()}
    ours, peer = middle["cmr-planes extract"] + middle["cmr-train pretext"], middle["unzip + dcm2niix"] + middle["MONAI"]
    table = Table("step", "CPU seconds")
    for step, seconds in (*middle.items(), ("cmr-planes and cmr-train", ours), ("unzip, dcm2niix and MONAI", peer)):
        table.add_row(step, f"{seconds:,.1f}")
    console = Console()
    console.print(table)
    console.print(
        f"ratio: {ours / peer:.2f}; {arguments.subjects} subjects, {arguments.iterations} iterations, {rows} × {columns}, "
        f"{arguments.threads} threads"
    )
    console.print(
        f"weights: ours {n_weights(UNet(1, CHANNELS, 4, heads={'positions': CLASSES})):,}, MONAI {n_weights(make_peer()):,}"
    )


def cpu_seconds(commands: Sequence[Sequence[str]]) -> float:
    """Run commands on two cores, one after the other, and return their CPU time, that of their children included."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    for command in commands:
        subprocess.run(["taskset", "-c", "0,1", *command], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def conversion(zips: Path, folder: Path) -> list[list[str]]:
    """Return the commands that unzip short axes and long axes, and convert the short axes, which alone are trained on."""
    commands = []
    for path in sorted(zips.glob("*.zip")):
        dicom, nifti = folder / "dicom" / path.stem, folder / path.stem
        for made in (dicom, nifti):
            made.mkdir(parents=True)
        commands.append(["unzip", "-q", str(path), "-d", str(dicom)])
        if "_20209_" in path.name:
            commands.append([script("dcm2niix"), "-z", "n", "-f", "%s_%u", "-o", str(nifti), str(dicom)])
    return commands


def make_peer() -> torch.nn.Module:
    """Return MONAI's U-net with the widths of ours."""
    from monai.networks.nets import BasicUNet

    widths = tuple(CHANNELS * 2**level for level in range(5))
    norm = ("batch", {"affine": True})
    network: torch.nn.Module = BasicUNet(2, 1, CLASSES, (*widths, CHANNELS), act=("relu", {"inplace": True}), norm=norm)
    return network


def n_weights(network: torch.nn.Module) -> int:
    """Count the weights of a network."""
    return sum(weights.numel() for weights in network.parameters())


def train_peer(folder: Path, n_iterations: int, size: tuple[int, int], n_threads: int) -> None:
    """Train as users of MONAI do."""
    from monai.data import CacheDataset, ThreadDataLoader
    from monai.transforms import (
        Compose,
        EnsureTyped,
        Lambdad,
        LoadImaged,
        RandAffined,
        ResizeWithPadOrCropd,
        ScaleIntensityRangePercentilesd,
        Transform,
    )

    torch.set_num_threads(n_threads)
    random = np.random.default_rng(0)
    files = sorted(folder.glob("*_20209_*/*.nii"))
    mask = np.zeros((1, *size), dtype=np.uint8)
    for number in range(1, CLASSES):
        row, column = random.integers(0, size[0] - 11), random.integers(0, size[1] - 11)
        mask[:, row : row + 11, column : column + 11] = number
    samples = [{"image": str(path), "frame": frame, "mask": mask} for path in files for frame in FRAMES]
    keys, angle = ("image", "mask"), float(np.deg2rad(ROTATION_DEG))

    class Choose(Transform):  # type: ignore[misc]  # a plain function would end what CacheDataset keeps
        """Take one frame of a cine, shape (columns, rows, 1, frames)."""

        def __call__(self, sample: dict[str, Any]) -> dict[str, Any]:
            return {**sample, "image": sample["image"][..., 0, sample["frame"]][None]}

    steps = Compose(
        [
            LoadImaged("image", image_only=True),
            Choose(),
            EnsureTyped(keys),
            ScaleIntensityRangePercentilesd("image", 1, 99, 0, 1, clip=True),
            ResizeWithPadOrCropd("image", size),
            RandAffined(
                keys,
                prob=1,
                rotate_range=angle,
                scale_range=(SCALING, SCALING),
                mode=("bilinear", "nearest"),
                padding_mode="zeros",
                spatial_size=size,
                cache_grid=True,
            ),
            Lambdad("mask", lambda moved: moved[0].long()),
        ]
    )
    cached = CacheDataset(samples, steps, num_workers=n_threads, progress=False)
    loader = ThreadDataLoader(cached, batch_size=BATCH, shuffle=True, drop_last=True)
    network = make_peer()
    optimiser, loss_of = torch.optim.Adam(network.parameters(), lr=0.001), torch.nn.CrossEntropyLoss()
    n_done = 0
    while n_done < n_iterations:
        for batch in loader:
            optimiser.zero_grad(set_to_none=True)
            loss_of(network(batch["image"].as_tensor()), batch["mask"].as_tensor()).backward()
            optimiser.step()
            n_done += 1
            if n_done == n_iterations:
                break


if __name__ == "__main__":
    main()
