"""The address of a PACS in place of ``extract``'s SOURCE: pulled into a folder beside the output, which is removed at the end."""

import functools
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from cmr_planes.cine.series_names import NameTable
from cmr_planes.cli.access_options import access_options
from cmr_planes.cli.pacs_options import STUDY_FIELDS, study_options
from cmr_planes.errors import ExitCode, SourceError
from cmr_planes.pacs.access import Access
from cmr_planes.pacs.addresses import PacsAddress
from cmr_planes.system.text import counted
from cmr_planes.terminal.console import remark, say
from cmr_planes.terminal.progress import shown

if TYPE_CHECKING:
    from cmr_planes.pacs.pull import PullSummary

PULL_SUFFIX = ".pull"
"""Ends the name of the folder of pulled studies: ``out.pull`` beside ``out.h5``."""

_ACCESS_FIELDS = ("token_file", "login_file", "ca", "calling_aet", "timeout_seconds")


PACS_FIELDS = (*STUDY_FIELDS, *_ACCESS_FIELDS)
"""The parameters of :func:`pulled_source_options`."""


def pulled_source_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that say which studies are pulled, and how the PACS is talked to."""
    return study_options(access_options(command))


def with_pulled_source(command: Callable[..., ExitCode]) -> Callable[..., ExitCode]:
    """Let a command that has SOURCE and OUT take the address of a PACS as its SOURCE; it gets the folder of pulled studies."""

    @functools.wraps(command)
    def run(
        *,
        sources: tuple[Path | PacsAddress, ...],
        out: Path,
        access: Access,
        names: NameTable,
        nifti: bool,
        dry_run: bool,
        as_json: bool,
        **choices: Any,  # noqa: ANN401  # the study options, and what the command takes
    ) -> ExitCode:
        wanted = {name: choices.pop(name) for name in STUDY_FIELDS}
        rest = {"out": out, "names": names, "nifti": nifti, "dry_run": dry_run, "as_json": as_json, **choices}
        addresses = [source for source in sources if not isinstance(source, Path)]
        if not addresses:
            _refuse_pacs_options()
            return command(sources=sources, **rest)
        if len(sources) > 1:
            raise click.UsageError("the address of a PACS stands alone in the place of SOURCE; pull into a folder first")
        if nifti:
            raise click.UsageError("--nifti needs files; a PACS has DICOM")
        from cmr_planes.pacs.pull import PullOptions  # needs packages of an extra
        from cmr_planes.pacs.pull import pull as run_pull

        folder = out.with_suffix(PULL_SUFFIX)
        try:
            with shown("pull", "studies") as on_progress:
                summary = run_pull(
                    addresses[0],
                    folder,
                    PullOptions(names=names, for_extraction=True, **wanted),
                    access=access,
                    dry_run=dry_run,
                    on_progress=on_progress,
                    on_message=remark,
                )
            if dry_run:
                from cmr_planes.cli.pull import print_pull

                print_pull(summary, dry_run=True, as_json=as_json)
                return ExitCode.DONE
            studies = _folders(summary, folder)
            code = command(sources=studies, **rest)
        except BaseException:
            if folder.exists():
                remark(f"pulled studies stay in {folder}, with all their identifiers: the same command continues with them")
            raise
        if not summary.is_unfinished:
            shutil.rmtree(folder, ignore_errors=True)
            return code
        n_missing = len({row.study for row in summary.left_out})
        say(
            f"{counted(n_missing, 'study', 'studies')} did not come from the PACS and are not in {out}; the same command "
            f"continues with what is in {folder}",
            style="red",
        )
        return ExitCode.FAILED

    return run


def _folders(summary: "PullSummary", folder: Path) -> tuple[Path, ...]:
    """Return the folder of each study, as a source of its own: nothing joins studies that the PACS distinguishes."""
    folders = tuple(folder / one.name for one in summary.outcomes if one.is_whole or one.was_there)
    if not folders:
        reasons = "; ".join(row.sentence for row in summary.left_out[:3])
        raise SourceError(f"no study came from the PACS: {reasons}")
    return folders


def _refuse_pacs_options() -> None:
    """Refuse options that say something of a PACS where there is none."""
    context = click.get_current_context()
    for name in (*STUDY_FIELDS, *_ACCESS_FIELDS):
        if context.get_parameter_source(name) is ParameterSource.COMMANDLINE:
            raise click.UsageError(f"--{name.replace('_', '-')} is for the address of a PACS in the place of SOURCE; leave it out")
