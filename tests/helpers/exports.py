"""A small trained run with a decoder for each task, to be given away, and images for it."""

from pathlib import Path

import numpy as np
import torch

import cmr_train
from cmr_train.runs.checkpoint import load_checkpoint, save_checkpoint
from cmr_train.runs.folder import FINAL_NAME
from cmr_train.runs.run import Run
from tests.helpers.training import SMALL

SPACING_MM = (7.0, 7.0)
"""Pixels of the run's images."""


def trained_run(folder: Path, data: Path) -> Run:
    """Train a network for some iterations on an annotated catalogue, make it find every class somewhere, and score it."""
    settings = SMALL | {"learning_rate": 0.01, "loss": "dice", "iterations": 4}
    pretext = cmr_train.pretext(data, folder / "pretext", **SMALL | {"iterations": 2})
    run = cmr_train.finetune(data, folder / "run", pretext=pretext, decoder="per-task", beta=4, **settings)
    _spread(run)
    cmr_train.evaluate(run, subset="all", out=run.folder)
    return run


@torch.no_grad()
def _spread(run: Run) -> None:
    """Raise the contrast between the outputs of a run's head, each about its mean, in memory and on disk."""
    head = run.model.heads["structures"]
    head.weight *= 100
    seen = torch.from_numpy(np.stack(pictures(4))).float()[:, None] / 800
    head.bias -= run.model(seen, "structures").mean(dim=(0, 2, 3))
    path = run.folder / FINAL_NAME
    save_checkpoint(path, load_checkpoint(path) | {"model": run.model.state_dict()})


def pictures(n: int, shape: tuple[int, int] = (48, 48)) -> list[np.ndarray]:
    """Make images up: noise over a slope, so that every class is found somewhere."""
    random = np.random.default_rng(0)
    slope = np.add.outer(np.linspace(0, 400, shape[0]), np.linspace(0, 400, shape[1]))
    return [(slope + random.gamma(2, 60, shape)).astype(np.uint16) for _ in range(n)]
