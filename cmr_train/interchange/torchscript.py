"""A network as TorchScript, which torch alone can run."""

import io
import warnings
import zipfile
from pathlib import Path

import torch
from torch import Tensor, nn

from cmr_train.errors import CheckpointError
from cmr_train.interchange.card import NetworkCard
from cmr_train.interchange.one_head import one_head
from cmr_train.models.network import Network

_SOURCE_NOTES = ".debug_pkl"
"""Members of a TorchScript file that say from which lines of which files, by their paths, the code was made."""


def script_of(model: Network, card: NetworkCard) -> bytes:
    """Return a network for images of any number and any size that its multiples allow, without paths of this machine.

    Parameters
    ----------
    model
        The network; it is left as it is.
    card
        Its card.
    """
    rows, columns = card.grid.multiples
    example = torch.zeros(2, 1, 2 * rows, 3 * columns)
    buffer = io.BytesIO()
    with warnings.catch_warnings(), torch.inference_mode():
        warnings.simplefilter("ignore")  # that TorchScript is to be replaced one day, and that checks of sizes are not kept
        traced = torch.jit.trace(  # type: ignore[no-untyped-call]
            one_head(model, card.head.value), example, check_trace=False
        )
        torch.jit.save(traced, buffer)
    return _without_notes(buffer.getvalue())


class ScriptedNetwork(Network):
    """A network that answers for one head, whatever the head is called.

    Parameters
    ----------
    script
        A file of :func:`script_of`.
    """

    def __init__(self, script: nn.Module) -> None:
        super().__init__()
        self.script = script

    def forward(self, images: Tensor, head: str) -> Tensor:  # noqa: ARG002  # it has one
        """Classify every pixel, as :meth:`cmr_train.models.network.Network.forward`."""
        logits: Tensor = self.script(images)
        return logits


def read_model(path: Path) -> ScriptedNetwork:
    """Read a file of :func:`script_of`, onto the CPU; raises CheckpointError if it is missing or damaged."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ScriptedNetwork(torch.jit.load(path, map_location="cpu")).eval()  # type: ignore[no-untyped-call]
    except (OSError, RuntimeError, ValueError) as error:
        raise CheckpointError(f"{str(path)!r} cannot be read: it is damaged, or no TorchScript") from error


def _without_notes(content: bytes) -> bytes:
    """Return a TorchScript file without the paths of the code's files."""
    result = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as given, zipfile.ZipFile(result, "w", zipfile.ZIP_STORED) as kept:
        for name in given.namelist():
            if not name.endswith(_SOURCE_NOTES):
                kept.writestr(zipfile.ZipInfo(name), given.read(name))
    return result.getvalue()
