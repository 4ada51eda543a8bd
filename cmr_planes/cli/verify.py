"""``cmr-planes verify``: whether the shards of a catalogue are as they were sealed."""

import shlex
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path

import click

from cmr_planes.errors import ExitCode
from cmr_planes.shards.verify import (
    DamagedFile,
    extract_made_labels,
    is_label_file,
    read_sealed_files,
    set_aside,
    verify_catalogue,
)
from cmr_planes.system.text import counted, listed
from cmr_planes.terminal.console import alone_on, print_json, reports_errors
from cmr_planes.terminal.options import CataloguePath, json_option, quiet_option
from cmr_planes.terminal.progress import shown
from cmr_planes.terminal.tables import Kind, print_table, table


@click.command()
@click.argument("catalogue", metavar="OUT.h5", type=CataloguePath())
@click.option(
    "--set-aside", "sets_aside", is_flag=True, help="Rename damaged files to NNNNN.h5.damaged, so that the next run rebuilds them."
)
@json_option()
@quiet_option
@reports_errors(interrupted="no file was changed; the same command starts over")
def verify(catalogue: Path, *, sets_aside: bool, as_json: bool) -> ExitCode:
    """Compare every shard and label file of OUT.h5 with its checksum.

    Exit code 0 if all are whole, 1 if one is missing, truncated or changed. With --set-aside damaged files are renamed; running
    the same 'extract' again then rebuilds them, to the same bytes, and 'annotate' the labels that it had added.

    \b
    Example:
      cmr-planes verify out.h5
      cmr-planes verify out.h5 --set-aside
    """  # noqa: D301  # click keeps the lines of a paragraph that begins with \b
    with alone_on(catalogue) if sets_aside else nullcontext():
        files = read_sealed_files(catalogue)
        with shown("verifying", "shards") as on_progress:
            damaged = verify_catalogue(catalogue, on_progress=on_progress)
        aside = set_aside(catalogue, damaged) if sets_aside else []
    if as_json:
        names = {"set_aside": [file.shard for file in aside]} if sets_aside else {}
        print_json({"n_shards": len(files), "findings": [_to_json(file) for file in damaged], **names})
    elif damaged:
        columns = {"shard": Kind.TEXT, "damage": Kind.TEXT, "what was found": Kind.SENTENCE}
        rows = [(file.shard, file.damage.value, file.sentence) for file in damaged]
        print_table(table("Damaged shards", columns, rows))
        click.echo(_next_step(catalogue, damaged, aside, sets_aside=sets_aside))
    else:
        n_labels = sum(is_label_file(file.name) for file in files)
        parts = [counted(len(files) - n_labels, "shard"), *([counted(n_labels, "label file")] if n_labels else [])]
        click.echo(f"{listed(parts)} {'is as it was' if len(files) == 1 else 'are as they were'} sealed")
    return ExitCode.FAILED if damaged else ExitCode.DONE


def _next_step(catalogue: Path, damaged: Sequence[DamagedFile], aside: Sequence[DamagedFile], *, sets_aside: bool) -> str:
    """Say what to do about damaged files."""
    with_extract = extract_made_labels(catalogue)
    needs_extract = any(with_extract or not is_label_file(file.shard) for file in damaged)
    needs_annotate = any(is_label_file(file.shard) for file in damaged) and not with_extract
    commands = [name for name, is_needed in (("'extract'", needs_extract), ("'annotate'", needs_annotate)) if is_needed]
    again = f"running the same {' and then the same '.join(commands)} again rebuilds them"
    if not sets_aside:
        command = shlex.join(["cmr-planes", "verify", str(catalogue), "--set-aside"])
        return f"this command sets them aside: {command}; {again}"
    n_left = len(damaged) - len(aside)
    left = f"; {counted(n_left, 'file')} cannot be read, left as they are: check the disk" if n_left else ""
    return f"{counted(len(aside), 'file')} set aside; {again}{left}"


def _to_json(file: DamagedFile) -> dict[str, str]:
    return {"shard": file.shard, "damage": file.damage.value, "sentence": file.sentence}
