"""The folder of a run.

It holds ``config.json`` (the configuration), ``split.json`` (the sets of participants) and ``last.pt`` (all that is needed
to resume); once the run is finished, ``final.pt`` (the weights) in the place of ``last.pt`` and, where the run was validated,
``best.pt`` (the weights of the best validation).
"""

import json
from pathlib import Path
from typing import Any

from cmr_planes.views import CardiacView
from cmr_train.choices import Recipe
from cmr_train.config import RunConfig
from cmr_train.data.splits import Split
from cmr_train.errors import CheckpointError, ConfigError, TrainError
from cmr_train.presets import problems

CONFIG_NAME, SPLIT_NAME = "config.json", "split.json"
LAST_NAME, FINAL_NAME, BEST_NAME = "last.pt", "final.pt", "best.pt"


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


def newest_pretext(folder: Path, view: CardiacView) -> Path | None:
    """Return the run of the pretext task on a view that was finished last, None if there is none.

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
        if config.recipe is Recipe.PRETEXT and config.data.view is view:
            return path.parent
    return None
