"""``cmr-train export``: a network to give away."""

from pathlib import Path

import click

from cmr_planes.errors import ExitCode
from cmr_planes.terminal.console import print_json, reports_errors
from cmr_planes.terminal.options import json_option
from cmr_train.choices import Weights
from cmr_train.cli.options import lists_problems, run_argument, unfinished_option, weights_option


@click.command()
@run_argument
@click.argument("out", metavar="DIR", type=click.Path(file_okay=False, path_type=Path))
@weights_option
@unfinished_option("Export")
@click.option("--overwrite", is_flag=True, help="Replace the files of an earlier export.")
@json_option()
@reports_errors(interrupted="the export may be incomplete; the same command with --overwrite starts over")
@lists_problems
def export(run: Path, out: Path, *, weights: Weights, unfinished: bool, overwrite: bool, as_json: bool) -> ExitCode:
    """Write the network of RUN into DIR without the people whom it was trained on.

    DIR gets final.pt, config.json without paths, split.json without participants, and card.md, which says what the network is and
    what it was trained on in numbers. evaluate, predict and finetune --pretext take DIR as a run; they want --people other, since
    DIR does not say whom the network has seen.

    \b
    Example:
      cmr-train export runs/finetune-multitask-sax network
      cmr-train predict network new_scans/ -o segmented
    """  # noqa: D301  # click keeps the lines of a paragraph that begins with \b
    from cmr_train.recipes.export import CARD_NAME
    from cmr_train.recipes.export import export as export_run

    folder = export_run(run, out, weights=weights, unfinished=unfinished, overwrite=overwrite)
    if as_json:
        print_json({"run": run.as_posix(), "out": folder.as_posix()})
    else:
        click.echo(f"exported to {folder}; {CARD_NAME} describes the network")
    return ExitCode.DONE
