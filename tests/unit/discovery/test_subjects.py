"""Which subjects are found in which layouts of folders and zips."""

import hashlib
import os
import re
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from cmr_planes.discovery.subjects import SubjectSource, find_subjects
from cmr_planes.errors import SourceError
from cmr_planes.phantom.dicom_model import Override
from cmr_planes.phantom.dicom_writer import write_cine
from cmr_planes.phantom.small_study import simple_study
from tests.helpers.headers import read_subject

DATA = Path(__file__).resolve().parents[3].parent / "shared" / "data"
NO_UIDS: dict[str, Override] = {
    "StudyInstanceUID": "",
    "SeriesInstanceUID": "",
    "FrameOfReferenceUID": "",
    "StudyDate": "",
    "StudyTime": "",
    "PatientID": "",
}
LAYOUT = {"lax_2ch": "2ch", "lax_4ch": "4ch", "sax_1": "sax1"}


def write_series(
    folder: Path, name: str, overrides: dict[str, Override] | None = None, views: Sequence[str] = ("2ch", "4ch")
) -> None:
    """Write a few tiny files of a study, without suffix, one folder a view."""
    study = simple_study(name=name, n_slices=1, n_frames=2, rows=8, columns=8, views=views, overrides=overrides or {})
    for key, series in study.series.items():
        (folder / f"Series_{key}").mkdir(parents=True, exist_ok=True)
        for index, file in enumerate(write_cine(study.study, series)):
            (folder / f"Series_{key}" / f"{index}").write_bytes(file.data)


