"""Time the evaluation of label maps beside MONAI's metrics, on one core, in one run, and compare the numbers.

    python benchmarks/metrics.py [--subjects 100] [--rounds 3]

A subject has two phases of ten short-axis slices, 208 × 180 pixels of 1.82 mm, with a left ventricle, a ring of myocardium
and a right ventricle; predictions are the truth with wavering contours, a slice missed at the base and one invented at the
apex. Both sides start from label maps and give, for every subject, phase and structure, Dice over the volume, and the mean
over slices of the symmetric mean surface distance and of the 95th percentile of Hausdorff's distance. Ours also gives the
distance of outer contours, which MONAI does not have.

MONAI is timed in two ways: called in the obvious way, on the whole image with all slices as the batch; and with slices cut to the
heart first, as a careful user would.
"""

import argparse
import platform
import statistics
import time
import warnings
from collections.abc import Callable

import numpy as np
import torch
from monai.metrics import compute_average_surface_distance, compute_dice, compute_hausdorff_distance
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from scipy.ndimage import gaussian_filter1d

from cmr_train.evaluation.metrics import PERCENTILE, score_volume

CLASSES = (1, 2, 3)
ROWS, COLUMNS, SLICES, PHASES = 208, 180, 10, 2
SPACING_MM = (1.82, 1.82)
TOLERANCE = 1e-4
"""MONAI computes in single precision: relative for distances, absolute for Dice."""

Volume = NDArray[np.uint8]
Numbers = NDArray[np.float64]


def main() -> None:
    """Time, compare and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--subjects", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore", message="the (ground truth|prediction) of class")  # MONAI's word for an empty slice
    warnings.filterwarnings(
        "ignore", message=".*always_return_as_numpy", category=FutureWarning
    )  # MONAI calls its own old argument
    pairs = make_pairs(arguments.subjects * PHASES, np.random.default_rng(0))
    ways: dict[str, Callable[[Volume, Volume], Numbers]] = {"cmr_train": ours, "MONAI": monai, "MONAI, heart only": monai_cut}
    results: dict[str, Numbers] = {}
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(arguments.rounds):
        for name, way in ways.items():
            start = time.perf_counter()
            results[name] = np.array([way(*pair) for pair in pairs])
            seconds[name].append(time.perf_counter() - start)
    medians = {name: statistics.median(times) for name, times in seconds.items()}
    table = Table(
        title=f"{arguments.subjects} subjects, {PHASES} phases, {SLICES} slices, {len(CLASSES)} structures", title_justify="left"
    )
    for heading in ("", "seconds (median)", "spread", "ms per volume", "times ours", "largest difference"):
        table.add_column(heading, justify="right" if heading else "left")
    for name, times in seconds.items():
        difference = np.nanmax(np.abs(results[name] - results["cmr_train"]))
        if not np.allclose(results[name], results["cmr_train"], rtol=TOLERANCE, atol=TOLERANCE, equal_nan=True):
            raise SystemExit(f"{name} gives other numbers: they differ by up to {difference}")
        table.add_row(
            name,
            f"{medians[name]:.2f}",
            f"{min(times):.2f} to {max(times):.2f}",
            f"{1000 * medians[name] / len(pairs):.1f}",
            f"{medians[name] / medians['cmr_train']:.1f}",
            f"{difference:.1e}",
        )
    console = Console(width=120)
    console.print(f"{platform.processor() or platform.machine()}, one thread, Python {platform.python_version()}")
    console.print(table)


def make_pairs(n_volumes: int, rng: np.random.Generator) -> list[tuple[Volume, Volume]]:
    """Draw pairs of truth and prediction."""
    pairs = []
    for _ in range(n_volumes):
        centre = np.array([ROWS / 2, COLUMNS / 2]) + rng.normal(0, 8, 2)
        scale = rng.uniform(0.8, 1.2) * np.linspace(1.1, 0.45, SLICES)
        truth = np.stack([draw_slice(centre, factor, 0.02, rng) for factor in scale])
        prediction = np.stack([draw_slice(centre + rng.normal(0, 1, 2), factor, 0.06, rng) for factor in scale])
        prediction[0] = 0
        truth[-1] = 0
        pairs.append((truth, prediction))
    return pairs


def draw_slice(centre: NDArray[np.float64], scale: float, roughness: float, rng: np.random.Generator) -> Volume:
    """Draw a left ventricle in its ring and a right ventricle beside it, with wavering contours."""
    rows, columns = np.indices((ROWS, COLUMNS), dtype=np.float64)
    image = np.zeros((ROWS, COLUMNS), dtype=np.uint8)
    for value, offset, radius in ((3, (-4.0, -24.0), 19.0), (2, (0.0, 0.0), 19.0), (1, (0.0, 0.0), 13.0)):
        row, column = rows - centre[0] - scale * offset[0], columns - centre[1] - scale * offset[1]
        wave = gaussian_filter1d(rng.normal(0, 1, 360), 8, mode="wrap")
        angle = np.degrees(np.arctan2(row, column)).astype(np.int64) % 360
        image[np.hypot(row, column) <= scale * radius * (1 + roughness * wave / wave.std())[angle]] = value
    return image


def ours(truth: Volume, prediction: Volume) -> Numbers:
    """Score with cmr_train: shape (classes, 3)."""
    scores = score_volume(truth, prediction, classes=CLASSES, spacing_mm=SPACING_MM)
    return np.array([(score.dice, score.all_borders_mm, score.hausdorff95_mm) for score in scores])


def monai(truth: Volume, prediction: Volume) -> Numbers:
    """Score with MONAI: Dice of the volume, distances with the slices as the batch."""
    both = torch.from_numpy(np.stack([truth, prediction])).long()
    one_hot = torch.nn.functional.one_hot(both, max(CLASSES) + 1)
    y, y_pred = one_hot.permute(0, 4, 1, 2, 3).float()[:, np.newaxis]
    dice = compute_dice(y_pred, y, include_background=False)[0].numpy()
    slices, slices_pred = (volume[0].transpose(0, 1) for volume in (y, y_pred))
    surface = compute_average_surface_distance(slices_pred, slices, symmetric=True, spacing=SPACING_MM).numpy()
    hausdorff = compute_hausdorff_distance(slices_pred, slices, percentile=PERCENTILE, spacing=SPACING_MM).numpy()
    means = [np.nanmean(np.where(np.isfinite(values), values, np.nan), axis=0) for values in (surface, hausdorff)]
    return np.stack([dice, *means], axis=1)


def monai_cut(truth: Volume, prediction: Volume) -> Numbers:
    """Score with MONAI what is cut to the heart."""
    used = (truth | prediction).any(axis=0)
    rows, columns = np.flatnonzero(used.any(axis=1)), np.flatnonzero(used.any(axis=0))
    window = np.s_[:, rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    return monai(truth[window], prediction[window])


if __name__ == "__main__":
    main()
