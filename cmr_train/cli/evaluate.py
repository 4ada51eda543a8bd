"""``cmr-train evaluate``: Dice and contour distance of a run on annotated subjects."""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cmr_planes.errors import ExitCode
from cmr_planes.system.text import NO_VALUE, counted, decimals
from cmr_planes.terminal.console import print_json, remark, reports_errors, say
from cmr_planes.terminal.options import CataloguePath, EnumChoice, UserPath, json_option, quiet_option, verbose_option
from cmr_planes.terminal.progress import shown
from cmr_planes.terminal.tables import Kind, Table, print_table, table
from cmr_train.choices import DeviceKind, People, Subset, Weights
from cmr_train.cli.options import RUN, device_option, people_key_option, run_argument, unfinished_option, weights_option
from cmr_train.evaluation.metrics import Metric
from cmr_train.evaluation.score_files import PER_SUBJECT_NAME, SUMMARY_NAME
from cmr_train.evaluation.scores import MEAN, POOLED, Comparison, GroupSummary, Spread
from cmr_train.runs.folder import EVALUATION_PREFIX, holds_scores_of_study

if TYPE_CHECKING:
    from cmr_train.recipes.evaluate import Evaluation

DIGITS = {Metric.DICE: 3, Metric.BAI2019: 2, Metric.ALL_BORDERS: 2, Metric.HAUSDORFF95: 2}
"""Decimals in the tables."""

HEADS = {
    Metric.DICE: "Dice",
    Metric.BAI2019: "contour distance bai2019, mm",
    Metric.ALL_BORDERS: "contour distance all_borders, mm",
    Metric.HAUSDORFF95: "Hausdorff 95 all_borders, mm",
}
"""Heads of the tables' columns."""


@click.command()
@run_argument
@click.option("--data", type=CataloguePath(), help="Catalogue.  [default: that of the run]")
@click.option(
    "--subset",
    type=EnumChoice([*Subset]),
    help="Subjects to evaluate.  [default: test; unseen in a catalogue of another cohort]",
)
@click.option(
    "--split",
    type=UserPath(exists=True, dir_okay=False),
    help="CSV file of participants and their sets, or a run's split.json, in place of the run's own: --subset is one of these."
    "  [default: the run's]",
)
@click.option(
    "--people",
    type=EnumChoice([*People]),
    help="Whether equal keys in a catalogue of another cohort are the same persons.  [default: refuse to guess]",
)
@people_key_option
@unfinished_option("Score")
@click.option("--baseline", type=RUN, help="A run to compare with, on the same subjects.  [default: none]")
@click.option(
    "-o",
    "--out",
    type=UserPath(file_okay=False),
    help="Folder of the results.  [default: RUN; for other data than its test set a folder in it]",
)
@device_option
@weights_option
@json_option()
@verbose_option("Print contour distances and counts of slices too.")
@quiet_option
@reports_errors(interrupted="no scores are written; the same command starts over")
def evaluate(
    run: Path,
    *,
    data: Path | None,
    subset: Subset | None,
    split: Path | None,
    people: People | None,
    people_key: Path | None,
    unfinished: bool,
    baseline: Path | None,
    out: Path | None,
    device: DeviceKind,
    weights: Weights,
    as_json: bool,
    verbose: bool,
) -> ExitCode:
    """Score RUN on annotated subjects that it was not trained on.

    Prints Dice, and with -v contour distances and counts. Writes per_subject.csv (one row for each subject, phase and structure)
    and summary.json. Dice is of all slices of a phase together. Contour distances are means over the slices that have both masks:
    bai2019 is between outer contours, all_borders between all borders; beside them are the numbers of slices scored, missed and
    invented. "pooled" is the mean of a subject's phases. A run of the pretext task is scored on positions.

    Without --data the run's own catalogue is scored, if it is as it was when the run was trained. Scores of other data than the
    run's test set go to RUN/evaluation-DATA-SUBSET, so that those of the test set stay; so do all scores of a study's networks.

    \b
    Example:
      cmr-train evaluate runs/finetune-sax
      cmr-train evaluate runs/finetune-sax --baseline runs/scratch-sax
      cmr-train evaluate runs/finetune-sax --data hospital.h5 --subset all --json
      cmr-train evaluate runs/finetune-sax --data mnms.h5 --split official.csv
    """  # noqa: D301  # click keeps the lines of a paragraph that begins with \b
    from cmr_train.recipes.evaluate import evaluate as evaluate_run
    from cmr_train.recipes.evaluate import write_scores

    with shown("evaluate", "subjects") as on_progress:
        evaluation = evaluate_run(
            run,
            data,
            subset=subset,
            split=split,
            baseline=baseline,
            people=people,
            people_key=people_key,
            unfinished=unfinished,
            device=device,
            weights=weights,
            on_progress=on_progress,
            on_message=remark,
        )
    folder = out or _folder_of(run, evaluation)
    write_scores(evaluation, folder)
    for sentence in _cautions(evaluation):
        say(sentence, style="yellow")
    if as_json:
        print_json(evaluation.to_json())
        return ExitCode.DONE
    for scores in _tables(evaluation, verbose=verbose):
        print_table(scores)
    if failed := _failed(evaluation):
        click.echo(failed)
    n_subjects = len(evaluation.table.subjects)
    click.echo(f"{counted(n_subjects, 'subject')} evaluated; see {folder / PER_SUBJECT_NAME} and {SUMMARY_NAME}")
    return ExitCode.DONE


