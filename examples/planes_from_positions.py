"""Fit 2Ch and 4Ch planes to the positions that a pretext network finds on short-axis stacks.

A network that was trained on positions elsewhere, for example on synthetic hearts, finds them roughly on real images without
long-axis views. One plane per view, fitted through the whole stack, is steadier than the boxes of single slices, and a second
pretext can be trained on it. This needs no labels and no prescribed planes::

    cmr-planes extract --nifti SET set.h5 --views sax --keep-all
    python examples/planes_from_positions.py runs/pretext-sax set.h5 planes.csv
    cmr-planes extract --nifti SET positions.h5 --views sax --planes planes.csv --units mm

Look at the result (``cmr-planes show positions.h5 -o pictures``) before you train on it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO, TypeAlias

import click
import numpy as np
from numpy.typing import NDArray

from cmr_planes import Catalogue
from cmr_planes.geometry import ImagePlane, UnboundedPlane, angle_between_normals_deg
from cmr_planes.geometry.tolerances import MIN_LINE_ANGLE_DEG
from cmr_planes.nifti.plane_table import COLUMNS, DIRECTION_COLUMNS, plane_cells, stated_directions
from cmr_planes.system.csv_text import csv_text
from cmr_planes.views import PositionClass
from cmr_train import Run, load_run
from cmr_train.choices import Head
from cmr_train.prediction.inference import label_images

LEFT = (PositionClass.LEFT_NEAR, PositionClass.LEFT_FAR)
RIGHT = (PositionClass.RIGHT_NEAR, PositionClass.RIGHT_FAR)
ANTERIOR = (PositionClass.UPPER_NEAR, PositionClass.UPPER_FAR)
POSTERIOR = (PositionClass.LOWER_NEAR, PositionClass.LOWER_FAR)

MIN_SLICES = 3
"""Slices on which a view's boxes must be found: a plane through fewer turns freely about their line."""
MAX_SPREAD_MM = 10.0
"""Root mean square of the boxes' distances from the plane, half a box's side; boxes that lie farther are no evidence of a plane."""
N_ROUNDS = 10
"""Rounds of the robust fit."""
SCALE_MM = 5.0
"""Distance from the plane at which a box counts half."""

MAX_TILT_DEG = 20.0
"""Largest angle of a long-axis plane from one that is perpendicular to the slices; prescriptions differ by less."""

Vector: TypeAlias = NDArray[np.float64]
Centres: TypeAlias = dict[PositionClass, list[Vector]]


@dataclass(frozen=True)
class Fitted:
    """The planes and directions of a subject, LPS."""

    planes: dict[str, UnboundedPlane]
    """By view."""
    left: Vector
    """From the boxes on the right to those on the left, unit length."""
    anterior: Vector
    """From the posterior to the anterior boxes, unit length."""


def find_maps(run: Run, catalogue: Catalogue, subject: str) -> list[NDArray[np.uint8]]:
    """Return the positions that a network finds on a subject's slices at end-diastole."""
    planes = catalogue.view_attributes(subject, "sax").planes
    images = [catalogue.image(subject, "sax", 0, number) for number in range(len(planes))]
    return label_images(run, images, [(plane.row_spacing_mm, plane.column_spacing_mm) for plane in planes])


def find_centres(planes: Iterable[ImagePlane], maps: Iterable[NDArray[np.uint8]]) -> Centres:
    """Return the centre of each box on each slice, LPS, mm."""
    centres: Centres = {}
    for plane, labels in zip(planes, maps, strict=True):
        for number in set(np.unique(labels).tolist()) - {0}:
            rows, columns = np.nonzero(labels == number)
            centre_mm = plane.pixel_to_patient([np.median(columns), np.median(rows)])  # stray pixels do not move a median
            centres.setdefault(PositionClass(number), []).append(centre_mm)
    return centres


def fit_plane(points_mm: NDArray[np.float64], slice_normal: Vector) -> tuple[UnboundedPlane, float]:
    """Fit a plane to points, shape (n, 3), by least squares of Cauchy's weights.

    Long-axis planes contain the ventricle's axis, to which the slices are nearly perpendicular. Where boxes are scattered, a free
    plane can lie down into one slice that has many of them, all at no distance from it: such points are fitted by an upright plane.

    Returns
    -------
        The plane, and the root mean square distance of the points from it.
    """
    plane, spread = _fit_robustly(points_mm, np.zeros(3))
    if abs(plane.normal @ slice_normal) > np.sin(np.deg2rad(MAX_TILT_DEG)):
        plane, spread = _fit_robustly(points_mm, slice_normal)
    return plane, spread


