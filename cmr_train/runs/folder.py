"""The folder of a run.

It holds ``config.json`` (the configuration), ``split.json`` (the sets of participants) and ``last.pt`` (all that is needed
to resume); once the run is finished, ``final.pt`` (the weights) in the place of ``last.pt`` and, where the run was validated,
``best.pt`` (the weights of the best validation).
"""

import json
import math
from pathlib import Path
from typing import Any

from cmr_planes.views import CardiacView
from cmr_train.choices import Head, Recipe, Resampling
from cmr_train.config import RunConfig
from cmr_train.data.splits import Split
from cmr_train.errors import CheckpointError, ConfigError, TrainError
from cmr_train.presets import problems
from cmr_train.runs.identity import CatalogueIdentity, Seen

CONFIG_NAME, SPLIT_NAME = "config.json", "split.json"
LAST_NAME, FINAL_NAME, BEST_NAME = "last.pt", "final.pt", "best.pt"
RESULT_NAME = "cell.json"
"""What a study writes of a run that has ended."""
SCORES_FIELD = "scores_sha256"
"""Field of ``cell.json``: the checksum of the scores that the study wrote; absent where no subject was tested."""
EVALUATION_PREFIX = "evaluation-"
"""Folders of a run's scores on other data than its own test set begin so."""
SEEN_FIELD = "seen_by_pretext"
"""Field of ``split.json``: participants whose positions the weights were trained on."""
WITHOUT_PEOPLE_FIELD = "without_people"
"""Field of ``split.json``, true where the participants were removed (``cmr-train export``)."""
EXPORTED_SPLIT: dict[str, Any] = {"train": [], "validation": [], "test": [], SEEN_FIELD: [], WITHOUT_PEOPLE_FIELD: True}
"""``split.json`` of a network that was exported."""
PEOPLE_NAME = "people.json"
"""Of a network that was exported with a key file: the participants that it has seen, as keyed hashes."""
LEARNT_FROM_FIELD = "learnt_from"
"""Field of ``people.json``: participants whose masks of the run's own task were trained on."""
CLASSES_FIELD = "classes"
"""Field of ``config.json`` and of weights: the number and the name of what the run's network finds, the background aside."""
CATALOGUES_FIELD = "catalogues"
"""Field of ``config.json``: the catalogue of each task."""
PIXEL_FIELD = "pixel_mm"
"""Field of ``config.json``: distance between rows and between columns of the images as the network sees them."""
SPACING_FIELD = "spacing_mm"
"""Field of each catalogue in ``config.json``: the pixel sizes of the training images."""


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON file of a run's folder.

    Raises
    ------
    CheckpointError
        It is missing or damaged.
    """
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise CheckpointError(f"{str(path.parent)!r} is not a run of cmr-train: it has no {path.name}") from error
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{str(path)!r} cannot be read: {error}") from error
    if not isinstance(value, dict):
        raise CheckpointError(f"{str(path)!r} does not hold what cmr-train writes there")
    return value


def holds_scores_of_study(folder: Path) -> bool:
    """Tell whether the scores in a folder are those that a study's report reads."""
    return (folder / RESULT_NAME).is_file() and SCORES_FIELD in read_json(folder / RESULT_NAME)


def is_run(path: Path) -> bool:
    """Tell whether a path is the folder of a run, whole or damaged."""
    return (path / CONFIG_NAME).is_file()


def read_config(run: Path) -> RunConfig:
    """Read the configuration of a run.

    Raises
    ------
    CheckpointError
        The folder is not a run's, or of another release.
    """
    try:
        config = RunConfig.from_json(read_json(run / CONFIG_NAME)["config"])
        found = problems(config)
        if found:
            raise ConfigError(found)
    except CheckpointError:
        raise
    except (KeyError, TypeError, TrainError) as error:
        raise CheckpointError(f"{str(run / CONFIG_NAME)!r} cannot be used: {error}") from error
    return config


def read_split(run: Path) -> Split:
    """Read who was in which set of a run."""
    try:
        return Split.from_json(read_json(run / SPLIT_NAME))
    except (KeyError, TypeError) as error:
        raise CheckpointError(f"{str(run / SPLIT_NAME)!r} does not hold the three sets") from error


