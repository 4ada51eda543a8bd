"""``cmr-train pretext``: learn the nine positions."""

from pathlib import Path
from typing import Any

import click

from cmr_planes.errors import ExitCode
from cmr_planes.terminal.console import reports_errors
from cmr_train.choices import Preset, Recipe
from cmr_train.cli.options import (
    DATA_OPTIONS,
    NETWORK_OPTIONS,
    RUN_OPTIONS,
    RUNS,
    RUNTIME_OPTIONS,
    TRAINING_OPTIONS,
    lists_problems,
    view_of,
    with_options,
)
from cmr_train.presets import configure


@click.command()
@with_options(RUN_OPTIONS, TRAINING_OPTIONS, NETWORK_OPTIONS, DATA_OPTIONS, RUNTIME_OPTIONS)
@reports_errors(interrupted="checkpoints that are written are kept, and the same command with --resume resumes from the last one")
@lists_problems
def pretext(
    *,
    out: Path | None,
    preset: Preset,
    resume: bool,
    overwrite: bool,
    dry_run: bool,
    as_json: bool,
    **given: Any,  # noqa: ANN401  # fields of the configuration
) -> ExitCode:
    """Learn the nine anatomical positions of a view, from images that nobody has annotated.

    The run's folder gets config.json, split.json, metrics.jsonl, TensorBoard events, last.pt and, in the end, final.pt. Ctrl-C or
    SIGTERM writes a checkpoint and stops; --resume goes on from there, to the same weights.

    \b
    Example:
      cmr-train pretext --view sax
      cmr-train pretext --view 4ch --preset quick --out runs/try
      torchrun --nproc-per-node 4 -m cmr_train pretext --view sax
    """  # noqa: D301  # click keeps the lines of a paragraph that begins with \b
    from cmr_train.cli.running import run_training
    from cmr_train.recipes.pretext import pretext as train

    return run_training(
        train,
        lambda fields: configure(Recipe.PRETEXT, preset, **fields),
        given,
        out or RUNS / f"pretext-{view_of(given).value}",
        resume=resume,
        overwrite=overwrite,
        dry_run=dry_run,
        as_json=as_json,
    )
