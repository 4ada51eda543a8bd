"""``cmr-planes inspect``: what a catalogue holds, what was left out, and how good the positions are."""

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from math import isnan
from pathlib import Path
from typing import Any

import click

from cmr_planes.cli.reasons import closing_sentence, reasons_table
from cmr_planes.errors import CatalogueFinding, ExitCode, ShardError
from cmr_planes.fates import Fate, PlaneFate
from cmr_planes.shards.catalogue import Catalogue
from cmr_planes.shards.columns import PlaneTable
from cmr_planes.shards.label_summary import LabelSummary, labels_to_json, summarise_labels
from cmr_planes.shards.opening import check_folder
from cmr_planes.shards.summary import CatalogueSummary, Range, ViewSummary, WorstSlice, summarise
from cmr_planes.shards.summary_json import to_json
from cmr_planes.system.text import NO_VALUE, decimals, part
from cmr_planes.terminal.console import print_json, remark, reports_errors
from cmr_planes.terminal.options import CataloguePath, json_option, verbose_option
from cmr_planes.terminal.tables import Kind, Table, print_table, table
from cmr_planes.views import TARGET_VIEWS, CardiacView, PositionClass, Structure, position_name

LISTED = 20
"""Rows of a list that may be long; ``-v`` lists all."""


@click.command()
@click.argument("catalogue", metavar="OUT.h5", type=CataloguePath())
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
        for sentence in _in_short(catalogue, summary, labels):
            click.echo(sentence)
        click.echo()
        for shown in (*_tables(summary, verbose=verbose), *_label_tables(labels)):
            print_table(shown)
        if planes is not None:
            numbers = {key: number for number, key in enumerate(subjects.key, start=1)}
            if planes.fates:
                print_table(_plane_table(planes, numbers))
            for shown in _message_tables(rejections, notes, numbers):
                print_table(shown)
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


def _in_short(catalogue: Path, summary: CatalogueSummary, labels: Sequence[LabelSummary]) -> Iterator[str]:
    """Say in at most four lines what the catalogue is good for, and what to look at first."""
    views = [view for view in summary.views if view.view in TARGET_VIEWS]
    positions = ", ".join(f"{view.view.title} {view.n_with_positions:,}" for view in views)
    yield f"{part(summary.n_used, summary.n_subjects, 'subject')} can be used"
    if any(view.n_with_positions for view in views):
        yield f"with positions: {positions}"
    elif summary.n_images:
        yield "no positions: they need SAX, 2Ch and 4Ch images of one subject"
    annotated = ", ".join(f"{of_view.view.title} {of_view.n_subjects:,}" for of_view in labels)
    yield f"annotated: {annotated or 'no subject'}"
    worst = min((view.worst_slice for view in views if view.worst_slice), key=lambda found: found.line_agreement, default=None)
    if worst is not None:
        command = shlex.join(["cmr-planes", "show", str(catalogue), "-o", "pictures", "--subject", str(worst.subject_number)])
        yield f"to look at first: subject {worst.subject_number}, whose images agree least: {command}"


def _tables(summary: CatalogueSummary, *, verbose: bool) -> Iterator[Table]:
    """Lay the summary out."""
    if summary.views:
        columns = {
            "view": Kind.TEXT,
            **dict.fromkeys(("subjects", "with positions", "slices", "images"), Kind.NUMBER),
            "matrix (rows × columns)": Kind.SENTENCE,
            "pixel size, mm": Kind.NUMBER,
        }
        yield table("Images", columns, [_image_row(view) for view in summary.views])
    if any(view.n_with_positions for view in summary.views):
        measures = ("alignment (0 to 1)", "angle of the lines, degrees", "agreement along the lines (-1 to 1)")
        rows = [_quality_row(view) for view in summary.views if view.n_with_positions]
        columns = {"view": Kind.TEXT, **dict.fromkeys(measures, Kind.NUMBER), "worst slice": Kind.SENTENCE}
        yield table("Positions: least, median, largest", columns, rows)
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
            **({"no.": Kind.NUMBER, "subject": Kind.TEXT} if verbose else {"subject": Kind.NUMBER}),
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
    columns = {"view": Kind.TEXT, **dict.fromkeys(counts, Kind.NUMBER), "formats (subjects)": Kind.SENTENCE}
    rows = [
        (
            of_view.view.title,
            of_view.n_subjects,
            of_view.n_complete,
            of_view.n_slices,
            of_view.n_images,
            "; ".join(f"{source.replace(', ', ' + ')}: {count:,}" for source, count in of_view.sources),
        )
        for of_view in labels
    ]
    yield table("Annotations", columns, rows)
    structures = [
        (
            of_view.view.title,
            structure.title,
            of_view.structure_images[structure],
            f"{100 * of_view.pixel_shares[structure]:.2f}",
        )
        for of_view in labels
        for structure in Structure
        if of_view.structure_images[structure]
    ]
    columns = {"view": Kind.TEXT, "structure": Kind.TEXT, "images": Kind.NUMBER, "share of their pixels, %": Kind.NUMBER}
    yield table("Structures: images on which each is annotated (possibly absent)", columns, structures)


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


