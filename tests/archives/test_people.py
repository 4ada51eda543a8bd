"""Archives of several persons: whose files become which subject."""

import json
import shutil
from pathlib import Path

import pytest

from cmr_planes.dicom.examinations import Origin
from cmr_planes.discovery import folders as folders_module
from cmr_planes.discovery.subjects import find_subjects
from cmr_planes.phantom.small_study import simple_study, write_study
from tests.helpers.archive_people import (
    NOTHING,
    known,
    members,
    notes,
    owners,
    participants,
    rejections,
    rewritten,
    write_flat,
    write_series,
    write_zip,
)
from tests.helpers.cohorts import extract, run, small_study, write_biobank_zips, write_key

PERSONS = (1, 2, 3)
NO_UIDS = {"StudyInstanceUID": "", "FrameOfReferenceUID": ""}
ONE_UID = {"StudyInstanceUID": "1.2.3"}


def found(source: Path, tmp_path: Path, *options: object) -> dict[str, set[int]]:
    """Extract, and return whose pixels each subject has."""
    extract(source, tmp_path / "out.h5", *options)
    return owners(tmp_path / "out.h5")


# several persons, one place


@pytest.mark.parametrize("uids", [NO_UIDS, ONE_UID], ids=["no StudyInstanceUID", "one StudyInstanceUID for all"])
def test_a_flat_folder_of_persons_is_a_subject_each(tmp_path, uids):
    for number in PERSONS:
        write_flat(tmp_path / "s", number, **known(number, **uids))
    subjects = found(tmp_path / "s", tmp_path)
    assert sorted(map(sorted, subjects.values())) == [[1], [2], [3]]
    assert len(set(participants(tmp_path / "out.h5").values())) == 3


@pytest.mark.parametrize("uids", [{}, NO_UIDS], ids=["UIDs", "no UIDs"])
def test_a_zip_of_persons_in_folders_is_a_subject_each(tmp_path, uids):
    files = [file for number in PERSONS for file in members(number, f"train/{number}/study/", **known(number, **uids))]
    write_zip(tmp_path / "s" / "train.zip", files)
    assert found(tmp_path / "s", tmp_path) == {"1": {1}, "2": {2}, "3": {3}}


def test_a_zip_that_is_the_source_and_holds_persons_in_one_folder(tmp_path):
    files = [
        (f"{number}{name}{frame}", data)
        for number in PERSONS
        for name, frame, data in rewritten(number, **known(number, **NO_UIDS))
    ]
    write_zip(tmp_path / "all.zip", files)
    assert sorted(map(sorted, found(tmp_path / "all.zip", tmp_path).values())) == [[1], [2], [3]]


@pytest.mark.parametrize("write", [write_flat, write_series])
def test_folders_of_persons_with_one_study_uid_keep_their_names(tmp_path, write):
    for number in PERSONS:
        write(tmp_path / "s" / f"P{number}", number, **known(number, **ONE_UID))
    assert found(tmp_path / "s", tmp_path) == {"P1": {1}, "P2": {2}, "P3": {3}}


def test_several_complete_sets_of_views_without_identifiers_are_refused(tmp_path):
    for number in PERSONS:
        write_flat(tmp_path / "s", number, **NOTHING)
    write_flat(tmp_path / "t", 1, **NOTHING)
    assert found(tmp_path / "s", tmp_path) == {"s": set()}
    ((_, sentence),) = rejections(tmp_path / "out.h5").items()
    assert "several complete sets of views" in sentence
    extract(tmp_path / "t", tmp_path / "one.h5")
    assert owners(tmp_path / "one.h5") == {"t": {1}}


