"""From a run to the card of its network: data by kind and number, never by name."""

import dataclasses
import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from cmr_train.choices import Weights
from cmr_train.errors import CheckpointError
from cmr_train.evaluation.metrics import Metric
from cmr_train.evaluation.score_files import PER_SUBJECT_NAME, SUMMARY_NAME, read_per_subject_csv
from cmr_train.evaluation.scores import ScoreTable
from cmr_train.evaluation.statistics import crossed_interval
from cmr_train.interchange.card import NetworkCard
from cmr_train.runs.folder import CONFIG_NAME, read_json
from cmr_train.runs.identity import in_groups
from cmr_train.runs.run import Run
from cmr_train.settings.fields import to_plain

NO_LICENCE = "not stated: ask the authors of the network"
"""Licence of a network for which none was given."""
PRETEXT = "pretext"
"""Stands on a card for the task that weights were trained on before, or besides."""
METRICS = (Metric.DICE, Metric.BAI2019)
"""Metrics of the scores on a card."""


def describe(run: Run, licence: str = "") -> NetworkCard:
    """Return the card of a run's network.

    Parameters
    ----------
    run
        The run.
    licence
        Under which terms the network is given away; empty if nothing was said.
    """
    stored, plan = read_json(run.folder / CONFIG_NAME), run.config.plan
    return NetworkCard(
        view=run.view,
        head=run.head,
        outputs=run.config.class_numbers(run.head),
        classes=run.classes,
        grid=run.grid,
        network=plan or run.config.network,
        weights=run.weights,
        iteration=run.iteration,
        tensors_sha256=run.tensors_sha256,
        about={
            "licence": licence or NO_LICENCE,
            **({} if plan is None else {"plan_sha256": in_groups(plan.digest)}),
            "training": _training(run),
            "data": [*_data(run)],
            "scores": _scores(run),
            "versions": dict(stored.get("versions", {})),
        },
    )


def _training(run: Run) -> dict[str, Any]:
    """Return how the network was trained: every setting that has nothing to do with places and persons."""
    transfer = run.config.transfer
    mode = {} if transfer is None else {"mode": transfer.mode.value, "structures": [one.title for one in run.config.structures]}
    return {
        "recipe": run.config.recipe.value,
        **({} if run.config.pretext is None else {"target": run.config.pretext.target.value}),
        **mode,
        **to_plain(dataclasses.asdict(run.config.training)),
        "is_finished": run.is_finished,
    }


def _data(run: Run) -> Iterator[dict[str, Any]]:
    """Return what the network has seen: what was learnt from how many people."""
    kind = f"cine MR, {run.view.title}"
    yield {
        "kind": kind,
        "learnt": run.config.task_name(run.head),
        "n_participants": len(run.learnt_from.participants) if run.has_people else None,
        "catalogue_sha256": in_groups(run.catalogue.sha256),
    }
    seen: dict[str, frozenset[str]] = {}
    for group in run.seen_by_pretext:
        seen[group.catalogue.sha256] = seen.get(group.catalogue.sha256, frozenset()) | group.participants
    for digest, people in seen.items():
        yield {"kind": kind, "learnt": PRETEXT, "n_participants": len(people), "catalogue_sha256": in_groups(digest)}


def scores_summary(run: Run) -> dict[str, Any]:
    """Return the summary of the scores that a run's folder holds of these weights; empty where it has none."""
    try:
        summary = read_json(run.folder / SUMMARY_NAME)
    except CheckpointError:
        return {}
    return summary if summary.get("weights", Weights.LAST.value) == run.weights.value else {}


def _scores(run: Run) -> dict[str, Any] | None:
    """Return the scores that the run's folder holds, of these weights, with bootstrap intervals; None where it has none."""
    summary = scores_summary(run)
    if not summary:
        return None
    try:
        table = read_per_subject_csv((run.folder / PER_SUBJECT_NAME).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    digest = summary.get("catalogue", {}).get("sha256")
    return {
        "subset": summary.get("subset"),
        "catalogue_sha256": None if digest is None else in_groups(digest),
        "n_trained_on": summary.get("n_trained_on"),
        "n_seen_by_pretext": summary.get("n_seen_by_pretext"),
        "n_subjects": len(table.subjects),
        "interval": "95 %, bootstrap of the mean over subjects",
        "definitions": {metric.value: metric.definition for metric in METRICS},
        "results": [*_results(table)],
    }


def _results(table: ScoreTable) -> Iterator[Mapping[str, Any]]:
    for phase, structure in table.groups():
        values = {metric: table.per_subject(metric, phase, structure) for metric in METRICS}
        yield {
            "phase": phase,
            "structure": structure,
            **{metric.value: _mean(scores[~np.isnan(scores)]) for metric, scores in values.items()},
        }


def _mean(values: Any) -> dict[str, float | int | None]:  # noqa: ANN401  # an array
    low, high = crossed_interval(values[:, np.newaxis])
    mean = float(values.mean()) if len(values) else math.nan
    return {"n_subjects": len(values), "mean": mean, "low": low, "high": high}
