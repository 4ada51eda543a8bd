"""``cmr-train study``: the whole comparison of the paper."""

import os
import tomllib
from collections.abc import Mapping
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cmr_planes.errors import ExitCode
from cmr_planes.system.cores import n_cores
from cmr_planes.system.text import counted, either
from cmr_planes.terminal.console import print_json, reports_errors, say
from cmr_planes.terminal.numbers import Number
from cmr_planes.terminal.options import (
    EnumChoice,
    UserPath,
    choose_scheduler,
    json_option,
    quiet_option,
    scheduler_file_option,
    scheduler_option,
)
from cmr_planes.terminal.progress import shown
from cmr_planes.terminal.tables import Kind, print_table, table
from cmr_train.choices import DeviceKind, Preset, PretextTarget
from cmr_train.cli.options import PATH, lists_problems, setting_option
from cmr_train.config import SETTINGS
from cmr_train.study.engines import Engine, Submit, dask_executor, local_executor, slurm_executor
from cmr_train.study.plan import Pretext, StudyPlan, StudyRun, plan_study
from cmr_train.study.study_file import STUDY_SETTINGS, parse_study, read_document

if TYPE_CHECKING:
    from cmr_train.study.job import Outcome

STUDIES = Path("studies")
"""Folder of the studies, where none is given."""

_ITERATIONS = SETTINGS["iterations"]


def _iterations(context: click.Context, parameter: click.Parameter, value: int | None) -> int | None:  # noqa: ARG001  # click's signature
    """Check a number of iterations."""
    try:
        return None if value is None else _ITERATIONS.parse(value)
    except ValueError as error:
        raise click.BadParameter(f"must be {error}") from error


def _pairs(context: click.Context, parameter: click.Parameter, value: tuple[str, ...]) -> dict[str, str]:  # noqa: ARG001  # click's signature
    """Read NAME=VALUE pairs."""
    unpaired = [text for text in value if "=" not in text]
    if unpaired:
        raise click.BadParameter(f"must be NAME=VALUE, got {unpaired[0]!r}")
    return dict(text.split("=", 1) for text in value)