def test_a_person_between_the_files_that_planning_looks_at_is_not_mixed_in(tmp_path):
    write_series(tmp_path / "s" / "p1", 1, **known(1))
    write_flat(tmp_path / "s" / "p1" / "004", 2, **known(2))
    for file in (tmp_path / "s" / "p1" / "004").glob("P2*"):
        file.rename(file.with_name(f"IM0001{file.name}"))
    write_series(tmp_path / "s" / "p2", 3, **known(3))
    subjects = found(tmp_path / "s", tmp_path)
    assert subjects == {"p1": set(), "p2": {3}}
    sentence = rejections(tmp_path / "out.h5")["p1", "several_persons"]
    assert "2 persons" in sentence
    assert "X1" not in sentence


def test_persons_of_a_flat_subfolder_are_named_by_it(tmp_path):
    for number in (1, 2):
        write_flat(tmp_path / "s" / "p1", number, **known(number))
    write_flat(tmp_path / "s" / "p2", 3, **known(3))
    subjects = found(tmp_path / "s", tmp_path)
    assert sorted(map(sorted, subjects.values())) == [[1], [2], [3]]
    assert sorted(key.partition("__")[0] for key in subjects) == ["p1", "p1", "p2"]


def test_media_exports_are_a_subject_per_patient_folder(tmp_path):
    for number in PERSONS:
        write_series(tmp_path / "s" / "DICOM" / f"PAT{number:05d}" / "STUD0001", number, **known(number))
    assert sorted(map(sorted, found(tmp_path / "s", tmp_path).values())) == [[1], [2], [3]]


def test_each_header_of_a_flat_folder_is_read_once_in_planning(tmp_path, monkeypatch):
    for number in PERSONS:
        write_flat(tmp_path / "s", number, **known(number))
    n_files = len(list((tmp_path / "s").iterdir()))
    read: list[object] = []
    original = folders_module.read_origin

    def counted(source) -> Origin:
        read.append(source)
        return original(source)

    monkeypatch.setattr(folders_module, "read_origin", counted)
    subjects = find_subjects([tmp_path / "s"])
    assert len(subjects) == 3
    assert len(read) == n_files
    assert sum(len(subject.paths) for subject in subjects) == n_files  # and once more by the workers


# identifiers that are made again for every file


@pytest.mark.parametrize(
    "uid",
    [lambda series, frame: f"1.2.{series}.{frame + 1}", lambda series, _: f"1.2.{series}", lambda _, frame: f"1.3.{frame + 1}"],
    ids=["file", "series", "phase"],
)
@pytest.mark.parametrize("write", [write_flat, write_series])
def test_a_study_uid_for_every_file_series_or_phase_is_one_subject(tmp_path, write, uid):
    write(tmp_path / "s" / "p1", 1, StudyInstanceUID=uid)
    write_series(tmp_path / "s" / "p2", 2, **known(2))
    assert found(tmp_path / "s", tmp_path) == {"p1": {1}, "p2": {2}}
    assert "otherwise one study" in notes(tmp_path / "out.h5")["p1", "no_study_uid"]


@pytest.mark.parametrize(
    "patient", [lambda series, frame: f"H{series}{frame:02d}", lambda series, _: f"H{series}"], ids=["file", "series"]
)
@pytest.mark.parametrize("write", [write_flat, write_series])
def test_a_patient_id_for_every_file_or_series_of_one_examination_is_one_person(tmp_path, write, patient):
    for number in (1, 2):
        write(tmp_path / "s" / f"p{number}", number, PatientID=patient)
    assert found(tmp_path / "s", tmp_path) == {"p1": {1}, "p2": {2}}
    assert "otherwise one study" in notes(tmp_path / "out.h5")["p1", "several_patient_ids"]


def test_patient_ids_differ_between_persons_where_all_else_is_a_constant(tmp_path):
    constants = {"StudyInstanceUID": "1.2.3", "FrameOfReferenceUID": "1.2.4", "StudyDate": "20200101", "StudyTime": "120000"}
    for number in PERSONS:
        write_flat(tmp_path / "s", number, **known(number, **constants))
    assert sorted(found(tmp_path / "s", tmp_path).values(), key=min) == [{1}, {2}, {3}]


