"""The options that the training commands share; their defaults are those of :mod:`cmr_train.config` and the preset."""

import dataclasses
import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

from cmr_planes.errors import ExitCode
from cmr_planes.terminal.console import say
from cmr_planes.terminal.options import EnumChoice
from cmr_planes.views import TARGET_VIEWS, CardiacView
from cmr_train.choices import CacheKind, DeviceKind, LossKind, Precision, Preset, Schedule, Sharing, TransferMode
from cmr_train.config import GROUPS
from cmr_train.errors import ConfigError
from cmr_train.presets import PRESETS

Function = TypeVar("Function", bound=Callable[..., Any])

RUNS = Path("runs")
"""The folder in which runs are, if none is given."""


def default_of(field: str) -> str:
    """Return what help says about a field's default: the paper's, and that of the quick preset where it differs."""
    kind = next(kind for kind in GROUPS.values() if field in {each.name for each in dataclasses.fields(kind)})
    value = next(each.default for each in dataclasses.fields(kind) if each.name == field)
    quick = PRESETS[Preset.QUICK].get(field)
    return f"  [default: {_shown(value)}" + ("]" if quick is None else f"; quick: {_shown(quick)}]")


def _shown(value: Any) -> str:  # noqa: ANN401  # whatever a field holds
    if isinstance(value, tuple):
        return " ".join(str(each) for each in value)
    return f"{value:,}" if type(value) is int else str(value)


def _option(name: str, field: str, help: str, *, default: bool = True, **options: Any) -> Callable[[Function], Function]:  # noqa: A002, ANN401  # click's names
    """Make an option that sets a field, None if it is not given."""
    text = help + (default_of(field) if default else "")
    return click.option(name, field, default=None, help=text, **options)


def _names(context: click.Context, parameter: click.Parameter, value: str | None) -> tuple[str, ...] | None:  # noqa: ARG001  # click's signature
    """Read a comma-separated list of phases, in any case."""
    return None if value is None else tuple(name.strip().lower() for name in value.split(",") if name.strip())


PATH = click.Path(path_type=Path)

