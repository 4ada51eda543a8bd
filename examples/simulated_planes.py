"""Prescribe 2Ch and 4Ch planes on short-axis stacks from their labels, as a technologist places them, with a technologist's errors.

Sets such as ACDC have labelled short-axis images and no long-axis planes. This makes a table of planes for them::

    cmr-planes extract --nifti ACDC/training acdc.h5 --views sax
    python examples/simulated_planes.py acdc.h5 planes.csv --seed 0
    cmr-planes extract --nifti ACDC/training acdc_positions.h5 --views sax --planes planes.csv --units mm

Both planes contain the left ventricle's long axis, a straight line through its centres. The 4Ch plane lies within 14 degrees of
the line from the right to the left ventricle, and passes the left one's centre at -2 to 4 mm. The 2Ch plane stands at 62 to 78
degrees to it. Labels placed these planes: they show what positions are worth on real images, not that no label is needed.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO, TypeAlias

import click
import numpy as np
from numpy.typing import NDArray

from cmr_planes import Catalogue
from cmr_planes.geometry import UnboundedPlane
from cmr_planes.nifti.plane_table import COLUMNS, DIRECTION_COLUMNS, plane_cells, stated_directions
from cmr_planes.system.csv_text import csv_text
from cmr_planes.views import Structure

FOUR_CHAMBER_TURN_DEG = (-14.0, 14.0)
"""Angle of the 4Ch line from the line between the ventricles."""
FOUR_CHAMBER_OFFSET_MM = (-2.0, 4.0)
"""Distance at which the 4Ch plane passes the left ventricle's centre."""
TWO_CHAMBER_ANGLE_DEG = (62.0, 78.0)
"""Angle of the 2Ch line from the 4Ch line, towards anterior."""

Vector: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True)
class Heart:
    """Where the ventricles of a stack lie, LPS, mm, shape (3,) each."""

    centre_mm: Vector
    """Centre of the left ventricle."""
    axis: Vector
    """Its long axis, unit length."""
    left: Vector
    """From the right to the left ventricle, across the axis, unit length."""
    anterior: Vector
    """Across both, towards the top of a picture on which the right ventricle lies on the left, unit length."""


def unit(vector: Vector) -> Vector:
    """Return a vector of length 1."""
    return vector / np.linalg.norm(vector)


def find_heart(catalogue: Catalogue, subject: str) -> Heart | None:
    """Find the ventricles of a subject at end-diastole; None without labels of both on three slices."""
    attributes = catalogue.view_attributes(subject, "sax")
    centres: dict[Structure, list[Vector]] = {Structure.LV: [], Structure.RV: []}
    for index, plane in enumerate(attributes.planes):
        labels = catalogue.labels(subject, "sax", 0, index)
        for structure, found in centres.items():
            rows, columns = np.nonzero(labels == structure)
            if len(rows):
                found.append(plane.pixel_to_patient([columns.mean(), rows.mean()]))
    if min(map(len, centres.values())) < 3:
        return None
    lv = np.array(centres[Structure.LV])
    plane = attributes.planes[0]
    along = (lv - plane.position_mm) @ plane.normal
    slope = np.polyfit(along, lv, 1)[0]
    axis = unit(slope)
    left = lv.mean(axis=0) - np.mean(centres[Structure.RV], axis=0)
    left = unit(left - (left @ axis) * axis)
    turned = np.cross(np.cross(plane.column_cosine, plane.row_cosine), left)  # a quarter turn from right to up in the picture
    anterior = np.cross(axis, left)
    return Heart(lv.mean(axis=0), axis, left, anterior * np.sign(anterior @ turned))


def prescribe(heart: Heart, random: np.random.Generator) -> dict[str, tuple[Vector, Vector]]:
    """Draw the planes of a subject: a point and the normal of each view, LPS."""
    turn, offset_mm, angle = (
        random.uniform(*limits) for limits in (FOUR_CHAMBER_TURN_DEG, FOUR_CHAMBER_OFFSET_MM, TWO_CHAMBER_ANGLE_DEG)
    )
    lines = {"4ch": np.radians(turn), "2ch": np.radians(turn + angle)}
    normals = {
        view: np.cross(heart.axis, np.cos(radians) * heart.left + np.sin(radians) * heart.anterior)
        for view, radians in lines.items()
    }
    point_mm = heart.centre_mm + offset_mm * normals["4ch"]
    return {view: (point_mm, normal) for view, normal in normals.items()}


def table_rows(catalogue: Catalogue, subjects: Iterable[str], seed: int) -> list[Sequence[object]]:
    """Return the rows of the table, RAS; subjects without labels are left out."""
    rows: list[Sequence[object]] = []
    for subject in subjects:
        heart = find_heart(catalogue, subject)
        if heart is None:
            continue
        random = np.random.default_rng([seed, *subject.encode()])  # a subject's draw does not depend on who else is there
        directions = stated_directions(heart.left, heart.anterior)
        for view, (point_mm, normal) in prescribe(heart, random).items():
            cells = (*plane_cells(UnboundedPlane(point_mm, normal)), *directions)
            rows.append((subject, view, *(round(cell, 6) for cell in cells)))
    return rows


@click.command()
@click.argument("catalogue", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.argument("planes", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--seed", type=int, default=0, show_default=True, help="Another seed draws other planes.")
@click.option("--subjects", type=click.File(), help="A file of subjects' keys, one per line; others get no planes.  [default: all]")
def main(catalogue: Path, planes: Path, seed: int, subjects: TextIO | None) -> None:
    """Write PLANES, the table of planes of the labelled short-axis stacks in CATALOGUE."""
    with Catalogue(catalogue) as opened:
        annotated = [
            subject for subject, view in zip(opened.annotations().subject, opened.annotations().view, strict=True) if view == "sax"
        ]
        wanted = set(annotated) if subjects is None else {line.strip() for line in subjects}
        rows = table_rows(opened, [subject for subject in annotated if subject in wanted], seed)
    planes.write_text(csv_text((*COLUMNS, *DIRECTION_COLUMNS), rows), encoding="utf-8", newline="\n")
    click.echo(f"{len(rows) // 2} of {len(wanted)} subjects have planes")


if __name__ == "__main__":
    main()
