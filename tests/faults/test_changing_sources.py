"""Files that vanish, shrink or are replaced while a run reads them: a reason with a stable code, never a crash or a mixed subject.

What another program does at that moment is done by the code under test itself, between its reading of headers and of pixels.
"""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from cmr_planes.dicom.pixels import PixelReader
from cmr_planes.discovery.subjects import find_subjects
from cmr_planes.errors import RejectionCode
from cmr_planes.extraction import dicom_reader
from cmr_planes.extraction.plan import make_plan
from cmr_planes.nifti.volumes import read_volume
from cmr_planes.shards.catalogue import Catalogue
from tests.helpers.cohorts import extract, run, small_study, write_biobank_zips, write_folders
from tests.helpers.headers import read_subject
from tests.helpers.labels import save_nifti

WHOLE = "9000001_2"


def reasons(out: Path) -> dict[str, list[tuple[str, str, str]]]:
    """Return the reasons of each subject: view, code, sentence."""
    found: dict[str, list[tuple[str, str, str]]] = {}
    with Catalogue(out) as catalogue:
        for each in catalogue.rejections():
            found.setdefault(each.subject, []).append((each.view, each.code.value, each.sentence))
    return found


def images(out: Path) -> dict[str, int]:
    with Catalogue(out) as catalogue:
        subjects = catalogue.subjects()
        return dict(zip(subjects.key, subjects.n_images.tolist(), strict=True))


def short_axis_file(source: Path) -> Path:
    """Return a file of the first subject whose image is examined."""
    frames = read_subject(find_subjects([source])[0]).frames
    return next(frame.file.path for frame in frames if "sax" in frame.series_description.lower())


def after_headers(monkeypatch: pytest.MonkeyPatch, do: Callable[[], None]) -> None:
    """Have something done once, when the headers of the first subject were read."""
    read, todo = dicom_reader.read_headers, [do]

    def read_headers(*arguments):
        scan = read(*arguments)
        if todo:
            todo.pop()()
        return scan

    monkeypatch.setattr(dicom_reader, "read_headers", read_headers)


def another_study(folder: Path) -> list[Path]:
    """Write the zips of the same name with other images."""
    return write_biobank_zips(folder, small_study(translation_mm=(0, 0, 40), n_frames=10))


def replaced(path: Path, other: Path) -> None:
    other.replace(path)


def rewritten_in_place(path: Path, other: Path) -> None:
    path.write_bytes(other.read_bytes())


