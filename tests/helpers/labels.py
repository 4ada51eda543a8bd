"""True label maps on planes, and writers of the formats that groups have: the other way round than the code under test."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from xml.sax.saxutils import escape

import numpy as np
from contourpy import contour_generator
from numpy.typing import NDArray

from cmr_planes.annotations.model import TargetView
from cmr_planes.geometry import ImagePlane
from cmr_planes.shards.catalogue import Catalogue
from cmr_planes.shards.label_files import LabelTree
from cmr_planes.shards.label_merging import CatalogueLabels
from cmr_planes.views import CardiacView, Structure

LV, MYO, RV, LA, RA = Structure.LV, Structure.MYO, Structure.RV, Structure.LA, Structure.RA
ACDC = {RV: 1, MYO: 2, LV: 3}
MNMS = {LV: 1, MYO: 2, RV: 3}
UKBB_4CH = {LV: 1, MYO: 2, RV: 3, LA: 4, RA: 5}

NAMESPACES = 'xmlns:Hash="http://www.circlecvi.com/cvi42/Workspace/Hash/" xmlns:List="http://www.circlecvi.com/cvi42/Workspace/List/" xmlns:Point="http://www.circlecvi.com/cvi42/Workspace/Point/"'
CVI42_NAMES = {
    CardiacView.SAX: {LV: "saendocardialContour", MYO: "saepicardialContour", RV: "sarvendocardialContour"},
    CardiacView.TWO_CHAMBER: {LA: "lalaContour"},
    CardiacView.FOUR_CHAMBER: {
        LV: "laendocardialContour",
        MYO: "laepicardialContour",
        RV: "larvendocardialContour",
        LA: "lalaContour",
        RA: "laraContour",
    },
}


def heart_labels(
    plane: ImagePlane, centre_mm: NDArray[np.float64], *, scale: float = 1.0, atria: bool = False
) -> NDArray[np.uint8]:
    """Draw a left ventricle in its muscle, a crescent of a right one and, below them, two atria, around a point; shape (rows, columns)."""
    column, row = plane.patient_to_pixel(centre_mm)
    columns, rows = np.meshgrid(np.arange(plane.columns), np.arange(plane.rows))
    x, y = (columns - column) * plane.column_spacing_mm, (rows - row) * plane.row_spacing_mm
    radius = np.hypot(x, y)
    labels = np.zeros((plane.rows, plane.columns), dtype=np.uint8)
    labels[np.hypot((x + 34) / 1.0, (y - 4) / 1.3) < 27] = RV
    labels[radius < 32] = MYO
    labels[radius < 23 * scale] = LV
    if atria:
        labels[np.hypot(x - 6, y - 58) < 22] = LA
        labels[np.hypot(x + 44, y - 62) < 20] = RA
    return labels


def outline(mask: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return the longest outline of a mask, half-way between inside and outside, shape (n, 2), (column, row)."""
    lines = contour_generator(z=np.pad(mask.astype(float), 1)).lines(0.5)
    return np.asarray(max(lines, key=len))[:-1] - 1


def polygons(labels: NDArray[np.uint8], view: CardiacView) -> dict[str, NDArray[np.float64]]:
    """Return the contours of an image by cvi42's names; the epicardium goes around blood and muscle."""
    found = {}
    for structure, name in CVI42_NAMES[view].items():
        mask = np.isin(labels, (LV, MYO)) if structure is MYO else labels == structure
        if mask.any():
            found[name] = outline(mask)
    return found


def cvi42_contour(name: str, points: NDArray[np.float64], *, resolution: int = 4, resolution_first: bool = False) -> str:
    """Return one contour as XML."""
    listed = "".join(
        f"<List:item><Point:x>{x}</Point:x><Point:y>{y}</Point:y></List:item>" for x, y in np.rint(points * resolution).astype(int)
    )
    parts = [
        f'<Hash:item Hash:key="Points">{listed}</Hash:item>',
        f'<Hash:item Hash:key="SubpixelResolution">{resolution}</Hash:item>',
    ]
    return f'<Hash:item Hash:key="{escape(name)}">{"".join(parts[:: -1 if resolution_first else 1])}</Hash:item>'


def cvi42_workspace(images: Mapping[str, Sequence[str]], *, owner: str = "Dr Annotator") -> bytes:
    """Return a workspace: contours as XML by SOP instance UID, among what else a workspace holds."""
    states = "".join(
        f'<Hash:item Hash:key="{uid}"><Hash:item Hash:key="Contours">{"".join(contours)}</Hash:item>'
        '<Hash:item Hash:key="Zoom">1.5</Hash:item></Hash:item>'
        for uid, contours in images.items()
    )
    text = (
        f'<?xml version="1.0" encoding="UTF-8"?><Hash:root {NAMESPACES}><Hash:item Hash:key="OwnerUserName">{owner}</Hash:item>'
        f'<Hash:item Hash:key="StudyMapStates"><List:item><Hash:item Hash:key="ImageStates">{states}</Hash:item></List:item></Hash:item>'
        "</Hash:root>"
    )
    return text.encode()


