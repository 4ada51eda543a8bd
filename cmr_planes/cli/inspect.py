"""``cmr-planes inspect``: what a catalogue holds, what was left out, and how good the positions are."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
from rich.table import Table

from cmr_planes.cli.reasons import closing_sentence, reasons_table
from cmr_planes.errors import CatalogueFinding, ExitCode, ShardError
from cmr_planes.shards.catalogue import Catalogue
from cmr_planes.shards.columns import PlaneTable
from cmr_planes.shards.label_summary import LabelSummary, labels_to_json, summarise_labels
from cmr_planes.shards.opening import check_folder
from cmr_planes.shards.summary import CatalogueSummary, Range, ViewSummary, WorstSlice, summarise
from cmr_planes.shards.summary_json import to_json
from cmr_planes.terminal.console import print_json, remark, reports_errors, stdout
from cmr_planes.terminal.options import json_option, verbose_option
from cmr_planes.terminal.tables import Kind, table
from cmr_planes.terminal.text import NO_VALUE, decimals
from cmr_planes.views import CardiacView, PositionClass, Structure, position_name

LISTED = 20
"""Rows of a list that may be long; ``-v`` lists all."""


@click.command()
@click.argument("catalogue", metavar="OUT.h5", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@json_option()
@verbose_option("List every plane of the studies with what became of it, and every rejection and note, with the subjects' keys.")
@reports_errors(interrupted="the catalogue is unchanged")
def inspect(catalogue: Path, *, as_json: bool, verbose: bool) -> ExitCode:
    """Count what OUT.h5 holds: subjects, images, positions, annotations, and what was left out and why.

    Subjects are numbered in the catalogue's order; their keys are printed with -v only. In JSON, "rejections" and "notes" count by
    reason and view; -v adds "planes" (what became of each plane of the studies), "rejected" and "noted" (each with its subject and
    sentence). Exit code 3 if the catalogue holds no image.

    \b
    Example:
      cmr-planes inspect out.h5
      cmr-planes inspect out.h5 --json | jq .views.sax.n_images
    """  # noqa: D301  # click keeps the lines of a paragraph that begins with \b
    with Catalogue(catalogue) as opened:
        subjects, rejections, notes = opened.subjects(), opened.rejections(), opened.notes()
        views = opened.views()
        summary = summarise(subjects, views, rejections, notes)
        labels = summarise_labels(opened.annotations(), views)
        versions = opened.versions()
        table_digest = opened.configuration().get("planes")
        planes = opened.planes() if verbose else None
    shards = sorted(set(subjects.shard))
    n_shards = len(shards)
    if shards:
        _remark_missing_folder(catalogue, shards[0])
    if as_json:
        listed: dict[str, Any] = {}
        if planes is not None:
            listed = {
                "planes": _planes_json(planes),
                "rejected": _messages_json(rejections),
                "noted": _messages_json(notes),
            }
        print_json(
            {"n_shards": n_shards, "versions": versions, **to_json(summary, with_keys=verbose), **_labels_json(labels), **listed}
        )
    else:
        console = stdout()
        for shown in (*_tables(summary, verbose=verbose), *_label_tables(labels)):
            console.print(shown)
        if planes is not None:
            if planes.fates:
                console.print(_plane_table(planes))
            for shown in _message_tables(rejections, notes):
                console.print(shown)
        if table_digest is not None:
            click.echo("Positions rest on a table of planes where the files hold none: they are only as good as that table.")
        click.echo(closing_sentence(summary, n_shards))
    return ExitCode.DONE if summary.n_images else ExitCode.NOTHING_USABLE


def _remark_missing_folder(catalogue: Path, shard: str) -> None:
    """Say so where the catalogue lies alone: its tables can be read, its images cannot."""
    try:
        check_folder(catalogue, shard)
    except ShardError as error:
        remark(str(error))


def _tables(summary: CatalogueSummary, *, verbose: bool) -> Iterator[Table]:
    """Lay the summary out."""
    if summary.views:
        columns = {
            "view": Kind.TEXT,
            **dict.fromkeys(("subjects", "with positions", "slices", "images"), Kind.NUMBER),
            "matrix (rows × columns)": Kind.TEXT,
            "pixel size, mm": Kind.NUMBER,
        }
        yield table("Images", columns, [_image_row(view) for view in summary.views])
    if any(view.n_with_positions for view in summary.views):
        measures = ("alignment (0 to 1)", "angle of the lines, degrees", "agreement along the lines (-1 to 1)", "worst slice")
        rows = [_quality_row(view) for view in summary.views if view.n_with_positions]
        yield table("Positions: least, median, largest", {"view": Kind.TEXT, **dict.fromkeys(measures, Kind.NUMBER)}, rows)
        yield _class_table(summary.views)
    if summary.low_agreement:
        listed = [
            (
                low.subject_number,
                *((low.subject,) if verbose else ()),
                low.view.title,
                *(decimals(agreement, 2) for agreement in low.line_agreement),
                _numbered(low.worst_slice, low.worst_agreement),
            )
            for low in summary.low_agreement[: None if verbose else LISTED]
        ]
        columns = {
            "subject": Kind.NUMBER,
            **({"key": Kind.TEXT} if verbose else {}),
            "view": Kind.TEXT,
            "first line": Kind.NUMBER,
            "second line": Kind.NUMBER,
            "worst slice": Kind.NUMBER,
        }
        yield table(f"Low agreement ({len(summary.low_agreement):,})", columns, listed)
    if any(n_visits > 1 for n_visits, _ in summary.visits):
        columns = {"visits (subjects)": Kind.NUMBER, "participants": Kind.NUMBER}
        yield table("Visits per participant", columns, list(summary.visits))
    if summary.scanners:
        scanners = [
            (scanner.manufacturer or NO_VALUE, _field(scanner.field_strength_t), scanner.n_subjects) for scanner in summary.scanners
        ]
        yield table("Scanners", {"manufacturer": Kind.TEXT, "field": Kind.NUMBER, "subjects": Kind.NUMBER}, scanners)
    for title, reasons in (("Left out", summary.rejections), ("Noted", summary.notes)):
        if reasons:
            yield reasons_table(title, reasons)


def _labels_json(labels: Sequence[LabelSummary]) -> dict[str, Any]:
    """Return what is annotated as JSON's types."""
    return {"annotations": {of_view.view.value: labels_to_json(of_view) for of_view in labels}}


