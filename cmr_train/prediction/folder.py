"""The folder of a prediction: its files, and whose they are."""

import shutil
from pathlib import Path

from cmr_planes.system.whole_file import file_sha256
from cmr_train.errors import TrainError
from cmr_train.runs.files import write_json
from cmr_train.runs.folder import read_json
from cmr_train.runs.identity import CatalogueIdentity
from cmr_train.runs.run import Run, weights_path

LABELS, PICTURES, VOLUMES_NAME, PREDICTION_NAME = "labels", "pictures", "volumes.csv", "prediction.json"
"""Files of a prediction's folder; the last says which network made them of which data."""


def prediction_origin(run: Run, catalogue: CatalogueIdentity) -> dict[str, str]:
    """Return what tells a prediction from another: the network, its task and the data."""
    return {
        "run": run.name,
        "weights_sha256": file_sha256(weights_path(run.folder, run.weights, unfinished=True)),
        "task": run.head.value,
        "view": run.view.value,
        "catalogue_sha256": catalogue.sha256,
    }


def claim_folder(folder: Path, origin: dict[str, str], *, overwrite: bool) -> None:
    """Write ``prediction.json`` into a folder that is empty or holds the same prediction.

    Parameters
    ----------
    folder
        The prediction's folder; made if it does not exist.
    origin
        As :func:`prediction_origin` returns it.
    overwrite
        Whether another prediction that the folder holds is removed.

    Raises
    ------
    TrainError
        The folder holds another prediction.
    """
    path = folder / PREDICTION_NAME
    if path.exists() and read_json(path) != origin:
        if not overwrite:
            raise TrainError(
                f"{str(folder)!r} holds what another network made, or the same of other data; choose another folder, or overwrite "
                "what is there"
            )
        for name in (LABELS, PICTURES):
            shutil.rmtree(folder / name, ignore_errors=True)
        (folder / VOLUMES_NAME).unlink(missing_ok=True)
    folder.mkdir(parents=True, exist_ok=True)
    write_json(path, origin)
