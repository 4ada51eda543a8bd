"""``cmr-planes show``: contact sheets that let a reader verify where the boxes lie."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import click

from cmr_planes.errors import ExitCode, NoteCode
from cmr_planes.geometry.arrays import BoolArray
from cmr_planes.pictures.contact_sheet import SheetImage, draw_sheet
from cmr_planes.pictures.png import encode_png
from cmr_planes.shards.catalogue import Catalogue
from cmr_planes.shards.view_attributes import ViewAttributes
from cmr_planes.system.progress import Progress
from cmr_planes.system.whole_file import write_whole
from cmr_planes.terminal.console import print_json, reports_errors, say
from cmr_planes.terminal.options import EnumChoice, json_option, quiet_option, verbose_option
from cmr_planes.terminal.progress import shown
from cmr_planes.terminal.text import decimals
from cmr_planes.views import STORED_VIEWS, TARGET_VIEWS, CardiacPhase, CardiacView


@dataclass(frozen=True, slots=True)
class Series:
    """The images of one view of one subject that are to be drawn."""

    subject: str
    """The subject's key."""
    number: int
    """The subject's number in the catalogue, from 1."""
    attributes: ViewAttributes
    """Attributes of the images."""
    phases: tuple[int, ...]
    """Indices of the phases."""
    is_low: bool
    """True if low agreement was noted."""
    annotated: BoolArray | None
    """Shape (phase, slice): which images have labels; None if none has."""

    @property
    def n_images(self) -> int:
        """Number of images."""
        return len(self.phases) * self.attributes.shape[1]


def _lower_case(context: click.Context, parameter: click.Parameter, value: tuple[str, ...]) -> tuple[str, ...]:  # noqa: ARG001  # click's signature
    """Spell the names of phases as they are stored."""
    return tuple(name.lower() for name in value)


@click.command()
@click.argument("catalogue", metavar="OUT.h5", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "-o", "--output", "folder", required=True, type=click.Path(file_okay=False, path_type=Path), help="Folder of the sheets."
)
@click.option("--subject", "keys", multiple=True, metavar="KEY", help="Draw this subject only; may be given several times.")
@click.option(
    "--view",
    "views",
    multiple=True,
    type=EnumChoice([*STORED_VIEWS]),
    help="Draw this view only; may be given several times.  [all but 3ch]",
)
@click.option(
    "--phase",
    "phases",
    multiple=True,
    metavar="NAME",
    callback=_lower_case,
    help="Draw this phase only (ed, es, 000, …); may be given several times.  [ed and es, or the first]",
)
@click.option("--limit", default=20, show_default=True, type=click.IntRange(min=1), help="Maximum number of subjects.")
@click.option("--per-sheet", default=12, show_default=True, type=click.IntRange(1, 100), help="Images on one sheet.")
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
    as_json: bool,
    verbose: bool,
) -> ExitCode:
    """Draw the images of OUT.h5 with their lines, boxes and labels, as PNG contact sheets, one view per sheet.

    Subjects are numbered in the catalogue's order. Their keys are kept out of the pictures and of the files' names, so that sheets
    can be passed on; -v writes them in. Images that disagree along their lines are framed in red. Letters at the edges of an
    image are the sides of the patient: L left, R right, A anterior, P posterior, H head, F feet;
    there are none where the source does not say where these are.

    \b
    Example:
      cmr-planes show out.h5 -o pictures
      cmr-planes show out.h5 -o pictures --subject 9000001_2 --view sax
    """  # noqa: D301  # click keeps the lines of a paragraph that begins with \b
    with Catalogue(catalogue) as opened:
        numbers = _choose_subjects(opened, keys, limit)
        chosen = {
            view: list(_choose_series(opened, numbers, view, phases)) for view in STORED_VIEWS if view in (views or TARGET_VIEWS)
        }
        n_images = sum(series.n_images for of_view in chosen.values() for series in of_view)
        if n_images == 0:
            say("nothing to draw: the catalogue has no such images; 'cmr-planes inspect' says what it holds")
            return ExitCode.NOTHING_USABLE
        folder.mkdir(parents=True, exist_ok=True)
        pictures, n_drawn = [], 0
        with shown("drawing", "images") as on_progress:
            for path, n_on_sheet in _draw(opened, chosen, folder, per_sheet, with_keys=verbose):
                pictures.append(path.as_posix())
                n_drawn += n_on_sheet
                on_progress(Progress(n_drawn, n_images))
                if not as_json:
                    click.echo(path)
    if as_json:
        print_json({"n_images": n_images, "pictures": pictures})
    return ExitCode.DONE


