"""What is known of a synthetic subject, in the forms that users have: NIfTI label maps, cvi42 contours, tables.

Label maps are of the planes and breath-holds that were imaged, so they lie on the images; volumes are the anatomy's own. Nothing of
it is read by ``cmr-planes extract``.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
from numpy.typing import NDArray

from cmr_planes.geometry import UnboundedPlane, middle_slice
from cmr_planes.geometry.arrays import FloatArray, LabelArray
from cmr_planes.nifti.plane_table import plane_cells
from cmr_planes.nifti.writing import stack_affine_ras
from cmr_planes.phantom.acquisition import Examination, Prescription, true_positions
from cmr_planes.phantom.rendering import label_plane
from cmr_planes.views import TARGET_VIEWS, CardiacPhase, CardiacView, Structure

SHORT_AXIS_STRUCTURES = (Structure.LV, Structure.MYO, Structure.RV)
"""Structures that short-axis label maps show; the atria are left out, as annotators do."""

SUBJECT_COLUMNS = (
    "key",
    "study_uid",
    "pathology",
    "edv_ml",
    "esv_ml",
    "ef",
    "ed_frame",
    "es_frame",
    "n_frames",
    "vendor",
    "quirks",
)
PLANE_COLUMNS = (
    "key",
    "study_uid",
    "view",
    "slice",
    *(f"image_position_patient_{axis}" for axis in "xyz"),
    *(f"image_orientation_patient_{index}" for index in range(1, 7)),
    "row_spacing_mm",
    "column_spacing_mm",
    "rows",
    "columns",
    *(f"box_{number}_{axis}" for number in range(1, 10) for axis in ("column", "row")),
)

BREATH_COLUMNS = (
    "key",
    "study_uid",
    "view",
    "slice",
    *(f"breath_{axis}_mm" for axis in "xyz"),
    *(f"header_{axis}_mm" for axis in "xyz"),
)

_CVI42 = {
    "Hash": "http://www.circlecvi.com/cvi42/Workspace/Hash/",
    "List": "http://www.circlecvi.com/cvi42/Workspace/List/",
    "Point": "http://www.circlecvi.com/cvi42/Workspace/Point/",
}
_SUBPIXEL = 4
_LONG_AXIS_CONTOURS = {Structure.LV: "laendocardialContour", Structure.RV: "larvendocardialContour"}
_ATRIA_CONTOURS = {Structure.LA: "lalaContour", Structure.RA: "laraContour"}
_SHORT_AXIS_CONTOURS = {Structure.LV: "saendocardialContour", Structure.RV: "sarvendocardialContour"}


def label_stack(examination: Examination, view: CardiacView, fraction: float) -> LabelArray:
    """Draw the true label map of a view.

    Parameters
    ----------
    examination
        The examination.
    view
        SAX or a long-axis view.
    fraction
        Time as a fraction of the cycle.

    Returns
    -------
        Shape (slice, rows, columns), values of :class:`cmr_planes.views.Structure`.
    """
    return np.stack([slice_labels(examination, prescription, fraction) for prescription in examination.slices(view)])


def slice_labels(examination: Examination, prescription: Prescription, fraction: float) -> LabelArray:
    """Draw the true label map of one plane, shape (rows, columns)."""
    labels = label_plane(examination.subject, prescription.plane, fraction, breath_mm=prescription.breath_mm)
    if prescription.view is CardiacView.SAX:
        labels = np.where(np.isin(labels, SHORT_AXIS_STRUCTURES), labels, 0).astype(np.uint8)
    return labels


def subject_row(key: str, study_uid: str, examination: Examination, quirks: Sequence[str]) -> dict[str, object]:
    """Return a subject's row of ``subjects.csv``; frames are counted from 1."""
    subject = examination.subject
    return {
        "key": key,
        "study_uid": study_uid,
        "pathology": subject.pathology.value,
        "edv_ml": round(subject.heart.edv_ml, 3),
        "esv_ml": round(subject.heart.esv_ml, 3),
        "ef": round(subject.heart.ef, 5),
        "ed_frame": 1,
        "es_frame": examination.es_frame + 1,
        "n_frames": examination.protocol.n_frames,
        "vendor": examination.vendor.name.lower(),
        "quirks": " ".join(quirks),
    }


