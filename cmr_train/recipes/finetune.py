"""Task 2: learn to segment from few annotated subjects, with or without what the pretext task taught."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cmr_planes.shards.catalogue import Catalogue
from cmr_planes.views import CardiacView
from cmr_train.choices import Head, Preset, Recipe, TransferMode
from cmr_train.compute.devices import prepare
from cmr_train.compute.distributed import check_batch, joined, world_from_environment
from cmr_train.config import RunConfig, TransferConfig, inherited
from cmr_train.data.splits import Split
from cmr_train.errors import ConfigError, TrainError
from cmr_train.models.initial_weights import initialise
from cmr_train.models.unet import UNet
from cmr_train.presets import configure
from cmr_train.runs.files import write_json
from cmr_train.runs.folder import LAST_NAME, newest_pretext, read_config, read_split
from cmr_train.runs.run import make_network, read_weights
from cmr_train.training.session import WEIGHTS_NAME, Reporter, Session, carry_out, open_folder
from cmr_train.training.state import make_state
from cmr_train.training.tasks import choose_images, make_tasks
from cmr_train.training.transfer import LoadReport, freeze, load_weights


def configure_finetune(preset: Preset, runs: Path, given: Mapping[str, Any]) -> RunConfig:
    """Resolve the configuration of a transfer: what was given, else what the pretext has, else the preset.

    Parameters
    ----------
    preset
        Where the defaults come from.
    runs
        The folder in which the newest finished pretext is looked for, where none is given.
    given
        Fields of any group, by name; None means not given.

    Raises
    ------
    ConfigError
        A value cannot be used, or there is no pretext.
    CheckpointError
        The pretext is not a run.
    """
    values = {name: value for name, value in given.items() if value is not None}
    view = CardiacView(values.get("view", CardiacView.SAX))
    mode = TransferMode(values.get("mode", TransferMode.MULTITASK))
    if mode is TransferMode.SCRATCH:
        return configure(Recipe.FINETUNE, preset, **values)
    if "pretext" not in values:
        values["pretext"] = newest_pretext(runs, view)
    if values["pretext"] is None:
        raise ConfigError(
            [
                f"there is no finished pretext of view {view.title} in {str(runs)!r}; run 'cmr-train pretext --view {view.value}' "
                "first, give --pretext RUN, or use --mode scratch"
            ]
        )
    return configure(Recipe.FINETUNE, preset, **(inherited(read_config(values["pretext"]), mode) | values))


def finetune(config: RunConfig, out: Path, *, resume: bool = False, overwrite: bool = False, reporter: Reporter) -> bool:
    """Train a network to segment one view; parameters, result and errors as :func:`cmr_train.recipes.pretext.pretext`."""
    transfer = _transfer(config)
    world = world_from_environment()
    check_batch(world, config.training.batch_size)
    compute = prepare(config.runtime, world.local_rank)
    with joined(world, compute.device), Catalogue(config.data.data) as catalogue:
        session = Session(config=config, out=out, catalogue=catalogue, compute=compute, world=world, reporter=reporter)
        images = {Head.STRUCTURES: choose_images(session, Head.STRUCTURES)}
        split = images[Head.STRUCTURES].split
        if transfer.mode is TransferMode.MULTITASK:
            images[Head.POSITIONS] = choose_images(session, Head.POSITIONS)
        model = make_network(config)
        initialise(model, config.training.seed)
        is_begun = resume and (out / LAST_NAME).exists()
        report = None if is_begun else _take_over(model, transfer, session, split)
        freeze(model, transfer.mode)
        tasks, validation = make_tasks(session, images)
        saved = open_folder(session, split, resume=resume, overwrite=overwrite)
        if report is not None and world.is_first:
            write_json(out / WEIGHTS_NAME, report.to_json())
        return carry_out(session, make_state(model, config, compute), tasks, validation, saved)


def check_pretext(run: Path, view: CardiacView, split: Split) -> None:
    """Refuse a pretext of another view, or one that has seen somebody who is kept back.

    Raises
    ------
    TrainError
        It cannot be used.
    """
    source = read_config(run)
    if source.recipe is not Recipe.PRETEXT:
        raise TrainError(f"{str(run)!r} is a run of '{source.recipe.value}'; --pretext wants one of 'pretext'")
    if source.data.view is not view:
        raise TrainError(f"{str(run)!r} was trained on view {source.data.view.title}, and {view.title} is wanted")
    seen = set(read_split(run).train) & {*split.test, *split.validation}
    if seen:
        raise TrainError(
            f"{str(run)!r} was trained on {len(seen)} participants who are kept for validation or test here; use the --split-seed "
            f"and fractions of the pretext ({source.data.split_seed} and {source.data.fractions})"
        )


def _transfer(config: RunConfig) -> TransferConfig:
    if config.transfer is None:
        raise ConfigError([f"this is a run of '{config.recipe.value}', not of 'finetune'"])
    return config.transfer


def _take_over(model: UNet, transfer: TransferConfig, session: Session, split: Split) -> LoadReport:
    """Load the pretrained weights and say which."""
    if transfer.pretext is None:
        session.reporter.say("from random weights")
        return load_weights(model, {}, TransferMode.SCRATCH)
    check_pretext(transfer.pretext, session.config.data.view, split)
    report = load_weights(model, read_weights(transfer.pretext), transfer.mode)
    session.reporter.say(f"from {str(transfer.pretext)!r}: {report.sentence()}")
    return report
