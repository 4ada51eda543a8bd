"""``cmr-planes export``: images and label maps of a catalogue as NIfTI files for other programs."""

from pathlib import Path

import click

from cmr_planes.errors import ExitCode
from cmr_planes.exports.job import ExportSummary
from cmr_planes.exports.job import export as run_export
from cmr_planes.exports.options import ExportForm, ExportOptions
from cmr_planes.terminal.console import print_json, reports_errors
from cmr_planes.terminal.options import EnumChoice, json_option, quiet_option
from cmr_planes.terminal.progress import shown
from cmr_planes.terminal.text import counted


@click.command()
@click.argument("catalogue", metavar="OUT.h5", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "-o",
    "--output",
    "folder",
    required=True,
    type=click.Path(path_type=Path),
    help="Folder of the export; other subjects' exports may be in it.",
)
@click.option("--to", "form", required=True, type=EnumChoice([*ExportForm]), help="Names and folders of the export.")
@click.option("--subject", "keys", multiple=True, metavar="KEY", help="Export this subject only; may be given several times.")
@click.option("--overwrite", is_flag=True, help="Replace files and folders of the same names.")
@json_option()
@quiet_option
@reports_errors(interrupted="nothing was written")
def export(
    catalogue: Path,
    *,
    folder: Path,
    form: ExportForm,
    keys: tuple[str, ...],
    overwrite: bool,
    as_json: bool,
) -> ExitCode:
    """Write the images and label maps of OUT.h5 as NIfTI files for other programs.

    ukbb has one folder per subject with the names of ukbb_cardiac: sa_ED.nii.gz, la_4ch_ES.nii.gz, label_sa_ED.nii.gz; sa.nii.gz
    where OUT.h5 has whole cines (extract --phases all).

    Beside each image lies a JSON file with trigger times and scanner, and no identifiers. An export is written whole or not at
    all.

    \b
    Example:
      cmr-planes export out.h5 -o ukbb --to ukbb
    """  # noqa: D301  # click keeps the lines of a paragraph that begins with \b
    options = ExportOptions(form=form, subjects=keys)
    with shown("export", "subjects") as on_progress:
        summary = run_export(catalogue, folder, options, overwrite=overwrite, on_progress=on_progress)
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
