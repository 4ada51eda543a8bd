"""A trained network, loaded from a run's folder."""

from dataclasses import dataclass
from pathlib import Path

import torch

from cmr_planes.views import CardiacView
from cmr_train.choices import Head
from cmr_train.compute.devices import Compute, compute_on
from cmr_train.config import RunConfig
from cmr_train.data.splits import Split
from cmr_train.errors import CheckpointError
from cmr_train.models.unet import UNet
from cmr_train.runs.checkpoint import load_checkpoint
from cmr_train.runs.folder import CONFIG_NAME, FINAL_NAME, LAST_NAME, read_config, read_split


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Run:
    """A trained network and what it was trained on."""

    model: UNet
    """On the device of ``compute``, in evaluation mode."""
    compute: Compute
    """The device, and the number format that the run was trained in."""
    config: RunConfig
    """All that the run was told."""
    head: Head
    """The head that the run was for."""
    view: CardiacView
    """The view that the network knows."""
    image_size: tuple[int, int]
    """(rows, columns) of the network's matrix."""
    split: Split
    """Who was trained on, watched, and kept for the test."""


def make_network(config: RunConfig) -> UNet:
    """Build the network of a configuration, with torch's random weights."""
    return UNet(1, config.network.base_channels, config.network.levels, heads=config.heads)


def read_weights(run: Path) -> dict[str, torch.Tensor]:
    """Read a run's weights: the final ones, else the last ones.

    Raises
    ------
    CheckpointError
        There are none, or they cannot be used.
    """
    path = next((run / name for name in (FINAL_NAME, LAST_NAME) if (run / name).is_file()), None)
    if path is None:
        raise CheckpointError(f"run {str(run)!r} has no weights yet: neither {FINAL_NAME} nor {LAST_NAME}")
    weights = load_checkpoint(path).get("model")
    if not isinstance(weights, dict) or not all(isinstance(each, torch.Tensor) for each in weights.values()):
        raise CheckpointError(f"{str(path)!r} holds no weights of a network")
    return weights


def load_run(run: Path, device: torch.device | str = "cpu") -> Run:
    """Load a trained network: the final weights, else the last ones.

    Parameters
    ----------
    run
        The run's folder.
    device
        Where the network goes.

    Raises
    ------
    CheckpointError
        The folder is not a run's, has no weights, or they are damaged or of another network.
    """
    config = read_config(run)
    weights = read_weights(run)
    with torch.device("meta"):  # takes no memory, whatever the configuration says
        expected = {name: tensor.shape for name, tensor in make_network(config).state_dict().items()}
    if {name: tensor.shape for name, tensor in weights.items()} != expected:
        raise CheckpointError(f"the weights of run {str(run)!r} are of another network than its {CONFIG_NAME} says")
    model = make_network(config)
    model.load_state_dict(weights)
    compute = compute_on(torch.device(device), config.runtime.precision)
    compute.place(model)
    return Run(
        model=model.eval(),
        compute=compute,
        config=config,
        head=config.head,
        view=config.data.view,
        image_size=config.image_size,
        split=read_split(run),
    )