def plane_rows(key: str, study_uid: str, examination: Examination) -> list[dict[str, object]]:
    """Return a subject's rows of ``planes.csv``: the planes of the target views, and the exact box centres in pixels, if any."""
    rows: list[dict[str, object]] = []
    for view, positions in true_positions(examination).items():
        for slice_index, (prescription, boxes) in enumerate(zip(examination.slices(view), positions, strict=True)):
            plane = prescription.plane
            numbers = [
                *plane.position_mm,
                *plane.row_cosine,
                *plane.column_cosine,
                plane.row_spacing_mm,
                plane.column_spacing_mm,
            ]
            placed = [round(float(number), 6) for number in numbers]
            centres = [""] * 18 if boxes is None else [round(float(number), 6) for number in boxes.centres_px.ravel()]
            values: list[object] = [key, study_uid, view.value, slice_index, *placed, plane.rows, plane.columns, *centres]
            rows.append(dict(zip(PLANE_COLUMNS, values, strict=True)))
    return rows


def breath_rows(
    key: str, study_uid: str, examination: Examination, errors_mm: Mapping[CardiacView, FloatArray]
) -> list[tuple[object, ...]]:
    """Return a subject's rows of ``breath.csv``: for each image the shift of the organs and the error of the header, LPS, mm.

    Images agree once each plane is shifted by minus the sum of both.
    """
    return [
        (
            key,
            study_uid,
            prescription.view.value,
            max(prescription.slice_number - 1, 0),
            *(round(float(number), 6) for number in (*prescription.breath_mm, *errors_mm.get(prescription.view, np.zeros(3)))),
        )
        for prescription in examination.prescriptions
    ]


def stated_plane_rows(key: str, examination: Examination) -> list[tuple[object, ...]]:
    """Return a subject's rows of ``stated_planes.csv``: the plane of each target view, of SAX that of the middle slice."""
    rows: list[tuple[object, ...]] = []
    for view in TARGET_VIEWS:
        planes = [prescription.plane for prescription in examination.slices(view)]
        if planes:
            plane = planes[middle_slice(planes)]
            stated = UnboundedPlane(centre_mm=plane.centre_mm, normal=plane.normal)
            rows.append((key, view.value, *(round(cell, 6) for cell in plane_cells(stated))))
    return rows


def write_truth_labels(folder: Path, examination: Examination) -> None:
    """Write ``<view>_<ed|es>.nii.gz`` for each target view: values of :class:`cmr_planes.views.Structure`, RAS coordinates."""
    import nibabel

    folder.mkdir(parents=True, exist_ok=True)
    for view in TARGET_VIEWS:
        affines_mm = np.stack([prescription.plane.patient_from_pixel for prescription in examination.slices(view)])
        for phase, fraction in _phase_fractions(examination).items():
            labels = label_stack(examination, view, fraction).transpose(2, 1, 0)
            image = nibabel.Nifti1Image(np.ascontiguousarray(labels), stack_affine_ras(affines_mm))  # type: ignore[no-untyped-call]
            image.header.set_xyzt_units("mm", "sec")  # type: ignore[no-untyped-call]
            nibabel.save(image, folder / f"{view.value}_{phase.value}.nii.gz")


def cvi42_workspace(examination: Examination, sop_instance_uids: Mapping[tuple[CardiacView, int, int], str]) -> bytes:
    """Return contours of the true structures as a cvi42 workspace.

    Parameters
    ----------
    examination
        The examination.
    sop_instance_uids
        By view, slice and frame (both from 0): which instance an image is.

    Returns
    -------
        XML; a polygon for each structure of each image at ED and ES, its coordinates in quarters of a pixel.
    """
    for prefix, uri in _CVI42.items():
        ET.register_namespace(prefix, uri)
    root = _item("StudyMapStates")
    states = ET.SubElement(_child(root, "List:item"), _name("Hash:item"), {_name("Hash:key"): "ImageStates"})
    for view in TARGET_VIEWS:
        for slice_index, prescription in enumerate(examination.slices(view)):
            for phase, fraction in _phase_fractions(examination).items():
                frame = 0 if phase is CardiacPhase.ED else examination.es_frame
                uid = sop_instance_uids.get((view, slice_index, frame))
                polygons = _polygons(slice_labels(examination, prescription, fraction), view)
                if uid and polygons:
                    _add_image(states, uid, polygons)
    return bytes(ET.tostring(root, encoding="utf-8", xml_declaration=True))


