"""Positions on NIfTI images whose other views are stated in a table: the same as from the DICOM headers."""

from collections.abc import Callable
from pathlib import Path

import nibabel
import numpy as np
import pytest
from click.testing import CliRunner, Result

import cmr_planes
from cmr_planes.cli import main
from cmr_planes.nifti.plane_table import COLUMNS, DIRECTION_COLUMNS, read_plane_table
from cmr_planes.nifti.writing import stack_affine_ras
from cmr_planes.views import TARGET_VIEWS, CardiacView
from tests.helpers.cohorts import write_key

HEAD = ",".join(COLUMNS)


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two phantom subjects, extracted from DICOM, and their images as NIfTI files of each view alone."""
    folder = tmp_path_factory.mktemp("stated")
    phantom = ["phantom", folder / "coh", "-n", 2, "--seed", 5, "--frames", 8, "--slices", 5]
    run(*map(str, phantom), "--rows", "96", "--columns", "104", "--spacing", "3.0", "--workers", "1")
    assert run("extract", folder / "coh/dicom", folder / "dicom.h5", "--workers", "1").exit_code == 0
    with cmr_planes.Catalogue(folder / "dicom.h5") as catalogue:
        for subject in catalogue.subjects().key:
            for view in TARGET_VIEWS:
                write_volumes(folder / "nifti" / view.value / subject, catalogue, subject, view)
    return folder


def write_volumes(folder: Path, catalogue: cmr_planes.Catalogue, subject: str, view: CardiacView) -> None:
    folder.mkdir(parents=True)
    attributes = catalogue.view_attributes(subject, view)
    affine = stack_affine_ras(np.stack([plane.patient_from_pixel for plane in attributes.planes]))
    for phase in attributes.phases:
        slices = [catalogue.image(subject, view, phase, index) for index in range(len(attributes.planes))]
        values = np.stack(slices).transpose(2, 1, 0).astype(np.int16)
        nibabel.save(nibabel.Nifti1Image(values, affine), folder / f"{view.value}_{phase}.nii.gz")


def centres_px(out: Path, view: CardiacView) -> dict[str, np.ndarray]:
    with cmr_planes.Catalogue(out) as catalogue:
        attributes = {key: catalogue.view_attributes(key, view) for key in catalogue.subjects().key}
    return {key: of_view.boxes.centres_px for key, of_view in attributes.items() if of_view.boxes is not None}


@pytest.mark.parametrize("view", TARGET_VIEWS)
def test_positions_are_those_of_the_dicom_headers(cohort: Path, tmp_path: Path, view: CardiacView) -> None:
    result = run(
        "extract", "--nifti", cohort / "nifti" / view.value, tmp_path / "out.h5", "--planes", cohort / "coh/truth/stated_planes.csv"
    )
    assert result.exit_code == 0, result.output
    expected, found = centres_px(cohort / "dicom.h5", view), centres_px(tmp_path / "out.h5", view)
    assert found.keys() == expected.keys()
    for key, centres in found.items():
        np.testing.assert_allclose(centres, expected[key], atol=0.01)
    assert "only as good as that table" in run("inspect", tmp_path / "out.h5").output


def test_files_whose_voxel_sizes_are_lost_get_no_positions(cohort: Path, tmp_path: Path) -> None:
    """Cutting images of ACDC with nibabel's slicer makes each voxel 1 × 1 × 1 mm: planes in mm say nothing about them."""
    for source in sorted((cohort / "nifti/sax").rglob("*.nii.gz")):
        affine = nibabel.load(source).affine.copy()
        affine[:3, :3] /= np.linalg.norm(affine[:3, :3], axis=0)
        target = tmp_path / "sizeless" / source.parent.name / source.name
        target.parent.mkdir(parents=True, exist_ok=True)
        nibabel.save(nibabel.Nifti1Image(np.asarray(nibabel.load(source).dataobj), affine), target)
    out = tmp_path / "out.h5"
    result = run(
        "extract", "--nifti", tmp_path / "sizeless", out, "--planes", cohort / "coh/truth/stated_planes.csv", "--units", "mm"
    )
    assert result.exit_code == 0, result.output
    assert "The voxel sizes of 2 views are not those of a heart (no_sizes)" in " ".join(result.output.split())
    assert "Positions need" not in result.output
    assert "No positions:" not in result.output  # all views are there: the sizes are what lacks
    assert centres_px(out, CardiacView.SAX) == {}
    with cmr_planes.Catalogue(out) as catalogue:
        reasons = {note.code.value: note.sentence for note in catalogue.notes()}
        assert catalogue.image(catalogue.subjects().key[0], "sax", "ed", 0).any()
    assert "the SAX file has voxel sizes that no heart has" in reasons["no_positions"]
    assert "a stack 4 mm long are not those of a heart" in reasons["no_sizes"]


