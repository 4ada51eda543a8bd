"""Weights as safetensors, with their card in the header of the file."""

from pathlib import Path

import torch
from torch import Tensor

from cmr_planes.system.whole_file import write_whole
from cmr_train.config import NetworkConfig
from cmr_train.errors import CheckpointError, TrainError
from cmr_train.interchange.card import CARD_KEY, NetworkCard
from cmr_train.models.network import Network
from cmr_train.models.planned_unet import PlannedUNet
from cmr_train.models.tensors import tensors_of
from cmr_train.models.unet import UNet

_NO_LIBRARY = "this form needs the library safetensors; install it with: pip install 'cmr-planes[export]'"


def write_weights(model: Network, card: NetworkCard, path: Path) -> None:
    """Write the tensors of a network that its task needs, each once, and the card into the header; whole or not at all.

    Raises
    ------
    TrainError
        The library is not installed.
    """
    try:
        from safetensors.torch import save
    except ImportError as error:
        raise TrainError(_NO_LIBRARY) from error
    tensors = {name: tensor.cpu().contiguous() for name, tensor in tensors_of(model, card.head.value).items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, save(tensors, metadata={CARD_KEY: card.to_text(), "format": "pt"}))


def read_network(path: Path) -> tuple[NetworkCard, Network]:
    """Read what :func:`write_weights` wrote.

    Raises
    ------
    CheckpointError
        The file is missing, damaged, was not exported by cmr-train, or its tensors are not those of its card.
    TrainError
        A library is not installed.
    """
    try:
        from safetensors import SafetensorError, safe_open
    except ImportError as error:
        raise TrainError(_NO_LIBRARY) from error
    try:
        with safe_open(path, framework="pt") as opened:
            text = (opened.metadata() or {}).get(CARD_KEY, "")
            tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118  # it is no mapping
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"{str(path)!r} cannot be read: {error}") from error
    card = NetworkCard.from_text(text, repr(str(path)))
    return card, _network_of(card, tensors, path)


def _network_of(card: NetworkCard, tensors: dict[str, Tensor], path: Path) -> Network:
    """Build the network of a card, and give it its tensors."""
    with torch.device("meta"):  # takes no memory, whatever the card says
        expected = {name: tensor.shape for name, tensor in tensors_of(_build(card), card.head.value).items()}
    if {name: tensor.shape for name, tensor in tensors.items()} != expected:
        raise CheckpointError(f"the weights in {str(path)!r} are of another network than their card says")
    model = _build(card)
    model.load_state_dict(tensors, strict=False)  # further names of the same tensors are missing
    return model.eval()


def _build(card: NetworkCard) -> Network:
    heads, network = {card.head.value: len(card.outputs)}, card.network
    if isinstance(network, NetworkConfig):
        return UNet(1, network.base_channels, network.levels, heads=heads, norm=network.norm)
    return PlannedUNet(network, heads=heads)
