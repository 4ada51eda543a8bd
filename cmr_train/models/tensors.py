"""The weights that one head's answer depends on, whatever file holds them."""

import hashlib
from itertools import chain

from torch import Tensor

from cmr_train.models.network import Network
from cmr_train.models.unet import DECODER_PREFIX, DECODERS_PREFIX, HEAD_PREFIX


def tensors_of(model: Network, head: str) -> dict[str, Tensor]:
    """Return each tensor that a head's answer depends on once, under its first name in a network of that head alone."""
    own_decoder, own_head = f"{DECODERS_PREFIX}{head}.", f"{HEAD_PREFIX}{head}."
    found: dict[str, Tensor] = {}
    for name, tensor in chain(model.named_parameters(), model.named_buffers()):  # they name each tensor once
        if name.startswith((DECODERS_PREFIX, HEAD_PREFIX)) and not name.startswith((own_decoder, own_head)):
            continue
        renamed = f"{DECODER_PREFIX}{name.removeprefix(own_decoder)}" if name.startswith(own_decoder) else name
        found[renamed] = tensor.detach()
    return found


def tensors_sha256(model: Network, head: str) -> str:
    """Return a checksum of :func:`tensors_of`: of names, types, shapes and values, on whatever device they are."""
    digest = hashlib.sha256()
    for name, tensor in sorted(tensors_of(model, head).items()):
        values = tensor.cpu().numpy()
        digest.update(f"{name} {values.dtype.str} {values.shape}\n".encode())
        digest.update(values.tobytes())  # in C order, whatever the memory format
    return digest.hexdigest()
