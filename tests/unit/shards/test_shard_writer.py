"""What a shard holds, read with plain h5py as any user would, and that equal records give equal bytes."""

import dataclasses
import hashlib
import json
import subprocess
import sys
import time
from pathlib import Path

import h5py
import hdf5plugin  # noqa: F401  # a user of the default codec imports it too
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cmr_planes.geometry import BoxLayout, BoxUnits, draw_mask
from cmr_planes.shards import shard_writer
from cmr_planes.shards.records import SubjectRecord, ViewLabels, ViewRecord
from cmr_planes.shards.schema import Codec, check_subject_key
from cmr_planes.shards.shard_writer import ShardWriter
from cmr_planes.views import CardiacView, PositionClass, position_name
from tests.helpers.records import make_subject, make_view, rejected_subject, write_shard

CONFIGURATION = {"views": ["sax", "2ch", "4ch"], "box": 11.0, "min_agreement": None}


@pytest.fixture
def subject() -> SubjectRecord:
    return make_subject(1)


@pytest.mark.parametrize("codec", list(Codec))
def test_images_and_positions_come_back_bit_for_bit(tmp_path: Path, subject: SubjectRecord, codec: Codec) -> None:
    write_shard(tmp_path / "00000.h5", [subject], codec=codec, configuration=CONFIGURATION)
    with h5py.File(tmp_path / "00000.h5") as file:
        for view in subject.views:
            group = file[f"data/SYN-0001/{view.view.value}"]
            assert group["image"].dtype == np.uint16
            np.testing.assert_array_equal(group["image"][()], view.image)
            n_phases, n_slices, rows, columns = view.image.shape
            assert group["image"].chunks == group["positions"].chunks == (1, 1, rows, columns)
            assert group["positions"].dtype == np.uint8
            for phase in range(n_phases):
                for level in range(n_slices):
                    expected = draw_mask(view.positions[level], rows, columns)
                    np.testing.assert_array_equal(group["positions"][phase, level], expected)


def test_gzip_shards_need_no_plugin(tmp_path: Path, subject: SubjectRecord) -> None:
    write_shard(tmp_path / "00000.h5", [subject], codec=Codec.GZIP, configuration=CONFIGURATION)
    with h5py.File(tmp_path / "00000.h5") as file:
        filters = []
        file.visititems(lambda _, item: filters.append(item) if isinstance(item, h5py.Dataset) else None)
        for dataset in filters:
            assert dataset.compression in {None, "gzip"}
    assert filters


def test_attributes_say_where_each_slice_and_box_lies(tmp_path: Path, subject: SubjectRecord) -> None:
    write_shard(tmp_path / "00000.h5", [subject], codec=Codec.GZIP, configuration=CONFIGURATION)
    with h5py.File(tmp_path / "00000.h5") as file:
        for view in subject.views:
            values = file[f"data/SYN-0001/{view.view.value}"].attrs
            for level, (plane, positions) in enumerate(zip(view.planes, view.positions, strict=True)):
                affine = values["affine_lps_mm"][level]
                corner = affine @ [plane.columns - 1, plane.rows - 1, 0, 1]
                np.testing.assert_allclose(corner[:3], plane.pixel_to_patient([plane.columns - 1, plane.rows - 1]), atol=1e-9)
                for number in range(9):
                    column, row = values["box_centres_px"][level, number]
                    point = affine @ [column, row, 0, 1]
                    np.testing.assert_allclose(point[:3], values["box_centres_lps_mm"][level, number], atol=1e-9)
                np.testing.assert_array_equal(values["boxes_px"][level], positions.boxes)
            assert values["manufacturer"] == "SIEMENS"
            assert values["field_strength_t"] == 1.5
            assert (values["box_size"], values["box_gap"], values["box_units"], values["box_clip"]) == (11, 30, "px", "border")
            names = [position_name(view.view, position) for position in PositionClass]
            assert list(values["position_classes"]) == names
            assert len(values["line_views"]) == 2
            for name in ("alignment", "line_agreement"):
                assert values[name].shape == (len(view.planes), 2)


