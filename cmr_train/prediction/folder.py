"""The folder of a prediction: its files, and whose they are."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cmr_train.errors import TrainError
from cmr_train.prediction.ensemble import Ensemble
from cmr_train.runs.files import write_json
from cmr_train.runs.folder import read_json
from cmr_train.runs.identity import CatalogueIdentity

LABELS, DICOM, PICTURES, VOLUMES_NAME, PREDICTION_NAME = "labels", "dicom", "pictures", "volumes.csv", "prediction.json"
"""Files of a prediction's folder; the last says which networks made them of which data."""


def prediction_origin(ensemble: Ensemble, catalogue: CatalogueIdentity, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return what tells a prediction from another: the networks, their task, the data and the options that are not the default."""
    networks = [
        {"run": run.name, "weights_sha256": digest} for run, digest in zip(ensemble.runs, ensemble.weights_sha256, strict=True)
    ]
    return {
        **(networks[0] if len(networks) == 1 else {"runs": networks}),
        "task": ensemble.head.value,
        "view": ensemble.view.value,
        "catalogue_sha256": catalogue.sha256,
        **options,
    }


def claim_folder(folder: Path, origin: dict[str, Any], *, overwrite: bool) -> None:
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
                f"{str(folder)!r} holds what another network made, or the same of other data or with other options; choose another "
                "folder, or overwrite this one"
            )
        for name in (LABELS, DICOM, PICTURES):
            shutil.rmtree(folder / name, ignore_errors=True)
        (folder / VOLUMES_NAME).unlink(missing_ok=True)
    folder.mkdir(parents=True, exist_ok=True)
    write_json(path, origin)
