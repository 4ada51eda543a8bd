"""The U-Net (Ronneberger et al., MICCAI 2015); with batch normalisation, as the paper uses it, unless another is asked for."""

import math
from collections.abc import Collection, Mapping, Sequence

import torch
from torch import Tensor, nn

from cmr_train.choices import Norm
from cmr_train.models.network import Network, check_size

ENCODER_PREFIX = "encoder."
"""Names of the encoder's tensors begin with this."""
DECODER_PREFIX = "decoder."
"""Names of a shared decoder's tensors begin with this."""
DECODERS_PREFIX = "decoders."
"""Names of the tensors of each head's own decoder begin with this and the head's name."""
HEAD_PREFIX = "heads."
"""Names of the heads' tensors begin with this."""

N_GROUPS = 8
"""Groups of channels that group normalisation aims at."""


def _normalisation(channels: int, norm: Norm) -> nn.Module:
    """Return a normalisation with a gain and a shift per channel."""
    match norm:
        case Norm.BATCH:
            return nn.BatchNorm2d(channels)
        case Norm.INSTANCE:
            return nn.InstanceNorm2d(channels, affine=True)
        case Norm.GROUP:
            return nn.GroupNorm(math.gcd(channels, N_GROUPS), channels)


def _double_convolution(in_channels: int, out_channels: int, norm: Norm) -> nn.Sequential:
    """Two times 3 × 3 convolution, normalisation, ReLU; keeps rows and columns."""
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, 3, padding=1, bias=False),
        _normalisation(out_channels, norm),
        nn.ReLU(inplace=True),
        nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False),
        _normalisation(out_channels, norm),
        nn.ReLU(inplace=True),
    )


class UpBlock(nn.Module):
    """Double the size by a transposed convolution, join the skip connection, convolve twice.

    Parameters
    ----------
    channels
        Channels that come in; half of them go out.
    norm
        Normalisation between the convolutions.
    """

    def __init__(self, channels: int, norm: Norm) -> None:
        super().__init__()
        self.up = nn.ConvTranspose2d(channels, channels // 2, 2, stride=2)
        self.convolutions = _double_convolution(channels, channels // 2, norm)

    def forward(self, features: Tensor, skip: Tensor) -> Tensor:
        """Map (N, C, rows, columns) and a skip of (N, C / 2, 2 rows, 2 columns) to the skip's shape."""
        result: Tensor = self.convolutions(torch.cat([skip, self.up(features)], dim=1))
        return result


def _decoder(channels: Sequence[int], norm: Norm) -> nn.ModuleList:
    """Return the blocks from the lowest level up; ``channels`` are those of the levels, from full resolution down."""
    return nn.ModuleList(UpBlock(width, norm) for width in reversed(channels[1:]))


class UNet(Network):
    """A U-Net with any number of heads on one encoder.

    Parameters
    ----------
    in_channels
        Channels of an image.
    base_channels
        Channels at full resolution; they double with every halving of the size.
    depth
        Number of down-sampling steps.
    heads
        Outputs of each head, by name. A head is a 1 × 1 convolution.
    has_decoder_per_head
        Whether each head has a decoder of its own; else they share one.
    pooled_heads
        Heads that answer once for the whole image, from the mean of each channel at the lowest level; they have no decoder.
    norm
        Normalisation between the convolutions.

    Raises
    ------
    ValueError
        There is no head, or a number is not positive.
    """

    def __init__(
        self,
        in_channels: int = 1,
        base_channels: int = 64,
        depth: int = 4,
        *,
        heads: Mapping[str, int],
        has_decoder_per_head: bool = False,
        pooled_heads: Collection[str] = (),
        norm: Norm = Norm.BATCH,
    ) -> None:
        super().__init__()
        if min(in_channels, base_channels, depth, len(heads), *heads.values()) < 1:
            raise ValueError(
                f"channels, depth, heads and outputs must be positive, got {in_channels}, {base_channels}, {depth}, {heads}"
            )
        channels = [base_channels << step for step in range(depth + 1)]
        self.depth = depth
        self.pool = nn.MaxPool2d(2)
        self.encoder = nn.ModuleList(
            _double_convolution(before, after, norm) for before, after in zip([in_channels, *channels], channels, strict=False)
        )
        decoded = [name for name in heads if name not in pooled_heads]
        if has_decoder_per_head:
            self.decoders = nn.ModuleDict({name: _decoder(channels, norm) for name in decoded})
        elif decoded:
            self.decoder = _decoder(channels, norm)
        self.has_decoder_per_head = has_decoder_per_head
        self.pooled_heads = frozenset(pooled_heads)
        self.heads = nn.ModuleDict(
            {
                name: nn.Conv2d(channels[-1] if name in self.pooled_heads else base_channels, outputs, 1)
                for name, outputs in heads.items()
            }
        )

    def forward(self, images: Tensor, head: str) -> Tensor:
        """Classify every pixel, or answer for it in numbers.

        Parameters
        ----------
        images
            Shape (N, channels, rows, columns); rows and columns divisible by 2 to the power of ``depth``.
        head
            Which head answers.

        Returns
        -------
            Logits or numbers, shape (N, outputs, rows, columns); (N, outputs, 1, 1) of a pooled head.

        Raises
        ------
        ValueError
            The size does not fit.
        """
        check_size(images, (1 << self.depth, 1 << self.depth))
        skips: list[Tensor] = []
        features = images
        for step, block in enumerate(self.encoder.children()):
            features = block(features if step == 0 else self.pool(features))
            skips.append(features)
        skips.pop()
        if head in self.pooled_heads:
            features = features.mean(dim=(2, 3), keepdim=True)
        for block in self.decoder_of(head).children():
            features = block(features, skips.pop())
        logits: Tensor = self.heads[head](features)
        return logits
