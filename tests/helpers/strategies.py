"""Random image planes and hearts for property-based tests, and the headers of transformed images.

What to reach for:

- :func:`rotations`, :func:`translations`: rigid motions of the patient;
- :func:`planes`: any valid image plane, for laws of a single plane;
- :func:`heart` (one fixed heart) and :func:`heart_planes` (random ones): a short-axis stack, a two- and a four-chamber plane
  whose angles are those of a real adult, for laws of positions;
- :func:`moved`, :func:`flipped_left_right`, :func:`flipped_up_down`, :func:`transposed`, :func:`cropped`, :func:`refined`: the
  header that the same tissue has after the patient moved or after the image was rearranged. They apply the standard's
  equation by hand and never call the code under test.

All coordinates are LPS millimetres, all pixels ``(column, row)``.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from hypothesis import reject
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from cmr_planes.errors import GeometryError
from cmr_planes.geometry import VIEW_LINES, BoxLayout, ImagePlane, Positions, compute_positions, middle_slice
from cmr_planes.geometry.arrays import FloatArray
from cmr_planes.views import CardiacView

REAL_NORMALS = {
    CardiacView.TWO_CHAMBER: (0.685, 0.729, 0.0),
    CardiacView.FOUR_CHAMBER: (-0.027, -0.428, 0.903),
    CardiacView.SAX: (-0.760, 0.558, 0.332),
}
"""Normals of the cine planes of one adult, LPS."""

BASE_TO_APEX = (0.760, -0.558, -0.332)
"""The short-axis normal with the sign that points to the apex."""


@dataclass(frozen=True, kw_only=True)
class Heart:
    """The cine planes of one examination."""

    sax: tuple[ImagePlane, ...]
    """The short-axis stack, base first."""
    two_chamber: ImagePlane
    four_chamber: ImagePlane

    def plane(self, view: CardiacView) -> ImagePlane:
        """The plane that stands for a view on the other views' images: for SAX, the middle slice."""
        return {
            CardiacView.SAX: self.sax[middle_slice(self.sax)],
            CardiacView.TWO_CHAMBER: self.two_chamber,
            CardiacView.FOUR_CHAMBER: self.four_chamber,
        }[view]

    def moved(self, rotation: FloatArray, translation_mm: FloatArray) -> "Heart":
        """The same examination of a patient who lies elsewhere in the scanner."""
        return Heart(
            sax=tuple(moved(plane, rotation, translation_mm) for plane in self.sax),
            two_chamber=moved(self.two_chamber, rotation, translation_mm),
            four_chamber=moved(self.four_chamber, rotation, translation_mm),
        )

    def positions(self, view: CardiacView, layout: BoxLayout | None = None, *, target: ImagePlane | None = None) -> Positions:
        """Positions on a view's plane, or on ``target`` in its stead; geometry errors come through."""
        first, second = VIEW_LINES[view]
        return compute_positions(
            target or self.plane(view),
            self.plane(first.view),
            self.plane(second.view),
            axes=(first.axis, second.axis),
            layout=layout or BoxLayout(),
        )

    def accepted_positions(
        self, view: CardiacView, layout: BoxLayout | None = None, *, target: ImagePlane | None = None
    ) -> Positions:
        """Like :meth:`positions`, but a heart that the geometry rejects is no example of the law under test."""
        try:
            return self.positions(view, layout, target=target)
        except GeometryError:
            reject()


def rotation_matrix(axis: Sequence[float] | FloatArray, angle_deg: float) -> FloatArray:
    """Rotation by ``angle_deg`` about ``axis`` (Rodrigues), shape (3, 3)."""
    x, y, z = np.asarray(axis, dtype=float) / np.linalg.norm(axis)
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    angle = np.radians(angle_deg)
    return np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross


