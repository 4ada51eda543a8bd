"""``cmr-train finetune``: learn to segment."""

from pathlib import Path
from typing import Any

import click

from cmr_planes.errors import ExitCode
from cmr_planes.terminal.console import print_json, reports_errors
from cmr_planes.terminal.sections import SectionedCommand
from cmr_train.choices import Preset, TransferMode
from cmr_train.cli.options import (
    DATA_OPTIONS,
    NETWORK_OPTIONS,
    RUN_OPTIONS,
    RUNS,
    RUNTIME_OPTIONS,
    SECTIONS,
    TRAINING_OPTIONS,
    TRANSFER_OPTIONS,
    lists_problems,
    view_of,
    with_options,
)


@click.command(cls=SectionedCommand, sections=SECTIONS)
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

    scratch starts from random weights; decoder keeps the pretrained encoder frozen; all trains every weight; multitask continues
    the pretext task, with one step of it before every --beta steps of the segmentation. Network, matrix, split and, in multitask,
    the loss of the pretext task are those of the pretext unless they are given.

    \b
    Example:
      cmr-train finetune --mode multitask --beta 10
      cmr-train finetune --mode all --pretext runs/pretext-sax --participants 5
    """  # noqa: D301  # click keeps the lines of a paragraph that begins with \b
    from cmr_train.cli.running import train_and_print
    from cmr_train.recipes.finetune import finetune_config, train_finetune

    mode = given.get("mode") or TransferMode.MULTITASK
    out = out or RUNS / f"finetune-{mode.value}-{view_of(given).value}"
    config = finetune_config(out, preset, given, resume=resume, overwrite=overwrite)
    if dry_run:
        print_json(config.to_json())
        return ExitCode.DONE
    return train_and_print(train_finetune, config, out, resume=resume, overwrite=overwrite, as_json=as_json)
