"""The part of a network that one head's answer depends on."""

import copy

from torch import Tensor, nn

from cmr_train.models.network import Network


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
