"""From a preset and what the user gave to a configuration, with every problem named at once. Nothing here imports torch."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from cmr_planes.system.suggestion import suggest
from cmr_planes.views import CardiacView
from cmr_train.choices import (
    AugmentationKind,
    DecoderSharing,
    LossKind,
    Norm,
    Preset,
    PretextTarget,
    Recipe,
    Resampling,
    Schedule,
    Sharing,
    TransferMode,
)
from cmr_train.config import (
    GROUPS,
    INHERITED,
    PATCHES,
    SETTINGS,
    VIEW_STRUCTURES,
    PlanConfig,
    RunConfig,
    TrainingConfig,
    TransferConfig,
    are_shares,
)
from cmr_train.errors import ConfigError, SettingProblem
from cmr_train.settings.fields import settings_of, to_plain

_QUICK = {
    "base_channels": 8,
    "batch_size": 10,
    "iterations": 300,
    "learning_rate": 0.01,
    "schedule": Schedule.ONE_CYCLE,
    "checkpoint_every": 100,
    "resample_mm": Resampling.AUTO,
}
PRESETS: dict[Preset, dict[Recipe, dict[str, Any]]] = {
    Preset.PAPER: {recipe: {} for recipe in Recipe},
    Preset.QUICK: {
        Recipe.PRETEXT: _QUICK | {"loss": LossKind.WEIGHTED},
        Recipe.FINETUNE: _QUICK | {"loss": LossKind.DICE, "decoder": DecoderSharing.PER_TASK},
    },
}
"""Settings of each recipe in which a preset differs from the defaults, which are the paper's."""

AUGMENTATIONS: dict[AugmentationKind, dict[str, float]] = {
    AugmentationKind.PAPER: {},
    AugmentationKind.STRONG: {"rotation_deg": 30.0, "scaling": 0.3, "gamma": 0.5, "noise": 0.05, "blur": 1.0},
}
"""Settings in which an augmentation differs from the defaults."""


def configure(
    recipe: Recipe,
    preset: Preset = Preset.PAPER,
    *,
    plan: PlanConfig | None = None,
    **given: Any,  # noqa: ANN401  # values of any field
) -> RunConfig:
    """Resolve a configuration: the preset, then the augmentation, then what was given.

    Parameters
    ----------
    recipe
        The task to train.
    preset
        Source of the defaults.
    plan
        The nnU-Net plan whose network the run has; its patch size and spacing are the defaults of the matrix and the pixel size.
    given
        Settings by name, typed or plain (``view="sax"``); None means not given.

    Raises
    ------
    ConfigError
        A name is unknown or a value cannot be used; every problem is listed.
    """
    parsed = parse_settings(given)
    values = PRESETS[preset][recipe] | _of_plan(plan, parsed) | parsed
    augmentation = AUGMENTATIONS[values.get("augmentation", AugmentationKind.PAPER)]
    config = _with_structures(_grouped(recipe, preset, plan, augmentation | values))
    found = problems(config)
    if found:
        raise ConfigError(found)
    return config


def iterations_of(recipe: Recipe, preset: Preset) -> int:
    """Return the number of iterations that a preset has for a recipe."""
    iterations: int = PRESETS[preset][recipe].get("iterations", TrainingConfig().iterations)
    return iterations


