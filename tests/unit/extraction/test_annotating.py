"""annotate(): one call with lock, log and progress, that opens the catalogue once."""

import json
from collections import Counter
from pathlib import Path

import h5py
import numpy as np
import pytest

import cmr_planes
from cmr_planes.errors import InUseError, NoteCode, RejectionCode, SourceError
from cmr_planes.extraction import annotating
from cmr_planes.extraction.annotating import annotate
from cmr_planes.shards.catalogue import Catalogue
from cmr_planes.system.progress import Progress
from cmr_planes.system.run_lock import only_run
from cmr_planes.views import CardiacView, Structure
from tests.helpers.catalogues import write_batches
from tests.helpers.labels import save_nifti
from tests.helpers.records import make_subject

SAX = CardiacView.SAX
KEYS = [f"SYN-{number:04}" for number in range(1, 7)]


@pytest.fixture
def out(tmp_path: Path) -> Path:
    subjects = [make_subject(number, views=(SAX,), n_slices=2, matrix=(170, 160)) for number in range(1, 7)]
    return write_batches(tmp_path, [subjects[:4], subjects[4:]])


@pytest.fixture
def labels(out: Path, tmp_path: Path) -> Path:
    """A label map of ED for each subject, with a square of LV."""
    with Catalogue(out) as catalogue:
        for key in KEYS:
            attributes = catalogue.view_attributes(key, SAX)
            values = np.zeros(attributes.shape[1:], dtype=np.uint8)
            values[:, 40:50, 60:80] = Structure.LV
            save_nifti(tmp_path / "labels" / f"{key}_sax_ed.nii.gz", values, attributes.planes)
    return tmp_path / "labels"


def test_the_catalogue_is_opened_and_its_tables_are_read_once(out: Path, labels: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: Counter[str] = Counter()
    read: Counter[str] = Counter()
    open_file, read_dataset = h5py.File.__init__, h5py.Dataset.__getitem__

    def counted_open(self: h5py.File, name: object, *args: object, **kwargs: object) -> None:
        opened[str(name)] += 1
        open_file(self, name, *args, **kwargs)

    def counted_read(self: h5py.Dataset, *args: object, **kwargs: object) -> object:
        read[self.file.filename, self.name] += 1
        return read_dataset(self, *args, **kwargs)

    monkeypatch.setattr(annotating, "BATCH", 2)
    monkeypatch.setattr(h5py.File, "__init__", counted_open)
    monkeypatch.setattr(h5py.Dataset, "__getitem__", counted_read)
    assert annotate(out, labels).n_subjects == 6
    assert opened[str(out)] == 1
    assert {name: count for (path, name), count in read.items() if path == str(out)} == {"/subjects": 1, "/views": 1}


def test_one_call_locks_logs_and_reports(out: Path, labels: Path, tmp_path: Path) -> None:
    (labels / "SYN-0002_sax_ed.nii.gz").write_bytes(b"broken")
    (labels / "SYN-0009_sax_ed.nii.gz").write_bytes(b"of another subject")
    steps: list[Progress] = []
    summary = cmr_planes.annotate(str(out), str(labels), log=tmp_path / "run.log", log_keys=True, on_progress=steps.append)
    assert (summary.n_files, summary.n_without_subject, summary.n_subjects, summary.n_images) == (7, 1, 5, 10)
    (bad,) = summary.left_out
    assert (bad.number, bad.subject, bad.finding.view, bad.finding.code) == (2, "SYN-0002", "", RejectionCode.UNUSABLE_LABELS)
    assert {row.finding.code for row in summary.incomplete} == {NoteCode.LABELS}
    assert {row.subject for row in summary.incomplete} == set(KEYS) - {"SYN-0002"}
    assert steps == [Progress(done, 6) for done in range(1, 7)]
    lines = [json.loads(line) for line in (tmp_path / "run.log").read_text().splitlines()]
    assert [(line["code"], line.get("subject")) for line in lines if line["code"] != "labels"] == [
        ("unusable_labels", "SYN-0002"),
        ("done", None),
    ]
    with Catalogue(out) as catalogue:
        assert catalogue.annotations().subject == tuple(key for key in KEYS if key != "SYN-0002")
        assert catalogue.labels("SYN-0006", SAX, 0, 1).sum() == 10 * 20 * Structure.LV
    with only_run(out), pytest.raises(InUseError):
        annotate(out, labels)


def test_without_a_lock_the_caller_is_warned(out: Path, labels: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import errno
    import fcntl

    def no_lock(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", no_lock)
    sentences: list[str] = []
    annotate(out, labels, on_message=sentences.append)
    assert [sentence for sentence in sentences if "knows no locks" in sentence] == sentences
    assert len(sentences) == 1


def test_a_catalogue_of_which_nothing_is_annotated_stays_as_it_was(out: Path, tmp_path: Path) -> None:
    (tmp_path / "SYN-0001_sax_ed.nii.gz").write_bytes(b"broken")
    before = out.read_bytes(), out.stat().st_mtime_ns
    assert annotate(out, tmp_path / "SYN-0001_sax_ed.nii.gz").n_images == 0
    (tmp_path / "elsewhere.cvi42wsx").write_bytes(b"")
    with pytest.raises(SourceError, match="none of the 1 annotation file belongs to a subject"):
        annotate(out, tmp_path / "elsewhere.cvi42wsx")
    assert (out.read_bytes(), out.stat().st_mtime_ns) == before
    assert not out.with_suffix(".labels").exists()
