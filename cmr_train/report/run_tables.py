"""Tables of the runs themselves: the pretexts' scores, times and devices, settings."""

import dataclasses

from cmr_planes.system.csv_text import csv_text
from cmr_planes.system.text import NO_VALUE, counted, decimals, duration
from cmr_train.config import GROUPS
from cmr_train.evaluation.metrics import Metric
from cmr_train.evaluation.scores import MEAN, POOLED, spread
from cmr_train.report.results import RunResult, StudyResults
from cmr_train.report.tables import ReportCell, ReportTable, plain_number


def positions_table(run: RunResult) -> ReportTable | None:
    """Say how well a pretext finds each position; None where it was not tested."""
    if run.table is None or not run.table.structures:
        return None
    rows, plain = [], []
    for name in (*run.table.structures, MEAN):
        cells, numbers = [], []
        for metric in (Metric.DICE, Metric.BAI2019):
            found = spread(run.table.per_subject(metric, POOLED, name))
            n_decimals = 3 if metric is Metric.DICE else 1
            text = f"{decimals(found.mean, n_decimals)} ({decimals(found.std, n_decimals)})" if found.n_subjects else NO_VALUE
            cells.append(ReportCell((text,)))
            numbers += [plain_number(found.mean), plain_number(found.std)]
        rows.append((ReportCell((name,)), *cells))
        plain.append((name, *numbers))
    tested = counted(len(run.table.subjects), "test subject")
    return ReportTable(
        name=f"pretext-{run.name}",
        caption=f"Pretext {run.name}: each position on {tested}, mean (standard deviation)",
        head=("position", "Dice", "contour distance (mm)"),
        rows=tuple(rows),
        csv=csv_text(("position", "dice_mean", "dice_std", "contour_distance_mm_mean", "contour_distance_mm_std"), plain),
    )


def runs_table(results: StudyResults) -> ReportTable:
    """List every run with its time and device."""
    rows, plain = [], []
    seeds = {cell.run.name: str(cell.seed) for cell in results.cells}
    for run in results.runs:
        kind = "pretext" if run in results.pretexts else "cell"
        seed = seeds[run.name] if kind == "cell" else "" if run.config is None else str(run.config.training.seed)
        numbers = ["" if value is None else f"{value:,}" for value in (run.n_subjects, run.n_images, run.attempts)]
        time = "" if run.seconds is None else duration(run.seconds)
        texts = (f"{run.name}, {kind}", run.state, seed, *numbers, time, run.device or "")
        rows.append(tuple(ReportCell((text or NO_VALUE,)) for text in texts))
        plain.append(
            (
                kind,
                run.name,
                run.state,
                seed,
                *(_empty(v) for v in (run.n_subjects, run.n_images, run.attempts, run.seconds, run.device)),
            )
        )
    return ReportTable(
        name="runs",
        caption="Every run: what it learnt from, how long it took, and where",
        head=("run", "state", "seed", "subjects", "images", "attempts", "time", "device"),
        rows=tuple(rows),
        csv=csv_text(("kind", "run", "state", "seed", "subjects", "images", "attempts", "seconds", "device"), plain),
    )


def settings_table(results: StudyResults, variant: str) -> ReportTable:
    """List the configuration of a variant's pretext and networks; what the study varies between them has its values in one cell."""
    cells = [cell for cell in results.cells if cell.variant == variant]
    used = {cell.pretext for cell in cells}
    columns = (
        [run.config.to_json() for run in results.pretexts if run.name in used and run.config],
        [cell.run.config.to_json() for cell in cells if cell.run.config],
    )
    rows, plain = [], []
    for group, kind in GROUPS.items():
        for field in dataclasses.fields(kind):
            if field.name == "pretext":  # a path; the runs' names say it
                continue
            texts = []
            for configs in columns:
                groups = [settings for config in configs if (settings := config[group]) is not None]
                values = dict.fromkeys(_setting(settings[field.name]) for settings in groups)
                texts.append(", ".join(values) or NO_VALUE)
            rows.append(tuple(ReportCell((text,)) for text in (f"{group}: {field.name}", *texts)))
            plain.append((group, field.name, *texts))
    return ReportTable(
        name=f"settings-{variant}",
        caption=f"Configuration of variant {variant}" if len(results.variants) > 1 else "Configuration",
        head=("setting", "pretext", "networks"),
        rows=tuple(rows),
        csv=csv_text(("group", "setting", "pretext", "networks"), plain),
    )


def _setting(value: object) -> str:
    if isinstance(value, list):
        return " ".join(str(item) for item in value) or "all"
    return "not set" if value is None else str(value)


def _empty(value: object) -> object:
    return "" if value is None else value
