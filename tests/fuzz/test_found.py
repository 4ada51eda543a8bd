"""What fuzzing found, each as the smallest input that shows it."""

import dataclasses
import json
import struct
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from cmr_planes.annotations.dicom_seg import read_dicom_seg
from cmr_planes.annotations.files import find_label_files
from cmr_planes.cine.phases import CycleCurves, find_phases
from cmr_planes.cine.series_names import load_names
from cmr_planes.dicom.values import decimal_number, integer
from cmr_planes.discovery.nifti_sets import find_nifti_subjects
from cmr_planes.discovery.subjects import SubjectSource, find_subjects
from cmr_planes.errors import AnnotationError, InvalidPlaneError, ShardError, SourceError
from cmr_planes.extraction.options import ExtractOptions
from cmr_planes.extraction.subject import extract_subject
from cmr_planes.geometry import ImagePlane
from cmr_planes.nifti.volumes import read_volume
from cmr_planes.shards.catalogue import Catalogue
from cmr_planes.shards.label_files import read_label_file
from cmr_planes.shards.schema import check_subject_key
from cmr_planes.shards.verify import verify_catalogue
from cmr_planes.views import CardiacView
from tests.fuzz import dicom_tree, seeds
from tests.fuzz.zip_records import pack, unpack
from tests.helpers.headers import read_subject
from tests.helpers.labels import refresh_catalogue


@pytest.fixture
def out(tmp_path: Path) -> Path:
    for name, data in unpack(seeds.catalogues()[1]).items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(data)
    return tmp_path / "out.h5"


# DICOM


def test_a_functional_group_that_is_no_sequence(tmp_path: Path) -> None:
    file = dicom_tree.parse(seeds.enhanced_files()[0])
    holder, index = next(
        (holder, index) for holder, index in dicom_tree.all_elements(file.elements) if holder[index].tag == 0x00209111
    )
    holder[index] = dicom_tree.Element(0x00209111, b"FD", bytes(13))
    path = tmp_path / "image"
    path.write_bytes(dicom_tree.write(file))
    scan = read_subject(SubjectSource(key="S", participant="S", paths=(path,), root=tmp_path))
    assert [item.sentence for item in scan.unreadable] == ["file 1 of 1 has functional groups that cannot be read; export it again"]


@pytest.mark.parametrize("unknown", [slice(None), [0, 1, 9], slice(2, 7)], ids=["all", "around the R wave", "in systole"])
def test_frames_that_cannot_be_read_leave_phases_to_be_found(unknown: object) -> None:
    pool, difference = 10 - np.arange(10.0), np.arange(10.0)
    pool[unknown], difference[unknown] = np.nan, np.nan  # type: ignore[index]
    phases = find_phases(CycleCurves(np.arange(10) / 10, pool, difference))
    assert (phases.ed, phases.es) == (0.0, None)
    assert phases.lack


@pytest.mark.parametrize(("position", "spacing"), [(1e308, 1.0), (0.0, 5e-324), (0.0, 1e300), (np.nan, 1.0)])
def test_coordinates_with_which_nothing_can_be_computed(position: float, spacing: float) -> None:
    with pytest.raises(InvalidPlaneError):
        ImagePlane.from_attributes([position, 0, 0], [1, 0, 0, 0, 1, 0], [spacing, 1], rows=4, columns=4)


def test_numbers_that_no_measure_has() -> None:
    assert [decimal_number(raw) for raw in (b"1e308", b"1e13", b"1e12", b"-inf")] == [None, None, 1e12, None]
    assert [integer(raw) for raw in (b"2147483648", b"2147483647", b"-2147483648")] == [None, (1 << 31) - 1, None]


@pytest.mark.parametrize("name", ["a\nb", "a\x1b[31mb", "a\u202eb", "\u2028x"])
def test_file_names_that_no_group_can_have(tmp_path: Path, name: str) -> None:
    for each, content in ((name, seeds.zips()[0]), ("b", seeds.subjects()[0])):
        (tmp_path / f"{each}.zip").write_bytes(content)
        (tmp_path / each).mkdir()
        (tmp_path / each / "sa_ED.nii").write_bytes(b"")
    for subjects in (find_subjects([tmp_path]), find_nifti_subjects([tmp_path])):
        assert len({subject.key for subject in subjects}) == 2
        for subject in subjects:
            check_subject_key(subject.key)


def test_a_biobank_name_that_no_group_can_have(tmp_path: Path) -> None:
    (tmp_path / "9\n_20209_2_0.zip").write_bytes(seeds.zips()[0])
    (subject,) = find_subjects([tmp_path])
    check_subject_key(subject.key)


