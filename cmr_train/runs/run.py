"""A trained network, loaded from a run's folder."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch

from cmr_planes.system.names import PathLike
from cmr_planes.system.text import counted
from cmr_planes.system.whole_file import file_sha256
from cmr_planes.views import CardiacView, Structure
from cmr_train.choices import Head, People, Weights
from cmr_train.compute.devices import Compute, compute_on, find_device
from cmr_train.config import RunConfig
from cmr_train.data.images import Grid
from cmr_train.data.splits import Split
from cmr_train.errors import CheckpointError
from cmr_train.models.network import Network
from cmr_train.models.planned_unet import PlannedUNet
from cmr_train.models.tensors import tensors_sha256
from cmr_train.models.unet import UNet
from cmr_train.runs.checkpoint import load_checkpoint
from cmr_train.runs.folder import (
    BEST_NAME,
    CLASSES_FIELD,
    CONFIG_NAME,
    FINAL_NAME,
    LAST_NAME,
    has_people,
    has_sets,
    read_catalogues,
    read_config,
    read_learnt_from,
    read_pixel_mm,
    read_seen_by_pretext,
    read_split,
)
from cmr_train.runs.identity import CatalogueIdentity, Seen
from cmr_train.runs.torch_classifier import TorchClassifier
from cmr_train.settings.fields import member_of


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Run:
    """A trained network and what it was trained on."""

    folder: Path
    """The run's folder."""
    model: Network
    """On the device of ``compute``, in evaluation mode."""
    compute: Compute
    """The device, and the number format that the run was trained in."""
    config: RunConfig
    """The run's configuration."""
    head: Head
    """The head that the run was for."""
    view: CardiacView
    """The view that the network knows."""
    image_size: tuple[int, int]
    """(rows, columns) of the network's matrix."""
    split: Split
    """The training, validation and test sets; the training set has only those whose labels (or positions) were learnt from."""
    weights: Weights
    """Whether these are the last or the best weights."""
    iteration: int
    """Iterations after which the weights were saved."""
    validation_dice: Mapping[str, float]
    """Mean Dice on the validation set of the last and of the best weights, or the explained share of what a run without classes has
    learnt; empty where the run was not validated."""
    catalogues: Mapping[Head, CatalogueIdentity]
    """The catalogue of each task."""
    seen_by_pretext: tuple[Seen, ...]
    """Participants whose positions the weights were trained on, before this run or in it."""
    learnt_from: Seen
    """The participants whose masks of the run's own task were trained on."""
    has_people: bool
    """Whether the run names the participants that it was trained on, or hashes of them; not after an export without a key file."""
    has_sets: bool
    """Whether the run names the participants of its sets; not after an export."""
    is_finished: bool
    """Whether all iterations were done."""
    pixel_mm: tuple[float, float] | None = None
    """Distance between rows and columns of the images that the network has learnt from; None where that is not known."""

    @property
    def grid(self) -> Grid:
        """The pixels on which the network is used."""
        return Grid.of(self.config, self.pixel_mm)

    @property
    def catalogue(self) -> CatalogueIdentity:
        """The catalogue of the run's own task."""
        return self.catalogues[self.head]

    @property
    def classes(self) -> dict[int, str]:
        """The classes that the network finds, without the background, and their names."""
        return self.config.class_names(self.head)

    @property
    def class_numbers(self) -> tuple[int, ...]:
        """The class of each output of the network, the background first."""
        return self.config.class_numbers(self.head)

    @property
    def structures(self) -> tuple[Structure, ...]:
        """The structures that the network finds, where its task is to find structures."""
        return self.config.structures

    @property
    def rotation_deg(self) -> float:
        """The angle by which the images that the network has learnt from were turned at most."""
        return self.config.training.rotation_deg

    @property
    def people(self) -> People | None:
        """Whether equal keys were said to be the same persons when the network was trained."""
        return None if self.config.transfer is None else self.config.transfer.people

    @property
    def weights_sha256(self) -> str:
        """Checksum of the file of the weights; raises CheckpointError if that is gone."""
        return file_sha256(weights_path(self.folder, self.weights, unfinished=True))

    @property
    def tensors_sha256(self) -> str:
        """Checksum of the weights themselves: the same for a run and for what was exported from it, in any form."""
        return tensors_sha256(self.model, self.head.value)

    @property
    def classifier(self) -> TorchClassifier:
        """The network's own head, to be used."""
        return TorchClassifier(self.model, self.head, self.compute)

    @property
    def people_key(self) -> Path | None:
        """The key file that shows which participants its pretext has seen, if one was given and is there."""
        path = None if self.config.transfer is None else self.config.transfer.people_key
        return path if path is not None and path.is_file() else None

    @property
    def name(self) -> str:
        """The name of the run's folder."""
        return self.folder.resolve().name

    @property
    def weights_sentence(self) -> str:
        """The choice of the weights, and what each choice had on the validation set."""
        known = ", ".join(f"{dice:.3f} ({name})" for name, dice in self.validation_dice.items())
        validated = f"; mean Dice on the validation set {known}" if known else ""
        return f"{self.weights} weights, after {counted(self.iteration, 'iteration')}{validated}"


