"""The card of a network to give away: what it takes, what it answers and how it was trained, as JSON. Without torch."""

import dataclasses
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from cmr_planes.system.json_text import readable_json
from cmr_planes.views import CardiacView
from cmr_train.choices import Head, Weights
from cmr_train.config import NetworkConfig, PlanConfig
from cmr_train.data.images import HIGH_PERCENT, LOW_PERCENT, MIN_DEVIATION, SAME_PIXELS, Grid
from cmr_train.errors import CheckpointError, ConfigError
from cmr_train.runs.identity import in_groups
from cmr_train.settings.fields import read_group, to_plain

CARD_NAME = "card.json"
"""What a network is and what it was trained on, for programs."""
ONNX_NAME, SAFETENSORS_NAME, TORCHSCRIPT_NAME = "model.onnx", "model.safetensors", "models/model.ts"
"""Files of an exported network; the last is that of a MONAI bundle."""
ONNX_SUFFIX, SAFETENSORS_SUFFIX = ".onnx", ".safetensors"
"""Of files that are networks without their folder: they hold their card."""
FORMAT, VERSION = "cmr-train network", 1
"""Of the card; cards of a larger number are refused."""
FILES_FIELD = "files"
"""Field of ``card.json``: the checksum of each file of weights beside it."""
TENSORS_FIELD = "tensors_sha256"
"""Field of a card: the checksum of the weights themselves, whatever file holds them."""
CARD_KEY = "cmr_train_card"
"""Under which a file of weights holds its card."""
INPUT, OUTPUT = "images", "logits"
"""Names of a network's input and output, where a form has such names."""
NOTICE = "For research only; not a medical device."
"""Stands on every card."""

