"""The options that commands share: those of a training, made from the settings of :mod:`cmr_train.config`, and those of a run."""

import functools
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from types import UnionType
from typing import Any, TypeVar, get_args, get_origin

import click
from click.core import ParameterSource

from cmr_planes.errors import ExitCode
from cmr_planes.terminal.console import say
from cmr_planes.terminal.numbers import ANY, WHOLE
from cmr_planes.terminal.options import EnumChoice, UserPath, json_option, key_file, quiet_option
from cmr_planes.views import CardiacView
from cmr_train.choices import AugmentationKind, DeviceKind, Preset, Weights
from cmr_train.config import DataConfig, NetworkConfig, PretextConfig, RuntimeConfig, TrainingConfig, TransferConfig
from cmr_train.errors import ConfigError, SettingProblem
from cmr_train.presets import AUGMENTATIONS, PRESETS
from cmr_train.settings.fields import Setting, settings_of, without_none

Command = TypeVar("Command", bound=Callable[..., Any])

RUNS = Path("runs")
"""Folder of the runs, where none is given."""

PATH = UserPath()
RUN = UserPath(exists=True, file_okay=False)
"""Type of an argument or option: the folder of a run."""


def setting_option(setting: Setting) -> Callable[[Command], Command]:
    """Make the option of a setting: its flags, type, help and defaults; the command gets None where it is not given."""
    bounds = f"; {setting.allowed}" if setting.interval is not None and setting.interval.is_bounded else ""
    text = f"{setting.help}  [default: {_default_of(setting)}{bounds}]"
    flags, kind = setting.flags, _kind_of(setting)
    if kind is bool:
        return click.option(f"{flags[0]}/--no-{flags[0].removeprefix('--')}", setting.name, is_flag=True, default=None, help=text)
    if get_origin(kind) is not tuple:
        metavar = _metavar_of(setting, kind)
        return click.option(*flags, setting.name, type=kind, default=None, help=text, metavar=metavar)
    item, *others = get_args(kind)
    one = _metavar_of(setting, item) or "NAME"
    if others == [...]:
        return click.option(*flags, setting.name, default=None, help=text, metavar=f"{one},{one},…")  # text with commas
    length = len(others) + 1
    return click.option(*flags, setting.name, type=item, nargs=length, default=None, help=text, metavar=" ".join([one] * length))


def setting_options(settings: Mapping[str, Setting]) -> tuple[Callable[[Command], Command], ...]:
    """Make the options of several settings, in their order."""
    return tuple(setting_option(setting) for setting in settings.values())


def _metavar_of(setting: Setting, kind: Any) -> str | None:  # noqa: ANN401  # as of _kind_of
    """Return what stands for a number in the help, with the words that may take its place; None where click has a name for it."""
    number = {"mm": "MM", "pixels": "PX", "degrees": "DEG"}.get(setting.unit, WHOLE if kind is int else ANY)
    if isinstance(setting.kind, UnionType) and len(without_none(setting.kind)) > 1:
        return "|".join([number, *without_none(setting.kind)[1]])
    return number if kind in (int, float) else None


def _kind_of(setting: Setting) -> Any:  # noqa: ANN401  # a type, or one of click's
    """Return the type that an option of a setting has for click."""
    kind = setting.kind
    if isinstance(kind, UnionType):
        kinds = without_none(kind)
        if len(kinds) > 1:
            return str  # the setting tells a number from a word
        kind = kinds[0]
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        return EnumChoice([member for member in kind if member in (setting.members or kind)])
    return PATH if kind is Path else kind


def _default_of(setting: Setting) -> str:
    """Return the default in words: the paper's, and those of the quick preset and of strong augmentation where they differ."""
    default = setting.default_text or _shown(setting.default, "," if ... in get_args(setting.kind) else " ")
    strong, name = AUGMENTATIONS[AugmentationKind.STRONG], setting.name
    quick = {recipe: _shown(values[name]) for recipe, values in PRESETS[Preset.QUICK].items() if name in values}
    parts = [default]
    if len({*quick.values()}) == 1:
        parts.append(f"quick: {next(iter(quick.values()))}")
    elif quick:
        parts.append(f"quick: {', '.join(f'{value} ({recipe})' for recipe, value in quick.items())}")
    if name in strong:
        parts.append(f"strong: {_shown(strong[name])}")
    return "; ".join(parts)


def _shown(value: Any, separator: str = " ") -> str:  # noqa: ANN401  # of any setting
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, tuple):
        return separator.join(str(item) for item in value)
    return f"{value:,}" if type(value) is int else str(value)


