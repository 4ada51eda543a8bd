"""``cmr-planes report``: the page of a cohort and its table."""

from pathlib import Path

import click

from cmr_planes.errors import ExitCode
from cmr_planes.quality.page import N_PICTURES, write_quality_page
from cmr_planes.system.text import counted
from cmr_planes.terminal.console import print_json, remark, reports_errors
from cmr_planes.terminal.numbers import Number
from cmr_planes.terminal.options import CataloguePath, UserPath, json_option, quiet_option, verbose_option
from cmr_planes.terminal.progress import shown


@click.command()
@click.argument("catalogue", metavar="OUT.h5", type=CataloguePath())
@click.option(
    "-o",
    "--output",
    "page",
    required=True,
    type=UserPath(dir_okay=False),
    help="The page; its table lies beside it.",
)
@click.option(
    "--pictures",
    "n_pictures",
    default=N_PICTURES,
    show_default=True,
    type=Number(int, low=0, high=1000),
    help="Contact sheets, at most; 0 to 1000.",
)
@json_option("Print the files written as JSON.")
@verbose_option("Write the subjects' keys into page, pictures and table.")
@quiet_option
@reports_errors(interrupted="page and table are as they were, or new; the same command writes both again")
def report(catalogue: Path, *, page: Path, n_pictures: int, as_json: bool, verbose: bool) -> ExitCode:
    """Write a page about the quality of OUT.h5: what was left out and why, distributions, and the subjects at their ends.

    The page is one file that needs no network; every row can be filtered and sorted on it. Beside it lies a table with a line for
    each view of each subject: qc.csv beside qc.html. Subjects are numbered in the catalogue's order; their keys are written with -v
    only. Contact sheets are drawn of the outermost subjects, as many as --pictures says.

    \b
    Example:
      cmr-planes report out.h5 -o qc.html
    """  # noqa: D301  # click keeps the lines of a paragraph that begins with \b
    try:
        with shown("drawing", "sheets") as on_progress:
            written = write_quality_page(catalogue, page, n_pictures=n_pictures, with_keys=verbose, on_progress=on_progress)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--output") from error
    if written.n_unread:
        remark(f"{counted(written.n_unread, 'contact sheet')} could not be drawn; 'cmr-planes verify' says which files are damaged")
    if as_json:
        print_json(
            {
                "page": written.page.as_posix(),
                "table": written.table.as_posix(),
                "n_subjects": written.n_subjects,
                "n_rows": written.n_rows,
                "n_pictures": written.n_pictures,
            }
        )
    else:
        click.echo(
            f"{counted(written.n_subjects, 'subject')}, {counted(written.n_rows, 'row')}, {counted(written.n_pictures, 'picture')}"
        )
        click.echo(f"The page is {written.page}, its table {written.table}")
    return ExitCode.DONE
