"""Verification finds each kind of damage and names the shard."""

from pathlib import Path

import pytest

from cmr_planes.errors import ShardError
from cmr_planes.shards.catalogue_writer import write_catalogue
from cmr_planes.shards.schema import Codec
from cmr_planes.shards.verify import Damage, verify_catalogue
from cmr_planes.system.progress import Progress
from cmr_planes.views import CardiacView
from tests.helpers.records import make_subject, write_shard


@pytest.fixture
def out(tmp_path: Path) -> Path:
    (tmp_path / "out.shards").mkdir()
    shards = [tmp_path / "out.shards" / f"{number:05}.h5" for number in range(4)]
    for number, path in enumerate(shards):
        record = make_subject(number, views=(CardiacView.SAX,), n_slices=1, matrix=(170, 160))
        write_shard(path, [record], codec=Codec.GZIP, configuration={})
    write_catalogue(tmp_path / "out.h5", shards, configuration={}, versions={})
    return tmp_path / "out.h5"


def test_what_was_sealed_is_found_whole(out: Path) -> None:
    seen: list[Progress] = []
    assert verify_catalogue(out, on_progress=seen.append) == []
    assert seen == [Progress(number, 4) for number in range(1, 5)]


def test_each_kind_of_damage_is_found(out: Path) -> None:
    shards = [out.parent / "out.shards" / f"{number:05}.h5" for number in range(4)]
    shards[0].unlink()
    with shards[1].open("r+b") as stream:
        stream.truncate(shards[1].stat().st_size - 1)
    content = bytearray(shards[2].read_bytes())
    content[len(content) // 2] ^= 1
    shards[2].write_bytes(content)
    shards[3].unlink()
    shards[3].mkdir()
    findings = verify_catalogue(out)
    assert [(finding.shard[-8:], finding.damage) for finding in findings if finding.shard[-4] != "3"] == [
        ("00000.h5", Damage.MISSING),
        ("00001.h5", Damage.TRUNCATED),
        ("00002.h5", Damage.CHECKSUM),
    ]
    assert findings[3].damage in {Damage.UNREADABLE, Damage.TRUNCATED}
    assert all(finding.shard in finding.sentence for finding in findings)


def test_bytes_that_were_added_are_found(out: Path) -> None:
    with (out.parent / "out.shards" / "00000.h5").open("ab") as stream:
        stream.write(b"\0")
    assert [finding.damage for finding in verify_catalogue(out)] == [Damage.CHECKSUM]


def test_a_damaged_catalogue_is_an_error(out: Path) -> None:
    out.write_bytes(out.read_bytes()[:500])
    with pytest.raises(ShardError, match=r"out\.h5"):
        verify_catalogue(out)
