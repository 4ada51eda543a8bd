"""``cmr-planes verify``: whether the shards of a catalogue are as they were sealed."""

from pathlib import Path

import click

from cmr_planes.cli.console import print_json, progress, reports_errors, stdout, table
from cmr_planes.cli.options import quiet_option
from cmr_planes.errors import ExitCode
from cmr_planes.shards.verify import Finding, read_sealed_files, verify_catalogue


@click.command()
@click.argument("catalogue", metavar="OUT.h5", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print the findings as JSON.")
@quiet_option
@reports_errors
def verify(catalogue: Path, *, as_json: bool) -> ExitCode:
    """Compare every shard and label file of OUT.h5 with its checksum.

    Exit code 0 if all are whole, 1 if one is missing, truncated or changed. Running the same 'extract' again makes anew what is
    listed here, once the damaged files are removed.

    \b
    Example:
      cmr-planes verify out.h5
    """  # noqa: D301  # click keeps the lines of a paragraph that begins with \b
    shards = read_sealed_files(catalogue)
    with progress("verifying", len(shards), unit="shards") as advance:
        findings = verify_catalogue(catalogue, on_shard=lambda _: advance())
    if as_json:
        print_json({"n_shards": len(shards), "findings": [_to_json(finding) for finding in findings]})
    elif findings:
        stdout().print(table("Damaged shards", ("shard", "damage", "what was found"), [_to_row(each) for each in findings]))
    else:
        click.echo(f"{len(shards):,} of {len(shards):,} shards are as they were sealed")
    return ExitCode.FAILED if findings else ExitCode.DONE


def _to_json(finding: Finding) -> dict[str, str]:
    return {"shard": finding.shard, "damage": finding.damage.value, "sentence": finding.sentence}


def _to_row(finding: Finding) -> tuple[str, str, str]:
    return finding.shard, finding.damage.value, finding.sentence
