"""No identifying value comes out: strings are planted wherever the standard or habit puts a person, and every output byte is searched.

Subjects' keys (names of folders and zips) are in the catalogue by design, and are no part of this; ``test_pseudonymise`` hides them.
"""

import gzip
import io
import logging
import re
import subprocess
import sys
import zipfile
from itertools import islice
from pathlib import Path

import h5py
import numpy as np
import pydicom
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from cmr_planes.dicom.tags import IMAGE_POSITION_PATIENT, TRIGGER_TIME
from cmr_planes.phantom.enhanced_writer import write_enhanced
from cmr_planes.phantom.small_study import encode_study
from cmr_planes.shards.catalogue import Catalogue
from tests.e2e.test_annotate import workspace
from tests.helpers.cohorts import SMALL_BOXES, digests, run, small_study
from tests.helpers.confidentiality_profile import IDENTIFYING
from tests.helpers.leaks import contents, files_under
from tests.helpers.planting import NOT_IN_IMAGES, finds, mark, plant, planted_uid, planted_value, plants, spoil
from tests.helpers.threshold_runs import write_run
from tests.helpers.training import options, train

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:pydicom")  # planted values are not what pydicom expects

SPOILT = (
    *(0x0002_0010, 0x0008_0008, 0x0008_0016, 0x0008_0060, 0x0008_0070, 0x0018_0024, 0x0018_0050, 0x0018_0087, 0x0018_0088),
    *(TRIGGER_TIME, 0x0018_1062, 0x0018_1090, 0x0020_0011, 0x0020_0013, IMAGE_POSITION_PATIENT, 0x0020_0037, 0x0020_0100),
    *(0x0028_0002, 0x0028_0004, 0x0028_0008, 0x0028_0010, 0x0028_0011, 0x0028_0030, 0x0028_0100, 0x0028_0101, 0x0028_0102),
    *(0x0028_0103, 0x0028_1052, 0x0028_1053),
)
"""What is read of a header and is not in the profile: a person's name may stand there by mistake."""
GOOD = small_study("SYN-0001")
PLANTS = plants()
MANIFEST = "filename,patientid,date,series discription\n"


def planted_files(number: int) -> list[bytes]:
    return [plant(file.data, PLANTS) for file in encode_study(small_study(f"SYN-{number:04d}", translation_mm=(number, 0, 0)))]