def image_around(
    centre_mm: Sequence[float] | FloatArray,
    normal: Sequence[float] | FloatArray,
    *,
    turn_deg: float = 0.0,
    shift_mm: tuple[float, float] = (0.0, 0.0),
    spacing_mm: tuple[float, float] = (1.82, 1.82),
    rows: int = 192,
    columns: int = 208,
) -> ImagePlane:
    """An image across ``normal`` whose middle lies at ``centre_mm`` + ``shift_mm`` (along rows, along columns).

    ``turn_deg`` turns the image in its plane; ``spacing_mm`` is (between rows, between columns), as in PixelSpacing.
    """
    normal = np.asarray(normal, dtype=float) / np.linalg.norm(normal)
    helper = np.eye(3)[np.argmin(np.abs(normal))]
    across = np.cross(helper, normal)
    across = rotation_matrix(normal, turn_deg) @ (across / np.linalg.norm(across))
    down = np.cross(normal, across)
    middle = np.asarray(centre_mm) + shift_mm[0] * across + shift_mm[1] * down
    corner = middle - across * spacing_mm[1] * (columns - 1) / 2 - down * spacing_mm[0] * (rows - 1) / 2
    return ImagePlane.from_attributes(corner, [*across, *down], spacing_mm, rows=rows, columns=columns)


