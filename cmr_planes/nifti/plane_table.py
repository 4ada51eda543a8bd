"""A table of view planes for images whose files do not say where other views lie.

One row a plane::

    subject,view,point_x_mm,point_y_mm,point_z_mm,normal_x,normal_y,normal_z
    patient001,2ch,12.5,-80.1,40.0,0.9,0.1,-0.2

Coordinates are those of the NIfTI files, RAS in mm. Six more columns, ``anterior_x`` to ``left_z``, state the patient's directions
where the files have none.
"""

import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from cmr_planes.errors import GeometryError, SourceError
from cmr_planes.geometry import PatientAxes, UnboundedPlane
from cmr_planes.geometry.arrays import FloatArray
from cmr_planes.nifti.volumes import RAS_FROM_LPS
from cmr_planes.system.csv_text import CsvTable, read_csv
from cmr_planes.system.reasons import reason
from cmr_planes.system.text import counted
from cmr_planes.views import TARGET_VIEWS, CardiacView

POINT_COLUMNS = ("point_x_mm", "point_y_mm", "point_z_mm")
NORMAL_COLUMNS = ("normal_x", "normal_y", "normal_z")
ANTERIOR_COLUMNS = ("anterior_x", "anterior_y", "anterior_z")
LEFT_COLUMNS = ("left_x", "left_y", "left_z")
COLUMNS = ("subject", "view", *POINT_COLUMNS, *NORMAL_COLUMNS)
"""Columns that a table must have."""
DIRECTION_COLUMNS = (*ANTERIOR_COLUMNS, *LEFT_COLUMNS)
"""Columns that it may have: all six or none."""

_LPS_FROM_RAS = np.diag(RAS_FROM_LPS)[:3]


@dataclass(frozen=True, slots=True)
class StatedPlanes:
    """What a table states about one subject."""

    planes: Mapping[CardiacView, UnboundedPlane] = field(default_factory=dict)
    """The plane of each view, LPS."""
    axes: PatientAxes | None = None
    """The patient's directions in the files' coordinates (LPS), None if the files have them."""
    faults: tuple[str, ...] = ()
    """What is wrong with rows that cannot be used, each with its number."""


@dataclass(frozen=True, slots=True)
class PlaneTable:
    """The planes of a set's subjects."""

    subjects: Mapping[str, StatedPlanes]
    """By the subject's key."""
    digest: str
    """SHA-256 of the file: another table makes another catalogue."""

    def renamed(self, spellings: Callable[[str], Iterable[str]]) -> "PlaneTable":
        """Return the table under the names that ``spellings`` gives for each subject's."""
        subjects = {name: stated for subject, stated in self.subjects.items() for name in spellings(subject)}
        return replace(self, subjects=subjects)


@dataclass(frozen=True, slots=True)
class _Row:
    """One row: its number in the file, the header being row 1, and its cells."""

    number: int
    cells: Mapping[str, str]

    def vector(self, columns: Sequence[str]) -> FloatArray:
        """Return three numbers, from RAS to LPS; raises ValueError that names the cell."""
        values = []
        for column in columns:
            text = self.cells[column]
            try:
                value = float(text)
            except ValueError:
                hint = "; decimals are written with a point" if "," in text else ""
                raise ValueError(f"{column} is {text!r}, a number is expected{hint}") from None
            if not np.isfinite(value):
                raise ValueError(f"{column} is {text!r}, a finite number is expected")
            values.append(value)
        return np.array(values) * _LPS_FROM_RAS + 0.0  # no negative zeros


def read_plane_table(path: Path) -> PlaneTable:
    """Read a table of planes.

    Parameters
    ----------
    path
        A CSV file in UTF-8, comma-separated, with a line of the columns' names.

    Returns
    -------
        What it states of each subject. A row that cannot be used is one of the subject's ``faults``.

    Raises
    ------
    SourceError
        The file cannot be read, is no CSV table, lacks a column, or has a row without a subject or with too many cells.
    """
    try:
        data = path.read_bytes()
        table = read_csv(data)
    except OSError as error:
        raise SourceError(f"{path}: cannot be read ({reason(error)}); check the path and its permissions") from error
    except ValueError as error:
        raise SourceError(f"{path} is no table of planes: it is not CSV in UTF-8") from error
    by_subject: defaultdict[str, list[_Row]] = defaultdict(list)
    for row in _checked_rows(path, table):
        by_subject[row.cells["subject"]].append(row)
    return PlaneTable({subject: _state(group) for subject, group in by_subject.items()}, hashlib.sha256(data).hexdigest())


