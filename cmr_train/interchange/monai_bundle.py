"""A network as a MONAI bundle: metadata, an inference configuration, TorchScript, and the pre- and postprocessing as scripts."""

import importlib.resources
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from cmr_planes.system.whole_file import write_whole
from cmr_train.interchange.card import CARD_NAME, NOTICE, TORCHSCRIPT_NAME, NetworkCard
from cmr_train.interchange.torchscript import script_of
from cmr_train.models.network import Network
from cmr_train.runs.files import write_json

METADATA_NAME, INFERENCE_NAME, README_NAME = "configs/metadata.json", "configs/inference.json", "docs/README.md"
"""Files that MONAI, or a reader, searches for."""
SCRIPTS = {"scripts/images.py": ("cmr_train.data", "images.py"), "scripts/steps.py": ("cmr_train.interchange", "bundle_steps.py")}
"""Files of the bundle that are modules of this package, by their package and name."""
FILES = (METADATA_NAME, INFERENCE_NAME, TORCHSCRIPT_NAME, README_NAME, "scripts/__init__.py", *SCRIPTS, CARD_NAME)
"""The files of a bundle."""
SCHEMA = "https://github.com/Project-MONAI/MONAI-extra-test-data/releases/download/0.8.1/meta_schema_20240725.json"
"""MONAI's schema of the metadata."""
PACKAGES = {"nibabel": "nibabel", "pytorch-ignite": "ignite", "scipy": "scipy"}
"""What a bundle needs besides MONAI, torch and numpy, and the names that MONAI knows it by."""
TESTED = {"monai": "1.6.1", "pytorch-ignite": "0.5.5", "nibabel": "5.4.2", "scipy": "1.17.1", "numpy": "2.4.6"}
"""Versions that stand in the metadata where a library is not installed: those that bundles are tested with."""


def write_bundle(model: Network, card: NetworkCard, folder: Path) -> None:
    """Write the files of a bundle but its card.

    Parameters
    ----------
    model
        The network.
    card
        Its card.
    folder
        The bundle's folder; made if it does not exist.

    Raises
    ------
    ShardError, OSError
        A file cannot be written.
    """
    script = script_of(model, card)
    (folder / CARD_NAME).unlink(missing_ok=True)  # it is written last: a bundle without it is not whole
    for name in FILES:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
    write_json(folder / METADATA_NAME, _metadata(card))
    write_json(folder / INFERENCE_NAME, _inference(card))
    write_whole(folder / TORCHSCRIPT_NAME, script)
    write_whole(folder / "scripts/__init__.py", b'"""Preprocessing and postprocessing of cmr-train."""\n')
    for name, (package, file) in SCRIPTS.items():
        text = importlib.resources.files(package).joinpath(file).read_text(encoding="utf-8")
        write_whole(folder / name, text.replace("from cmr_train.data.images import", "from scripts.images import").encode())
    write_whole(folder / README_NAME, _readme(card).encode())


def _metadata(card: NetworkCard) -> dict[str, Any]:
    """Return the metadata that MONAI asks for."""
    rows, columns = card.grid.multiples
    shape = [f"{rows}*n", f"{columns}*n"]
    value_range = [] if card.grid.is_z_scored else [0, 1]
    names = {str(place): card.classes.get(number, "background") for place, number in enumerate(card.outputs)}
    image = {
        "type": "image",
        "format": "magnitude",
        "modality": "MR",
        "num_channels": 1,
        "spatial_shape": shape,
        "dtype": "float32",
        "value_range": value_range,
        "is_patch_data": False,
        "channel_def": {"0": "image"},
    }
    pred = {
        "type": "image",
        "format": "segmentation",
        "num_channels": len(card.outputs),
        "spatial_shape": shape,
        "dtype": "float32",
        "value_range": [],
        "is_patch_data": False,
        "channel_def": names,
    }
    return {
        "schema": SCHEMA,
        "version": "1.0.0",
        "changelog": {"1.0.0": "exported by cmr-train"},
        "monai_version": _version("monai"),
        "pytorch_version": _version("torch"),
        "numpy_version": _version("numpy"),
        "optional_packages_version": {name: _version(package) for package, name in PACKAGES.items()},
        "required_packages_version": {name: _version(package) for package, name in PACKAGES.items()},
        "name": f"cmr-train {card.view.value} {card.head.value}",
        "task": f"{card.head.value} of {card.view.title} cine MR images of the heart",
        "description": f"Finds {', '.join(card.classes.values())} on {card.view.title} images. {NOTICE}",
        "authors": "not stated",
        "copyright": str(card.about.get("licence", "not stated")),
        "intended_use": NOTICE,
        "network_data_format": {"inputs": {"image": image}, "outputs": {"pred": pred}},
    }


