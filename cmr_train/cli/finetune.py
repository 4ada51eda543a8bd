"""``cmr-train finetune``: learn to segment."""

from pathlib import Path
from typing import Any

import click

from cmr_planes.errors import ExitCode
from cmr_planes.terminal.console import reports_errors
from cmr_train.choices import Preset, TransferMode
from cmr_train.cli.options import (
    DATA_OPTIONS,
    NETWORK_OPTIONS,
    RUN_OPTIONS,
    RUNS,
    RUNTIME_OPTIONS,
    TRAINING_OPTIONS,
    TRANSFER_OPTIONS,
    lists_problems,
    view_of,
    with_options,
)


@click.command()
@with_options(TRANSFER_OPTIONS, RUN_OPTIONS, TRAINING_OPTIONS, NETWORK_OPTIONS, DATA_OPTIONS, RUNTIME_OPTIONS)
@reports_errors(interrupted="checkpoints that are written are kept, and the same command with --resume resumes from the last one")
@lists_problems
def finetune(
    *,
    out: Path | None,
    preset: Preset,
    resume: bool,
    overwrite: bool,
    dry_run: bool,
    as_json: bool,
    **given: Any,  # noqa: ANN401  # fields of the configuration
) -> ExitCode:
    """Learn to segment a view from few annotated subjects, from random weights or from those of the pretext task.

    scratch begins with random weights; decoder keeps the pretrained encoder as it is; all trains every weight; multitask goes on
    with the pretext task beside, one step of it before every --beta of the segmentation. Network, matrix, split and, in multitask,
    the loss of the pretext task are those of the pretext where they are not given.

    \b
    Example:
      cmr-train finetune --mode multitask --beta 10
      cmr-train finetune --mode all --pretext runs/pretext-sax --participants 5
    """  # noqa: D301  # click keeps the lines of a paragraph that begins with \b
    from cmr_train.cli.running import run_training
    from cmr_train.recipes.finetune import configure_finetune
    from cmr_train.recipes.finetune import finetune as train

    mode = given.get("mode") or TransferMode.MULTITASK
    out = out or RUNS / f"finetune-{mode.value}-{view_of(given).value}"
    runs = out.parent
    return run_training(
        train,
        lambda fields: configure_finetune(preset, runs, fields),
        given,
        out,
        resume=resume,
        overwrite=overwrite,
        dry_run=dry_run,
        as_json=as_json,
    )
