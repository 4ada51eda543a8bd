"""What a run is told: frozen groups of values, and their form in ``config.json``. Nothing here imports torch.

A configuration is resolved once, by :mod:`cmr_train.presets`, and stored: it is all that is needed to repeat the run.
"""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from types import UnionType
from typing import Any, Self, TypeVar, get_args, get_origin, get_type_hints

from cmr_planes.views import CardiacView, PositionClass, Structure, position_name
from cmr_train.choices import (
    CacheKind,
    DeviceKind,
    Head,
    LossKind,
    Precision,
    Preset,
    Recipe,
    Schedule,
    Sharing,
    TransferMode,
)
from cmr_train.errors import ConfigError

Group = TypeVar("Group")

DEFAULT_FRACTIONS = (0.7, 0.1, 0.2)
"""Training, validation, test."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DataConfig:
    """Which images, and how they are brought to one size."""

    data: Path = Path("out.h5")
    """The catalogue."""
    view: CardiacView = CardiacView.SAX
    """The view."""
    phases: tuple[str, ...] = ()
    """Names of the phases to use; empty for all that the catalogue has."""
    subjects: int | None = None
    """Participants to train on, None for all of the training set. A smaller choice is part of every larger one."""
    subjects_seed: int = 0
    """Of the choice of participants."""
    rows: int = 192
    """Rows of the common matrix, rounded up to what the network needs."""
    columns: int = 208
    """Columns of the common matrix, rounded up to what the network needs."""
    resample_mm: float | None = None
    """Edge of a pixel in mm to which all images are brought; None keeps their own."""
    split_seed: int = 0
    """Of the split into training, validation and test."""
    fractions: tuple[float, float, float] = DEFAULT_FRACTIONS
    """Expected shares of training, validation and test."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkConfig:
    """The U-net."""

    base_channels: int = 64
    """Channels at full resolution."""
    levels: int = 4
    """How often the size is halved."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingConfig:
    """How the weights are found."""

    iterations: int = 50_000
    """Steps of the optimiser; those of the segmentation where there are two tasks."""
    batch_size: int = 20
    """Images a step, over all processes together."""
    learning_rate: float = 0.001
    """Of Adam; the highest of a one-cycle schedule."""
    schedule: Schedule = Schedule.CONSTANT
    """How the learning rate goes."""
    loss: LossKind = LossKind.CROSS_ENTROPY
    """What is minimised."""
    rotation_deg: float = 15.0
    """Images are turned by up to this, either way, uniformly."""
    scaling: float = 0.15
    """Images are scaled by a factor from 1 / (1 + this) to 1 + this, uniform in its logarithm."""
    gamma: float = 0.0
    """Intensities, 0 to 1, are raised to a power from 1 / (1 + this) to 1 + this, uniform in its logarithm."""
    noise: float = 0.0
    """Standard deviation of normal noise added to intensities; each image's is from 0 up to this."""
    seed: int = 0
    """Of the weights, the order of images and their augmentation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferConfig:
    """How the pretext task is used."""

    mode: TransferMode = TransferMode.MULTITASK
    """The way of transfer."""
    pretext: Path | None = None
    """The run that was pretrained; None with ``scratch``."""
    beta: int = 10
    """Sub-iterations of the segmentation after each of the pretext task (``multitask``)."""
    optimiser_state: Sharing = Sharing.SEPARATE
    """Whether the tasks share Adam's moments (``multitask``)."""
    normalisation: Sharing = Sharing.SHARED
    """Whether the tasks share the running statistics of batch normalisation (``multitask``)."""
    annotated_share: float = 0.0
    """Share of each pretext batch that is drawn from the participants whose annotations are learnt from (``multitask``)."""
    pretext_loss: LossKind | None = None
    """What the pretext task minimises (``multitask``); None for what the segmentation does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RuntimeConfig:
    """How the job runs; nothing here changes what is computed, but for the last digits. ``--resume`` may change all of it."""

    device: DeviceKind = DeviceKind.AUTO
    """What computes."""
    precision: Precision = Precision.AUTO
    """Number format of the network."""
    compile: bool = False
    """Use ``torch.compile``."""
    deterministic: bool = False
    """Use deterministic kernels only. The CPU is deterministic without."""
    threads: int | None = None
    """CPU threads of the network; None for torch's choice."""
    cache: CacheKind = CacheKind.AUTO
    """Where images wait."""
    workers: int = 0
    """Processes that read, when images are on disk; 0 for a thread."""
    checkpoint_every: int = 1000
    """Iterations between checkpoints."""
    log_every: int = 10
    """Iterations between lines of ``metrics.jsonl``."""
    validate_every: int = 0
    """Iterations between looks at the validation set, 0 for none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunConfig:
    """All that a run is told."""

    recipe: Recipe
    preset: Preset = Preset.PAPER
    data: DataConfig = field(default_factory=DataConfig)
    network: NetworkConfig = field(default_factory=NetworkConfig)
    training: TrainingConfig = field(default_factory=TrainingConfig)
    transfer: TransferConfig | None = None
    runtime: RuntimeConfig = field(default_factory=RuntimeConfig)

    @property
    def image_size(self) -> tuple[int, int]:
        """(rows, columns) of the common matrix: what was asked for, rounded up to a multiple of 2 to the power of the levels."""
        step = 1 << self.network.levels
        return -(-self.data.rows // step) * step, -(-self.data.columns // step) * step

    @property
    def heads(self) -> dict[str, int]:
        """Classes of each head of the network."""
        positions = {Head.POSITIONS.value: len(PositionClass)}
        if self.transfer is None:
            return positions
        structures = {Head.STRUCTURES.value: n_structure_classes(self.data.view)}
        return structures | positions if self.transfer.mode is TransferMode.MULTITASK else structures

    @property
    def head(self) -> Head:
        """The head that the run is for."""
        return Head.POSITIONS if self.transfer is None else Head.STRUCTURES

    def loss(self, head: Head) -> LossKind:
        """Return what a task minimises."""
        other = None if head is self.head or self.transfer is None else self.transfer.pretext_loss
        return other or self.training.loss

    def to_json(self) -> dict[str, Any]:
        """Return what JSON can hold."""
        value: dict[str, Any] = _plain(dataclasses.asdict(self))
        return value

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """Read what :meth:`to_json` gave.

        Raises
        ------
        ConfigError
            A key is unknown or missing, or a value is of the wrong kind.
        """
        return _build(cls, value)


VIEW_STRUCTURES = {
    CardiacView.SAX: (Structure.LV, Structure.MYO, Structure.RV),
    CardiacView.TWO_CHAMBER: (Structure.LV, Structure.MYO, Structure.LA),
    CardiacView.FOUR_CHAMBER: (Structure.LV, Structure.MYO, Structure.RV, Structure.LA, Structure.RA),
}
"""What is segmented on each view."""

GROUPS = {
    "data": DataConfig,
    "network": NetworkConfig,
    "training": TrainingConfig,
    "transfer": TransferConfig,
    "runtime": RuntimeConfig,
}
"""The groups of a :class:`RunConfig`; no two have a field of one name."""


INHERITED = {
    "network": ("base_channels", "levels"),
    "data": ("rows", "columns", "resample_mm", "split_seed", "fractions"),
}
"""What a transfer takes from its pretext where it is not given: the network, the matrix, and who is kept for the test."""


def inherited(source: RunConfig, mode: TransferMode) -> dict[str, Any]:
    """Return what a transfer takes from the configuration of its pretext; if it goes on with the task, the loss too."""
    values = {name: getattr(getattr(source, group), name) for group, names in INHERITED.items() for name in names}
    return values | ({"pretext_loss": source.training.loss} if mode is TransferMode.MULTITASK else {})


def class_names(view: CardiacView, head: Head) -> dict[int, str]:
    """Return the classes that a head finds, without the background, and their names in the words of the view."""
    if head is Head.STRUCTURES:
        return {int(each): each.title for each in VIEW_STRUCTURES[view]}
    return {int(each): position_name(view, each) for each in PositionClass if each is not PositionClass.BACKGROUND}


def n_structure_classes(view: CardiacView) -> int:
    """Return the classes of a view's segmentation, the background and those that the view does not use among them."""
    return max(VIEW_STRUCTURES[view]) + 1