_DATA = settings_of(DataConfig)
_CATALOGUE = {name: _DATA[name] for name in ("data", "view")}

RUN_OPTIONS = (
    *setting_options(_CATALOGUE),
    click.option("--out", type=PATH, default=None, help="Folder of the run.  [default: runs/, the task and the view]"),
    click.option(
        "--preset",
        type=EnumChoice([*Preset]),
        default=Preset.PAPER.value,
        show_default=True,
        help="Source of the defaults: the paper, or a small network and a short run.",
    ),
    click.option("--resume", is_flag=True, help="Resume the run in --out; start it if there is none."),
    click.option("--overwrite", is_flag=True, help="Delete the run in --out and start over."),
    click.option("--dry-run", is_flag=True, help="Print the configuration as JSON, and do nothing."),
    json_option(),
    quiet_option,
)
TRAINING_OPTIONS = setting_options(settings_of(TrainingConfig))
NETWORK_OPTIONS = setting_options(settings_of(NetworkConfig))
DATA_OPTIONS = setting_options({name: setting for name, setting in _DATA.items() if name not in _CATALOGUE})
RUNTIME_OPTIONS = setting_options(settings_of(RuntimeConfig))
PRETEXT_OPTIONS = setting_options(settings_of(PretextConfig))
TRANSFER_OPTIONS = setting_options(settings_of(TransferConfig))

SECTIONS = {
    "Data": _DATA.keys(),
    "Pretext task": settings_of(PretextConfig).keys(),
    "Transfer": settings_of(TransferConfig).keys(),
    "Network": {"plans", "configuration", *settings_of(NetworkConfig)},
    "Training": settings_of(TrainingConfig).keys(),
    "Machine": settings_of(RuntimeConfig).keys(),
}
"""Headings in the help of a training, and the parameters below them."""

run_argument = click.argument("run", metavar="RUN", type=RUN)
"""The trained run that a command is about."""
device_option = click.option(
    "--device", type=EnumChoice([*DeviceKind]), default=DeviceKind.AUTO.value, show_default=True, help="Device (CPU or GPU)."
)
"""``--device``: where a trained network computes."""
weights_option = click.option(
    "--weights",
    type=EnumChoice([*Weights]),
    default=Weights.LAST.value,
    show_default=True,
    help="After the last iteration, or of the best validation (--validate-every).",
)
"""``--weights``: which of a run's weights are used."""


people_key_option = click.option(
    "--people-key",
    type=UserPath(exists=True, dir_okay=False),
    callback=key_file,
    help="Key file with which the network, or its pretext, was exported; it shows which of these participants it has seen."
    "  [default: none]",
)
"""``--people-key``: what makes the keyed hashes of an exported network comparable."""


def unfinished_option(verb: str) -> Callable[[Command], Command]:
    """Make ``--unfinished``; the verb says what the command does with a run."""
    return click.option("--unfinished", is_flag=True, help=f"{verb} an unfinished run too.")


def with_options(*groups: Sequence[Callable[[Command], Command]]) -> Callable[[Command], Command]:
    """Give a command some groups of options, in their order."""

    def decorate(command: Command) -> Command:
        for option in reversed([option for group in groups for option in group]):
            command = option(command)
        return command

    return decorate


def lists_problems(command: Callable[..., ExitCode]) -> Callable[..., ExitCode]:
    """Turn a configuration that cannot be carried out into a list of its problems and the exit code of bad arguments."""

    @functools.wraps(command)
    def run(**options: Any) -> ExitCode:  # noqa: ANN401  # the command's options
        try:
            return command(**options)
        except ConfigError as error:
            for problem in error.problems:
                say(f"Error: {in_options(problem)}", style="red")
            return ExitCode.BAD_ARGUMENTS

    return run


def in_options(problem: SettingProblem | str) -> str:
    """Return a problem as a sentence that names the option, if one of the running command gave the setting its value."""
    if isinstance(problem, str):
        return problem
    context = click.get_current_context()
    is_named = problem.is_missing or context.get_parameter_source(problem.setting) is ParameterSource.COMMANDLINE
    options = [" / ".join(option.opts) for option in context.command.params if is_named and option.name == problem.setting]
    return f"{options[0]} {problem.sentence}" if options else str(problem)


def view_of(given: dict[str, Any]) -> CardiacView:
    """Return the view that was asked for."""
    return CardiacView(given.get("view") or CardiacView.SAX)