# visits


@pytest.mark.parametrize(
    ("layout", "expected"),
    [
        (("P001/T0", "P001/T1", "P002/T0"), ("P001__T0", "P001__T1", "P002__T0")),
        (("P001_V1", "P001_V2", "P002_V1"), ("P001_V1", "P001_V2", "P002_V1")),
        (("P001/pre", "P001/post", "P002/pre"), ("P001__pre", "P001__post", "P002__pre")),
        (("pat/1.2.840.1.7", "pat/1.2.840.1.8", "pat2/1.2.840.1.9"), (None, None, "pat2")),
        (("CMR001/baseline", "CMR001/followup", "CMR002/baseline"), ("CMR001__baseline", "CMR001__followup", "CMR002__baseline")),
        (("P001/MR1", "P001/MR2", "P002/MR1"), ("P001__MR1", "P001__MR2", "P002")),
        (("P001/2019", "P001/2021", "P002/2019"), ("P001__2019", "P001__2021", "P002__2019")),
        (("sub-01/ses-01", "sub-01/ses-02", "sub-02/ses-01"), ("sub-01__ses-01", "sub-01__ses-02", "sub-02__ses-01")),
    ],
    ids=["T0", "V1", "pre and post", "UIDs", "baseline", "MR1", "years", "BIDS"],
)
@pytest.mark.parametrize("write", [write_flat, write_series])
def test_visits_of_one_person_share_a_participant(tmp_path, layout, expected, write):
    for number, (folder, patient) in enumerate(zip(layout, "AAB", strict=True), start=1):
        write(tmp_path / "s" / folder, number, **known(number, PatientID=patient))
    subjects = find_subjects([tmp_path / "s"])
    assert len(subjects) == 3
    depth = layout[0].count("/") + 1
    person_of = {"/".join(subject.paths[0].relative_to(tmp_path / "s").parts[:depth]): subject for subject in subjects}
    first, second, third = (person_of[folder] for folder in layout)
    assert first.participant == second.participant != third.participant
    for subject, key in zip((first, second, third), expected, strict=True):
        assert subject.key == key or (key is None and "1.2.840" not in subject.key and subject.key.startswith("pat__"))


def test_studies_of_one_patient_id_in_a_flat_folder_share_a_participant(tmp_path):
    for number in (1, 2):
        write_flat(tmp_path / "s", number, **known(number, PatientID="Q7"))
    first, second = find_subjects([tmp_path / "s"])
    assert first.participant == second.participant
    assert "Q7" not in {first.participant, first.key}


@pytest.mark.parametrize("patient", ["ANON", "", "0000", "Anonymous", "REMOVED"])
def test_a_placeholder_for_patient_ids_makes_no_participant(tmp_path, patient):
    for number in PERSONS:
        write_flat(tmp_path / "s" / f"p{number}", number, **known(number, PatientID=patient))
    assert len({subject.participant for subject in find_subjects([tmp_path / "s"])}) == 3


def test_numbered_folders_of_a_cohort_are_no_visits_of_it(tmp_path):
    for number in PERSONS:
        write_flat(tmp_path / "s" / "volunteers" / f"V{number}", number, **known(number))
        write_flat(tmp_path / "s" / "c1" / f"T{number}", number + 3, **known(number, PatientID=f"Y{number}"))
    assert len({subject.participant for subject in find_subjects([tmp_path / "s"])}) == 6


def test_inspect_shows_visits_per_participant(tmp_path):
    for folder, number, patient in (("P001/T0", 1, "A"), ("P001/T1", 2, "A"), ("P002/T0", 3, "B")):
        write_series(tmp_path / "s" / folder, number, **known(number, PatientID=patient))
    extract(tmp_path / "s", tmp_path / "out.h5")
    assert "Visits per participant" in run("inspect", tmp_path / "out.h5").output
    assert json.loads(run("inspect", tmp_path / "out.h5", "--json").output)["visits_per_participant"] == {"1": 1, "2": 1}


