"""``cmr-train pretext``: learn the nine positions, or another target."""

from pathlib import Path
from typing import Any

import click

from cmr_planes.errors import ExitCode
from cmr_planes.terminal.console import print_json, reports_errors
from cmr_planes.terminal.sections import SectionedCommand
from cmr_train.choices import Preset, PretextTarget
from cmr_train.cli.options import (
    DATA_OPTIONS,
    NETWORK_OPTIONS,
    PATH,
    PRETEXT_OPTIONS,
    RUN_OPTIONS,
    RUNS,
    RUNTIME_OPTIONS,
    SECTIONS,
    TRAINING_OPTIONS,
    lists_problems,
    view_of,
    with_options,
)
from cmr_train.errors import ConfigError


@click.command(cls=SectionedCommand, sections=SECTIONS)
@click.option(
    "--plans",
    type=PATH,
    default=None,
    help="nnUNetPlans.json of an nnU-Net data set: train the network of its plan, at its patch size, spacing and z-scores."
    "  [default: the U-Net of --base-channels and --levels]",
)
@click.option("--configuration", metavar="NAME", default=None, help="Configuration of --plans, a 2D one.  [default: 2d]")
@with_options(RUN_OPTIONS, PRETEXT_OPTIONS, TRAINING_OPTIONS, NETWORK_OPTIONS, DATA_OPTIONS, RUNTIME_OPTIONS)
@reports_errors(interrupted="checkpoints that are written are kept, and the same command with --resume resumes from the last one")
@lists_problems
def pretext(
    *,
    out: Path | None,
    preset: Preset,
    plans: Path | None,
    configuration: str | None,
    resume: bool,
    overwrite: bool,
    dry_run: bool,
    as_json: bool,
    **given: Any,  # noqa: ANN401  # fields of the configuration
) -> ExitCode:
    """Learn the nine anatomical positions of a view from unannotated images, or another target.

    The run's folder gets config.json, split.json, metrics.jsonl, TensorBoard events and last.pt; in the end final.pt replaces
    last.pt. Ctrl-C or SIGTERM writes a checkpoint and stops; --resume continues from it, to the same weights. With --plans the
    network is that of nnU-Net, and 'cmr-train export --to nnunet' writes weights from which nnUNetv2_train starts.

    \b
    Example:
      cmr-train pretext --view sax
      cmr-train pretext --view 4ch --preset quick --out runs/try
      cmr-train pretext --view sax --plans nnUNetPlans.json
      cmr-train pretext --target masked
      torchrun --nproc-per-node 4 -m cmr_train pretext --view sax
    """  # noqa: D301  # click keeps the lines of a paragraph that begins with \b
    from cmr_train.cli.running import train_and_print
    from cmr_train.models.nnunet_plan import read_plan
    from cmr_train.recipes.pretext import pretext_config, train_pretext

    if plans is None and configuration is not None:
        raise ConfigError(["--configuration is of a plan; give --plans as well"])
    plan = None if plans is None else read_plan(plans, configuration or "2d")
    target = given["target"] or PretextTarget.BOXES
    name = "pretext" if target is PretextTarget.BOXES else f"pretext-{target}"
    out = out or RUNS / f"{name}-{view_of(given).value}"
    config = pretext_config(out, preset, given, plan=plan, resume=resume, overwrite=overwrite)
    if dry_run:
        print_json(config.to_json())
        return ExitCode.DONE
    return train_and_print(train_pretext, config, out, resume=resume, overwrite=overwrite, as_json=as_json)
