import pytest

from cmr_planes.errors import SourceError
from cmr_planes.pacs.server import WantedStudy
from cmr_planes.pacs.study_list import read_study_list


def listed(path, text):
    path.write_bytes(text)
    path.chmod(0o600)
    return path


def test_uids_and_accession_numbers_are_told_apart(tmp_path):
    path = listed(tmp_path / "list", b"\xef\xbb\xbf# wanted\n1.2.840.1\r\n\n A-17 b # second visit\n20240101\n1.2.840.1\n")
    assert read_study_list(path) == (
        WantedStudy(line=2, study_uid="1.2.840.1"),
        WantedStudy(line=4, accession_number="A-17 b"),
        WantedStudy(line=5, accession_number="20240101"),
    )
    assert "17" not in repr(read_study_list(path))


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (b"", "names none"),
        (b"# nothing\n", "names none"),
        (b"secret*\n", "line 1 .* could mean several studies"),
        (b"A1\nsecret?\n", "line 2 .* could mean several studies"),
        (b"secret\\A\n", "could mean several studies"),
        (b"1.2." + b"3" * 200, "could mean several studies"),
        (b"secret\xff", "no UTF-8 text"),
    ],
)
def test_a_list_that_is_none_is_refused_without_being_repeated(tmp_path, text, sentence):
    with pytest.raises(SourceError, match=sentence) as caught:
        read_study_list(listed(tmp_path / "list", text))
    assert "secret" not in str(caught.value)


def test_a_list_that_others_may_read_is_refused(tmp_path):
    path = listed(tmp_path / "list", b"1.2.3")
    path.chmod(0o644)
    with pytest.raises(SourceError, match="others may use it"):
        read_study_list(path)
