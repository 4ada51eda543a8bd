"""A network that was exported and that torch runs, in single precision."""

from pathlib import Path

from cmr_train.choices import Precision
from cmr_train.compute.devices import compute_on, find_device
from cmr_train.interchange.card import SAFETENSORS_SUFFIX, NetworkCard, read_card
from cmr_train.interchange.safetensors_file import read_network
from cmr_train.interchange.torchscript import read_model
from cmr_train.models.network import Network
from cmr_train.runs.torch_classifier import TorchClassifier


def open_with_torch(path: Path, folder: Path, device: object) -> tuple[NetworkCard, TorchClassifier]:
    """Open safetensors, or the TorchScript of a MONAI bundle.

    Parameters
    ----------
    path
        The file of the weights.
    folder
        The bundle; the card of safetensors is in their file.
    device
        Where it runs, as :func:`cmr_train.load_run` takes it.

    Raises
    ------
    CheckpointError
        The file or the card cannot be used.
    TrainError
        A library is not installed, or the device is not there.
    """
    compute = compute_on(find_device(device), Precision.FLOAT32)
    model: Network
    if path.suffix == SAFETENSORS_SUFFIX:
        card, model = read_network(path)
    else:
        card, model = read_card(folder), read_model(path)
    compute.place(model)
    return card, TorchClassifier(model, card.head, compute)