RUN_OPTIONS = (
    _option("--data", "data", "The catalogue.", type=PATH),
    _option("--view", "view", "The view.", type=EnumChoice([*TARGET_VIEWS])),
    click.option("--out", type=PATH, default=None, help="Folder of the run.  [default: runs/ and what is done]"),
    click.option(
        "--preset",
        type=EnumChoice([*Preset]),
        default=Preset.PAPER.value,
        show_default=True,
        help="Where the defaults come from: the paper, or a small network and a short run.",
    ),
    click.option("--resume", is_flag=True, help="Go on with the run in --out; begin if there is none."),
    click.option("--overwrite", is_flag=True, help="Remove the run in --out and begin anew."),
    click.option("--dry-run", is_flag=True, help="Print the configuration as JSON, and do nothing."),
    click.option("--json", "as_json", is_flag=True, help="Print the result as JSON."),
)
TRAINING_OPTIONS = (
    _option("--iterations", "iterations", "Steps of the optimiser; with multitask, those of the segmentation.", type=int),
    _option("--batch-size", "batch_size", "Images a step, over all processes together.", type=int),
    _option("--learning-rate", "learning_rate", "Of Adam; the highest of a one-cycle schedule.", type=float),
    _option("--schedule", "schedule", "How the learning rate goes.", type=EnumChoice([*Schedule])),
    _option("--loss", "loss", "What is minimised.", type=EnumChoice([*LossKind])),
    _option("--rotation", "rotation_deg", "Turn images by up to so many degrees, either way.", type=float),
    _option("--scaling", "scaling", "Scale images by a factor from 1 / (1 + this) to 1 + this.", type=float),
    _option("--gamma", "gamma", "Raise intensities to a power from 1 / (1 + this) to 1 + this.", type=float),
    _option("--noise", "noise", "Add normal noise of up to this standard deviation to intensities of 0 to 1.", type=float),
    _option("--seed", "seed", "Of the weights, the order of images and their augmentation.", type=click.IntRange(min=0)),
)
NETWORK_OPTIONS = (
    _option("--base-channels", "base_channels", "Channels of the U-net at full resolution.", type=int),
    _option("--levels", "levels", "How often the U-net halves the size.", type=int),
)
DATA_OPTIONS = (
    _option("--phases", "phases", "Names of the phases to use, with commas.  [default: all]", default=False, callback=_names),
    _option("--subjects", "subjects", "Participants to train on.  [default: all of the training set]", default=False, type=int),
    _option("--subjects-seed", "subjects_seed", "Of the choice of --subjects.", type=click.IntRange(min=0)),
    _option("--rows", "rows", "Rows of the common matrix.", type=int),
    _option("--columns", "columns", "Columns of the common matrix.", type=int),
    _option("--resample-mm", "resample_mm", "Edge of a pixel, in mm.  [default: as acquired]", default=False, type=float),
    _option("--split-seed", "split_seed", "Of the split by participant.", type=int),
    _option("--fractions", "fractions", "Shares of training, validation and test.", type=float, nargs=3),
)
RUNTIME_OPTIONS = (
    _option("--device", "device", "What computes.", type=EnumChoice([*DeviceKind])),
    _option("--precision", "precision", "Number format; auto is bf16 on CUDA, else fp32.", type=EnumChoice([*Precision])),
    _option("--compile/--no-compile", "compile", "Use torch.compile.", is_flag=True),
    _option("--deterministic/--no-deterministic", "deterministic", "Use deterministic kernels only.", is_flag=True),
    _option("--threads", "threads", "CPU threads of the network.  [default: torch's choice]", default=False, type=int),
    _option("--cache", "cache", "Where images wait.", type=EnumChoice([*CacheKind])),
    _option("--workers", "workers", "Processes that read from disk; 0 for a thread.", type=int),
    _option("--checkpoint-every", "checkpoint_every", "Iterations between checkpoints.", type=int),
    _option("--log-every", "log_every", "Iterations between lines of metrics.jsonl.", type=int),
    _option("--validate-every", "validate_every", "Iterations between looks at the validation set; 0 for none.", type=int),
)
TRANSFER_OPTIONS = (
    _option("--mode", "mode", "The way of transfer.", type=EnumChoice([*TransferMode])),
    _option(
        "--pretext", "pretext", "The pretrained run.  [default: the newest finished one of the view]", default=False, type=PATH
    ),
    _option("--beta", "beta", "Segmentation steps after each pretext step (multitask).", type=int),
    _option("--optimiser-state", "optimiser_state", "Adam's moments of the two tasks (multitask).", type=EnumChoice([*Sharing])),
    _option("--normalisation", "normalisation", "Running statistics of the two tasks (multitask).", type=EnumChoice([*Sharing])),
    _option(
        "--annotated-share",
        "annotated_share",
        "Share of each pretext batch drawn from the participants whose annotations are learnt from (multitask).",
        type=float,
    ),
    _option(
        "--pretext-loss",
        "pretext_loss",
        "What the pretext task minimises (multitask).  [default: as --pretext did]",
        default=False,
        type=EnumChoice([*LossKind]),
    ),
)


def with_options(*groups: Sequence[Callable[[Function], Function]]) -> Callable[[Function], Function]:
    """Give a command some groups of options, in their order."""

    def decorate(function: Function) -> Function:
        for option in reversed([option for group in groups for option in group]):
            function = option(function)
        return function

    return decorate


def lists_problems(command: Callable[..., ExitCode]) -> Callable[..., ExitCode]:
    """Turn a configuration that cannot be carried out into a list of its problems and the exit code of bad arguments."""

    @functools.wraps(command)
    def run(**options: Any) -> ExitCode:  # noqa: ANN401  # the command's options
        try:
            return command(**options)
        except ConfigError as error:
            for problem in error.problems:
                say(f"Error: {problem}", style="red")
            return ExitCode.BAD_ARGUMENTS

    return run


def view_of(given: dict[str, Any]) -> CardiacView:
    """Return the view that was asked for."""
    return CardiacView(given.get("view") or CardiacView.SAX)
