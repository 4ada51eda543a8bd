"""Runs whose network is known: it calls every pixel above a threshold one class, and all else background.

With such a network everything around it, from the catalogue to the numbers, can be checked without training.
"""

from pathlib import Path
from typing import Any

import torch

from cmr_planes.shards.catalogue import Catalogue
from cmr_planes.views import CardiacView
from cmr_train.choices import Recipe, TransferMode
from cmr_train.data.pixel_sizes import PixelSizes, spacings_of
from cmr_train.data.splits import Split
from cmr_train.models.unet import UNet
from cmr_train.presets import configure
from cmr_train.runs.checkpoint import save_checkpoint
from cmr_train.runs.files import write_json
from cmr_train.runs.folder import CATALOGUES_FIELD, CONFIG_NAME, FINAL_NAME, PIXEL_FIELD, SPLIT_NAME
from cmr_train.runs.identity import CatalogueIdentity
from cmr_train.runs.run import make_network


def write_run(
    folder: Path,
    *,
    data: Path = Path("out.h5"),
    threshold: float = 0.5,
    found: int = 1,
    recipe: Recipe = Recipe.FINETUNE,
    view: CardiacView = CardiacView.SAX,
    trained_on: tuple[str, ...] = (),
    pixel_mm: tuple[float, float] | None = None,
    **given: Any,
) -> Path:
    """Write a finished run; ``given`` are fields of its configuration.

    Its pixels are those of its catalogue; without one and without ``pixel_mm``, it is as one of an earlier release.
    """
    settings = {"rows": 48, "columns": 48, "base_channels": 2, "levels": 1, "fractions": (0.0, 0.0, 1.0)} | given
    settings = {"unlabelled_held_back": 1.0} | settings
    if recipe is Recipe.FINETUNE:
        settings["mode"] = TransferMode.SCRATCH
    config = configure(recipe, data=data, view=view, **settings)
    model = make_network(config)
    make_threshold(model, config.head.value, threshold, config.class_numbers(config.head).index(found))
    folder.mkdir(parents=True)
    identity = CatalogueIdentity(path=data, sha256="")
    if data.is_file():
        with Catalogue(data) as catalogue:
            identity = CatalogueIdentity.of(catalogue)
            spacings_mm = spacings_of(catalogue, catalogue.index(view))
            if pixel_mm is None and len(spacings_mm):
                pixel_mm = PixelSizes.of(spacings_mm).median_mm
    stored = {"config": config.to_json(), CATALOGUES_FIELD: {config.head.value: identity.to_json()}}
    write_json(folder / CONFIG_NAME, stored if pixel_mm is None else stored | {PIXEL_FIELD: pixel_mm})
    write_json(folder / SPLIT_NAME, Split(train=trained_on, validation=(), test=()).to_json())
    save_checkpoint(folder / FINAL_NAME, {"model": model.state_dict()})
    return folder


@torch.no_grad()
def make_threshold(model: UNet, head: str, threshold: float, found: int) -> None:
    """Lead the image unchanged through the first channel of every convolution at full resolution, past the deeper levels."""
    for name, parameter in model.named_parameters():
        if "convolutions" in name or name.startswith(("encoder", "heads")):
            is_scale = parameter.ndim == 1 and name.endswith("weight")
            parameter.fill_(1.0 if is_scale else 0.0)
    first, last = model.encoder[0], model.decoder[-1].convolutions
    for block in (first, last):
        for convolution in (block[0], block[3]):
            convolution.weight[0, 0, 1, 1] = 1.0
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_var.fill_(1.0 - module.eps)
    output = model.heads[head]
    output.weight[found, 0] = 1.0
    output.bias[found] = -threshold
    others = torch.tensor([number not in (0, found) for number in range(len(output.bias))])
    output.bias[others] = -10.0