def _phase_fractions(examination: Examination) -> dict[CardiacPhase, float]:
    """Return the times of the frames that are ED and ES, as fractions of the cycle."""
    fractions = examination.subject.cycle.frame_fractions(examination.protocol.n_frames)
    return {CardiacPhase.ED: 0.0, CardiacPhase.ES: float(fractions[examination.es_frame])}


def _polygons(labels: LabelArray, view: CardiacView) -> dict[str, FloatArray]:
    """Return the outer contour of each structure, shape (n, 2), (column, row), by cvi42's name for it."""
    if view is CardiacView.SAX:
        names, epicardium = _SHORT_AXIS_CONTOURS, "saepicardialContour"
    elif view is CardiacView.FOUR_CHAMBER:
        names, epicardium = {**_LONG_AXIS_CONTOURS, **_ATRIA_CONTOURS}, "laepicardialContour"
    else:
        names, epicardium = {Structure.LA: _ATRIA_CONTOURS[Structure.LA]}, ""
    polygons = {name: _outline(labels == structure) for structure, name in names.items()}
    if epicardium:
        polygons[epicardium] = _outline(np.isin(labels, (Structure.LV, Structure.MYO)))
    return {name: polygon for name, polygon in polygons.items() if len(polygon)}


def _outline(mask: NDArray[np.bool_]) -> FloatArray:
    """Return the contour of a mask half-way between inside and outside, shape (n, 2), (column, row), closed by its first point.

    A workspace has one contour of a name on an image: pieces are joined by bridges without width, there and back.
    """
    from contourpy import contour_generator

    if not mask.any():
        return np.empty((0, 2))
    lines = [np.asarray(line) for line in contour_generator(z=np.pad(mask.astype(float), 1)).lines(0.5)]
    longest, *others = sorted(lines, key=len, reverse=True)
    bridged = [points for line in others for points in (line, longest[:1])]
    return np.asarray(np.concatenate([longest, *bridged]) - 1.0, dtype=np.float64)


def _add_image(states: ET.Element, uid: str, polygons: Mapping[str, FloatArray]) -> None:
    """Add one image's contours."""
    image = ET.SubElement(states, _name("Hash:item"), {_name("Hash:key"): uid})
    contours = ET.SubElement(image, _name("Hash:item"), {_name("Hash:key"): "Contours"})
    for name, polygon in sorted(polygons.items()):
        contour = ET.SubElement(contours, _name("Hash:item"), {_name("Hash:key"): name})
        points = ET.SubElement(contour, _name("Hash:item"), {_name("Hash:key"): "Points"})
        for column, row in np.rint(polygon[:-1] * _SUBPIXEL).astype(int):
            point = _child(points, "List:item")
            _child(point, "Point:x").text = str(column)
            _child(point, "Point:y").text = str(row)
        resolution = ET.SubElement(contour, _name("Hash:item"), {_name("Hash:key"): "SubpixelResolution"})
        resolution.text = str(_SUBPIXEL)


def _name(qualified: str) -> str:
    """Return ``prefix:tag`` in ElementTree's form."""
    prefix, _, tag = qualified.partition(":")
    return f"{{{_CVI42[prefix]}}}{tag}"


def _child(parent: ET.Element, qualified: str) -> ET.Element:
    return ET.SubElement(parent, _name(qualified))


def _item(key: str) -> ET.Element:
    return ET.Element(_name("Hash:item"), {_name("Hash:key"): key})