def test_images_of_a_subject_have_a_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.zip").write_bytes(seeds.subjects()[0])
    options = ExtractOptions(layout=seeds.LAYOUT)
    whole = extract_subject(find_subjects([tmp_path])[0], options, ()).record
    monkeypatch.setattr("cmr_planes.dicom.frame_images.MAX_BYTES", 20 * 32 * 32 * 2)  # of 48 images
    record = extract_subject(find_subjects([tmp_path])[0], options, ()).record
    assert sum(view.image.size for view in record.views) < sum(view.image.size for view in whole.views)
    sentences = [message.sentence for message in record.findings]
    assert any("would take more than" in sentence for sentence in sentences)


# annotations and tables


def test_a_zip_with_a_member_without_a_name(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(pack({"x": b""}).replace(b"x", b"\0"))
    with pytest.raises(SourceError, match="no annotation files"):
        find_label_files(tmp_path / "a.zip")


@pytest.mark.parametrize(
    ("offset", "field"),
    [
        (108, struct.pack("<f", float("inf"))),
        (108, struct.pack("<f", 2.0**31)),
        (40, struct.pack("<8h", 4, 600, 600, 16, 60, 1, 1, 1)),
    ],
    ids=["values begin nowhere", "values begin far away", "more than memory"],
)
def test_nifti_headers_that_lie(tmp_path: Path, offset: int, field: bytes) -> None:
    data = bytearray(seeds.label_volumes()[0])
    data[offset : offset + len(field)] = field
    (tmp_path / "sax_ed.nii").write_bytes(data)
    with pytest.raises(AnnotationError):
        read_volume(tmp_path / "sax_ed.nii")


def test_a_segmentation_far_from_any_patient(tmp_path: Path) -> None:
    file = dicom_tree.parse(seeds.segmentations()[0])
    for holder, index in dicom_tree.all_elements(file.elements):
        if holder[index].tag == 0x00200032:
            holder[index].value = b"1e308\\0\\0 "
    (tmp_path / "seg").write_bytes(dicom_tree.write(file))
    with (tmp_path / "seg").open("rb") as stream, pytest.raises(AnnotationError, match="ImagePositionPatient"):
        read_dicom_seg(stream)


def test_names_that_are_no_text(tmp_path: Path) -> None:
    (tmp_path / "names.toml").write_bytes(b'[views]\nsax = ["\xff"]\n')
    with pytest.raises(SourceError, match="is not a table of names"):
        load_names(tmp_path / "names.toml")
    with pytest.raises(SourceError, match="cannot be read"):
        load_names(tmp_path)


# catalogues


def replace(path: Path, name: str, **dataset: object) -> None:
    with h5py.File(path, "r+") as file:
        del file[name]
        if dataset:
            file.create_dataset(name, **dataset)


def read_subjects(path: Path) -> object:
    with Catalogue(path) as catalogue:
        return catalogue.subjects()


def read_index(path: Path) -> object:
    with Catalogue(path) as catalogue:
        return catalogue.index()


@pytest.mark.parametrize("read", [read_subjects, read_index, refresh_catalogue], ids=["subjects", "index", "refresh"])
@pytest.mark.parametrize("shape", [(1 << 40,), (1 << 20,)])
def test_a_table_that_claims_more_than_the_file_holds(out: Path, read: Callable[[Path], object], shape: tuple[int]) -> None:
    for path in (out, out.parent / "out.shards" / "00000.h5"):
        replace(
            path, "subjects", shape=shape, dtype=[("subject", "S80"), ("participant", "S8"), ("n_images", "u4")], chunks=(1024,)
        )
    with pytest.raises(ShardError):
        read(out)


def test_more_images_of_a_subject_than_rows(out: Path) -> None:
    with h5py.File(out, "r+") as file:
        table = file["subjects"][()]
        table["n_images"] = np.iinfo(np.uint32).max
        file["subjects"][...] = table
    with pytest.raises(ShardError, match="/index"):
        read_index(out)


@pytest.mark.parametrize("shape", [(70_000, 70_000), (1, 1, 1 << 20, 1 << 20), ()])
def test_images_that_are_none(out: Path, shape: tuple[int, ...]) -> None:
    chunks = (1, 1, 64, 64)[4 - len(shape) :] if shape else None
    replace(out.parent / "out.shards" / "00000.h5", "data/SYN-0001/sax/image", shape=shape, dtype="u2", chunks=chunks)
    with Catalogue(out) as catalogue:
        with pytest.raises(ShardError):
            catalogue.image("SYN-0001", CardiacView.SAX, 0, 0)
        with pytest.raises(ShardError):
            catalogue.view_attributes("SYN-0001", CardiacView.SAX)


def test_labels_without_their_attributes(out: Path) -> None:
    with h5py.File(out.parent / "out.labels" / "00000.h5", "r+") as file:
        file["labels/SYN-0001/sax"].attrs["annotated"] = "x"
        del file["labels/SYN-0001/sax"].attrs["structures"]
    with pytest.raises(ShardError, match="damaged"):
        read_label_file(out.parent / "out.labels" / "00000.h5")
    with pytest.raises(ShardError, match="damaged"):
        refresh_catalogue(out)


def test_a_shard_that_is_an_endless_device(out: Path) -> None:
    with h5py.File(out, "r+") as file:
        table = file["shards"][()]
        table["name"], table["bytes"] = b"/dev/zero", 0
        file["shards"][...] = table
    assert [finding.sentence for finding in verify_catalogue(out)][:1] == ["shard '/dev/zero' is not a regular file"]


@pytest.mark.parametrize("column", ["source", "label_pixels", "subject"])
def test_annotations_without_a_column(out: Path, column: str) -> None:
    path = out.parent / "out.labels" / "00000.h5"
    with h5py.File(path, "r") as file:
        table = file["annotations"][()]
    replace(path, "annotations", data=table[[name for name in table.dtype.names if name != column]])
    with pytest.raises(ShardError, match="damaged"):
        refresh_catalogue(out)


def test_labels_of_a_subject_without_a_usable_key(out: Path) -> None:
    with h5py.File(out.parent / "out.labels" / "00000.h5", "r+") as file:
        file.move("labels/SYN-0001", "labels/..x")
    with pytest.raises(ShardError):
        refresh_catalogue(out)


@pytest.mark.parametrize("column", ["class_pixels", "line_agreement"])
def test_columns_of_another_shape(out: Path, column: str) -> None:
    with h5py.File(out, "r") as file:
        table = file["views"][()]
    spoilt = np.zeros(len(table), [(name, "f8" if name == column else table.dtype[name]) for name in table.dtype.names])
    spoilt["subject"], spoilt["view"] = table["subject"], table["view"]
    replace(out, "views", data=spoilt)
    with Catalogue(out) as catalogue, pytest.raises(ShardError, match="/views"):
        catalogue.views()


def test_columns_and_datasets_of_other_types(out: Path) -> None:
    with h5py.File(out, "r") as file:
        table = file["views"][()]
    spoilt = table.astype([(name, "S9" if name == "row_spacing_mm" else table.dtype[name]) for name in table.dtype.names])
    spoilt["row_spacing_mm"] = b"x"
    replace(out, "views", data=spoilt)
    replace(out.parent / "out.shards" / "00000.h5", "data/SYN-0001/sax/frame_numbers", data=np.ones((2, 2), dtype="c16"))
    with Catalogue(out) as catalogue:
        with pytest.raises(ShardError, match="/views"):
            catalogue.views()
        with pytest.raises(ShardError):
            catalogue.view_attributes("SYN-0001", CardiacView.SAX)


# runs of the trainer


@pytest.mark.parametrize(
    ("group", "changes"),
    [
        ("network", {"levels": 1 << 70}),
        ("network", {"levels": 20, "base_channels": 512}),
        ("network", {"base_channels": [2]}),
        ("data", {"rows": 1 << 31}),
        ("data", {"fractions": [1, "x", 2]}),
        ("data", ["x"]),
    ],
)
def test_configurations_that_no_run_has(tmp_path: Path, group: str, changes: object) -> None:
    from cmr_train.errors import CheckpointError
    from cmr_train.runs.run import load_run

    for name, data in unpack(seeds.runs()[0]).items():
        (tmp_path / name).write_bytes(data)
    stored = json.loads((tmp_path / "config.json").read_text())
    stored["config"][group] = {**stored["config"][group], **changes} if isinstance(changes, dict) else changes
    (tmp_path / "config.json").write_text(json.dumps(stored))
    with pytest.raises(CheckpointError, match=r"config\.json"):
        load_run(tmp_path)


def test_weights_of_another_network_are_refused_before_one_is_made(tmp_path: Path) -> None:
    from cmr_train.config import NetworkConfig
    from cmr_train.errors import CheckpointError
    from cmr_train.runs.files import write_json
    from cmr_train.runs.folder import read_config
    from cmr_train.runs.run import load_run

    for name, data in unpack(seeds.runs()[0]).items():
        (tmp_path / name).write_bytes(data)
    config = dataclasses.replace(read_config(tmp_path), network=NetworkConfig(base_channels=4096, levels=8))
    write_json(tmp_path / "config.json", {"config": config.to_json()})
    with pytest.raises(CheckpointError, match="of another network"):
        load_run(tmp_path)