def write_zip(path: Path, datas: list[bytes], *, manifest: str = "") -> Path:
    path.parent.mkdir(exist_ok=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.comment = mark().encode()
        for number, data in enumerate(datas):
            archive.writestr(f"{mark()}/{number}-{mark()}.dcm", data)
        archive.writestr(f"{mark()}.pdf", mark())
        if manifest:
            archive.writestr("manifest.cvs", manifest)
    return path


def write_cohort(folder: Path) -> Path:
    """Write good and bad subjects in every layout."""
    for number in (1, 2, 3, 4):
        series = [folder / f"SYN-{number:04d}" / "study" / f"series {place} {mark()}" for place in range(6)]
        for place, data in enumerate(planted_files(number)):
            series[place // 8].mkdir(parents=True, exist_ok=True)
            (series[place // 8] / f"{place} {mark()}").write_bytes(data)
    datas = planted_files(5)
    rows = "".join(f"{mark()}.dcm,{mark()},{planted_value('DA')},{mark()}\n" for _ in datas)
    write_zip(folder / "biobank" / "9000001_20208_2_0.zip", datas[:24], manifest=MANIFEST + rows)
    write_zip(folder / "biobank" / "9000001_20209_2_0.zip", datas[24:], manifest=MANIFEST + f"{mark()},,,,,,,{mark()}\n")
    damaged = write_zip(folder / "SYN-0006.zip", datas[:8])
    damaged.write_bytes(damaged.read_bytes()[:-30])
    hurt = write_zip(folder / "SYN-0007.zip", datas[:8])
    hurt.write_bytes(hurt.read_bytes().replace(b"PK\x03\x04", b"PK\x00\x00", 3))
    (folder / "SYN-0008" / mark()).mkdir(parents=True)
    for name, data in ((mark(), datas[0][:9000]), (f"{mark()}.dcm", datas[1][:-50]), (mark(), mark().encode()), (mark(), b"")):
        (folder / "SYN-0008" / name).write_bytes(data)
        (next((folder / "SYN-0001" / "study").iterdir()) / name).write_bytes(data)
    (folder / "SYN-0009").mkdir()
    enhanced = write_enhanced(GOOD.study, [series for key, series in GOOD.series.items() if key.startswith("sax")])
    (folder / "SYN-0009" / mark()).write_bytes(plant(enhanced.data, PLANTS))
    for number, series in enumerate(("2ch", "3ch", "4ch")):
        (folder / "SYN-0009" / f"{number}").write_bytes(plant(write_enhanced(GOOD.study, [GOOD.series[series]]).data, PLANTS))
    files = encode_study(small_study("SYN-0010", n_slices=2, n_frames=2, rows=32, columns=32))
    for number, tag in enumerate(SPOILT, start=10):
        (folder / f"SYN-{number:04d}").mkdir()
        for place, file in enumerate(files):
            data = spoil(file.data, tag) if place % 3 or tag != 0x0020_0013 else file.data
            (folder / f"SYN-{number:04d}" / f"{place}").write_bytes(data)
    return folder


def write_labels(folder: Path) -> Path:
    """Write annotations that fit, and such as do not."""
    folder.mkdir()
    text = workspace(GOOD, (0, 3), owner=mark()).decode()
    for uid in {file.sop_instance_uid for file in encode_study(GOOD)}:
        text = text.replace(uid, planted_uid(uid))
    (folder / f"SYN-0001_{mark()}.cvi42wsx").write_text(text)
    with zipfile.ZipFile(folder / "SYN-0002.zip", "w") as archive:
        archive.writestr(f"{mark()}/{mark()}.cvi42wsx", workspace(small_study("SYN-0002"), (0, 3), owner=mark()))
        archive.writestr(f"{mark()}.cvi42wsx", text[: len(text) // 2])
        archive.writestr(f"{mark()}_gt.nii.gz", mark())
    (folder / "SYN-0003").mkdir()
    (folder / "SYN-0003" / f"{mark()}_gt.nii.gz").write_bytes(mark().encode())
    return folder


@pytest.fixture(scope="module")
def source(tmp_path_factory) -> Path:
    return write_cohort(tmp_path_factory.mktemp("cohort") / "dicom")


@pytest.fixture(scope="module")
def labels(tmp_path_factory) -> Path:
    return write_labels(tmp_path_factory.mktemp("annotations") / "labels")


def run_everything(source: Path, labels: Path, folder: Path) -> Path:
    """Run every command at its most talkative; what is printed and logged ends in files beside the outputs."""
    log = logging.FileHandler(folder / "python.log")
    logging.getLogger().addHandler(log)
    logging.getLogger().setLevel(logging.DEBUG)
    logging.getLogger("matplotlib").setLevel(logging.INFO)  # thousands of lines about fonts
    try:
        for name, result in _commands(source, labels, folder):
            (folder / f"{name}.stdout").write_text(result.stdout)
            (folder / f"{name}.stderr").write_text(result.stderr)
    finally:
        logging.getLogger().setLevel(logging.WARNING)
        logging.getLogger().removeHandler(log)
        log.close()
    return folder


def _commands(source: Path, labels: Path, folder: Path):
    out = folder / "out.h5"
    extract = ("extract", source, out, *SMALL_BOXES, "--shard-size", 8, "--annotations", labels, "-vv", "--log", folder / "out.log")
    yield "dry-run", run(*extract, "--dry-run")
    yield "extract", run(*extract, "--workers", 1)
    yield "again", run(*extract, "--workers", 1, "--json")
    two = [str(Path(sys.executable).parent / "cmr-planes"), *map(str, extract), "--workers", "2"]
    two[3] = str(folder / "two.h5")
    yield "two-workers", subprocess.run(two, check=False, capture_output=True, text=True)
    all_phases = ("--phases", "all", "--keep-all", "--workers", 1)
    yield "all", run("extract", source / "SYN-0001", source / "SYN-0009", folder / "all.h5", *SMALL_BOXES, *all_phases)
    yield "annotate", run("annotate", out, labels, "-v", "--log", folder / "annotate.log")
    yield "annotate-json", run("annotate", out, labels, "-v", "--json")
    yield "inspect", run("inspect", out, "-v")
    yield "inspect-json", run("inspect", out, "-v", "--json")
    yield "show", run("show", out, "-o", folder / "pictures", "-v", "--limit", 2)
    yield "report", run("report", out, "-o", folder / "qc.html", "-v", "--pictures", 2)
    for form in ("ukbb", "bids"):
        yield f"export-{form}", run("export", out, "-o", folder / form, "--to", form, "--source", source)
    yield "export-nnunet", run("export", out, "-o", folder / "nnunet", "--to", "nnunet", "--labels", "positions", "--split-seed", 2)
    yield "verify", run("verify", out, "--json")
    shard = out.with_suffix(".shards") / "00000.h5"
    whole = shard.read_bytes()
    shard.write_bytes(whole[:-10])
    yield "verify-damaged", run("verify", out)
    shard.write_bytes(whole)
    yield "pretext", train("pretext", "--data", out, "--out", folder / "run", *options(iterations=2))
    predict = ("predict", folder / "run", source / "SYN-0001", source / "SYN-0008", source / "biobank", "-o", folder / "predicted")
    yield "predict", train(*predict, "--device", "cpu", "-v")
    yield "predict-json", train("predict", folder / "run", out, "-o", folder / "again", "--device", "cpu", "-v", "--json")
    network = write_run(folder / "network", threshold=0.8, pixel_mm=(7.0, 7.0))
    dicom = ("predict", network, *predict[2:5], source / "SYN-0009", "--format", "seg", "--no-pictures", "--device", "cpu", "-v")
    yield "predict-anonymous", train(*dicom, "-o", folder / "anonymous", "--anonymous")
    yield "predict-named", train(*dicom, "-o", _named(folder))  # only what is printed and logged is searched


def _named(folder: Path) -> Path:
    """Where DICOM files with patients are written, outside of what is searched."""
    return folder.with_name(f"{folder.name}-named")


def test_the_search_looks_into_what_is_compressed(tmp_path):
    with h5py.File(tmp_path / "dataset.h5", "w") as file:
        file.create_dataset("x", data=np.array([mark().encode()] * 99), compression="gzip", chunks=True)
    with h5py.File(tmp_path / "attribute.h5", "w") as file:
        file.create_group("group").attrs["text"] = mark()
    (tmp_path / "map.nii.gz").write_bytes(gzip.compress(mark().encode() * 99))
    text = PngInfo()
    text.add_text("Comment", mark() * 9, zip=True)
    Image.new("L", (4, 4)).save(tmp_path / "picture.png", pnginfo=text)
    (tmp_path / "wide.txt").write_text(mark(), encoding="utf-16-le")
    (tmp_path / mark()).touch()
    for path in files_under(tmp_path):
        assert set().union(*(finds(blob) for blob in contents(path))), path


def test_every_identifying_attribute_is_planted(source):
    data = next(path for path in files_under(source / "SYN-0001") if path.name.startswith("0 ")).read_bytes()
    dataset = pydicom.dcmread(io.BytesIO(data))
    no_room = {0x0010_21C0, 0x0016_0075}  # numbers of 16 bits
    assert len(finds(data)) > 650
    for tag in set(IDENTIFYING) - NOT_IN_IMAGES - no_room:
        element = dataset.file_meta[tag] if tag >> 16 == 2 else dataset[tag]
        assert finds(str(element.value).encode()) or finds(repr(element.value).encode()), element.keyword


def test_no_output_byte_holds_what_was_planted(source, labels, tmp_path):
    outputs = run_everything(source, labels, tmp_path)
    assert_done(outputs)
    found = {
        str(path.relative_to(outputs)): sorted(islice(leaked, 10))
        for path in files_under(outputs)
        if (leaked := set().union(*(finds(blob) for blob in contents(path))))
    }
    assert found == {}


def assert_done(outputs: Path) -> None:
    """Check that the runs did what they should: silence would hide everything."""
    with Catalogue(outputs / "out.h5") as catalogue:
        subjects, reasons = catalogue.subjects(), {rejection.code for rejection in catalogue.rejections()}
        assert subjects.n_images[subjects.key.index("SYN-0001")] > 0
        assert subjects.n_images[subjects.key.index("9000001_2")] > 0
        assert subjects.n_images[subjects.key.index("SYN-0009")] > 0
        assert "SYN-0001" in catalogue.annotations().subject
        assert len(reasons) > 5
        assert len(catalogue.notes()) > 5
        assert len(catalogue.rejections()) > 20
    assert digests(outputs / "out.shards") == digests(outputs / "two.shards")
    for dicom in (outputs / "anonymous" / "dicom", _named(outputs) / "dicom"):
        assert {path.name.split("_sax_")[0] for path in dicom.iterdir()} == {"SYN-0001", "SYN-0009", "9000001_2"}
    assert any(finds(path.read_bytes()) for path in (_named(outputs) / "dicom").iterdir()), "the search finds what exists"
    for name in (
        "out.log",
        "annotate.log",
        "pictures/sax-001.png",
        "qc.html",
        "qc.csv",
        "predicted/labels",
        "again/labels",
        "run/metrics.jsonl",
    ):
        assert (outputs / name).exists()
    for name in ("ukbb/SYN-0001/sa.nii.gz", "bids/sub-9000001/ses-2/cmr", "nnunet/Dataset501_CMR/dataset.json"):
        assert (outputs / name).exists()


def test_keys_are_printed_only_where_they_are_asked_for(source, tmp_path):
    arguments = ("extract", source / "SYN-0001", source / "SYN-0008", source / "biobank", tmp_path / "out.h5", *SMALL_BOXES)
    printed = [run(*arguments, "--workers", 1), run(*arguments, "--workers", 1, "--json"), run(*arguments, "--dry-run", "--json")]
    out = tmp_path / "out.h5"
    keys = re.compile("SYN-0001|SYN-0008|9000001")
    logged = run(*arguments, "--workers", 1, "--overwrite", "--log", tmp_path / "out.log")
    assert keys.search((tmp_path / "out.log").read_text()) is None
    printed += [
        logged,
        run("inspect", out),
        run("inspect", out, "--json"),
        run("verify", out),
        run("show", out, "-o", tmp_path / "pictures"),
        run("report", out, "-o", tmp_path / "qc.html", "--pictures", 2),
    ]
    assert not any(keys.search((tmp_path / name).read_text(encoding="utf-8")) for name in ("qc.html", "qc.csv"))
    assert not any(keys.search(result.output) for result in printed)