def _folder_of(run: Path, evaluation: "Evaluation") -> Path:
    """Return where scores go by default: into the run if they are of its test set and no study's are there, else beside them."""
    is_of_run = evaluation.subset is Subset.TEST and evaluation.is_own_catalogue and evaluation.split_file is None
    if is_of_run and not holds_scores_of_study(run):
        return run
    by_file = "" if evaluation.split_file is None else f"-of-{evaluation.split_file.stem}"
    return run / f"{EVALUATION_PREFIX}{evaluation.catalogue.path.stem}-{evaluation.subset.value}{by_file}"


def _cautions(evaluation: "Evaluation") -> Iterator[str]:
    """Say what a reader of the scores must know."""
    if not evaluation.is_own_catalogue:
        yield f"scored on {str(evaluation.catalogue.path)!r}, which is not the catalogue of the run"
    elif not evaluation.catalogue.path.is_relative_to(Path.cwd()):
        yield f"scored on {str(evaluation.catalogue.path)!r}, the catalogue of the run"
    if not evaluation.is_finished:
        yield "the run has not done all its iterations"
    for name, n_pixels in evaluation.unwanted_pixels.items():
        yield f"{name} was drawn ({n_pixels:,} pixels) and counts as background: the run does not find it"
    if evaluation.n_subjects_left_out:
        yield f"{counted(evaluation.n_subjects_left_out, 'subject')} left out, since the run has seen them"
    if evaluation.n_trained_on and evaluation.subset is not Subset.TRAIN:
        yield f"{counted(evaluation.n_trained_on, 'evaluated subject')} in the training set of the run"
    if evaluation.n_seen_by_pretext:
        yield f"{counted(evaluation.n_seen_by_pretext, 'evaluated subject')} that the pretext has seen"
    if evaluation.n_baseline_trained_on != evaluation.n_trained_on and evaluation.baseline is not None:
        yield (
            f"the run was trained on {evaluation.n_trained_on} of the evaluated subjects, its baseline on "
            f"{evaluation.n_baseline_trained_on}"
        )


def _tables(evaluation: "Evaluation", *, verbose: bool) -> Iterator[Table]:
    """Lay out scores, then differences."""
    yield _full_table(evaluation) if verbose else _dice_table(evaluation)
    if evaluation.comparisons:
        metrics = (Metric.DICE, Metric.BAI2019) if verbose else (Metric.DICE,)
        columns = {
            **dict.fromkeys(("phase", "structure"), Kind.TEXT),
            **({"metric": Kind.TEXT} if verbose else {}),
            **dict.fromkeys(("subjects", "difference", "95 % interval (bootstrap)", "p (Wilcoxon)"), Kind.NUMBER),
        }
        rows = [
            _difference_row(comparison, with_metric=verbose)
            for comparison in evaluation.comparisons
            if comparison.metric in metrics
        ]
        what = "Difference" if verbose else f"Difference in {HEADS[Metric.DICE]}"
        yield table(f"{what} from {evaluation.baseline_run}: mean over subjects, paired", columns, rows)


