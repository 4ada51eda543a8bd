"""The content of a study's report, section by section."""

import base64
import math
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from cmr_planes.errors import CmrPlanesError
from cmr_planes.system.csv_text import csv_text
from cmr_planes.system.text import either, part
from cmr_planes.views import CardiacView, PositionClass, position_name
from cmr_train.evaluation.metrics import Metric
from cmr_train.evaluation.scores import MEAN
from cmr_train.report import charts, run_tables, tables, wording
from cmr_train.report import drawings as figures
from cmr_train.report.analysis import METRICS, Entry, PaperRow
from cmr_train.report.examples import examples, pretext_example
from cmr_train.report.learning import Learning, learning, needed_for_scratch
from cmr_train.report.results import StudyResults
from cmr_train.report.tables import ReportTable
from cmr_train.runs.identity import in_groups
from cmr_train.study.job import State

_NOT_SHOWN = (CmrPlanesError, OSError)
"""Errors that leave a picture out, with their sentence in its place."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Picture:
    """A figure and its words."""

    name: str
    """Of its file, without the ending."""
    caption: str
    alt: str
    """Text alternative, with the numbers."""
    png: bytes
    narrow: bytes
    """The same as WebP, with its panels below each other for a narrow window."""

    @property
    def size(self) -> tuple[int, int]:
        """Width and height on the page, in CSS pixels."""
        width, height = struct.unpack(">II", self.png[16:24])  # of the PNG's first chunk
        return round(width * figures.CSS_SCALE), round(height * figures.CSS_SCALE)

    @property
    def address(self) -> str:
        """The picture as an address that needs no file."""
        return f"data:image/png;base64,{base64.b64encode(self.png).decode()}"

    @property
    def narrow_address(self) -> str:
        """The picture for a narrow window as an address."""
        return f"data:image/webp;base64,{base64.b64encode(self.narrow).decode()}"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Section:
    """A heading and what stands below it."""

    name: str
    """Where links go."""
    title: str
    level: int = 2
    """2 or 3."""
    text: tuple[str, ...] = ()
    """Paragraphs."""
    parts: tuple[Picture | ReportTable, ...] = ()
    is_folded: bool = False
    """Whether the parts show on request only."""


def make_sections(results: StudyResults, found: tuple[Entry, ...], paper: dict[int, PaperRow]) -> Iterator[Section]:
    """Make the sections of the page, in their order.

    Parameters
    ----------
    results
        The study.
    found
        Its entries, as :func:`cmr_train.report.analysis.entries` makes them.
    paper
        The paper's rows of the view, by the number of subjects.
    """
    yield from _failures(results)
    yield from _tables(results, found, paper)
    if len(results.variants) > 1:
        yield _variants(results, found)
    yield from _trends(results, found)
    yield from _learning(results)
    yield from _examples(results)
    yield from _pretexts(results)
    yield from _setup(results)


def _failures(results: StudyResults) -> Iterator[Section]:
    failed = [run for run in results.runs if run.state != State.DONE]
    if failed:
        rows = tuple(
            tuple(tables.ReportCell((text,)) for text in (run.name, run.state, run.error or "no reason is known")) for run in failed
        )
        text = csv_text(("run", "state", "reason"), [tuple(cell.lines[0] for cell in row) for row in rows])
        head = ("run", "state", "reason")
        table = ReportTable(name="not-ended", caption="Runs that failed or have not ended", head=head, rows=rows, csv=text)
        words = (
            f"{part(len(failed), len(results.runs), 'run')} {either(len(failed), 'has', 'have')} no result; "
            "everything below is about the others."
        )
        yield Section(name="not-ended", title="Failed and missing runs", text=(words,), parts=(table,))


def _tables(results: StudyResults, found: tuple[Entry, ...], paper: dict[int, PaperRow]) -> Iterator[Section]:
    number = {CardiacView.SAX: "Table 1", CardiacView.FOUR_CHAMBER: "Table 2"}.get(results.view)
    notes = [
        "Each cell: mean (standard deviation) over all test subjects and seeds; the 95 % interval of the mean; the paired "
        "difference from scratch with its 95 % interval. Intervals are percentiles of a bootstrap in which subjects and seeds are "
        "both drawn again; with few seeds they are too narrow rather than too wide. A run misses a structure if its mean Dice over "
        "the test subjects is under 0.1; the mean of runs that miss one and of runs that do not describes neither. Iterations are "
        "the median over seeds. Bold is the best of a row where the 95 % interval of its paired difference from each other method "
        "of the row is above zero (below zero for distances)."
    ]
    if results.pretexts and len(results.seeds) > 1:
        notes.append(wording.pretexts_of_seeds(results))
    if paper:
        notes.append(
            f"'paper' is {number} of Bai et al., MICCAI 2019: other people (UK Biobank) and other settings, so that only the "
            "pattern can be compared."
        )
    yield Section(
        name="dice", title="Dice", text=tuple(notes), parts=tuple(_comparisons(results, found, paper, Metric.DICE, (MEAN,)))
    )
    text = ("The same, structure by structure.",)
    parts = tuple(_comparisons(results, found, paper, Metric.DICE, results.structures))
    yield Section(name="structures", title="Dice of each structure", level=3, text=text, parts=parts)
    distances = tuple(_comparisons(results, found, paper, Metric.BAI2019, (MEAN, *results.structures)))
    words = (
        "Mean distance of the outer contours in mm, less is better. Slices in which only one of the two has the structure have no "
        "distance, so a network that finds a structure seldom can look better here than in Dice."
    )
    yield Section(name="distance", title="Contour distance", text=(words,), parts=distances)


def _comparisons(
    results: StudyResults, found: tuple[Entry, ...], paper: dict[int, PaperRow], metric: Metric, structures: tuple[str, ...]
) -> Iterator[ReportTable]:
    what = "Dice on the test set" if metric is Metric.DICE else "Contour distance on the test set, mm"
    for variant in results.variants:
        for structure in structures:
            rows = [e for e in found if (e.variant, e.metric, e.structure) == (variant, metric, structure)]
            of = "mean of structures" if structure == MEAN else structure
            suffix = f", variant {variant}" if len(results.variants) > 1 else ""
            short = "dice" if metric is Metric.DICE else "distance"
            name = _name(results, variant, f"{short}-{structure.lower()}")
            is_main = metric is Metric.DICE and structure == MEAN
            needs = needed_for_scratch([method for method in learning(results) if method.variant == variant]) if is_main else {}
            yield tables.comparison(results, rows, paper, name=name, caption=f"{what}, {of}{suffix}", needs=needs)


def _variants(results: StudyResults, found: tuple[Entry, ...]) -> Section:
    dice = [entry for entry in found if entry.metric is Metric.DICE and entry.structure == MEAN]
    picture = Picture(
        name="variants",
        caption="Dice (mean of structures) of every variant, with 95 % intervals.",
        alt=wording.variants_alt(dice),
        png=figures.png(charts.variants_trend(dice, results.variants)),
        narrow=figures.webp(charts.variants_trend(dice, results.variants, per_row=1)),
    )
    words = (
        "Differences in the first table are from scratch of the same variant, in the second from the first variant. Networks that "
        "two variants share were trained once, and have no difference."
    )
    parts = (tables.variants_table(results, dice), tables.variant_differences_table(results), picture)
    return Section(name="variants", title="Variants side by side", text=(words,), parts=parts)


def _trends(results: StudyResults, found: tuple[Entry, ...]) -> Iterator[Section]:
    names = (MEAN, *results.structures)
    parts = []
    for variant in results.variants:
        for metric in METRICS:
            rows = [entry for entry in found if (entry.variant, entry.metric) == (variant, metric)]
            if not any(entry.exists for entry in rows):
                continue
            what = "Dice" if metric is Metric.DICE else "Mean contour distance"
            parts.append(
                Picture(
                    name=_name(results, variant, "dice" if metric is Metric.DICE else "distance"),
                    caption=f"{what} against the number of annotated subjects, with 95 % intervals{_of(results, variant)}.",
                    alt=wording.trend_alt(rows, names),
                    png=figures.png(charts.trend(rows, names)),
                    narrow=figures.webp(charts.trend(rows, names, per_row=1)),
                )
            )
    if parts:
        yield Section(name="trend", title="Against the number of annotated subjects", parts=tuple(parts))


def _learning(results: StudyResults) -> Iterator[Section]:
    found = learning(results)
    if not found:
        words = "No run was validated while it trained (validate_every): whether training came to its plateau cannot be said."
        yield Section(name="learning", title="Learning curves", text=(words,))
        return
    parts: list[Picture | ReportTable] = []
    for variant in results.variants:
        rows: list[Learning] = [method for method in found if method.variant == variant]
        if rows:
            parts += [
                Picture(
                    name=_name(results, variant, "learning"),
                    caption=f"Dice on the validation set{_seeds_of(rows)}{_of(results, variant)}.",
                    alt=wording.learning_alt(rows),
                    png=figures.png(charts.learning_curves(rows, (MEAN, *results.structures))),
                    narrow=figures.webp(charts.learning_curves(rows, (MEAN, *results.structures), per_row=2)),
                ),
                tables.learning_table(rows, _name(results, variant, "plateau"), _of(results, variant)),
                tables.needed_table(rows, results.modes, _name(results, variant, "iterations-needed"), _of(results, variant)),
            ]
    plateau = (
        "The trend of the last quarter is a straight line through its validations; where it changes Dice by less "
        "than 0.01, the curve is said to be on its plateau."
    )
    if all(math.isnan(method.change) for method in found):
        plateau = (
            "Whether any curve has come to its plateau cannot be said: that takes three validations in its last quarter "
            "(validate_every)."
        )
    words = f"{plateau} A seed that never reached a Dice counts as infinite in the median."
    yield Section(name="learning", title="Learning curves", text=(words,), parts=tuple(parts))


def _seeds_of(rows: Sequence[Learning]) -> str:
    """Say which lines are of which seeds."""
    return ": thick the mean of seeds, thin each seed" if any(len(method.curves) > 1 for method in rows) else ", of one seed"


def _examples(results: StudyResults) -> Iterator[Section]:
    texts: list[str] = []
    parts: list[Picture | ReportTable] = []
    for variant in results.variants:
        try:
            found = examples(results, variant)
        except _NOT_SHOWN as error:
            texts.append(f"There are no pictures: {error}.{f' (variant {variant})' if len(results.variants) > 1 else ''}")
            continue
        parts += [
            Picture(
                name=_name(results, variant, f"example-{example.rank}"),
                caption=f"The {example.rank} test subject by mean Dice of all networks ({example.mean_dice:.2f})"
                f"{_of(results, variant)}.",
                alt=wording.example_alt(example),
                png=figures.png(figures.segmentations(example, results.classes, results.modes)),
                narrow=figures.webp(figures.segmentations(example, results.classes, results.modes, per_row=2)),
            )
            for example in found
        ]
    if parts:
        texts.append("Dice below a panel is of the whole subject, all phases and slices; the first seed that has ended is shown.")
    yield Section(name="examples", title="Segmentations", text=tuple(texts), parts=tuple(parts))


def _pretexts(results: StudyResults) -> Iterator[Section]:
    classes = {
        int(position): position_name(results.view, position)
        for position in PositionClass
        if position is not PositionClass.BACKGROUND
    }
    texts: list[str] = []
    parts: list[Picture | ReportTable] = []
    for run in results.pretexts:
        texts.append(wording.pretext_end(run))
        table = run_tables.positions_table(run)
        if run.config is not None and not run.config.has_classes(run.config.head):
            texts.append(
                f"{run.name}: It has learnt {run.config.traits.meaning}, so that there are no positions to score or to show."
            )
            continue
        try:
            found = pretext_example(results, run)
        except _NOT_SHOWN as error:
            texts.append(f"{run.name}: There is no picture: {error}.")
        else:
            parts.append(
                Picture(
                    name=f"pretext-{run.name}",
                    caption=f"Pretext {run.name}, the median test subject: true and predicted positions.",
                    alt=wording.positions_alt(found, run.name),
                    png=figures.png(figures.positions(found, classes)),
                    narrow=figures.webp(figures.positions(found, classes, per_row=1)),
                )
            )
        parts += [table] if table is not None else []
    if results.pretexts:
        yield Section(name="pretext", title="Pretext", text=tuple(texts), parts=tuple(parts))


def _setup(results: StudyResults) -> Iterator[Section]:
    yield Section(name="runs", title="Runs", parts=(run_tables.runs_table(results),), is_folded=True)
    settings = tuple(run_tables.settings_table(results, variant) for variant in results.variants)
    versions = ", ".join(f"{name} {version}" for name, version in results.versions.items()) or "not known"
    data = ", ".join(f"{Path(path).name} ({in_groups(digest)})" for path, digest in results.catalogues.items()) or "not known"
    tested = ", ".join(f"{path.name} ({in_groups(digest)})" for path, digest in results.other_test_set.items())
    words = (f"Versions: {versions}.", f"Catalogues and their SHA-256: {data}.", *([f"Test set: {tested}."] if tested else []))
    yield Section(name="configuration", title="Configuration", text=words, parts=settings, is_folded=True)


def _name(results: StudyResults, variant: str, name: str) -> str:
    return f"{variant}-{name}" if len(results.variants) > 1 else name


def _of(results: StudyResults, variant: str) -> str:
    return f"; variant {variant}" if len(results.variants) > 1 else ""
