"""Task 1: learn the nine positions, or another target, from unannotated images."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cmr_planes.shards.catalogue import Catalogue
from cmr_planes.system.names import PathLike
from cmr_planes.system.progress import OnMessage, OnProgress, ignore_message, ignore_progress
from cmr_planes.views import CardiacView
from cmr_train.choices import Head, Preset, Recipe
from cmr_train.compute.devices import choose_compute
from cmr_train.compute.distributed import check_batch, joined, world_from_environment
from cmr_train.config import PlanConfig, RunConfig
from cmr_train.errors import ConfigError
from cmr_train.models.initial_weights import initialise
from cmr_train.models.nnunet_plan import plan_differences, read_plan
from cmr_train.presets import configure
from cmr_train.runs.identity import identities_of
from cmr_train.runs.run import Run, make_network
from cmr_train.settings.fields import member_of
from cmr_train.training.execution import carry_out
from cmr_train.training.job import resolve, run_training
from cmr_train.training.pixels import choose_pixels
from cmr_train.training.session import OnRecord, Reporter, Session, ignore_record, is_finished_before, open_folder
from cmr_train.training.state import make_state
from cmr_train.training.tasks import choose_images, make_tasks


def pretext(
    data: PathLike,
    out: PathLike,
    *,
    view: CardiacView | str = "sax",
    preset: Preset | str = "paper",
    plans: PathLike | None = None,
    configuration: str = "2d",
    resume: bool = False,
    overwrite: bool = False,
    on_record: OnRecord = ignore_record,
    on_progress: OnProgress = ignore_progress,
    on_message: OnMessage = ignore_message,
    **settings: Any,  # noqa: ANN401  # a setting's type is that of its field
) -> Run:
    """Train a network on the nine positions of one view, or on another target.

    Parameters
    ----------
    data
        The catalogue.
    out
        The run's folder; made if it does not exist.
    view
        The view.
    preset
        The defaults of all settings: ``paper``, or ``quick`` for a small network and a short run.
    plans
        ``nnUNetPlans.json`` of a data set of nnU-Net: its network is trained in place of the U-Net, at its patch size and spacing.
    configuration
        The configuration in it; a two-dimensional one.
    resume
        Resume the run in ``out``; start one if there is none.
    overwrite
        Delete the run in ``out`` and start over.
    on_record
        Called with each line of ``metrics.jsonl``.
    on_progress
        Called with the iterations done.
    on_message
        Called with sentences about the data.
    **settings
        Settings by the names of their fields in :mod:`cmr_train.config`, such as ``iterations=300`` or ``rotation_deg=10``.

    Returns
    -------
        The trained network.

    Raises
    ------
    ConfigError
        A setting or the plan is unknown or cannot be used, or ``out`` holds a run and neither ``resume`` nor ``overwrite`` is set.
    TrainError
        The catalogue has no images to train on.
    StoppedError
        A signal stopped the training; call it again with ``resume=True``.
    CmrPlanesError
        Any other reason: the catalogue cannot be read, another process trains in ``out``.

    Examples
    --------
    >>> run = pretext("out.h5", "runs/pretext-sax", iterations=300, rotation_deg=10)  # doctest: +SKIP
    >>> run = pretext("out.h5", "runs/pretext-masked-sax", target="masked")  # doctest: +SKIP
    """
    folder, given = Path(out), {"data": Path(data), "view": view, **settings}
    plan = None if plans is None else read_plan(Path(plans), configuration)
    config = pretext_config(folder, preset, given, plan=plan, resume=resume, overwrite=overwrite)
    reporter = Reporter(on_progress=on_progress, on_record=on_record, on_message=on_message)
    return run_training(train_pretext, config, folder, resume=resume, overwrite=overwrite, reporter=reporter)


def pretext_config(
    out: Path,
    preset: Preset | str,
    settings: Mapping[str, Any],
    *,
    plan: PlanConfig | None = None,
    resume: bool = False,
    overwrite: bool = False,
) -> RunConfig:
    """Resolve the configuration of a pretext: that of the run to resume, else the preset and the settings.

    Parameters
    ----------
    out
        The run's folder.
    preset
        The defaults.
    settings
        Fields of any group, by name; None means not given.
    plan
        The nnU-Net plan whose network the run has.
    resume, overwrite
        Resume or delete a run that is in the folder.

    Raises
    ------
    ConfigError
        A setting is unknown or cannot be used, or contradicts the run to resume.
    CheckpointError
        The run to resume cannot be read.
    """

    def new(given: Mapping[str, Any]) -> RunConfig:
        return configure(Recipe.PRETEXT, member_of(Preset, preset, "preset"), plan=plan, **given)

    config = resolve(out, settings, new, resume=resume, overwrite=overwrite)
    if plan is not None and config.plan != plan:
        found = ["it has none"] if config.plan is None else plan_differences(config.plan, plan)
        raise ConfigError([f"run {str(out)!r} was begun with another nnU-Net plan than the given one: {'; '.join(found)}"])
    return config


def train_pretext(config: RunConfig, out: Path, *, resume: bool = False, overwrite: bool = False, reporter: Reporter) -> bool:
    """Train on the pretext task of one view; the caller sees to it that no other process trains in the folder.

    Parameters
    ----------
    config
        The configuration, as :func:`pretext_config` returns it.
    out
        The run's folder.
    resume
        Resume the run in the folder; start one if there is none.
    overwrite
        Delete the run in the folder.
    reporter
        Callbacks for progress.

    Returns
    -------
        Whether all iterations are done; if not, a signal stopped the run, and it can be resumed.

    Raises
    ------
    CmrPlanesError
        The training is not possible; the message gives the reason.
    """
    world = world_from_environment()
    check_batch(world, config.training.batch_size)
    compute = choose_compute(config.runtime, world.local_rank)
    with joined(world, compute.device), Catalogue(config.data.data) as catalogue:
        catalogues = {Head.POSITIONS: catalogue}
        session = Session(config=config, out=out, catalogues=catalogues, compute=compute, world=world, reporter=reporter)
        identities = identities_of(catalogues)
        if is_finished_before(session, identities, resume=resume):
            return True
        images = choose_images(session, Head.POSITIONS)
        pixels = choose_pixels(config, catalogues, {Head.POSITIONS: images.train}, images.training_set, reporter.on_message)
        tasks, validations = make_tasks(session, {Head.POSITIONS: images}, pixels)
        saved = open_folder(session, identities, images.split, pixels, resume=resume, overwrite=overwrite)
        model = make_network(config)
        initialise(model, config.training.seed)
        is_finished = carry_out(session, make_state(model, config, compute), tasks, validations, saved)
        world.wait()  # until the first process has written the weights
        return is_finished
