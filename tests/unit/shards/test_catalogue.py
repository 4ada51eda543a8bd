"""Reading a catalogue by address: values, processes, pickles, and the sentence for each kind of damage."""

import fcntl
import gc
import multiprocessing
import os
import pickle
import threading
from pathlib import Path

import h5py
import numpy as np
import psutil
import pytest

from cmr_planes.errors import CatalogueFinding, NoteCode, RejectionCode, ShardError
from cmr_planes.geometry import BoxLayout, draw_mask
from cmr_planes.shards import open_files
from cmr_planes.shards.catalogue import Catalogue
from cmr_planes.shards.catalogue_writer import write_catalogue
from cmr_planes.shards.schema import Codec
from cmr_planes.shards.verify import verify_catalogue
from cmr_planes.views import CardiacView
from tests.helpers.records import make_subject, rejected_subject, write_shard

SAX, FOUR = CardiacView.SAX, CardiacView.FOUR_CHAMBER
SUBJECTS = {f"SYN-{number:04}": make_subject(number, views=(SAX, FOUR), n_slices=2, matrix=(170, 160)) for number in (1, 2, 3)}


@pytest.fixture
def out(tmp_path: Path) -> Path:
    (tmp_path / "out.shards").mkdir()
    batches = [[SUBJECTS["SYN-0001"], rejected_subject(9)], [SUBJECTS["SYN-0002"], SUBJECTS["SYN-0003"]]]
    shards = [tmp_path / "out.shards" / f"{number:05}.h5" for number in range(2)]
    for path, batch in zip(shards, batches, strict=True):
        write_shard(path, batch, codec=Codec.BITSHUFFLE_LZ4, configuration={"box": 11})
    write_catalogue(tmp_path / "out.h5", shards, configuration={"box": 11}, versions={"cmr-planes": "1"})
    return tmp_path / "out.h5"


def check_all_images(catalogue: Catalogue) -> int:
    """Compare every image and mask of the index with the records; return how many there were."""
    index = catalogue.index()
    for row in range(len(index)):
        key, view = index.subject(row), CardiacView(index.view[row])
        phase, level = int(index.phase_index[row]), int(index.slice_index[row])
        record = next(each for each in SUBJECTS[key].views if each.view is view)
        np.testing.assert_array_equal(catalogue.image(key, view, phase, level), record.image[phase, level])
        mask = draw_mask(record.positions[level], *record.image.shape[2:])
        np.testing.assert_array_equal(catalogue.positions(key, view, phase, level), mask)
        assert index.phase[row] == record.phases[phase]
    return len(index)


def test_every_image_comes_back_by_its_address(out: Path) -> None:
    with Catalogue(out) as catalogue:
        assert check_all_images(catalogue) == 3 * 2 * 3


@pytest.mark.posix
def test_a_link_to_a_catalogue_is_read_with_the_shards_beside_what_it_leads_to(out: Path, tmp_path: Path) -> None:
    link = tmp_path / "elsewhere" / "other.h5"
    link.parent.mkdir()
    link.symlink_to(out)
    (link.parent / "out.shards").mkdir()  # of another catalogue
    with Catalogue(out) as catalogue, Catalogue(link) as linked:
        assert check_all_images(linked) == check_all_images(catalogue) > 0
    assert verify_catalogue(link) == []


@pytest.mark.posix
def test_a_link_with_shards_of_its_own_is_read_with_these(out: Path, tmp_path: Path) -> None:
    moved = tmp_path / "store" / "0a1b"
    moved.parent.mkdir()
    out.rename(moved)
    out.symlink_to(moved)
    with Catalogue(out) as catalogue:
        assert check_all_images(catalogue) > 0


def test_the_index_selects_views_rows_and_persons(out: Path) -> None:
    with Catalogue(out) as catalogue:
        index = catalogue.index(SAX)
    assert len(index) == 3 * 2 * 2
    assert set(index.view) == {"sax"}
    assert index.has_positions.all()
    assert not index.is_annotated.any()
    assert [index.participant(row) for row in (0, 4, 8)] == ["SYN-0001", "SYN-0002", "SYN-0003"]
    at_ed = index.select(index.phase == "ed")
    assert len(at_ed) == 6
    assert at_ed.select(np.array([5])).subject(0) == "SYN-0003"
    with pytest.raises(ValueError, match="read-only"):
        at_ed.rows[0] = 1


