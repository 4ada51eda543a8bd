"""Files are whole or not there: full disks, interrupts, vanished folders."""

import os
import stat
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from cmr_planes.errors import ShardError
from cmr_planes.shards.records import SubjectRecord
from cmr_planes.shards.schema import Codec
from cmr_planes.system import whole_file
from cmr_planes.system.whole_file import LatchingFile, checksum_path, read_checksum, remove_leftovers, sealed, write_whole
from cmr_planes.views import CardiacView
from tests.helpers.catalogues import write_batches
from tests.helpers.records import make_subject, rejected_subject, write_shard

RECORD = make_subject(1, views=(CardiacView.SAX,), n_slices=2, matrix=(170, 160))


def test_a_file_appears_under_its_name_only_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    path.write_bytes(b"old")
    with sealed(path) as stream:
        stream.write(b"new")
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.posix
def test_content_is_on_the_disk_before_the_name_and_the_name_in_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.h5"
    synced = []

    def note(descriptor: int) -> None:
        status = os.fstat(descriptor)
        synced.append((status.st_ino, status.st_size if stat.S_ISREG(status.st_mode) else None, path.exists()))

    monkeypatch.setattr(os, "fsync", note)
    with sealed(path, checksum=True) as stream:
        stream.write(b"new")
    content, checksum, folder = synced
    assert content == (path.stat().st_ino, 3, False)
    assert checksum == (checksum_path(path).stat().st_ino, checksum_path(path).stat().st_size, False)
    assert folder == (tmp_path.stat().st_ino, None, True)


@pytest.mark.parametrize("error", [KeyboardInterrupt(), ValueError("bad"), OSError(5, "input")])
def test_whatever_ends_the_writing_leaves_the_old_file(tmp_path: Path, error: BaseException) -> None:
    path = tmp_path / "a.h5"
    path.write_bytes(b"old")

    def write() -> None:
        with sealed(path, checksum=True) as stream:
            stream.write(b"new")
            raise error

    with pytest.raises(type(error)):
        write()
    assert list(tmp_path.iterdir()) == [path]
    assert path.read_bytes() == b"old"


@pytest.mark.parametrize("failure", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_a_failed_write_is_kept_and_raised_later(tmp_path: Path, failure: BaseException) -> None:
    with LatchingFile(tmp_path / "a", "w+") as stream:
        stream.failure = failure
        assert stream.write(b"lost") == 4
        assert stream.truncate(10) == 10
        assert (tmp_path / "a").stat().st_size == 0
        with pytest.raises(type(failure)):
            stream.check()


@pytest.mark.posix
def test_the_device_that_is_always_full_gives_one_sentence() -> None:
    with LatchingFile("/dev/full", "w") as stream:
        assert stream.write(b"x" * 100) == 100
        with pytest.raises(OSError, match="No space left"):
            stream.check()


@pytest.mark.parametrize("limit", [0, 100, 3000, 30_000, 60_000, 120_000])
def test_a_full_disk_ends_in_one_sentence_and_leaves_nothing(tmp_path: Path, limit: int) -> None:
    """A process of its own, whose files may not grow beyond the limit: HDF5's own driver crashes here at exit."""
    script = textwrap.dedent(
        f"""
        import resource, signal
        from pathlib import Path
        from cmr_planes.errors import ShardError
        from cmr_planes.shards.schema import Codec
        from tests.helpers.records import write_shard
        from tests.helpers.records import make_subject
        from cmr_planes.views import CardiacView

        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        record = make_subject(1, views=(CardiacView.SAX,), n_slices=2, matrix=(170, 160))
        resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))
        try:
            write_shard(Path({str(tmp_path)!r}) / "00000.h5", [record], codec=Codec.GZIP, configuration={{}})
        except ShardError as error:
            print(error)
        """
    )
    run = subprocess.run([sys.executable, "-c", script], cwd=Path(__file__).parents[3], capture_output=True, text=True, check=False)
    assert (run.returncode, run.stderr) == (0, "")
    assert run.stdout.startswith("00000.h5 could not be written in")
    assert "file too large" in run.stdout
    assert "run the same command again" in run.stdout
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("limit", [500, 2000, 4000, 7000])
def test_a_full_disk_leaves_the_old_catalogue(tmp_path: Path, limit: int) -> None:
    out = write_batches(tmp_path, [[RECORD], [rejected_subject(2)]])
    before = out.read_bytes()
    assert len(before) > limit
    script = textwrap.dedent(
        f"""
        import resource, signal
        from pathlib import Path
        from cmr_planes.errors import ShardError
        from cmr_planes.shards.catalogue_writer import write_catalogue

        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))
        out = Path({str(out)!r})
        try:
            write_catalogue(out, sorted((out.parent / "out.shards").glob("*.h5")), configuration={{"box": 11.0}}, versions={{}})
        except ShardError as error:
            print(error)
        """
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (run.returncode, run.stderr) == (0, "")
    assert run.stdout.startswith("out.h5 could not be written in")
    assert out.read_bytes() == before
    assert not list(tmp_path.glob("*.part"))


def test_an_interrupt_between_subjects_leaves_nothing(tmp_path: Path) -> None:
    def records() -> Iterator[SubjectRecord]:
        yield RECORD
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_shard(tmp_path / "00000.h5", records(), codec=Codec.GZIP, configuration={})
    assert list(tmp_path.iterdir()) == []


def test_an_error_of_the_source_is_not_taken_for_one_of_the_output(tmp_path: Path) -> None:
    def records() -> Iterator[SubjectRecord]:
        yield RECORD
        raise FileNotFoundError(2, "No such file", "input.zip")

    with pytest.raises(FileNotFoundError, match=r"input\.zip"):
        write_shard(tmp_path / "00000.h5", records(), codec=Codec.GZIP, configuration={})


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ShardError, match=r"00000\.h5 could not be written in .*absent.*no such file or directory"):
        write_shard(tmp_path / "absent" / "00000.h5", [RECORD], codec=Codec.GZIP, configuration={})


def test_a_rename_that_fails_is_a_sentence_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Path, target: Path) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "replace", refuse)
    with pytest.raises(ShardError, match="permission denied"):
        write_shard(tmp_path / "00000.h5", [RECORD], codec=Codec.GZIP, configuration={})
    assert list(tmp_path.iterdir()) == []


