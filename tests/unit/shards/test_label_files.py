"""Labels beside the shards: what goes in comes out, shards stay as they are, and the catalogue stays when something is wrong."""

from collections.abc import Mapping
from pathlib import Path

import h5py
import hdf5plugin  # noqa: F401  # a user of the default codec imports it too
import numpy as np
import pytest

from cmr_planes.errors import ShardError
from cmr_planes.shards.catalogue import Catalogue
from cmr_planes.shards.catalogue_writer import write_catalogue
from cmr_planes.shards.label_files import LabelTree, label_folder
from cmr_planes.shards.records import ViewLabels
from cmr_planes.shards.verify import verify_catalogue
from cmr_planes.views import CardiacView, Structure
from tests.helpers.catalogues import write_batches
from tests.helpers.cohorts import digests
from tests.helpers.labels import refresh_catalogue, write_labels
from tests.helpers.records import make_subject

SAX, FOUR = CardiacView.SAX, CardiacView.FOUR_CHAMBER
MATRIX = (170, 160)


@pytest.fixture
def out(tmp_path: Path) -> Path:
    subjects = [make_subject(number, views=(SAX, FOUR), n_slices=2, matrix=MATRIX) for number in (1, 2, 3)]
    return write_batches(tmp_path, [subjects[:2], subjects[2:]])


def labels_of(annotated: Mapping[tuple[int, int], Structure], n_slices: int = 2, source: str = "test") -> ViewLabels:
    """Labels of two phases on which some images hold a square of one structure."""
    labels = np.zeros((2, n_slices, *MATRIX), dtype=np.uint8)
    structures = np.zeros((2, n_slices, len(Structure)), dtype=np.bool_)
    for (phase, level), structure in annotated.items():
        labels[phase, level, 40:50, 60 : 60 + 10 * (phase + 1)] = structure
        structures[phase, level, [0, structure]] = True
    return ViewLabels(labels=labels, structures=structures, source=source)


SOME = labels_of({(0, 0): Structure.LV, (1, 1): Structure.RV})


def test_labels_come_back_by_the_image_s_address(out: Path) -> None:
    before = digests(out.parent / "out.shards")
    four = labels_of({(1, 0): Structure.RA}, n_slices=1)
    write_labels(out, {"SYN-0003": {SAX: SOME}, "SYN-0002": {FOUR: four, SAX: SOME}})
    assert digests(out.parent / "out.shards") == before
    with Catalogue(out) as catalogue:
        index = catalogue.index()
        marked = index.select(index.is_annotated)
        addresses = [
            (marked.subject(row), marked.view[row], marked.phase_index[row], marked.slice_index[row]) for row in range(len(marked))
        ]
        assert addresses == [
            ("SYN-0002", "sax", 0, 0),
            ("SYN-0002", "sax", 1, 1),
            ("SYN-0002", "4ch", 1, 0),
            ("SYN-0003", "sax", 0, 0),
            ("SYN-0003", "sax", 1, 1),
        ]
        np.testing.assert_array_equal(catalogue.labels("SYN-0002", SAX, 0, 0), SOME.labels[0, 0])
        np.testing.assert_array_equal(catalogue.labels("SYN-0002", FOUR, 1, 0), four.labels[1, 0])
        assert not catalogue.labels("SYN-0003", SAX, 1, 0).any()
        np.testing.assert_array_equal(catalogue.labelled_structures("SYN-0003", SAX), SOME.structures)
        table = catalogue.annotations()
        assert (table.subject, table.view) == (("SYN-0002", "SYN-0002", "SYN-0003"), ("sax", "4ch", "sax"))
        assert table.n_images.tolist() == [2, 1, 2]
        assert table.structure_images.tolist()[0] == [2, 1, 0, 1, 0, 0]
        assert table.label_pixels[0, 1:].tolist() == [100, 0, 200, 0, 0]
    assert verify_catalogue(out) == []


def test_a_user_reaches_labels_with_h5py_alone(out: Path) -> None:
    write_labels(out, {"SYN-0001": {SAX: SOME}})
    with h5py.File(out) as file:
        group = file["labels/SYN-0001/sax"]
        assert list(group.attrs["classes"]) == ["background", "LV", "Myo", "RV", "LA", "RA"]
        assert group["labels"].chunks == (1, 1, *MATRIX)
        assert group["labels"].shape == file["data/SYN-0001/sax/image"].shape
        assert group.attrs["annotated"].tolist() == [[True, False], [False, True]]
        assert "SYN-0002" not in file["labels"]


def test_catalogues_without_labels_say_so(out: Path) -> None:
    with Catalogue(out) as catalogue:
        assert not catalogue.index().is_annotated.any()
        assert len(catalogue.annotations()) == 0
        with pytest.raises(ShardError, match="holds no labels of subject 'SYN-0001'"):
            catalogue.labels("SYN-0001", SAX, 0, 0)
        with pytest.raises(ShardError, match="holds no labels of subject 'SYN-0001'"):
            catalogue.labelled_structures("SYN-0001", SAX)


