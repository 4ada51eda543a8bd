"""``cmr-planes phantom``: a synthetic cohort with known truth, as DICOM."""

import shlex
import shutil
import time
from pathlib import Path

import click
from click.core import ParameterSource

from cmr_planes.errors import ExitCode, SourceError
from cmr_planes.phantom.acquisition import Protocol
from cmr_planes.phantom.cohort import CohortOptions, make_cohort
from cmr_planes.phantom.layouts import ArchiveStyle
from cmr_planes.phantom.people import Pathology
from cmr_planes.phantom.quirks import Quirk
from cmr_planes.phantom.variety import HARD_FRACTIONS
from cmr_planes.system.cores import n_cores
from cmr_planes.system.text import counted, file_size
from cmr_planes.terminal.console import print_json, reports_errors
from cmr_planes.terminal.numbers import Number
from cmr_planes.terminal.options import EnumChoice, UserPath, json_option, quiet_option
from cmr_planes.terminal.progress import shown

_COHORT, _PROTOCOL = CohortOptions(), Protocol()


def _quirks(context: click.Context, parameter: click.Parameter, value: str) -> tuple[Quirk, ...]:  # noqa: ARG001  # click's signature
    """Read a comma-separated list of quirks."""
    names = list(Quirk) if value.lower() == "all" else [name.strip().lower() for name in value.split(",") if name.strip()]
    unknown = [name for name in names if name not in list(Quirk)]
    if unknown:
        raise click.BadParameter(f"{unknown[0]!r} is not one of all, {', '.join(Quirk)}")
    return tuple(Quirk(name) for name in names)


