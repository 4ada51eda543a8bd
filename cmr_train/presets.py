"""From a preset and what the user gave to a configuration, with every problem named at once. Nothing here imports torch."""

import dataclasses
import difflib
from collections.abc import Iterable, Mapping
from typing import Any

from cmr_train.choices import LossKind, Preset, Recipe, Schedule, TransferMode
from cmr_train.config import GROUPS, DataConfig, NetworkConfig, RunConfig, RuntimeConfig, TrainingConfig, TransferConfig
from cmr_train.errors import ConfigError

PRESETS: dict[Preset, dict[str, Any]] = {
    Preset.PAPER: {},
    Preset.QUICK: {
        "base_channels": 8,
        "batch_size": 10,
        "iterations": 300,
        "learning_rate": 0.01,
        "schedule": Schedule.ONE_CYCLE,
        "loss": LossKind.WEIGHTED,
        "checkpoint_every": 100,
    },
}
"""What a preset sets otherwise than the defaults, which are the paper's."""


def configure(recipe: Recipe, preset: Preset = Preset.PAPER, **given: Any) -> RunConfig:  # noqa: ANN401  # values of any field
    """Resolve a configuration: the preset, then what was given.

    Parameters
    ----------
    recipe
        What is trained.
    preset
        Where the defaults come from.
    given
        Fields of any group, by name; None means not given.

    Raises
    ------
    ConfigError
        A name is unknown or a value cannot be used; every problem is listed.
    """
    values = PRESETS[preset] | {name: value for name, value in given.items() if value is not None}
    groups: dict[str, dict[str, Any]] = {name: {} for name in GROUPS}
    homes = {each.name: group for group, kind in GROUPS.items() for each in dataclasses.fields(kind)}
    unknown = [name for name in values if name not in homes]
    if unknown:
        raise ConfigError([_unknown(name, homes) for name in unknown])
    for name, value in values.items():
        groups[homes[name]][name] = value
    config = RunConfig(
        recipe=recipe,
        preset=preset,
        data=DataConfig(**groups["data"]),
        network=NetworkConfig(**groups["network"]),
        training=TrainingConfig(**groups["training"]),
        transfer=TransferConfig(**groups["transfer"]) if recipe is Recipe.FINETUNE else None,
        runtime=RuntimeConfig(**groups["runtime"]),
    )
    found = problems(config)
    if found:
        raise ConfigError(found)
    return config


LARGEST = {"--rows": 4096, "--columns": 4096, "--base-channels": 4096, "--levels": 8}
"""Sizes beyond which no network for cardiac images goes."""


def problems(config: RunConfig) -> list[str]:
    """Return what cannot be carried out, one sentence each."""
    data, training, runtime = config.data, config.training, config.runtime
    positive = {
        "--rows": data.rows,
        "--columns": data.columns,
        "--base-channels": config.network.base_channels,
        "--levels": config.network.levels,
        "--iterations": training.iterations,
        "--batch-size": training.batch_size,
        "--learning-rate": training.learning_rate,
        "--checkpoint-every": runtime.checkpoint_every,
        "--log-every": runtime.log_every,
        "--subjects": 1 if data.subjects is None else data.subjects,
        "--resample-mm": 1 if data.resample_mm is None else data.resample_mm,
        "--threads": 1 if runtime.threads is None else runtime.threads,
        "--beta": 1 if config.transfer is None else config.transfer.beta,
    }
    found = [f"{name} must be more than 0, got {value}" for name, value in positive.items() if not value > 0]
    found += [f"{name} must be at most {most}, got {positive[name]}" for name, most in LARGEST.items() if positive[name] > most]
    if min(data.fractions) < 0 or abs(sum(data.fractions) - 1) > 1e-9:  # the error of adding decimal fractions
        found.append(f"the fractions of the split must be 0 or more and sum to 1, got {data.fractions}")
    if not 0 <= training.rotation_deg <= 180:  # half a turn
        found.append(f"--rotation must be 0 to 180 degrees, got {training.rotation_deg}")
    if not 0 <= training.scaling < 1:
        found.append(f"--scaling must be 0 or more and less than 1, got {training.scaling}")
    found += [
        f"{name} must be 0 or more, got {value}"
        for name, value in {
            "--gamma": training.gamma,
            "--noise": training.noise,
            "--workers": runtime.workers,
            "--validate-every": runtime.validate_every,
        }.items()
        if not value >= 0
    ]
    is_small = config.network.levels <= LARGEST["--levels"]
    if is_small and training.batch_size == 1 and min(config.image_size) == 1 << config.network.levels:
        found.append("one image of one pixel at the lowest level has no statistics to normalise by; use a larger --batch-size")
    if config.transfer is not None and not 0 <= config.transfer.annotated_share < 1:
        found.append(f"--annotated-share must be 0 or more and less than 1, got {config.transfer.annotated_share}")
    if config.transfer is not None and config.transfer.mode is TransferMode.SCRATCH and config.transfer.pretext is not None:
        found.append("--pretext has no use with --mode scratch; leave one of them out")
    return found


def differences(saved: RunConfig, wanted: Mapping[str, Any]) -> list[str]:
    """Return which wanted values differ from those of a run that was begun, save for how it runs.

    Parameters
    ----------
    saved
        The configuration of the run.
    wanted
        Fields of any group, by name; None means not asked for.
    """
    stored = {name: value for group in ("data", "network", "training", "transfer") for name, value in _fields(saved, group)}
    return [
        f"--{name.replace('_', '-')} is {stored[name]} in this run, and {value} was asked for"
        for name, value in wanted.items()
        if value is not None and name in stored and stored[name] != value
    ]


def _fields(config: RunConfig, group: str) -> list[tuple[str, Any]]:
    values = getattr(config, group)
    return [] if values is None else [(each.name, getattr(values, each.name)) for each in dataclasses.fields(values)]


def _unknown(name: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(name, list(known), n=1)
    return f"there is no setting {name!r}" + (f"; did you mean {close[0]!r}?" if close else "")