def test_frames_are_named_numbered_and_timed(tmp_path: Path) -> None:
    phases = [f"{number:03}" for number in range(7)]
    view = make_view(CardiacView.SAX, phases=phases, matrix=(180, 160))
    record = dataclasses.replace(make_subject(1, views=()), views=(view,))
    write_shard(tmp_path / "00000.h5", [record], codec=Codec.GZIP, configuration=CONFIGURATION)
    with h5py.File(tmp_path / "00000.h5") as file:
        group = file["data/SYN-0001/sax"]
        assert list(group["phases"].asstr()) == phases
        np.testing.assert_array_equal(group["frame_numbers"], view.frame_numbers)
        np.testing.assert_array_equal(group["trigger_time_ms"], view.trigger_time_ms)
        assert [phase.decode() for phase in file["index"]["phase"][::3]] == phases


def plain_view(n_phases: int, n_slices: int) -> ViewRecord:
    """A view of tiny images without positions."""
    view = make_view(CardiacView.SAX, n_slices=n_slices, matrix=(4, 5), with_positions=False, phases=("ed",))
    shape = (n_phases, n_slices)
    return dataclasses.replace(
        view,
        image=np.zeros((*shape, 4, 5), dtype=np.uint16),
        phases=tuple(f"{number:03}" for number in range(n_phases)),
        frame_numbers=np.ones(shape, dtype=np.int64),
        trigger_time_ms=np.random.default_rng(0).uniform(size=shape),
        rescale=np.random.default_rng(1).uniform(size=(*shape, 2)),
    )


