"""dcm2niix on whole studies, and a comparison of its files with others: another program's reading of the same headers."""

import subprocess
import sys
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
from numpy.typing import NDArray

DCM2NIIX = Path(sys.executable).parent / "dcm2niix"


@dataclass(frozen=True, eq=False)
class PeerVolume:
    """One file of dcm2niix."""

    values: NDArray[Any]
    """Shape (i, j, k, t)."""
    affine: NDArray[np.float64]
    """Shape (4, 4): (i, j, k, 1) to RAS in mm."""
    trigger: int
    """The number after ``_t`` in the file's name, by which dcm2niix tells the parts of a divided cine; -1 where there is none."""


def convert(dicom: Path, folder: Path) -> list[PeerVolume]:
    """Convert all files under a folder; what dcm2niix merges and what it keeps apart is its own choice."""
    folder.mkdir()
    command = [DCM2NIIX, "-z", "n", "-b", "n", "-m", "y", "-f", "%s_%j", "-o", folder, dicom]
    subprocess.run(command, check=True, capture_output=True)
    found = []
    for path in sorted(folder.glob("*.nii")):
        image = nibabel.load(path)
        values = np.asarray(image.dataobj)
        _, _, trigger = path.stem.rpartition("_t")
        found.append(
            PeerVolume(
                values.reshape(*values.shape, 1, 1)[..., :1] if values.ndim == 2 else values.reshape(*values.shape[:3], -1),
                image.affine,
                int(trigger) if trigger.isdigit() else -1,
            )
        )
    return found


def slice_affine(affine: NDArray[np.float64], index: int) -> NDArray[np.float64]:
    """Return the affine of one slice of a volume."""
    moved = affine.copy()
    moved[:, 3] += index * affine[:, 2]
    return moved


def frames_at(affine: NDArray[np.float64], shape: tuple[int, int], peers: Sequence[PeerVolume]) -> list[NDArray[Any]]:
    """Return the images that dcm2niix has of one slice, in its order of time, turned to the axes of ``affine``.

    An image is one of the slice where the two affines differ by flips and whole pixels only: its pixels then lie at the same places
    to within a hundredth of a pixel.

    Parameters
    ----------
    affine
        Shape (4, 4): (column, row, 0, 1) of the slice to RAS in mm.
    shape
        Columns and rows.
    peers
        The files.
    """
    found = []
    for peer in peers:
        for k in range(peer.values.shape[2]):
            change = np.linalg.inv(slice_affine(peer.affine, k)) @ affine
            corners = (
                change
                @ np.array([[0, 0, 0, 1], [shape[0] - 1, 0, 0, 1], [0, shape[1] - 1, 0, 1], [shape[0] - 1, shape[1] - 1, 0, 1]]).T
            )
            if np.abs(corners - np.round(corners)).max() > 0.01 or np.abs(np.round(corners[2])).max() > 0:
                continue
            i, j = np.meshgrid(np.arange(shape[0]), np.arange(shape[1]), indexing="ij")
            places = np.round(change[:2, :2] @ np.stack([i.ravel(), j.ravel()]) + change[:2, 3:]).astype(int)
            if places.min() < 0 or (places.max(axis=1) >= peer.values.shape[:2]).any():
                continue
            images = peer.values[places[0], places[1], k].reshape(*shape, -1)
            found += [(peer.trigger, time, images[..., time]) for time in range(images.shape[-1])]
    return [image for _, _, image in sorted(found, key=lambda one: one[:2])]


def unpack(path: Path, folder: Path) -> None:
    """Unpack a zip, for programs that do not read in it."""
    with zipfile.ZipFile(path) as archive:
        archive.extractall(folder)
