"""Annotations from the command line to the catalogue: every format, annotated frames, refusals, privacy, public sets, real contours."""

import json
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest

from cmr_planes.discovery.subjects import find_subjects
from cmr_planes.phantom.dicom_writer import write_cine
from cmr_planes.phantom.small_study import SimpleStudy, write_study
from cmr_planes.shards.catalogue import Catalogue
from cmr_planes.views import CardiacView, Structure
from tests.helpers.cohorts import digests, extract, run, small_study
from tests.helpers.headers import read_subject
from tests.helpers.labels import (
    ACDC,
    LV,
    MNMS,
    MYO,
    RV,
    areas,
    cvi42_contour,
    cvi42_workspace,
    dicom_seg,
    heart_labels,
    polygons,
    recode,
    save_nifti,
)
from tests.helpers.records import make_plane

SAX, FOUR = CardiacView.SAX, CardiacView.FOUR_CHAMBER
DATA = Path(__file__).parents[3] / "shared" / "data"
SHAPE = {"rows": 64, "columns": 64, "spacing_mm": (3.5, 3.5), "n_slices": 3, "n_frames": 10}
ED_FRAME, ES_FRAME = 9, 4
"""Frames, from 0, that are annotated in these tests: not those that are found automatically."""
BOXES = ("--box", "5", "--gap", "14")


def study(key: str = "SYN-0001", **changes: object) -> SimpleStudy:
    return small_study(key, **{**SHAPE, **changes})


def sax_truth(simple: SimpleStudy) -> np.ndarray:
    return np.stack([heart_labels(simple.series[f"sax{level}"].plane, simple.centre_mm) for level in (1, 2, 3)])


def workspace(simple: SimpleStudy, frames: tuple[int, ...], *, owner: str = "Anna Annotator") -> bytes:
    """Contours of SAX and 4Ch at some frames."""
    images = {}
    for level, labels in enumerate(sax_truth(simple), start=1):
        files = write_cine(simple.study, simple.series[f"sax{level}"])
        for frame in frames:
            contours = [cvi42_contour(name, points) for name, points in polygons(labels, SAX).items()]
            images[files[frame].sop_instance_uid] = contours
    files = write_cine(simple.study, simple.series["4ch"])
    labels = heart_labels(simple.series["4ch"].plane, simple.centre_mm, atria=True)
    for frame in frames:
        images[files[frame].sop_instance_uid] = [cvi42_contour(name, points) for name, points in polygons(labels, FOUR).items()]
    return cvi42_workspace(images, owner=owner)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    for key, shift in (("SYN-0001", 0.0), ("SYN-0002", 30.0)):
        write_study(tmp_path / "dicom" / key, study(key, translation_mm=(shift, 0, 0)))
    return tmp_path / "dicom"


@pytest.fixture
def labels(tmp_path: Path) -> Path:
    folder = tmp_path / "labels"
    folder.mkdir()
    return folder


@pytest.fixture
def out(source: Path, tmp_path: Path) -> Path:
    assert run("extract", source, tmp_path / "out.h5", "--workers", 1, *BOXES).exit_code == 0
    return tmp_path / "out.h5"


def frames_of(out: Path) -> list[int]:
    with Catalogue(out) as catalogue:
        return [int(frame) - 1 for frame in catalogue.view_attributes("SYN-0001", SAX).frame_numbers[:, 0]]


def assert_labels(out: Path, simple: SimpleStudy, *, phases: int = 2, key: str = "SYN-0001", exact: bool = False) -> None:
    """Compare the SAX labels of a subject with the truth, slice by slice."""
    truth = sax_truth(simple)
    with Catalogue(out) as catalogue:
        annotated = catalogue.labelled_structures(key, SAX).any(axis=2)
        assert annotated.sum() == phases * 3
        for phase, level in np.argwhere(annotated):
            found = catalogue.labels(key, SAX, phase, level)
            if exact:
                np.testing.assert_array_equal(found, truth[level])
            for structure in (LV, MYO, RV):
                assert areas(found)[structure] == pytest.approx(areas(truth[level])[structure], rel=0.01)


