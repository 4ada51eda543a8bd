"""The folder and the resuming of a run, as both training recipes need them."""

import dataclasses
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cmr_planes.shards.catalogue import Catalogue
from cmr_planes.system.progress import OnMessage, OnProgress, ignore_message, ignore_progress
from cmr_planes.system.whole_file import remove_leftovers
from cmr_train.choices import Head
from cmr_train.compute.devices import Compute
from cmr_train.compute.distributed import World
from cmr_train.config import RunConfig
from cmr_train.data.splits import Split
from cmr_train.errors import ConfigError, TrainError
from cmr_train.evaluation.score_files import PER_SUBJECT_NAME, SUMMARY_NAME
from cmr_train.presets import differences
from cmr_train.runs.checkpoint import load_checkpoint
from cmr_train.runs.files import write_json
from cmr_train.runs.folder import (
    BEST_NAME,
    CATALOGUES_FIELD,
    CLASSES_FIELD,
    CONFIG_NAME,
    EVALUATION_PREFIX,
    FINAL_NAME,
    LAST_NAME,
    PIXEL_FIELD,
    RESULT_NAME,
    SEEN_FIELD,
    SPACING_FIELD,
    SPLIT_NAME,
    read_catalogues,
    read_config,
    read_split,
)
from cmr_train.runs.identity import CatalogueIdentity, Seen
from cmr_train.runs.versions import versions
from cmr_train.training.pixels import TrainingPixels
from cmr_train.training.tracking import EVENTS_NAME, METRICS_NAME, Record

WEIGHTS_NAME = "weights.json"
"""Which pretrained tensors were copied."""
ORIGIN_FIELD = "pretext_sha256"
"""Field of ``weights.json``: the checksum of the weights that a run began from; absent where these were random."""
RUN_FILES = (
    CONFIG_NAME,
    SPLIT_NAME,
    WEIGHTS_NAME,
    METRICS_NAME,
    LAST_NAME,
    BEST_NAME,
    FINAL_NAME,
    PER_SUBJECT_NAME,
    SUMMARY_NAME,
    RESULT_NAME,
)
"""The files of a run, its scores among them."""

OnRecord = Callable[[Record], None]
"""Called with each line of ``metrics.jsonl``."""


def ignore_record(record: Record) -> None:  # what it ignores
    """Do nothing: the default where records are not read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reporter:
    """The callbacks of a training, called from the thread that trains; each does nothing if it is not given."""

    on_progress: OnProgress = ignore_progress
    """Called with the iterations done: before the first, and after each."""
    on_record: OnRecord = ignore_record
    """Called with each line of ``metrics.jsonl``."""
    on_message: OnMessage = ignore_message
    """Called with a sentence about the data or the weights that are used."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Session:
    """Configuration, catalogues and device of a run."""

    config: RunConfig
    """Its configuration."""
    out: Path
    """Its folder."""
    catalogues: Mapping[Head, Catalogue]
    """Where the images of each task are."""
    compute: Compute
    """Where and how it computes."""
    world: World
    """The processes that train together."""
    reporter: Reporter
    """Callbacks for what happens."""


def config_to_resume(out: Path, given: Mapping[str, Any]) -> RunConfig:
    """Return the configuration of a run that was begun, with the runtime settings that were given.

    Parameters
    ----------
    out
        The run's folder.
    given
        Settings by name, as :func:`cmr_train.presets.parse_settings` returns them.

    Raises
    ------
    ConfigError
        A setting other than those of the runtime differs from that of the run.
    CheckpointError
        The folder is not a run's.
    """
    saved = read_config(out)
    found = differences(saved, given)
    if found:
        raise ConfigError(found)
    names = {field.name for field in dataclasses.fields(saved.runtime)}
    changes = {name: value for name, value in given.items() if name in names}
    return dataclasses.replace(saved, runtime=dataclasses.replace(saved.runtime, **changes))


def is_begun(out: Path) -> bool:
    """Return whether a folder holds a run, finished or not."""
    return (out / CONFIG_NAME).exists()


