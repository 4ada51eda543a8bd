"""``cmr-planes verify``: whether the shards of a catalogue are as they were sealed."""

from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path

import click

from cmr_planes.errors import ExitCode
from cmr_planes.shards.verify import Finding, extract_made_labels, is_label_file, read_sealed_files, set_aside, verify_catalogue
from cmr_planes.terminal.console import alone_on, print_json, progress, reports_errors, stdout
from cmr_planes.terminal.options import quiet_option
from cmr_planes.terminal.tables import Kind, table

_COLUMNS = {"shard": Kind.TEXT, "damage": Kind.TEXT, "what was found": Kind.TEXT}


@click.command()
@click.argument("catalogue", metavar="OUT.h5", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--set-aside", "sets_aside", is_flag=True, help="Rename damaged files to NNNNN.h5.damaged, so that they are made anew."
)
@click.option("--json", "as_json", is_flag=True, help="Print the findings as JSON.")
@quiet_option
@reports_errors(interrupted="the same command starts over; files that were set aside stay so")
def verify(catalogue: Path, *, sets_aside: bool, as_json: bool) -> ExitCode:
    """Compare every shard and label file of OUT.h5 with its checksum.

    Exit code 0 if all are whole, 1 if one is missing, truncated or changed. With --set-aside damaged files are renamed; running
    the same 'extract' again then makes them anew, byte by byte as they were, and 'annotate' the labels that it had added.

    \b
    Example:
      cmr-planes verify out.h5
      cmr-planes verify out.h5 --set-aside
    """  # noqa: D301  # click keeps the lines of a paragraph that begins with \b
    with alone_on(catalogue) if sets_aside else nullcontext():
        shards = read_sealed_files(catalogue)
        with progress("verifying", len(shards), unit="shards") as advance:
            findings = verify_catalogue(catalogue, on_shard=lambda _: advance())
        aside = set_aside(catalogue, findings) if sets_aside else []
    if as_json:
        names = {"set_aside": [finding.shard for finding in aside]} if sets_aside else {}
        print_json({"n_shards": len(shards), "findings": [_to_json(finding) for finding in findings], **names})
    elif findings:
        stdout().print(table("Damaged shards", _COLUMNS, [_to_row(finding) for finding in findings]))
        click.echo(_next_step(catalogue, findings, aside, sets_aside=sets_aside))
    else:
        click.echo(f"{len(shards):,} of {len(shards):,} shards are as they were sealed")
    return ExitCode.FAILED if findings else ExitCode.DONE


def _next_step(catalogue: Path, findings: Sequence[Finding], aside: Sequence[Finding], *, sets_aside: bool) -> str:
    """Say what to do about damaged files."""
    with_extract = extract_made_labels(catalogue)
    commands = [
        name
        for name, is_needed in (
            ("extract", any(with_extract or not is_label_file(finding) for finding in findings)),
            ("annotate", any(is_label_file(finding) for finding in findings) and not with_extract),
        )
        if is_needed
    ]
    named = " and then the same ".join(f"'{name}'" for name in commands)
    again = f"running the same {named} again makes them anew"
    if not sets_aside:
        return f"'cmr-planes verify {catalogue} --set-aside' sets them aside, and {again}"
    left = f"; {len(findings) - len(aside):,} cannot be read and were left: check the disk" if len(aside) < len(findings) else ""
    return f"{len(aside):,} set aside; {again}{left}"


def _to_json(finding: Finding) -> dict[str, str]:
    return {"shard": finding.shard, "damage": finding.damage.value, "sentence": finding.sentence}


def _to_row(finding: Finding) -> tuple[str, str, str]:
    return finding.shard, finding.damage.value, finding.sentence
