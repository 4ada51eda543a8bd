"""The configuration of a run: frozen groups of settings, and their form in ``config.json``. Nothing here imports torch.

A configuration is resolved once, by :mod:`cmr_train.presets`, and stored: it is all that is needed to repeat the run.
"""

import dataclasses
import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from cmr_planes.views import TARGET_VIEWS, CardiacView, PositionClass, Structure, position_name
from cmr_train.choices import (
    AugmentationKind,
    CacheKind,
    DecoderSharing,
    DeviceKind,
    Head,
    LossKind,
    Norm,
    People,
    Precision,
    Preset,
    PretextTarget,
    Recipe,
    Resampling,
    Schedule,
    Sharing,
    TransferMode,
)
from cmr_train.errors import ConfigError
from cmr_train.settings.fields import read_group, setting, settings_of, to_plain
from cmr_train.settings.interval import NOT_NEGATIVE, POSITIVE, Interval

DEFAULT_FRACTIONS = (0.7, 0.1, 0.2)
"""Training, validation, test."""

DEFAULT_HELD_BACK = 0.05
"""Share of the participants without annotations who are held back."""

VIEW_STRUCTURES = {
    CardiacView.SAX: (Structure.LV, Structure.MYO, Structure.RV),
    CardiacView.TWO_CHAMBER: (Structure.LV, Structure.MYO, Structure.LA),
    CardiacView.FOUR_CHAMBER: (Structure.LV, Structure.MYO, Structure.RV, Structure.LA, Structure.RA),
}
"""Structures of each view, in the order of their numbers."""

PLANNED_NETWORKS = ("PlainConvUNet", "ResidualEncoderUNet")
"""Networks of nnU-Net plans that can be built."""

MOST_BLUR = 2.0
"""Largest standard deviation of a blur, in pixels."""

PATCHES = 8
"""Patches to each side into which the matrix is cut to hide some of them (target ``masked``)."""

_SIZE = Interval(low=1, high=4096)
"""Rows, columns and channels beyond which no network for cardiac images goes."""
_LEVELS = Interval(low=1, high=8)