def test_an_index_gives_the_rows_of_each_subject_in_any_order(out: Path) -> None:
    with Catalogue(out) as catalogue:
        whole, sax = catalogue.index(), catalogue.index(SAX)
    assert set(whole.view) == {"sax", "4ch"}
    mixed = whole.select(np.array([17, 3, 16, 0, 9]))
    assert [mixed.subject(row) for row in range(5)] == ["SYN-0003", "SYN-0001", "SYN-0003", "SYN-0001", "SYN-0002"]
    assert {key: rows.tolist() for key, rows in mixed.rows_by_subject().items()} == {
        "SYN-0003": [0, 2],
        "SYN-0001": [1, 3],
        "SYN-0002": [4],
    }
    assert [*mixed.rows_by_subject()] == [*mixed.keys()] == ["SYN-0003", "SYN-0001", "SYN-0002"]
    assert mixed.first_rows().tolist() == [0, 1, 4]
    assert mixed.of_subjects(np.array([False, True, True, True])).keys() == ("SYN-0003", "SYN-0002")
    assert sax.select(sax.has_positions) is sax  # nothing is copied where all rows stay
    none = sax.select(np.zeros(len(sax), dtype=bool))
    assert (len(none), none.keys(), none.rows_by_subject()) == (0, (), {})
    assert sum(getattr(sax, name).nbytes for name in ("subject_number", "phase_index", "slice_index", "rows")) == 16 * len(sax)


def test_pixel_sizes_of_a_view_are_those_of_its_table(out: Path) -> None:
    with Catalogue(out) as catalogue:
        views, (subjects, spacings_mm) = catalogue.views(), catalogue.spacings_mm("SAX")
        rows = [row for row in range(len(views)) if views.view[row] == "sax"]
        assert subjects == tuple(views.subject[row] for row in rows)
        np.testing.assert_array_equal(spacings_mm, views.spacing_mm[rows])
        assert catalogue.spacings_mm("3ch")[1].shape == (0, 2)


def test_shards_that_are_not_as_they_were_sealed_are_named_without_opening_them(out: Path) -> None:
    with Catalogue(out) as catalogue:
        names = sorted(set(catalogue.subjects().shard))
        assert catalogue.altered_shards() == frozenset()
        first, second = (out.parent / name for name in names[:2])
        first.unlink()
        second.write_bytes(second.read_bytes() + b"x")
        assert catalogue.altered_shards() == {*names[:2]}


def test_subjects_rejections_and_notes_are_values_again(out: Path) -> None:
    with Catalogue(out) as catalogue:
        subjects = catalogue.subjects()
        assert subjects.key == ("SYN-0001", "SYN-0009", "SYN-0002", "SYN-0003")
        assert subjects.n_images.tolist() == [6, 0, 6, 6]
        assert subjects.shard == ("out.shards/00000.h5",) * 2 + ("out.shards/00001.h5",) * 2
        (finding,) = rejected_subject(9).findings
        assert catalogue.rejections() == (CatalogueFinding("SYN-0009", "", finding.code, finding.sentence),)
        assert catalogue.rejections()[0].code is RejectionCode.NO_SAX
        assert catalogue.notes()[0] == CatalogueFinding(
            "SYN-0001", "sax", NoteCode.FEW_FRAMES, "only 2 frames; end-systole was not searched"
        )
        assert catalogue.configuration() == {"box": 11}
        assert catalogue.versions() == {"cmr-planes": "1"}


def test_attributes_give_back_planes_and_boxes(out: Path) -> None:
    with Catalogue(out) as catalogue:
        found = catalogue.view_attributes("SYN-0002", SAX)
    record = SUBJECTS["SYN-0002"].views[0]
    assert found.shape == record.image.shape
    assert found.phases == ("ed", "es")
    np.testing.assert_array_equal(found.rescale, record.rescale)
    for plane, original in zip(found.planes, record.planes, strict=True):
        np.testing.assert_allclose(plane.patient_from_pixel, original.patient_from_pixel, atol=1e-12)
        assert (plane.rows, plane.columns) == (original.rows, original.columns)
    assert found.boxes is not None
    assert found.boxes.layout == BoxLayout()
    assert found.boxes.line_views == (CardiacView.FOUR_CHAMBER, CardiacView.TWO_CHAMBER)
    for level, positions in enumerate(record.positions):
        np.testing.assert_array_equal(found.boxes.boxes[level], positions.boxes)
        np.testing.assert_array_equal(found.boxes.centres_px[level], positions.centres_px)
        assert found.boxes.angle_deg[level] == positions.angle_deg