@click.command()
@click.argument("folder", metavar="DIR", type=UserPath(file_okay=False))
@click.option(
    "-n", "n_subjects", type=Number(int, low=1), default=_COHORT.n_subjects, show_default=True, help="Number of subjects."
)
@click.option(
    "--seed", type=Number(int, low=0), default=_COHORT.seed, show_default=True, help="The same seed gives the same bytes."
)
@click.option(
    "--layout",
    type=EnumChoice([*ArchiveStyle]),
    default=_COHORT.layout.value,
    show_default=True,
    help="Folder layout of the DICOM files.",
)
@click.option(
    "--slices", type=Number(int, low=1), default=_PROTOCOL.n_slices, show_default=True, help="Number of short-axis slices."
)
@click.option(
    "--frames",
    type=Number(int, low=2),
    default=_PROTOCOL.n_frames,
    show_default=True,
    help="Cardiac phases, 2 or more; 2 are ED and ES.",
)
@click.option("--rows", type=Number(int, low=16), default=_PROTOCOL.rows, show_default=True, help="Rows of an image, 16 or more.")
@click.option(
    "--columns", type=Number(int, low=16), default=_PROTOCOL.columns, show_default=True, help="Columns of an image, 16 or more."
)
@click.option("--spacing", type=Number(float, "MM", low=0.1), default=_PROTOCOL.spacing_mm, show_default=True, help="Pixel size.")
@click.option(
    "--breath",
    type=Number(float, "MM", low=0),
    default=_PROTOCOL.breath_mm,
    show_default=True,
    help="Standard deviation of the heart's place from breath-hold to breath-hold, towards head and feet.",
)
@click.option("--mixed", is_flag=True, help="Matrix and pixel size differ between subjects, as between hospitals.")
@click.option(
    "--hard",
    is_flag=True,
    help="People, scanners, planes and artefacts differ as in real sets; matrix, pixel size and slices are drawn.",
)
@click.option("--pathology", type=EnumChoice([*Pathology]), help="Pathology of every subject.  [default: a mixture]")
@click.option(
    "--quirks",
    default="",
    metavar="NAME,NAME,…",
    callback=_quirks,
    help=f"Faults and extras: all, or any of {', '.join(Quirk)}.  [default: none]",
)
@click.option("--no-names", is_flag=True, help="Leave series descriptions empty.")
@click.option(
    "--private-bytes",
    type=Number(int, low=0),
    default=_COHORT.private_bytes,
    show_default=True,
    help="Size of a private header group, in bytes.",
)
@click.option("--workers", type=Number(int, low=1), default=None, help="Processes.  [default: one per core]")
@click.option("--overwrite", is_flag=True, help="Replace an existing cohort.")
@json_option()
@quiet_option
@reports_errors(interrupted="the cohort is incomplete; the same command with --overwrite replaces it")
def phantom(
    *,
    folder: Path,
    n_subjects: int,
    seed: int,
    layout: ArchiveStyle,
    slices: int,
    frames: int,
    rows: int,
    columns: int,
    spacing: float,
    breath: float,
    mixed: bool,
    hard: bool,
    pathology: Pathology | None,
    quirks: tuple[Quirk, ...],
    no_names: bool,
    private_bytes: int,
    workers: int | None,
    overwrite: bool,
    as_json: bool,
) -> ExitCode:
    """Write a synthetic cohort to DIR/dicom, and its truth to DIR/truth.

    Beating hearts in chests, imaged in 2Ch, 3Ch, 4Ch and a short-axis stack. The truth has label maps (NIfTI), contours (cvi42),
    volumes, frames, planes and box centres.

    \b
    Example:
      cmr-planes phantom cohort -n 20 --seed 0
      cmr-planes phantom biobank -n 4 --layout ukb --private-bytes 90000
      cmr-planes phantom messy -n 4 --quirks all
      cmr-planes phantom hard -n 96 --hard --frames 8
    """  # noqa: D301  # click keeps the lines of a paragraph that begins with \b
    if hard:
        _refuse_drawn(click.get_current_context())
    _clear(folder, overwrite=overwrite)
    options = CohortOptions(
        n_subjects=n_subjects,
        seed=seed,
        layout=layout,
        protocol=Protocol(
            n_slices=slices,
            n_frames=frames,
            rows=rows,
            columns=columns,
            spacing_mm=spacing,
            breath_mm=breath,
            is_mixed=mixed,
        ),
        quirks=quirks,
        fractions={pathology: 1.0} if pathology else HARD_FRACTIONS if hard else _COHORT.fractions,
        has_names=not no_names,
        is_hard=hard,
        private_bytes=private_bytes,
    )
    start = time.perf_counter()
    with shown("phantom", "subjects") as on_progress:
        make_cohort(folder, options, n_workers=workers or n_cores(), on_progress=on_progress)
    seconds = time.perf_counter() - start
    n_bytes = sum(path.stat().st_size for path in (folder / "dicom").rglob("*") if path.is_file())
    if as_json:
        print_json({"n_subjects": n_subjects, "n_bytes": n_bytes, "seconds": round(seconds, 3)})
    else:
        click.echo(
            f"{counted(n_subjects, 'subject')}, {file_size(n_bytes)} in {folder / 'dicom'}, their truth in {folder / 'truth'}"
        )
        click.echo(f"Next: {shlex.join(['cmr-planes', 'extract', str(folder / 'dicom'), 'out.h5'])}")
    return ExitCode.DONE


def _refuse_drawn(context: click.Context) -> None:
    """Refuse options whose values a hard cohort draws for each subject."""
    drawn = ("slices", "rows", "columns", "spacing", "breath", "mixed")
    given = [name for name in drawn if context.get_parameter_source(name) is ParameterSource.COMMANDLINE]
    if given:
        names = " and ".join(f"--{name}" for name in given)
        raise click.UsageError(f"--hard draws matrix, pixel size, slices and breath-holds for each subject; leave out {names}")


def _clear(folder: Path, *, overwrite: bool) -> None:
    """Make room for a cohort, or refuse."""
    present = [folder / name for name in ("dicom", "truth") if (folder / name).exists()]
    if present and not overwrite:
        raise SourceError(f"{present[0]} exists; choose another folder, or replace it with --overwrite")
    for path in present:
        shutil.rmtree(path)
    folder.mkdir(parents=True, exist_ok=True)
