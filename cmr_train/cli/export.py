"""``cmr-train export``: a network to give away."""

from pathlib import Path

import click

from cmr_planes.errors import ExitCode
from cmr_planes.terminal.console import print_json, reports_errors
from cmr_planes.terminal.options import EnumChoice, UserPath, json_option, key_file
from cmr_train.choices import NetworkForm, Weights
from cmr_train.cli.options import PATH, lists_problems, run_argument, unfinished_option, weights_option


@click.command()
@run_argument
@click.argument("out", metavar="DIR", type=UserPath(file_okay=False))
@click.option(
    "--to",
    type=EnumChoice([*NetworkForm]),
    default=NetworkForm.RUN.value,
    show_default=True,
    help="Form: a run without its participants, weights for nnU-Net, safetensors, ONNX, or a MONAI bundle.",
)
@click.option(
    "--plans",
    type=PATH,
    default=None,
    help="nnUNetPlans.json of nnU-Net's data set, to be compared with the run's (--to nnunet).  [default: none]",
)
@click.option(
    "--licence", metavar="NAME", default="", help="Licence of the network, for its card: 'CC BY 4.0'.  [default: none stated]"
)
@click.option(
    "--people-key",
    type=UserPath(exists=True, dir_okay=False),
    callback=key_file,
    help="Key file for people.json: the participants that the network has seen, as hashes keyed with it (--to run)."
    "  [default: no people.json]",
)
@weights_option
@unfinished_option("Export")
@click.option("--overwrite", is_flag=True, help="Replace the files of an earlier export.")
@json_option()
@reports_errors(interrupted="the export may be incomplete; the same command with --overwrite starts over")
@lists_problems
def export(
    run: Path,
    out: Path,
    *,
    to: NetworkForm,
    plans: Path | None,
    licence: str,
    people_key: Path | None,
    weights: Weights,
    unfinished: bool,
    overwrite: bool,
    as_json: bool,
) -> ExitCode:
    """Write the network of RUN into DIR, without its participants.

    --to run: final.pt, config.json without paths, split.json without participants, and card.md, which says what the network is and
    what it was trained on in numbers. evaluate, predict and finetune --pretext take DIR as a run; they need --people other, since
    DIR does not name the participants that the network has seen. With --people-key FILE, people.json has keyed hashes of them, and
    the same option of those commands compares them with the participants of a catalogue.

    --to nnunet: pretrained_weights.pth, for nnUNetv2_train -pretrained_weights, of a run that was trained with 'pretext --plans'.
    --to safetensors, onnx, monai: model.safetensors, model.onnx or a MONAI bundle. predict takes each of the three in place of RUN;
    ONNX needs no torch. All of these get card.json.

    \b
    Example:
      cmr-train export runs/finetune-multitask-sax network
      cmr-train export runs/finetune-multitask-sax network-onnx --to onnx --licence 'CC BY 4.0'
      cmr-train export runs/pretext-sax weights --to nnunet --plans nnUNetPlans.json
      cmr-train predict network-onnx new_scans/ -o segmented
    """  # noqa: D301  # click keeps the lines of a paragraph that begins with \b
    from cmr_train.recipes.export import card_name
    from cmr_train.recipes.export import export as export_run

    folder = export_run(
        run,
        out,
        to=to,
        plans=plans,
        licence=licence,
        people_key=people_key,
        weights=weights,
        unfinished=unfinished,
        overwrite=overwrite,
    )
    if as_json:
        print_json({"run": run.as_posix(), "out": folder.as_posix(), "form": to.value})
    else:
        click.echo(f"exported to {folder}; {card_name(to)} describes the network")
    return ExitCode.DONE