def test_views_without_positions_say_so(tmp_path: Path) -> None:
    (tmp_path / "out.shards").mkdir()
    record = make_subject(1, views=(SAX,), n_slices=1, matrix=(60, 50), with_positions=False)
    write_shard(tmp_path / "out.shards" / "00000.h5", [record], codec=Codec.GZIP, configuration={})
    write_catalogue(tmp_path / "out.h5", [tmp_path / "out.shards" / "00000.h5"], configuration={}, versions={})
    with Catalogue(tmp_path / "out.h5") as catalogue:
        assert not catalogue.index().has_positions.any()
        attributes = catalogue.view_attributes("SYN-0001", SAX)
        assert (attributes.boxes, attributes.line_agreement) == (None, None)
        assert catalogue.views().class_pixels.sum() == 0
        assert np.isnan(catalogue.views().alignment).all()
        with pytest.raises(ShardError, match="'SYN-0001' has no sax/positions"):
            catalogue.positions("SYN-0001", SAX, 0, 0)


def test_a_pickle_is_the_path(out: Path) -> None:
    with Catalogue(out) as catalogue:
        check_all_images(catalogue)
        content = pickle.dumps(catalogue)
        assert len(content) < 1000
        with pickle.loads(content) as copy:  # noqa: S301  # our own bytes
            assert check_all_images(copy) == 18


def _child(catalogue: Catalogue) -> None:
    files = catalogue._files
    assert files is not None
    assert files.pid != os.getpid()
    os._exit(0 if check_all_images(catalogue) == 18 and catalogue._files.pid == os.getpid() else 1)


def test_a_forked_child_opens_its_own_files(out: Path) -> None:
    with Catalogue(out) as catalogue:
        check_all_images(catalogue)
        children = [multiprocessing.get_context("fork").Process(target=_child, args=(catalogue,)) for _ in range(2)]
        for child in children:
            child.start()
        check_all_images(catalogue)
        for child in children:
            child.join()
            assert child.exitcode == 0
        assert check_all_images(catalogue) == 18


