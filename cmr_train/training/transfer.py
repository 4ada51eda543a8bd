"""From a pretrained network to one for segmentation: which tensors are copied, and which may change."""

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor, nn

from cmr_planes.system.text import listed
from cmr_train.choices import TransferMode
from cmr_train.errors import CheckpointError
from cmr_train.models.network import Network
from cmr_train.models.unet import DECODER_PREFIX, DECODERS_PREFIX, ENCODER_PREFIX, HEAD_PREFIX


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadReport:
    """What became of each tensor; names as in the network."""

    loaded: tuple[str, ...]
    """Copied."""
    skipped: tuple[str, ...]
    """In the file, and of no use here."""
    new: tuple[str, ...]
    """Not in the file: random."""
    frozen: tuple[str, ...]
    """Kept as they are while training."""

    def to_json(self) -> dict[str, list[str]]:
        """Return what JSON can hold."""
        return {"loaded": [*self.loaded], "skipped": [*self.skipped], "new": [*self.new], "frozen": [*self.frozen]}

    def sentence(self) -> str:
        """Say it in one line, by the parts of the network."""
        parts = [f"{listed(_parts(names))} {what}" for names, what in ((self.loaded, "copied"), (self.new, "random")) if names]
        parts += ["the encoder stays as it is"] if self.frozen else []
        return ", ".join(parts)


def load_weights(model: Network, weights: Mapping[str, Tensor], mode: TransferMode, *, has_decoder: bool = True) -> LoadReport:
    """Copy pretrained weights; :func:`freeze` keeps those that the mode does not train.

    Where each task has its own decoder, each of them gets the pretrained one.

    Parameters
    ----------
    model
        The network; changed in place.
    weights
        Tensors by name, as a run's checkpoint holds them. Empty with :attr:`TransferMode.SCRATCH`.
    mode
        The way of transfer.
    has_decoder
        Whether the pretrained network has a decoder; without one, that of the network stays random.

    Raises
    ------
    CheckpointError
        No tensor fits, or one of the encoder or decoder is missing or has another shape: the network is another one.
    """
    own = model.state_dict()
    if mode is not TransferMode.SCRATCH:
        _check({name: tensor for name, tensor in own.items() if has_decoder or name.startswith(ENCODER_PREFIX)}, weights)
    sources = {name: _source(name) for name in own}
    loaded = {
        name: weights[source] for name, source in sources.items() if source in weights and weights[source].shape == own[name].shape
    }
    model.load_state_dict({**own, **loaded})
    used = {sources[name] for name in loaded}
    return LoadReport(
        loaded=tuple(loaded),
        skipped=tuple(name for name in weights if name not in used),
        new=tuple(name for name in own if name not in loaded),
        frozen=tuple(name for name in own if name.startswith(ENCODER_PREFIX)) if mode is TransferMode.DECODER else (),
    )


def freeze(model: Network, mode: TransferMode) -> None:
    """Keep the encoder as it is where the mode asks for it."""
    model.encoder.requires_grad_(mode is not TransferMode.DECODER)


def set_training(model: Network) -> None:
    """Put a network into training mode, but for an encoder that is frozen: its normalisation neither learns nor remembers."""
    model.train()
    if not any(parameter.requires_grad for parameter in model.encoder.parameters()):
        model.encoder.eval()


class StatisticsBank:
    """The running statistics of batch normalisation, kept apart for each task, in the layers that the tasks share.

    Parameters
    ----------
    model
        The network; its statistics are those of the task that was entered last.
    task
        The task that it begins with.
    others
        The other tasks; they begin with the same statistics.
    """

    def __init__(self, model: nn.Module, task: str, others: tuple[str, ...]) -> None:
        self._live = {
            name: buffer
            for name, buffer in model.named_buffers()
            if name.endswith(("running_mean", "running_var")) and not name.startswith(DECODERS_PREFIX)
        }
        self.task = task
        self._kept = {other: {name: buffer.clone() for name, buffer in self._live.items()} for other in others}

    def enter(self, task: str) -> None:
        """Put a task's statistics into the network, and keep those of the task before."""
        if task == self.task:
            return
        kept = self._kept.pop(task)
        self._kept[self.task] = {name: buffer.clone() for name, buffer in self._live.items()}
        for name, buffer in self._live.items():
            buffer.copy_(kept[name])
        self.task = task

    def state_dict(self) -> dict[str, dict[str, Tensor]]:
        """Return the statistics that are not in the network now."""
        return self._kept

    def load_state_dict(self, state: Mapping[str, Mapping[str, Tensor]]) -> None:
        """Take back what :meth:`state_dict` gave."""
        for task, buffers in state.items():
            for name, buffer in buffers.items():
                self._kept[task][name].copy_(buffer)


def _check(own: Mapping[str, Tensor], weights: Mapping[str, Tensor]) -> None:
    """Refuse the weights of another network."""
    body = {name: tensor for name, tensor in own.items() if not name.startswith(HEAD_PREFIX) and tensor.ndim > 0}
    fitting = [name for name in body if _source(name) in weights and weights[_source(name)].shape == body[name].shape]
    if not fitting:
        raise CheckpointError("none of the pretrained tensors fits this network; give the run of a U-Net of the same size")
    for name, tensor in body.items():
        found = weights.get(_source(name))
        if found is None or found.shape != tensor.shape:
            raise CheckpointError(
                f"the pretrained network is another one: its tensor {name!r} is "
                f"{'missing' if found is None else tuple(found.shape)}, and {tuple(tensor.shape)} is expected; "
                "base_channels and levels, or the plan, must be those of the pretext"
            )


def _source(name: str) -> str:
    """Return the name that a tensor of a task's own decoder has in a pretrained network, whose tasks share theirs."""
    if not name.startswith(DECODERS_PREFIX):
        return name
    _, _, rest = name.removeprefix(DECODERS_PREFIX).partition(".")
    return f"{DECODER_PREFIX}{rest}"


def _parts(names: tuple[str, ...]) -> list[str]:
    """Return the parts of a network that hold some tensors, in words and in the order of the tensors."""
    return [*dict.fromkeys(_part(name) for name in names)]


def _part(name: str) -> str:
    if name.startswith(HEAD_PREFIX):
        return f"the head of {name.removeprefix(HEAD_PREFIX).partition('.')[0]}"
    return f"the {name.partition('.')[0]}"