def _of_plan(plan: PlanConfig | None, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings that come from a plan; raises ConfigError if some that a plan decides were given."""
    if plan is None:
        return {}
    found = [
        SettingProblem(name, "cannot be given with an nnU-Net plan, which decides the network")
        for name in INHERITED["network"]
        if name in given
    ]
    if given.get("resample_mm", Resampling.AUTO) is not Resampling.AUTO:
        found.append(SettingProblem("resample_mm", "cannot be given with an nnU-Net plan, which has a spacing of its own"))
    if found:
        raise ConfigError(found)
    rows, columns = plan.patch_size
    return {"rows": rows, "columns": columns, "resample_mm": Resampling.AUTO}


def parse_settings(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings that were given, each of its type; parameters as :func:`configure`.

    Raises
    ------
    ConfigError
        A name is unknown or a value is not allowed; every problem is listed.
    """
    found: list[SettingProblem | str] = []
    values: dict[str, Any] = {}
    for name, value in given.items():
        if name not in SETTINGS:
            found.append(f"there is no setting {name!r}{suggest(name, SETTINGS)}")
        elif value is not None:
            try:
                values[name] = SETTINGS[name].parse(value)
            except ValueError as error:
                found.append(SettingProblem(name, f"must be {error}"))
    if found:
        raise ConfigError(found)
    return values


def problems(config: RunConfig) -> list[SettingProblem]:
    """Return the settings that cannot be used together, each of which is allowed alone."""
    found = []
    if not are_shares(config.data.fractions):
        found.append(SettingProblem("fractions", f"must sum to 1, got {config.data.fractions}"))
    found += _problems_of_target(config)
    network, has_single_pixel = config.network, config.image_size == config.multiples
    if config.plan is not None:
        return [*found, *_plan_problems(config, config.plan), *_transfer_problems(config)]
    if network.norm is Norm.BATCH and config.training.batch_size == 1 and has_single_pixel:
        found.append(SettingProblem("batch_size", "must be 2 or more where images have a single pixel at the lowest level, got 1"))
    if network.norm is not Norm.BATCH and has_single_pixel:
        found.append(
            SettingProblem("norm", f"must be 'batch' where images have a single pixel at the lowest level, got {network.norm}")
        )
    transfer = config.transfer
    if transfer is not None and transfer.normalisation is Sharing.SEPARATE and network.norm is not Norm.BATCH:
        found.append(
            SettingProblem("normalisation", f"cannot be 'separate' with norm '{network.norm}', which has no running statistics")
        )
    return [*found, *_transfer_problems(config)]


def _plan_problems(config: RunConfig, plan: PlanConfig) -> list[SettingProblem]:
    """Return the settings that cannot be used with the network of a plan."""
    found = [
        SettingProblem(name, "must be 0 with an nnU-Net plan: it is for intensities of 0 to 1, and those of the plan are z-scores")
        for name in ("gamma", "noise")
        if getattr(config.training, name) > 0
    ]
    if config.image_size == plan.multiples:
        found.append(SettingProblem("rows", "and columns leave a single pixel at the lowest level of the plan's network"))
    transfer = config.transfer
    if transfer is not None and transfer.normalisation is Sharing.SEPARATE and not plan.has_running_statistics:
        found.append(SettingProblem("normalisation", "cannot be 'separate': the plan's network has no running statistics"))
    return found


def _transfer_problems(config: RunConfig) -> list[SettingProblem]:
    """Return the settings of a transfer that cannot be used together."""
    found = []
    view, known = config.data.view, VIEW_STRUCTURES[config.data.view]
    absent = ", ".join(structure.title for structure in config.structures if structure not in known)
    if absent:
        names = ", ".join(structure.title for structure in known)
        found.append(SettingProblem("structures", f"cannot be {absent}: the view {view.title} has {names}"))
    transfer = config.transfer
    if transfer is not None and transfer.mode is TransferMode.SCRATCH and transfer.pretext is not None:
        found.append(SettingProblem("pretext", "has no use in mode 'scratch'; leave it out, or choose another mode"))
    return found


def _problems_of_target(config: RunConfig) -> list[SettingProblem]:
    """Return why the target of the pretext task cannot be learnt with the other settings."""
    if config.pretext is None:
        return []
    target, found = config.pretext.target, []
    if config.traits.needs_stack and config.data.view is not CardiacView.SAX:
        found.append(
            SettingProblem(
                "target", f"cannot be '{target}' on {config.data.view.title}: only {CardiacView.SAX.title} is a stack of slices"
            )
        )
    if config.traits.is_pooled and config.plan is not None:
        found.append(SettingProblem("target", f"cannot be '{target}' with an nnU-Net plan, whose decoder it would leave untrained"))
    if target is PretextTarget.MASKED and min(config.image_size) < PATCHES:
        found.append(
            SettingProblem(
                "target", f"cannot be '{target}' on a matrix of fewer than {PATCHES} rows or columns, got {config.image_size}"
            )
        )
    return found


def differences(saved: RunConfig, wanted: Mapping[str, Any]) -> list[SettingProblem]:
    """Return which wanted values differ from those of a run that was begun, save for how it runs.

    Parameters
    ----------
    saved
        The configuration of the run.
    wanted
        Settings by name, typed; None means not given.
    """
    groups = (getattr(saved, name) for name in GROUPS if name != "runtime")
    stored = {name: value for group in groups if group is not None for name, value in _values(group).items()}
    return [
        SettingProblem(
            name,
            f"is {_shown(stored[name])} in this run, not {_shown(value)}; leave it out to resume the run, or overwrite the run",
        )
        for name, value in wanted.items()
        if value is not None and name in stored and stored[name] != value
    ]


def _shown(value: object) -> str:
    """Write a value as an option takes it."""
    plain = to_plain(value)
    return ",".join(map(str, plain)) if isinstance(plain, list) else str(plain)


def _with_structures(config: RunConfig) -> RunConfig:
    """Name the structures to segment, each once, in the order of their numbers."""
    if config.transfer is None:
        return config
    structures = tuple(sorted(set(config.structures)))
    return dataclasses.replace(config, transfer=dataclasses.replace(config.transfer, structures=structures))


def _grouped(recipe: Recipe, preset: Preset, plan: PlanConfig | None, values: Mapping[str, Any]) -> RunConfig:
    """Put each value into its group, of those that the run has."""
    wanted = {*GROUPS} - ({"transfer"} if recipe is Recipe.PRETEXT else set())
    if recipe is Recipe.FINETUNE and values.get("mode", TransferConfig().mode) is not TransferMode.MULTITASK:
        wanted.remove("pretext")
    groups = {
        name: kind(**{setting: values[setting] for setting in settings_of(kind) if setting in values})
        for name, kind in GROUPS.items()
        if name in wanted
    }
    return RunConfig(recipe=recipe, preset=preset, plan=plan, **groups)


def _values(group: object) -> dict[str, Any]:
    return {name: getattr(group, name) for name in settings_of(type(group))}
