"""Task 2: learn to segment from few annotated subjects, from random weights or from those of a pretext."""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from typing import Any

from cmr_planes.shards.catalogue import Catalogue
from cmr_planes.system.key_file import SecretKey, read_key_file
from cmr_planes.system.names import PathLike
from cmr_planes.system.progress import OnMessage, OnProgress, ignore_message, ignore_progress
from cmr_planes.system.text import counted
from cmr_planes.system.whole_file import file_sha256
from cmr_planes.views import CardiacView
from cmr_train.choices import Head, Preset, Recipe, TransferMode
from cmr_train.compute.devices import choose_compute
from cmr_train.compute.distributed import check_batch, joined, world_from_environment
from cmr_train.config import DataConfig, PretextConfig, RunConfig, TransferConfig, inherited
from cmr_train.data.splits import HOLD_BACK_MORE, Split
from cmr_train.errors import ConfigError, SettingProblem, TrainError
from cmr_train.models.initial_weights import initialise
from cmr_train.models.network import Network
from cmr_train.presets import configure, iterations_of
from cmr_train.runs.files import write_json
from cmr_train.runs.folder import LAST_NAME, has_people, newest_pretext, read_catalogues, read_config, read_learnt_from
from cmr_train.runs.identity import CatalogueIdentity, Seen, identities_of
from cmr_train.runs.known_people import check_are_others
from cmr_train.runs.run import Run, make_network, read_weights, weights_path
from cmr_train.settings.fields import member_of, settings_of
from cmr_train.training.execution import carry_out
from cmr_train.training.job import resolve, run_training
from cmr_train.training.pixels import choose_pixels
from cmr_train.training.session import (
    ORIGIN_FIELD,
    WEIGHTS_NAME,
    OnRecord,
    Reporter,
    Session,
    ignore_record,
    is_finished_before,
    open_folder,
)
from cmr_train.training.state import make_state
from cmr_train.training.tasks import TaskImages, choose_images, make_tasks
from cmr_train.training.transfer import LoadReport, freeze, load_weights

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def finetune(
    data: PathLike,
    out: PathLike,
    *,
    pretext: Run | PathLike | None = None,
    mode: TransferMode | str = "multitask",
    view: CardiacView | str = "sax",
    preset: Preset | str = "paper",
    resume: bool = False,
    overwrite: bool = False,
    on_record: OnRecord = ignore_record,
    on_progress: OnProgress = ignore_progress,
    on_message: OnMessage = ignore_message,
    **settings: Any,  # noqa: ANN401  # a setting's type is that of its field
) -> Run:
    """Train a network to segment one view.

    Parameters
    ----------
    data
        The catalogue; some of its subjects are annotated.
    out
        The run's folder; made if it does not exist.
    pretext
        The pretrained run; None for the newest finished one of the view in the folder that holds ``out``, and for no run where
        ``mode`` is ``scratch``.
    mode
        The transfer mode: ``scratch``, ``decoder``, ``all`` or ``multitask``.
    view
        The view.
    preset
        The defaults of all settings that are not those of the pretext: ``paper``, or ``quick`` for a small network and a short run.
    resume
        Resume the run in ``out``; start one if there is none.
    overwrite
        Delete the run in ``out`` and start over.
    on_record
        Called with each line of ``metrics.jsonl``.
    on_progress
        Called with the iterations done.
    on_message
        Called with sentences about the data and the weights.
    **settings
        Settings by the names of their fields in :mod:`cmr_train.config`, such as ``subjects=5`` or ``beta=10``.

    Returns
    -------
        The trained network.

    Raises
    ------
    ConfigError
        A setting is unknown or cannot be used, there is no pretext, or ``out`` holds a run and neither ``resume`` nor
        ``overwrite`` is set.
    TrainError
        The catalogue has no annotated images, or the pretext does not fit.
    StoppedError
        A signal stopped the training; call it again with ``resume=True``.
    CmrPlanesError
        Any other reason: the catalogue cannot be read, another process trains in ``out``.

    Examples
    --------
    >>> run = finetune("out.h5", "runs/finetune", pretext="runs/pretext-sax", mode="all", subjects=5)  # doctest: +SKIP
    """
    source = pretext.folder if isinstance(pretext, Run) else None if pretext is None else Path(pretext)
    folder, given = Path(out), {"data": Path(data), "view": view, "mode": mode, "pretext": source, **settings}
    config = finetune_config(folder, preset, given, resume=resume, overwrite=overwrite)
    reporter = Reporter(on_progress=on_progress, on_record=on_record, on_message=on_message)
    return run_training(train_finetune, config, folder, resume=resume, overwrite=overwrite, reporter=reporter)