def test_cvi42_needs_no_dicom_and_no_matching_order(out: Path, labels: Path) -> None:
    simple = study()
    with zipfile.ZipFile(labels / "SYN-0001_cvi42.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("anything.cvi42wsx", workspace(simple, tuple(frames_of(out))))
    shards = digests(out.parent / "out.shards")
    result = run("annotate", out, labels)
    assert result.exit_code == 0
    assert "1 subject with 8 annotated images" in result.output
    assert digests(out.parent / "out.shards") == shards
    assert_labels(out, simple)
    with Catalogue(out) as catalogue:
        assert {FOUR.value, SAX.value} == set(catalogue.annotations().view)
        four = catalogue.labels("SYN-0001", FOUR, 0, 0)
        assert set(np.unique(four)) == {0, *Structure}
        assert not catalogue.index(CardiacView.TWO_CHAMBER).is_annotated.any()


def test_nifti_in_the_style_of_every_source_is_found_beside_the_images(out: Path, labels: Path) -> None:
    simple, other = study(), study("SYN-0002", translation_mm=(30, 0, 0))
    planes = [simple.series[f"sax{level}"].plane for level in (1, 2, 3)]
    for phase in ("ED", "ES"):
        save_nifti(labels / "SYN-0001" / f"label_sa_{phase}.nii.gz", recode(sax_truth(simple), MNMS), planes, flips=[0, 2])
        save_nifti(labels / "SYN-0001" / f"seg_sa_{phase}.nii.gz", np.zeros_like(sax_truth(simple)), planes)
        save_nifti(labels / "SYN-0001" / f"sa_{phase}.nii.gz", np.full(sax_truth(simple).shape, 900, dtype=np.int16), planes)
    others = [other.series[f"sax{level}"].plane for level in (1, 2, 3)]
    save_nifti(labels / "SYN-0002_ed.nii.gz", recode(sax_truth(other), ACDC), others, axes=(1, 2, 0))
    result = run("annotate", out, labels / "SYN-0001")
    assert result.exit_code == 3, "a folder of one of two subjects does not tell which"
    assert run("annotate", out, labels, "-v").exit_code == 0
    assert_labels(out, simple, exact=True)
    assert run("annotate", out, labels / "SYN-0002_ed.nii.gz", "--classes", "1=RV,2=Myo,3=LV").exit_code == 0
    assert_labels(out, other, phases=1, key="SYN-0002", exact=True)


def test_dicom_segmentations_are_laid_on_the_phase_that_they_name(out: Path, labels: Path) -> None:
    simple = study()
    _, es = frames_of(out)
    files = [write_cine(simple.study, simple.series[f"sax{level}"])[es].data for level in (1, 2, 3)]
    (labels / "SYN-0001").mkdir()
    data = dicom_seg(files, sax_truth(simple), (LV, MYO, RV), ("LV", "Myocardium", "RV"))
    (labels / "SYN-0001" / "export.dcm").write_bytes(data)
    assert run("annotate", out, labels).exit_code == 0
    assert_labels(out, simple, phases=1, exact=True)
    with Catalogue(out) as catalogue:
        assert catalogue.index(SAX).select(catalogue.index(SAX).is_annotated).phase.tolist() == ["es"] * 3


def test_annotated_frames_take_the_place_of_the_automatic_choice(source: Path, out: Path, labels: Path, tmp_path: Path) -> None:
    simple = study()
    (labels / "SYN-0001.cvi42wsx").write_bytes(workspace(simple, (ED_FRAME, ES_FRAME)))
    assert frames_of(out) != [ED_FRAME, ES_FRAME]
    before = out.read_bytes()
    result = run("annotate", out, labels)
    assert result.exit_code in (0, 3)
    if result.exit_code == 3:
        assert "images with contours are not in the catalogue; extracting with these annotations keeps" in result.output
        assert out.read_bytes() == before
    chosen = tmp_path / "chosen.h5"
    arguments = ("extract", source, chosen, "--workers", 1, *BOXES, "--annotations", labels)
    assert run(*arguments).exit_code == 0
    assert frames_of(chosen) == [ED_FRAME, ES_FRAME]
    assert_labels(chosen, simple)
    with Catalogue(chosen) as catalogue:
        assert catalogue.view_attributes("SYN-0001", CardiacView.TWO_CHAMBER).frame_numbers[:, 0].tolist() == [
            ED_FRAME + 1,
            ES_FRAME + 1,
        ]
        assert (catalogue.index().has_positions == (catalogue.index().view != "3ch")).all()
    first = digests(tmp_path / "chosen.labels"), digests(tmp_path / "chosen.shards"), chosen.read_bytes()
    assert run(*arguments).exit_code == 0
    assert (digests(tmp_path / "chosen.labels"), digests(tmp_path / "chosen.shards"), chosen.read_bytes()) == first
    differs = run("extract", source, chosen, "--workers", 1, *BOXES)
    assert differs.exit_code == 1
    assert "was made with --annotations, which this command lacks;" in differs.output


def test_frames_annotated_at_one_phase_only_are_kept_as_such(source: Path, labels: Path, tmp_path: Path) -> None:
    (labels / "SYN-0001.cvi42wsx").write_bytes(workspace(study(), (ES_FRAME,)))
    out = tmp_path / "out.h5"
    assert run("extract", source, out, "--workers", 1, *BOXES, "--annotations", labels).exit_code == 0
    assert frames_of(out)[1] == ES_FRAME
    with Catalogue(out) as catalogue:
        assert catalogue.labelled_structures("SYN-0001", SAX).any(axis=2).tolist() == [[False] * 3, [True] * 3]
        assert any("SAX is annotated without ED" in note.sentence for note in catalogue.notes())


def test_every_frame_can_be_kept_and_labelled(source: Path, labels: Path, tmp_path: Path) -> None:
    (labels / "SYN-0001.cvi42wsx").write_bytes(workspace(study(), (2, 5, 7)))
    out = tmp_path / "out.h5"
    assert run("extract", source, out, "--workers", 1, *BOXES, "--phases", "all", "--annotations", labels).exit_code == 0
    with Catalogue(out) as catalogue:
        index = catalogue.index(SAX)
        assert sorted(set(index.select(index.is_annotated).phase_index.tolist())) == [2, 5, 7]


def test_annotated_views_are_kept_without_positions(labels: Path, tmp_path: Path) -> None:
    simple = study(views=("sax",))
    write_study(tmp_path / "dicom" / "SYN-0001", simple)
    write_study(tmp_path / "dicom" / "SYN-0002", study("SYN-0002", views=("sax",)))
    truth = sax_truth(simple)
    planes = [simple.series[f"sax{level}"].plane for level in (1, 2, 3)]
    save_nifti(labels / "SYN-0001" / "label_sa_ED.nii.gz", recode(truth, MNMS), planes)
    out = tmp_path / "out.h5"
    assert run("extract", tmp_path / "dicom", out, "--workers", 1, *BOXES, "--annotations", labels).exit_code == 0
    with Catalogue(out) as catalogue:
        assert catalogue.subjects().n_images.tolist() == [6, 0]
        assert not catalogue.index().has_positions.any()
        np.testing.assert_array_equal(catalogue.labels("SYN-0001", SAX, 0, 2), truth[2])


def test_extracting_again_keeps_labels_and_overwriting_removes_them(source: Path, out: Path, labels: Path) -> None:
    (labels / "SYN-0001.cvi42wsx").write_bytes(workspace(study(), tuple(frames_of(out))))
    run("annotate", out, labels)
    write_study(source / "SYN-0003", study("SYN-0003"))
    again = ("extract", source, out, "--workers", 1, *BOXES)
    assert run(*again).exit_code == 0
    with Catalogue(out) as catalogue:
        assert len(catalogue.subjects()) == 3
        assert catalogue.index().is_annotated.sum() == 8
    assert run(*again, "--overwrite").exit_code == 0
    with Catalogue(out) as catalogue:
        assert not catalogue.index().is_annotated.any()
        assert len(catalogue.annotations()) == 0


def _nifti(folder: Path, **changes: object) -> bytes:
    plane = study().series["sax1"].plane
    return save_nifti(folder / "x.nii.gz", np.ones((1, plane.rows, plane.columns), dtype=np.uint8), [plane]).read_bytes()


MALFORMED = {
    "cvi42": ("SYN-0001.cvi42wsx", lambda _: b"<x><y></x>", "is not well-formed XML"),
    "XML bomb": (
        "SYN-0001.cvi42wsx",
        lambda _: b'<!DOCTYPE x [<!ENTITY a "b"><!ENTITY c "&a;&a;">]><x>&c;</x>',
        "as an attack on XML readers does",
    ),
    "NIfTI": ("SYN-0001_label_sa_ED.nii.gz", lambda _: b"\x1f\x8b broken", "cannot be read as NIfTI"),
    "NIfTI without convention": ("SYN-0001.nii.gz", _nifti, "has a name from which its classes are not known"),
    "DICOM SEG": (
        "SYN-0001.dcm",
        lambda _: bytes(128) + b"DICM" + b"\x02\x00\x02\x00UI\x1a\x001.2.840.10008.5.1.4.1.1.66.4\x00" + b"\xff" * 99,
        "(dicom-seg)",
    ),
    "Sunnybrook": ("SYN-0001/IM-0001-0001-icontour-manual.txt", lambda _: b"a b\nc d\n", "is not a list of points"),
    "Sunnybrook, two points": ("SYN-0001/IM-0001-0001-icontour-manual.txt", lambda _: b"1 2\n3 4\n", "has 2 points"),
    "Medis": ("SYN-0001.con", lambda _: b"[XYCONTOUR]", "Medis .con files are not read"),
    "unknown": ("SYN-0001.jpg", lambda _: b"", "no annotation files in it"),
}


@pytest.mark.parametrize("case", MALFORMED)
def test_malformed_annotations_end_in_one_sentence_and_change_nothing(out: Path, labels: Path, tmp_path: Path, case: str) -> None:
    name, make, sentence = MALFORMED[case]
    path = labels / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(make(tmp_path))
    before = {file: file.read_bytes() for file in out.parent.rglob("*") if file.is_file() and "dicom" not in file.parts}
    result = run("annotate", out, labels, "--json")
    assert result.exit_code == 3
    findings = [each["sentence"] for each in json.loads(result.stdout)["left_out"]] if result.stdout else [result.stderr]
    assert len(findings) == 1
    assert sentence in " ".join(findings[0].split())
    assert {file: file.read_bytes() for file in out.parent.rglob("*") if file.is_file() and "dicom" not in file.parts} == before


def test_a_bad_file_does_not_cost_the_good_ones(out: Path, labels: Path) -> None:
    (labels / "SYN-0001.cvi42wsx").write_bytes(workspace(study(), tuple(frames_of(out))))
    (labels / "SYN-0001.old.cvi42wsx").write_bytes(b"no")
    (labels / "SYN-0009.cvi42wsx").write_bytes(workspace(study(), (0,)))
    result = run("annotate", out, labels)
    assert result.exit_code == 0
    assert "is not well-formed XML" in " ".join(result.output.split())
    assert "1 of 3 annotation files names no subject of the catalogue" in result.output
    assert_labels(out, study())
    assert run("annotate", out, labels, "--strict").exit_code == 1


def test_labels_of_another_patient_are_refused_with_the_distance(out: Path, labels: Path) -> None:
    other = study("SYN-0002", translation_mm=(30, 0, 0))
    planes = [other.series[f"sax{level}"].plane for level in (1, 2, 3)]
    save_nifti(labels / "SYN-0001_label_sa_ED.nii.gz", recode(sax_truth(other), MNMS), planes)
    result = run("annotate", out, labels, "--classes", "mnms")
    assert result.exit_code == 3
    assert "mm from the nearest SAX slice, and at most half a pixel is allowed" in " ".join(result.output.split())


def test_annotators_and_uids_reach_no_output(out: Path, labels: Path, source: Path) -> None:
    owner = "Anna Annotator"
    data = workspace(study(), tuple(frames_of(out)), owner=owner)
    (labels / "SYN-0001.cvi42wsx").write_bytes(data)
    printed = [run("annotate", out, labels, "-v").output, run("inspect", out, "-v").output]
    (subject, *_) = find_subjects([source])
    uids = {frame.sop_instance_uid for frame in read_subject(subject).frames}
    assert len(uids) > 50
    stored = b"".join(file.read_bytes() for file in (out, *out.parent.glob("out.*/*")))
    with h5py.File(out) as file:
        stored += b"".join(bytes(file["data/SYN-0001/sax/instance_digests"][()].ravel().tolist()[0]) for _ in range(1))
    for text in (owner, *uids):
        assert text.encode() not in stored
        assert not any(text in output for output in printed)


def test_inspect_counts_and_show_draws_labels(out: Path, labels: Path, tmp_path: Path) -> None:
    (labels / "SYN-0001.cvi42wsx").write_bytes(workspace(study(), tuple(frames_of(out))))
    plain = run("show", out, "-o", tmp_path / "plain")
    run("annotate", out, labels)
    found = json.loads(run("inspect", out, "--json").output)["annotations"]
    assert found["sax"]["n_subjects"] == found["sax"]["n_complete"] == 1
    assert (found["sax"]["n_images"], found["sax"]["n_slices"]) == (6, 3)
    assert found["sax"]["structure_images"] == {"background": 6, "LV": 6, "Myo": 6, "RV": 6, "LA": 0, "RA": 0}
    assert found["sax"]["sources"] == {"cvi42": 1}
    assert sum(found["4ch"]["pixel_shares"].values()) == pytest.approx(1)
    assert "Annotations" in run("inspect", out).output
    assert run("show", out, "-o", tmp_path / "labelled").exit_code == plain.exit_code == 0
    for name, differs in (("sax-001.png", True), ("2ch-001.png", False)):
        same = (tmp_path / "plain" / name).read_bytes() == (tmp_path / "labelled" / name).read_bytes()
        assert same is not differs


@pytest.mark.filterwarnings("ignore::UserWarning:pydicom")  # the files' own faults
@pytest.mark.skipif(not DATA.is_dir(), reason="the real scans are not at hand")
def test_sunnybrook_loads_from_its_zips(tmp_path: Path) -> None:
    """Volumes fall from ED to ES; LV and Myo at ED, LV only at ES; contours on the frames that they name."""
    out = tmp_path / "out.h5"
    source = DATA / "sunnybrook"
    assert run("extract", source, out, "--workers", 1, "--annotations", source, "--views", "sax").exit_code == 0
    with Catalogue(out) as catalogue:
        for key, numbers in (("SCD0000101", (19, 8)), ("SCD0000201", (20, 7))):
            attributes = catalogue.view_attributes(key, SAX)
            assert [tuple(set((row % 20).tolist())) for row in attributes.instance_numbers] == [
                (number % 20,) for number in numbers
            ]
            structures = catalogue.labelled_structures(key, SAX)
            assert structures[..., 1].sum(axis=1).tolist() == [9, 9]
            assert structures[..., 2].sum(axis=1).tolist() == [9, 0]
            volumes = [
                sum((catalogue.labels(key, SAX, phase, level) == 1).sum() for level in range(structures.shape[1]))
                for phase in (0, 1)
            ]
            assert 0.7 < volumes[1] / volumes[0] < 0.8
            for phase, level in np.argwhere(structures[..., 1]):
                image = catalogue.image(key, SAX, phase, level).astype(float)
                labels = catalogue.labels(key, SAX, phase, level)
                if structures[phase, level, 2] and (labels == 1).sum() > 400:
                    assert image[labels == 1].mean() > 1.3 * image[labels == 2].mean(), "blood is brighter than muscle"


@pytest.mark.skipif(not DATA.is_dir(), reason="the real scans are not at hand")
def test_an_acdc_image_loads_without_labels(tmp_path: Path) -> None:
    assert run("extract", "--nifti", DATA / "acdc_sample", tmp_path / "out.h5", "--workers", 1).exit_code == 0
    with Catalogue(tmp_path / "out.h5") as catalogue:
        attributes = catalogue.view_attributes("acdc_sample", SAX)
        assert (attributes.shape, attributes.phases) == ((2, 10, 192, 192), ("ed", "es"))


SLICES = [make_plane(SAX, along_mm=9.0 * level, matrix=(72, 64), spacing_mm=2.4) for level in range(4)]
NIFTI_TRUTH = np.stack([heart_labels(plane, SLICES[1].centre_mm) for plane in SLICES])
SMALLER = np.stack([heart_labels(plane, SLICES[1].centre_mm, scale=0.7) for plane in SLICES])


def images_of(labels: np.ndarray) -> np.ndarray:
    return (np.array([80, 600, 200, 500, 400, 400])[labels]).astype(np.int16)


def write_acdc(folder: Path, *, info: bool) -> None:
    for number, labels in ((1, NIFTI_TRUTH), (12, SMALLER)):
        stem = f"patient001_frame{number:02}"
        save_nifti(folder / "patient001" / f"{stem}.nii.gz", images_of(labels), SLICES)
        save_nifti(folder / "patient001" / f"{stem}_gt.nii.gz", recode(labels, ACDC), SLICES)
    if info:
        (folder / "patient001" / "Info.cfg").write_text("ED: 1\nES: 12\nGroup: NOR\n")


def write_mnms(folder: Path) -> None:
    cine = np.stack([images_of(NIFTI_TRUTH if frame % 9 < 3 else SMALLER) for frame in range(9)], axis=-1)
    labels = np.zeros(cine.shape, dtype=np.uint8)
    labels[..., 7], labels[..., 0] = recode(SMALLER, MNMS), recode(NIFTI_TRUTH, MNMS)
    save_nifti(folder / "A0S9V9" / "A0S9V9_sa.nii.gz", cine, SLICES)
    save_nifti(folder / "A0S9V9" / "A0S9V9_sa_gt.nii.gz", labels, SLICES)


def write_mnms2(folder: Path) -> None:
    plane = make_plane(FOUR, matrix=(72, 64), spacing_mm=2.4)
    for phase, labels in (("ED", NIFTI_TRUTH), ("ES", SMALLER)):
        save_nifti(folder / "001" / f"001_SA_{phase}.nii.gz", images_of(labels), SLICES)
        save_nifti(folder / "001" / f"001_SA_{phase}_gt.nii.gz", recode(labels, MNMS), SLICES)
        long_axis = heart_labels(plane, plane.centre_mm)[None]
        save_nifti(folder / "001" / f"001_LA_{phase}.nii.gz", images_of(long_axis).astype(np.float32) / 7, [plane])
        save_nifti(folder / "001" / f"001_LA_{phase}_gt.nii.gz", recode(long_axis, MNMS), [plane])
    save_nifti(folder / "001" / "001_SA_CINE.nii.gz", np.stack([images_of(NIFTI_TRUTH)] * 5, axis=-1), SLICES)


@pytest.mark.parametrize(
    ("write", "key", "frames", "views"),
    [
        pytest.param(lambda folder: write_acdc(folder, info=True), "patient001", [1, 12], {"sax"}, id="ACDC"),
        pytest.param(lambda folder: write_acdc(folder, info=False), "patient001", [1, 12], {"sax"}, id="ACDC without Info.cfg"),
        pytest.param(write_mnms, "A0S9V9", [1, 8], {"sax"}, id="M&Ms"),
        pytest.param(write_mnms2, "001", [1, 2], {"sax", "4ch"}, id="M&Ms-2"),
    ],
)
def test_public_sets_become_annotated_images(tmp_path: Path, write, key: str, frames: list[int], views: set[str]) -> None:
    write(tmp_path / "set")
    out = tmp_path / "out.h5"
    result = run("extract", "--nifti", tmp_path / "set", out, "--workers", 1)
    assert result.exit_code == 0, result.output
    with Catalogue(out) as catalogue:
        assert set(catalogue.views().view) == views
        assert catalogue.index().is_annotated.all()
        attributes = catalogue.view_attributes(key, SAX)
        assert attributes.phases == ("ed", "es")
        assert attributes.frame_numbers[:, 0].tolist() == frames
        order = [
            int(np.argmin([np.abs(plane.position_mm - one.position_mm).max() for one in SLICES])) for plane in attributes.planes
        ]
        for level, place in enumerate(order):
            np.testing.assert_array_equal(catalogue.labels(key, SAX, 0, level), NIFTI_TRUTH[place])
            np.testing.assert_array_equal(catalogue.labels(key, SAX, 1, level), SMALLER[place])
            np.testing.assert_array_equal(catalogue.image(key, SAX, 0, level), images_of(NIFTI_TRUTH[place]))
        if "4ch" in views:
            stored = catalogue.view_attributes(key, FOUR)
            slope, intercept = stored.rescale[0, 0]
            assert catalogue.image(key, FOUR, 0, 0).max() * slope + intercept == pytest.approx(600 / 7, rel=1e-4)
    first = digests(tmp_path / "out.shards")
    assert run("extract", "--nifti", tmp_path / "set", out, "--workers", 1, "--overwrite").exit_code == 0
    assert digests(tmp_path / "out.shards") == first


def test_all_frames_of_a_public_cine_can_be_kept(tmp_path: Path) -> None:
    write_mnms(tmp_path / "set")
    out = tmp_path / "out.h5"
    assert run("extract", "--nifti", tmp_path / "set", out, "--workers", 1, "--phases", "all").exit_code == 0
    with Catalogue(out) as catalogue:
        index = catalogue.index()
        assert len(index) == 9 * 4
        assert sorted(set(index.select(index.is_annotated).phase_index.tolist())) == [0, 7]


def test_faults_of_public_sets_end_in_sentences(tmp_path: Path) -> None:
    folder = tmp_path / "set"
    write_acdc(folder, info=False)
    (folder / "patient002").mkdir()
    (folder / "patient002" / "patient002_frame01.nii.gz").write_bytes(b"broken")
    skewed = save_nifti(folder / "patient003" / "patient003_frame01.nii.gz", images_of(NIFTI_TRUTH), SLICES)
    import nibabel

    image = nibabel.load(skewed)
    affine = image.affine.copy()
    affine[:3, 0] += 0.4 * affine[:3, 1]
    nibabel.save(nibabel.Nifti1Image(np.asanyarray(image.dataobj), affine), skewed)
    assert run("extract", "--nifti", folder, tmp_path / "out.h5", "--views", "sax", "--workers", 1).exit_code == 0
    with Catalogue(tmp_path / "out.h5") as catalogue:
        sentences = {rejection.subject: rejection.sentence for rejection in catalogue.rejections()}
    assert set(sentences) == {"patient002", "patient003"}
    assert "cannot be read as NIfTI" in sentences["patient002"]
    assert "skewed" in sentences["patient003"]
    empty = tmp_path / "empty"
    empty.mkdir()
    assert run("extract", "--nifti", empty, tmp_path / "none.h5").exit_code == 3
    both = run("extract", "--nifti", folder, tmp_path / "x.h5", "--annotations", folder)
    assert both.exit_code == 2
    assert extract(empty, tmp_path / "y.h5", "--classes", "acdc").exit_code == 2
