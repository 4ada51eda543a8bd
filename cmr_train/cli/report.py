"""``cmr-train report``: the report of a study, made again."""

from pathlib import Path

import click

from cmr_planes.errors import ExitCode
from cmr_planes.terminal.console import print_json, reports_errors
from cmr_planes.terminal.options import UserPath, json_option


@click.command()
@click.argument("folder", metavar="STUDY", type=UserPath(exists=True, file_okay=False))
@json_option("Print the files written as JSON.")
@reports_errors(interrupted="the report may be incomplete; the same command writes it again")
def report(folder: Path, *, as_json: bool) -> ExitCode:
    """Write the report of the study in folder STUDY, whether all of its runs are finished or not.

    'cmr-train study' does so at its end. Writes report.html (one file), report.md with figures/, and table.csv.

    \b
    Example:
      cmr-train report studies/sax
    """  # noqa: D301  # click keeps the lines of a paragraph that begins with \b
    from cmr_train.report.page import FIGURES, MARKDOWN_NAME, TABLE_NAME, write_report

    page = write_report(folder)
    if as_json:
        names = {"report": page, "markdown": folder / MARKDOWN_NAME, "table": folder / TABLE_NAME}
        figures = [path.as_posix() for path in sorted((folder / FIGURES).glob("*.png"))]
        print_json({**{name: path.as_posix() for name, path in names.items()}, "figures": figures})
    else:
        click.echo(f"The report is {page}")
    return ExitCode.DONE
