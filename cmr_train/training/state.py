"""All that changes while a network is trained, and how it is saved and taken up again."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from cmr_train.choices import Head, Sharing
from cmr_train.compute.devices import Compute
from cmr_train.compute.distributed import World
from cmr_train.config import RunConfig, TrainingConfig
from cmr_train.models.network import Network
from cmr_train.training.adam import Adam
from cmr_train.training.best import Best
from cmr_train.training.transfer import StatisticsBank, set_training


@dataclass(slots=True, kw_only=True, eq=False)
class TrainState:
    """All that changes while training."""

    model: Network
    """The network."""
    scaler: torch.amp.GradScaler
    """Scales the losses in float16; else it does nothing."""
    optimisers: dict[Head, Adam]
    """One for each task, of the tensors that the task uses; two tasks may share one, of all tensors."""
    bank: StatisticsBank | None = None
    """The running statistics of the task whose turn it is not, where tasks have their own in the layers that they share."""
    iteration: int = 0
    """Iterations that are done."""
    dice: float | None = None
    """Score of the last validation, as of :class:`Best`; None before the first."""
    best: Best | None = None
    """The weights of the best validation; None before the first that is eligible."""
    loss_sums: dict[Head, Tensor] = field(default_factory=dict)
    """Sum of each task's loss since the last record, on the device."""
    n_losses: dict[Head, int] = field(default_factory=dict)
    """Steps that were summed."""


def make_state(model: Network, config: RunConfig, compute: Compute) -> TrainState:
    """Put a network on the device, and make what is needed to train it.

    Parameters
    ----------
    model
        With the weights that it begins with; tensors that are frozen take no part.
    config
        How it is trained.
    compute
        Where.
    """
    compute.place(model)
    heads = [config.head, *(Head(name) for name in config.heads if name != config.head)]
    transfer = config.transfer
    is_shared = transfer is not None and transfer.optimiser_state is Sharing.SHARED
    if is_shared:
        optimisers = dict.fromkeys(heads, _adam(model.parameters(), config.training, compute.device))
    else:
        optimisers = {head: _adam(model.parameters_of(head.value), config.training, compute.device) for head in heads}
    has_bank = len(heads) > 1 and transfer is not None and transfer.normalisation is Sharing.SEPARATE
    state = TrainState(
        model=model,
        scaler=compute.scaler(),
        optimisers=optimisers,
        bank=StatisticsBank(model, heads[0].value, tuple(head.value for head in heads[1:])) if has_bank else None,
        loss_sums={head: torch.zeros((), device=compute.device) for head in heads},
        n_losses=dict.fromkeys(heads, 0),
    )
    set_training(model)
    return state


def enter(state: TrainState, head: Head) -> None:
    """Put the running statistics of a task into the network, where tasks have their own."""
    if state.bank is not None:
        state.bank.enter(head.value)


def state_to_save(state: TrainState, world: World) -> dict[str, Any]:
    """Return tensors and plain values from which :func:`restore` makes the state again."""
    return {
        "iteration": state.iteration,
        "model": state.model.state_dict(),
        "optimisers": [optimiser.state_dict() for optimiser in _distinct(state.optimisers)],
        "scaler": state.scaler.state_dict(),
        "statistics": {} if state.bank is None else state.bank.state_dict(),
        "dice": state.dice,
        "best": None if state.best is None else state.best.to_save(),
        "loss_sums": {head.value: world.mean(total) for head, total in state.loss_sums.items()},
        "n_losses": {head.value: n for head, n in state.n_losses.items()},
    }


def restore(state: TrainState, saved: Mapping[str, Any]) -> None:
    """Take up a state that was saved.

    Raises
    ------
    KeyError, RuntimeError, ValueError
        It is of another network or of another way of training.
    """
    state.model.load_state_dict(saved["model"])
    for optimiser, values in zip(_distinct(state.optimisers), saved["optimisers"], strict=True):
        optimiser.load_state_dict(values)
    state.dice = saved.get("dice")
    state.best = None if saved.get("best") is None else Best(**saved["best"])
    if saved.get("scaler"):
        state.scaler.load_state_dict(saved["scaler"])
    if state.bank is not None:
        state.bank.load_state_dict(saved["statistics"])
    for head in state.loss_sums:
        state.loss_sums[head].copy_(saved["loss_sums"][head.value])
        state.n_losses[head] = saved["n_losses"][head.value]
    state.iteration = saved["iteration"]


def _adam(parameters: Iterable[nn.Parameter], training: TrainingConfig, device: torch.device) -> Adam:
    trained = [parameter for parameter in parameters if parameter.requires_grad]
    return Adam(trained, lr=training.learning_rate, fused=device.type in {"cpu", "cuda"})


def _distinct(optimisers: Mapping[Head, Adam]) -> list[Adam]:
    return list({id(optimiser): optimiser for optimiser in optimisers.values()}.values())