# zips


def test_members_of_equal_name_are_all_read(tmp_path):
    write_zip(tmp_path / "s" / "p1.zip", [(f"IM{frame:04d}.dcm", data) for _, frame, data in rewritten(1)])
    extract(tmp_path / "s", tmp_path / "out.h5")
    write_zip(tmp_path / "t" / "p1.zip", members(1))
    extract(tmp_path / "t", tmp_path / "sound.h5")
    assert owners(tmp_path / "out.h5") == {"p1": {1}}
    counts = [json.loads(run("inspect", tmp_path / name, "--json").output)["n_images"] for name in ("out.h5", "sound.h5")]
    assert counts[0] == counts[1] > 0


def test_a_zip_in_a_zip_is_named(tmp_path):
    inner = [(f"p{number}.zip", write_zip(tmp_path / f"{number}.zip", members(number)).read_bytes()) for number in (1, 2)]
    write_zip(tmp_path / "s" / "all.zip", inner)
    assert found(tmp_path / "s", tmp_path) == {"all": set()}
    assert "zip inside a zip; unpack the outer one" in rejections(tmp_path / "out.h5")["all", "unreadable_source"]


def test_a_biobank_zip_that_is_cut_off_is_the_only_reason(tmp_path):
    _, short_axis = write_biobank_zips(tmp_path / "s", small_study())
    short_axis.write_bytes(short_axis.read_bytes()[: int(0.6 * short_axis.stat().st_size)])
    extract(tmp_path / "s", tmp_path / "out.h5")
    ((key, sentence),) = rejections(tmp_path / "out.h5").items()
    assert key == ("9000001_2", "unreadable_source")
    assert "zip 2 of 2" in sentence
    assert "fetch it again" in sentence


def test_different_biobank_files_of_one_name_are_refused_and_equal_ones_read_once(tmp_path):
    write_biobank_zips(tmp_path / "a", small_study())
    write_biobank_zips(tmp_path / "b", small_study("SYN-0002"))
    shutil.copytree(tmp_path / "a", tmp_path / "c")
    result = run("extract", tmp_path / "a", tmp_path / "b", tmp_path / "out.h5")
    assert result.exit_code
    assert "they may be of two persons" in result.output.replace("\n", " ")
    (subject,) = find_subjects([tmp_path / "a", tmp_path / "c"])
    assert len(subject.paths) == 2


# keys


def test_the_only_series_folder_of_a_person_gives_no_key(tmp_path):
    folder = tmp_path / "s" / "p1" / "005"
    write_flat(folder, 1, SeriesNumber=5, SeriesInstanceUID="1.2.5", SeriesDescription="cine")
    (subject,) = find_subjects([tmp_path / "s"])
    assert subject.key == "p1"


def test_a_subject_folder_without_dicom_is_a_row(tmp_path):
    write_series(tmp_path / "s" / "p1", 1)
    (tmp_path / "s" / "p2").mkdir()
    (tmp_path / "s" / "p2" / "report.pdf").write_bytes(b"%PDF")
    (tmp_path / "s" / "p2" / "a.nii.gz").touch()
    write_zip(tmp_path / "s" / "p3.zip", [("a.txt", b"text")])
    (tmp_path / "s" / "contours").mkdir()
    (tmp_path / "s" / "contours" / "a.txt").touch()
    assert found(tmp_path / "s", tmp_path) == {"p1": {1}, "p2": set(), "p3": set()}
    assert {code for _, code in rejections(tmp_path / "out.h5")} == {"no_dicom"}


def test_an_output_inside_the_source_is_no_subject(tmp_path):
    for number in (1, 2):
        write_series(tmp_path / "s" / f"p{number}", number)
    for _ in range(2):
        extract(tmp_path / "s", tmp_path / "s" / "o.h5")
        assert owners(tmp_path / "s" / "o.h5") == {"p1": {1}, "p2": {2}}


