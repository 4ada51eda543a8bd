"""``cmr-planes pull``: studies from a PACS into folders."""

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cmr_planes.cine.series_names import load_names
from cmr_planes.cli.access_options import AddressType, access_options
from cmr_planes.cli.options import file_reader
from cmr_planes.cli.pacs_options import study_options
from cmr_planes.discovery.pseudonyms import load_pseudonyms
from cmr_planes.errors import ExitCode
from cmr_planes.pacs.access import Access
from cmr_planes.pacs.addresses import PacsAddress
from cmr_planes.pacs.outcome import LEFT_OUT_NAME, LeftOut
from cmr_planes.system.text import counted, duration
from cmr_planes.terminal.console import is_quiet, print_json, remark, reports_errors
from cmr_planes.terminal.options import UserPath, json_option, quiet_option
from cmr_planes.terminal.progress import shown
from cmr_planes.terminal.tables import Kind, Table, print_table, table
from cmr_planes.views import CardiacView

if TYPE_CHECKING:
    from cmr_planes.pacs.pull import PullSummary


@click.command()
@click.argument("address", metavar="ADDRESS", type=AddressType())
@click.option(
    "-o",
    "--output",
    "folder",
    required=True,
    metavar="DIR",
    type=UserPath(file_okay=False),
    help="Folder of the studies: empty, new, or of an earlier pull, which continues.",
)
@study_options
@click.option("--all-series", is_flag=True, help="Pull every series, not those alone that views are made from.")
@click.option(
    "--names",
    metavar="TOML",
    type=UserPath(exists=True, dir_okay=False),
    callback=file_reader(load_names, load_names()),
    help="TOML table of series names, as in 'extract'.  [default: the built-in one]",
)
@click.option(
    "--pseudonymise",
    "pseudonyms",
    metavar="KEYFILE",
    type=UserPath(),
    callback=file_reader(load_pseudonyms, None),
    help="Folders are called by hashes keyed with this file, which only you may read.  [default: a running number]",
)
@access_options
@click.option("--dry-run", is_flag=True, help="Choose only; print what would be pulled, and write nothing.")
@click.option("--strict", is_flag=True, help="Exit with 1 if a study was left out.")
@json_option()
@click.option(
    "--log",
    metavar="FILE",
    type=UserPath(dir_okay=False),
    help="Append to this file what became of each study: one JSON object per line.  [default: no log]",
)
@quiet_option
@reports_errors(interrupted="what arrived whole is kept, and the same command resumes there")
def pull(
    address: PacsAddress,
    folder: Path,
    *,
    access: Access,
    dry_run: bool,
    strict: bool,
    as_json: bool,
    log: Path | None,
    **choices: Any,  # noqa: ANN401  # fields of PullOptions
) -> ExitCode:
    """Pull studies from a PACS into DIR, a folder for each.

    ADDRESS is that of a DICOMweb service (https://host/dicom-web, dicomweb+http://host/path), or aet://CALLED@host:port for query
    and C-GET by DIMSE (aet+tls:// with TLS). By DICOMweb, views are chosen from metadata before a pixel moves, as extract chooses
    them; of other series only headers are kept, so that extract finds the same. By DIMSE all series of a study come.

    An interrupted pull continues where it stopped. Folders are called by a running number, or by keyed hashes. What was left out,
    and why, stands in DIR/left_out.csv. Passwords and tokens come from files that only you may read, or from ~/.netrc.

    \b
    Example:
      cmr-planes pull https://pacs.example/dicom-web -o studies --since 2024-01-01 --description 'heart|cardiac'
      cmr-planes pull aet://PACS@10.0.0.1:104 -o studies --studies list.txt --pseudonymise cohort.key
      cmr-planes extract studies out.h5
    """  # noqa: D301  # click keeps the lines of a paragraph that begins with \b
    from cmr_planes.pacs.pull import PullOptions  # needs packages of an extra
    from cmr_planes.pacs.pull import pull as run_pull

    with shown("pull", "studies") as on_progress:
        summary = run_pull(
            address,
            folder,
            PullOptions(**choices),
            access=access,
            dry_run=dry_run,
            log=log,
            on_progress=on_progress,
            on_message=remark,
        )
    print_pull(summary, dry_run=dry_run, as_json=as_json)
    if not (as_json or dry_run or is_quiet()):
        _print_next(summary, folder)
    if summary.is_unfinished or (strict and summary.left_out):
        return ExitCode.FAILED
    return ExitCode.DONE if summary.n_pulled or summary.n_there or dry_run else ExitCode.NOTHING_USABLE


