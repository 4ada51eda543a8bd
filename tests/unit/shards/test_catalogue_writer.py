"""The catalogue: made from shards alone, links that survive a move, equal bytes, and clear refusals."""

import dataclasses
import json
import shutil
from pathlib import Path

import h5py
import hdf5plugin  # noqa: F401  # a user of the default codec imports it too
import numpy as np
import numpy.lib.recfunctions as rfn
import pytest

from cmr_planes.errors import ShardError
from cmr_planes.shards.catalogue import Catalogue
from cmr_planes.shards.catalogue_writer import is_catalogue, read_configuration, write_catalogue
from cmr_planes.shards.records import SubjectRecord
from cmr_planes.shards.schema import Codec
from cmr_planes.views import CardiacView
from tests.helpers.records import PLANES, make_subject, rejected_subject, write_shard

CONFIGURATION = {"box": 11.0}
SAX = (CardiacView.SAX,)


def small(number: int, key: str | None = None) -> SubjectRecord:
    """A subject with one view of one slice."""
    record = make_subject(number, views=SAX, n_slices=1, matrix=(170, 160))
    return record if key is None else dataclasses.replace(record, key=key, participant=key)


@pytest.fixture
def out(tmp_path: Path) -> Path:
    batches = [[small(1), rejected_subject(2)], [small(3, "Søren 3"), small(4, "SYN-0004_2")], [rejected_subject(5)]]
    return write_all(tmp_path / "cohort", batches)


def write_all(folder: Path, batches: list[list[SubjectRecord]]) -> Path:
    (folder / "out.shards").mkdir(parents=True)
    shards = [folder / "out.shards" / f"{number:05}.h5" for number in range(len(batches))]
    for path, batch in zip(shards, batches, strict=True):
        write_shard(path, batch, codec=Codec.BITSHUFFLE_LZ4, configuration=CONFIGURATION)
    write_catalogue(folder / "out.h5", shards, configuration=CONFIGURATION, versions={"cmr-planes": "1"})
    return folder / "out.h5"


def test_what_became_of_planes_is_read_back(out: Path) -> None:
    with Catalogue(out) as catalogue:
        planes = catalogue.planes()
    assert planes.subject == ("SYN-0002", "SYN-0002", "SYN-0005", "SYN-0005")
    assert repr(planes.fates) == repr(2 * PLANES)  # NaN equals itself as text only


def test_shards_of_an_earlier_release_say_nothing_of_planes(out: Path) -> None:
    shards = sorted((out.parent / "out.shards").glob("*.h5"))
    for shard in shards:
        with h5py.File(shard, "a") as file:
            del file["planes"]
    write_catalogue(out, shards, configuration=CONFIGURATION, versions={"cmr-planes": "1"})
    with Catalogue(out) as catalogue:
        assert len(catalogue.planes()) == 0
    with h5py.File(out, "a") as file:
        del file["planes"]
    with Catalogue(out) as catalogue:
        assert len(catalogue.planes()) == 0


def test_shards_of_an_earlier_release_know_no_worst_slice_and_one_rescaling_for_a_view(out: Path) -> None:
    shards = sorted((out.parent / "out.shards").glob("*.h5"))
    for shard in shards:
        with h5py.File(shard, "a") as file:
            rows = file["views"][()]
            kept = rows[[name for name in rows.dtype.names if not name.startswith("worst_") and "shift" not in name]]
            del file["views"]
            file["views"] = rfn.repack_fields(kept)
            for subject in file["data"].values():
                for view in subject.values():
                    del view["rescale"]
                    view.attrs["rescale_slope"], view.attrs["rescale_intercept"] = 2.5, -7.0
    write_catalogue(out, shards, configuration=CONFIGURATION, versions={"cmr-planes": "1"})
    with Catalogue(out) as catalogue:
        views = catalogue.views()
        assert np.isnan(views.worst_agreement).all()
        assert not views.worst_slice.any()
        assert views.shift_mm.shape == (len(views), 3)
        assert np.isnan(views.shift_mm).all()
        assert np.isnan(views.largest_shift_mm).all()
        assert np.isnan(views.shift_agreement).all()
        assert not views.largest_shift_slice.any()
        attributes = catalogue.view_attributes("SYN-0001", CardiacView.SAX)
        np.testing.assert_array_equal(attributes.rescale, np.tile([2.5, -7.0], (*attributes.shape[:2], 1)))


def test_a_user_reaches_images_through_the_catalogue(out: Path) -> None:
    with h5py.File(out) as file:
        assert list(file["data"]) == ["SYN-0001", "SYN-0004_2", "Søren 3"]
        for key, number in (("SYN-0001", 1), ("Søren 3", 3), ("SYN-0004_2", 4)):
            np.testing.assert_array_equal(file[f"data/{key}/sax/image"], small(number).views[0].image)


