"""nnU-Net itself, where it is installed: ``make interop``."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

NEEDS_NNUNET = [
    pytest.mark.interop,
    pytest.mark.skipif(importlib.util.find_spec("nnunetv2") is None, reason="needs nnU-Net: make interop"),
]
"""The marks of tests that run nnU-Net: ``pytestmark = NEEDS_NNUNET``."""

LAUNCHER = """
import sys
import torch

try:
    import torchvision  # a torchvision that was built for CUDA does not load with a CPU torch
except RuntimeError:
    library = torch.library.Library("torchvision", "DEF")
    for name in ("nms", "qnms"):
        library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    for name in [name for name in sys.modules if name.split(".")[0] == "torchvision"]:
        del sys.modules[name]
from nnunetv2.run.run_training import run_training_entry

if __name__ == "__main__":
    run_training_entry()
"""
"""Stands for ``nnUNetv2_train``, which dies on its way to a trainer of one's own where torchvision does not load."""

TINY_TRAINER = '''
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer
import torch


class nnUNetTrainer_tiny(nnUNetTrainer):
    """One epoch of two training steps and one validation step."""

    def __init__(self, plans: dict, configuration: str, fold: int, dataset_json: dict, device: torch.device = torch.device("cuda")):
        super().__init__(plans, configuration, fold, dataset_json, device)
        self.num_epochs, self.num_iterations_per_epoch, self.num_val_iterations_per_epoch = 1, 2, 1
'''
"""A trainer whose only epoch takes seconds; nnU-Net's shortest one has 250 steps."""


def nnunet_environment(raw: Path, work: Path) -> dict[str, str]:
    """Return the environment of nnU-Net's commands on a CPU; ``work`` gets a folder for each of its kinds of output.

    Parameters
    ----------
    raw
        The folder of raw data sets.
    work
        A folder for everything else.
    """
    trainers = work / "trainers"
    for folder in ("preprocessed", "results", "trainers"):
        (work / folder).mkdir(parents=True, exist_ok=True)
    (trainers / "tiny.py").write_text(TINY_TRAINER)
    return {
        **os.environ,
        "nnUNet_raw": str(raw),
        "nnUNet_preprocessed": str(work / "preprocessed"),
        "nnUNet_results": str(work / "results"),
        "nnUNet_extTrainer": str(trainers),
        "nnUNet_compile": "F",
        "nnUNet_def_n_proc": "1",
        "nnUNet_n_proc_DA": "1",  # planning wants one process at least
        "OMP_NUM_THREADS": "1",
    }


def nnunet(command: str, *arguments: object, environment: dict[str, str]) -> str:
    """Run one of nnU-Net's commands, such as ``nnUNetv2_plan_and_preprocess``; return what it printed.

    A command that fails is a failure of the test, with its output.
    """
    return _run([str(Path(sys.executable).parent / command), *map(str, arguments)], environment)


def nnunet_train(*arguments: object, environment: dict[str, str], folder: Path) -> str:
    """Run ``nnUNetv2_train`` by :data:`LAUNCHER`, in one process; return what it printed."""
    launcher = folder / "launch_nnunet.py"
    launcher.write_text(LAUNCHER)
    return _run([sys.executable, str(launcher), *map(str, arguments)], {**environment, "nnUNet_n_proc_DA": "0"})


def _run(arguments: list[str], environment: dict[str, str]) -> str:
    done = subprocess.run(
        arguments, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, timeout=1800
    )
    assert done.returncode == 0, done.stdout[-4000:]
    return done.stdout
