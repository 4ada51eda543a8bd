"""The U-Net of an nnU-Net plan, built by ``dynamic-network-architectures`` as nnU-Net builds it."""

import copy
from collections.abc import Mapping
from typing import Any, cast

from torch import Tensor, nn

from cmr_train.config import PlanConfig
from cmr_train.errors import TrainError
from cmr_train.models.network import Network, check_size

TORCH_CLASSES = ("conv_op", "norm_op", "dropout_op", "nonlin")
"""Arguments of a plan's network that name a class of ``torch.nn``."""
SEGMENTATION_LAYERS = ".seg_layers."
"""Names of the tensors of nnU-Net's heads contain this; nnU-Net takes none of them over from pretrained weights."""


def build_planned(plan: PlanConfig, n_classes: int) -> nn.Module:
    """Build the network of a plan for images of one channel, as nnU-Net does: the same names and shapes of all tensors.

    Parameters
    ----------
    plan
        The plan.
    n_classes
        Outputs, the background among them.

    Raises
    ------
    TrainError
        The library is not installed, or the plan's arguments are not those of its network.
    """
    try:
        from dynamic_network_architectures.architectures import unet
    except ImportError as error:
        raise TrainError(
            "the network of an nnU-Net plan needs the library dynamic-network-architectures; "
            "install it with: pip install 'cmr-planes[nnunet]'"
        ) from error
    arguments = {name: _torch_class(value) if name in TORCH_CLASSES else value for name, value in plan.arguments.items()}
    architecture = getattr(unet, plan.network_class.rpartition(".")[2])
    try:
        return cast("nn.Module", architecture(input_channels=1, num_classes=n_classes, deep_supervision=False, **arguments))
    except (TypeError, ValueError, AssertionError, IndexError, KeyError, RuntimeError) as error:
        raise TrainError(f"the network of the nnU-Net plan cannot be built: {error}") from error


def _torch_class(name: object) -> Any:  # noqa: ANN401  # a class, or None
    """Return a class of ``torch.nn`` by its full name; no other module is imported, whatever a plan says."""
    if name is None:
        return None
    package, _, last = str(name).rpartition(".")
    found = getattr(nn, last, None)
    if not (package == "torch.nn" or package.startswith("torch.nn.modules.")) or not isinstance(found, type):
        raise TrainError(f"the nnU-Net plan names {name!r:.80}, which is no class of torch.nn")
    return found


class PlannedUNet(Network):
    """The U-Net of a plan, with heads of our own on the features at full resolution in the place of nnU-Net's.

    Parameters
    ----------
    plan
        The plan.
    heads
        Classes of each head, by name. A head is a 1 × 1 convolution.
    has_decoder_per_head
        Whether each head has a decoder of its own; else they share one.

    Raises
    ------
    TrainError
        The network cannot be built.
    """

    def __init__(self, plan: PlanConfig, *, heads: Mapping[str, int], has_decoder_per_head: bool = False) -> None:
        super().__init__()
        body = build_planned(plan, 1)
        self.multiples = plan.multiples
        self.encoder = cast("nn.Module", body.encoder)
        decoder = cast("nn.Module", body.decoder)
        theirs = cast("list[nn.Conv2d]", [*decoder.get_submodule("seg_layers").children()])
        decoder.seg_layers = nn.ModuleList(nn.Identity() for _ in theirs)
        del decoder.encoder  # nnU-Net's decoder holds the encoder a second time
        if has_decoder_per_head:
            self.decoders = nn.ModuleDict({name: copy.deepcopy(decoder) for name in heads})
        else:
            self.decoder = decoder
        self.has_decoder_per_head = has_decoder_per_head
        self.heads = nn.ModuleDict({name: nn.Conv2d(theirs[-1].in_channels, classes, 1) for name, classes in heads.items()})

    def forward(self, images: Tensor, head: str) -> Tensor:
        """Classify every pixel, as :meth:`cmr_train.models.network.Network.forward`."""
        check_size(images, self.multiples)
        logits: Tensor = self.heads[head](self.decoder_of(head)(self.encoder(images)))
        return logits


def nnunet_weights(model: PlannedUNet, plan: PlanConfig, head: str) -> dict[str, Tensor]:
    """Return the tensors of nnU-Net's network, under all their names, without those of its heads.

    nnU-Net's network holds most tensors under several names; all of them come from one state, so that they agree.

    Parameters
    ----------
    model
        A trained network.
    plan
        Its plan.
    head
        The head whose decoder is taken, where each has its own.
    """
    body = build_planned(plan, 1)
    cast("nn.Module", body.encoder).load_state_dict(model.encoder.state_dict())
    missing = cast("nn.Module", body.decoder).load_state_dict(model.decoder_of(head).state_dict(), strict=False)
    unexpected = [name for name in missing.missing_keys if not name.startswith(("encoder.", "seg_layers."))]
    if unexpected or missing.unexpected_keys:
        raise TrainError(f"the decoder is not that of the plan: {', '.join([*unexpected, *missing.unexpected_keys][:3])}")
    return {name: tensor for name, tensor in body.state_dict().items() if SEGMENTATION_LAYERS not in name}