def heart(
    *,
    rotation: FloatArray | None = None,
    centre_mm: Sequence[float] = (38.7, -13.5, 51.1),
    normal_offsets: Sequence[Sequence[float]] = ((0, 0, 0),) * 3,
    turns_deg: tuple[int, int, int] = (0, 90, 180),
    shifts_mm: tuple[float, float] = (0.0, 0.0),
    spacing_mm: float | tuple[float, float] = 1.82,
    rows: int = 192,
    columns: int = 208,
    n_slices: int = 10,
    slice_distance_mm: float = 10.0,
) -> Heart:
    """A heart whose three planes meet near ``centre_mm``; with no arguments, an average one.

    ``rotation`` turns the whole heart; ``normal_offsets`` are added to the unit normals of SAX, 2Ch and 4Ch, so that their angles
    differ from heart to heart; ``turns_deg`` turns each image in its plane; ``shifts_mm`` moves each image in its plane.
    """
    rotation = np.eye(3) if rotation is None else rotation
    spacing = spacing_mm if isinstance(spacing_mm, tuple) else (spacing_mm, spacing_mm)
    views = (CardiacView.SAX, CardiacView.TWO_CHAMBER, CardiacView.FOUR_CHAMBER)
    normals = [rotation @ (np.array(REAL_NORMALS[view]) + offset) for view, offset in zip(views, normal_offsets, strict=True)]
    images = [
        image_around(centre_mm, normal, turn_deg=turn_deg, shift_mm=shifts_mm, spacing_mm=spacing, rows=rows, columns=columns)
        for normal, turn_deg in zip(normals, turns_deg, strict=True)
    ]
    towards_apex = -normals[0] / np.linalg.norm(normals[0])
    levels_mm = (np.arange(n_slices) - n_slices // 2) * slice_distance_mm
    stack = tuple(replace(images[0], position_mm=images[0].position_mm + level * towards_apex) for level in levels_mm)
    return Heart(sax=stack, two_chamber=images[1], four_chamber=images[2])


def rotations(max_angle_deg: float = 180.0) -> SearchStrategy[FloatArray]:
    """Rotation matrices, shape (3, 3), by at most ``max_angle_deg`` about any axis; shrinks towards the identity.

    Angles are whole or at least a millionth of a degree: cosines of 1e-155, which no header can hold, are too much for SimpleITK.
    """
    component = st.integers(-10, 10)
    axes = st.tuples(component, component, component).filter(any)
    angles = st.floats(-max_angle_deg, max_angle_deg).map(lambda angle_deg: round(angle_deg, 6))
    return st.builds(rotation_matrix, axes, angles)


def translations(max_mm: float = 200.0) -> SearchStrategy[FloatArray]:
    """Translation vectors, shape (3,), mm; shrinks towards none."""
    component = st.floats(-max_mm, max_mm)
    return st.tuples(component, component, component).map(np.array)


@st.composite
def planes(draw: st.DrawFn, cosine_digits: int | None = None) -> ImagePlane:
    """Any valid image plane: oblique, pixels square or not, matrix from 1 × 1.

    ``cosine_digits`` rounds the direction cosines as headers do, which leaves them orthonormal only so far.
    """
    rotation = draw(rotations())
    if cosine_digits is not None:
        rotation = np.round(rotation, cosine_digits)
    spacing = st.floats(0.3, 4.0)
    return ImagePlane.from_attributes(
        draw(translations(500.0)),
        [*rotation[:, 0], *rotation[:, 1]],
        [draw(spacing), draw(spacing)],
        rows=draw(st.integers(1, 512)),
        columns=draw(st.integers(1, 512)),
    )


def pixels(reach: float = 600.0) -> SearchStrategy[FloatArray]:
    """Continuous pixel coordinates, shape (2,), inside or outside the image."""
    return st.tuples(st.floats(-reach, reach), st.floats(-reach, reach)).map(np.array)


@st.composite
def heart_planes(
    draw: st.DrawFn,
    *,
    max_tilt_deg: float = 20.0,
    spacings_mm: SearchStrategy[float] | None = None,
    matrix: SearchStrategy[int] | None = None,
) -> Heart:
    """Hearts near a real one: turned by up to ``max_tilt_deg``, anywhere, with other angles between the planes and other images.

    Most have positions on all three target views; a tilt can bring a line across its deciding axis, so use
    :meth:`Heart.accepted_positions` where such a heart is no example. ``spacings_mm`` and ``matrix`` (rows, then columns) are drawn
    once per heart; the defaults are what cine series have.
    """
    turn = st.integers(-180, 180)
    offset = st.integers(-6, 6).map(lambda hundredths: hundredths / 100)
    offsets = draw(st.lists(offset, min_size=9, max_size=9))
    sizes = st.integers(128, 256) if matrix is None else matrix
    return heart(
        rotation=draw(rotations(max_tilt_deg)),
        centre_mm=draw(translations(100.0)),
        normal_offsets=np.reshape(offsets, (3, 3)).tolist(),
        turns_deg=draw(st.tuples(turn, turn, turn)),
        shifts_mm=draw(st.tuples(st.floats(-40, 40), st.floats(-40, 40))),
        spacing_mm=draw(st.floats(1.0, 2.5) if spacings_mm is None else spacings_mm),
        rows=draw(sizes),
        columns=draw(sizes),
        n_slices=draw(st.integers(1, 12)),
        slice_distance_mm=draw(st.floats(6, 12)),
    )


def moved(plane: ImagePlane, rotation: FloatArray, translation_mm: FloatArray) -> ImagePlane:
    """The image of a patient who was turned about the origin, then shifted."""
    return replace(
        plane,
        position_mm=rotation @ plane.position_mm + translation_mm,
        row_cosine=rotation @ plane.row_cosine,
        column_cosine=rotation @ plane.column_cosine,
    )


def flipped_left_right(plane: ImagePlane) -> ImagePlane:
    """Header of ``image[:, ::-1]``: the same field of view, seen from the opposite side (the normal is reversed)."""
    last = plane.position_mm + plane.row_cosine * plane.column_spacing_mm * (plane.columns - 1)
    return replace(plane, position_mm=last, row_cosine=-plane.row_cosine)


def flipped_up_down(plane: ImagePlane) -> ImagePlane:
    """Header of ``image[::-1]``."""
    last = plane.position_mm + plane.column_cosine * plane.row_spacing_mm * (plane.rows - 1)
    return replace(plane, position_mm=last, column_cosine=-plane.column_cosine)


def transposed(plane: ImagePlane) -> ImagePlane:
    """Header of ``image.T``: rows become columns, with their cosine, spacing and number."""
    return replace(
        plane,
        row_cosine=plane.column_cosine,
        column_cosine=plane.row_cosine,
        row_spacing_mm=plane.column_spacing_mm,
        column_spacing_mm=plane.row_spacing_mm,
        rows=plane.columns,
        columns=plane.rows,
    )


def cropped(plane: ImagePlane, rows: slice, columns: slice) -> ImagePlane:
    """Header of ``image[rows, columns]`` for slices with explicit start and stop inside the image."""
    first = (
        plane.position_mm
        + plane.row_cosine * plane.column_spacing_mm * columns.start
        + plane.column_cosine * plane.row_spacing_mm * rows.start
    )
    return replace(plane, position_mm=first, rows=rows.stop - rows.start, columns=columns.stop - columns.start)


def refined(plane: ImagePlane, factor: int) -> ImagePlane:
    """Header of the same field of view at ``factor`` times as many rows and columns."""
    inwards = 0.5 * (1 / factor - 1)
    first = (
        plane.position_mm
        + plane.row_cosine * plane.column_spacing_mm * inwards
        + plane.column_cosine * plane.row_spacing_mm * inwards
    )
    return replace(
        plane,
        position_mm=first,
        row_spacing_mm=plane.row_spacing_mm / factor,
        column_spacing_mm=plane.column_spacing_mm / factor,
        rows=plane.rows * factor,
        columns=plane.columns * factor,
    )