def _label_tables(labels: Sequence[LabelSummary]) -> Iterator[Table]:
    """Lay out what is annotated."""
    if not labels:
        return
    counts = ("annotated subjects", "with labels on every image", "slices", "images")
    columns = {"view": Kind.TEXT, **dict.fromkeys(counts, Kind.NUMBER), "formats (subjects)": Kind.TEXT}
    rows = [
        (
            of_view.view.title,
            of_view.n_subjects,
            of_view.n_complete,
            of_view.n_slices,
            of_view.n_images,
            ", ".join(f"{source} ({count:,})" for source, count in of_view.sources),
        )
        for of_view in labels
    ]
    yield table("Annotations", columns, rows)
    heads = [head for of_view in labels for head in (f"{of_view.view.title} images", f"{of_view.view.title} pixels, %")]
    classes = [
        (
            int(structure),
            structure.title,
            *(
                cell
                for of_view in labels
                for cell in (f"{of_view.structure_images[structure]:,}", f"{100 * of_view.pixel_shares[structure]:.2f}")
            ),
        )
        for structure in Structure
    ]
    yield table(
        "Structures: images on which each is annotated (possibly absent), share of their pixels",
        {"class": Kind.NUMBER, "name": Kind.TEXT, **dict.fromkeys(heads, Kind.NUMBER)},
        classes,
    )