def test_keys_that_look_like_a_name_or_a_uid_are_told(tmp_path):
    for number, name in enumerate(("DOE^JANE^19500301", "1.2.826.0.1.3680043.9.1", "Patient_7"), start=1):
        write_flat(tmp_path / "s" / name, number)
    subjects = found(tmp_path / "s", tmp_path)
    assert "1.2.826" not in "".join(subjects)
    assert [key for key, code in notes(tmp_path / "out.h5") if code == "identifying_key"] == ["DOE^JANE^19500301"]
    key = write_key(tmp_path / "key")
    extract(tmp_path / "s", tmp_path / "hidden.h5", "--pseudonymise", key)
    assert "identifying_key" not in {code for _, code in notes(tmp_path / "hidden.h5")}


# later runs


@pytest.mark.parametrize("is_pseudonymised", [False, True], ids=["names", "pseudonyms"])
def test_a_key_stays_when_a_folder_of_the_same_name_is_added(tmp_path, is_pseudonymised):
    key = write_key(tmp_path / "key")
    options = ("--pseudonymise", key) if is_pseudonymised else ()
    write_flat(tmp_path / "s" / "siteA" / "001", 1, **known(1))
    write_flat(tmp_path / "s" / "siteA" / "002", 2, **known(2))
    before = found(tmp_path / "s", tmp_path, *options)
    write_flat(tmp_path / "s" / "siteB" / "001", 3, **known(3))
    after = found(tmp_path / "s", tmp_path, *options)
    assert len(after) == 3
    assert before.items() < after.items()
    assert len(set(participants(tmp_path / "out.h5").values())) == 3
    assert is_pseudonymised or set(after) == {"001", "002", "siteB__001"}


def test_a_second_source_with_a_subject_of_the_same_name_is_another_subject(tmp_path):
    for source, number in (("A", 1), ("B", 2)):
        write_flat(tmp_path / source / "Patient 001", number, **known(number))
        write_flat(tmp_path / source / f"Patient 00{number + 1}", number + 2, **known(number + 2))
    for source in "ABAB":
        result = extract(tmp_path / source, tmp_path / "out.h5")
    assert owners(tmp_path / "out.h5") == {"Patient 001": {1}, "Patient 002": {3}, "B__Patient 001": {2}, "Patient 003": {4}}
    assert "4 were there already, 0 added" in result.output


def test_a_copy_of_a_subject_in_a_second_source_is_one_subject_with_a_note(tmp_path):
    write_flat(tmp_path / "A" / "Patient 001", 1)
    shutil.copytree(tmp_path / "A", tmp_path / "B")
    write_flat(tmp_path / "B" / "Patient 002", 2)
    run("extract", tmp_path / "A", tmp_path / "B", tmp_path / "out.h5", "--box", 3, "--gap", 8)
    assert owners(tmp_path / "out.h5") == {"Patient 001": {1}, "Patient 002": {2}}
    assert [note for note in notes(tmp_path / "out.h5") if note[1] != "few_frames"] == [("Patient 001", "copied_files")]


def test_a_visit_that_is_added_joins_the_stored_participant(tmp_path):
    write_flat(tmp_path / "s" / "pat" / "b", 1, **known(1, PatientID="Q7"))
    write_flat(tmp_path / "s" / "other", 3, **known(3))
    found(tmp_path / "s", tmp_path)
    write_flat(tmp_path / "s" / "pat" / "a", 2, **known(2, PatientID="Q7"))
    found(tmp_path / "s", tmp_path)
    people = participants(tmp_path / "out.h5")
    assert people["a"] == people["b"] == "b"


