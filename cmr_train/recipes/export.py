"""Give a network away: its weights, its configuration without paths, and a card; no participant's key."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cmr_planes.system.names import PathLike
from cmr_planes.system.whole_file import file_sha256, write_whole
from cmr_train.choices import Head, Weights
from cmr_train.config import RunConfig
from cmr_train.data.pixel_sizes import pixel_text
from cmr_train.errors import CheckpointError, ConfigError, TrainError
from cmr_train.evaluation.score_files import SUMMARY_NAME
from cmr_train.runs.checkpoint import save_checkpoint
from cmr_train.runs.files import write_json
from cmr_train.runs.folder import (
    CATALOGUES_FIELD,
    CLASSES_FIELD,
    CONFIG_NAME,
    EXPORTED_SPLIT,
    FINAL_NAME,
    PIXEL_FIELD,
    SPLIT_NAME,
    read_json,
)
from cmr_train.runs.identity import in_groups
from cmr_train.runs.run import Run, loaded, weights_path

CARD_NAME = "card.md"
"""What a network is and what it was trained on, for readers."""

NO_PATH = Path("-")
"""Stands for a path in an exported configuration."""


def export(
    run: Run | PathLike, out: PathLike, *, weights: Weights | str = "last", unfinished: bool = False, overwrite: bool = False
) -> Path:
    """Write a network without the people whom it was trained on.

    ``evaluate``, ``predict`` and a transfer take the folder as they take a run. Since it does not say whom the network has seen,
    they want to be told that they are given other people.

    Parameters
    ----------
    run
        A trained network, or its folder.
    out
        The folder for ``final.pt``, ``config.json``, ``split.json`` without participants, and ``card.md``; made if it does not
        exist.
    weights
        Weights of a run that is given as a folder: ``last`` or ``best``.
    unfinished
        Whether a run that has not done all its iterations is exported.
    overwrite
        Whether files of these names are replaced.

    Returns
    -------
        The folder.

    Raises
    ------
    ConfigError
        ``out`` holds such files, and ``overwrite`` is not set.
    CheckpointError
        ``run`` is no run, or its weights cannot be used.
    OSError
        A file cannot be written.

    Examples
    --------
    >>> export("runs/finetune", "network")  # doctest: +SKIP
    PosixPath('network')
    """
    network, folder = loaded(run, "cpu", weights, unfinished=unfinished), Path(out)
    there = [name for name in (FINAL_NAME, CONFIG_NAME, SPLIT_NAME, CARD_NAME) if (folder / name).exists()]
    if there and not overwrite:
        raise ConfigError([f"{str(folder)!r} holds {there[0]} already; choose another folder, or overwrite it"])
    stored = read_json(network.folder / CONFIG_NAME)
    folder.mkdir(parents=True, exist_ok=True)
    content = {"iteration": network.iteration, "model": network.model.state_dict(), CLASSES_FIELD: network.classes}
    save_checkpoint(folder / FINAL_NAME, content)
    catalogues = {head.value: {**identity.to_json(), "path": str(NO_PATH)} for head, identity in network.catalogues.items()}
    kept = {name: stored[name] for name in ("versions", CLASSES_FIELD, PIXEL_FIELD) if name in stored}
    write_json(folder / CONFIG_NAME, {"config": _without_paths(network.config).to_json(), **kept, CATALOGUES_FIELD: catalogues})
    write_json(folder / SPLIT_NAME, EXPORTED_SPLIT)
    write_whole(folder / CARD_NAME, "\n".join(_card(network, folder, stored)).encode())
    return folder


def _without_paths(config: RunConfig) -> RunConfig:
    """Return a configuration in which no path of the machine stands."""
    transfer = config.transfer
    if transfer is not None:
        transfer = dataclasses.replace(transfer, pretext=None if transfer.pretext is None else NO_PATH, pretext_data=None)
    return dataclasses.replace(config, data=dataclasses.replace(config.data, data=NO_PATH, split=None), transfer=transfer)


def _card(run: Run, folder: Path, stored: dict[str, Any]) -> Iterator[str]:
    """Write the card, line by line."""
    network, classes = run.config.network, run.classes
    task = "nine anatomical positions" if run.head is Head.POSITIONS else ", ".join(classes.values())
    yield f"# A network for {run.view.title} images: {task}"
    yield ""
    yield "For research only; not a medical device."
    yield ""
    yield "| | |"
    yield "|---|---|"
    for name, value in (
        ("view", run.view.title),
        ("classes", "0 background, " + ", ".join(f"{number} {name}" for number, name in classes.items())),
        ("matrix", f"{run.image_size[0]} × {run.image_size[1]} pixels"),
        ("pixel size", "not known" if run.pixel_mm is None else pixel_text(run.pixel_mm)),
        ("intensities", "the 1st percentile of an image becomes 0, the 99th becomes 1"),
        ("network", f"U-net, {network.base_channels} channels, {network.levels} levels, {network.norm.value} normalisation"),
        ("training", _training(run)),
        ("learnt from", f"{len(run.split.train)} participants"),
        *(("positions of", f"{len(people)} participants") for people in _seen_by_catalogue(run)),
        *(((f"SHA-256 of the catalogue, {head.value}", in_groups(one.sha256)) for head, one in run.catalogues.items())),
        ("SHA-256 of the weights here", in_groups(file_sha256(folder / FINAL_NAME))),
        ("SHA-256 of the run's weights", in_groups(file_sha256(weights_path(run.folder, run.weights, unfinished=True)))),
        ("versions", ", ".join(f"{name} {version}" for name, version in stored.get("versions", {}).items()) or "not known"),
    ):
        yield f"| {name} | {value} |"
    yield ""
    yield from _scores(run)
    yield "No participant's key is in this folder, so that it cannot be told whom the network has seen: use it on other people, and"
    yield "say so (`people = other`). Weights can, in principle, still tell something of the images that they were trained on."
    yield ""


def _seen_by_catalogue(run: Run) -> list[frozenset[str]]:
    """Return whose positions were trained on, before the run or in it, once for each catalogue."""
    seen: dict[str, frozenset[str]] = {}
    for group in run.seen_by_pretext:
        seen[group.catalogue.sha256] = seen.get(group.catalogue.sha256, frozenset()) | group.participants
    return list(seen.values())


def _training(run: Run) -> str:
    """Say how far and how a network was trained."""
    training, transfer = run.config.training, run.config.transfer
    done = "" if run.is_finished else f", not finished: {run.iteration:,} done"
    mode = "positions" if transfer is None else f"transfer {transfer.mode.value}"
    return f"{mode}, {training.iterations:,} iterations of {training.batch_size} images, {training.loss.value}{done}"


def _scores(run: Run) -> Iterator[str]:
    """Give the mean Dice of the run's test set, if it was scored."""
    try:
        summary = read_json(run.folder / SUMMARY_NAME)
        means = {result["structure"]: result["dice"]["mean"] for result in summary["results"] if result["phase"] == "pooled"}
    except (CheckpointError, TrainError, KeyError, TypeError):
        return
    listed = ", ".join(f"{name} {mean:.3f}" for name, mean in means.items() if isinstance(mean, float))
    if listed:
        yield f"Mean Dice of the {summary['n_subjects']} subjects of its test set: {listed}."
        yield ""