@settings(max_examples=8)
@given(n_phases=st.integers(1, 1200), n_slices=st.integers(1, 14))
def test_any_number_of_frames_can_be_stored(tmp_path_factory: pytest.TempPathFactory, n_phases: int, n_slices: int) -> None:
    n_phases = min(n_phases, 6000 // n_slices)
    path = tmp_path_factory.mktemp("frames") / "00000.h5"
    view = plain_view(n_phases, n_slices)
    record = dataclasses.replace(make_subject(1, views=()), views=(view,))
    write_shard(path, [record], codec=Codec.GZIP, configuration=CONFIGURATION)
    with h5py.File(path) as file:
        np.testing.assert_array_equal(file["data/SYN-0001/sax/trigger_time_ms"], view.trigger_time_ms)
        np.testing.assert_array_equal(file["data/SYN-0001/sax/rescale"], view.rescale)
        assert len(file["data/SYN-0001/sax/phases"]) == n_phases
        assert len(file["index"]) == n_phases * n_slices
        sizes = [file["data/SYN-0001/sax"].attrs.get_id(name).get_storage_size() for name in file["data/SYN-0001/sax"].attrs]
    assert max(sizes) < 1 << 16


def test_tables_account_for_every_subject(tmp_path: Path, subject: SubjectRecord) -> None:
    rejected = rejected_subject(2)
    summary = write_shard(tmp_path / "00000.h5", [subject, rejected], codec=Codec.GZIP, configuration=CONFIGURATION)
    with h5py.File(tmp_path / "00000.h5") as file:
        n_images = sum(view.image.shape[0] * view.image.shape[1] for view in subject.views)
        assert file["subjects"]["subject"].tolist() == [b"SYN-0001", b"SYN-0002"]
        assert file["subjects"]["n_images"].tolist() == [n_images, 0]
        assert len(file["index"]) == n_images
        assert list(file["data"]) == ["SYN-0001"]
        row = file["index"][4]
        image = file[row["path"].decode()][row["phase_index"], row["slice"]]
        assert image.shape == (row["rows"], row["columns"])
        assert file["rejections"]["code"].tolist() == [b"no_sax"]
        assert file["notes"]["sentence"].tolist() == [b"only 2 frames; end-systole was not searched"]
        for number, view in enumerate(subject.views):
            mask = file[f"data/SYN-0001/{view.view.value}/positions"][()]
            assert file["views"]["class_pixels"][number].tolist() == np.bincount(mask.ravel(), minlength=10).tolist()
    assert (summary.n_subjects, summary.n_images) == (2, n_images)


def test_the_root_says_what_the_file_is_and_how_it_was_made(tmp_path: Path, subject: SubjectRecord) -> None:
    write_shard(tmp_path / "00000.h5", [subject], codec=Codec.GZIP, configuration=CONFIGURATION)
    with h5py.File(tmp_path / "00000.h5") as file:
        assert file.attrs["format"] == "cmr-planes shard"
        assert file.attrs["schema_version"] == 1
        assert json.loads(file.attrs["configuration"]) == CONFIGURATION
        assert file.attrs["configuration_sha256"] == hashlib.sha256(file.attrs["configuration"].encode()).hexdigest()
        assert {"cmr-planes", "h5py", "hdf5"} <= set(json.loads(file.attrs["versions"]))


def test_equal_records_give_equal_bytes_at_another_time_and_place(tmp_path: Path) -> None:
    records = [make_subject(number) for number in range(1, 4)]
    digests = set()
    for folder in ("one", "another"):
        (tmp_path / folder).mkdir()
        write_shard(tmp_path / folder / "00000.h5", iter(records), codec=Codec.BITSHUFFLE_LZ4, configuration=CONFIGURATION)
        content = (tmp_path / folder / "00000.h5").read_bytes()
        assert str(tmp_path).encode() not in content
        digests.add(hashlib.sha256(content).hexdigest())
        time.sleep(1.1)  # HDF5's time stamps count whole seconds
    assert len(digests) == 1


@pytest.mark.parametrize("codec", list(Codec))
def test_a_profiler_that_holds_frames_changes_no_byte(tmp_path: Path, codec: Codec) -> None:
    """Dask's workers sample the running frames; whatever a frame refers to lives as long as the sample."""
    plain = write_shard(tmp_path / "00000.h5", [make_subject(1), make_subject(2)], codec=codec, configuration=CONFIGURATION)
    held = []
    sys.setprofile(lambda *call: held.append(call))
    try:
        profiled = write_shard(tmp_path / "00000.h5", [make_subject(1), make_subject(2)], codec=codec, configuration=CONFIGURATION)
    finally:
        sys.setprofile(None)
    assert held
    assert plain == profiled


def test_the_checksum_beside_a_shard_is_what_sha256sum_reads(tmp_path: Path, subject: SubjectRecord) -> None:
    summary = write_shard(tmp_path / "00000.h5", [subject], codec=Codec.GZIP, configuration=CONFIGURATION)
    assert summary.sha256 == hashlib.sha256((tmp_path / "00000.h5").read_bytes()).hexdigest()
    assert summary.n_bytes == (tmp_path / "00000.h5").stat().st_size
    assert sorted(path.name for path in tmp_path.iterdir()) == ["00000.h5", "00000.h5.sha256"]
    subprocess.run(["sha256sum", "--check", "00000.h5.sha256"], cwd=tmp_path, check=True, capture_output=True)


@pytest.mark.parametrize("key", ["", ".", "..", ".hidden", "a/b", "/", "a\nb", "a\0b", "\ud800"])
def test_a_key_that_hdf5_would_misread_is_refused(tmp_path: Path, subject: SubjectRecord, key: str) -> None:
    with pytest.raises(ValueError, match="cannot name a group"):
        write_shard(tmp_path / "00000.h5", [dataclasses.replace(subject, key=key)], codec=Codec.GZIP, configuration={})
    assert list(tmp_path.iterdir()) == []


@given(key=st.text(min_size=1, max_size=40))
def test_a_key_that_is_accepted_names_one_group(key: str) -> None:
    try:
        check_subject_key(key)
    except ValueError:
        return
    with h5py.File("memory", "w", driver="core", backing_store=False) as file:
        file.create_group(f"data/{key}/sax")
        assert list(file["data"]) == [key]


def test_boxes_in_millimetres_are_stored_as_such(tmp_path: Path) -> None:
    layout = BoxLayout.default(BoxUnits.MILLIMETRES)
    record = dataclasses.replace(make_subject(1, views=()), views=(make_view(CardiacView.SAX, layout=layout),))
    write_shard(tmp_path / "00000.h5", [record], codec=Codec.GZIP, configuration={})
    with h5py.File(tmp_path / "00000.h5") as file:
        values = file["data/SYN-0001/sax"].attrs
        assert (values["box_size"], values["box_gap"], values["box_units"]) == (20.0, 54.6, "mm")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"phases": ("ed",)}, "phases has shape"),
        ({"phases": ("ed", "ed")}, "different names"),
        ({"planes": ()}, "planes has shape"),
        ({"frame_numbers": np.ones((1, 1), dtype=np.int64)}, "frame_numbers has shape"),
        ({"image": np.zeros((2, 3, 4, 4), dtype=np.uint16)}, "matrix is not that of the image"),
        ({"image": np.zeros((2, 3, 208, 180))}, "uint16"),
        ({"line_agreement": np.zeros(2)}, "line_agreement has shape"),
    ],
)
def test_a_record_that_contradicts_itself_is_refused(tmp_path: Path, change: dict[str, object], words: str) -> None:
    view = dataclasses.replace(make_view(CardiacView.SAX), **change)
    record = dataclasses.replace(make_subject(1, views=()), views=(view,))
    with pytest.raises(ValueError, match=words):
        write_shard(tmp_path / "00000.h5", [record], codec=Codec.GZIP, configuration={})
    assert list(tmp_path.iterdir()) == []