def test_what_was_left_out_is_tried_again_when_its_files_changed_or_on_request(tmp_path):
    source, out = tmp_path / "s", tmp_path / "out.h5"
    write_series(source / "p1", 1, **known(1))
    write_series(source / "p2", 2, keep=lambda name: int(name) > 5, **known(2))
    write_series(source / "p3", 3, keep=lambda name: int(name) > 5, **known(3))
    extract(source, out)
    assert owners(out) == {"p1": {1}, "p2": set(), "p3": set()}
    unchanged = extract(source, out)
    assert "3 were there already, 0 added" in unchanged.output
    write_series(source / "p2", 2, **known(2))
    changed = extract(source, out)
    assert "2 were there already, 0 added, 1 tried again" in changed.output
    assert owners(out) == {"p1": {1}, "p2": {2}, "p3": set()}
    assert {key for key, _ in rejections(out)} == {"p3"}
    assert "2 were there already, 0 added, 1 tried again" in extract(source, out, "--retry-left-out").output
    (tmp_path / "out.shards" / "00002.h5.sha256").unlink()  # as if the run had been killed: p3 stays in the shard it was given
    extract(source, out, "--retry-left-out")
    assert sorted(path.name for path in (tmp_path / "out.shards").glob("*.h5")) == ["00000.h5", "00001.h5", "00002.h5"]
    assert run("verify", out).exit_code == 0
    assert owners(out) == {"p1": {1}, "p2": {2}, "p3": set()}


def test_the_summary_tells_what_was_there_from_what_was_added(tmp_path):
    write_flat(tmp_path / "s" / "p1", 1)
    assert "there already" not in extract(tmp_path / "s", tmp_path / "out.h5").output
    write_flat(tmp_path / "s" / "p2", 2)
    assert "1 was there already, 1 added" in extract(tmp_path / "s", tmp_path / "out.h5").output


def test_a_catalogue_without_its_shards_is_told_to_need_them(tmp_path):
    write_flat(tmp_path / "s" / "p1", 1)
    extract(tmp_path / "s", tmp_path / "out.h5")
    (tmp_path / "elsewhere").mkdir()
    shutil.copy(tmp_path / "out.h5", tmp_path / "elsewhere")
    copied = tmp_path / "elsewhere" / "out.h5"
    for command in (("inspect", copied), ("verify", copied), ("show", copied, "-o", tmp_path / "pictures")):
        result = run(*command)
        assert "the folder 'out.shards' must lie beside" in result.output.replace("\n", " ")
        assert "set-aside" not in result.output


def test_images_that_two_subjects_share_are_noted(tmp_path):
    write_flat(tmp_path / "s" / "a", 1)
    write_flat(tmp_path / "s" / "b", 2)
    write_flat(tmp_path / "s" / "c", 1, InstanceCreationTime="120000", SOPInstanceUID=lambda series, frame: f"1.9.{series}.{frame}")
    extract(tmp_path / "s", tmp_path / "out.h5")
    found = {key: sentence for (key, code), sentence in notes(tmp_path / "out.h5").items() if code == "equal_images"}
    assert found.keys() == {"a", "c"}
    assert "subject 3 of this catalogue" in found["a"]
    assert "subject 1 of this catalogue" in found["c"]


def test_a_table_states_who_the_subjects_are(tmp_path):
    for number in PERSONS:  # in folders that do not say so, without identifiers in the headers
        write_study(
            tmp_path / "dicom" / f"scan{number}x",
            simple_study(name=f"SYN-000{number}", n_slices=3, n_frames=2, rows=64, columns=64),
        )
    people = tmp_path / "people.csv"
    people.write_text("key,participant\nscan1x,Q\nscan2x,Q\n")
    assert extract(tmp_path / "dicom", tmp_path / "out.h5", "--participants", people).exit_code == 0
    assert participants(tmp_path / "out.h5") == {"scan1x": "Q", "scan2x": "Q", "scan3x": "scan3x"}
    people.write_text("key,participant\nscan1x,Q\nscan2x,R\n")
    result = extract(tmp_path / "dicom", tmp_path / "out.h5", "--participants", people)
    assert result.exit_code == 1
    assert "1 of the subjects that are stored have another participant in the table now" in " ".join(result.output.split())