def _plain(value: Any) -> Any:  # noqa: ANN401  # whatever a dataclass holds
    """Turn paths, enums and tuples into what JSON can hold."""
    if isinstance(value, dict):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if isinstance(value, StrEnum):
        return value.value
    return value.as_posix() if isinstance(value, Path) else value


def _build(kind: type[Group], value: Mapping[str, Any]) -> Group:
    """Make a frozen group from plain values, by the types of its fields."""
    hints = get_type_hints(kind)
    if not isinstance(value, Mapping):
        raise ConfigError([f"the configuration's group {kind.__name__} holds {value!r:.40}, and named settings are expected"])
    unknown = [name for name in value if name not in hints]
    if unknown:
        raise ConfigError([f"the stored configuration has a setting {name!r} that this release does not know" for name in unknown])
    try:
        return kind(**{name: _convert(hints[name], each) for name, each in value.items()})
    except (TypeError, ValueError, KeyError, OverflowError) as error:
        raise ConfigError([f"the configuration's group {kind.__name__} cannot be read: {error}"]) from error


def _convert(hint: Any, value: Any) -> Any:  # noqa: ANN401  # the inverse of _plain
    """Turn a plain value into what a field's type asks for."""
    if get_origin(hint) is UnionType or isinstance(hint, UnionType):
        if value is None:
            return None
        hint = next(each for each in get_args(hint) if each is not type(None))
    if get_origin(hint) is tuple:
        kinds = get_args(hint)
        items = list(value)
        return tuple(
            _convert(each, item) for each, item in zip(kinds[:1] * len(items) if ... in kinds else kinds, items, strict=True)
        )
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        return _build(hint, value)
    if not isinstance(hint, type):
        return value
    if issubclass(hint, StrEnum | Path):
        return hint(value)
    if hint is float and type(value) is int:
        return float(value)
    if type(value) is not hint:
        raise TypeError(f"{value!r:.40} is no {hint.__name__}")
    return value
