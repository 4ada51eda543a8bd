"""Annotations as archives have them: another patient's contours, exchanged names and values, two readers, wrong places."""

import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from cmr_planes.annotations.structure_names import structure_named
from cmr_planes.phantom.small_study import write_study
from cmr_planes.shards.catalogue import Catalogue
from cmr_planes.views import CardiacView, Structure
from tests.helpers.archive_labels import (
    ED_FRAME,
    ENDO,
    ENDO_PX,
    EPI,
    EPI_PX,
    ES_FRAME,
    LEVELS,
    circle,
    circle_labels,
    circled_study,
    disc,
    numbered_study,
    sax_instances,
    segmentation,
    workspace,
    write_circled_study,
)
from tests.helpers.cohorts import run
from tests.helpers.labels import ACDC, LV, MYO, RV, cvi42_contour, cvi42_workspace, dicom_seg, heart_labels, recode, save_nifti

SAX = CardiacView.SAX
SUNNYBROOK = Path(__file__).parents[3] / "shared" / "data" / "sunnybrook"


@pytest.fixture(scope="module")
def dicom(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_circled_study(tmp_path_factory.mktemp("dicom"))


class Extracted:
    """What extraction with some annotation files gave."""

    def __init__(self, dicom: Path, folder: Path, files: dict[str, bytes], *options: object) -> None:
        labels = folder / "labels"
        for name, data in files.items():
            (labels / name).parent.mkdir(parents=True, exist_ok=True)
            (labels / name).write_bytes(data)
        self.out = folder / "out.h5"
        result = run("extract", dicom, self.out, "--workers", 1, "--annotations", labels, *options)
        assert result.exit_code == 0, result.output
        with Catalogue(self.out) as catalogue:
            self.remarks = [note.sentence for note in catalogue.notes() if note.code.value == "labels"]
            self.frames = [int(frame) - 1 for frame in catalogue.view_attributes("SYN-0001", SAX).frame_numbers[:, 0]]
            self.structures = np.zeros((2, 3, len(Structure)), dtype=np.bool_)
            self.labels = np.zeros((2, 3, 128, 128), dtype=np.uint8)
            if len(catalogue.annotations()):
                self.structures = catalogue.labelled_structures("SYN-0001", SAX)
                levels = range(3)
                self.labels = np.stack([[catalogue.labels("SYN-0001", SAX, phase, level) for level in levels] for phase in (0, 1)])

    def areas(self, structure: Structure) -> list[int]:
        """Pixels of a structure at end-diastole, by level."""
        return (self.labels[0] == structure).sum(axis=(1, 2)).tolist()

    def said(self, text: str) -> bool:
        """Whether a note has a text."""
        return any(text in remark for remark in self.remarks)


def disc_areas(radius: float) -> list[int]:
    return [int(disc(radius, level=level).sum()) for level in LEVELS]


def test_contours_on_the_heart_are_stored_without_a_word(dicom: Path, tmp_path: Path) -> None:
    found = Extracted(dicom, tmp_path, {"SYN-0001.cvi42wsx": workspace({ENDO: circle(ENDO_PX), EPI: circle(EPI_PX)})})
    assert found.remarks == []
    assert found.structures[..., [LV, MYO]].all()


def test_contours_beside_the_heart_are_stored_and_named(dicom: Path, tmp_path: Path) -> None:
    contours = {ENDO: circle(ENDO_PX, moved=(25, 20)), EPI: circle(EPI_PX, moved=(25, 20))}
    found = Extracted(dicom, tmp_path, {"SYN-0001.cvi42wsx": workspace(contours)})
    assert found.structures[..., [LV, MYO]].all()
    assert [remark.split(" of LV ")[0] for remark in found.remarks] == [
        f"SAX {phase} labels may not lie on the image: on 3 of 3 labelled images the blood" for phase in ("ED", "ES")
    ]
    again = run("annotate", found.out, tmp_path / "labels", "-v")
    assert " ".join(again.output.split()).count("labels may not lie on the image") == 2


@pytest.mark.parametrize(
    ("moved", "outside"), [pytest.param((25, 0), "100 %", id="beside"), pytest.param((10, 0), "5", id="half outside")]
)
def test_an_endocardium_outside_its_epicardium_costs_the_muscle(dicom: Path, tmp_path: Path, moved, outside: str) -> None:
    contours = {ENDO: circle(ENDO_PX, moved=moved), EPI: circle(EPI_PX)}
    found = Extracted(dicom, tmp_path, {"SYN-0001.cvi42wsx": workspace(contours)})
    assert found.said(f"on 6 SAX images {outside}")
    assert found.said(
        "of the edge of LV lies outside the epicardium, and all should lie inside: one of the two is another patient's"
    )
    assert not found.said("without an epicardium")
    assert found.structures[..., LV].all()
    assert not found.structures[..., MYO].any()
    assert found.areas(MYO) == [0, 0, 0]
    assert found.areas(LV) == pytest.approx(disc_areas(ENDO_PX), abs=8)


def test_one_image_with_another_image_s_epicardium_is_refused_alone(dicom: Path, tmp_path: Path) -> None:
    good = [cvi42_contour(ENDO, circle(ENDO_PX)), cvi42_contour(EPI, circle(EPI_PX))]
    bad = [cvi42_contour(ENDO, circle(ENDO_PX)), cvi42_contour(EPI, circle(EPI_PX, moved=(0, -14)))]
    images = {uid: bad if level == 2 else good for level in LEVELS for uid, _ in sax_instances(level, (ED_FRAME,))}
    found = Extracted(dicom, tmp_path, {"SYN-0001.cvi42wsx": cvi42_workspace(images)})
    assert found.said("on 1 SAX image ")
    assert found.structures[0, :, MYO].tolist() == [True, False, True]
    assert found.structures[0, :, LV].all()


def test_exchanged_names_of_the_contours_are_refused(dicom: Path, tmp_path: Path) -> None:
    contours = {ENDO: circle(EPI_PX), EPI: circle(ENDO_PX)}
    found = Extracted(dicom, tmp_path, {"SYN-0001.cvi42wsx": workspace(contours)})
    assert found.said("on 6 SAX images the epicardium lies inside LV, and LV should lie inside it: the two are exchanged")
    assert not found.structures.any()


def test_a_right_ventricle_inside_the_left_one_is_refused(dicom: Path, tmp_path: Path) -> None:
    contours = {ENDO: circle(ENDO_PX), EPI: circle(EPI_PX), "sarvendocardialContour": circle(ENDO_PX, moved=(2, 0))}
    found = Extracted(dicom, tmp_path, {"SYN-0001.cvi42wsx": workspace(contours)})
    assert found.said("on 6 SAX images 100 % of the edge of RV lies inside the epicardium of LV, and none should")
    assert found.structures[..., [LV, MYO]].all()
    assert not found.structures[..., RV].any()


def sunnybrook(contours: dict[str, np.ndarray], number: int = 2) -> dict[str, bytes]:
    """Text files of one image, named by its number."""
    kinds = {ENDO: "i", EPI: "o"}
    return {
        f"SYN-0001/IM-0001-{number:04d}-{kinds[name]}contour-manual.txt": "".join(f"{x + 1} {y + 1}\n" for x, y in points).encode()
        for name, points in contours.items()
    }


def test_text_contours_of_two_patients_are_refused_too(tmp_path: Path) -> None:
    write_study(tmp_path / "dicom" / "SYN-0001", numbered_study())
    files = sunnybrook({ENDO: circle(ENDO_PX), EPI: circle(EPI_PX, moved=(9, 9))})
    found = Extracted(tmp_path / "dicom", tmp_path, files)
    assert found.said("on 1 SAX image 58 % of the edge of LV lies outside the epicardium")
    assert found.structures[..., LV].sum() == 1
    assert not found.structures[..., MYO].any()


def test_text_contours_are_refused_where_each_level_is_a_series(dicom: Path, tmp_path: Path) -> None:
    found = Extracted(dicom, tmp_path, sunnybrook({ENDO: circle(ENDO_PX)}))
    assert found.said("names its images by InstanceNumber, and 3 images have the number 2; the series must be one")
    assert not found.structures.any()


def test_label_maps_in_another_order_of_classes_than_their_name_says_are_refused(tmp_path: Path) -> None:
    planes = [circled_study().series[f"sax{level}"].plane for level in LEVELS]
    truth = np.stack([heart_labels(plane, circled_study().centre_mm) for plane in planes])
    images = np.array([80, 600, 200, 500], dtype=np.int16)[truth]
    for key, classes in (("patient001", ACDC), ("patient002", {MYO: 1, LV: 2, RV: 3})):
        save_nifti(tmp_path / "set" / key / f"{key}_frame01.nii.gz", images, planes)
        save_nifti(tmp_path / "set" / key / f"{key}_frame01_gt.nii.gz", recode(truth, classes), planes)
    result = run("extract", "--nifti", tmp_path / "set", tmp_path / "out.h5", "--workers", 1, "--views", "sax", "--keep-all")
    assert result.exit_code == 0, result.output
    with Catalogue(tmp_path / "out.h5") as catalogue:
        assert set(catalogue.annotations().subject) == {"patient001"}
        sentences = [note.sentence for note in catalogue.notes() if note.subject == "patient002"]
    assert any("has its class Myo inside the class RV, where LV should lie inside Myo" in sentence for sentence in sentences)


SEGMENTATIONS = {
    "right": ({}, {}, None),
    "LV around Myo": ({"radius": EPI_PX}, {"radius": ENDO_PX}, "has its class Myo inside the class LV"),
    "LV off the ring": ({"moved": (30, 0)}, {}, "on 3 SAX images 100 % of the edge of LV lies outside Myo"),
    "LV half outside": ({"moved": (10, 0)}, {}, "of the edge of LV lies outside Myo, and all should lie inside"),
}


@pytest.mark.parametrize("case", SEGMENTATIONS)
def test_segments_lie_in_each_other_or_are_refused(dicom: Path, tmp_path: Path, case: str) -> None:
    blood, muscle, sentence = SEGMENTATIONS[case]
    labels = circle_labels(blood, muscle)
    if case == "LV around Myo":
        labels = circle_labels({"radius": EPI_PX}, {})
        for level, image in enumerate(labels, start=1):
            image[disc(ENDO_PX, level=level)] = MYO
    found = Extracted(dicom, tmp_path, {"SYN-0001/a.dcm": segmentation(labels)})
    if sentence is None:
        assert found.structures[0, :, [LV, MYO]].all()
        assert set(found.remarks) == {"SAX is annotated without ES"}, "nothing is said of views that nobody drew on"
        np.testing.assert_array_equal(found.labels[0], labels)
        return
    assert found.said(sentence)
    assert not found.structures[..., MYO].any()
    assert found.structures[0, :, LV].all() == (case != "LV around Myo")


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0)], ids=["LV first", "RV first"])
def test_overlapping_segments_are_drawn_as_contours_are_and_named(dicom: Path, tmp_path: Path, order: tuple[int, ...]) -> None:
    names = ("LV", "Myocardium", "RV")
    radii_px = ((ENDO_PX, 0.0), (EPI_PX, 0.0), (12.0, -16.0))
    masks = np.array([[disc(radii_px[one][0], level=level, moved=(radii_px[one][1], 0)) for one in order] for level in LEVELS])
    sources = [sax_instances(level, (ED_FRAME,))[0][1] for level in LEVELS]
    result = Extracted(dicom, tmp_path, {"a.dcm": dicom_seg(sources, np.moveaxis(masks, 1, -1), (), [names[one] for one in order])})
    assert result.areas(Structure.LV) == disc_areas(ENDO_PX)
    assert result.areas(Structure.MYO) == [
        whole - blood for whole, blood in zip(disc_areas(EPI_PX), disc_areas(ENDO_PX), strict=True)
    ]
    assert result.said("segments of RV and LV overlap on 3 images; LV was drawn over RV")