@click.command()
@click.argument("file", metavar="[STUDY.toml]", required=False, type=UserPath(exists=True, dir_okay=False))
@click.option("--name", metavar="TITLE", help="Title of the report.  [default: the view]")
@setting_option(STUDY_SETTINGS["view"])
@setting_option(SETTINGS["data"])
@setting_option(STUDY_SETTINGS["subjects"])
@setting_option(STUDY_SETTINGS["modes"])
@setting_option(STUDY_SETTINGS["seeds"])
@setting_option(STUDY_SETTINGS["weights"])
@setting_option(STUDY_SETTINGS["pretext_per_seed"])
@setting_option(STUDY_SETTINGS["few_tested"])
@click.option("--preset", type=EnumChoice([*Preset]), help="Source of the defaults.  [default: paper]")
@click.option(
    "--iterations", metavar="N", type=int, callback=_iterations, help="Iterations of the segmentation.  [default: the preset's]"
)
@click.option(
    "--pretext-iterations",
    metavar="N",
    type=int,
    callback=_iterations,
    help="Iterations of the pretext task.  [default: the preset's]",
)
@click.option(
    "--set",
    "settings",
    metavar="NAME=VALUE",
    multiple=True,
    callback=_pairs,
    help="Any setting of a run, such as base_channels=8; may be given several times.  [default: the preset's]",
)
@click.option("-o", "--out", type=PATH, help="Folder of the study.  [default: studies/ and its name]")
@click.option("--jobs", type=Number(int, low=1), help="Parallel runs on this machine.  [default: one per GPU, else 1]")
@click.option("--executor", type=EnumChoice([*Engine]), default=Engine.LOCAL.value, show_default=True, help="Where the runs go.")
@scheduler_option
@scheduler_file_option
@click.option(
    "--slurm",
    metavar="NAME=VALUE",
    multiple=True,
    callback=_pairs,
    help="With slurm: an option of sbatch, such as partition=gpu; may be given several times.  [default: sbatch's]",
)
@click.option("--overwrite", is_flag=True, help="Delete the runs in --out and start over.")
@click.option("--dry-run", is_flag=True, help="Print the plan, and do nothing.")
@json_option("Print the plan or the result as JSON.")
@quiet_option
@reports_errors(interrupted="finished runs and checkpoints are kept, and the same command resumes from there")
@lists_problems
def study(
    *,
    file: Path | None,
    out: Path | None,
    jobs: int | None,
    executor: Engine,
    scheduler: str | None,
    scheduler_file: Path | None,
    slurm: dict[str, str],
    overwrite: bool,
    dry_run: bool,
    as_json: bool,
    **given: Any,  # noqa: ANN401  # keys of a study file
) -> ExitCode:
    """Compare the transfer modes at several numbers of annotated participants, and write the report.

    One pretext is trained, or one per seed, then a network for each mode, number of participants and seed; all are evaluated on
    the same test set. Smaller choices of participants are part of larger ones. The next start skips finished runs and resumes
    stopped ones. A run that fails is tried once more, and the others continue without it. Command-line options override STUDY.toml.

    \b
    Example:
      cmr-train study --view sax --participants 1,5,10 --seeds 3
      cmr-train study study.toml --dry-run
      cmr-train study study.toml --executor slurm --slurm partition=gpu --slurm gpus_per_node=1
    """  # noqa: D301  # click keeps the lines of a paragraph that begins with \b
    cluster = choose_scheduler(scheduler, scheduler_file)
    if (executor is Engine.DASK) != (cluster is not None):
        raise click.UsageError("--executor dask and one of --scheduler and --scheduler-file need each other")
    described = parse_study(_document(file, given))
    folder = out or STUDIES / described.slug
    plan = plan_study(described, folder)
    from cmr_train.study import run as recipe
    from cmr_train.study.job import is_done
    from cmr_train.study.survey import survey

    facts = survey(plan)
    digests = recipe.catalogue_digests(plan)
    if not overwrite:
        recipe.check_folder(plan, folder, digests)
    done = {run.folder for run in plan.everything if not overwrite and is_done(folder / run.folder)}
    if dry_run and as_json:
        print_json({"folder": folder.as_posix(), **recipe.study_json(plan), "facts": facts, "done": sorted(done)})
        return ExitCode.DONE
    if not as_json:
        _print_plan(plan, facts, done)
    if dry_run:
        return ExitCode.DONE
    recipe.prepare_folder(plan, folder, digests, overwrite=overwrite)
    n_jobs, gpus = _local_slots(plan, jobs)
    threads = max(1, n_cores() // n_jobs) if executor is Engine.LOCAL and not gpus and n_jobs > 1 else None
    with _engine(executor, folder, n_jobs, gpus, cluster, slurm) as submit, shown("study", "iterations") as on_progress:
        outcomes = recipe.run_study(
            plan, folder, submit, facts=facts, threads=threads, on_progress=on_progress, on_message=partial(say, style="yellow")
        )
    return _say_end(folder, outcomes, as_json=as_json)


def _document(file: Path | None, given: Mapping[str, Any]) -> dict[str, Any]:
    """Lay the options over the study file."""
    document = {} if file is None else read_document(file)
    for name in ("name", "view", "data", "subjects", "modes", "seeds", "weights", "pretext_per_seed", "few_tested", "preset"):
        if given[name] is not None:
            document[name] = given[name]
    tables = {
        "settings": {name: _toml_value(text) for name, text in given["settings"].items()},
        "pretext": {} if given["pretext_iterations"] is None else {"iterations": given["pretext_iterations"]},
        "finetune": {} if given["iterations"] is None else {"iterations": given["iterations"]},
    }
    for name, table_ in tables.items():
        if table_:
            before = document.get(name, {})
            document[name] = {**before, **table_} if isinstance(before, dict) else before
    return document


def _toml_value(text: str) -> object:
    """Read a value as TOML writes it; a bare word is a text."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _print_plan(plan: StudyPlan, facts: Mapping[str, Mapping[str, int]], done: set[str]) -> None:
    """Print what will be done: a line for each pretext, variant, mode and number of subjects."""
    rows: list[tuple[object, ...]] = [
        (
            f"pretext {pretext.name}{_target(pretext)}",
            facts[pretext.folder]["n_subjects"],
            f"{facts[pretext.folder]['n_images']:,}",
            1,
            int(pretext.folder in done),
        )
        for pretext in plan.pretexts
    ]
    groups: dict[tuple[str, str, int], list[StudyRun]] = {}
    for run in plan.runs:
        groups.setdefault((run.variant, run.mode.value, run.subjects), []).append(run)
    for (variant, mode, subjects), runs in groups.items():
        images = sorted({facts[run.folder]["n_images"] for run in runs})
        name = mode if len(plan.study.variants) == 1 else f"{variant}: {mode}"
        span = f"{images[0]:,}" if len(images) == 1 else f"{images[0]:,} to {images[-1]:,}"
        rows.append((name, subjects, span, len(runs), sum(run.folder in done for run in runs)))
    shown = [(*row, row[3] - row[4]) for row in rows]  # type: ignore[operator]  # counts
    columns = {"run": Kind.TEXT, **dict.fromkeys(("subjects", "images", "runs", "finished", "to do"), Kind.NUMBER)}
    title = plan.study.view.title
    networks = f"{counted(len(plan.runs), 'network')} on {title} images"
    print_table(table(networks if plan.study.name == title else f"{plan.study.name}: {networks}", columns, shown))
    n_test = facts[plan.runs[0].folder]["n_test"]
    tested = "the same " + either(n_test, "participant", counted(n_test, "participant"))
    sentence = f"All are tested on {tested}" if len(plan.runs) > 1 else f"It is tested on {counted(n_test, 'participant')}"
    where = "" if plan.study.test is None else f" of {str(plan.study.test.data)!r}"
    click.echo(f"{sentence}{where}.")


def _target(pretext: Pretext) -> str:
    """Return what a pretext learns, where that is not the boxes."""
    config = pretext.config.pretext
    return "" if config is None or config.target is PretextTarget.BOXES else f" ({config.target})"


def _local_slots(plan: StudyPlan, jobs: int | None) -> tuple[int, tuple[str, ...]]:
    """Return how many runs go side by side, and the GPUs they are spread over where there are several."""
    import torch

    kinds = {run.config.runtime.device for run in plan.everything}
    n_gpus = torch.cuda.device_count() if kinds & {DeviceKind.AUTO, DeviceKind.CUDA} else 0
    visible = os.environ.get("CUDA_VISIBLE_DEVICES", "")
    names = tuple(visible.split(",")) if visible else tuple(str(number) for number in range(n_gpus))
    return jobs or max(1, n_gpus), names[:n_gpus]


def _engine(
    executor: Engine, folder: Path, n_jobs: int, gpus: tuple[str, ...], cluster: str | Path | None, slurm: Mapping[str, str]
) -> AbstractContextManager[Submit]:
    """Return the engine that was asked for."""
    if executor is Engine.SLURM:
        return slurm_executor((folder / "slurm").absolute(), slurm)
    return local_executor(n_jobs, gpus) if cluster is None else dask_executor(cluster)


def _say_end(folder: Path, outcomes: "Mapping[str, Outcome]", *, as_json: bool) -> ExitCode:
    """Print the table and where the report lies; return how the study ended."""
    from cmr_train.cli.study_table import dice_entries, entries_json, results_table
    from cmr_train.report.page import write_report
    from cmr_train.report.results import read_study
    from cmr_train.study.job import State

    states = [outcome.state for outcome in outcomes.values()]
    if State.STOPPED in states:
        n_left = sum(state is not State.DONE for state in states)
        left = f"{n_left} of {counted(len(states), 'run')}"
        say(f"stopped; {left} {'is' if n_left == 1 else 'are'} not finished, and the same command resumes there", style="yellow")
        return ExitCode.INTERRUPTED
    page, results = write_report(folder), read_study(folder)
    failed = {name: outcome.error for name, outcome in outcomes.items() if outcome.state is State.FAILED}
    if as_json:
        print_json(
            {
                "folder": folder.as_posix(),
                "report": page.as_posix(),
                "results": entries_json(dice_entries(results)),
                "failed": failed,
            }
        )
    else:
        print_table(results_table(results))
        click.echo(f"The report is {page}")
    for name, error in failed.items():
        say(f"{name} failed: {error}", style="red")
    return ExitCode.FAILED if failed else ExitCode.DONE