def test_stated_directions_take_the_place_of_the_files(cohort: Path, tmp_path: Path) -> None:
    """A file turned as a whole, as sets without directions are, gives the same boxes if the table turns with it."""
    turn = np.array([[0.0, 0, 1], [1, 0, 0], [0, 1, 0]]) @ np.diag([1.0, -1, -1])
    for source in sorted((cohort / "nifti/sax").rglob("*.nii.gz")):
        image = nibabel.load(source)
        affine = image.affine.copy()
        affine[:3] = turn @ affine[:3]
        target = tmp_path / "turned" / source.parent.name / source.name
        target.parent.mkdir(parents=True, exist_ok=True)
        nibabel.save(nibabel.Nifti1Image(np.asarray(image.dataobj), affine), target)
    lines = [",".join([HEAD, *DIRECTION_COLUMNS])]
    for line in (cohort / "coh/truth/stated_planes.csv").read_text().splitlines()[1:]:
        subject, view, *cells = line.split(",")
        point, normal = turn @ np.array(cells[:3], float), turn @ np.array(cells[3:], float)
        anterior, left = turn @ [0, 1, 0], turn @ [-1, 0, 0]
        lines.append(",".join([subject, view, *map(str, (*point, *normal, *anterior, *left))]))
    (tmp_path / "planes.csv").write_text("\n".join(lines))
    result = run("extract", "--nifti", tmp_path / "turned", tmp_path / "out.h5", "--planes", tmp_path / "planes.csv")
    assert result.exit_code == 0, result.output
    expected, found = centres_px(cohort / "dicom.h5", CardiacView.SAX), centres_px(tmp_path / "out.h5", CardiacView.SAX)
    assert found.keys() == expected.keys()
    for key, centres in found.items():
        np.testing.assert_allclose(
            centres[np.argsort(centres[:, 0, 0])], expected[key][np.argsort(expected[key][:, 0, 0])], atol=0.01
        )


def edited(cohort: Path, tmp_path: Path, edit: Callable[[list[str]], list[str]]) -> Path:
    path = tmp_path / "planes.csv"
    lines = (cohort / "coh/truth/stated_planes.csv").read_text().splitlines()
    path.write_text("\n".join([lines[0], *edit(lines[1:])]) + "\n")
    return path


def shift(line: str, by_mm: float) -> str:
    subject, view, x, *rest = line.split(",")
    return ",".join([subject, view, str(float(x) + by_mm), *rest])


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (lambda rows: [row for row in rows if ",2ch," not in row], "it has no row for this subject and view"),
        (lambda rows: [row.replace(",2ch,", ",two,") for row in rows], "row 3: the view is 'two'"),
        (lambda rows: [shift(row, 400) if ",2ch," in row else row for row in rows], "outside the image"),
        (lambda rows: [*rows, *(row for row in rows if ",2ch," in row)], "rows 3 and 8: 2 planes of the 2Ch view"),
    ],
)
def test_a_bad_row_is_noted_and_the_image_kept(
    cohort: Path, tmp_path: Path, edit: Callable[[list[str]], list[str]], words: str
) -> None:
    table = edited(cohort, tmp_path, edit)
    result = run("extract", "--nifti", cohort / "nifti/sax", tmp_path / "out.h5", "--planes", table, "--views", "sax")
    assert result.exit_code == 0, result.output
    with cmr_planes.Catalogue(tmp_path / "out.h5") as catalogue:
        first = catalogue.subjects().key[0]
        sentences = [note.sentence for note in (*catalogue.notes(), *catalogue.rejections()) if note.subject == first]
        assert catalogue.view_attributes(first, "sax").boxes is None
    assert any(words in sentence for sentence in sentences), sentences


def test_pseudonymised_subjects_find_their_rows(cohort: Path, tmp_path: Path) -> None:
    key = write_key(tmp_path / "secret")
    table = cohort / "coh/truth/stated_planes.csv"
    result = run(
        "extract", "--nifti", cohort / "nifti/4ch", tmp_path / "out.h5", "--planes", table, "--pseudonymise", key, "--workers", "1"
    )
    assert result.exit_code == 0, result.output
    assert len(centres_px(tmp_path / "out.h5", CardiacView.FOUR_CHAMBER)) == 2


def test_another_table_makes_another_catalogue(cohort: Path, tmp_path: Path) -> None:
    arguments = ["extract", "--nifti", cohort / "nifti/sax", tmp_path / "out.h5", "--planes"]
    assert run(*arguments, cohort / "coh/truth/stated_planes.csv").exit_code == 0
    result = run(*arguments, edited(cohort, tmp_path, lambda rows: rows[:3]))
    assert result.exit_code == 1
    assert "another table of planes" in result.output


def test_rows_of_absent_subjects_are_counted(cohort: Path, tmp_path: Path) -> None:
    table = edited(cohort, tmp_path, lambda rows: [*rows, "absent,2ch,0,0,0,1,0,0"])
    result = run("extract", "--nifti", cohort / "nifti/sax", tmp_path / "out.h5", "--planes", table)
    assert "rows of 1 subject not in the sources, and of 2 in them" in " ".join(result.output.split())


def test_a_table_goes_with_nifti_only(cohort: Path, tmp_path: Path) -> None:
    result = run("extract", cohort / "coh/dicom", tmp_path / "out.h5", "--planes", cohort / "coh/truth/stated_planes.csv")
    assert result.exit_code == 2
    assert "--planes goes with --nifti" in result.output
    options = cmr_planes.ExtractOptions
    with pytest.raises(ValueError, match="for NIfTI sources"):
        options(planes=read_plane_table(cohort / "coh/truth/stated_planes.csv"))
