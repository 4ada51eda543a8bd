"""What every network has: an encoder, a decoder that its heads share or one for each, and the heads."""

from collections.abc import Iterator
from itertools import chain

from torch import Tensor, nn


class Network(nn.Module):
    """A network that answers for every pixel, with one head per task. Its parts are made by the classes derived from it."""

    encoder: nn.Module
    decoder: nn.Module
    """That of all heads; missing where each has its own, or none needs one."""
    decoders: nn.ModuleDict
    """Those of the heads, by their names; missing where all share one."""
    heads: nn.ModuleDict
    """1 × 1 convolutions, by name."""
    has_decoder_per_head: bool
    """Whether each head has a decoder of its own."""
    pooled_heads: frozenset[str] = frozenset()
    """Heads that answer once for the whole image, without a decoder."""

    def decoder_of(self, head: str) -> nn.Module:
        """Return the decoder in front of a head, its own or the shared one; without blocks where the head needs none."""
        if head in self.pooled_heads:
            return nn.ModuleList()
        return self.decoders[head] if self.has_decoder_per_head else self.decoder

    def parameters_of(self, head: str) -> Iterator[nn.Parameter]:
        """Return the parameters that a head's answer depends on: encoder, decoder and head."""
        return chain.from_iterable(part.parameters() for part in (self.encoder, self.decoder_of(head), self.heads[head]))

    def forward(self, images: Tensor, head: str) -> Tensor:
        """Classify every pixel, or answer for it in numbers.

        Parameters
        ----------
        images
            Shape (N, channels, rows, columns).
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
        raise NotImplementedError


def check_size(images: Tensor, multiples: tuple[int, int]) -> None:
    """Refuse images that are no multiples of what a network needs; raises ValueError."""
    rows, columns = images.shape[-2:]
    if rows % multiples[0] or columns % multiples[1]:
        wanted = f"{multiples[0]}" if multiples[0] == multiples[1] else f"{multiples[0]} and {multiples[1]}"
        raise ValueError(
            f"images of {rows} × {columns} pixels do not fit the network: rows and columns must be multiples of {wanted}; "
            "pad or crop them with cmr_train.data.images.fit"
        )
