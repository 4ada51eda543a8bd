"""A network that was exported, ready for use: ONNX without torch, safetensors and MONAI's TorchScript with it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cmr_planes.system.text import counted
from cmr_planes.system.whole_file import file_sha256
from cmr_planes.views import CardiacView, Structure
from cmr_train.choices import DeviceKind, Head, People, Weights
from cmr_train.data.images import Grid
from cmr_train.errors import CheckpointError, TrainError
from cmr_train.interchange.card import (
    CARD_NAME,
    FILES_FIELD,
    ONNX_NAME,
    ONNX_SUFFIX,
    SAFETENSORS_NAME,
    SAFETENSORS_SUFFIX,
    TORCHSCRIPT_NAME,
    NetworkCard,
)
from cmr_train.interchange.onnx_network import open_onnx
from cmr_train.runs.folder import read_json
from cmr_train.runs.identity import CatalogueIdentity, Seen, in_groups
from cmr_train.runs.trained_network import Classifier

FILES = (ONNX_NAME, SAFETENSORS_NAME, TORCHSCRIPT_NAME)
"""The files of a folder of which one makes it that of a network, in the order in which they are searched for."""
NEEDS_TORCH = "this network needs torch; install it with: pip install 'cmr-planes[train]', or use one that was exported as ONNX"
"""Sentence where torch is not installed."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ExportedNetwork:
    """A :class:`cmr_train.runs.trained_network.TrainedNetwork` of which no run is known."""

    path: Path
    """The file of the weights."""
    folder: Path
    """What the user named: that file, or its folder."""
    card: NetworkCard
    """What it is."""
    classifier: Classifier
    """What answers."""

    @property
    def name(self) -> str:
        """The name of what the user named."""
        return self.folder.resolve().name

    @property
    def view(self) -> CardiacView:
        """The view that it knows."""
        return self.card.view

    @property
    def head(self) -> Head:
        """Its task."""
        return self.card.head

    @property
    def classes(self) -> dict[int, str]:
        """The classes that it finds, without the background, and their names."""
        return dict(self.card.classes)

    @property
    def class_numbers(self) -> tuple[int, ...]:
        """The class of each output, the background first."""
        return self.card.outputs

    @property
    def structures(self) -> tuple[Structure, ...]:
        """The structures that it finds, where its task is to find structures."""
        return tuple(Structure(number) for number in self.card.classes) if self.head is Head.STRUCTURES else ()

    @property
    def grid(self) -> Grid:
        """The pixels on which it is used."""
        return self.card.grid

    @property
    def weights(self) -> Weights:
        """Whether these are the last or the best weights of its run."""
        return self.card.weights

    @property
    def weights_sha256(self) -> str:
        """Checksum of the file of its weights; raises CheckpointError if that is gone."""
        try:
            return file_sha256(self.path)
        except OSError as error:
            raise CheckpointError(f"{str(self.path)!r} cannot be read: {error}") from error

    @property
    def tensors_sha256(self) -> str:
        """Checksum of the weights themselves, from the card; that of their file for a card of an earlier release."""
        return self.card.tensors_sha256 or self.weights_sha256

    @property
    def validation_dice(self) -> Mapping[str, float]:
        """Nothing: the card does not say."""
        return {}

    @property
    def weights_sentence(self) -> str:
        """The choice of the weights."""
        return f"{self.weights} weights, after {counted(self.card.iteration, 'iteration')}"

    @property
    def rotation_deg(self) -> float:
        """The angle by which the images that it has learnt from were turned at most."""
        return self.card.rotation_deg

    @property
    def has_people(self) -> bool:
        """Whether the participants that it was trained on are known: never."""
        return False

    @property
    def learnt_from(self) -> Seen:
        """No known participant."""
        return Seen(catalogue=CatalogueIdentity(path=Path(), sha256=""), participants=frozenset())

    @property
    def seen_by_pretext(self) -> tuple[Seen, ...]:
        """No known participant."""
        return ()

    @property
    def people(self) -> People | None:
        """Nothing was said."""
        return None


def weights_file(path: Path) -> Path | None:
    """Return the file of an exported network: a file itself, or that in its folder; None where there is none."""
    if path.is_file():
        return path if path.suffix in (ONNX_SUFFIX, SAFETENSORS_SUFFIX) else None
    return next((path / name for name in FILES if (path / name).is_file()), None)


def open_exported(folder: Path, device: object = DeviceKind.AUTO.value) -> ExportedNetwork:
    """Open a network that was exported as ONNX, safetensors or MONAI bundle.

    Parameters
    ----------
    folder
        The file, or its folder.
    device
        Where it runs, as :func:`cmr_train.load_run` takes it; ONNX runs on the CPU.

    Raises
    ------
    CheckpointError
        There is none, or it cannot be used.
    TrainError
        A library is not installed, or the device is not there.
    """
    path = weights_file(folder)
    if path is None:
        raise CheckpointError(f"{str(folder)!r} holds no network: neither a run nor one of {', '.join(FILES)}")
    if path != folder:
        _check_whole(path, folder)
    if path.suffix == ONNX_SUFFIX:
        if str(device) not in {DeviceKind.AUTO.value, DeviceKind.CPU.value}:
            raise TrainError(f"a network in ONNX runs on the CPU, and {device} was asked for; use the run or its safetensors")
        card, classifier = open_onnx(path)
        return ExportedNetwork(path=path, folder=folder, card=card, classifier=classifier)
    try:
        from cmr_train.interchange.torch_network import open_with_torch
    except ModuleNotFoundError as error:
        raise TrainError(NEEDS_TORCH) from error
    card, with_torch = open_with_torch(path, folder, device)
    return ExportedNetwork(path=path, folder=folder, card=card, classifier=with_torch)


def _check_whole(path: Path, folder: Path) -> None:
    """Refuse a file of weights that is not the one which the card beside it describes; without a card, nothing is known."""
    if not (folder / CARD_NAME).exists():
        return
    name, stored = path.relative_to(folder).as_posix(), read_json(folder / CARD_NAME).get(FILES_FIELD)
    digest = stored.get(name) if isinstance(stored, Mapping) else None
    if isinstance(digest, str) and digest != in_groups(file_sha256(path)):
        raise CheckpointError(f"{str(path)!r} is not the file that {CARD_NAME} beside it describes: it is damaged, or another one")