def test_segments_that_refer_to_other_images_than_they_lie_on_are_refused(dicom: Path, tmp_path: Path) -> None:
    import io

    import pydicom

    dataset = pydicom.dcmread(io.BytesIO(segmentation(circle_labels({}, {}))))
    uids = {level: sax_instances(level, (ED_FRAME,))[0][0] for level in LEVELS}
    following = {uids[level]: uids[level % 3 + 1] for level in LEVELS}
    for frame in dataset.PerFrameFunctionalGroupsSequence:
        source = frame.DerivationImageSequence[0].SourceImageSequence[0]
        source.ReferencedSOPInstanceUID = following[source.ReferencedSOPInstanceUID]
    buffer = io.BytesIO()
    dataset.save_as(buffer)
    found = Extracted(dicom, tmp_path, {"SYN-0001/a.dcm": buffer.getvalue()})
    assert found.said("planes and references disagree by 14.0 mm")
    assert not found.said("is not in the catalogue")
    assert not found.structures.any()


def test_segments_whose_planes_are_off_are_refused_with_the_distance(dicom: Path, tmp_path: Path) -> None:
    import io

    import pydicom

    dataset = pydicom.dcmread(io.BytesIO(segmentation(circle_labels({}, {}))))
    for frame in dataset.PerFrameFunctionalGroupsSequence:
        del frame.DerivationImageSequence
        position = frame.PlanePositionSequence[0]
        normal = circled_study().series["sax1"].plane.normal
        position.ImagePositionPatient = [
            float(value) + 4 * step for value, step in zip(position.ImagePositionPatient, normal, strict=True)
        ]
    buffer = io.BytesIO()
    dataset.save_as(buffer)
    found = Extracted(dicom, tmp_path, {"SYN-0001/SYN-0001_ED.dcm": buffer.getvalue()})
    assert found.said("the label map lies 4.0 mm from the nearest SAX slice")
    assert not found.structures.any()


