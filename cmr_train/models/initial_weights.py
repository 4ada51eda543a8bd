"""The first weights of a network."""

import hashlib

import numpy as np
import torch
from torch import nn

from cmr_train.compute.random_numbers import Stream, generator


def initialise(model: nn.Module, seed: int) -> None:
    """Draw a network's initial weights, each tensor from its own stream, so that adding a head changes no other weight.

    The distributions are torch's own: uniform within one over the square root of the inputs of an output.
    """
    for name, module in model.named_modules():
        if not isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            continue
        inputs = module.weight[0].numel()  # torch counts the same way for a transposed convolution
        bound = inputs**-0.5
        key = int.from_bytes(hashlib.sha256(name.encode()).digest()[:6], "big")
        random = generator(seed, Stream.WEIGHTS, key)
        with torch.no_grad():
            for tensor in module.parameters(recurse=False):
                tensor.copy_(torch.from_numpy(random.uniform(-bound, bound, tuple(tensor.shape)).astype(np.float32)))
