"""Weights from which ``nnUNetv2_train … -pretrained_weights`` starts."""

import io
from pathlib import Path

import torch

from cmr_planes.system.whole_file import write_whole
from cmr_train.config import PlanConfig
from cmr_train.errors import ConfigError, TrainError
from cmr_train.models.nnunet_plan import plan_differences
from cmr_train.models.planned_unet import PlannedUNet, nnunet_weights
from cmr_train.runs.run import Run

WEIGHTS_NAME = "pretrained_weights.pth"
"""nnU-Net reads the tensors under ``network_weights``; those of its heads are left out, which it never takes over."""


def planned(run: Run, plan: PlanConfig | None) -> tuple[PlannedUNet, PlanConfig]:
    """Return the network and the plan of a run.

    Parameters
    ----------
    run
        The run.
    plan
        The plan of the data set that nnU-Net is to be trained on; None where it was not given.

    Raises
    ------
    TrainError
        The run has no network of a plan.
    ConfigError
        The given plan is another one, so that nnU-Net would refuse the weights, or use them at another pixel size.
    """
    own = run.config.plan
    if own is None or not isinstance(run.model, PlannedUNet):
        raise TrainError(
            f"run {run.name!r} has a U-Net of our own, which nnU-Net cannot load; train the pretext with the plan of the nnU-Net "
            "data set (plans)"
        )
    found = [] if plan is None else plan_differences(own, plan)
    if found:
        raise ConfigError([f"run {run.name!r} was trained with another nnU-Net plan than the given one: {'; '.join(found)}"])
    return run.model, own


def write_weights(run: Run, path: Path) -> None:
    """Write the weights of a run with the network of a plan, whole or not at all; raises TrainError if it has another."""
    model, plan = planned(run, None)
    buffer = io.BytesIO()
    torch.save({"network_weights": nnunet_weights(model, plan, run.head.value)}, buffer)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, buffer.getvalue())