def _inference(card: NetworkCard) -> dict[str, Any]:
    """Return the configuration that ``python -m monai.bundle run`` carries out."""
    grid = card.grid
    return {
        "imports": ["$import glob", "$import os", "$import torch"],
        "bundle_root": ".",
        "dataset_dir": "$@bundle_root + '/images'",
        "output_dir": "$@bundle_root + '/labels'",
        "datalist": "$sorted(glob.glob(os.path.join(@dataset_dir, '*.nii*')))",
        "device": "$torch.device('cuda' if torch.cuda.is_available() else 'cpu')",
        "grid": {
            "_target_": "scripts.images.Grid",
            "size": f"${grid.size}",
            "pixel_mm": f"${grid.pixel_mm}",
            "multiples": f"${grid.multiples}",
            "is_z_scored": grid.is_z_scored,
        },
        "network_def": f"$torch.jit.load(@bundle_root + '/{TORCHSCRIPT_NAME}', map_location=@device)",
        "network": "$@network_def.to(@device)",
        "preprocessing": {
            "_target_": "Compose",
            "transforms": [
                {"_target_": "LoadImaged", "keys": "image", "reader": "NibabelReader"},
                {"_target_": "scripts.steps.Prepared", "keys": ["image"], "grid": "@grid"},
            ],
        },
        "dataset": {"_target_": "Dataset", "data": "$[{'image': path} for path in @datalist]", "transform": "@preprocessing"},
        "dataloader": {"_target_": "DataLoader", "dataset": "@dataset", "batch_size": 1, "shuffle": False, "num_workers": 0},
        "inferer": {"_target_": "scripts.steps.EachSlice"},
        "postprocessing": {
            "_target_": "Compose",
            "transforms": [
                {
                    "_target_": "scripts.steps.Restored",
                    "keys": ["pred"],
                    "image": "image",
                    "grid": "@grid",
                    "outputs": list(card.outputs),
                },
                {
                    "_target_": "SaveImaged",
                    "keys": "pred",
                    "output_dir": "@output_dir",
                    "output_postfix": "labels",
                    "output_dtype": "$torch.uint8",
                    "resample": False,
                    "separate_folder": False,
                },
            ],
        },
        "evaluator": {
            "_target_": "SupervisedEvaluator",
            "device": "@device",
            "val_data_loader": "@dataloader",
            "network": "@network",
            "inferer": "@inferer",
            "postprocessing": "@postprocessing",
        },
        "initialize": [],
        "run": ["$@evaluator.run()"],
    }


def _readme(card: NetworkCard) -> str:
    """Return what a reader of the bundle wants to know first."""
    classes = ", ".join(f"{number} {name}" for number, name in card.classes.items())
    return f"""# A network for {card.view.title} images

{NOTICE}

It finds: 0 background, {classes}. Put NIfTI volumes of one phase each, in columns, rows and slices as scanners and cmr-planes write
them, into `images`, and run in this folder:

    python -m monai.bundle run --config_file configs/inference.json --meta_file configs/metadata.json

Label maps come into `labels`. Images are not mirrored or turned: rows and columns must be those of the scanner. `card.json` says
how images are prepared, in numbers, and what the network was trained on. Licence: {card.about.get("licence", "not stated")}
"""


def _version(package: str) -> str:
    """Return the version of a package here, or else that which bundles are tested with."""
    try:
        return version(package).partition("+")[0]
    except PackageNotFoundError:
        return TESTED.get(package, "not known")