def test_annotating_twice_keeps_other_images_and_replaces_the_same_ones(out: Path) -> None:
    write_labels(out, {"SYN-0001": {SAX: SOME}, "SYN-0002": {SAX: SOME}})
    newer = labels_of({(1, 1): Structure.LV, (1, 0): Structure.LV}, source="other")
    write_labels(out, {"SYN-0001": {SAX: newer}})
    with Catalogue(out) as catalogue:
        found = catalogue.labelled_structures("SYN-0001", SAX)
        assert found.any(axis=2).tolist() == [[True, False], [True, True]]
        assert found[1, 1].tolist() == [True, True, False, False, False, False]
        np.testing.assert_array_equal(catalogue.labels("SYN-0001", SAX, 0, 0), SOME.labels[0, 0])
        np.testing.assert_array_equal(catalogue.labels("SYN-0001", SAX, 1, 1), newer.labels[1, 1])
        np.testing.assert_array_equal(catalogue.labels("SYN-0002", SAX, 1, 1), SOME.labels[1, 1])
        assert catalogue.annotations().source == ("other, test", "test")


def test_equal_labels_give_equal_bytes(out: Path) -> None:
    labels = {"SYN-0001": {SAX: SOME}, "SYN-0002": {SAX: SOME}}
    write_labels(out, labels)
    first = digests(label_folder(out)), out.read_bytes()
    write_labels(out, dict(reversed(labels.items())))
    assert (digests(label_folder(out)), out.read_bytes()) == first


def test_a_catalogue_written_again_keeps_its_labels(out: Path) -> None:
    write_labels(out, {"SYN-0003": {SAX: SOME}})
    shards = [out.parent / "out.shards" / f"{number:05}.h5" for number in range(2)]
    write_catalogue(out, shards, configuration={"box": 11.0}, versions={"cmr-planes": "1"})
    with Catalogue(out) as catalogue:
        assert catalogue.index().is_annotated.sum() == 2
        np.testing.assert_array_equal(catalogue.labels("SYN-0003", SAX, 1, 1), SOME.labels[1, 1])


@pytest.mark.parametrize(
    ("labels", "sentence"),
    [
        pytest.param({"SYN-0009": {SAX: SOME}}, "has no SAX images of subject 'SYN-0009'", id="unknown subject"),
        pytest.param({"SYN-0001": {CardiacView.TWO_CHAMBER: SOME}}, "has no 2Ch images", id="unknown view"),
        pytest.param({"SYN-0001": {SAX: labels_of({}, n_slices=3)}}, r"shape \(2, 3, 170, 160\)", id="other shape"),
    ],
)
def test_labels_of_other_images_are_refused_and_nothing_changes(out: Path, labels: LabelTree, sentence: str) -> None:
    before = out.read_bytes()
    with pytest.raises(ShardError, match=sentence):
        write_labels(out, labels)
    assert out.read_bytes() == before
    assert not label_folder(out).exists()


def test_damage_is_found_and_named(out: Path) -> None:
    write_labels(out, {"SYN-0001": {SAX: SOME}})
    path = label_folder(out) / "00000.h5"
    content = path.read_bytes()
    path.write_bytes(content[:-100])
    assert [finding.shard for finding in verify_catalogue(out)] == ["out.labels/00000.h5"]
    with Catalogue(out) as catalogue, pytest.raises(ShardError, match=r"00000.h5.*run 'cmr-planes annotate' again"):
        catalogue.labels("SYN-0001", SAX, 0, 0)
    with pytest.raises(ShardError, match=r"00000.h5"):
        refresh_catalogue(out)
    path.write_bytes(content)
    assert verify_catalogue(out) == []


def test_label_files_of_another_catalogue_are_refused(out: Path, tmp_path: Path) -> None:
    other = write_batches(tmp_path / "other", [[make_subject(1, views=(SAX,), n_slices=3, matrix=MATRIX)]])
    write_labels(other, {"SYN-0001": {SAX: labels_of({(0, 0): Structure.LV}, n_slices=3)}})
    label_folder(out).mkdir()
    (label_folder(other) / "00000.h5").rename(label_folder(out) / "00000.h5")
    with pytest.raises(ShardError, match="belong to another catalogue"):
        refresh_catalogue(out)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"labels": SOME.labels.astype(np.int64)}, "type uint8"),
        ({"structures": SOME.structures[:1]}, "expected structures of shape"),
        ({"labels": np.full_like(SOME.labels, 6)}, "classes 0 to 5"),
        ({"structures": np.zeros_like(SOME.structures)}, "no structure was drawn"),
    ],
)
def test_labels_that_contradict_themselves_are_programming_mistakes(change: dict[str, np.ndarray], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        ViewLabels(**{"labels": SOME.labels, "structures": SOME.structures, "source": "test", **change})