def make_network(config: RunConfig) -> Network:
    """Build the network of a configuration, with torch's random weights.

    Raises
    ------
    TrainError
        It is that of an nnU-Net plan, and cannot be built.
    """
    if config.plan is not None:
        return PlannedUNet(config.plan, heads=config.heads, has_decoder_per_head=config.has_decoder_per_task)
    network = config.network
    return UNet(
        1,
        network.base_channels,
        network.levels,
        heads=config.heads,
        has_decoder_per_head=config.has_decoder_per_task,
        pooled_heads=config.pooled_heads,
        norm=network.norm,
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TrainedWeights:
    """Weights as a checkpoint holds them."""

    tensors: dict[str, torch.Tensor]
    """By name."""
    iteration: int
    """Iterations that were done."""
    validation_dice: dict[str, float]
    """Mean Dice on the validation set of the last and of the best weights, or the explained share of what a run without classes has
    learnt; empty where the run was not validated."""
    classes: dict[int, str] | None
    """What the outputs stand for, the background aside; None in a file of an earlier release."""


def weights_path(run: Path, weights: Weights = Weights.LAST, *, unfinished: bool = False) -> Path:
    """Return the file of a run's weights: the best or the final ones, or with ``unfinished`` the last ones of a run without.

    Raises
    ------
    CheckpointError
        There are none.
    """
    if weights is Weights.BEST:
        if not (run / BEST_NAME).is_file():
            raise CheckpointError(
                f"run {str(run)!r} has no {BEST_NAME}: it is not finished, was not validated (validate_every), or its validation "
                "set is too small for a choice; use the last weights"
            )
        return run / BEST_NAME
    if (run / FINAL_NAME).is_file():
        return run / FINAL_NAME
    if not (run / LAST_NAME).is_file():
        raise CheckpointError(f"run {str(run)!r} has no weights yet: neither {FINAL_NAME} nor {LAST_NAME}")
    if not unfinished:
        raise CheckpointError(
            f"run {str(run)!r} has not done all its iterations, so that its weights are not those of a trained network; resume it, "
            "or ask for unfinished runs"
        )
    return run / LAST_NAME


def read_weights(run: Path, weights: Weights = Weights.LAST, *, unfinished: bool = False) -> TrainedWeights:
    """Read a run's weights from :func:`weights_path`.

    Raises
    ------
    CheckpointError
        There are none, or they cannot be used.
    """
    path = weights_path(run, weights, unfinished=unfinished)
    content = load_checkpoint(path)
    tensors = content.get("model")
    if not isinstance(tensors, dict) or not all(isinstance(tensor, torch.Tensor) for tensor in tensors.values()):
        raise CheckpointError(f"{str(path)!r} holds no weights of a network")
    return TrainedWeights(
        tensors=tensors,
        iteration=content.get("iteration", 0),
        validation_dice=content.get("validation_dice", {}),
        classes=content.get(CLASSES_FIELD),
    )


def load_run(
    run: PathLike, device: torch.device | str = "auto", *, weights: Weights | str = "last", unfinished: bool = False
) -> Run:
    """Load a trained network: its final weights, or those of its best validation.

    Parameters
    ----------
    run
        The run's folder.
    device
        Where the network goes: ``auto``, ``cpu``, ``cuda``, ``mps``, or a device of torch.
    weights
        ``last`` or ``best``.
    unfinished
        Whether a run that has not done all its iterations is loaded too, with its last weights.

    Returns
    -------
        The network in evaluation mode, with its configuration and its sets of subjects.

    Raises
    ------
    CheckpointError
        The folder is not a run's, is not finished, has no weights, or they are damaged or of another network.
    TrainError
        The machine has no such device.
    """
    run, chosen, wanted = Path(run), find_device(device), member_of(Weights, weights, "weights")
    config = read_config(run)
    trained = read_weights(run, wanted, unfinished=unfinished)
    with torch.device("meta"):  # takes no memory, whatever the configuration says
        expected = {name: tensor.shape for name, tensor in make_network(config).state_dict().items()}
    if {name: tensor.shape for name, tensor in trained.tensors.items()} != expected:
        raise CheckpointError(f"the weights of run {str(run)!r} are of another network than its {CONFIG_NAME} says")
    if trained.classes not in (None, config.class_names(config.head)):
        raise CheckpointError(
            f"the weights of run {str(run)!r} find {', '.join(trained.classes.values())}, and its {CONFIG_NAME} says "
            f"{', '.join(config.class_names(config.head).values())}"
        )
    model = make_network(config)
    model.load_state_dict(trained.tensors)
    compute = compute_on(chosen, config.runtime.precision)
    compute.place(model)
    return Run(
        folder=run,
        model=model.eval(),
        compute=compute,
        config=config,
        head=config.head,
        view=config.data.view,
        image_size=config.image_size,
        split=read_split(run),
        catalogues=read_catalogues(run),
        seen_by_pretext=read_seen_by_pretext(run),
        learnt_from=read_learnt_from(run),
        has_people=has_people(run),
        has_sets=has_sets(run),
        is_finished=(run / FINAL_NAME).is_file(),
        pixel_mm=read_pixel_mm(run),
        weights=wanted,
        iteration=trained.iteration,
        validation_dice=trained.validation_dice,
    )


def loaded(
    run: Run | PathLike, device: torch.device | str = "auto", weights: Weights | str = "last", *, unfinished: bool = False
) -> Run:
    """Return a run as it is, or load it from its folder (:func:`load_run`)."""
    return run if isinstance(run, Run) else load_run(run, device, weights=weights, unfinished=unfinished)
