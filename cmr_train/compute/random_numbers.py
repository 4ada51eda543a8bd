"""All that is random, and what else a result depends on.

There is no generator whose state has to be kept: every random number is a function of the run's seed, of what it is for, and of
the number of the iteration or of the pass over the data. A run that was interrupted resumes with the same numbers, whatever the
number of processes.
"""

import os
from enum import IntEnum

import numpy as np
import torch


class Stream(IntEnum):
    """Uses of random numbers. The values are part of the meaning of a seed; they do not change."""

    WEIGHTS = 0
    """First weights of the network."""
    ORDER = 1
    """Order of the images in a pass over them."""
    AUGMENTATION = 2
    """Rotation, scaling and intensities."""
    HIDING = 3
    """Patches that are hidden."""
    DONORS = 4
    """Whose masks a person is given."""


def generator(seed: int, stream: Stream, *numbers: int) -> np.random.Generator:
    """Return a generator that depends on the arguments and on nothing else.

    Parameters
    ----------
    seed
        Of the run, 0 or more.
    stream
        What the numbers are for.
    numbers
        Further parts of the seed: the task, and the number of the iteration or of the pass.
    """
    return np.random.default_rng((seed, stream, *numbers))


def use_deterministic_kernels() -> None:
    """Let torch use only kernels whose result does not vary from run to run; slower on CUDA."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # read by cuBLAS when it starts; torch asks for it
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.backends.cudnn.benchmark = False