def read_seen_by_pretext(run: Path) -> tuple[Seen, ...]:
    """Read whose positions the weights of a run were trained on; a run of an earlier release does not say.

    Raises
    ------
    CheckpointError
        The file does not hold what is expected.
    """
    path = run / PEOPLE_NAME if (run / PEOPLE_NAME).is_file() else run / SPLIT_NAME
    try:
        return tuple(Seen.from_json(value) for value in read_json(path).get(SEEN_FIELD, ()))
    except (KeyError, TypeError) as error:
        raise CheckpointError(f"{str(path)!r} does not hold the participants that the pretext has seen") from error


def read_learnt_from(run: Path) -> Seen:
    """Read the participants whose masks of a run's own task were trained on.

    Raises
    ------
    CheckpointError
        The file does not hold what is expected.
    """
    if not (run / PEOPLE_NAME).is_file():
        catalogue = read_catalogues(run)[read_config(run).head]
        return Seen(catalogue=catalogue, participants=frozenset(read_split(run).train))
    try:
        return Seen.from_json(read_json(run / PEOPLE_NAME)[LEARNT_FROM_FIELD])
    except (KeyError, TypeError) as error:
        raise CheckpointError(
            f"{str(run / PEOPLE_NAME)!r} does not hold the participants that the network has learnt from"
        ) from error


def has_sets(run: Path) -> bool:
    """Return whether a run names the participants of its sets; not after an export."""
    return not read_json(run / SPLIT_NAME).get(WITHOUT_PEOPLE_FIELD, False)


def has_people(run: Path) -> bool:
    """Return whether a run names the participants that it was trained on, in names or in keyed hashes."""
    return has_sets(run) or (run / PEOPLE_NAME).is_file()


def read_catalogues(run: Path) -> dict[Head, CatalogueIdentity]:
    """Read on which catalogue each task of a run was trained.

    Raises
    ------
    CheckpointError
        The configuration does not say.
    """
    stored, config = read_json(run / CONFIG_NAME), read_config(run)
    try:
        if CATALOGUES_FIELD not in stored:  # a run of an earlier release: its path is relative to where it was trained
            return {config.head: CatalogueIdentity(path=config.data.data, sha256=str(stored["catalogue_sha256"]))}
        return {Head(head): CatalogueIdentity.from_json(value) for head, value in stored[CATALOGUES_FIELD].items()}
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise CheckpointError(f"{str(run / CONFIG_NAME)!r} does not say on which catalogue the run was trained") from error


def read_pixel_mm(run: Path) -> tuple[float, float] | None:
    """Read the pixel size of a run's network; None where a run of an earlier release does not say.

    Raises
    ------
    CheckpointError
        The configuration cannot be used.
    """
    stored, setting = read_json(run / CONFIG_NAME).get(PIXEL_FIELD), read_config(run).data.resample_mm
    if stored is None:
        return None if isinstance(setting, Resampling) else (setting, setting)
    try:
        rows, columns = map(float, stored)
    except (TypeError, ValueError) as error:
        raise CheckpointError(f"{str(run / CONFIG_NAME)!r} does not hold the pixel size of the network") from error
    if not (0 < rows < math.inf and 0 < columns < math.inf):
        raise CheckpointError(f"{str(run / CONFIG_NAME)!r} does not hold the pixel size of the network")
    return rows, columns


def newest_pretext(folder: Path, view: CardiacView) -> Path | None:
    """Return the run of the pretext task on a view that was finished last, controls aside; None if there is none.

    Parameters
    ----------
    folder
        Where runs are; each is a folder in it.
    view
        The view that it must be of.
    """
    finished = sorted(folder.glob(f"*/{FINAL_NAME}"), key=lambda path: path.stat().st_mtime_ns, reverse=True)
    for path in finished:
        try:
            config = read_config(path.parent)
        except CheckpointError:
            continue
        if config.recipe is Recipe.PRETEXT and config.data.view is view and not config.traits.is_control:
            return path.parent
    return None