def _fit_robustly(points_mm: NDArray[np.float64], fixed: Vector) -> tuple[UnboundedPlane, float]:
    """Fit a plane that contains the direction ``fixed``; zeros for any plane."""
    flat_mm = points_mm - np.outer(points_mm @ fixed, fixed)
    weights = np.ones(len(points_mm))
    for _ in range(N_ROUNDS):
        centre = weights @ flat_mm / weights.sum()
        offsets = flat_mm - centre
        scatter = (weights[:, None] * offsets).T @ offsets
        normal = np.linalg.eigh(scatter + np.trace(scatter) * np.outer(fixed, fixed))[1][:, 0]
        distances = offsets @ normal
        weights = 1 / (1 + (distances / SCALE_MM) ** 2)
    return UnboundedPlane(weights @ points_mm / weights.sum(), normal), float(np.sqrt(weights @ distances**2 / weights.sum()))


def fit(centres: Centres, slice_normal: Vector) -> Fitted | None:
    """Fit the planes of a subject; None where too few boxes were found, or they lie on no two planes."""
    views = {
        "4ch": (PositionClass.INTERSECTION, *LEFT, *RIGHT),
        "2ch": (PositionClass.INTERSECTION, *ANTERIOR, *POSTERIOR),
    }
    if any(max(len(centres.get(number, ())) for number in arm) < MIN_SLICES for arm in (LEFT, RIGHT, ANTERIOR, POSTERIOR)):
        return None
    planes = {}
    for view, numbers in views.items():
        planes[view], spread = fit_plane(np.concatenate([centres[number] for number in numbers if number in centres]), slice_normal)
        if spread > MAX_SPREAD_MM:
            return None
    if angle_between_normals_deg(planes["2ch"].normal, planes["4ch"].normal) < MIN_LINE_ANGLE_DEG:
        return None
    return Fitted(planes, _direction(centres, RIGHT, LEFT), _direction(centres, POSTERIOR, ANTERIOR))


def _direction(centres: Centres, start: Sequence[PositionClass], end: Sequence[PositionClass]) -> Vector:
    """Return the direction from the boxes of one arm to those of the opposite one."""
    first, last = (
        np.median(np.concatenate([centres[number] for number in arm if number in centres]), axis=0) for arm in (start, end)
    )
    step: Vector = last - first
    return step / np.linalg.norm(step)


def table_rows(run: Run, catalogue: Catalogue, subjects: Iterable[str]) -> list[Sequence[object]]:
    """Return the rows of the table, RAS; subjects on whom no two planes were found are left out."""
    rows: list[Sequence[object]] = []
    for subject in subjects:
        planes = catalogue.view_attributes(subject, "sax").planes
        fitted = fit(find_centres(planes, find_maps(run, catalogue, subject)), planes[0].normal)
        if fitted is None:
            continue
        directions = stated_directions(fitted.left, fitted.anterior)
        for view, plane in fitted.planes.items():
            rows.append((subject, view, *(round(cell, 6) for cell in (*plane_cells(plane), *directions))))
    return rows


@click.command()
@click.argument("run", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.argument("catalogue", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.argument("planes", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--subjects", type=click.File(), help="A file of subjects' keys, one per line; others get no planes.  [default: all]")
def main(run: Path, catalogue: Path, planes: Path, subjects: TextIO | None) -> None:
    """Write PLANES, the table of planes that the pretext RUN finds on the short-axis stacks in CATALOGUE."""
    network = load_run(run)
    if network.head is not Head.POSITIONS:
        raise click.ClickException(f"{str(run)!r} finds {network.head}, not positions; give the run of a pretext")
    with Catalogue(catalogue) as opened:
        stored = opened.views()
        keys = [subject for subject, view in zip(stored.subject, stored.view, strict=True) if view == "sax"]
        wanted = keys if subjects is None else [line.strip() for line in subjects]
        rows = table_rows(network, opened, wanted)
    planes.write_text(csv_text((*COLUMNS, *DIRECTION_COLUMNS), rows), encoding="utf-8", newline="\n")
    click.echo(f"{len(rows) // 2} of {len(wanted)} subjects have planes")


if __name__ == "__main__":
    main()
