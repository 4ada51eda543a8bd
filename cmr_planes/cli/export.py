"""``cmr-planes export``: images and label maps of a catalogue as NIfTI files for other programs."""

from pathlib import Path

import click
from click.core import ParameterSource

from cmr_planes.cli.options import pseudonymise_option
from cmr_planes.discovery.pseudonyms import Pseudonyms
from cmr_planes.errors import ExitCode
from cmr_planes.exports.job import ExportSummary
from cmr_planes.exports.job import export as run_export
from cmr_planes.exports.options import ExportForm, ExportLabels, ExportOptions
from cmr_planes.system.text import counted
from cmr_planes.terminal.console import print_json, reports_errors
from cmr_planes.terminal.numbers import Number
from cmr_planes.terminal.options import CataloguePath, EnumChoice, UserPath, json_option, quiet_option
from cmr_planes.terminal.progress import shown
from cmr_planes.views import TARGET_VIEWS, CardiacView

NNUNET_OPTIONS = ("view", "labels", "dataset", "split", "split_seed")
"""Options that another form has no use for."""

_DEFAULTS = ExportOptions(form=ExportForm.NNUNET)


@click.command()
@click.argument("catalogue", metavar="OUT.h5", type=CataloguePath())
@click.option(
    "-o",
    "--output",
    "folder",
    required=True,
    type=UserPath(),
    help="Folder of the export; it may hold those of other subjects (ukbb) or other data sets (nnunet).",
)
@click.option("--to", "form", required=True, type=EnumChoice([*ExportForm]), help="Names and folders of the export.")
@click.option(
    "--source",
    "sources",
    multiple=True,
    metavar="SOURCE",
    type=UserPath(exists=True),
    help="ukbb, bids: what OUT.h5 was extracted from, for whole cines beside ED and ES; may be given several times."
    "  [default: ED and ES alone]",
)
@pseudonymise_option
@click.option(
    "--subject", "keys", multiple=True, metavar="KEY", help="Export this subject only; may be given several times.  [default: all]"
)
@click.option(
    "--view", type=EnumChoice([*TARGET_VIEWS]), default=_DEFAULTS.view.value, show_default=True, help="nnunet: view of the images."
)
@click.option(
    "--labels",
    type=EnumChoice([*ExportLabels]),
    default=_DEFAULTS.labels.value,
    show_default=True,
    help="nnunet: manual labels (LV 1, Myo 2, RV 3), the same in ACDC's order (RV 1, Myo 2, LV 3), or the nine positions.",
)
@click.option(
    "--dataset", metavar="NAME", default=_DEFAULTS.dataset, show_default=True, help="nnunet: name of the data set, DatasetNNN_NAME."
)
@click.option(
    "--split",
    metavar="FILE",
    type=UserPath(exists=True, dir_okay=False),
    help="nnunet: CSV table with the columns participant and set, or a run's split.json."
    "  [default: a random split, as cmr-train's]",
)
@click.option(
    "--split-seed", type=Number(int), default=_DEFAULTS.split_seed, show_default=True, help="nnunet: seed of the random split."
)
@click.option("--overwrite", is_flag=True, help="Replace files and folders of the same names.")
@json_option()
@quiet_option
@click.pass_context
@reports_errors(interrupted="nothing was written")
def export(
    context: click.Context,
    catalogue: Path,
    *,
    folder: Path,
    form: ExportForm,
    sources: tuple[Path, ...],
    pseudonyms: Pseudonyms | None,
    keys: tuple[str, ...],
    view: CardiacView,
    labels: ExportLabels,
    dataset: str,
    split: Path | None,
    split_seed: int,
    overwrite: bool,
    as_json: bool,
) -> ExitCode:
    """Write the images and label maps of OUT.h5 as NIfTI files for other programs.

    ukbb has one folder per subject with the names of ukbb_cardiac: sa_ED.nii.gz, la_4ch_ES.nii.gz, label_sa_ED.nii.gz; sa.nii.gz
    where OUT.h5 has whole cines (extract --phases all), or where --source gives the files that it was extracted from.

    nnunet has the folder of a raw data set of nnU-Net version 2, with ED and ES of each subject as cases, dataset.json, and
    splits_final.json by participant. Test participants are in imagesTs.

    bids has folders and JSON files like those of BIDS, with names of this project where BIDS has none yet.

    Beside each image of ukbb and bids lies a JSON file with trigger times and scanner, and no identifiers. An export is written
    whole or not at all.

    \b
    Example:
      cmr-planes export out.h5 -o ukbb --to ukbb
      cmr-planes export out.h5 -o ukbb --to ukbb --source studies/
      cmr-planes export out.h5 -o nnUNet_raw --to nnunet --dataset Dataset501_SAX
      cmr-planes export out.h5 -o nnUNet_raw --to nnunet --dataset Dataset502_Positions --labels positions
      cmr-planes export out.h5 -o bids --to bids
    """  # noqa: D301  # click keeps the lines of a paragraph that begins with \b
    given = [name for name in NNUNET_OPTIONS if context.get_parameter_source(name) is ParameterSource.COMMANDLINE]
    if sources and form is ExportForm.NNUNET:
        raise click.UsageError("--source is for --to ukbb and bids; leave it out")
    if pseudonyms is not None and not sources:
        raise click.UsageError("--pseudonymise goes with --source, whose subjects bear their original names; leave it out")
    if given and form is not ExportForm.NNUNET:
        raise click.UsageError(f"--{given[0].replace('_', '-')} is for --to nnunet; leave it out")
    try:
        options = ExportOptions(
            form=form, subjects=keys, view=view, labels=labels, dataset=dataset, split=split, split_seed=split_seed
        )
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    with shown("export", "subjects") as on_progress:
        summary = run_export(
            catalogue,
            folder,
            options,
            sources=sources,
            pseudonyms=pseudonyms,
            overwrite=overwrite,
            on_progress=on_progress,
        )
    if as_json:
        print_json(_to_json(summary))
    else:
        for note in summary.notes:
            click.echo(f"Note: {note}")
        click.echo(f"{counted(summary.n_subjects, 'subject')}, {counted(summary.n_files, 'file')} in {summary.out}")
        if summary.next_step:
            click.echo(f"Next: {summary.next_step}")
    return ExitCode.DONE


def _to_json(summary: ExportSummary) -> dict[str, object]:
    """Return the summary as JSON's types."""
    return {
        "out": summary.out.as_posix(),
        "n_subjects": summary.n_subjects,
        "n_files": summary.n_files,
        "notes": list(summary.notes),
        "next_step": summary.next_step,
    }