def print_pull(summary: "PullSummary", *, dry_run: bool, as_json: bool) -> None:
    """Print what was pulled, and what was left out."""
    if as_json:
        print_json(_to_json(summary, dry_run=dry_run))
        return
    print_table(_table(summary, dry_run=dry_run))
    if summary.left_out:
        print_table(_reasons(summary.left_out))
    click.echo("; ".join(_closing(summary, dry_run=dry_run)))


def _print_next(summary: "PullSummary", folder: Path) -> None:
    """Say where to look, and what comes next."""
    if summary.left_out:
        click.echo(f"Why each was left out: {folder / LEFT_OUT_NAME}")
    if summary.n_pulled or summary.n_there:
        click.echo(f"Next: cmr-planes extract {folder} out.h5")


def _table(summary: "PullSummary", *, dry_run: bool) -> Table:
    """Lay out the counts."""
    pulled = [one for one in summary.outcomes if one.is_whole]
    n_pixel_bytes, n_spared_bytes = (sum(getattr(one, name) for one in pulled) for name in ("n_pixel_bytes", "n_spared_bytes"))
    rows = [
        ("studies that match", f"{len(summary.outcomes):,}"),
        ("series to pull" if dry_run else "series pulled", f"{sum(one.n_series for one in pulled):,}"),
        ("instances", f"{sum(one.n_instances for one in pulled):,}"),
    ]
    if n_pixel_bytes:
        rows.append(("pixels of them, not compressed", _megabytes(n_pixel_bytes)))
        rows.append(("pixels that are not needed", _megabytes(n_spared_bytes)))
    rows += [
        ("moved", _megabytes(summary.n_bytes)),
        ("time", duration(summary.seconds)),
        ("rate", f"{summary.n_bytes / 1e6 / max(summary.seconds, 1e-3):,.1f} MB/s"),
    ]
    return table("Would pull" if dry_run else "Pulled", {"what": Kind.TEXT, "value": Kind.NUMBER}, rows)


def _megabytes(n_bytes: int) -> str:
    return f"{n_bytes / 1e6:,.1f} MB"


def _reasons(rows: "tuple[LeftOut, ...]") -> Table:
    """Lay out how often studies were left out, and why."""
    counts = Counter((row.code, CardiacView(row.view).title if row.view else "whole study") for row in rows)
    lines = [(code, view, count) for (code, view), count in sorted(counts.items())]
    return table("Left out", {"reason": Kind.TEXT, "view": Kind.TEXT, "times": Kind.NUMBER}, lines)


def _closing(summary: "PullSummary", *, dry_run: bool) -> list[str]:
    """Say in one sentence what was done."""
    verb = "would be" if dry_run else "was" if summary.n_pulled == 1 else "were"
    parts = [f"{counted(summary.n_pulled, 'study', 'studies')} {verb} pulled"]
    if summary.n_there:
        parts.append(f"{counted(summary.n_there, 'study', 'studies')} {'was' if summary.n_there == 1 else 'were'} there already")
    n_left_out = len({row.study for row in summary.left_out} - {""}) + len(summary.not_found)
    parts.append(f"{counted(n_left_out, 'study', 'studies')} left out" if n_left_out else "nothing left out")
    n_foreign = sum(one.n_foreign for one in summary.outcomes)
    if n_foreign:
        parts.append(f"{counted(n_foreign, 'instance')} that the server sent unasked {'was' if n_foreign == 1 else 'were'} dropped")
    if summary.is_unfinished:
        parts.append("pull again for those that did not come")
    return parts


def _to_json(summary: "PullSummary", *, dry_run: bool) -> dict[str, object]:
    """Return the summary as JSON's types."""
    pulled = [one for one in summary.outcomes if one.is_whole]
    return {
        "dry_run": dry_run,
        "n_studies": len(summary.outcomes),
        "n_pulled": summary.n_pulled,
        "n_there": summary.n_there,
        "n_series": sum(one.n_series for one in pulled),
        "n_instances": sum(one.n_instances for one in pulled),
        "n_pixel_bytes": sum(one.n_pixel_bytes for one in pulled),
        "n_spared_bytes": sum(one.n_spared_bytes for one in pulled),
        "n_bytes": summary.n_bytes,
        "n_foreign": sum(one.n_foreign for one in summary.outcomes),
        "seconds": round(summary.seconds, 3),
        "left_out": [row._asdict() for row in summary.left_out],
    }