def test_threads_share_a_catalogue(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(open_files, "MAX_OPEN_SHARDS", 1)
    monkeypatch.setattr(open_files, "MAX_OPEN_DATASETS", 2)
    counts = []
    with Catalogue(out) as catalogue:
        threads = [threading.Thread(target=lambda: counts.append(check_all_images(catalogue))) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert counts == [18] * 4


def test_only_so_many_shards_stay_open(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(open_files, "MAX_OPEN_SHARDS", 1)
    with Catalogue(out) as catalogue:
        check_all_images(catalogue)
        assert len(catalogue._files.shards) == 1


def test_closing_lets_go_of_every_file(out: Path) -> None:
    with Catalogue(out) as catalogue:
        check_all_images(catalogue)
    gc.collect()
    assert not any(str(out.parent) in file.path for file in psutil.Process().open_files())
    assert check_all_images(catalogue) == 18
    catalogue.close()


def test_reading_minds_no_file_locks(out: Path) -> None:
    with shard(out).open("rb") as stream, out.open("rb") as other, Catalogue(out) as catalogue:
        fcntl.flock(stream, fcntl.LOCK_EX)
        fcntl.flock(other, fcntl.LOCK_EX)
        assert check_all_images(catalogue) == 18


def test_a_user_may_have_the_same_file_open_with_plain_h5py(out: Path) -> None:
    with h5py.File(out) as file:
        image = file["data/SYN-0001/sax/image"]
        with Catalogue(out) as catalogue:
            np.testing.assert_array_equal(catalogue.image("SYN-0001", SAX, 0, 1), image[0, 1])


@pytest.mark.parametrize(
    ("address", "words"),
    [
        (("SYN-0404", SAX, 0, 0), "holds no images of subject 'SYN-0404'"),
        (("SYN-0009", SAX, 0, 0), "holds no images of subject 'SYN-0009'"),
        (("SYN-0001", CardiacView.TWO_CHAMBER, 0, 0), "'SYN-0001' has no 2ch/image"),
        (("SYN-0001", SAX, 2, 0), "'SYN-0001' has no sax/image, phase 2, slice 0"),
        (("SYN-0001", SAX, 0, 7), "'SYN-0001' has no sax/image, phase 0, slice 7"),
        (("SYN-0001", SAX, -1, 0), "'SYN-0001' has no sax/image, phase -1, slice 0"),
    ],
)
def test_an_address_that_is_not_there_is_named(out: Path, address: tuple[str, CardiacView, int, int], words: str) -> None:
    with Catalogue(out) as catalogue, pytest.raises(ShardError, match=words):
        catalogue.image(*address)


def shard(out: Path) -> Path:
    return out.parent / "out.shards" / "00000.h5"


def test_a_missing_shard_is_named_and_the_others_can_be_read(out: Path) -> None:
    shard(out).unlink()
    with Catalogue(out) as catalogue:
        with pytest.raises(ShardError, match=r"00000\.h5.* does not exist; 'cmr-planes verify --set-aside'"):
            catalogue.image("SYN-0001", SAX, 0, 0)
        assert catalogue.image("SYN-0002", SAX, 0, 0).any()


def test_a_truncated_shard_is_named(out: Path) -> None:
    with shard(out).open("r+b") as stream:
        stream.truncate(20_000)
    with Catalogue(out) as catalogue, pytest.raises(ShardError, match=r"00000\.h5.*truncated"):
        catalogue.image("SYN-0001", SAX, 0, 0)


def test_a_damaged_image_is_named_with_its_shard(out: Path) -> None:
    with h5py.File(shard(out)) as file:
        offset = file["data/SYN-0001/sax/image"].id.get_chunk_info(0).byte_offset
    with shard(out).open("r+b") as stream:
        stream.seek(offset)
        stream.write(b"\xff" * 64)
    with (
        Catalogue(out) as catalogue,
        pytest.raises(ShardError, match=r"sax/image, phase 0, slice 0 of subject 'SYN-0001'.*00000\.h5"),
    ):
        catalogue.image("SYN-0001", SAX, 0, 0)


def _change(path: Path, name: str, value: object) -> None:
    with h5py.File(path, "r+") as file:
        file.attrs[name] = value


def test_files_that_are_not_ours_are_refused(out: Path, tmp_path: Path) -> None:
    (tmp_path / "text.h5").write_text("hello")
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["index"] = [1]
    for path, words in (
        (tmp_path / "text.h5", "not an HDF5 file"),
        (tmp_path / "other.h5", "not written by cmr-planes"),
        (tmp_path / "absent.h5", "does not exist"),
        (tmp_path, "is a directory"),
        (shard(out), "is a cmr-planes shard"),
    ):
        with pytest.raises(ShardError, match=words):
            Catalogue(path)


@pytest.mark.parametrize("which", ["catalogue", "shard"])
def test_a_newer_version_is_refused(out: Path, which: str) -> None:
    _change(out if which == "catalogue" else shard(out), "schema_version", 2)
    with (
        pytest.raises(ShardError, match="version 2 of the format, and this software reads versions up to 1; update"),
        Catalogue(out) as catalogue,
    ):
        catalogue.image("SYN-0001", SAX, 0, 0)


@pytest.mark.parametrize("name", ["index", "subjects", "views", "rejections", "notes"])
def test_a_table_that_is_missing_is_named(out: Path, name: str) -> None:
    with h5py.File(out, "r+") as file:
        del file[name]
    with Catalogue(out) as catalogue, pytest.raises(ShardError, match=f"no readable table /{name}"):
        getattr(catalogue, name)()


@pytest.mark.parametrize("name", ["rejections", "notes"])
def test_a_reason_of_a_later_release_is_named(out: Path, name: str) -> None:
    with h5py.File(out, "r+") as file:
        table = file[name][()]
        table["code"] = b"zzz"
        file[name][...] = table
    with Catalogue(out) as catalogue, pytest.raises(ShardError, match=f"/{name} .*update this software"):
        getattr(catalogue, name)()


def test_an_index_that_does_not_fit_its_subjects_is_damage(out: Path) -> None:
    with h5py.File(out, "r+") as file:
        table = file["subjects"][()]
        table["n_images"] = 1
        file["subjects"][...] = table
    with Catalogue(out) as catalogue, pytest.raises(ShardError, match=r"/index .*damaged"):
        catalogue.index()


@pytest.mark.parametrize("spoil", ["missing", "nonsense"])
def test_damaged_attributes_are_named_with_their_shard(out: Path, spoil: str) -> None:
    with h5py.File(shard(out), "r+") as file:
        values = file["data/SYN-0001/sax"].attrs
        if spoil == "missing":
            del values["spacing_mm"]
        else:
            values["affine_lps_mm"] = np.zeros((2, 4, 4))
    with (
        Catalogue(out) as catalogue,
        pytest.raises(ShardError, match=r"sax of subject 'SYN-0001' cannot be read: shard .*00000\.h5"),
    ):
        catalogue.view_attributes("SYN-0001", SAX)


def test_a_file_that_may_not_be_read_is_named(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Path, *args: object) -> None:
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "open", refuse)  # the tests may run as root, that no mode stops
    with pytest.raises(ShardError, match="permission denied"):
        Catalogue(out)


def test_views_and_phases_are_taken_as_text(out: Path) -> None:
    with Catalogue(out) as catalogue:
        index = catalogue.index("SAX")
        assert index.view.tolist() == ["sax"] * 12
        record = SUBJECTS["SYN-0002"].views[0]
        for phase, name in enumerate(record.phases):
            np.testing.assert_array_equal(catalogue.image("SYN-0002", "sax", name.upper(), 1), record.image[phase, 1])
            np.testing.assert_array_equal(
                catalogue.positions("SYN-0002", SAX, name, 1), catalogue.positions("SYN-0002", SAX, phase, 1)
            )
        assert catalogue.view_attributes("SYN-0002", "4Ch").view is FOUR


def test_a_value_that_is_wrong_is_named_and_nothing_is_called_damaged(out: Path) -> None:
    with Catalogue(out) as catalogue:
        with pytest.raises(ValueError, match=r"^'saxx' is not a view; give one of sax, 2ch, 3ch, 4ch$"):
            catalogue.index("saxx")
        with pytest.raises(ValueError, match=r"^7 is not a view; "):
            catalogue.image("SYN-0001", 7, 0, 0)  # type: ignore[arg-type]  # what a caller may get wrong
        with pytest.raises(ShardError, match=r"view sax of subject 'SYN-0001' has no phase '017' in .*; it has ed and es$"):
            catalogue.image("SYN-0001", "sax", "017", 0)
        with pytest.raises(TypeError, match=r"^slice_index must be a whole number, got '0'$"):
            catalogue.image("SYN-0001", "sax", "ed", "0")  # type: ignore[arg-type]
        with pytest.raises(TypeError, match=r"^phase must be a whole number, got 0\.5$"):
            catalogue.image("SYN-0001", "sax", 0.5, 0)  # type: ignore[arg-type]


def test_images_come_one_by_one_with_what_belongs_to_them(out: Path) -> None:
    with Catalogue(out) as catalogue:
        images = list(catalogue.images("sax"))
        assert [(image.subject, image.phase, image.slice_index) for image in images] == [
            (key, phase, slice_index) for key in SUBJECTS for phase in ("ed", "es") for slice_index in (0, 1)
        ]
        for image in images:
            record = SUBJECTS[image.subject].views[0]
            np.testing.assert_array_equal(image.image, record.image[image.phase_index, image.slice_index])
            np.testing.assert_array_equal(image.positions, draw_mask(record.positions[image.slice_index], 170, 160))
            np.testing.assert_allclose(image.plane.position_mm, record.planes[image.slice_index].position_mm, atol=1e-9)
            assert image.labels is None
        assert len(list(catalogue.images())) == 18
        assert len(list(catalogue.images(annotated=False))) == 18
        assert list(catalogue.images(annotated=True)) == []


def test_going_through_images_reads_none_of_them(out: Path) -> None:
    for shard in (out.parent / "out.shards").glob("*.h5"):
        shard.unlink()
    with Catalogue(out) as catalogue:
        first, *others = catalogue.images("4ch")
        assert len(others) == 5
        with pytest.raises(ShardError, match=r"00000\.h5"):
            _ = first.image
