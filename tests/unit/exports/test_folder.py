"""A folder whose parts appear whole or not at all."""

from pathlib import Path

import pytest

from cmr_planes.errors import ExportError
from cmr_planes.exports.folder import staged


def content(folder: Path) -> dict[str, str]:
    return {path.relative_to(folder).as_posix(): path.read_text() for path in sorted(folder.rglob("*")) if path.is_file()}


def write(out: Path, text: str, *names: str, overwrite: bool = False) -> None:
    with staged(out, overwrite=overwrite) as staging:
        for name in names:
            staging.write(name, text.encode())


def fail(out: Path, error: BaseException) -> None:
    with staged(out, overwrite=True) as staging:
        staging.write("a/x", b"2")
        raise error


def test_parts_of_several_exports_stand_side_by_side(tmp_path):
    write(tmp_path / "out", "1", "a/x", "a/y")
    write(tmp_path / "out", "2", "b/x", "readme")
    assert content(tmp_path / "out") == {"a/x": "1", "a/y": "1", "b/x": "2", "readme": "2"}


def test_nothing_is_left_behind_by_an_export_that_fails(tmp_path):
    write(tmp_path / "out", "1", "a/x")
    with pytest.raises(ZeroDivisionError):
        fail(tmp_path / "out", ZeroDivisionError())
    with pytest.raises(KeyboardInterrupt):
        fail(tmp_path / "new", KeyboardInterrupt())
    assert content(tmp_path) == {"out/a/x": "1"}
    assert not (tmp_path / "new").exists()


def test_what_is_there_is_replaced_as_a_whole_or_not_at_all(tmp_path):
    write(tmp_path / "out", "1", "a/x", "a/y")
    with pytest.raises(ExportError, match="already holds one of the names"):
        write(tmp_path / "out", "2", "a/x", "b/x")
    assert content(tmp_path / "out") == {"a/x": "1", "a/y": "1"}
    write(tmp_path / "out", "2", "a/x", "b/x", overwrite=True)
    assert content(tmp_path / "out") == {"a/x": "2", "b/x": "2"}


def test_a_rename_that_fails_leaves_what_was_there(tmp_path, monkeypatch):
    write(tmp_path / "out", "1", "a/x")
    real = Path.replace

    def refuse(path: Path, target: Path) -> Path:
        if path.parent.name == "new":
            raise PermissionError(13, "no")
        return real(path, target)

    monkeypatch.setattr(Path, "replace", refuse)
    with pytest.raises(ExportError, match="could not be written"):
        write(tmp_path / "out", "2", "a/x", overwrite=True)
    monkeypatch.undo()
    assert content(tmp_path / "out") == {"a/x": "1"}


@pytest.mark.parametrize("error", [PermissionError(13, "no"), KeyboardInterrupt()])
@pytest.mark.parametrize("n_renames", range(7))
def test_wherever_the_renames_stop_all_is_as_before(tmp_path, monkeypatch, error: BaseException, n_renames: int):
    write(tmp_path / "out", "1", "a/x", "c/x", "derivatives/manual/x")
    real, calls = Path.replace, []

    def stopped(path: Path, target: Path) -> Path:
        calls.append(path)
        if len(calls) == n_renames + 1:
            raise error
        return real(path, target)

    monkeypatch.setattr(Path, "replace", stopped)
    with pytest.raises((ExportError, KeyboardInterrupt)):
        write(tmp_path / "out", "2", "a/x", "b/x", "c/x", "derivatives/manual/x", overwrite=True)
    monkeypatch.undo()
    assert content(tmp_path / "out") == {"a/x": "1", "c/x": "1", "derivatives/manual/x": "1"}
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a", "c", "derivatives"]


def test_what_cannot_be_put_back_is_kept(tmp_path, monkeypatch):
    write(tmp_path / "out", "1", "a/x")
    real = Path.replace

    def refuse(path: Path, target: Path) -> Path:
        if path.parent.name in ("new", "old"):
            raise PermissionError(13, "no")
        return real(path, target)

    monkeypatch.setattr(Path, "replace", refuse)
    with pytest.raises(ExportError):
        write(tmp_path / "out", "2", "a/x", overwrite=True)
    monkeypatch.undo()
    assert list(content(tmp_path / "out").values()) == ["1"]


def test_a_file_is_no_folder(tmp_path):
    (tmp_path / "out").write_text("mine")
    with pytest.raises(ExportError):
        write(tmp_path / "out", "2", "a/x", overwrite=True)
    assert content(tmp_path) == {"out": "mine"}