def _draw(
    catalogue: Catalogue, chosen: Mapping[CardiacView, Sequence[Series]], folder: Path, per_sheet: int, *, with_keys: bool
) -> Iterator[tuple[Path, int]]:
    """Draw the sheets of every view; yield the path of each when it is written, and its number of images."""
    for view, of_view in chosen.items():
        for number, panels in enumerate(_batches(_panels(catalogue, of_view, with_keys=with_keys), per_sheet), start=1):
            path = folder / f"{view.value}-{number:03}.png"
            write_whole(path, encode_png(draw_sheet(view, panels, heading=_heading(view, panels))))
            yield path, len(panels)


def _choose_subjects(catalogue: Catalogue, keys: Sequence[str], limit: int) -> dict[str, int]:
    """Return the numbers, from 1, of the subjects with images that are to be drawn."""
    subjects = catalogue.subjects()
    has_images = (subjects.n_images > 0).tolist()
    numbers = {key: number for number, (key, has) in enumerate(zip(subjects.key, has_images, strict=True), start=1) if has}
    unknown = [key for key in keys if key not in numbers]
    if unknown:
        raise click.BadParameter(
            f"the catalogue has no images of {', '.join(unknown)}; 'cmr-planes inspect -v' lists what was left out",
            param_hint="--subject",
        )
    return {key: numbers[key] for key in islice(keys or numbers, limit)}


def _choose_series(catalogue: Catalogue, numbers: dict[str, int], view: CardiacView, phases: Sequence[str]) -> Iterator[Series]:
    """Find the images of one view that are to be drawn."""
    table = catalogue.views()
    stored = set(zip(table.subject, table.view, strict=True))
    low = {(note.subject, note.view) for note in catalogue.notes() if note.code is NoteCode.LOW_AGREEMENT}
    annotations = catalogue.annotations()
    labelled = set(zip(annotations.subject, annotations.view, strict=True))
    for key, number in numbers.items():
        if (key, view.value) in stored:
            attributes = catalogue.view_attributes(key, view)
            annotated = catalogue.labelled_structures(key, view)[..., 0] if (key, view.value) in labelled else None
            chosen = _choose_phases(attributes.phases, phases)
            yield Series(key, number, attributes, chosen, (key, view.value) in low, annotated)


def _choose_phases(stored: Sequence[str], asked: Sequence[str]) -> tuple[int, ...]:
    """Return the indices of the requested phases; by default ED and ES, or the first where the phases have no such names."""
    names = set(asked) or set(CardiacPhase) & set(stored) or set(stored[:1])
    return tuple(index for index, name in enumerate(stored) if name in names)


def _panels(catalogue: Catalogue, chosen: Sequence[Series], *, with_keys: bool) -> Iterator[SheetImage]:
    """Read the images, one at a time: by subject, phase, slice."""
    for series in chosen:
        attributes, n_slices = series.attributes, series.attributes.shape[1]
        for phase in series.phases:
            for slice_index in range(n_slices):
                words = [f"subject {series.number}", attributes.phases[phase].upper()]
                words += [f"slice {slice_index + 1} of {n_slices}"] if n_slices > 1 else []
                words += [series.subject] if with_keys else []
                yield SheetImage(
                    image=catalogue.image(series.subject, attributes.view, phase, slice_index),
                    plane=attributes.planes[slice_index],
                    has_directions=attributes.has_directions,
                    centres_px=None if attributes.boxes is None else attributes.boxes.centres_px[slice_index],
                    boxes=None if attributes.boxes is None else attributes.boxes.boxes[slice_index],
                    title=" · ".join(words),
                    labels=catalogue.labels(series.subject, attributes.view, phase, slice_index)
                    if series.annotated is not None and series.annotated[phase, slice_index]
                    else None,
                    warning=_warning(attributes, slice_index) if series.is_low else "",
                )


def _warning(attributes: ViewAttributes, slice_index: int) -> str:
    """Say how little the images agree along the two lines."""
    if attributes.line_agreement is None:
        return "low agreement"
    values = ", ".join(decimals(value, 2) for value in attributes.line_agreement[slice_index].tolist())
    return f"low agreement along the lines: {values}"


def _heading(view: CardiacView, panels: Sequence[SheetImage]) -> str:
    """Say what a sheet shows."""
    has_boxes = any(panel.boxes is not None for panel in panels)
    if any(panel.labels is not None for panel in panels):
        return f"{view.title}: positions and manual labels" if has_boxes else f"{view.title}: manual labels"
    return f"{view.title}: positions from the view planes" if has_boxes else f"{view.title}: images without positions"


def _batches(panels: Iterator[SheetImage], size: int) -> Iterator[list[SheetImage]]:
    """Group panels by sheet."""
    while batch := list(islice(panels, size)):
        yield batch
