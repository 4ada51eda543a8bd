"""``cmr-planes show``: contact sheets that let a reader verify where the boxes lie."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path

import click

from cmr_planes.cli.seam_rows import seam_rows
from cmr_planes.errors import ExitCode
from cmr_planes.pictures.contact_sheet import SheetImage, draw_sheet
from cmr_planes.pictures.png import encode_png
from cmr_planes.pictures.seams import draw_seams
from cmr_planes.pictures.space import draw_scene
from cmr_planes.quality.scenes import read_scene
from cmr_planes.quality.sheets import Series, SheetReader, sheet_heading
from cmr_planes.shards.catalogue import Catalogue
from cmr_planes.system.progress import Progress
from cmr_planes.system.suggestion import suggest
from cmr_planes.system.whole_file import write_whole
from cmr_planes.terminal.console import print_json, reports_errors, say
from cmr_planes.terminal.numbers import Number
from cmr_planes.terminal.options import CataloguePath, EnumChoice, UserPath, json_option, quiet_option, verbose_option
from cmr_planes.terminal.progress import shown
from cmr_planes.views import STORED_VIEWS, TARGET_VIEWS, CardiacView

Sheet = list[SheetImage]
"""The images of one sheet."""


def _lower_case(context: click.Context, parameter: click.Parameter, value: tuple[str, ...]) -> tuple[str, ...]:  # noqa: ARG001  # click's signature
    """Spell the names of phases as they are stored."""
    return tuple(name.lower() for name in value)


@click.command()
@click.argument("catalogue", metavar="OUT.h5", type=CataloguePath())
@click.option("-o", "--output", "folder", required=True, type=UserPath(file_okay=False), help="Folder of the sheets.")
@click.option(
    "--subject",
    "keys",
    multiple=True,
    metavar="KEY|N",
    help="Draw this subject only, by its key or its number in the catalogue; may be given several times.  [default: all]",
)
@click.option(
    "--view",
    "views",
    multiple=True,
    type=EnumChoice([*STORED_VIEWS]),
    help="Draw this view only; may be given several times.  [default: all but 3ch]",
)
@click.option(
    "--phase",
    "phases",
    multiple=True,
    metavar="NAME",
    callback=_lower_case,
    help="Draw this phase only (ed, es, 000, …); may be given several times.  [default: ed and es, or the first]",
)
@click.option("--limit", default=20, show_default=True, type=Number(int, low=1), help="Maximum number of subjects.")
@click.option(
    "--per-sheet", default=12, show_default=True, type=Number(int, low=1, high=100), help="Images on one sheet, 1 to 100."
)
@click.option(
    "--shifts",
    is_flag=True,
    help="Draw instead how images meet along their common lines, by the headers and shifted: one sheet per subject.",
)
@click.option("--space", is_flag=True, help="Draw each subject's three planes in space instead, with their lines and the boxes.")
@json_option("Print the files written as JSON.")
@verbose_option("Write the subjects' keys into the pictures.")
@quiet_option
@reports_errors(interrupted="pictures that are written are kept; the same command draws all of them again")
def show(
    catalogue: Path,
    *,
    folder: Path,
    keys: tuple[str, ...],
    views: tuple[CardiacView, ...],
    phases: tuple[str, ...],
    limit: int,
    per_sheet: int,
    shifts: bool,
    space: bool,
    as_json: bool,
    verbose: bool,
) -> ExitCode:
    """Draw the images of OUT.h5 with their lines, boxes and labels, as PNG contact sheets, one view per sheet.

    Subjects are numbered in the catalogue's order. Their keys are kept out of the pictures and of the files' names, so that sheets
    can be passed on; -v writes them in. Images that disagree along their lines are framed in red. Letters at the edges of an
    image are the sides of the patient: L left, R right, A anterior, P posterior, H head (superior), F feet (inferior); there are
    none where the source does not say where these are. The two lines bear the names of the views whose planes leave them. Paths of
    the pictures are printed at the end.

    With --space there is one picture for each subject that has all three views: the planes in space, their lines on the middle
    short-axis image, and the nine boxes.

    \b
    Example:
      cmr-planes show out.h5 -o pictures
      cmr-planes show out.h5 -o pictures --space --limit 1
      cmr-planes show out.h5 -o pictures --subject 9000001_2 --view SAX --phase ED
      cmr-planes show out.h5 -o pictures --shifts
    """  # noqa: D301  # click keeps the lines of a paragraph that begins with \b
    if space and shifts:
        raise click.UsageError("--space and --shifts are two kinds of pictures; give one of them")
    if space and (views or phases):
        raise click.UsageError("--view and --phase choose the images of contact sheets; leave them out with --space")
    with Catalogue(catalogue) as opened:
        numbers, table = _choose_subjects(opened, keys, limit), opened.views()
        if shifts:
            return _show_shifts(opened, numbers, folder, as_json=as_json, with_keys=verbose)
        stored = set(zip(table.subject, table.view, strict=True))
        if space:
            whole = {key: number for key, number in numbers.items() if all((key, view.value) in stored for view in TARGET_VIEWS)}
            return _show_space(opened, whole, folder, as_json=as_json, with_keys=verbose)
        reader = SheetReader.of(opened)
        chosen = {
            view: [reader.series(key, number, view) for key, number in numbers.items() if (key, view.value) in stored]
            for view in STORED_VIEWS
            if view in (views or TARGET_VIEWS)
        }
        n_images = sum(len(series.phases(phases)) * series.attributes.shape[1] for of_view in chosen.values() for series in of_view)
        if n_images == 0:
            known = sorted({phase for of_view in chosen.values() for series in of_view for phase in series.attributes.phases})
            listed = ", ".join(known[:3]) + (" …" if len(known) > 3 else "")
            has = f"its phases are {listed}" if known else "'cmr-planes inspect' says what it holds"
            say(f"nothing to draw: the catalogue has no such images; {has}")
            return ExitCode.NOTHING_USABLE
        folder.mkdir(parents=True, exist_ok=True)
        pictures, n_drawn = [], 0
        with shown("drawing", "images") as on_progress:
            for path, n_on_sheet in _draw(reader, chosen, phases, folder, per_sheet, with_keys=verbose):
                pictures.append(path.as_posix())
                n_drawn += n_on_sheet
                on_progress(Progress(n_drawn, n_images))
    if as_json:
        print_json({"n_images": n_images, "pictures": pictures})
    else:
        for picture in pictures:
            click.echo(picture)
    return ExitCode.DONE


def _show_shifts(catalogue: Catalogue, numbers: Mapping[str, int], folder: Path, *, as_json: bool, with_keys: bool) -> ExitCode:
    """Draw the sheets of ``--shifts``, one per subject whose shifts were measured."""
    folder.mkdir(parents=True, exist_ok=True)
    pictures: list[str] = []
    with shown("drawing", "subjects") as on_progress:
        for done, (key, number) in enumerate(numbers.items(), start=1):
            rows = seam_rows(catalogue, key)
            if rows:
                heading = f"subject {number}{f' · {key}' if with_keys else ''}: short axis (above) and long axis along their lines"
                path = folder / f"shifts-{number:03}.png"
                write_whole(path, encode_png(draw_seams(rows, heading=heading)))
                pictures.append(path.as_posix())
            on_progress(Progress(done, len(numbers)))
    return _print_pictures(pictures, lack="shifts need a short axis and two long-axis views with images", as_json=as_json)


def _show_space(catalogue: Catalogue, numbers: Mapping[str, int], folder: Path, *, as_json: bool, with_keys: bool) -> ExitCode:
    """Draw the planes of subjects in space, one picture each."""
    pictures: list[str] = []
    with shown("drawing", "subjects") as on_progress:
        for done, (key, number) in enumerate(numbers.items(), start=1):
            scene = read_scene(catalogue, key, number, with_key=with_keys)
            if scene is not None:
                folder.mkdir(parents=True, exist_ok=True)
                path = folder / f"space-{number:03}.png"
                write_whole(path, encode_png(draw_scene(scene)))
                pictures.append(path.as_posix())
            on_progress(Progress(done, len(numbers)))
    lack = "no subject has SAX, 2Ch and 4Ch with positions; 'cmr-planes inspect' says what the catalogue holds"
    return _print_pictures(pictures, lack=lack, as_json=as_json)


def _print_pictures(pictures: Sequence[str], *, lack: str, as_json: bool) -> ExitCode:
    """Print the paths of the pictures, or say what the catalogue lacks for them."""
    if not pictures:
        say(f"nothing to draw: {lack}")
        return ExitCode.NOTHING_USABLE
    if as_json:
        print_json({"pictures": pictures})
    else:
        for picture in pictures:
            click.echo(picture)
    return ExitCode.DONE


def _draw(
    reader: SheetReader,
    chosen: Mapping[CardiacView, Sequence[Series]],
    phases: Sequence[str],
    folder: Path,
    per_sheet: int,
    *,
    with_keys: bool,
) -> Iterator[tuple[Path, int]]:
    """Draw the sheets of every view; yield the path of each when it is written, and its number of images."""
    for view, of_view in chosen.items():
        for number, panels in enumerate(_sheets(reader, of_view, phases, per_sheet, with_keys=with_keys), start=1):
            path = folder / f"{view.value}-{number:03}.png"
            write_whole(path, encode_png(draw_sheet(view, panels, heading=sheet_heading(view, panels))))
            yield path, len(panels)


def _choose_subjects(catalogue: Catalogue, keys: Sequence[str], limit: int) -> dict[str, int]:
    """Return the numbers, from 1, of the subjects with images that are to be drawn."""
    subjects = catalogue.subjects()
    has_images = (subjects.n_images > 0).tolist()
    numbers = {key: number for number, (key, has) in enumerate(zip(subjects.key, has_images, strict=True), start=1) if has}
    by_number = {str(number): key for key, number in numbers.items()}
    found = [key if key in numbers else by_number.get(key) for key in keys]
    unknown = [key for key, match in zip(keys, found, strict=True) if match is None]
    if unknown:
        raise click.BadParameter(
            f"the catalogue has no images of {', '.join(unknown)}{suggest(unknown[0], numbers)}; 'cmr-planes inspect -v' lists "
            "subjects with their numbers, and what was left out",
            param_hint="--subject",
        )
    return {key: numbers[key] for key in islice(dict.fromkeys(key for key in found or numbers if key is not None), limit)}


def _sheets(reader: SheetReader, chosen: Sequence[Series], phases: Sequence[str], size: int, *, with_keys: bool) -> Iterator[Sheet]:
    """Group the images of one view by sheet; a subject that does not fit on what is left of one begins another."""
    sheet: Sheet = []
    for series in chosen:
        n_images = len(series.phases(phases)) * series.attributes.shape[1]
        if sheet and len(sheet) + n_images > size:
            yield sheet
            sheet = []
        for image in reader.images([series], phases, with_keys=with_keys):
            if len(sheet) == size:
                yield sheet
                sheet = []
            sheet.append(image)
    if sheet:
        yield sheet
