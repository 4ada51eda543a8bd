"""``cmr-train predict``: segment new scans."""

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import click
from rich.table import Table

from cmr_planes.errors import ExitCode, Rejection
from cmr_planes.shards.catalogue import Catalogue
from cmr_planes.terminal.console import print_json, progress, reports_errors, say, stdout
from cmr_planes.terminal.options import EnumChoice, quiet_option
from cmr_planes.terminal.tables import Kind, table
from cmr_planes.terminal.text import counted, decimals
from cmr_planes.views import PhaseChoice
from cmr_train.choices import DeviceKind

if TYPE_CHECKING:
    from cmr_train.evaluation.volumes import Function
    from cmr_train.recipes.predict import PredictedSubject
    from cmr_train.runs.run import Run

LISTED = 20
"""Subjects whose volumes are printed; ``volumes.csv`` has all."""

_MEASURES = ("LV EDV, ml", "LV ESV, ml", "LV EF, %", "LV mass, g", "RV EDV, ml", "RV ESV, ml", "RV EF, %")


@click.command()
@click.argument("run", metavar="RUN", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.argument("sources", metavar="SOURCE...", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option("-o", "--out", required=True, type=click.Path(file_okay=False, path_type=Path), help="Folder of the results.")
@click.option(
    "--phases",
    type=EnumChoice([*PhaseChoice]),
    default=PhaseChoice.ED_ES.value,
    show_default=True,
    help="Of DICOM: end-diastole and end-systole, or every frame.",
)
@click.option("--pictures/--no-pictures", default=True, show_default=True, help="Draw contact sheets.")
@click.option("--device", type=EnumChoice([*DeviceKind]), default=DeviceKind.AUTO.value, show_default=True, help="What computes.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@click.option("-v", "--verbose", is_flag=True, help="Print subjects' keys, and why subjects were left out.")
@quiet_option
@reports_errors(interrupted="files that are written are kept; the same command starts over")
def predict(
    run: Path,
    sources: tuple[Path, ...],
    *,
    out: Path,
    phases: PhaseChoice,
    pictures: bool,
    device: DeviceKind,
    as_json: bool,
    verbose: bool,
) -> ExitCode:
    """Segment SOURCE with RUN: folders or zips of DICOM, as 'cmr-planes extract' takes them, or one catalogue (.h5).

    Writes label maps as NIfTI in the scanner's coordinates, contact sheets as PNG and, for short-axis stacks, volumes.csv: volumes
    of both ventricles in ml, ejection fraction in %, mass of the left ventricle in g (1.05 g/ml). File names hold subjects' keys.
    Exit code 3 if no subject has the view of RUN. For research only; not a medical device.

    \b
    Example:
      cmr-train predict runs/finetune-sax new_scans/ -o segmented
      cmr-train predict runs/finetune-sax out.h5 -o segmented --no-pictures
    """  # noqa: D301  # click keeps the lines of a paragraph that begins with \b
    from cmr_train.compute.devices import choose_device
    from cmr_train.recipes import predict as recipe
    from cmr_train.runs.run import load_run

    loaded = load_run(run, choose_device(device))
    with _opened(sources, loaded, phases, out) as catalogue:
        rejections = [each for each in catalogue.rejections() if each.view in ("", loaded.view.value)]
        n_subjects = len(set(catalogue.index(loaded.view).subject_number.tolist()))
        with progress("predict", n_subjects, unit="subjects") as advance:
            done = recipe.predict(loaded, catalogue, out, with_pictures=pictures, on_subject=advance)
    if as_json:
        print_json(_to_json(loaded, done, rejections, with_keys=verbose))
    else:
        _print(loaded, done, rejections, out, with_keys=verbose)
    return ExitCode.DONE if done else ExitCode.NOTHING_USABLE


@contextmanager
def _opened(sources: Sequence[Path], run: "Run", phases: PhaseChoice, out: Path) -> Iterator[Catalogue]:
    """Open a catalogue, or make one from DICOM that is gone afterwards."""
    if len(sources) == 1 and sources[0].suffix == ".h5":
        with Catalogue(sources[0]) as catalogue:
            yield catalogue
        return
    from cmr_train.recipes.from_dicom import extract_view

    out.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=".from-dicom-", dir=out) as folder:
        path = extract_view(sources, run.view, Path(folder) / "out.h5", phases=phases)
        with Catalogue(path) as catalogue:
            yield catalogue


def _to_json(run: "Run", done: "list[PredictedSubject]", rejections: Sequence[Rejection], *, with_keys: bool) -> dict[str, Any]:
    """Return what was done; keys of subjects only if they were asked for."""
    from cmr_train.recipes.predict import function_values

    subjects: list[dict[str, Any]] = []
    for number, each in enumerate(done, start=1):
        key = {"key": each.subject} if with_keys else {}
        values = {} if each.function is None else function_values(each.function)
        subjects.append({"subject": number, **key, "phases": list(each.phases), "n_slices": each.n_slices, **values})
    left_out = [
        {**({"subject": each.subject} if with_keys else {}), "view": each.view, "code": each.code.value, "sentence": each.sentence}
        for each in rejections
    ]
    return {"view": run.view.value, "task": run.head.value, "subjects": subjects, "left_out": left_out}


def _print(run: "Run", done: "list[PredictedSubject]", rejections: Sequence[Rejection], out: Path, *, with_keys: bool) -> None:
    """Print volumes, what was left out, and where the files are."""
    console = stdout()
    measured = [(number, each, each.function) for number, each in enumerate(done, start=1) if each.function is not None]
    if measured:
        rows = [_volume_row(each.subject if with_keys else number, function) for number, each, function in measured[:LISTED]]
        columns = {"subject": Kind.TEXT if with_keys else Kind.NUMBER, **dict.fromkeys(_MEASURES, Kind.NUMBER)}
        console.print(table("Volumes", columns, rows))
    if rejections:
        console.print(_left_out(rejections, with_keys=with_keys))
    images = sum(len(each.phases) * each.n_slices for each in done)
    if not done:
        say(f"no subject has images of view {run.view.title}; there is nothing to segment", style="red")
        return
    click.echo(f"{counted(len(done), 'subject')} segmented, {counted(images, 'image')} of view {run.view.title}; see {out}")


def _volume_row(subject: object, function: "Function") -> tuple[object, ...]:
    lv, rv = function.lv, function.rv
    values = (
        lv.end_diastolic_ml,
        lv.end_systolic_ml,
        lv.ejection_fraction_percent,
        function.lv_mass_g,
        rv.end_diastolic_ml,
        rv.end_systolic_ml,
        rv.ejection_fraction_percent,
    )
    return subject, *(decimals(value, 1) for value in values)


def _left_out(rejections: Sequence[Rejection], *, with_keys: bool) -> Table:
    """Lay out why subjects were left out: every sentence with the keys, else how often each reason."""
    if with_keys:
        rows: list[tuple[object, ...]] = [(each.subject, each.code.value, each.sentence) for each in rejections]
        return table("Left out", dict.fromkeys(("subject", "reason", "what was found"), Kind.TEXT), rows)
    counts = Counter(each.code.value for each in rejections)
    return table("Left out", {"reason": Kind.TEXT, "subjects": Kind.NUMBER}, list(counts.items()))
