"""Annotations find their images by where they lie and by instance, and say how far off they are where they do not."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cmr_planes.annotations.files import LabelFile
from cmr_planes.annotations.matching import annotated_frames, match
from cmr_planes.annotations.model import Annotation, Contour, ContourImage, LabelFormat, LabelVolume, Outline, TimePoint
from cmr_planes.annotations.ownership import assign_files
from cmr_planes.annotations.placing import place_on_plane
from cmr_planes.errors import AnnotationError
from cmr_planes.geometry import ImagePlane
from cmr_planes.views import CardiacPhase, CardiacView, Structure
from tests.helpers.labels import heart_labels, make_target
from tests.helpers.records import make_plane

SAX, FOUR, TWO = CardiacView.SAX, CardiacView.FOUR_CHAMBER, CardiacView.TWO_CHAMBER
PLANES = [make_plane(SAX, along_mm=10.0 * level, matrix=(120, 110)) for level in (-2, -1, 0, 1, 2)]
CENTRE_MM = PLANES[2].centre_mm + 20 * PLANES[2].row_cosine
TRUTH = np.stack([heart_labels(plane, CENTRE_MM) for plane in PLANES])
ED, ES = TimePoint(phase=CardiacPhase.ED), TimePoint(phase=CardiacPhase.ES)
TARGET = make_target(SAX, PLANES)
VENTRICLES = frozenset({Structure.LV, Structure.MYO, Structure.RV})
CIRCLE = 50 + 12 * np.stack([np.cos(np.linspace(0, 6, 40)), np.sin(np.linspace(0, 6, 40))], axis=1)


def key(uid: str, frame: int) -> str:
    return uid if frame == 0 else f"{uid} {frame}"


def volume(planes: list[ImagePlane], labels: np.ndarray, time_point: TimePoint = ED, **changes: object) -> LabelVolume:
    affine = np.array(planes[0].patient_from_pixel)
    if len(planes) > 1:
        affine[:3, 2] = (planes[-1].position_mm - planes[0].position_mm) / (len(planes) - 1)
    values = {"labels": labels.transpose(2, 1, 0), "affine_lps_mm": affine, "structures": VENTRICLES, "time_point": time_point}
    return LabelVolume(**{**values, **changes})


def nifti(*volumes: LabelVolume) -> Annotation:
    return Annotation(source=LabelFormat.NIFTI, volumes=volumes)


def contours(*images: ContourImage) -> Annotation:
    return Annotation(source=LabelFormat.CVI42, contour_images=images)


def moved(planes: list[ImagePlane], shift_mm: np.ndarray) -> list[ImagePlane]:
    return [replace(plane, position_mm=plane.position_mm + shift_mm) for plane in planes]


def test_a_label_map_lies_on_the_images_at_its_place() -> None:
    matched = match([nifti(volume(PLANES, TRUTH), volume(PLANES, TRUTH, ES))], [TARGET], key)
    placed = matched.views[SAX]
    np.testing.assert_array_equal(placed.labels, np.stack([TRUTH, TRUTH]))
    assert placed.structures[..., 1:4].all()
    assert not placed.structures[..., 4:].any()
    assert (matched.remarks, placed.source) == ((), "nifti")


@pytest.mark.parametrize("shift_px", [-0.45, 0.3, 0.45])
def test_half_a_pixel_is_allowed(shift_px: float) -> None:
    plane = PLANES[2]
    for direction in (plane.row_cosine, plane.column_cosine, plane.normal):
        shifted = volume(moved(PLANES, shift_px * plane.row_spacing_mm * direction), TRUTH)
        np.testing.assert_array_equal(place_on_plane(shifted, plane).labels, TRUTH[2])


@pytest.mark.parametrize("n_slices", [1, 5])
@pytest.mark.parametrize("angle_deg", [0.0, 7.0])
@pytest.mark.parametrize("shift_px", [0.0, 0.3, 200.0])
def test_an_image_that_crosses_the_slices_of_a_label_map_is_not_among_them(
    n_slices: int, angle_deg: float, shift_px: float
) -> None:
    labels = volume(PLANES[:n_slices], TRUTH[:n_slices])
    sax, turn = PLANES[0], np.deg2rad(angle_deg)
    crossing = replace(
        sax,
        row_cosine=np.cos(turn) * sax.row_cosine + np.sin(turn) * sax.column_cosine,
        column_cosine=sax.normal,
        position_mm=sax.position_mm + (40 + shift_px) * sax.row_spacing_mm * sax.column_cosine,
    )
    placement = place_on_plane(labels, crossing)
    assert placement.labels is None
    assert not placement.is_covered
    target = make_target(TWO, [crossing], instance_keys=None)
    remarks = match([nifti(labels)], [make_target(SAX, PLANES[:n_slices]), target], key).remarks
    assert not any("2Ch" in remark for remark in remarks)


@pytest.mark.parametrize("shift_mm", [1.0, 5.0, 60.0, 500.0])
@pytest.mark.parametrize("axis", ["row_cosine", "column_cosine"])
def test_labels_off_in_the_plane_are_refused_with_the_distance(axis: str, shift_mm: float) -> None:
    shifted = volume(moved(PLANES, shift_mm * getattr(PLANES[0], axis)), TRUTH)
    with pytest.raises(AnnotationError, match="mm from the nearest SAX slice, and at most half a pixel is allowed") as caught:
        match([nifti(shifted)], [TARGET], key)
    if shift_mm < 100:
        assert f"lies {shift_mm:.1f} mm" in str(caught.value)


def test_each_label_map_is_reported_with_its_own_distance_and_view() -> None:
    long_axis = make_plane(FOUR, matrix=(120, 110))
    labels = heart_labels(long_axis, long_axis.centre_mm)[None]
    maps = [
        volume(moved(PLANES, 10 * PLANES[0].row_cosine), TRUTH, view=SAX),
        volume(moved(PLANES, 20 * PLANES[0].row_cosine), TRUTH, ES, view=SAX),
        volume(moved([long_axis], 40 * long_axis.row_cosine), labels, view=FOUR),
    ]
    expected = ["lies 10.0 mm from the nearest SAX", "lies 20.0 mm from the nearest SAX", "lies 40.0 mm from the nearest 4Ch"]
    for order in (slice(None), slice(None, None, -1)):
        with pytest.raises(AnnotationError) as caught:
            match([nifti(*maps[order])], [TARGET, make_target(FOUR, [long_axis])], key)
        sentences = str(caught.value).split("; ")
        assert [part in sentence for part, sentence in zip(expected[order], sentences, strict=True)] == [True] * 3


def test_slices_that_a_label_map_misses_are_counted_by_view_and_without_those_of_maps_that_fit_nowhere() -> None:
    planes = [*PLANES[:3], *moved(PLANES[3:], 2 * PLANES[0].row_cosine)]
    elsewhere = volume(moved(PLANES, 10 * PLANES[0].row_cosine), TRUTH, ES)
    remarks = match([nifti(volume(PLANES, TRUTH), elsewhere)], [make_target(SAX, planes)], key).remarks
    assert "2 SAX slices lie up to 2.0 mm from the label map's (at most half a pixel is allowed) and got no labels" in remarks
    assert any(remark.startswith("the label map lies 8.0 mm from the nearest SAX slice") for remark in remarks)


@pytest.mark.parametrize("shift_mm", [1.2, 4.0, -3.5])
def test_labels_off_across_the_plane_are_refused_with_the_distance(shift_mm: float) -> None:
    shifted = volume(moved(PLANES, shift_mm * PLANES[0].normal), TRUTH)
    with pytest.raises(AnnotationError, match=f"lies {abs(shift_mm):.1f} mm from the nearest SAX slice"):
        match([nifti(shifted)], [TARGET], key)


def test_a_rotated_stack_is_another_patient_s() -> None:
    cosine, sine = np.cos(0.1), np.sin(0.1)
    turned = [
        replace(plane, row_cosine=cosine * plane.row_cosine + sine * plane.normal, column_cosine=plane.column_cosine)
        for plane in PLANES
    ]
    with pytest.raises(AnnotationError, match="another patient's"):
        match([nifti(volume(turned, TRUTH))], [TARGET], key)


def test_partly_covered_stacks_leave_the_other_slices_without_labels() -> None:
    matched = match([nifti(volume(PLANES[1:4], TRUTH[1:4]))], [TARGET], key)
    annotated = matched.views[SAX].structures.any(axis=2)
    assert annotated.tolist() == [[False, True, True, True, False], [False] * 5]
    assert matched.remarks == ("SAX is annotated without ES", "3 of 5 SAX slices are annotated")


def test_a_crop_and_a_finer_grid_find_their_place() -> None:
    plane = PLANES[2]
    crop = replace(plane, position_mm=plane.pixel_to_patient([10, 20]), rows=90, columns=80)
    placed = place_on_plane(volume([crop], TRUTH[2:3, 20:110, 10:90]), plane).labels
    np.testing.assert_array_equal(placed[20:110, 10:90], TRUTH[2, 20:110, 10:90])
    assert placed.sum() == TRUTH[2, 20:110, 10:90].sum()
    fine = replace(
        plane,
        position_mm=plane.pixel_to_patient([-0.25, -0.25]),
        row_spacing_mm=plane.row_spacing_mm / 2,
        column_spacing_mm=plane.column_spacing_mm / 2,
        rows=240,
        columns=220,
    )
    doubled = TRUTH[2:3].repeat(2, axis=1).repeat(2, axis=2)
    np.testing.assert_array_equal(place_on_plane(volume([fine], doubled), plane).labels, TRUTH[2])


def test_empty_slices_between_labelled_ones_were_not_annotated() -> None:
    gaps = TRUTH.copy()
    gaps[[0, 2]] = 0
    annotated = match([nifti(volume(PLANES, gaps))], [TARGET], key).views[SAX].structures.any(axis=2)
    assert annotated[0].tolist() == [True, True, False, True, True], "an empty end of the stack says that no heart is there"


def test_the_time_point_decides_the_phase() -> None:
    frames = replace(TARGET, frame_numbers=np.array([[1] * 5, [9, 9, 10, 9, 9]]))
    placed = match([nifti(volume(PLANES, TRUTH, TimePoint(frame_number=9)))], [frames], key)
    assert placed.views[SAX].structures.any(axis=2).tolist() == [[False] * 5, [True, True, False, True, True]]
    with pytest.raises(AnnotationError, match="frame 30 is not in the catalogue; extracting with these annotations keeps"):
        match([nifti(volume(PLANES, TRUTH, TimePoint(frame_number=30)))], [TARGET], key)
    with pytest.raises(AnnotationError, match="neither the file's name"):
        match([nifti(volume(PLANES, TRUTH, TimePoint()))], [TARGET], key)
    cine = make_target(SAX, PLANES, phases=("000", "001"))
    with pytest.raises(AnnotationError, match="whole cines, which do not say which frame is ES; give the frame's number"):
        match([nifti(volume(PLANES, TRUTH, ES))], [cine], key)
    alone = make_target(SAX, PLANES, phases=("ed",))
    assert match([nifti(volume(PLANES, TRUTH, TimePoint()))], [alone], key).views[SAX].labels.any()


def test_views_are_told_apart_by_where_they_lie_and_by_name() -> None:
    long_axis = make_plane(FOUR, matrix=(120, 110))
    labels = heart_labels(long_axis, long_axis.centre_mm, atria=True)[None]
    targets = [TARGET, make_target(FOUR, [long_axis])]
    everything = frozenset(Structure) - {Structure.BACKGROUND}
    annotations = [nifti(volume([long_axis], labels, structures=everything), volume(PLANES, TRUTH, structures=everything))]
    views = match(annotations, targets, key).views
    assert set(views) == {SAX, FOUR}
    assert views[FOUR].structures[0, 0].all()
    assert not views[SAX].structures[..., 4:].any(), "a convention for all views does not say that atria were searched for on SAX"
    with pytest.raises(AnnotationError, match="the subject has no 2Ch images"):
        match([nifti(volume(PLANES, TRUTH, view=TWO))], targets, key)


def test_contours_find_their_image_by_instance() -> None:
    endo, epi = Contour(Outline.LV_ENDO, CIRCLE), Contour(Outline.LV_EPI, (CIRCLE - 50) * 1.3 + 50)
    rv = Contour(Outline.RV_ENDO, CIRCLE + np.array([25, 0]))
    images = [
        ContourImage(contours=(endo, epi, rv), sop_instance_uid="uid-0-1"),
        ContourImage(contours=(endo, epi), sop_instance_uid="uid-0-3"),
        ContourImage(contours=(endo,), sop_instance_uid="uid-1-3"),
        ContourImage(contours=(endo,), sop_instance_uid="elsewhere"),
    ]
    matched = match([contours(*images)], [TARGET], key)
    structures = matched.views[SAX].structures
    assert np.argwhere(structures[..., 0]).tolist() == [[0, 1], [0, 3], [1, 3]]
    assert structures[0, 1].tolist() == [True, True, True, True, False, False]
    assert structures[0, 3].tolist() == [True, True, True, True, False, False], "RV was drawn at this phase, so it was searched for"
    assert structures[1, 3].tolist() == [True, True, False, False, False, False]
    assert "1 of 4 images with contours is not in the catalogue" in matched.remarks[0]
    assert "LV alone is drawn on 1 SAX image, without an epicardium" in matched.remarks


def test_contours_of_other_studies_are_refused() -> None:
    image = ContourImage(contours=(Contour(Outline.LV_ENDO, CIRCLE),), sop_instance_uid="elsewhere")
    with pytest.raises(AnnotationError, match="1 of 1 image with contours is not in the catalogue"):
        match([contours(image)], [TARGET], key)
    with pytest.raises(AnnotationError, match="1 of 1 image"):
        match([contours(image)], [replace(TARGET, instance_keys=None, instance_numbers=None)], key)


def test_contours_find_their_image_by_number_where_it_is_unique() -> None:
    image = ContourImage(contours=(Contour(Outline.LV_ENDO, CIRCLE),), instance_number=7)
    structures = match([contours(image)], [TARGET], key).views[SAX].structures
    assert np.argwhere(structures[..., 0]).tolist() == [[1, 1]]
    repeated = replace(TARGET, instance_numbers=np.full((2, 5), 7))
    with pytest.raises(AnnotationError, match="10 images have the number 7"):
        match([contours(image)], [repeated], key)


def test_contours_beside_the_image_are_not_drawn() -> None:
    image = ContourImage(contours=(Contour(Outline.LV_ENDO, CIRCLE + 400),), sop_instance_uid="uid-0-1")
    with pytest.raises(AnnotationError, match="contours lie outside the SAX image of 120 × 110 pixels"):
        match([contours(image)], [TARGET], key)


def test_annotated_frames_are_those_of_instances_and_numbers() -> None:
    whole = make_target(SAX, PLANES, phases=("000", "001", "002"))
    image = ContourImage(contours=(Contour(Outline.LV_ENDO, CIRCLE),), sop_instance_uid="uid-2-4")
    labelled = volume(PLANES[1:3], TRUTH[1:3], TimePoint(frame_number=9))
    named = volume(PLANES, TRUTH, ED)
    found = annotated_frames([contours(image), nifti(labelled, named)], whole, key)
    assert found == {4: frozenset({2}), 1: frozenset({1}), 2: frozenset({1})}


def files(*paths: str) -> list[LabelFile]:
    formats = {"gz": LabelFormat.NIFTI, "cvi42wsx": LabelFormat.CVI42, "txt": LabelFormat.SUNNYBROOK}
    return [LabelFile(Path(path), "", Path(path).parts, formats[path.rpartition(".")[2]]) for path in paths]


@pytest.mark.parametrize(
    ("paths", "expected"),
    [
        pytest.param(["A1/label_sa_ED.nii.gz", "A10/label_sa_ED.nii.gz"], {"A1": 1, "A10": 1}, id="folders"),
        pytest.param(["A1_sa_gt.nii.gz", "A10_sa_gt.nii.gz", "A2_sa_gt.nii.gz"], {"A1": 1, "A10": 1}, id="beginnings"),
        pytest.param(["A1_cvi42/A1.cvi42wsx"], {"A1": 1}, id="zip"),
        pytest.param(["9000001.cvi42wsx"], {"9000001_2": 1, "9000001_3": 1}, id="person with two visits"),
        pytest.param(["9000001_2.cvi42wsx"], {"9000001_2": 1}, id="one visit"),
        pytest.param(["A1/sa_ED.nii.gz", "A1/label_sa_ED.nii.gz", "A1/seg_sa_ED.nii.gz"], {"A1": 1}, id="manual before automatic"),
        pytest.param(["A1/sa_ED.nii.gz", "A1/seg_sa_ED.nii.gz"], {"A1": 1}, id="labels before images"),
        pytest.param(["unknown.cvi42wsx"], {}, id="no subject's"),
    ],
)
def test_files_go_to_the_subject_that_their_path_names(paths: list[str], expected: dict[str, int]) -> None:
    keys = ["A1", "A10", "9000001_2", "9000001_3"]
    participants = {key: key.partition("_")[0] for key in keys}
    assert {key: len(of_subject) for key, of_subject in assign_files(files(*paths), keys, participants).items()} == expected


def test_a_single_subject_needs_no_name() -> None:
    assert list(assign_files(files("contours.cvi42wsx"), ["A1"], {"A1": "A1"})) == ["A1"]


def test_a_contour_on_a_multi_frame_instance_says_nothing_of_the_frame() -> None:
    keys = tuple(tuple(f"enhanced {phase * 5 + level + 1}" for level in range(5)) for phase in range(2))
    image = ContourImage(contours=(Contour(Outline.LV_ENDO, CIRCLE),), sop_instance_uid="enhanced")
    with pytest.raises(AnnotationError, match="1 of 1 image with contours is not in the catalogue"):
        match([contours(image)], [replace(TARGET, instance_keys=keys)], key)
    named = volume(PLANES, TRUTH, TimePoint(), sop_instance_uid="enhanced", frame_number=8)
    placed = match([nifti(named)], [replace(TARGET, instance_keys=keys)], key).views[SAX]
    assert np.argwhere(placed.structures[..., 0]).tolist() == [[1, 2]]