def save_nifti(
    path: Path,
    labels: NDArray[np.generic],
    planes: Sequence[ImagePlane],
    *,
    flips: Sequence[int] = (),
    axes: Sequence[int] = (0, 1, 2),
) -> Path:
    """Write label maps, shape (slice, row, column) or (slice, row, column, time), of evenly spaced planes, with axes reordered."""
    import nibabel

    affine = np.array(planes[0].patient_from_pixel)
    if len(planes) > 1:
        affine[:3, 2] = (planes[-1].position_mm - planes[0].position_mm) / (len(planes) - 1)
    values = np.moveaxis(labels, (0, 1, 2), (2, 1, 0))
    for axis in flips:
        affine[:3, 3] += affine[:3, axis] * (values.shape[axis] - 1)
        affine[:3, axis] *= -1
        values = np.flip(values, axis)
    values = np.transpose(values, (*axes, *range(3, values.ndim)))
    affine[:3, :3] = affine[:3, list(axes)]
    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.save(nibabel.Nifti1Image(np.ascontiguousarray(values), np.diag([-1.0, -1, 1, 1]) @ affine), path)
    return path


def recode(labels: NDArray[np.uint8], values: Mapping[Structure, int]) -> NDArray[np.uint8]:
    """Turn our structures into a source's values; structures that it does not have become background."""
    result = np.zeros_like(labels)
    for structure, value in values.items():
        result[labels == structure] = value
    return result


def write_labels(out: Path, labels: LabelTree) -> None:
    """Add labels to a catalogue."""
    with Catalogue(out) as catalogue:
        stored = CatalogueLabels(catalogue)
    stored.add(labels)
    stored.refresh()


def refresh_catalogue(out: Path) -> None:
    """Write a catalogue again from its shards and label files."""
    with Catalogue(out) as catalogue:
        stored = CatalogueLabels(catalogue)
    stored.refresh()


def make_target(
    view: CardiacView, planes: Sequence[ImagePlane], phases: Sequence[str] = ("ed", "es"), **changes: object
) -> TargetView:
    """A view to lay annotations on: frames 1 and 9 of a cycle, instances ``uid-<phase>-<slice>``."""
    shape = (len(phases), len(planes))
    values: dict[str, object] = {
        "view": view,
        "planes": tuple(planes),
        "phases": tuple(phases),
        "frame_numbers": np.array([1, 9, 15][: shape[0]])[:, None] + np.zeros(shape, dtype=np.int64),
        "instance_keys": tuple(tuple(f"uid-{phase}-{level}" for level in range(shape[1])) for phase in range(shape[0])),
        "instance_numbers": np.arange(1, shape[0] * shape[1] + 1).reshape(shape),
    }
    return TargetView(**{**values, **changes})


def areas(labels: NDArray[np.uint8]) -> dict[Structure, int]:
    """Return the pixels of each structure."""
    return {structure: int((labels == structure).sum()) for structure in Structure if structure}


def dicom_seg(
    sources: Sequence[bytes], labels: NDArray[np.uint8], structures: Sequence[Structure], names: Sequence[str], kind: str = "BINARY"
) -> bytes:
    """Return a segmentation of single-frame images, made by highdicom.

    Labels have shape (image, row, column), or (image, row, column, segment) where segments overlap.
    """
    import io

    import highdicom
    import pydicom
    from pydicom.sr.codedict import codes

    segments = [
        highdicom.seg.SegmentDescription(
            segment_number=number,
            segment_label=name,
            segmented_property_category=codes.SCT.AnatomicalStructure,
            segmented_property_type=codes.SCT.Heart,
            algorithm_type=highdicom.seg.SegmentAlgorithmTypeValues.MANUAL,
        )
        for number, name in enumerate(names, start=1)
    ]
    images = [pydicom.dcmread(io.BytesIO(source)) for source in sources]
    for image in images:
        image.SeriesInstanceUID = images[0].SeriesInstanceUID  # highdicom wants one series; instances keep their UIDs
    segmentation = highdicom.seg.Segmentation(
        source_images=images,
        pixel_array=(labels if labels.ndim == 4 else np.stack([labels == one for one in structures], axis=-1)).astype(np.uint8),
        segmentation_type=kind,
        segment_descriptions=segments,
        series_instance_uid=highdicom.UID(),
        series_number=99,
        sop_instance_uid=highdicom.UID(),
        instance_number=1,
        manufacturer="x",
        manufacturer_model_name="x",
        software_versions="1",
        device_serial_number="1",
        content_creator_name="Annotator^Anna",
    )
    buffer = io.BytesIO()
    segmentation.save_as(buffer)
    return buffer.getvalue()
