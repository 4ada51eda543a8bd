"""Pretraining on anatomical positions, and transfer to segmentation.

Example::

    import cmr_train

    pretrained = cmr_train.pretext("out.h5", "runs/pretext-sax", view="sax")
    run = cmr_train.finetune("out.h5", "runs/finetune-sax", pretext=pretrained, mode="multitask")
    cmr_train.evaluate(run)
    cmr_train.predict(run, "new_scans/", "segmented")

The names below are loaded when they are first used, so that importing the package does not import torch.
"""

import importlib
import os
import sys
from typing import TYPE_CHECKING, Any

if sys.platform == "darwin":  # torch reads it when it is loaded: an operation that MPS lacks runs on the CPU, with a warning
    os.environ.setdefault("PYTORCH_ENABLE_MPS_FALLBACK", "1")

if TYPE_CHECKING:
    from cmr_train.choices import People, Preset, Subset, TransferMode
    from cmr_train.config import RunConfig
    from cmr_train.errors import CheckpointError, ConfigError, DivergedError, StoppedError, TrainError
    from cmr_train.evaluation.metrics import Metric
    from cmr_train.evaluation.scores import ScoreTable
    from cmr_train.recipes.evaluate import Evaluation, evaluate
    from cmr_train.recipes.export import export
    from cmr_train.recipes.finetune import finetune
    from cmr_train.recipes.predict import PredictedSubject, Prediction, predict
    from cmr_train.recipes.pretext import pretext
    from cmr_train.report.page import write_report
    from cmr_train.runs.run import Run, load_run
    from cmr_train.training.tracking import Record

__all__ = [
    "CheckpointError",
    "ConfigError",
    "DivergedError",
    "Evaluation",
    "Metric",
    "People",
    "PredictedSubject",
    "Prediction",
    "Preset",
    "Record",
    "Run",
    "RunConfig",
    "ScoreTable",
    "StoppedError",
    "Subset",
    "TrainError",
    "TransferMode",
    "evaluate",
    "export",
    "finetune",
    "load_run",
    "predict",
    "pretext",
    "write_report",
]

_MODULES = {
    "cmr_train.choices": ("People", "Preset", "Subset", "TransferMode"),
    "cmr_train.config": ("RunConfig",),
    "cmr_train.errors": ("CheckpointError", "ConfigError", "DivergedError", "StoppedError", "TrainError"),
    "cmr_train.evaluation.metrics": ("Metric",),
    "cmr_train.evaluation.scores": ("ScoreTable",),
    "cmr_train.recipes.evaluate": ("Evaluation", "evaluate"),
    "cmr_train.recipes.export": ("export",),
    "cmr_train.recipes.finetune": ("finetune",),
    "cmr_train.recipes.predict": ("PredictedSubject", "Prediction", "predict"),
    "cmr_train.recipes.pretext": ("pretext",),
    "cmr_train.report.page": ("write_report",),
    "cmr_train.runs.run": ("Run", "load_run"),
    "cmr_train.training.tracking": ("Record",),
}
_HOMES = {name: module for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> Any:  # noqa: ANN401  # any of the names above
    """Load a name of the front door from the module that defines it."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    """List the names of the front door."""
    return sorted({*globals(), *__all__})
