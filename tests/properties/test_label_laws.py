"""Round trips: what is written in any format, with axes flipped, transposed and reordered, comes back on the images."""

import io
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cmr_planes.annotations.cvi42 import read_cvi42
from cmr_planes.annotations.dicom_seg import read_dicom_seg
from cmr_planes.annotations.matching import match
from cmr_planes.annotations.model import TargetView
from cmr_planes.annotations.nifti_labels import read_nifti_labels
from cmr_planes.errors import AnnotationError
from cmr_planes.geometry import ImagePlane
from cmr_planes.phantom.dicom_writer import write_cine
from cmr_planes.phantom.small_study import simple_study
from cmr_planes.views import CardiacView
from tests.helpers.labels import (
    ACDC,
    LV,
    MNMS,
    MYO,
    RV,
    UKBB_4CH,
    areas,
    cvi42_contour,
    cvi42_workspace,
    dicom_seg,
    heart_labels,
    make_target,
    polygons,
    recode,
    save_nifti,
)
from tests.helpers.records import make_plane
from tests.helpers.strategies import rotations

SAX, FOUR = CardiacView.SAX, CardiacView.FOUR_CHAMBER
FLIPS = st.lists(st.integers(0, 2), unique=True)
AXES = st.permutations((0, 1, 2))
AREA_TOLERANCE = 0.01


def stack(n_slices: int, spacing_mm: float, rotation: np.ndarray) -> list[ImagePlane]:
    """A short-axis stack of a patient who lies in any way."""
    planes = []
    for level in range(n_slices):
        plane = make_plane(SAX, along_mm=9.0 * (level - n_slices / 2), matrix=(128, 112), spacing_mm=spacing_mm)
        position = rotation @ plane.position_mm
        row, column = rotation @ plane.row_cosine, rotation @ plane.column_cosine
        planes.append(
            ImagePlane.from_attributes(position, [*row, *column], [spacing_mm, spacing_mm], rows=plane.rows, columns=plane.columns)
        )
    return planes


