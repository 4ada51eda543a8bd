"""A network of torch that answers: the one way from a network to classes, while training and after."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from cmr_train.choices import Head
from cmr_train.compute.devices import Compute
from cmr_train.data.rotations import turn
from cmr_train.models.network import Network


@dataclass(frozen=True, slots=True, eq=False)
class TorchClassifier:
    """One head of a network, as a :class:`cmr_train.runs.trained_network.Classifier`."""

    model: Network
    """On the device of ``compute``; put into evaluation mode when it answers."""
    head: Head
    """The head that answers."""
    compute: Compute
    """The device and the number format."""

    @property
    def turns_images(self) -> bool:
        """Whether it takes an angle: it does."""
        return True

    def probabilities(
        self, images: NDArray[np.float32], *, rotate_deg: float = 0.0, pixel_mm: NDArray[np.float64] | None = None
    ) -> NDArray[np.float32]:
        """Return the probability of every class at every pixel."""
        found: NDArray[np.float32] = self._mean(images, rotate_deg, pixel_mm).cpu().numpy()
        return found

    def most_likely(
        self, images: NDArray[np.float32], *, rotate_deg: float = 0.0, pixel_mm: NDArray[np.float64] | None = None
    ) -> NDArray[np.uint8]:
        """Return the most likely output at every pixel."""
        found: NDArray[np.uint8] = self._mean(images, rotate_deg, pixel_mm).argmax(dim=1).to(torch.uint8).cpu().numpy()
        return found

    def _mean(self, images: NDArray[np.float32], rotate_deg: float, pixel_mm: NDArray[np.float64] | None) -> torch.Tensor:
        """Return the mean probabilities over the angles, on the device. Where a turned image does not reach, the others count."""
        upright = torch.from_numpy(images)[:, None].to(self.compute.device)
        total = self._answer(upright)
        if not rotate_deg:
            return total
        if pixel_mm is None:
            raise ValueError("images are turned in the patient, so that the distances of their pixels are needed")
        weight = torch.ones_like(upright)
        for degrees in (-rotate_deg, rotate_deg):
            total = total + turn(self._answer(turn(upright, degrees, pixel_mm)), -degrees, pixel_mm)
            weight = weight + turn(torch.ones_like(upright), -degrees, pixel_mm)
        return total / weight

    def _answer(self, batch: torch.Tensor) -> torch.Tensor:
        """Return the probabilities of a batch that is on the device, shape (n, 1, rows, columns)."""
        self.model.eval()
        with torch.inference_mode(), self.compute.autocast():
            logits: torch.Tensor = self.model(batch.contiguous(memory_format=self.compute.memory_format), self.head.value)
            return logits.float().softmax(dim=1)