def test_two_writers_of_one_file_do_not_share_a_temporary_file(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    with sealed(path) as first, sealed(path) as second:
        first.write(b"first" * 1000)
        second.write(b"second")
    assert path.read_bytes() == b"first" * 1000
    assert list(tmp_path.iterdir()) == [path]


def test_leftovers_of_one_file_are_removed_and_nothing_else(tmp_path: Path) -> None:
    left = [f"[a].h5.{digits}.part" for digits in ("0a1b2c3d", "11112222")]
    kept = ["[a].h5", "b.h5.0a1b2c3d.part", "a.h5.0a1b2c3d.part", "[a].h5.sha256"]
    for name in (*left, *kept):
        (tmp_path / name).write_bytes(b"half")
    remove_leftovers(tmp_path / "[a].h5")
    assert sorted(each.name for each in tmp_path.iterdir()) == sorted(kept)


def test_a_writer_that_is_killed_leaves_what_can_be_removed(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    script = f"""
import os
from pathlib import Path
from cmr_planes.system.whole_file import sealed
with sealed(Path({str(path)!r})) as stream:
    stream.write(b"half")
    os.kill(os.getpid(), 9)
"""
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == -9
    assert [each.suffix for each in tmp_path.iterdir()] == [".part"]
    remove_leftovers(path)
    assert list(tmp_path.iterdir()) == []


def test_the_sentence_of_a_failed_write_fits_any_file(tmp_path: Path) -> None:
    with pytest.raises(ShardError, match=r"scores\.csv could not be written .*; check the path and run the same command again$"):
        write_whole(tmp_path / "absent" / "scores.csv", b"1")


def test_a_checksum_that_is_not_one_counts_as_none(tmp_path: Path) -> None:
    path = tmp_path / "00000.h5"
    assert read_checksum(path) is None
    for content in ("", "abc  00000.h5\n", "g" * 64, "\N{SNOWMAN}"):
        (tmp_path / "00000.h5.sha256").write_text(content, encoding="utf-8")
        assert read_checksum(path) is None


def test_writing_keeps_no_file_open(tmp_path: Path) -> None:
    write_shard(tmp_path / "00000.h5", [RECORD], codec=Codec.GZIP, configuration={})
    assert not any(str(tmp_path) in file.path for file in psutil.Process().open_files())


def in_use(winerror: int) -> PermissionError:
    """What Windows raises for a file that a program has open."""
    error = PermissionError(13, "The process cannot access the file")
    error.winerror = winerror  # type: ignore[attr-defined]  # on Windows alone
    return error


def refusing(monkeypatch: pytest.MonkeyPatch, error: OSError, times: int) -> list[Path]:
    """Let this many renames fail; return the targets of all of them."""
    replace, tried = Path.replace, []

    def refuse(path: Path, target: Path) -> Path:
        tried.append(target)
        if len(tried) <= times:
            raise error
        return replace(path, target)

    monkeypatch.setattr(Path, "replace", refuse)
    return tried


@pytest.mark.parametrize("winerror", [5, 32])
def test_a_file_that_a_reader_has_open_for_a_moment_is_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, winerror: int
) -> None:
    path = tmp_path / "a.h5"
    path.write_bytes(b"old")
    tried = refusing(monkeypatch, in_use(winerror), times=2)
    write_whole(path, b"new")
    assert path.read_bytes() == b"new"
    assert len(tried) == 3


def test_a_file_that_stays_open_is_left_and_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.h5"
    path.write_bytes(b"old")
    monkeypatch.setattr(whole_file, "_PATIENCE_SECONDS", 0.1)
    tried = refusing(monkeypatch, in_use(32), times=1 << 30)
    with pytest.raises(ShardError, match="close the program that has the file open and run the same command again"):
        write_whole(path, b"new")
    assert len(tried) > 1
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_refusal_for_good_is_not_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tried = refusing(monkeypatch, PermissionError(13, "Permission denied"), times=1 << 30)
    with pytest.raises(ShardError, match="check its permissions and run"):
        write_whole(tmp_path / "a.h5", b"new")
    assert len(tried) == 1
