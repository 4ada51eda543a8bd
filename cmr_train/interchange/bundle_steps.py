"""Preprocessing and postprocessing of a MONAI bundle: a volume slice by slice, as ``cmr-train predict`` does it.

A bundle holds this file and ``cmr_train/data/images.py`` as its ``scripts``, and needs nothing else of cmr-train.
"""

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from monai.data import MetaTensor
from monai.inferers import Inferer
from monai.transforms import MapTransform
from numpy.typing import NDArray

from cmr_train.data.images import Grid, prepare_image, restore_probabilities, scale

IMAGES_AT_ONCE = 16
"""Slices in a batch."""


class Prepared(MapTransform):  # type: ignore[misc]  # MONAI has no types
    """Bring a volume, shape (columns, rows, slices) as ``LoadImage`` gives it, to what the network sees, (slices, rows, columns).

    Parameters
    ----------
    keys
        Names of the volumes.
    grid
        The network's grid.
    """

    def __init__(self, keys: Sequence[str], grid: Grid) -> None:
        super().__init__(keys)
        self.grid = grid

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Replace each volume."""
        found = dict(data)
        for key in self.key_iterator(found):
            volume = found[key]
            slices, spacing_mm = _slices(np.asarray(volume)), _spacing_mm(volume)
            own = self.grid.holding(slices.shape[1:], spacing_mm)
            prepared = [prepare_image(image, spacing_mm, own) for image in slices]
            pixels, windows = (np.stack(column) for column in zip(*prepared, strict=True))
            found[key] = MetaTensor(torch.from_numpy(scale(pixels, windows, own)), meta=volume.meta)
        return found


class EachSlice(Inferer):  # type: ignore[misc]  # as above
    """Run a network on the slices of one volume: (1, slices, rows, columns) to (1, slices, classes, rows, columns)."""

    def __call__(self, inputs: torch.Tensor, network: Callable[..., torch.Tensor], *args: object, **kwargs: object) -> torch.Tensor:
        """Return the logits of a batch of one volume."""
        slices = torch.as_tensor(inputs[0]).unsqueeze(1)
        starts = range(0, len(slices), IMAGES_AT_ONCE)
        parts = [network(slices[start : start + IMAGES_AT_ONCE], *args, **kwargs) for start in starts]
        return torch.cat(parts).unsqueeze(0)


class Restored(MapTransform):  # type: ignore[misc]  # as above
    """Turn logits, shape (slices, classes, rows, columns), into labels on the volume's own voxels, (1, columns, rows, slices).

    Parameters
    ----------
    keys
        Names of the logits.
    image
        Name of the volume that they are of.
    grid
        The network's grid.
    outputs
        The class that each output stands for.
    """

    def __init__(self, keys: Sequence[str], image: str, grid: Grid, outputs: Sequence[int]) -> None:
        super().__init__(keys)
        self.image, self.grid, self.outputs = image, grid, np.array(outputs, dtype=np.uint8)

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Replace the logits."""
        found = dict(data)
        volume = found[self.image]
        columns, rows = (int(size) for size in volume.meta["spatial_shape"][:2])
        spacing_mm = _spacing_mm(volume)
        own = self.grid.holding((rows, columns), spacing_mm)
        for key in self.key_iterator(found):
            probabilities = torch.as_tensor(found[key]).float().softmax(dim=1).cpu().numpy()
            classes = np.stack(
                [restore_probabilities(each, (rows, columns), spacing_mm, own).argmax(axis=0) for each in probabilities]
            )
            labels = np.ascontiguousarray(self.outputs[classes].transpose(2, 1, 0))
            found[key] = MetaTensor(torch.from_numpy(labels)[None], meta=volume.meta)
        return found


def _slices(volume: NDArray[Any]) -> NDArray[Any]:
    """Return the slices of a volume, shape (slices, rows, columns), in whole numbers where they are such."""
    if volume.ndim == 2:
        volume = volume[..., np.newaxis]
    if volume.ndim != 3:
        raise ValueError(f"a volume of one phase is expected, with columns, rows and slices, and this has the shape {volume.shape}")
    slices = volume.transpose(2, 1, 0)
    is_whole = np.array_equal(slices, slices.round()) and slices.min() >= 0 and slices.max() < 1 << 16
    return slices.astype(np.uint16 if is_whole else np.float32)


def _spacing_mm(volume: MetaTensor) -> tuple[float, float]:
    """Return the distance between rows and between columns."""
    lengths = np.linalg.norm(np.asarray(volume.affine, dtype=np.float64)[:3, :2], axis=0)
    return float(lengths[1]), float(lengths[0])