def write_flat(
    folder: Path, *names: str, overrides: dict[str, Override] | None = None, views: Sequence[str] = ("2ch", "4ch")
) -> None:
    """Write a few tiny files of one study or more into one folder, without suffix."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        study = simple_study(name=name, n_slices=1, n_frames=2, rows=8, columns=8, views=views, overrides=overrides or {})
        files = [file for series in study.series.values() for file in write_cine(study.study, series)]
        for index, file in enumerate(files):
            (folder / f"{name}{index:03d}").write_bytes(file.data)


def touch(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def keys(subjects: Sequence[SubjectSource]) -> list[str]:
    return [subject.key for subject in subjects]


def n_frames(subject: SubjectSource) -> int:
    return len(read_subject(subject).frames)


# UK Biobank


def test_long_and_short_axis_zips_of_one_visit_are_one_subject(tmp_path: Path) -> None:
    zips = [
        tmp_path / f"{stem}.zip" for stem in ("9000001_20208_2_0", "9000001_20209_2_0", "9000001_20209_3_0", "9000002_20209_2_0")
    ]
    touch(*zips)
    subjects = find_subjects([tmp_path])
    assert keys(subjects) == ["9000001_2", "9000001_3", "9000002_2"]
    assert [subject.participant for subject in subjects] == ["9000001", "9000001", "9000002"]
    assert subjects[0].paths == (zips[0], zips[1])
    assert subjects[0].root == tmp_path


def test_array_indices_join_and_other_fields_are_ignored(tmp_path: Path) -> None:
    touch(*(tmp_path / f"9000001_{rest}.zip" for rest in ("20209_2_1", "20209_2_0", "20207_2_0", "20210_2_0", "20214_2_0")))
    (subject,) = find_subjects([tmp_path])
    assert [path.name for path in subject.paths] == ["9000001_20209_2_0.zip", "9000001_20209_2_1.zip"]


def test_zips_may_lie_at_any_depth_and_in_several_sources(tmp_path: Path) -> None:
    long_axis, short_axis = tmp_path / "Long axis", tmp_path / "Short axis"
    touch(long_axis / "90" / "9000001_20208_2_0.zip", short_axis / "90" / "9000001_20209_2_0.zip")
    together = find_subjects([tmp_path])
    apart = find_subjects([short_axis, long_axis])
    assert keys(together) == keys(apart) == ["9000001_2"]
    assert together[0].paths == apart[0].paths == (long_axis / "90/9000001_20208_2_0.zip", short_axis / "90/9000001_20209_2_0.zip")


def test_unpacked_folders_of_these_names_join_likewise(tmp_path: Path) -> None:
    write_flat(tmp_path / "9000001_20208_2_0", "A")
    touch(tmp_path / "9000001_20209_2_0.zip", tmp_path / "9000001_20207_2_0" / "image.dcm")
    (subject,) = find_subjects([tmp_path])
    assert [path.name for path in subject.paths] == ["9000001_20208_2_0", "9000001_20209_2_0.zip"]
    (alone,) = find_subjects([tmp_path / "9000001_20208_2_0"])
    assert alone.key == "9000001_2"


def test_a_zip_wins_over_its_unpacked_copy(tmp_path: Path) -> None:
    touch(tmp_path / "9000001_20209_2_0.zip", tmp_path / "9000001_20209_2_0" / "a.dcm", tmp_path / "p7.zip")
    write_series(tmp_path / "p7" / "dicom", "A")
    assert [(subject.key, [path.name for path in subject.paths]) for subject in find_subjects([tmp_path])] == [
        ("9000001_2", ["9000001_20209_2_0.zip"]),
        ("p7", ["p7.zip"]),
    ]


def test_only_other_fields_is_said_so(tmp_path: Path) -> None:
    touch(tmp_path / "9000001_20210_2_0.zip")
    with pytest.raises(SourceError, match="only UK Biobank fields other than 20208 and 20209"):
        find_subjects([tmp_path])


def test_planning_opens_no_zip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    touch(*(tmp_path / f"{9_000_001 + number}_20209_2_0.zip" for number in range(300)))

    def refuse(*args: object, **kwargs: object) -> int:
        raise AssertionError("a file was opened")

    monkeypatch.setattr(os, "open", refuse)
    monkeypatch.setattr(zipfile, "ZipFile", refuse)
    assert len(find_subjects([tmp_path])) == 300


# other zips and single files


def test_other_zips_are_called_by_their_stem_and_collisions_by_their_path(tmp_path: Path) -> None:
    touch(tmp_path / "p1.zip", tmp_path / "a" / "p2.ZIP", tmp_path / "b" / "p2.zip")
    assert keys(find_subjects([tmp_path])) == ["a__p2", "b__p2", "p1"]


@pytest.mark.parametrize(
    ("name", "key"),
    [("9000001_20209_2_0.zip", "9000001_2"), ("case.zip", "case"), ("image.dcm", "image"), ("50907204", "50907204")],
)
def test_a_single_file_is_a_source(tmp_path: Path, name: str, key: str) -> None:
    touch(tmp_path / name)
    (subject,) = find_subjects([tmp_path / name])
    assert (subject.key, subject.paths) == (key, (tmp_path / name,))


# folders


def test_a_folder_for_each_subject_at_any_depth(tmp_path: Path) -> None:
    for name in ("p1", "p2", "p3"):
        write_series(tmp_path / "cohort" / name / "study" / "dicom", name)
    subjects = find_subjects([tmp_path])
    assert keys(subjects) == ["p1", "p2", "p3"]
    assert [n_frames(subject) for subject in subjects] == [4, 4, 4]


def test_one_study_is_one_subject_called_by_its_folder(tmp_path: Path) -> None:
    write_series(tmp_path / "case 7", "A")
    (subject,) = find_subjects([tmp_path / "case 7"])
    assert (subject.key, subject.participant, n_frames(subject)) == ("case 7", "case 7", 4)
    (the_same,) = find_subjects([tmp_path])
    assert the_same.key == "case 7"


@pytest.mark.parametrize("overrides", [NO_UIDS, {**NO_UIDS, "StudyTime": "101112.5"}], ids=["nothing known", "study time known"])
def test_series_folders_without_uids_are_one_study(tmp_path: Path, overrides: dict[str, Override]) -> None:
    write_series(tmp_path / "case", "A", overrides, views=("sax", "2ch", "3ch", "4ch"))
    (subject,) = find_subjects([tmp_path / "case"])
    assert (subject.key, n_frames(subject)) == ("case", 8)


@pytest.mark.parametrize("known", ["", "PatientID", "StudyTime"])
def test_subject_folders_without_study_uids_are_subjects(tmp_path: Path, known: str) -> None:
    for number, name in enumerate(("p1", "p2", "p3")):
        write_series(tmp_path / name, name, {**NO_UIDS, **({known: f"10111{number}"} if known else {})})
    assert keys(find_subjects([tmp_path])) == ["p1", "p2", "p3"]


def test_flat_subject_folders_without_uids_are_subjects_if_they_hold_several_series(tmp_path: Path) -> None:
    for name in ("p1", "p2"):
        write_flat(tmp_path / name, name, overrides=NO_UIDS)
    subjects = find_subjects([tmp_path])
    assert keys(subjects) == ["p1", "p2"]
    assert [n_frames(subject) for subject in subjects] == [4, 4]


def test_kaggle_layout(tmp_path: Path) -> None:
    for folder, name in (("train", "1"), ("train", "2"), ("validate", "501")):
        study = simple_study(name=name, n_slices=2, n_frames=2, rows=8, columns=8, views=("sax", "2ch", "4ch"))
        for key, series in study.series.items():
            target = tmp_path / folder / name / "study" / {"sax1": "sax_5", "sax2": "sax_6", "2ch": "2ch_21", "4ch": "4ch_22"}[key]
            target.mkdir(parents=True)
            for index, file in enumerate(write_cine(study.study, series)):
                (target / f"IM-4562-{index + 1:04d}.dcm").write_bytes(file.data)
    subjects = find_subjects([tmp_path])
    assert keys(subjects) == ["1", "2", "501"]
    assert [n_frames(subject) for subject in subjects] == [8, 8, 8]
    assert keys(find_subjects([tmp_path / "validate"])) == ["501"]


def test_a_flat_folder_of_several_studies_is_a_subject_each(tmp_path: Path) -> None:
    write_flat(tmp_path / "export", "A", "B", "C")
    subjects = find_subjects([tmp_path / "export"])
    uids = [simple_study(name=name).study.study_uid for name in "ABC"]
    assert keys(subjects) == sorted(hashlib.sha256(uid.encode()).hexdigest()[:12] for uid in uids)
    assert all(re.fullmatch("[0-9a-f]{12}", key) for key in keys(subjects))
    for subject in subjects:
        frames = read_subject(subject).frames
        assert len(frames) == 4
        assert len({frame.study_uid for frame in frames}) == 1
        assert not any(uid in repr(subject) for uid in uids)


def test_a_flat_folder_of_one_study_keeps_its_name(tmp_path: Path) -> None:
    write_flat(tmp_path / "case", "A")
    assert [(subject.key, subject.paths) for subject in find_subjects([tmp_path / "case"])] == [("case", (tmp_path / "case",))]


def test_series_folders_of_two_studies_are_sorted_by_study(tmp_path: Path) -> None:
    for number, name in enumerate(("A", "B", "A", "B")):
        write_flat(tmp_path / f"SER{number:04d}", name, views=("2ch",) if number < 2 else ("4ch",))
    subjects = find_subjects([tmp_path])
    assert [len(subject.paths) for subject in subjects] == [2, 2]
    studies = [{frame.study_uid for frame in read_subject(subject).frames} for subject in subjects]
    assert sorted(studies, key=min) == sorted(({simple_study(name=name).study.study_uid} for name in "AB"), key=min)


def test_visits_are_called_by_person_and_visit_and_share_the_participant(tmp_path: Path) -> None:
    for site, person, visit in (("a", "p1", "visit1"), ("a", "p1", "visit2"), ("a", "p2", "visit1"), ("b", "p3", "visit1")):
        write_series(tmp_path / site / person / visit, f"{person}{visit}")
    assert [(subject.key, subject.participant) for subject in find_subjects([tmp_path])] == [
        ("p1__visit1", "p1"),
        ("p1__visit2", "p1"),
        ("p2__visit1", "p2"),
        ("p3__visit1", "p3"),
    ]


def test_persons_of_one_name_at_two_sites_are_two_participants(tmp_path: Path) -> None:
    for site in ("a", "b"):
        write_series(tmp_path / site / "p1", site)
    subjects = find_subjects([tmp_path])
    assert [(subject.key, subject.participant) for subject in subjects] == [("a__p1", "a__p1"), ("b__p1", "b__p1")]


def test_files_of_a_study_beside_its_subfolders_belong_to_it(tmp_path: Path) -> None:
    write_series(tmp_path / "case", "A")
    write_flat(tmp_path / "case", "A", views=("3ch",))
    (subject,) = find_subjects([tmp_path / "case"])
    assert n_frames(subject) == 6


def test_files_beside_subject_folders_are_a_subject_of_their_own(tmp_path: Path) -> None:
    write_series(tmp_path / "cohort" / "p1", "A")
    write_series(tmp_path / "cohort" / "p2", "B")
    write_flat(tmp_path / "cohort", "C", views=("3ch",))
    subjects = find_subjects([tmp_path / "cohort"])
    assert [(subject.key, n_frames(subject)) for subject in subjects] == [("cohort", 2), ("p1", 4), ("p2", 4)]


def test_overlapping_sources_give_no_subject_twice(tmp_path: Path) -> None:
    write_series(tmp_path / "p1", "A")
    write_series(tmp_path / "p2", "B")
    assert keys(find_subjects([tmp_path, tmp_path / "p1"])) == ["p1", "p2"]


def test_what_is_no_image_is_skipped(tmp_path: Path) -> None:
    write_series(tmp_path / "case", "A")
    names = (".hidden/x", "__MACOSX/._1", "Series_2ch/.DS_Store", "DICOMDIR", "report.pdf", "notes.txt", "contours/i.txt")
    touch(*(tmp_path / "case" / name for name in names))
    (subject,) = find_subjects([tmp_path / "case"])
    scan = read_subject(subject)
    assert (scan.n_files, len(scan.frames), scan.unreadable) == (4, 4, ())


# what can go wrong


@pytest.mark.parametrize(
    "make",
    [
        lambda path: path.mkdir(),
        lambda path: touch(path / "a.pdf", path / "sub" / "b.pdf"),
        lambda path: touch(path / "DICOMDIR"),
    ],
    ids=["empty", "folder of PDFs", "only DICOMDIR"],
)
def test_nothing_usable_is_an_error_that_says_so(tmp_path: Path, make: Callable[[Path], None]) -> None:
    make(tmp_path / "source")
    with pytest.raises(SourceError, match="no DICOM files and no zips"):
        find_subjects([tmp_path / "source"])


def test_a_missing_path_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no such file or directory"):
        find_subjects([tmp_path / "nowhere"])


def test_a_pdf_is_no_source(tmp_path: Path) -> None:
    touch(tmp_path / "report.pdf")
    with pytest.raises(SourceError, match="neither a folder, nor a zip, nor a DICOM file"):
        find_subjects([tmp_path / "report.pdf"])


@pytest.mark.posix
def test_links_in_circles_end_and_links_to_subjects_are_followed(tmp_path: Path) -> None:
    write_series(tmp_path / "elsewhere" / "p1", "A")
    write_series(tmp_path / "elsewhere" / "p2", "B")
    cohort = tmp_path / "cohort"
    cohort.mkdir()
    (cohort / "p1").symlink_to(tmp_path / "elsewhere" / "p1")
    (cohort / "p2").symlink_to(tmp_path / "elsewhere" / "p2")
    (tmp_path / "elsewhere" / "p1" / "again").symlink_to(cohort)
    (cohort / "self").symlink_to(cohort / "self")
    (cohort / "nowhere").symlink_to(tmp_path / "missing")
    subjects = find_subjects([cohort])
    assert keys(subjects) == ["p1", "p2"]
    assert [n_frames(subject) for subject in subjects] == [4, 4]


@pytest.mark.posix
def test_a_link_to_a_folder_above_brings_in_no_others(tmp_path: Path) -> None:
    write_series(tmp_path / "archive" / "cohort" / "p1", "A")
    write_series(tmp_path / "archive" / "others" / "p9", "B")
    (tmp_path / "archive" / "cohort" / "up").symlink_to(tmp_path / "archive")
    assert keys(find_subjects([tmp_path / "archive" / "cohort"])) == ["p1"]


# real scans


@pytest.mark.skipif(not DATA.is_dir(), reason="the real scans are not here")
def test_the_real_scans() -> None:
    (siemens,) = find_subjects([DATA / "siemens_cine_case"])
    assert siemens.key == "siemens_cine_case"
    assert n_frames(siemens) == 110
    assert keys(find_subjects([DATA / "siemens_cine_case", DATA / "sunnybrook"])) == [
        "SCD0000101",
        "SCD0000201",
        "siemens_cine_case",
    ]
    assert keys(find_subjects([DATA])) == ["SCD0000101", "SCD0000201", "acdc_sample", "siemens_cine_case"]


def test_a_folder_of_nifti_files_is_answered_with_the_command_that_reads_them(tmp_path: Path) -> None:
    touch(tmp_path / "acdc" / "patient001" / "patient001_frame01.nii.gz")
    with pytest.raises(SourceError, match="NIfTI files and no DICOM files or zips in it; 'cmr-planes extract --nifti' makes"):
        find_subjects([tmp_path / "acdc"])