def test_a_key_that_occurs_twice_is_refused(tmp_path: Path, subject: SubjectRecord) -> None:
    with pytest.raises(ValueError, match="occurs twice"):
        write_shard(tmp_path / "00000.h5", [subject, subject], codec=Codec.GZIP, configuration={})


def test_a_shard_that_is_not_sealed_leaves_nothing_behind(tmp_path, subject):
    with (
        pytest.raises(RuntimeError, match="was not sealed"),
        ShardWriter(tmp_path / "00000.h5", codec=Codec.GZIP, configuration={}) as writer,
    ):
        writer.add(subject)
    assert list(tmp_path.iterdir()) == []


def test_labels_are_on_the_disk_before_their_shard_is_sealed(tmp_path, subject, monkeypatch):
    view = subject.views[0]
    labels = ViewLabels(
        labels=np.ones(view.image.shape, dtype=np.uint8),
        structures=np.ones((*view.image.shape[:2], 6), dtype=np.bool_),
        source="nifti",
    )
    shard, label_file = tmp_path / "00000.h5", tmp_path / "labels" / "00000.h5"
    with ShardWriter(shard, codec=Codec.GZIP, configuration={}, label_path=label_file) as writer:
        writer.add(subject)
        writer.add_labels(subject.key, {view.view: labels})
        write_tables = shard_writer.write_table
        seen = []

        def table(*arguments):
            seen.append((label_file.exists(), shard.exists()))
            write_tables(*arguments)

        monkeypatch.setattr(shard_writer, "write_table", table)
        summary = writer.seal()
    assert set(seen) == {(True, False)}
    assert shard.exists()
    assert summary.n_images == sum(view.image.shape[0] * view.image.shape[1] for view in subject.views)


@pytest.mark.parametrize("is_shared", [True, False])
def test_rescaling_is_stored_for_each_image_and_for_the_view_where_all_share_it(tmp_path: Path, is_shared: bool) -> None:
    view = plain_view(2, 3)
    rescale = np.tile([2.0, -3.0], (2, 3, 1))
    if not is_shared:
        rescale[1, 2] = 4.0, -3.0
    record = dataclasses.replace(make_subject(1, views=()), views=(dataclasses.replace(view, rescale=rescale),))
    write_shard(tmp_path / "00000.h5", [record], codec=Codec.GZIP, configuration=CONFIGURATION)
    with h5py.File(tmp_path / "00000.h5") as file:
        group = file["data/SYN-0001/sax"]
        np.testing.assert_array_equal(group["rescale"], rescale)
        np.testing.assert_array_equal(group.attrs["rescale_slope"], 2.0 if is_shared else np.nan)
        assert group.attrs["rescale_intercept"] == -3.0
