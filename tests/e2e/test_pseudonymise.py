"""Pseudonyms from the command line: nothing but the mapping holds an original key, and everything downstream works."""

import csv
import stat
import subprocess
import sys
import zipfile
from pathlib import Path

import nibabel
import pytest

from cmr_planes.phantom.small_study import SimpleStudy, write_study
from cmr_planes.shards.catalogue import Catalogue
from cmr_planes.views import CardiacView
from tests.e2e.test_annotate import workspace, write_acdc
from tests.helpers.cohorts import SMALL_BOXES, digests, extract, run, small_study, write_biobank_zips, write_key
from tests.helpers.leaks import contents, files_under, found_in

ORIGINALS = ("9000001", "9000002", "PATIENT-A", "PATIENT-B")
SIZE_ONE = ("--shard-size", 1)


def study(number: int) -> SimpleStudy:
    return small_study(f"SYN-{number:04d}", translation_mm=(number, 0, 0))


@pytest.fixture(scope="module")
def source(tmp_path_factory) -> Path:
    """Two biobank participants, one of them with two visits; a person with two visits in folders."""
    folder = tmp_path_factory.mktemp("source")
    for number, (eid, visit) in enumerate(((9_000_001, 2), (9_000_001, 3), (9_000_002, 2)), start=1):
        write_biobank_zips(folder / "biobank", study(number), eid, visit)
    write_study(folder / "PATIENT-A" / "visit 1", study(4))
    write_study(folder / "PATIENT-A" / "visit 2", study(5))
    return folder


@pytest.fixture(scope="module")
def key(tmp_path_factory) -> Path:
    return write_key(tmp_path_factory.mktemp("key") / "key", b"k")