def finetune_config(
    out: Path, preset: Preset | str, settings: Mapping[str, Any], *, resume: bool = False, overwrite: bool = False
) -> RunConfig:
    """Resolve the configuration of a transfer: that of the run to resume, else the settings, the pretext's and the preset's.

    Parameters
    ----------
    out
        The run's folder. Where no pretext is given, the newest finished one in the folder that holds it is taken.
    preset
        The defaults.
    settings
        Fields of any group, by name; None means not given.
    resume, overwrite
        Resume or delete a run that is in the folder.

    Raises
    ------
    ConfigError
        A setting is unknown or cannot be used, or contradicts the run to resume; or there is no pretext.
    CheckpointError
        The pretext or the run to resume cannot be read.
    """

    def new(given: Mapping[str, Any]) -> RunConfig:
        return _new_config(out.parent, member_of(Preset, preset, "preset"), given)

    return resolve(out, settings, new, resume=resume, overwrite=overwrite)


def _new_config(runs: Path, preset: Preset, settings: Mapping[str, Any]) -> RunConfig:
    """Return the settings, completed by those of the pretext and of the preset."""
    given = {name: value for name, value in settings.items() if value is not None}
    view = given.get("view", CardiacView.SAX)
    mode = given.get("mode", TransferMode.MULTITASK)
    found = [SettingProblem(name, "is that of the pretext; leave it out") for name in settings_of(PretextConfig) if name in given]
    if found:
        raise ConfigError(found)
    if mode is TransferMode.SCRATCH:
        return configure(Recipe.FINETUNE, preset, **given)
    newest = None if given.get("pretext") else newest_pretext(runs, view)
    source = given.get("pretext") or newest
    if source is None:
        raise ConfigError(
            [
                f"there is no finished pretext of view {view.title} in {str(runs)!r}; train one first, give the folder of one as "
                f"pretext, or use mode {TransferMode.SCRATCH.value}"
            ]
        )
    pretrained = read_config(source)
    if newest is not None:
        _check_length(newest, pretrained)
    taken = inherited(pretrained, mode)
    if mode is TransferMode.MULTITASK and "pretext_data" not in given:
        taken |= {"pretext_data": _data_of_pretext(source, Path(given.get("data", DataConfig().data)))}
    return configure(Recipe.FINETUNE, preset, plan=pretrained.plan, **(taken | given | {"pretext": source}))


def _check_length(newest: Path, pretrained: RunConfig) -> None:
    """Refuse to start from a short try that no one named; raises ConfigError."""
    done, usual = pretrained.training.iterations, iterations_of(pretrained.recipe, pretrained.preset)
    if done < usual:
        sentence = (
            f"must name a run: the newest finished one of view {pretrained.data.view.title}, {str(newest)!r}, has "
            f"{counted(done, 'iteration')}, and preset {pretrained.preset} has {usual:,}; name it if it is meant"
        )
        raise ConfigError([SettingProblem("pretext", sentence, is_missing=True)])


def _data_of_pretext(pretext: Path, data: Path) -> Path | None:
    """Return the catalogue on which multitask continues with the pretext task, the pretext's own; None if it is that of the labels.

    Raises
    ------
    ConfigError
        It is not there, or was changed.
    """
    identity = read_catalogues(pretext)[Head.POSITIONS]
    try:
        if data.is_file() and identity.path.is_file() and identity.path.samefile(data):
            return None
        if data.is_file() and identity.sha256 == file_sha256(data):
            return None
        is_there = identity.path.is_file() and identity.sha256 == file_sha256(identity.path)
    except OSError:
        is_there = False
    if not is_there:
        raise ConfigError(
            [
                f"the pretext {str(pretext)!r} was trained on {str(identity.path)!r}, which is not there or was changed; give the "
                "catalogue of the pretext task as pretext_data"
            ]
        )
    return identity.path


def train_finetune(config: RunConfig, out: Path, *, resume: bool = False, overwrite: bool = False, reporter: Reporter) -> bool:
    """Train to segment one view; parameters, result and errors as :func:`cmr_train.recipes.pretext.train_pretext`."""
    transfer = _transfer(config)
    world = world_from_environment()
    check_batch(world, config.training.batch_size)
    compute = choose_compute(config.runtime, world.local_rank)
    heads = [Head(name) for name in config.heads]
    with joined(world, compute.device), ExitStack() as stack:
        catalogues = {head: stack.enter_context(Catalogue(config.data_of(head))) for head in heads}
        session = Session(config=config, out=out, catalogues=catalogues, compute=compute, world=world, reporter=reporter)
        identities = identities_of(catalogues)
        if is_finished_before(session, identities, resume=resume):
            return True
        images = {head: choose_images(session, head) for head in heads}
        split = images[Head.STRUCTURES].split
        seen = _seen(transfer, identities, images)
        _check_held_out(config, identities[Head.STRUCTURES], split, seen)
        model = make_network(config)
        initialise(model, config.training.seed)
        is_begun = resume and (out / LAST_NAME).exists()
        report = None if is_begun else _load_pretext(model, transfer, session)
        freeze(model, transfer.mode)
        train = {head: chosen.train for head, chosen in images.items()}
        pixels = choose_pixels(config, catalogues, train, images[Head.STRUCTURES].training_set, reporter.on_message)
        tasks, validations = make_tasks(session, images, pixels)
        saved = open_folder(session, identities, split, pixels, seen, resume=resume, overwrite=overwrite)
        if report is not None and world.is_first:
            write_json(out / WEIGHTS_NAME, report.to_json() | _origin(transfer.pretext))
        is_finished = carry_out(session, make_state(model, config, compute), tasks, validations, saved)
        world.wait()  # until the first process has written the weights
        return is_finished


