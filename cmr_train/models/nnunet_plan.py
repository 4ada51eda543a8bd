"""Plans of nnU-Net: what a configuration of ``nnUNetPlans.json`` says of its network and its images. Nothing here imports torch."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cmr_train.config import PlanConfig
from cmr_train.errors import ConfigError

AXES = [0, 1, 2]
"""Slices, rows and columns in nnU-Net's order, where it leaves them."""
Z_SCORE = "ZScoreNormalization"
"""nnU-Net's name of the only normalisation that is supported."""


def read_plan(path: Path, configuration: str = "2d") -> PlanConfig:
    """Read a two-dimensional configuration of an nnU-Net plan.

    Parameters
    ----------
    path
        ``nnUNetPlans.json``, as ``nnUNetv2_plan_and_preprocess`` writes it into ``nnUNet_preprocessed/DatasetNNN_NAME``.
    configuration
        The configuration's name.

    Raises
    ------
    ConfigError
        The file is no plan of nnU-Net 2.4 or later, or its configuration cannot be used for images of one channel.
    """
    name = str(path)
    try:
        plan = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError([f"{name!r} is no plan of nnU-Net: {error}"]) from error
    configurations = plan.get("configurations") if isinstance(plan, dict) else None
    if not isinstance(configurations, dict):
        raise ConfigError([f"{name!r} is no plan of nnU-Net: it has no configurations"])
    axes = plan.get("transpose_forward", AXES)
    if axes != AXES:
        raise ConfigError(
            [
                f"{name!r} exchanges the axes of volumes (transpose_forward {axes}), so that its 2D images are not the acquired "
                "slices, from which positions are learnt; plan images whose slices are farther apart than their pixels"
            ]
        )
    values = _resolved(name, configurations, configuration)
    if "architecture" not in values:
        raise ConfigError(
            [f"{name!r} was written by an nnU-Net before 2.4: its configuration {configuration!r} has no architecture; plan again"]
        )
    try:
        return _plan_of(name, configuration, values)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ConfigError(
            [f"configuration {configuration!r} of {name!r} does not hold what nnU-Net writes there: {type(error).__name__} {error}"]
        ) from error


def plan_differences(first: PlanConfig, second: PlanConfig) -> list[str]:
    """Return what differs between two plans, in words; nothing where a network of the one fits the other in every respect."""
    found = []
    names = {
        "network": (_class_of(first), _class_of(second)),
        "patch_size": (first.patch_size, second.patch_size),
        "spacing": (first.spacing_mm, second.spacing_mm),
        **{name: (first.arguments.get(name), second.arguments.get(name)) for name in sorted({*first.arguments, *second.arguments})},
    }
    for name, (one, other) in names.items():
        if one != other:
            found.append(f"{name} is {_shown(one)} and {_shown(other)}")
    return found


def _plan_of(name: str, configuration: str, values: Mapping[str, Any]) -> PlanConfig:
    """Return what a resolved configuration says."""
    patch_size, spacing_mm, architecture = tuple(values["patch_size"]), tuple(values["spacing"]), values["architecture"]
    if len(patch_size) != 2:  # rows and columns
        raise ConfigError(
            [
                f"configuration {configuration!r} of {name!r} has patches of {len(patch_size)} axes; the positions are learnt from "
                "2D images, so that a 2D configuration is needed"
            ]
        )
    schemes, masked = list(values["normalization_schemes"]), list(values.get("use_mask_for_norm", ()))
    if schemes != [Z_SCORE]:
        raise ConfigError(
            [
                f"configuration {configuration!r} of {name!r} normalises {len(schemes)} channels by "
                f"{', '.join(map(str, schemes))}; one channel and {Z_SCORE} are expected, as nnU-Net plans "
                "them for a single channel that is not called CT"
            ]
        )
    if any(masked):
        raise ConfigError(
            [
                f"configuration {configuration!r} of {name!r} normalises inside a mask (use_mask_for_norm), which is not "
                "supported; plan with images that are not cut out"
            ]
        )
    return PlanConfig(
        configuration=configuration,
        network_class=str(architecture["network_class_name"]),
        arguments=dict(architecture["arch_kwargs"]),
        patch_size=(int(patch_size[0]), int(patch_size[1])),
        spacing_mm=(float(spacing_mm[0]), float(spacing_mm[1])),
    )


def _resolved(name: str, configurations: Mapping[str, Any], wanted: str) -> dict[str, Any]:
    """Return a configuration with the values that it inherits from others."""
    values: dict[str, Any] = {}
    chain: list[str] = []
    parent: str | None = wanted
    while parent is not None:
        if parent in chain or not isinstance(configurations.get(parent), dict):
            known = ", ".join(map(str, configurations))
            raise ConfigError([f"{name!r} has no configuration {parent!r} that can be used; it has {known}"])
        chain.append(parent)
        values = {**configurations[parent], **values}
        inherits_from = configurations[parent].get("inherits_from")
        parent = None if inherits_from is None else str(inherits_from)
    return values


def _class_of(plan: PlanConfig) -> str:
    return plan.network_class.rpartition(".")[2]


def _shown(value: object) -> str:
    return "missing" if value is None else json.dumps(value)