@pytest.mark.parametrize(
    ("frames", "sentence"),
    [
        ((ED_FRAME, ES_FRAME, 8), "3 of 9 images with contours are not in the catalogue"),
        ((ES_FRAME,), "SAX is annotated without ED"),
    ],
)
def test_contours_of_more_or_fewer_phases_are_stored_with_a_note(dicom: Path, tmp_path: Path, frames, sentence: str) -> None:
    found = Extracted(dicom, tmp_path, {"SYN-0001.cvi42wsx": workspace({ENDO: circle(ENDO_PX), EPI: circle(EPI_PX)}, frames)})
    assert found.said(sentence)
    assert found.frames[1] == ES_FRAME
    assert found.structures[1, :, [LV, MYO]].all()


def test_a_workspace_without_a_known_contour_is_named(dicom: Path, tmp_path: Path) -> None:
    found = Extracted(dicom, tmp_path, {"SYN-0001.cvi42wsx": workspace({"saUnknownContour": circle(ENDO_PX)})})
    assert found.said("holds no contour of the heart's chambers")
    assert not found.structures.any()


@pytest.mark.skipif(not SUNNYBROOK.is_dir(), reason="the real scans are not at hand")
@pytest.mark.filterwarnings("ignore::UserWarning:pydicom")  # the files' own faults
def test_epicardia_of_another_subject_of_a_published_set_are_refused(tmp_path: Path) -> None:
    def contours(key: str, kind: str) -> list[tuple[str, bytes]]:
        with zipfile.ZipFile(SUNNYBROOK / f"{key}.zip") as archive:
            names = sorted(name for name in archive.namelist() if f"-{kind}contour-manual" in name)
            return [(Path(name).name, archive.read(name)) for name in names]

    labels = tmp_path / "labels" / "SCD0000101"
    labels.mkdir(parents=True)
    for name, data in contours("SCD0000101", "i"):
        (labels / name).write_bytes(data)
    for (name, _), (_, data) in zip(contours("SCD0000101", "o"), contours("SCD0000201", "o"), strict=True):
        (labels / name).write_bytes(data)
    out = tmp_path / "out.h5"
    options = ("--workers", 1, "--views", "sax", "--annotations", tmp_path / "labels")
    assert run("extract", SUNNYBROOK / "SCD0000101.zip", out, *options).exit_code == 0
    with Catalogue(out) as catalogue:
        structures = catalogue.labelled_structures("SCD0000101", SAX)
        assert (structures[..., LV].sum(), structures[..., MYO].sum()) == (18, 0)
        assert any("on 9 SAX images 32 to 100 % of the edge of LV lies outside" in note.sentence for note in catalogue.notes())