def _image_row(view: ViewSummary) -> tuple[object, ...]:
    matrices = ", ".join(f"{matrix} ({count:,})" for matrix, count in view.matrices[:3])
    more = len(view.matrices) - 3
    return (
        view.view.title,
        view.n_subjects,
        view.n_with_positions,
        view.n_slices,
        view.n_images,
        f"{matrices}, {more:,} more" if more > 0 else matrices,
        _range(view.spacing_mm, 2),
    )


def _quality_row(view: ViewSummary) -> tuple[object, ...]:
    ranges = _range(view.alignment, 2), _range(view.line_angle_deg, 1), _range(view.line_agreement, 2)
    return view.view.title, *ranges, _worst(view.worst_slice)


def _worst(worst: WorstSlice | None) -> str:
    """Say which slice agrees least, and how much."""
    if worst is None:
        return NO_VALUE
    return f"{worst.line_agreement:.2f} (subject {worst.subject_number}, slice {worst.slice_number})"


def _numbered(slice_number: int, agreement: float) -> str:
    return f"{agreement:.2f} (slice {slice_number})" if slice_number else NO_VALUE


def _class_table(views: Sequence[ViewSummary]) -> Table:
    """Shares of the classes: one row a class, one column a view."""
    shown = [view for view in views if view.class_shares]
    rows = [
        (int(position), _class_name(position, shown), *(f"{100 * view.class_shares[position]:.2f}" for view in shown))
        for position in PositionClass
    ]
    columns = {"class": Kind.NUMBER, "name": Kind.TEXT, **{view.view.title: Kind.NUMBER for view in shown}}
    return table("Classes: share of the pixels, %", columns, rows)


def _class_name(position: PositionClass, views: Sequence[ViewSummary]) -> str:
    names = dict.fromkeys(position_name(view.view, position) for view in views)
    return " / ".join(names)


def _message_tables(rejections: Sequence[CatalogueFinding], notes: Sequence[CatalogueFinding]) -> Iterator[Table]:
    for title, messages in (("Every rejection", rejections), ("Every note", notes)):
        if messages:
            rows = [(message.subject, message.view, message.code.value, message.sentence) for message in messages]
            yield table(title, dict.fromkeys(("subject", "view", "reason", "what was found"), Kind.TEXT), rows)


def _plane_table(planes: PlaneTable) -> Table:
    """Lay out which view each plane is taken for, and whether it is used or why not; planes of equal rows are counted."""
    numbers = ("series", "planes", "frames", "angle, degrees", "from the LV, mm")
    columns = {"subject": Kind.TEXT, **dict.fromkeys(numbers, Kind.NUMBER), **dict.fromkeys(("view", "fate", "why"), Kind.TEXT)}
    n_planes: Counter[tuple[object, ...]] = Counter()
    for subject, fate in zip(planes.subject, planes.fates, strict=True):
        about = CardiacView(fate.view).title if fate.view else NO_VALUE, fate.fate.value.replace("_", " "), fate.sentence
        measures = fate.n_frames, decimals(fate.angle_deg, 0), decimals(fate.distance_mm, 0)
        n_planes[subject, fate.series_number, *measures, *about] += fate.n_planes
    rows = [(*row[:2], count, *row[2:]) for row, count in n_planes.items()]
    return table("Planes; angle: of a long axis' line on SAX, of SAX its tilt", columns, rows)


def _planes_json(planes: PlaneTable) -> list[dict[str, Any]]:
    """Return the planes as JSON's types."""
    return [{"subject": subject, **asdict(fate)} for subject, fate in zip(planes.subject, planes.fates, strict=True)]


def _messages_json(messages: Sequence[CatalogueFinding]) -> list[dict[str, str]]:
    return [
        {"subject": message.subject, "view": message.view, "code": message.code.value, "sentence": message.sentence}
        for message in messages
    ]


def _range(values: Range | None, digits: int) -> str:
    if values is None:
        return NO_VALUE
    words = [f"{value:.{digits}f}" for value in (values.least, values.median, values.largest)]
    return words[0] if len(set(words)) == 1 else ", ".join(words)


def _field(field_strength_t: float | None) -> str | None:
    return None if field_strength_t is None else f"{field_strength_t:g} T"