@pytest.fixture(scope="module")
def made(source, key, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("made") / "out.h5"
    result = extract(source, out, *SIZE_ONE, "--pseudonymise", key)
    assert result.exit_code == 0
    assert found_in(ORIGINALS, [result.output.encode()]) == set()
    return out


def mapping_of(out: Path) -> dict[str, dict[str, str]]:
    with out.with_suffix(".mapping.csv").open(newline="") as stream:
        return {row["original_subject"]: row for row in csv.DictReader(stream)}


def leaks(folder: Path) -> set[str]:
    files = [path.relative_to(folder) for path in files_under(folder) if path.name != "out.mapping.csv"]
    assert files
    return found_in(ORIGINALS, (blob for path in files for blob in contents(folder / path)))


@pytest.mark.posix
def test_only_the_mapping_holds_original_names_and_only_its_owner_reads_it(made):
    mapping = made.with_suffix(".mapping.csv")
    assert stat.S_IMODE(mapping.stat().st_mode) == 0o600
    assert found_in(ORIGINALS[:3], [mapping.read_bytes()]) == set(ORIGINALS[:3])
    blobs = (blob for path in files_under(made.parent) if path != mapping for blob in contents(path))
    assert found_in(ORIGINALS, blobs) == set()


def test_visits_stay_with_their_person(made):
    rows = mapping_of(made)
    first, second, other = (rows[key] for key in ("9000001_2", "9000001_3", "9000002_2"))
    assert first["participant"] == second["participant"] != other["participant"]
    assert first["subject"] == f"{first['participant']}_2"
    folders = [row for row in rows.values() if row["original_participant"] == "PATIENT-A"]
    assert len({row["participant"] for row in folders}) == 1
    assert len({row["subject"] for row in folders}) == 2
    with Catalogue(made) as catalogue:
        subjects = catalogue.subjects()
        stored = dict(zip(subjects.key, subjects.participant, strict=True))
    assert stored == {row["subject"]: row["participant"] for row in rows.values()}


def test_workers_and_a_second_run_change_no_byte(source, key, made, tmp_path):
    command = [str(Path(sys.executable).parent / "cmr-planes"), "extract", str(source), str(tmp_path / "out.h5"), *SMALL_BOXES]
    command += ["--shard-size", "1", "--workers", "2", "--pseudonymise", str(key)]
    for _ in range(2):
        subprocess.run(command, check=True, capture_output=True)
        assert digests(tmp_path / "out.shards") == digests(made.with_suffix(".shards"))
        for name in ("out.h5", "out.mapping.csv"):
            assert (tmp_path / name).read_bytes() == (made.parent / name).read_bytes()


@pytest.mark.parametrize(
    ("byte", "sentence"),
    [(b"", "holds pseudonyms; give the key file that it was made with"), (b"x", "was made with another key file; give that one")],
    ids=["without", "another key"],
)
def test_cohorts_are_never_mixed(source, made, tmp_path, byte, sentence):
    before = {path: path.read_bytes() for path in files_under(made.parent)}
    options = ("--pseudonymise", write_key(tmp_path / "key", byte)) if byte else ()
    result = extract(source, made, *SIZE_ONE, *options)
    assert result.exit_code == 1
    assert sentence in result.stderr
    assert {path: path.read_bytes() for path in files_under(made.parent)} == before


def test_a_catalogue_of_names_gets_no_pseudonyms(source, key, tmp_path):
    assert extract(source / "PATIENT-A", tmp_path / "out.h5").exit_code == 0
    result = extract(source / "PATIENT-A", tmp_path / "out.h5", "--pseudonymise", key)
    assert result.exit_code == 1
    assert "was made without pseudonyms; leave the key file out, or choose another output" in result.stderr
    assert not (tmp_path / "out.mapping.csv").exists()


@pytest.mark.posix
def test_a_key_file_that_others_may_read_is_a_bad_argument(source, tmp_path):
    path = write_key(tmp_path / "key", b"k")
    path.chmod(0o644)
    result = extract(source, tmp_path / "out.h5", "--pseudonymise", path)
    assert result.exit_code == 2
    assert "has the mode 644: others may use it" in result.stderr


def test_new_subjects_are_added_at_the_end_of_the_mapping(source, key, tmp_path):
    out = tmp_path / "run" / "out.h5"
    out.parent.mkdir()
    assert extract(source / "biobank", out, *SIZE_ONE, "--pseudonymise", key).exit_code == 0
    mapping, shards = out.with_suffix(".mapping.csv").read_bytes(), digests(out.with_suffix(".shards"))
    del shards["plan.json"]
    write_study(tmp_path / "more" / "PATIENT-B", study(6))
    result = extract(source / "biobank", tmp_path / "more", out, *SIZE_ONE, "--pseudonymise", key, "-v")
    assert result.exit_code == 0
    assert out.with_suffix(".mapping.csv").read_bytes().startswith(mapping)
    assert shards.items() <= digests(out.with_suffix(".shards")).items()
    assert len(mapping_of(out)) == 4
    assert leaks(out.parent) == set()
    assert found_in(ORIGINALS, [result.output.encode()]) == set()


def test_labels_are_called_by_the_original_names(source, key, tmp_path):
    out = tmp_path / "run" / "out.h5"
    out.parent.mkdir()
    labels = tmp_path / "labels"
    labels.mkdir()
    for number, name in ((1, "9000001_2"), (3, "9000002")):
        with zipfile.ZipFile(labels / f"{name}_cvi42.zip", "w") as archive:
            archive.writestr("x.cvi42wsx", workspace(study(number), (0, 3)))
    assert extract(source, out, *SIZE_ONE, "--pseudonymise", key, "--annotations", labels).exit_code == 0
    rows = mapping_of(out)
    expected = {rows[name]["subject"] for name in ("9000001_2", "9000002_2")}
    with Catalogue(out) as catalogue:
        assert set(catalogue.annotations().subject) == expected
        frames = catalogue.view_attributes(rows["9000001_2"]["subject"], CardiacView.SAX).frame_numbers[:, 0].tolist()
        assert frames == [1, 4]
    before = out.read_bytes()
    without = run("annotate", out, labels)
    assert without.exit_code == 3
    assert "or the original names, for which the key file of the pseudonyms is needed" in " ".join(without.stderr.split())
    other = run("annotate", out, labels, "--pseudonymise", write_key(tmp_path / "other", b"x"))
    assert other.exit_code == 1
    assert out.read_bytes() == before
    result = run("annotate", out, labels, "--pseudonymise", key, "-v")
    assert result.exit_code == 0
    assert "2 subjects with" in result.output
    assert out.read_bytes() == before, "the same labels again"
    assert leaks(out.parent) == set()
    assert found_in(ORIGINALS, [result.output.encode()]) == set()


def test_public_sets_of_nifti_get_pseudonyms_too(key, tmp_path):
    write_acdc(tmp_path / "set", info=True)
    for path in (tmp_path / "set").rglob("*.nii.gz"):
        image = nibabel.load(path)
        image.header["descrip"] = image.header["aux_file"] = b"PATIENT-A"
        nibabel.save(image, path)
    out = tmp_path / "run" / "out.h5"
    out.parent.mkdir()
    result = run("extract", "--nifti", tmp_path / "set", out, "--workers", 1, "--pseudonymise", key, "-v")
    assert result.exit_code == 0
    (original,) = mapping_of(out)
    assert original == "patient001"
    with Catalogue(out) as catalogue:
        assert len(catalogue.annotations()) > 0
    blobs = [blob for path in files_under(out.parent) if path.name != "out.mapping.csv" for blob in contents(path)]
    assert found_in(["patient001", "PATIENT-A"], [*blobs, result.output.encode()]) == set()
