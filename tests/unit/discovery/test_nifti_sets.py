"""Subjects of public sets are found by folder or by name, each under a key of its own."""

from pathlib import Path

import pytest

from cmr_planes.discovery.nifti_sets import find_nifti_subjects
from cmr_planes.errors import SourceError


def touch(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def test_folders_of_one_name_get_keys_of_their_own(tmp_path: Path) -> None:
    touch(*(tmp_path / part / "001" / "001_SA_ED.nii.gz" for part in ("a", "b")), tmp_path / "c" / "001__2" / "sa_ED.nii.gz")
    subjects = find_nifti_subjects([tmp_path / "a", tmp_path / "b", tmp_path / "c"])
    assert {subject.key: subject.root.name for subject in subjects} == {"001": "a", "001__2": "c", "001__3": "b"}


def test_files_of_several_subjects_in_one_folder_are_told_apart_by_name(tmp_path: Path) -> None:
    touch(*(tmp_path / f"{name}.nii" for name in ("B-2_sa", "B-2_sa_gt", "A1_LA_ED", "A1_LA_ED_gt", "sa_ES")))
    found = {subject.key: [path.stem for path in subject.paths] for subject in find_nifti_subjects([tmp_path])}
    assert found == {"A1": ["A1_LA_ED", "A1_LA_ED_gt"], "B-2": ["B-2_sa", "B-2_sa_gt"], tmp_path.name: ["sa_ES"]}


def test_a_folder_without_images_is_refused(tmp_path: Path) -> None:
    touch(tmp_path / "notes.txt", tmp_path / ".hidden.nii")
    with pytest.raises(SourceError, match="no NIfTI files in it; give the folder of a public set"):
        find_nifti_subjects([tmp_path])