@pytest.mark.parametrize(
    "names",
    [
        ("LV cavity", "Myocardium of LV"),
        ("Left Ventricle", "left ventricular myocardium"),
        ("LV blood pool", "LV wall"),
        ("heart_ventricle_left", "heart_myocardium"),
        ("LVEndo", "LVMyo"),
    ],
)
def test_usual_names_of_segments_are_known(names: tuple[str, str]) -> None:
    assert [structure_named(name) for name in names] == [LV, MYO]


def two_workspaces(radius: float, muscle: float) -> bytes:
    return workspace({ENDO: circle(radius), **({EPI: circle(muscle)} if muscle else {})}, (ED_FRAME,))


def two_segmentations(radius: float, muscle: float) -> bytes:
    return segmentation(circle_labels({"radius": radius}, {"radius": muscle}))


@pytest.mark.parametrize(("name", "write"), [("cvi42wsx", two_workspaces), ("dcm", two_segmentations)])
def test_two_readers_are_not_mixed(dicom: Path, tmp_path: Path, name: str, write: Callable[[float, float], bytes]) -> None:
    files = {f"SYN-0001/a.{name}": write(ENDO_PX, EPI_PX + 3), f"SYN-0001/b.{name}": write(ENDO_PX + 3, 0)}
    found = Extracted(dicom, tmp_path, files)
    assert found.said("3 images are annotated in more than one file, and not alike; there the last file by name was used")
    assert found.said("annotation file 2 of 2 (")
    assert found.areas(LV) == pytest.approx(disc_areas(ENDO_PX + 3), abs=8)
    assert found.areas(MYO) == [0, 0, 0]


