"""``cmr-train report``: the report of a study, made again."""

from pathlib import Path

import click

from cmr_planes.errors import ExitCode
from cmr_planes.terminal.console import reports_errors


@click.command()
@click.argument("folder", metavar="STUDY", type=click.Path(exists=True, file_okay=False, path_type=Path))
@reports_errors(interrupted="the report may be incomplete; the same command writes it again")
def report(folder: Path) -> ExitCode:
    """Write the report of the study in folder STUDY, whether all of its runs are finished or not.

    'cmr-train study' does so at its end. Writes report.html (one file), report.md with figures/, and table.csv.

    \b
    Example:
      cmr-train report studies/sax
    """  # noqa: D301  # click keeps the lines of a paragraph that begins with \b
    from cmr_train.report import write_report

    click.echo(f"The report is {write_report(folder)}")
    return ExitCode.DONE
