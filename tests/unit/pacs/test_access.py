import pytest

from cmr_planes.errors import SourceError
from cmr_planes.pacs.access import Login, Token, load_login, load_token


def private(path, text, mode=0o600):
    path.write_bytes(text)
    path.chmod(mode)
    return path


def test_credentials_come_from_private_files_and_do_not_show(tmp_path):
    token = load_token(private(tmp_path / "token", b"abc.def-123\n"))
    login = load_login(private(tmp_path / "login", b"reader:pass:word \n"))
    assert token == Token("abc.def-123")
    assert login == Login("reader", "pass:word ")
    assert "abc" not in repr(token)
    assert "reader" not in repr(login)
    assert "word" not in repr(login)


@pytest.mark.posix
@pytest.mark.parametrize("mode", [0o640, 0o604, 0o622])
def test_files_that_others_may_use_are_refused(tmp_path, mode):
    with pytest.raises(SourceError, match="others may use it; make it yours with chmod 600"):
        load_token(private(tmp_path / "token", b"abc", mode))


@pytest.mark.parametrize("content", [b"", b"\n", b"one\ntwo\n", b"t\xc3\xb6ken", b"to\x00ken", b"x" * (1 << 17)])
def test_what_is_no_token_is_refused_without_being_repeated(tmp_path, content):
    with pytest.raises(SourceError, match="not one line of printable ASCII text") as caught:
        load_token(private(tmp_path / "file", content))
    assert "two" not in str(caught.value)


@pytest.mark.parametrize("content", [b"password", b":password", b"user"])
def test_a_login_has_user_and_password(tmp_path, content):
    with pytest.raises(SourceError, match="no colon between a user name and a password"):
        load_login(private(tmp_path / "login", content))


def test_a_missing_file_is_said(tmp_path):
    with pytest.raises(SourceError, match=r"token file .* cannot be read \(no such file or directory\)"):
        load_token(tmp_path / "none")
