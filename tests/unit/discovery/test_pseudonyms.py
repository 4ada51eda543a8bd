"""Pseudonyms: keyed, stable, without numbers, and made only with a key file that nobody else may read."""

import hashlib
import hmac
import os
import stat
from pathlib import Path

import pytest

from cmr_planes.discovery.pseudonyms import MappingRow, Pseudonyms, load_pseudonyms, write_mapping
from cmr_planes.discovery.subjects import SubjectSource
from cmr_planes.errors import ShardError, SourceError
from cmr_planes.system import private_file
from cmr_planes.system.key_file import MAX_KEY_BYTES

SECRET = bytes(range(32))


def subject(key: str, participant: str) -> SubjectSource:
    return SubjectSource(key=key, participant=participant, paths=(), root=Path())


def key_file(tmp_path: Path, data: bytes = SECRET, mode: int = 0o600) -> Path:
    path = tmp_path / "key"
    path.write_bytes(data)
    path.chmod(mode)
    return path


def test_a_name_is_a_keyed_hash_in_letters():
    digest = hmac.digest(SECRET, b"cmr-planes name\0SYN-0001", hashlib.sha256)
    expected = "".join("abcdefghijklmnop"[nibble] for byte in digest[:10] for nibble in (byte >> 4, byte & 15))
    assert Pseudonyms(SECRET).name("SYN-0001") == expected
    assert Pseudonyms(SECRET[::-1]).name("SYN-0001") != expected


def test_visits_of_one_person_share_the_participant_and_keep_their_number():
    pseudonyms = Pseudonyms(SECRET)
    renamed, rows = pseudonyms.rename([subject("9000001_2", "9000001"), subject("9000001_3", "9000001"), subject("A_2", "A_2")])
    person = pseudonyms.name("9000001")
    assert {each.key: each.participant for each in renamed} == {
        f"{person}_2": person,
        f"{person}_3": person,
        pseudonyms.name("A_2"): pseudonyms.name("A_2"),
    }
    assert [each.key for each in renamed] == sorted(each.key for each in renamed) == [row.subject for row in rows]


@pytest.mark.parametrize("key", ["A__visit_2019-03-01", "A_20190301", "A_follow-up"])
def test_only_a_short_number_of_a_visit_is_kept(key):
    pseudonyms = Pseudonyms(SECRET)
    assert pseudonyms.key(key, "A") == pseudonyms.name(key)


@pytest.mark.parametrize("original", [("9000001_2", "9000001"), ("9000001_2", "9000001_2"), ("S", "S")])
def test_the_key_and_the_person_are_among_the_spellings_of_their_names(original):
    pseudonyms = Pseudonyms(SECRET)
    assert pseudonyms.key(*original) in pseudonyms.spellings(original[0])
    assert pseudonyms.name(original[1]) in pseudonyms.spellings(original[1])


def test_nothing_shows_the_secret():
    pseudonyms = Pseudonyms(SECRET)
    assert repr(pseudonyms) == "Pseudonyms()"
    assert len({pseudonyms.check_value, pseudonyms.instance_salt[:16], pseudonyms.name("")}) == 3


def test_two_subjects_of_one_pseudonym_are_refused(monkeypatch):
    monkeypatch.setattr(Pseudonyms, "name", lambda *_: "same")
    with pytest.raises(ShardError, match="two subjects have the same pseudonym"):
        Pseudonyms(SECRET).rename([subject("A", "A"), subject("B", "B")])


def test_a_key_file_is_read(tmp_path):
    assert load_pseudonyms(key_file(tmp_path)) == Pseudonyms(SECRET)
    assert load_pseudonyms(key_file(tmp_path, mode=0o400)) == Pseudonyms(SECRET)


@pytest.mark.posix
@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o666])
def test_a_key_file_that_others_may_use_is_refused(tmp_path, mode):
    with pytest.raises(SourceError, match=f"has the mode {mode:o}: others may use it; make it yours with chmod 600"):
        load_pseudonyms(key_file(tmp_path, mode=mode))


def test_modes_say_nothing_where_there_are_none(tmp_path, monkeypatch):
    monkeypatch.setattr(private_file, "has_file_modes", lambda: False)
    assert load_pseudonyms(key_file(tmp_path, mode=0o666)) == Pseudonyms(SECRET)


@pytest.mark.parametrize(("size", "words"), [(0, "has 0 bytes"), (31, "has 31 bytes"), (MAX_KEY_BYTES + 1, "more than 65,536")])
def test_a_key_file_of_the_wrong_size_is_refused(tmp_path, size, words):
    with pytest.raises(SourceError, match=words):
        load_pseudonyms(key_file(tmp_path, bytes(size)))


@pytest.mark.posix
def test_what_is_no_plain_file_is_no_key(tmp_path):
    os.mkfifo(tmp_path / "pipe", 0o600)
    for path, words in ((tmp_path / "pipe", "no plain file"), (tmp_path, "is a directory"), (tmp_path / "none", "no such file")):
        with pytest.raises(SourceError, match=words):
            load_pseudonyms(path)


@pytest.mark.posix
def test_the_mapping_is_private_and_grows_at_its_end(tmp_path):
    path, pseudonyms = tmp_path / "out.mapping.csv", Pseudonyms(SECRET)
    (tmp_path / "out.mapping.csv.0a1b2c3d.part").write_text("left by a run that died")
    rows = [pseudonyms.row(key, key) for key in ("B", 'a,"b', "C")]
    before = os.umask(0)
    try:
        write_mapping(path, rows[:2], pseudonyms)
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert path.read_text().splitlines()[0] == '"subject","participant","original_subject","original_participant"'
    first = path.read_bytes()
    write_mapping(path, rows[1:], pseudonyms)
    assert path.read_bytes().startswith(first)
    assert len(path.read_bytes().splitlines()) == 4
    complete = path.read_bytes()
    write_mapping(path, rows, pseudonyms)
    assert path.read_bytes() == complete
    assert [each.name for each in tmp_path.iterdir()] == ["out.mapping.csv"]


def test_a_mapping_of_another_key_or_another_file_stays_as_it_is(tmp_path):
    path, pseudonyms = tmp_path / "out.mapping.csv", Pseudonyms(SECRET)
    row = pseudonyms.row("A", "A")
    write_mapping(path, [row], pseudonyms)
    before = path.read_bytes()
    with pytest.raises(ShardError, match="was made with another key file"):
        write_mapping(path, [row], Pseudonyms(SECRET[::-1]))
    assert path.read_bytes() == before
    for text in ("", "something else\n", '"subject"\n"a"\n', "\xff\x00"):
        path.write_text(text, encoding="latin-1")
        with pytest.raises(ShardError, match="is no mapping of cmr-planes"):
            write_mapping(path, [MappingRow("a", "a", "A", "A")], pseudonyms)
        assert path.read_text(encoding="latin-1") == text