def _title(evaluation: "Evaluation") -> str:
    """Say which subjects a table's numbers are of."""
    subjects = counted(len(evaluation.table.subjects), "subject")
    of_set = f"{evaluation.subset.value} set" if evaluation.subset is not Subset.ALL else "all sets"
    n_seen = evaluation.n_trained_on + evaluation.n_seen_by_pretext
    seen = f"; {n_seen:,} seen in training" if n_seen and evaluation.subset is not Subset.TRAIN else ""
    return f"{evaluation.view.title}, {subjects} of {evaluation.catalogue.path.name} ({of_set}{seen}): mean (standard deviation)"


def _dice_table(evaluation: "Evaluation") -> Table:
    """Lay out the Dice by structure and phase."""
    summaries = evaluation.table.summaries()
    phases = list(dict.fromkeys(summary.phase for summary in summaries))
    phases.sort(key=lambda phase: phase == POOLED)
    dice = {
        (summary.structure, summary.phase): spread_text(summary.metrics[Metric.DICE], DIGITS[Metric.DICE]) for summary in summaries
    }
    structures = dict.fromkeys(summary.structure for summary in summaries)
    columns = {"structure": Kind.TEXT, **{f"Dice, {_phase_name(phase)}": Kind.NUMBER for phase in phases}}
    rows = [(structure, *(dice.get((structure, phase)) for phase in phases)) for structure in structures]
    return table(_title(evaluation), columns, rows)


def _failed(evaluation: "Evaluation") -> str:
    """Say which structures were missed entirely in some volumes; empty if none was."""
    summaries = evaluation.table.summaries()
    whole = POOLED if any(summary.phase == POOLED for summary in summaries) else summaries[0].phase
    failed = [
        f"{summary.structure} in {summary.n_failed:,} of {summary.n_volumes - summary.n_empty:,}"
        for summary in summaries
        if summary.phase == whole and summary.n_failed and summary.structure != MEAN
    ]
    return f"no slice in common with the truth: {', '.join(failed)} volumes (subject and phase), whose Dice is 0" if failed else ""


def _full_table(evaluation: "Evaluation") -> Table:
    """Lay out all scores."""
    numbers = (*HEADS.values(), "slices scored", "missed", "invented", "failed", "empty")
    columns = {"phase": Kind.TEXT, "structure": Kind.TEXT, **dict.fromkeys(numbers, Kind.NUMBER)}
    return table(_title(evaluation), columns, [_row(summary) for summary in evaluation.table.summaries()])


def _row(summary: GroupSummary) -> tuple[object, ...]:
    return (
        _phase_name(summary.phase),
        summary.structure,
        *(spread_text(summary.metrics[metric], DIGITS[metric]) for metric in Metric),
        summary.n_scored,
        summary.n_missed,
        summary.n_invented,
        summary.n_failed,
        summary.n_empty,
    )


def _difference_row(comparison: Comparison, *, with_metric: bool) -> tuple[object, ...]:
    difference, digits = comparison.difference, DIGITS[comparison.metric]
    mean, low, high = (decimals(value, digits, signed=True) for value in (difference.mean, difference.low, difference.high))
    return (
        _phase_name(comparison.phase),
        comparison.structure,
        *((HEADS[comparison.metric],) if with_metric else ()),
        difference.n_pairs,
        mean,
        None if math.isnan(difference.low) else f"{low} to {high}",
        None if math.isnan(difference.p_value) else f"{difference.p_value:.2g}",
    )


def _phase_name(phase: str) -> str:
    return phase.upper() if len(phase) == 2 else phase


def spread_text(spread: Spread, digits: int) -> str:
    """Write a mean and its standard deviation as tables show them; a dash stands for what does not exist."""
    if not spread.n_subjects:
        return NO_VALUE
    return f"{decimals(spread.mean, digits)} ({decimals(spread.std, digits)})"
