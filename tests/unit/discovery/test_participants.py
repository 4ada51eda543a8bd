"""Tables of participants: what they state, and what is refused."""

from pathlib import Path

import pytest

from cmr_planes.discovery.participants import read_participants
from cmr_planes.discovery.subjects import SubjectSource
from cmr_planes.errors import SourceError


def table(tmp_path: Path, *rows: str, head: str = "key,participant") -> Path:
    path = tmp_path / "people.csv"
    path.write_text("\n".join([head, *rows]) + "\n")
    return path


def source(key: str) -> SubjectSource:
    return SubjectSource(key=key, participant=key, paths=(Path(key),), root=Path())


def test_subjects_get_the_participants_of_the_table_and_others_keep_theirs(tmp_path: Path) -> None:
    people = read_participants(table(tmp_path, "a1,Anna", "a2, Anna ", "gone,Bert"))
    assert [(one.key, one.participant) for one in people.assign(map(source, ("a1", "a2", "c")))] == [
        ("a1", "Anna"),
        ("a2", "Anna"),
        ("c", "c"),
    ]


@pytest.mark.parametrize(
    ("rows", "head", "sentence"),
    [
        (["a1,Anna", "a1,Bert"], "key,participant", "row 3: the key has another participant in a row above"),
        (["a1,"], "key,participant", "row 2: a key and a participant in printable letters are expected"),
        (["a1"], "key,participant", "row 2: a key and a participant"),
        (["a1,Anna"], "subject,participant", "the columns key and participant are expected"),
        (['a1,"Anna'], "key,participant", "it is not CSV in UTF-8"),
    ],
)
def test_a_table_that_cannot_be_used_is_refused(tmp_path: Path, rows: list[str], head: str, sentence: str) -> None:
    with pytest.raises(SourceError, match=sentence):
        read_participants(table(tmp_path, *rows, head=head))
    with pytest.raises(SourceError, match="cannot be read"):
        read_participants(tmp_path / "nowhere.csv")