def test_links_survive_a_move_of_the_folder(out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    moved = tmp_path / "elsewhere" / "deep"
    moved.parent.mkdir()
    shutil.move(out.parent, moved)
    monkeypatch.chdir("/")
    with h5py.File(moved / "out.h5") as file:
        np.testing.assert_array_equal(file["data/SYN-0001/sax/image"], small(1).views[0].image)


def test_every_row_of_the_index_leads_to_its_image(out: Path) -> None:
    with h5py.File(out) as file:
        for row in file["index"]:
            image = file[row["path"].decode()][row["phase_index"], row["slice"]]
            assert image.shape == (row["rows"], row["columns"])
            assert row["subject"].decode() in row["path"].decode()
            with h5py.File(out.parent / row["shard"].decode()) as shard:
                np.testing.assert_array_equal(shard[row["path"]][row["phase_index"], row["slice"]], image)


def test_tables_are_those_of_the_shards_one_after_the_other(out: Path) -> None:
    with h5py.File(out) as file:
        subjects = [key.decode() for key in file["subjects"]["subject"]]
        assert subjects == ["SYN-0001", "SYN-0002", "Søren 3", "SYN-0004_2", "SYN-0005"]
        assert file["subjects"]["n_images"].tolist() == [2, 0, 2, 2, 0]
        assert [key.decode() for key in file["rejections"]["subject"]] == ["SYN-0002", "SYN-0005"]
        assert len(file["notes"]) == 3
        assert len(file["views"]) == 3
        for name in ("index", "subjects", "views", "rejections", "notes"):
            rows = []
            for number in range(3):
                with h5py.File(out.parent / "out.shards" / f"{number:05}.h5") as shard:
                    columns = [column for column in file[name].dtype.names if column != "shard"]
                    rows += [tuple(row[column] for column in columns) for row in shard[name]]
            assert [str(tuple(row[column] for column in columns)) for row in file[name]] == [str(row) for row in rows]


def test_the_shards_table_has_what_stands_beside_each_shard(out: Path) -> None:
    with h5py.File(out) as file:
        for row in file["shards"]:
            path = out.parent / row["name"].decode()
            assert row["bytes"] == path.stat().st_size
            assert row["sha256"].decode() == path.with_name(path.name + ".sha256").read_text().split()[0]
        assert file["shards"]["n_subjects"].tolist() == [2, 2, 1]
        assert file["shards"]["n_images"].tolist() == [2, 4, 0]


def test_equal_shards_give_equal_bytes_anywhere(out: Path, tmp_path: Path) -> None:
    again = write_all(
        tmp_path / "again", [[small(1), rejected_subject(2)], [small(3, "Søren 3"), small(4, "SYN-0004_2")], [rejected_subject(5)]]
    )
    assert again.read_bytes() == out.read_bytes()
    assert str(tmp_path).encode() not in out.read_bytes()


def test_configuration_and_versions_are_attributes(out: Path) -> None:
    assert read_configuration(out) == CONFIGURATION
    with h5py.File(out.parent / "out.shards" / "00000.h5") as shard:
        assert json.loads(shard.attrs["configuration"]) == CONFIGURATION
    with h5py.File(out) as file:
        assert json.loads(file.attrs["versions"]) == {"cmr-planes": "1"}
        assert file.attrs["schema_version"] == 1
        assert file.attrs["format"] == "cmr-planes catalogue"


def test_a_catalogue_of_nothing_is_a_catalogue(tmp_path: Path) -> None:
    write_catalogue(tmp_path / "out.h5", [], configuration={}, versions={})
    assert is_catalogue(tmp_path / "out.h5")
    with h5py.File(tmp_path / "out.h5") as file:
        assert [len(file[name]) for name in ("index", "subjects", "views", "rejections", "notes", "shards")] == [0] * 6


def test_kinds_of_files_are_told_apart(out: Path, tmp_path: Path) -> None:
    shard = out.parent / "out.shards" / "00000.h5"
    other = tmp_path / "other.h5"
    with h5py.File(other, "w") as file:
        file["x"] = 1
    text = tmp_path / "text.h5"
    text.write_text("no HDF5")
    found = {path: is_catalogue(path) for path in (out, shard, other, text, tmp_path, tmp_path / "absent.h5")}
    assert found == {
        out: True,
        shard: False,
        other: False,
        text: False,
        tmp_path: False,
        tmp_path / "absent.h5": False,
    }


def test_shards_of_another_configuration_are_refused_and_the_old_catalogue_stays(out: Path) -> None:
    before = out.read_bytes()
    shards = sorted((out.parent / "out.shards").glob("*.h5"))
    with pytest.raises(ShardError, match="another configuration"):
        write_catalogue(out, shards, configuration={"box": 9.0}, versions={})
    assert out.read_bytes() == before
    assert not list(out.parent.glob("*.part"))


def test_a_subject_in_two_shards_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ShardError, match=r"'SYN-0001' is in two shards"):
        write_all(tmp_path / "cohort", [[small(1)], [small(1)]])
    assert not list((tmp_path / "cohort").glob("out.h5*"))


def test_a_shard_that_is_not_there_is_named(out: Path) -> None:
    missing = out.parent / "out.shards" / "00009.h5"
    with pytest.raises(ShardError, match=r"00009\.h5.* does not exist"):
        write_catalogue(out, [missing], configuration=CONFIGURATION, versions={})