def _checked_rows(path: Path, table: CsvTable) -> list[_Row]:
    """Return the rows of a table with the needed columns; raises SourceError."""
    columns = [name.strip() for name in table.columns]
    missing = [name for name in COLUMNS if name not in columns]
    if missing and len(columns) == 1 and ";" in columns[0]:
        raise SourceError(f"{path} is no table of planes: its columns are separated by semicolons; separate them by commas")
    if missing:
        raise SourceError(f"{path} is no table of planes: column {missing[0]} is missing; the columns are {','.join(COLUMNS)}")
    stated = [name for name in DIRECTION_COLUMNS if name in columns]
    if stated and len(stated) < len(DIRECTION_COLUMNS):
        raise SourceError(
            f"{path} has column {stated[0]} and not all of {','.join(DIRECTION_COLUMNS)}; state both directions or none"
        )
    rows = []
    for stored in table.rows:
        if stored.is_too_long:
            raise SourceError(
                f"{path}, row {stored.number}: more cells than columns; write decimals with a point, and quote names with commas"
            )
        row = _Row(stored.number, {name.strip(): cell for name, cell in stored.cells.items()})
        if not row.cells["subject"]:
            raise SourceError(f"{path}, row {row.number}: the subject is empty")
        rows.append(row)
    return rows


def _state(rows: Sequence[_Row]) -> StatedPlanes:
    """Return what the rows of one subject state."""
    faults: list[str] = []
    by_view: defaultdict[CardiacView, list[tuple[_Row, UnboundedPlane]]] = defaultdict(list)
    stated: list[tuple[_Row, PatientAxes]] = []
    for row in rows:
        try:
            view = _view(row.cells["view"])
            plane = UnboundedPlane(centre_mm=row.vector(POINT_COLUMNS), normal=row.vector(NORMAL_COLUMNS))
            if any(row.cells.get(column) for column in DIRECTION_COLUMNS):
                stated.append((row, PatientAxes.from_directions(row.vector(LEFT_COLUMNS), row.vector(ANTERIOR_COLUMNS))))
        except (ValueError, GeometryError) as error:
            faults.append(f"row {row.number}: {error}")
        else:
            by_view[view].append((row, plane))
    planes: dict[CardiacView, UnboundedPlane] = {}
    for view, found in by_view.items():
        if len(found) == 1:
            planes[view] = found[0][1]
        else:
            numbers = " and ".join(str(row.number) for row, _ in found)
            faults.append(f"rows {numbers}: {counted(len(found), 'plane')} of the {view.title} view; keep one")
    axes = stated[0][1] if stated else None
    odd = next((row for row, other in stated if axes is not None and not _are_equal(axes, other)), None)
    if odd is not None:
        faults.append(f"rows {stated[0][0].number} and {odd.number}: the directions of one subject differ")
        return StatedPlanes(faults=tuple(faults))
    return StatedPlanes(planes, axes, tuple(faults))


def _view(name: str) -> CardiacView:
    """Return a target view by its name; raises ValueError."""
    if name.lower() not in TARGET_VIEWS:
        raise ValueError(f"the view is {name!r}, one of {', '.join(TARGET_VIEWS)} is expected")
    return CardiacView(name.lower())


def _are_equal(first: PatientAxes, second: PatientAxes) -> bool:
    """Tell whether two statements of the directions agree up to rounding."""
    return bool(np.allclose(first.left, second.left, atol=1e-3) and np.allclose(first.anterior, second.anterior, atol=1e-3))


def stated_directions(left_lps: FloatArray, anterior_lps: FloatArray) -> tuple[float, ...]:
    """Return the cells of :data:`DIRECTION_COLUMNS` for two directions in LPS coordinates."""
    return tuple(float(value) for value in np.concatenate([anterior_lps * _LPS_FROM_RAS, left_lps * _LPS_FROM_RAS]) + 0.0)


def plane_cells(plane: UnboundedPlane) -> tuple[float, ...]:
    """Return the cells of :data:`POINT_COLUMNS` and :data:`NORMAL_COLUMNS` for a plane in LPS coordinates."""
    return tuple(float(value) for value in np.concatenate([plane.centre_mm * _LPS_FROM_RAS, plane.normal * _LPS_FROM_RAS]) + 0.0)
