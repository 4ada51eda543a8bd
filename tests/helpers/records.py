"""Synthetic subject records: planes near those of a real heart, and images of a simple heart seen on them."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cmr_planes.errors import Finding, NoteCode, RejectionCode
from cmr_planes.fates import Fate, PlaneFate
from cmr_planes.geometry import VIEW_LINES, BoxLayout, ImagePlane, Positions, compute_positions, middle_slice
from cmr_planes.shards.records import ShardSummary, SubjectRecord, ViewRecord
from cmr_planes.shards.schema import Codec
from cmr_planes.shards.shard_writer import ShardWriter
from cmr_planes.views import TARGET_VIEWS, CardiacView

NORMALS = {
    CardiacView.TWO_CHAMBER: (0.685, 0.729, 0.0),
    CardiacView.FOUR_CHAMBER: (-0.027, -0.428, 0.903),
    CardiacView.SAX: (-0.760, 0.558, 0.332),
}
PLANES = (
    PlaneFate(series_number=7, view="2ch", n_frames=25, angle_deg=-2.5 % 180, distance_mm=1.5, fate=Fate.USED),
    PlaneFate(series_number=None, view="", n_frames=1, n_planes=8, fate=Fate.SINGLE_FRAME, sentence="8 planes with one frame"),
)
"""What became of the planes of :func:`rejected_subject`."""
HEART_MM = np.array([25.0, -30.0, 40.0])
APEX = -np.array(NORMALS[CardiacView.SAX]) / np.linalg.norm(NORMALS[CardiacView.SAX])


def make_plane(
    view: CardiacView, *, along_mm: float = 0.0, spacing_mm: float = 1.8, matrix: tuple[int, int] = (208, 180)
) -> ImagePlane:
    """A plane of the view through the heart's centre, shifted towards the apex, its rows running to the patient's left."""
    normal = np.array(NORMALS[view]) / np.linalg.norm(NORMALS[view])
    row = np.array([1.0, 0, 0]) - normal[0] * normal
    row /= np.linalg.norm(row)
    column = np.cross(normal, row)
    column *= -1 if column @ [0, 1, -1] < 0 else 1
    rows, columns = matrix
    centre = HEART_MM + along_mm * APEX
    position = centre - spacing_mm * ((columns - 1) / 2 * row + (rows - 1) / 2 * column)
    return ImagePlane.from_attributes(position, [*row, *column], [spacing_mm, spacing_mm], rows=rows, columns=columns)


def heart_image(plane: ImagePlane, *, contraction: float = 0.0, rng: np.random.Generator | None = None) -> NDArray[np.uint16]:
    """Sample a simple heart (two ventricles, atria, chest) on a plane; ``contraction`` 0 is ED, 0.3 about ES."""
    column, row = np.meshgrid(np.arange(plane.columns), np.arange(plane.rows))
    point = plane.pixel_to_patient(np.stack([column, row], axis=-1)) - HEART_MM
    across = np.array(NORMALS[CardiacView.TWO_CHAMBER]) / np.linalg.norm(NORMALS[CardiacView.TWO_CHAMBER])
    across = across - (across @ APEX) * APEX
    across /= np.linalg.norm(across)
    up = np.cross(APEX, across)
    long_mm, left_mm, up_mm = point @ APEX, point @ across, point @ up

    def ellipsoid(centre: tuple[float, float, float], radii: tuple[float, float, float]) -> NDArray[np.bool_]:
        offsets = (long_mm - centre[0], left_mm - centre[1], up_mm - centre[2])
        return sum((offset / radius) ** 2 for offset, radius in zip(offsets, radii, strict=True)) < 1

    image = np.full(column.shape, 60.0)
    image[ellipsoid((0, -30, 0), (150, 150, 105))] = 260
    image[ellipsoid((0, 25, 10), (75, 70, 70))] = 90
    shrink = 1 - contraction
    image[ellipsoid((-8, -28, 0), (55, 32, 36))] = 330
    image[ellipsoid((-8, -28, 0), (50, 28 * shrink, 32 * shrink))] = 640
    image[ellipsoid((0, 0, 0), (58, 33, 33))] = 210
    image[ellipsoid((-4, 0, 0), (50, 24 * shrink, 24 * shrink))] = 700
    image[(long_mm < -42) & (image < 700) & ellipsoid((-62, -8, 0), (30, 45, 36))] = 560
    noise = np.random.default_rng(0) if rng is None else rng
    return (image + noise.normal(0, 18, image.shape)).clip(0).astype(np.uint16)


def make_view(
    view: CardiacView,
    *,
    n_slices: int = 3,
    phases: Sequence[str] = ("ed", "es"),
    matrix: tuple[int, int] = (208, 180),
    spacing_mm: float = 1.8,
    layout: BoxLayout | None = None,
    with_positions: bool = True,
    agreement: float = 0.85,
    rng: np.random.Generator | None = None,
) -> ViewRecord:
    """One view of a subject."""
    levels = 10.0 * (np.arange(n_slices) - (n_slices - 1) / 2) if view is CardiacView.SAX else np.zeros(1)
    planes = tuple(make_plane(view, along_mm=float(level), matrix=matrix, spacing_mm=spacing_mm) for level in levels)
    shape = (len(phases), len(planes))
    images = [
        [heart_image(plane, contraction=0.3 * phase / max(1, len(phases) - 1), rng=rng) for plane in planes]
        for phase in range(len(phases))
    ]
    return ViewRecord(
        view=view,
        image=np.array(images, dtype=np.uint16),
        phases=tuple(phases),
        frame_numbers=np.arange(1, shape[0] + 1)[:, None] + np.zeros(shape, dtype=np.int64),
        trigger_time_ms=np.linspace(0, 700, shape[0])[:, None] + np.arange(shape[1]),
        planes=planes,
        positions=make_positions(view, planes, layout or BoxLayout()) if with_positions else None,
        line_agreement=np.full((shape[1], 2), agreement) if with_positions else None,
        rescale=np.tile([1.0, 0.0], (*shape, 1)),
        manufacturer="SIEMENS",
        field_strength_t=1.5,
    )


def make_positions(view: CardiacView, planes: Sequence[ImagePlane], layout: BoxLayout) -> tuple[Positions, ...]:
    """The nine positions on each plane of a view."""
    first, second = VIEW_LINES[view]
    sources = {other: make_plane(other) for other in TARGET_VIEWS}
    sources[CardiacView.SAX] = planes[middle_slice(planes)] if view is CardiacView.SAX else sources[CardiacView.SAX]
    return tuple(
        compute_positions(plane, sources[first.view], sources[second.view], axes=(first.axis, second.axis), layout=layout)
        for plane in planes
    )


def make_subject(
    number: int, *, views: Sequence[CardiacView] = TARGET_VIEWS, n_slices: int = 3, **options: object
) -> SubjectRecord:
    """Subject ``SYN-0001`` and so on, each with its own noise."""
    rng = np.random.default_rng(number)
    key = f"SYN-{number:04}"
    return SubjectRecord(
        key=key,
        participant=key,
        views=tuple(make_view(view, n_slices=n_slices, rng=rng, **options) for view in views),  # type: ignore[arg-type]
        findings=(Finding("sax", NoteCode.FEW_FRAMES, "only 2 frames; end-systole was not searched"),),
    )


def rejected_subject(number: int) -> SubjectRecord:
    """A subject of which nothing is kept."""
    key = f"SYN-{number:04}"
    rejection = Finding("", RejectionCode.NO_SAX, "no short-axis stack among 3 series; look at the series' descriptions")
    return SubjectRecord(key=key, participant=key, views=(), findings=(rejection,), planes=PLANES)


def write_shard(
    path: Path, records: Iterable[SubjectRecord], *, codec: Codec, configuration: Mapping[str, Any], salt: str = ""
) -> ShardSummary:
    """Write a shard of these records."""
    with ShardWriter(path, codec=codec, configuration=configuration, salt=salt) as writer:
        for record in records:
            writer.add(record)
        return writer.seal()