@pytest.mark.parametrize("names", [("a", "b"), ("b", "a")], ids=["endocardium first", "epicardium first"])
def test_endocardium_and_epicardium_of_two_files_are_one_ventricle(dicom: Path, tmp_path: Path, names: tuple[str, str]) -> None:
    inner, outer = workspace({ENDO: circle(ENDO_PX)}), workspace({EPI: circle(EPI_PX)})
    result = Extracted(dicom, tmp_path, {f"{names[0]}.cvi42wsx": inner, f"{names[1]}.cvi42wsx": outer})
    (tmp_path / "whole").mkdir()
    whole = Extracted(dicom, tmp_path / "whole", {"SYN-0001.cvi42wsx": workspace({ENDO: circle(ENDO_PX), EPI: circle(EPI_PX)})})
    assert min(result.areas(Structure.LV)) > 0
    np.testing.assert_array_equal(result.labels, whole.labels)
    assert not result.remarks


def test_epicardia_without_any_endocardium_are_noted(dicom: Path, tmp_path: Path) -> None:
    result = Extracted(dicom, tmp_path, {"SYN-0001.cvi42wsx": workspace({EPI: circle(EPI_PX)})})
    assert result.said("SAX ED has Myo and no LV on any slice: if only the epicardium was drawn, Myo covers the blood too")


def test_files_of_different_structures_complete_each_other(dicom: Path, tmp_path: Path) -> None:
    files = {
        "SYN-0001/a.cvi42wsx": workspace({ENDO: circle(ENDO_PX), EPI: circle(EPI_PX)}),
        "SYN-0001/b.cvi42wsx": workspace({"sarvendocardialContour": circle(6, moved=(-24, 0))}),
        "SYN-0001/c.cvi42wsx": workspace({"sarvendocardialContour": circle(6, moved=(-24, 0))}),
    }
    found = Extracted(dicom, tmp_path, files)
    assert found.remarks == []
    assert found.structures[..., [LV, MYO, RV]].all()


@pytest.mark.parametrize(("moved", "width"), [((30, 0), 0), ((6, 0), 6)], ids=["apart", "overlapping"])
def test_an_open_contour_apart_from_the_closed_one_is_left_out(dicom: Path, tmp_path: Path, moved, width: int) -> None:
    contours = {ENDO: circle(ENDO_PX), "saendocardialOpenContour": circle(ENDO_PX, moved=moved), EPI: circle(EPI_PX + width)}
    found = Extracted(dicom, tmp_path, {"SYN-0001.cvi42wsx": workspace(contours)})
    united = disc(ENDO_PX) | disc(ENDO_PX, moved=moved) if width else disc(ENDO_PX)
    assert found.areas(LV)[1] == pytest.approx(united.sum(), abs=8)


def without_resolution(data: bytes, resolution: int) -> bytes:
    return data.replace(f'<Hash:item Hash:key="SubpixelResolution">{resolution}</Hash:item>'.encode(), b"")


def test_contours_of_unknown_scale_take_that_of_the_others(dicom: Path, tmp_path: Path) -> None:
    both = workspace({ENDO: circle(ENDO_PX), EPI: circle(EPI_PX)}, resolution=8)
    some = both[: len(both) // 2] + without_resolution(both[len(both) // 2 :], 8)
    assert len(without_resolution(both, 8)) < len(some) < len(both)
    found = Extracted(dicom, tmp_path, {"SYN-0001.cvi42wsx": some})
    assert found.said("contours have no SubpixelResolution, and that of the others (8) was assumed")
    assert found.areas(LV) == pytest.approx(disc_areas(ENDO_PX), abs=8)


def test_contours_of_unknown_scale_that_reach_beyond_the_image_are_refused(dicom: Path, tmp_path: Path) -> None:
    bare = without_resolution(workspace({ENDO: circle(ENDO_PX), EPI: circle(EPI_PX)}, resolution=8), 8)
    found = Extracted(dicom, tmp_path, {"SYN-0001.cvi42wsx": bare})
    assert found.said("contours reach beyond the SAX image of 128 × 128 pixels at the usual steps a pixel")
    assert not found.structures.any()


def test_contours_of_unknown_scale_that_are_stored_are_named(dicom: Path, tmp_path: Path) -> None:
    bare = without_resolution(workspace({ENDO: circle(ENDO_PX), EPI: circle(EPI_PX)}, resolution=2), 2)
    found = Extracted(dicom, tmp_path, {"SYN-0001.cvi42wsx": bare})
    assert found.said("12 contours have no SubpixelResolution, and 4 steps a pixel, as is usual, were assumed")
    assert found.said("SAX ED labels may not lie on the image")