@dataclass(frozen=True, slots=True, kw_only=True)
class DataConfig:
    """Which images are used, and how they are brought to one size."""

    data: Path = setting(Path("out.h5"), "Catalogue of the images.")
    view: CardiacView = setting(CardiacView.SAX, "View of the images.", members=TARGET_VIEWS)
    phases: tuple[str, ...] = setting((), "Names of the phases to use, separated by commas.", default_text="all")
    subjects: int | None = setting(
        None,
        "Number of participants to train on; a smaller choice is part of every larger one.",
        flags=("--participants", "--subjects"),
        interval=POSITIVE,
        default_text="all of the training set",
    )
    subjects_seed: int = setting(
        0, "Seed of the choice of participants.", flags=("--participants-seed", "--subjects-seed"), interval=NOT_NEGATIVE
    )
    rows: int = setting(192, "Rows of the common matrix, rounded up to what the network needs.", interval=_SIZE)
    columns: int = setting(208, "Columns of the common matrix, rounded up to what the network needs.", interval=_SIZE)
    resample_mm: float | Resampling = setting(
        Resampling.NONE,
        "Pixel size in mm to which images are resampled; none keeps those of each image; auto takes that of the nnU-Net plan or of "
        "the pretext, else the training set's median where its pixel sizes vary by more than a tenth.",
        flags=("--resample", "--resample-mm"),
        unit="mm",
        interval=POSITIVE,
    )
    max_cut: float = setting(
        0.01, "Largest share of a subject's labels, or boxes, that may lie outside the common matrix.", interval=Interval(high=1)
    )
    split: Path | None = setting(
        None,
        "CSV file of participants and their sets (train, validation, test, pretext), or the split.json of a run, in place of a "
        "random split.",
        default_text="random",
    )
    split_seed: int = setting(0, "Seed of the random split by participant.")
    fractions: tuple[float, float, float] = setting(
        DEFAULT_FRACTIONS,
        "Expected shares of training, validation and test set among annotated participants.",
        interval=NOT_NEGATIVE,
    )
    unlabelled_held_back: float = setting(
        DEFAULT_HELD_BACK,
        "Share of the participants without annotations who are held back to score the pretext task, two at least; 1 for the shares "
        "of annotated ones, where annotations come later.",
        interval=Interval(high=1),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkConfig:
    """The U-Net."""

    base_channels: int = setting(64, "Channels of the U-Net at full resolution.", interval=_SIZE)
    levels: int = setting(4, "Number of down-sampling steps of the U-Net.", interval=_LEVELS)
    norm: Norm = setting(Norm.BATCH, "Normalisation between the convolutions: over a batch, an image, or groups of its channels.")


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingConfig:
    """How the weights are found."""

    iterations: int = setting(50_000, "Optimiser steps; with multitask, those of the segmentation.", interval=POSITIVE)
    batch_size: int = setting(20, "Batch size (images per step), summed over all processes.", interval=POSITIVE)
    learning_rate: float = setting(0.001, "Learning rate of Adam; the highest of a schedule that varies it.", interval=POSITIVE)
    schedule: Schedule = setting(Schedule.CONSTANT, "Learning-rate schedule.")
    loss: LossKind = setting(LossKind.CROSS_ENTROPY, "Loss function.")
    augmentation: AugmentationKind = setting(
        AugmentationKind.PAPER, "Source of the defaults of rotation, scaling, gamma, noise and blur; no image is ever mirrored."
    )
    rotation_deg: float = setting(
        15.0,
        "Random rotation, in degrees either way.",
        flags=("--rotation",),
        unit="degrees",
        interval=Interval(high=180),  # half a turn
    )
    scaling: float = setting(
        0.15,
        "Random scaling by a factor from 1 / (1 + this) to 1 + this, uniform in its logarithm.",
        interval=Interval(high=1, is_high_included=False),
    )
    gamma: float = setting(
        0.0,
        "Random gamma: intensities of 0 to 1 to a power from 1 / (1 + this) to 1 + this, uniform in its logarithm.",
        interval=NOT_NEGATIVE,
    )
    noise: float = setting(
        0.0, "Random noise: the largest standard deviation added to intensities of 0 to 1.", interval=NOT_NEGATIVE
    )
    blur: float = setting(
        0.0,
        "Random blur: the largest standard deviation of a Gaussian, in pixels.",
        unit="pixels",
        interval=Interval(high=MOST_BLUR),
    )
    seed: int = setting(0, "Seed of the initial weights, the order of images and their augmentation.", interval=NOT_NEGATIVE)


@dataclass(frozen=True, slots=True, kw_only=True)
class PretextConfig:
    """What the pretext task is; ``multitask`` continues with that of its pretext."""

    target: PretextTarget = setting(
        PretextTarget.BOXES,
        "What is learnt: boxes (the nine positions), lines (a heat map of each of the two lines), slice (the place in the stack), "
        "masked (hidden patches of the image), or shuffled (another person's boxes, a control).",
    )
    positions_only: bool = setting(
        False, "Leave out images without positions where the target needs none (slice, masked), so that all targets have the same."
    )
    shuffle_seed: int = setting(0, "Seed of the assignment of other persons' boxes (shuffled).", interval=NOT_NEGATIVE)

    @property
    def traits(self) -> "TargetTraits":
        """What is known of the target."""
        return TRAITS[self.target]


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetTraits:
    """What a target of the pretext task needs, and what a network needs for it."""

    task: str
    """Name of the task in messages and records."""
    meaning: str
    """What a network finds, in words."""
    n_outputs: int
    """Outputs of the head."""
    needs_positions: bool = True
    """Whether it needs images with positions."""
    needs_stack: bool = False
    """Whether it needs images of a stack of slices."""
    min_participants: int = 1
    """Participants that it needs to train on."""
    has_classes: bool = False
    """Whether each pixel gets a class, one of :class:`cmr_planes.views.PositionClass`; else numbers are learnt."""
    is_pooled: bool = False
    """Whether the head answers from the lowest level of the network, without a decoder."""
    is_control: bool = False
    """Whether its truth is that of other people, for comparison; no transfer takes it unless it is allowed."""


TRAITS = {
    PretextTarget.BOXES: TargetTraits(
        task="positions", meaning="the nine anatomical positions", n_outputs=len(PositionClass), has_classes=True
    ),
    PretextTarget.LINES: TargetTraits(task="lines", meaning="the lines of two other views", n_outputs=2),
    PretextTarget.SLICE: TargetTraits(
        task="slice", meaning="the place in the stack", n_outputs=1, needs_positions=False, needs_stack=True, is_pooled=True
    ),
    PretextTarget.MASKED: TargetTraits(
        task="masked", meaning="the intensities of hidden patches", n_outputs=1, needs_positions=False
    ),
    PretextTarget.SHUFFLED: TargetTraits(
        task="positions",
        meaning="the nine anatomical positions of other people (a control)",
        n_outputs=len(PositionClass),
        min_participants=2,
        has_classes=True,
        is_control=True,
    ),
}
"""The traits of each target; :mod:`cmr_train.training.targets` has what it makes of a batch."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferConfig:
    """How the pretext task is used."""

    mode: TransferMode = setting(TransferMode.MULTITASK, "Transfer mode.")
    pretext: Path | None = setting(None, "Pretrained run; none with scratch.", default_text="the newest finished one of the view")
    pretext_data: Path | None = setting(
        None, "Catalogue of the pretext task (multitask).", default_text="that of the pretrained run"
    )
    structures: tuple[Structure, ...] = setting(
        (),
        "Structures to segment, separated by commas; all others are background.",
        members=tuple(Structure)[1:],
        default_text="those of the view",
    )
    ignore_undrawn: bool = setting(
        False, "Train also on images on which not all structures were drawn: the others may be anywhere in their background."
    )
    people: People | None = setting(
        None, "Whether equal keys in catalogues of different origin are the same persons.", default_text="refuse to guess"
    )
    people_key: Path | None = setting(
        None,
        "Key file with which the pretrained run was exported; it shows which of these participants it has seen.",
        default_text="none",
    )
    beta: int = setting(10, "Segmentation steps after each pretext step (multitask).", interval=POSITIVE)
    decoder: DecoderSharing = setting(DecoderSharing.SHARED, "Decoder of the two tasks: shared, or one per task (multitask).")
    optimiser_state: Sharing = setting(Sharing.SEPARATE, "Adam's moments of the two tasks (multitask).")
    normalisation: Sharing = setting(
        Sharing.SHARED, "Running statistics of batch normalisation of the two tasks, in the layers that they share (multitask)."
    )
    annotated_share: float = setting(
        0.0,
        "Share of each pretext batch drawn from the participants whose annotations are trained on (multitask).",
        interval=Interval(high=1, is_high_included=False),
    )
    pretext_loss: LossKind | None = setting(
        None, "Loss function of the pretext task (multitask).", default_text="that of the pretrained run"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class RuntimeConfig:
    """How the job runs; none of it changes what is computed, except for the last digits. A resumed run may change all of it."""

    device: DeviceKind = setting(DeviceKind.AUTO, "Device (CPU or GPU).")
    precision: Precision = setting(Precision.AUTO, "Numeric precision; auto is bf16 on CUDA, fp16 on GPUs without bf16, else fp32.")
    compile: bool = setting(False, "Compile the network with torch.compile.")
    deterministic: bool = setting(False, "Use deterministic kernels only; the CPU has no others.")
    threads: int | None = setting(None, "CPU threads of the network.", interval=POSITIVE, default_text="torch's choice")
    cache: CacheKind = setting(CacheKind.AUTO, "Cache images in memory or read them from disk.")
    workers: int = setting(0, "Processes that read images from disk; 0 for a thread.", interval=NOT_NEGATIVE)
    checkpoint_every: int = setting(1000, "Iterations between checkpoints.", interval=POSITIVE)
    keep_optimiser: bool = setting(False, "Keep last.pt, which has the state of the optimiser, once a run is finished.")
    log_every: int = setting(10, "Iterations between lines of metrics.jsonl.", interval=POSITIVE)
    validate_every: int = setting(0, "Iterations between validations; 0 for none.", interval=NOT_NEGATIVE)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanConfig:
    """A two-dimensional configuration of an nnU-Net plan, as ``nnUNetPlans.json`` holds it (nnU-Net 2.4 or later)."""

    configuration: str
    """Its name in the plan, such as ``2d``."""
    network_class: str
    """``network_class_name`` of the architecture."""
    arguments: Mapping[str, Any]
    """``arch_kwargs`` of the architecture."""
    patch_size: tuple[int, int]
    """(rows, columns)."""
    spacing_mm: tuple[float, float]
    """Distance between rows and between columns to which images are resampled."""

    def __post_init__(self) -> None:
        """Refuse what is no two-dimensional U-Net of nnU-Net; raises ConfigError."""
        found = []
        if self.network_class.rpartition(".")[2] not in PLANNED_NETWORKS:
            found.append(f"its network is {self.network_class!r:.80}, and {' or '.join(PLANNED_NETWORKS)} is expected")
        if str(self.arguments.get("conv_op")).rpartition(".")[2] != "Conv2d":
            found.append(f"its convolutions are {self.arguments.get('conv_op')!r:.80}, and Conv2d is expected")
        if not _are_pairs(self.arguments.get("strides")):
            found.append("its strides are no pairs of whole numbers from 1 to 16, one per stage")
        if not all(number in _SIZE for number in self.patch_size):
            found.append(f"its patch is {self.patch_size} pixels, and each side must be {_SIZE}")
        if not all(0 < edge < math.inf for edge in self.spacing_mm):
            found.append(f"its spacing is {self.spacing_mm} mm, and more than 0 is expected")
        if found:
            raise ConfigError([f"configuration {self.configuration!r:.40} of the nnU-Net plan cannot be used: {'; '.join(found)}"])

    @property
    def multiples(self) -> tuple[int, int]:
        """What rows and columns of an image must be multiples of: the product of the strides."""
        rows, columns = zip(*self.arguments["strides"], strict=True)
        return math.prod(rows), math.prod(columns)

    @property
    def has_running_statistics(self) -> bool:
        """Whether the network normalises over a batch."""
        return "BatchNorm" in str(self.arguments.get("norm_op"))

    @property
    def digest(self) -> str:
        """SHA-256 of the architecture, patch size and spacing; the name of the plan, or of its data set, does not change it."""
        fields = (self.network_class.rpartition(".")[2], self.arguments, self.patch_size, self.spacing_mm)
        return hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()


def _are_pairs(strides: object) -> bool:
    """Tell whether a value is what a plan has as strides."""
    return (
        isinstance(strides, list | tuple)
        and all(
            isinstance(pair, list | tuple) and len(pair) == 2 and all(type(step) is int and 1 <= step <= 16 for step in pair)
            for pair in strides
        )
        and len(strides) > 1
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class RunConfig:
    """The resolved configuration of a run."""

    recipe: Recipe
    preset: Preset = Preset.PAPER
    data: DataConfig = field(default_factory=DataConfig)
    network: NetworkConfig = field(default_factory=NetworkConfig)
    plan: PlanConfig | None = None
    """The nnU-Net plan whose network the run has in place of that of ``network``."""
    training: TrainingConfig = field(default_factory=TrainingConfig)
    pretext: PretextConfig | None = None
    """None where the run does not train the pretext task."""
    transfer: TransferConfig | None = None
    runtime: RuntimeConfig = field(default_factory=RuntimeConfig)

    @property
    def multiples(self) -> tuple[int, int]:
        """What rows and columns of an image must be multiples of."""
        return self.plan.multiples if self.plan is not None else (1 << self.network.levels, 1 << self.network.levels)

    @property
    def image_size(self) -> tuple[int, int]:
        """(rows, columns) of the common matrix: what was asked for, rounded up to what the network needs."""
        rows, columns = self.multiples
        return -(-self.data.rows // rows) * rows, -(-self.data.columns // columns) * columns

    @property
    def heads(self) -> dict[str, int]:
        """Outputs of each head of the network."""
        tasks = [Head.STRUCTURES, Head.POSITIONS]
        if self.transfer is None or self.transfer.mode is not TransferMode.MULTITASK:
            tasks = [self.head]
        return {task.value: self._n_outputs(task) for task in tasks}

    @property
    def pooled_heads(self) -> tuple[str, ...]:
        """The heads that answer from the lowest level of the network, without a decoder."""
        return (Head.POSITIONS.value,) if self.traits.is_pooled and Head.POSITIONS.value in self.heads else ()

    @property
    def traits(self) -> TargetTraits:
        """The traits of the target of the pretext task; those of boxes where the run does not train it."""
        return (self.pretext or PretextConfig()).traits

    def task_name(self, head: Head) -> str:
        """Return the name of a task in messages and records."""
        return self.traits.task if head is Head.POSITIONS else head.value

    def material(self, head: Head) -> str:
        """Return what an image must have to be of use for a task: ``structures``, ``positions``, or nothing more (``images``)."""
        if head is Head.STRUCTURES:
            return head.value
        is_needed = self.traits.needs_positions or (self.pretext is not None and self.pretext.positions_only)
        return Head.POSITIONS.value if is_needed else "images"

    def has_classes(self, head: Head) -> bool:
        """Return whether a task gives each pixel a class, so that there are label maps, and Dice."""
        return head is Head.STRUCTURES or self.traits.has_classes

    def _n_outputs(self, head: Head) -> int:
        return len(self.class_numbers(head)) if self.has_classes(head) else self.traits.n_outputs

    @property
    def structures(self) -> tuple[Structure, ...]:
        """The structures to segment, in the order of their numbers."""
        return (self.transfer.structures if self.transfer else ()) or VIEW_STRUCTURES[self.data.view]

    def class_numbers(self, head: Head) -> tuple[int, ...]:
        """Return the class that each output of a head stands for, the background first; empty where a task has no classes.

        A run of an earlier release does not name its structures; it has an output for every number up to the highest.
        """
        if not self.has_classes(head):
            return ()
        if head is Head.POSITIONS:
            return tuple(range(len(PositionClass)))
        if self.transfer is None or not self.transfer.structures:
            return tuple(range(max(self.structures) + 1))
        return (0, *map(int, self.structures))

    def class_names(self, head: Head) -> dict[int, str]:
        """Return the classes that a head finds, without the background, and their names in the words of the view."""
        if head is Head.STRUCTURES:
            return {int(structure): structure.title for structure in self.structures}
        if not self.has_classes(head):
            return {}
        return {int(position): position_name(self.data.view, position) for position in PositionClass if position}

    @property
    def has_decoder_per_task(self) -> bool:
        """Whether each head of the network has a decoder of its own."""
        transfer = self.transfer
        return transfer is not None and transfer.mode is TransferMode.MULTITASK and transfer.decoder is DecoderSharing.PER_TASK

    def data_of(self, head: Head) -> Path:
        """Return the catalogue of a task."""
        other = None if self.transfer is None or head is not Head.POSITIONS else self.transfer.pretext_data
        return other or self.data.data

    @property
    def head(self) -> Head:
        """The head that the run is for."""
        return Head.POSITIONS if self.transfer is None else Head.STRUCTURES

    def loss(self, head: Head) -> LossKind:
        """Return the loss function of a task."""
        other = None if head is self.head or self.transfer is None else self.transfer.pretext_loss
        return other or self.training.loss

    def to_json(self) -> dict[str, Any]:
        """Return what JSON can hold."""
        value: dict[str, Any] = to_plain(dataclasses.asdict(self))
        return value

    @classmethod
    def from_json(cls, value: object) -> Self:
        """Read what :meth:`to_json` gave.

        Raises
        ------
        ConfigError
            A key is unknown or missing, or a value cannot be used.
        """
        match value:
            case {"data": dict(data), **rest}:
                value = {**rest, "data": _data_of_any_release(data)}
        config = read_group(cls, value)
        if config.pretext is None and Head.POSITIONS.value in config.heads:  # of a release that had boxes alone
            return dataclasses.replace(config, pretext=PretextConfig())
        return config


def _data_of_any_release(stored: dict[str, Any]) -> dict[str, Any]:
    """Return stored settings of the data with what earlier releases, which did not write it all, did."""
    data = {"unlabelled_held_back": 1.0, **stored}  # they held everybody back alike
    return data | {"resample_mm": Resampling.NONE} if data.get("resample_mm", "") is None else data


GROUPS = {
    "data": DataConfig,
    "network": NetworkConfig,
    "training": TrainingConfig,
    "pretext": PretextConfig,
    "transfer": TransferConfig,
    "runtime": RuntimeConfig,
}
"""The groups of a :class:`RunConfig`; no two have a setting of one name."""

SETTINGS = {name: setting for group in GROUPS.values() for name, setting in settings_of(group).items()}
"""All settings by name."""


INHERITED = {
    "network": ("base_channels", "levels", "norm"),
    "data": ("rows", "columns", "resample_mm", "max_cut", "split", "split_seed", "fractions", "unlabelled_held_back"),
}
"""Settings that a transfer inherits from its pretext unless given: the network, the matrix, and the split into sets."""


def inherited(source: RunConfig, mode: TransferMode) -> dict[str, Any]:
    """Return what a transfer takes from the configuration of its pretext; task and loss too where it continues the pretext task.

    The U-Net's settings are left out where the pretext has the network of a plan.
    """
    groups = {group: names for group, names in INHERITED.items() if source.plan is None or group != "network"}
    values = {name: getattr(getattr(source, group), name) for group, names in groups.items() for name in names}
    if mode is not TransferMode.MULTITASK:
        return values
    task = source.pretext or PretextConfig()
    return values | {"pretext_loss": source.training.loss} | {name: getattr(task, name) for name in settings_of(PretextConfig)}


def are_shares(fractions: Sequence[float]) -> bool:
    """Return whether fractions are 0 or more and sum to 1."""
    return min(fractions) >= 0 and abs(sum(fractions) - 1) <= 1e-9  # the error of adding decimal fractions
