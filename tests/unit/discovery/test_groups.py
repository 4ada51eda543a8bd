"""Which files of a source are one examination: trees of folders in memory, with what their headers say."""

from collections.abc import Sequence
from pathlib import Path

from cmr_planes.dicom.examinations import Identity, Origin
from cmr_planes.discovery.folders import Folder
from cmr_planes.discovery.groups import FileGroup, find_groups


def origin(person: int, series: int, frame: int = 0, *, uid: bytes | None = None, patient: bytes | None = None) -> Origin:
    identity = Identity(
        patient=f"HOSP{person}".encode() if patient is None else patient,
        study_uid=f"1.2.{person}".encode() if uid is None else uid,
    )
    return Origin(
        identity=identity,
        series=(series, b""),
        series_uid=f"1.2.{person}.{series}",
        instance_number=frame,
        frame_of_reference="",
        sop_instance_uid=f"1.2.{person}.{series}.{frame}",
    )


def folder(*parts: str, files: Sequence[Origin] = (), children: Sequence[Folder] = (), n_other: int = 0) -> Folder:
    """A folder of a zip, so that its files are known without being listed."""
    names = tuple(f"{'/'.join(parts)}/{index}" for index in range(len(files)))
    return Folder(
        Path("a.zip"),
        parts,
        archive=object(),  # type: ignore[arg-type]  # headers are known, and it is not asked
        members=names,
        n_files=len(files),
        n_other_files=n_other,
        samples=tuple(dict.fromkeys(names[index] for index in (0, len(names) // 2, -1))) if names else (),
        children=list(children),
        holds_images=bool(files) or any(child.holds_images for child in children),
        known=dict(zip(names, files, strict=True)),
    )


def series(*parts: str, person: int = 1, number: int = 1, **identity: bytes) -> Folder:
    return folder(*parts, files=[origin(person, number, frame, **identity) for frame in range(3)])


def found(groups: Sequence[FileGroup]) -> dict[tuple[str, ...], int]:
    """Return the number of files of each group, by its names."""
    return {group.parts: len(group.members) for group in groups}


def test_folders_of_series_of_one_study_are_one_examination():
    top = folder(children=[folder("p", children=[series("p", f"{number}", number=number) for number in (1, 2, 3)])])
    assert found(find_groups(top)) == {("p",): 9}


def test_folders_of_several_studies_are_an_examination_each():
    top = folder(children=[series(f"p{person}", person=person) for person in (1, 2, 3)])
    assert found(find_groups(top)) == {("p1",): 3, ("p2",): 3, ("p3",): 3}


def test_persons_who_share_a_study_uid_are_not_joined():
    top = folder(children=[series(f"p{person}", person=person, uid=b"1.2.3") for person in (1, 2)])
    assert found(find_groups(top)) == {("p1",): 3, ("p2",): 3}


def test_series_of_several_studies_side_by_side_come_together_by_study():
    top = folder(children=[series(f"s{person}{number}", person=person, number=number) for person in (1, 2) for number in (1, 2)])
    groups = find_groups(top)
    assert sorted(len(group.members) for group in groups) == [6, 6]
    assert all({name[1] for name in group.members} == {group.members[0][1]} for group in groups)
    assert len({group.token for group in groups}) == 2


def test_folders_that_say_nothing_are_series_where_each_holds_one():
    nothing = {"uid": b"", "patient": b""}
    top = folder("p", children=[series("p", f"{number}", number=number, **nothing) for number in (1, 2, 3)])
    assert found(find_groups(top)) == {("p",): 9}


def test_folders_that_say_nothing_are_persons_where_each_holds_several_series():
    nothing = {"uid": b"", "patient": b""}
    top = folder(
        children=[
            folder(f"p{person}", children=[series(f"p{person}", f"{number}", number=number, **nothing) for number in (1, 2)])
            for person in (1, 2)
        ]
    )
    assert found(find_groups(top)) == {("p1",): 6, ("p2",): 6}


def test_a_flat_folder_is_divided_where_its_first_middle_and_last_file_differ():
    files = [origin(person, number) for person in (1, 2) for number in (1, 2)]
    groups = find_groups(folder("all", files=files))
    assert [group.members for group in groups] == [("all/0", "all/1"), ("all/2", "all/3")]
    assert [group.token for group in groups] == ["1.2.1", "1.2.2"]


def test_every_header_of_a_lone_flat_folder_is_read():
    files = [origin(person, frame) for frame, person in enumerate((1, 2, 1, 2, 1))]  # the first, middle and last are of one person
    assert len(find_groups(folder("all", files=files))) == 1
    assert [len(group.members) for group in find_groups(folder("all", files=files), is_alone=True)] == [3, 2]


def test_a_token_is_not_shown():
    files = [origin(person, 1) for person in (1, 2)]
    groups = find_groups(folder("all", files=files))
    assert all(group.token for group in groups)
    assert "1.2.1" not in repr(groups)


def test_the_lone_numbered_folder_of_a_series_names_nobody():
    assert found(find_groups(folder(children=[folder("p", children=[series("p", "0001")])]))) == {("p",): 3}


def test_folders_with_other_files_alone_are_subjects_unless_their_names_say_otherwise():
    top = folder(
        children=[series("p1"), *(folder(name, n_other=2) for name in ("p2", "labels", "docs", "derivatives")), folder("p3")]
    )
    assert found(find_groups(top)) == {("p1",): 3, ("p2",): 0}
