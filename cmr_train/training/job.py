"""A training as a whole: its configuration, alone in its folder, and the network that comes of it."""

from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

from cmr_planes.shards.catalogue import Catalogue
from cmr_planes.system.run_lock import only_run
from cmr_train.choices import DeviceKind
from cmr_train.compute.devices import choose_device, lack_of_mps
from cmr_train.compute.distributed import world_from_environment
from cmr_train.config import RunConfig
from cmr_train.errors import ConfigError, SettingProblem, StoppedError
from cmr_train.presets import parse_settings
from cmr_train.runs.folder import LAST_NAME
from cmr_train.runs.run import Run, load_run
from cmr_train.training.session import Reporter, config_to_resume, is_begun


class Training(Protocol):
    """Trains a network in a folder that no other process uses."""

    def __call__(self, config: RunConfig, out: Path, *, resume: bool, overwrite: bool, reporter: Reporter) -> bool:
        """Train; return whether all iterations are done."""


def resolve(
    out: Path,
    settings: Mapping[str, Any],
    configure: Callable[[Mapping[str, Any]], RunConfig],
    *,
    resume: bool,
    overwrite: bool,
) -> RunConfig:
    """Return the configuration of a training: that of the run to resume, else a new one.

    Parameters
    ----------
    out
        The run's folder.
    settings
        Fields of any group, by name; None means not given.
    configure
        Makes a new configuration from the settings.
    resume, overwrite
        Resume or delete a run that is in the folder.

    Raises
    ------
    ConfigError
        The settings cannot be used, or contradict those of the run to resume.
    CheckpointError
        The folder holds no run that can be resumed.
    """
    if resume and overwrite:
        raise ConfigError(["resume and overwrite exclude each other; choose one"])
    given = parse_settings(settings)
    return config_to_resume(out, given) if resume and is_begun(out) else configure(given)


def train_where_possible(
    train: Training, config: RunConfig, out: Path, *, resume: bool, overwrite: bool, reporter: Reporter
) -> tuple[bool, RunConfig]:
    """Train on the device that was asked for; on the CPU from where MPS lacks an operation.

    Parameters
    ----------
    train, config, out, resume, overwrite, reporter
        As of :func:`run_training`.

    Returns
    -------
        Whether all iterations are done, and the configuration with the device that did them.
    """
    try:
        return train(config, out, resume=resume, overwrite=overwrite, reporter=reporter), config
    except NotImplementedError as error:
        lack = lack_of_mps(error)
        if lack is None:
            raise
    reporter.on_message(f"{lack}: training continues on the CPU, from the last checkpoint if there is one")
    config = replace(config, runtime=replace(config.runtime, device=DeviceKind.CPU))
    return train(config, out, resume=True, overwrite=False, reporter=reporter), config


def run_training(train: Training, config: RunConfig, out: Path, *, resume: bool, overwrite: bool, reporter: Reporter) -> Run:
    """Train as the only process group that works in the folder, and load the result.

    Parameters
    ----------
    train
        The training.
    config
        The configuration, as :func:`resolve` returns it.
    out
        The run's folder.
    resume, overwrite
        Resume or delete a run that is in the folder.
    reporter
        Callbacks; they are called in the first process only.

    Returns
    -------
        The trained network.

    Raises
    ------
    InUseError
        Another process trains in the folder.
    StoppedError
        A signal stopped the training.
    CmrPlanesError
        The training is not possible; the message gives the reason.
    """
    world = world_from_environment()
    heard = reporter if world.is_first else Reporter()
    _try_catalogue(config.data.data)
    with only_run(out, on_message=heard.on_message) if world.is_first else nullcontext():
        is_finished, config = train_where_possible(train, config, out, resume=resume, overwrite=overwrite, reporter=heard)
    if not is_finished:
        raise StoppedError(f"training was stopped by a signal; {str(out / LAST_NAME)!r} is saved and can be resumed")
    return load_run(out, choose_device(config.runtime.device, world.local_rank))


def _try_catalogue(path: Path) -> None:
    """Refuse a catalogue that is not there, or cannot be opened, before the run's folder is made."""
    if not path.exists():
        sentence = f"must be the file that 'cmr-planes extract' wrote, and {str(path)!r} does not exist"
        raise ConfigError([SettingProblem("data", sentence, is_missing=True)])
    Catalogue(path).close()