def truth(planes: Sequence[ImagePlane], *, atria: bool = False) -> np.ndarray:
    middle = planes[len(planes) // 2]
    centre_mm = middle.centre_mm + 14 * middle.row_cosine - 10 * middle.column_cosine
    return np.stack([heart_labels(plane, centre_mm, scale=1 - 0.08 * level, atria=atria) for level, plane in enumerate(planes)])


def placed(annotation: object, targets: Sequence[TargetView], view: CardiacView = SAX) -> np.ndarray:
    return match([annotation], targets, lambda uid, _: uid).views[view].labels  # type: ignore[list-item]


def assert_same_areas(found: np.ndarray, expected: np.ndarray) -> None:
    for structure, area in areas(expected).items():
        assert areas(found)[structure] == pytest.approx(area, rel=AREA_TOLERANCE), structure.title


@settings(max_examples=40)
@given(
    rotation=rotations(),
    spacing_mm=st.sampled_from([1.37, 1.82]),
    n_slices=st.integers(1, 5),
    flips=FLIPS,
    axes=AXES,
    style=st.sampled_from([("patient001_frame01_gt", ACDC), ("001_SA_ED_gt", MNMS), ("label_sa_ED", MNMS)]),
    order=st.randoms(use_true_random=False),
)
def test_nifti_comes_back_flipped_transposed_and_reordered(rotation, spacing_mm, n_slices, flips, axes, style, order) -> None:
    name, values = style
    planes = stack(n_slices, spacing_mm, rotation)
    labels = truth(planes)
    shuffled = list(range(n_slices))
    order.shuffle(shuffled)  # the catalogue's slices stand in any order beside the file's
    target = make_target(SAX, [planes[level] for level in shuffled])
    with TemporaryDirectory() as folder:
        path = save_nifti(Path(folder) / f"{name}.nii.gz", recode(labels, values), planes, flips=flips, axes=axes)
        found = placed(read_nifti_labels(path), [target])
    np.testing.assert_array_equal(found[0], labels[shuffled])


@settings(max_examples=20)
@given(rotation=rotations(), flips=FLIPS, axes=AXES)
def test_four_chamber_nifti_comes_back_with_its_atria(rotation, flips, axes) -> None:
    plane = make_plane(FOUR, matrix=(128, 140))
    turned = ImagePlane.from_attributes(
        rotation @ plane.position_mm,
        [*(rotation @ plane.row_cosine), *(rotation @ plane.column_cosine)],
        [1.8, 1.8],
        rows=128,
        columns=140,
    )
    labels = heart_labels(turned, turned.centre_mm, atria=True)[None]
    with TemporaryDirectory() as folder:
        path = save_nifti(Path(folder) / "seg4_la_4ch_ED.nii.gz", recode(labels, UKBB_4CH), [turned], flips=flips, axes=axes)
        found = placed(read_nifti_labels(path), [make_target(FOUR, [turned])], FOUR)
    np.testing.assert_array_equal(found[0], labels)


@settings(max_examples=20)
@given(
    n_slices=st.integers(1, 5),
    view=st.sampled_from([SAX, FOUR]),
    resolution=st.sampled_from([4, 8]),
    order=st.randoms(use_true_random=False),
)
def test_cvi42_comes_back_within_one_percent_of_the_area(n_slices, view, resolution, order) -> None:
    planes = stack(n_slices, 1.82, np.eye(3)) if view is SAX else [make_plane(FOUR, matrix=(128, 140))]
    labels = truth(planes, atria=view is FOUR)
    images = {
        f"uid-0-{level}": [
            cvi42_contour(name, points, resolution=resolution) for name, points in polygons(labels[level], view).items()
        ]
        for level in range(len(planes))
    }
    uids = list(images)
    order.shuffle(uids)
    workspace = cvi42_workspace({uid: images[uid] for uid in uids})
    found = placed(read_cvi42(io.BytesIO(workspace)), [make_target(view, planes)], view)
    assert_same_areas(found[0], labels)
    assert not found[1].any()


@settings(max_examples=5, deadline=None)
@given(order=st.permutations((0, 1, 2, 3)), seed=st.integers(0, 3))
def test_dicom_seg_comes_back_in_any_order(order, seed) -> None:
    study = simple_study(name=f"SYN-000{seed}", n_slices=4, n_frames=2, translation_mm=(seed, 0, 0))
    series = [study.series[f"sax{level + 1}"] for level in range(4)]
    files = [write_cine(study.study, one)[0] for one in series]
    planes = [one.plane for one in series]
    labels = np.stack([heart_labels(plane, study.centre_mm) for plane in planes])
    data = dicom_seg([files[level].data for level in order], labels[list(order)], (LV, MYO, RV), ("LV", "Myo", "RV"))
    keys = (tuple(file.sop_instance_uid for file in files), ("",) * 4)
    found = placed(read_dicom_seg(io.BytesIO(data)), [make_target(SAX, planes, instance_keys=keys)])
    np.testing.assert_array_equal(found[0], labels)


@settings(max_examples=30)
@given(rotation=rotations(), flips=FLIPS, axes=AXES, n_slices=st.integers(2, 4))
def test_a_label_map_of_another_patient_never_comes_back(rotation, flips, axes, n_slices) -> None:
    """Turned about the origin by more than a little, the same map lies on no slice."""
    planes = stack(n_slices, 1.82, np.eye(3))
    others = stack(n_slices, 1.82, rotation)
    apart = min(
        np.abs(other.pixel_to_patient([0, 0]) - plane.pixel_to_patient([0, 0])).max() for other in others for plane in planes
    )
    with TemporaryDirectory() as folder:
        path = save_nifti(Path(folder) / "label_sa_ED.nii.gz", recode(truth(others), MNMS), others, flips=flips, axes=axes)
        annotation = read_nifti_labels(path)
    target = make_target(SAX, planes)
    if apart > 2.0:
        with pytest.raises(AnnotationError, match="mm from the nearest SAX slice"):
            placed(annotation, [target])