_PERCENTILES = {"method": "percentiles", "becomes_0": LOW_PERCENT, "becomes_1": HIGH_PERCENT, "is_clipped": True}
_Z_SCORES = {
    "method": "z-score",
    "of": "one image: the box around its pixels that are not 0, before it is resampled",
    "least_standard_deviation": MIN_DEVIATION,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkCard:
    """What a program needs to use a network, and what a reader wants to know of it."""

    view: CardiacView
    """The view that the network knows."""
    head: Head
    """Its task."""
    outputs: tuple[int, ...]
    """The class that each output stands for, the background first."""
    classes: Mapping[int, str]
    """The classes that it finds, the background aside, and their names."""
    grid: Grid
    """The pixels on which it works."""
    network: NetworkConfig | PlanConfig
    """Its architecture."""
    weights: Weights
    """Whether these are the last or the best weights of its run."""
    iteration: int
    """Iterations after which they were saved."""
    tensors_sha256: str | None = None
    """Checksum of the weights themselves, the same in every form; None on a card of an earlier release."""
    about: Mapping[str, Any] = field(default_factory=dict)
    """For readers: training, data in numbers, scores, licence, versions."""

    @property
    def rotation_deg(self) -> float:
        """The angle by which the images that the network has learnt from were turned at most; 0 where that is not known."""
        found = self.about.get("training", {}).get("rotation_deg", 0.0)
        return float(found) if isinstance(found, int | float) else 0.0

    def to_json(self) -> dict[str, Any]:
        """Return what JSON can hold."""
        grid = self.grid
        return {
            "format": FORMAT,
            "version": VERSION,
            "notice": NOTICE,
            "view": self.view.value,
            "task": self.head.value,
            "outputs": [{"class": number, "name": self.classes.get(number, "background")} for number in self.outputs],
            "preprocessing": {
                "channels": 1,
                "pixel_mm": None if grid.pixel_mm is None else list(grid.pixel_mm),
                "same_pixels": SAME_PIXELS,
                "resampling": "linear about the centre of the image; probabilities are brought back in the same way",
                "matrix": list(grid.size),
                "multiples": list(grid.multiples),
                "placement": "zeros are added about the centre; a larger image enlarges the matrix to the next multiples",
                "intensities": _Z_SCORES if grid.is_z_scored else _PERCENTILES,
            },
            "network": {_network_key(type(self.network)): to_plain(dataclasses.asdict(self.network))},
            "weights": {
                "which": self.weights.value,
                "iteration": self.iteration,
                **({} if self.tensors_sha256 is None else {TENSORS_FIELD: in_groups(self.tensors_sha256)}),
            },
            "about": dict(self.about),
        }

    def to_text(self) -> str:
        """Return the JSON on several lines; a number that does not exist becomes null."""
        return f"{readable_json(self.to_json())}\n"

    @classmethod
    def from_json(cls, value: Any, where: str) -> Self:  # noqa: ANN401  # whatever a file holds
        """Read what :meth:`to_json` gave.

        Parameters
        ----------
        value
            The JSON.
        where
            The file that it comes from, for the message.

        Raises
        ------
        CheckpointError
            It is something else, or of a later release.
        """
        if not isinstance(value, Mapping) or value.get("format") != FORMAT:
            raise CheckpointError(f"{where} does not hold the card of a network that cmr-train exported")
        if not isinstance(value.get("version"), int) or value["version"] > VERSION:
            raise CheckpointError(f"{where} was exported by a later release of cmr-train; update this one")
        try:
            head = Head(value["task"])
            outputs = tuple(int(output["class"]) for output in value["outputs"])
            names = {int(output["class"]): str(output["name"]) for output in value["outputs"]}
            return cls(
                view=CardiacView(value["view"]),
                head=head,
                outputs=outputs,
                classes={number: name for number, name in names.items() if number},
                grid=_grid(value["preprocessing"]),
                network=_network(value["network"]),
                weights=Weights(value["weights"]["which"]),
                iteration=int(value["weights"]["iteration"]),
                tensors_sha256=_tensors_sha256(value["weights"]),
                about=dict(value["about"]),
            )
        except (KeyError, TypeError, ValueError, AttributeError, ConfigError) as error:
            raise CheckpointError(f"the card in {where} cannot be used: {type(error).__name__} {error}") from error

    @classmethod
    def from_text(cls, text: str | bytes, where: str) -> Self:
        """Read what :meth:`to_text` gave; parameters and errors as of :meth:`from_json`."""
        try:
            value = json.loads(text)
        except ValueError as error:
            raise CheckpointError(f"{where} does not hold the card of a network that cmr-train exported") from error
        return cls.from_json(value, where)


def read_card(folder: Path) -> NetworkCard:
    """Read the card in a folder; raises CheckpointError if there is none that can be used."""
    path = folder / CARD_NAME
    try:
        return NetworkCard.from_text(path.read_bytes(), repr(str(path)))
    except OSError as error:
        raise CheckpointError(f"{str(path)!r} cannot be read: {error}") from error


def _network_key(kind: type) -> str:
    return "nnunet_plan" if kind is PlanConfig else "unet"


def _network(value: Mapping[str, Any]) -> NetworkConfig | PlanConfig:
    """Read the architecture."""
    kinds: tuple[type[NetworkConfig | PlanConfig], ...] = (NetworkConfig, PlanConfig)
    (kind,) = (kind for kind in kinds if _network_key(kind) in value)
    return read_group(kind, value[_network_key(kind)])


def _tensors_sha256(weights: Mapping[str, Any]) -> str | None:
    """Read the checksum of the weights, which cards of earlier releases lack."""
    return str(weights[TENSORS_FIELD]).replace(" ", "") if TENSORS_FIELD in weights else None


def _grid(value: Mapping[str, Any]) -> Grid:
    """Read the preprocessing; a network that wants another one than this release knows is refused."""
    known = (_PERCENTILES, _Z_SCORES)
    if value["intensities"] not in known or value["same_pixels"] != SAME_PIXELS or value["channels"] != 1:
        raise ValueError("its preprocessing is not one that this release knows")
    rows, columns = (int(number) for number in value["matrix"])
    row_multiple, column_multiple = (int(number) for number in value["multiples"])
    pixel_mm = None if value["pixel_mm"] is None else tuple(float(edge) for edge in value["pixel_mm"])
    if min(rows, columns, row_multiple, column_multiple) < 1 or (pixel_mm and not all(0 < edge < math.inf for edge in pixel_mm)):
        raise ValueError("its matrix or pixel size is not positive")
    return Grid(
        (rows, columns),
        None if pixel_mm is None else (pixel_mm[0], pixel_mm[1]),
        (row_multiple, column_multiple),
        value["intensities"] == _Z_SCORES,
    )