def _message_tables(
    rejections: Sequence[CatalogueFinding], notes: Sequence[CatalogueFinding], numbers: Mapping[str, int]
) -> Iterator[Table]:
    columns = {"no.": Kind.NUMBER, **dict.fromkeys(("subject", "view", "reason"), Kind.TEXT), "what was found": Kind.SENTENCE}
    for title, messages in (("Every rejection", rejections), ("Every note", notes)):
        if messages:
            rows = [
                (numbers[message.subject], message.subject, _title(message.view), message.code.value, message.sentence)
                for message in messages
            ]
            yield table(title, columns, rows)


def _plane_table(planes: PlaneTable, numbers: Mapping[str, int]) -> Table:
    """Lay out which view each series is taken as, and whether it is used or why not; series of equal rows share one."""
    columns = {
        "no.": Kind.NUMBER,
        "subject": Kind.TEXT,
        "view": Kind.TEXT,
        **dict.fromkeys(("series", "planes × frames", "angle, degrees", "from the LV, mm"), Kind.NUMBER),
        "fate": Kind.TEXT,
        "why": Kind.SENTENCE,
    }
    alike: dict[tuple[str, str, int, Fate, str], list[PlaneFate]] = {}
    for subject, fate in zip(planes.subject, planes.fates, strict=True):
        alike.setdefault((subject, fate.view, fate.n_frames, fate.fate, fate.sentence), []).append(fate)
    rows = [
        (
            numbers[subject],
            subject,
            _title(view),
            _spans([fate.series_number for fate in fates]),
            f"{sum(fate.n_planes for fate in fates):,} × {n_frames:,}",
            _span([fate.angle_deg for fate in fates]),
            _span([fate.distance_mm for fate in fates]),
            kind.value.replace("_", " "),
            sentence,
        )
        for (subject, view, n_frames, kind, sentence), fates in alike.items()
    ]
    return table("Series; angle: of a long axis' line on SAX, of SAX its tilt", columns, rows)


def _title(view: str) -> str:
    return CardiacView(view).title if view else NO_VALUE


def _span(values: Sequence[float]) -> str:
    """Return the least and the largest of the values that are known, as whole numbers."""
    known = sorted(round(value) for value in values if not isnan(value))
    if not known:
        return NO_VALUE
    return f"{known[0]}" if known[0] == known[-1] else f"{known[0]} to {known[-1]}"


def _spans(numbers: Sequence[int | None]) -> str:
    """Write series numbers, those that follow each other as one span: "3, 6-15".

    Examples
    --------
    >>> _spans([15, 3, 14, 13, None]), _spans([None])
    ('3, 13-15, –', '–')
    """
    spans: list[list[int]] = []
    for number in sorted({number for number in numbers if number is not None}):
        if spans and number == spans[-1][-1] + 1:
            spans[-1].append(number)
        else:
            spans.append([number])
    words = [f"{span[0]}" if len(span) == 1 else f"{span[0]}-{span[-1]}" for span in spans]
    return ", ".join([*words, *([NO_VALUE] if None in numbers else [])])


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