def truncated(path: Path, other: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def gone(path: Path, other: Path) -> None:
    path.unlink()


CHANGES = [replaced, rewritten_in_place, truncated, gone]


@pytest.mark.parametrize("change", CHANGES)
def test_a_zip_that_changes_between_headers_and_pixels(tmp_path, monkeypatch, change):
    paths = write_biobank_zips(tmp_path / "zips", small_study())
    others = another_study(tmp_path / "others")
    write_biobank_zips(tmp_path / "zips", small_study("SYN-0002"), eid=9_000_002)
    after_headers(monkeypatch, lambda: change(paths[1], others[1]))
    result = extract(tmp_path / "zips", tmp_path / "out.h5")
    assert result.exit_code == 0
    found = reasons(tmp_path / "out.h5")
    assert set(found) == {WHOLE}
    ((view, code, sentence),) = found[WHOLE]
    assert (view, code) == ("", RejectionCode.SOURCE_CHANGED.value)
    assert f"{'vanished' if change is gone else 'changed'} while the subject was read; extract the subject once more" in sentence
    assert "zip" not in sentence
    assert images(tmp_path / "out.h5")[WHOLE] == 0
    assert images(tmp_path / "out.h5")["9000002_2"] > 0


@pytest.mark.parametrize("change", CHANGES)
def test_a_zip_that_changes_while_its_pixels_are_read(tmp_path, monkeypatch, change):
    """The archive stays open for a subject: what it was opened on may no longer be what stands there."""
    paths = write_biobank_zips(tmp_path / "zips", small_study())
    others = another_study(tmp_path / "others")
    read, calls = PixelReader.read, []

    def reads(self, frames):
        calls.append(frames)
        if len(calls) == 2:
            change(paths[1], others[1])
        return read(self, frames)

    monkeypatch.setattr(PixelReader, "read", reads)
    assert extract(tmp_path / "zips", tmp_path / "out.h5").exit_code == 3
    assert len(calls) >= 2
    assert [code for _, code, _ in reasons(tmp_path / "out.h5")[WHOLE]] == [RejectionCode.SOURCE_CHANGED.value]


@pytest.mark.parametrize("change", CHANGES)
def test_one_file_of_a_folder_that_changes(tmp_path, monkeypatch, change):
    source = write_folders(tmp_path / "dicom", 2)
    other = write_folders(tmp_path / "other", 1, n_frames=10)
    path, spare = short_axis_file(source), short_axis_file(other)
    after_headers(monkeypatch, lambda: change(path, spare))
    assert extract(source, tmp_path / "out.h5").exit_code == 0
    found = reasons(tmp_path / "out.h5")
    assert [code for _, code, _ in found.pop("SYN-0001")] == [RejectionCode.SOURCE_CHANGED.value]
    assert found == {}


def test_a_zip_that_vanishes_between_planning_and_reading(tmp_path, monkeypatch):
    paths = write_biobank_zips(tmp_path / "zips", small_study())
    write_biobank_zips(tmp_path / "zips", small_study("SYN-0002"), eid=9_000_002)

    def plan(*arguments, **options):
        made = make_plan(*arguments, **options)
        for path in paths:
            path.unlink()
        return made

    monkeypatch.setattr("cmr_planes.extraction.job.make_plan", plan)
    assert extract(tmp_path / "zips", tmp_path / "out.h5").exit_code == 0
    assert reasons(tmp_path / "out.h5")[WHOLE] == [
        ("", RejectionCode.UNREADABLE_SOURCE.value, f"zip {number} of 2 cannot be opened (no such file or directory)")
        for number in (1, 2)
    ]


def test_a_zip_replaced_between_planning_and_reading_is_read_as_it_is_then(tmp_path, monkeypatch):
    """Planning opens no zip, so that nothing of the old one can be mixed in."""
    write_biobank_zips(tmp_path / "zips", small_study())
    another_study(tmp_path / "new")
    assert extract(tmp_path / "new", tmp_path / "new.h5").exit_code == 0

    def plan(*arguments, **options):
        made = make_plan(*arguments, **options)
        for path in (tmp_path / "new").iterdir():
            path.replace(tmp_path / "zips" / path.name)
        return made

    monkeypatch.setattr("cmr_planes.extraction.job.make_plan", plan)
    assert extract(tmp_path / "zips", tmp_path / "out.h5").exit_code == 0
    shards = [tmp_path / f"{name}.shards" / "00000.h5" for name in ("out", "new")]
    assert shards[0].read_bytes() == shards[1].read_bytes()


def test_a_subject_that_changed_is_made_again_when_its_shard_is_set_aside(tmp_path, monkeypatch):
    source = write_folders(tmp_path / "dicom", 1)
    whole = tmp_path / "whole.h5"
    assert extract(source, whole).exit_code == 0
    path = short_axis_file(source)
    data = path.read_bytes()
    with monkeypatch.context() as patch:
        after_headers(patch, path.unlink)
        assert extract(source, tmp_path / "out.h5").exit_code == 3
    path.write_bytes(data)
    (tmp_path / "out.shards" / "00000.h5.sha256").unlink()
    assert extract(source, tmp_path / "out.h5").exit_code == 0
    assert (tmp_path / "out.shards" / "00000.h5").read_bytes() == (tmp_path / "whole.shards" / "00000.h5").read_bytes()


def test_a_volume_that_shrinks_after_it_was_read_is_not_mapped(tmp_path):
    """A mapped file that shrinks ends the process with SIGBUS when it is examined."""
    study = small_study()
    planes = [series.plane for name, series in study.series.items() if name.startswith("sax")]
    path = tmp_path / "volume.nii"
    save_nifti(path, np.full((len(planes), 48, 48), 7, dtype=np.uint8), planes)
    values, _ = read_volume(path)
    os.truncate(path, 10)
    assert (values == 7).all()


def test_annotations_that_vanish_cost_the_labels_and_not_the_subject(tmp_path, monkeypatch):
    source = write_folders(tmp_path / "dicom", 1)
    study = small_study("SYN-0001", translation_mm=(1, 0, 0))
    planes = [series.plane for name, series in study.series.items() if name.startswith("sax")]
    label = tmp_path / "maps" / "SYN-0001_ed.nii.gz"
    save_nifti(label, np.ones((len(planes), 48, 48), dtype=np.uint8), planes)

    def plan(*arguments, **options):
        made = make_plan(*arguments, **options)
        label.unlink()
        return made

    monkeypatch.setattr("cmr_planes.extraction.job.make_plan", plan)
    result = extract(source, tmp_path / "out.h5", "--annotations", tmp_path / "maps", "--classes", "acdc")
    assert result.exit_code == 0
    assert images(tmp_path / "out.h5")["SYN-0001"] > 0
    assert "labels" in run("inspect", tmp_path / "out.h5").stdout
