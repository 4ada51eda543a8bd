"""The part of a network that one head's answer depends on."""

import copy
from itertools import chain

from torch import Tensor, nn

from cmr_train.models.network import Network
from cmr_train.models.unet import DECODER_PREFIX, DECODERS_PREFIX, HEAD_PREFIX


class OneHead(nn.Module):
    """A network with a single input and a single output: its logits.

    Parameters
    ----------
    model
        The network.
    head
        The head that answers.
    """

    def __init__(self, model: Network, head: str) -> None:
        super().__init__()
        self.model, self.head = model, head

    def forward(self, images: Tensor) -> Tensor:
        """Map (N, 1, rows, columns) to logits, (N, classes, rows, columns)."""
        logits: Tensor = self.model(images, self.head)
        return logits


def one_head(model: Network, head: str) -> OneHead:
    """Return a copy of a network on the CPU, in evaluation mode, as one of a single head; the network is left as it is."""
    return OneHead(copy.deepcopy(model).cpu(), head).eval()


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
