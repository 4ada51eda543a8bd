"""``cmr-planes push``: segmentations and reports to a PACS."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cmr_planes.cli.access_options import AddressType, access_options
from cmr_planes.errors import ExitCode
from cmr_planes.pacs.access import Access
from cmr_planes.pacs.addresses import PacsAddress
from cmr_planes.system.text import counted, duration
from cmr_planes.terminal.console import print_json, remark, reports_errors, say
from cmr_planes.terminal.options import UserPath, json_option, quiet_option, verbose_option
from cmr_planes.terminal.progress import shown

if TYPE_CHECKING:
    from cmr_planes.pacs.push import PushSummary
    from cmr_planes.pacs.results import Fault

MOST_SENTENCES = 20
"""Faults that are printed one by one without ``-v``."""


@click.command()
@click.argument("folder", metavar="DIR", type=UserPath(exists=True, file_okay=False))
@click.argument("address", metavar="ADDRESS", type=AddressType())
@access_options
@json_option()
@verbose_option("Name the files that were not stored, and list all of them.")
@quiet_option
@reports_errors(interrupted="what was stored stays there; the same command sends the rest")
def push(folder: Path, address: PacsAddress, *, access: Access, as_json: bool, verbose: bool) -> ExitCode:
    """Send the segmentations and reports in DIR to a PACS, where they join the studies that they were made of.

    DIR is what 'cmr-train predict --format seg' wrote. If it holds a DICOM file that is not, or that was changed since, nothing is
    sent. ADDRESS is that of a DICOMweb service (STOW-RS) or of an application entity (C-STORE). The same command again sends what
    the PACS does not have yet.

    Exit code 0 if the PACS has all of DIR, 1 if not.

    \b
    Example:
      cmr-planes push segmented dicomweb+https://pacs.example/dicom-web --login-file pacs.login
      cmr-planes push segmented aet://PACS@pacs.example:104
    """  # noqa: D301  # click keeps the lines of a paragraph that begins with \b
    from cmr_planes.pacs.push import push as push_results

    with shown("push", "files") as on_progress:
        summary = push_results(folder, address, access, on_progress=on_progress, on_message=remark)
    if as_json:
        print_json({**asdict(summary), "failed": _to_json(summary.failed), "refused": _to_json(summary.refused)})
    else:
        _say_faults([*summary.refused, *summary.failed], verbose=verbose)
        click.echo(_closing(summary))
    if summary.stopped:
        say(f"Error: {summary.stopped}", style="red")
    return ExitCode.DONE if summary.is_complete else ExitCode.FAILED


def _say_faults(faults: "Sequence[Fault]", *, verbose: bool) -> None:
    """Print a sentence for each file that the PACS does not have."""
    for fault in faults if verbose else faults[:MOST_SENTENCES]:
        say(f"{fault.name}: {fault.sentence}" if verbose else fault.sentence, style="red")
    if not verbose and len(faults) > MOST_SENTENCES:
        say(f"and {counted(len(faults) - MOST_SENTENCES, 'file')} more; -v lists all", style="red")


def _closing(summary: "PushSummary") -> str:
    """Say in one sentence what became of the files."""
    if summary.refused:
        return (
            f"nothing was sent: {counted(len(summary.refused), 'file')} of {summary.n_files:,} may not be sent; -v names them, "
            "numbered in the order of their paths"
        )
    megabytes = f"{summary.bytes_sent / 1e6:,.1f} MB"
    objects, studies = counted(summary.n_stored, "object"), counted(summary.n_studies, "study", "studies")
    parts = [f"{objects} of {studies} stored, {megabytes} in {duration(summary.seconds)}"]
    if summary.n_present:
        parts.append(f"{summary.n_present:,} had been there")
    if summary.failed:
        parts.append(f"{len(summary.failed):,} not stored")
    if summary.n_left:
        parts.append(f"{summary.n_left:,} not sent; the same command sends them")
    if summary.n_others:
        parts.append(f"{counted(summary.n_others, 'file')} of other kinds left in the folder")
    return "; ".join(parts)


def _to_json(faults: "Sequence[Fault]") -> list[dict[str, object]]:
    """Return faults without the names of files, which hold subjects' keys."""
    return [{"file": fault.number, "code": fault.code, "sentence": fault.sentence} for fault in faults]