def is_finished_before(session: Session, identities: Mapping[Head, CatalogueIdentity], *, resume: bool) -> bool:
    """Return whether the run to resume has all its iterations and its final weights.

    Parameters
    ----------
    session
        The run.
    identities
        Those of its catalogues now.
    resume
        Whether to resume an existing run.

    Raises
    ------
    TrainError
        A catalogue is not the one that the run was begun with.
    """
    if not (resume and is_begun(session.out) and (session.out / FINAL_NAME).exists()):
        return False
    _check_catalogues(session, identities)
    if session.world.is_first and not session.config.runtime.keep_optimiser:
        (session.out / LAST_NAME).unlink(missing_ok=True)  # a kill may have come before
    session.reporter.on_message(f"run {str(session.out)!r} is finished already")
    return True


def _check_catalogues(session: Session, identities: Mapping[Head, CatalogueIdentity]) -> None:
    """Refuse to resume with other catalogues than the run began with."""
    begun_with = read_catalogues(session.out)
    for head, identity in identities.items():
        if head not in begun_with or begun_with[head].sha256 != identity.sha256:
            raise TrainError(
                f"{str(session.catalogues[head].path)!r} has changed since run {str(session.out)!r} began, so that resuming would "
                "not give the same weights; overwrite the run to start over"
            )


def open_folder(
    session: Session,
    identities: Mapping[Head, CatalogueIdentity],
    split: Split,
    pixels: TrainingPixels,
    seen: Sequence[Seen] = (),
    *,
    resume: bool,
    overwrite: bool,
) -> dict[str, Any] | None:
    """Make the run's folder, or find where it stopped.

    Parameters
    ----------
    session
        The run.
    identities
        Those of its catalogues.
    split
        Who is in which set.
    pixels
        The pixel sizes of the training images, and those of the network.
    seen
        Whose positions the weights are trained on, before the run or in it.
    resume
        Resume an existing run.
    overwrite
        Remove an existing run.

    Returns
    -------
        The last checkpoint, None if the run begins.

    Raises
    ------
    ConfigError
        There is a run, and neither was asked for.
    TrainError
        The catalogue is not the one that the run was begun with, or the sets are others.
    """
    out = session.out
    if is_begun(out) and resume:
        _check_catalogues(session, identities)
        if read_split(out) != split:
            raise TrainError(
                f"the sets of participants are others than when run {str(out)!r} began: the split file has changed, or another "
                "catalogue has other annotations; overwrite the run to start over"
            )
        return load_checkpoint(out / LAST_NAME) if (out / LAST_NAME).exists() else None
    if is_begun(out) and not overwrite:
        raise ConfigError([f"{str(out)!r} holds a run already; resume it, overwrite it, or choose another folder"])
    session.world.wait()
    if session.world.is_first:
        _empty_folder(out)
        out.mkdir(parents=True, exist_ok=True)
        write_json(out / SPLIT_NAME, split.to_json() | {SEEN_FIELD: [one.to_json() for one in seen]})
        catalogues = {
            head.value: identity.to_json() | {SPACING_FIELD: pixels.sizes[head].to_json()} for head, identity in identities.items()
        }
        config = session.config
        write_json(
            out / CONFIG_NAME,
            {
                "config": config.to_json(),
                "versions": versions(),
                CLASSES_FIELD: config.class_names(config.head),
                PIXEL_FIELD: list(pixels.network_mm),
                CATALOGUES_FIELD: catalogues,
            },
        )
    session.world.wait()
    return None


def _empty_folder(out: Path) -> None:
    """Remove what a run's folder may hold: the run, its scores, and what a study writes of it."""
    for name in RUN_FILES:
        (out / name).unlink(missing_ok=True)
        remove_leftovers(out / name)
    shutil.rmtree(out / EVENTS_NAME, ignore_errors=True)
    for folder in out.glob(f"{EVALUATION_PREFIX}*"):
        shutil.rmtree(folder, ignore_errors=True)