def check_pretext(run: Path, view: CardiacView) -> None:
    """Refuse what is no pretext of a view.

    Parameters
    ----------
    run
        Folder of the pretext.
    view
        The view to segment.

    Raises
    ------
    TrainError
        The pretext cannot be used.
    """
    source = read_config(run)
    if source.recipe is not Recipe.PRETEXT:
        raise TrainError(f"{str(run)!r} is a run of '{source.recipe.value}'; a pretext is needed")
    if source.data.view is not view:
        raise TrainError(f"{str(run)!r} was trained on view {source.data.view.title}, and this run is for {view.title}")


def _seen(
    transfer: TransferConfig, identities: Mapping[Head, CatalogueIdentity], images: Mapping[Head, TaskImages]
) -> tuple[Seen, ...]:
    """Return whose positions the weights have seen, or will see in this run."""
    seen: list[Seen] = []
    if transfer.pretext is not None and not has_people(transfer.pretext):
        check_are_others(f"the pretext {str(transfer.pretext)!r}", transfer.people)
    elif transfer.pretext is not None:
        seen.append(read_learnt_from(transfer.pretext))
    if Head.POSITIONS in images:
        participants = frozenset(images[Head.POSITIONS].split.train)
        seen.append(Seen(catalogue=identities[Head.POSITIONS], participants=participants))
    return tuple(seen)


def _check_held_out(config: RunConfig, catalogue: CatalogueIdentity, split: Split, seen: Sequence[Seen]) -> None:
    """Refuse to hold back participants that the weights have seen, or will see.

    Raises
    ------
    TrainError
        There are such, or it cannot be determined.
    """
    transfer = _transfer(config)
    key = None if transfer.people_key is None else SecretKey(read_key_file(transfer.people_key))
    for group in seen:
        found = group.among(catalogue, {*split.test, *split.validation}, transfer.people, key)
        if found:
            source = config if transfer.pretext is None else read_config(transfer.pretext)
            raise TrainError(held_out_sentence(len(found), config, source))


def held_out_sentence(n: int, config: RunConfig, pretext: RunConfig) -> str:
    """Say that a pretext has seen participants who are held back from a transfer, and what to do.

    Parameters
    ----------
    n
        Their number.
    config, pretext
        The configurations of the transfer and of its pretext.
    """
    found = f"the pretext was trained on {counted(n, 'participant')} of the validation or test set here"
    names = [name for name in ("split", "split_seed", "fractions") if getattr(config.data, name) != getattr(pretext.data, name)]
    if names:
        return f"{found}; use the pretext's {' and '.join(names)}"
    return (
        f"{found}: they were not annotated in the catalogue of the pretext when it was trained; name the sets in "
        f"a split file, or train the pretext again, with {HOLD_BACK_MORE} if more annotations will come or if they are in "
        "another catalogue"
    )


def _origin(pretext: Path | None) -> dict[str, str]:
    """Return the checksum of the weights that a run began from, and what they have learnt; nothing for random ones."""
    if pretext is None:
        return {}
    task = read_config(pretext).pretext or PretextConfig()
    return {ORIGIN_FIELD: file_sha256(weights_path(pretext)), "pretext_target": task.target.value}


def _transfer(config: RunConfig) -> TransferConfig:
    if config.transfer is None:
        raise ConfigError([f"this is a run of '{config.recipe.value}', not of 'finetune'"])
    return config.transfer


def _load_pretext(model: Network, transfer: TransferConfig, session: Session) -> LoadReport:
    """Load the pretrained weights."""
    if transfer.pretext is None:
        session.reporter.on_message("Starting from random weights")
        return load_weights(model, {}, TransferMode.SCRATCH)
    check_pretext(transfer.pretext, session.config.data.view)
    pretrained = read_config(transfer.pretext)
    if pretrained.plan != session.config.plan:
        raise TrainError(f"{str(transfer.pretext)!r} was trained with the network of another plan than this run; use the pretext's")
    norm, own = pretrained.network.norm, session.config.network.norm
    if norm is not own:
        raise TrainError(f"{str(transfer.pretext)!r} was trained with norm {norm}, and this run has norm {own}; use the pretext's")
    weights = read_weights(transfer.pretext)
    report = load_weights(model, weights.tensors, transfer.mode, has_decoder=not pretrained.traits.is_pooled)
    iterations = counted(weights.iteration, "iteration")
    session.reporter.on_message(
        f"Starting from {transfer.pretext} ({pretrained.data.view.title}, {iterations}, {_day(weights_path(transfer.pretext))}), "
        f"which learnt {pretrained.traits.meaning}: {report.sentence()}"
    )
    return report


def _day(file: Path) -> str:
    """Return the day on which a file was written, as "22 Nov 2026" in every locale."""
    day = datetime.fromtimestamp(file.stat().st_mtime).astimezone()
    return f"{day.day} {_MONTHS[day.month - 1]} {day.year}"
