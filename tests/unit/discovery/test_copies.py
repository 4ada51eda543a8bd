"""Whether files are those that were met before."""

import os
import zipfile
from pathlib import Path

import pytest

from cmr_planes.discovery.copies import are_copies, fingerprint, have_equal_bytes, instances
from cmr_planes.discovery.groups import FileGroup
from cmr_planes.phantom.small_study import encode_study, simple_study


def group(*paths: Path, members: tuple[str, ...] = ()) -> FileGroup:
    return FileGroup(paths=paths, parts=(), members=members)


def write(folder: Path, files: dict[str, bytes]) -> Path:
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder


# equal files


def test_files_are_compared_byte_by_byte(tmp_path: Path):
    write(tmp_path, {"a": b"12", "same": b"12", "longer": b"123", "other": b"13"})
    assert [have_equal_bytes(tmp_path / "a", tmp_path / name) for name in ("a", "same", "longer", "other", "missing")] == [
        True,
        True,
        False,
        False,
        False,
    ]


FILES = {"1/a": b"12", "1/b": b"345", "2/a": b"6"}


@pytest.mark.parametrize(
    ("other", "is_copy"),
    [
        (FILES, True),
        ({**FILES, "notes.txt": b"read me"}, True),
        ({**FILES, "2/b": b"7"}, False),
        ({**FILES, "1/a": b"21"}, False),
        ({**FILES, "1/b": b"3456"}, False),
        ({"1/a": b"12", "1/b": b"345", "3/a": b"6"}, False),
        ({"1/a": b"12"}, False),
    ],
    ids=["equal", "other kinds of files", "one more", "first file", "a size", "a name", "one less"],
)
def test_folders_are_copies_by_names_sizes_and_the_first_file(tmp_path: Path, other: dict[str, bytes], is_copy: bool):
    first, second = write(tmp_path / "x", FILES), write(tmp_path / "y", other)
    assert are_copies(group(first), group(second)) is is_copy


def test_zips_are_copies_whatever_they_are_called_but_not_other_members_of_one(tmp_path: Path):
    write(tmp_path, {"a.zip": b"zip", "b.zip": b"zip", "c.zip": b"zap"})
    a, b, c = (tmp_path / f"{name}.zip" for name in "abc")
    assert are_copies(group(a), group(b))
    assert not are_copies(group(a), group(c))
    assert not are_copies(group(a, members=("1",)), group(b, members=("2",)))
    assert not are_copies(group(a), group(b, c))


def test_folders_without_files_and_vanished_files_are_no_copies(tmp_path: Path):
    (tmp_path / "x").mkdir()
    (tmp_path / "y").mkdir()
    assert not are_copies(group(tmp_path / "x"), group(tmp_path / "y"))
    assert not are_copies(group(tmp_path / "gone"), group(tmp_path / "gone"))


# instances


def test_instances_are_read_from_folders_and_members_of_zips(tmp_path: Path):
    files = encode_study(simple_study(n_slices=1, n_frames=3, rows=8, columns=8, views=("sax",)))
    uids = [file.sop_instance_uid for file in files]
    write(tmp_path / "s", {f"{index}": file.data for index, file in enumerate(files)})
    write(tmp_path / "s", {"3": b"no image"})
    with zipfile.ZipFile(tmp_path / "s.zip", "w") as archive:
        for index, file in enumerate(files):
            archive.writestr(f"{index}", file.data)
    assert list(instances(group(tmp_path / "s"))) == uids
    assert list(instances(group(tmp_path / "s.zip"))) == uids
    assert list(instances(group(tmp_path / "s.zip", members=("1",)))) == [uids[1]]
    assert list(instances(group(tmp_path / "gone"))) == []


# fingerprints


def test_a_fingerprint_changes_with_names_and_sizes_alone(tmp_path: Path):
    folder = write(tmp_path / "s", {"a": b"12", "b": b"3"})
    before = fingerprint([folder], "salt")
    assert len(before) == 16
    os.utime(folder / "a", (1, 1))
    (folder / "a").write_bytes(b"21")
    assert fingerprint([folder], "salt") == before
    assert fingerprint([folder], "other salt") != before
    (folder / "a").write_bytes(b"123")
    longer = fingerprint([folder], "salt")
    (folder / "a").unlink()
    assert len({before, longer, fingerprint([folder], "salt")}) == 3


def test_a_fingerprint_does_not_depend_on_where_the_folder_lies(tmp_path: Path):
    folders = [write(tmp_path / name, {"a": b"12", "b/c": b"3"}) for name in ("x", "y")]
    assert len({fingerprint([folder], "salt") for folder in folders}) == 1
