"""From a PACS and back by the commands: results join the studies, and nothing but the DICOM files names a patient."""

import io
from pathlib import Path

import pydicom
import pytest
import torch
from click.testing import CliRunner

from cmr_planes.cli import main as planes
from cmr_planes.phantom.small_study import write_study
from cmr_train.cli import main as train
from tests.helpers.dicom_objects import IDENTITY, make_study
from tests.helpers.leaks import contents, files_under, found_in
from tests.helpers.threshold_runs import write_run

SIZE = {"n_slices": 3, "n_frames": 8, "rows": 88, "columns": 88, "spacing_mm": (2.5, 2.5), "slice_distance_mm": 11.0}


@pytest.fixture(autouse=True, scope="module")
def _one_thread():
    torch.set_num_threads(1)


def call(program, *arguments: object) -> str:
    done = CliRunner().invoke(program, [*map(str, arguments)])
    assert done.exit_code == 0, done.output
    return done.output


def test_results_return_to_their_studies_and_name_nobody_on_the_way(orthanc, tmp_path, caplog):
    caplog.set_level(0)
    write_study(tmp_path / "hospital", make_study(name="SYN-0001", **SIZE))
    orthanc.store_folder(tmp_path / "hospital")
    images = set(orthanc.instances())
    studies = orthanc.ask("/studies")
    run = write_run(tmp_path / "run", rows=88, columns=88, threshold=0.8, pixel_mm=(2.5, 2.5))
    login = tmp_path / "login"
    login.touch(0o600)
    login.write_text(f"{orthanc.user}:{orthanc.password}")
    address = [orthanc.url, "--login-file", login]

    printed = [
        call(planes, "pull", *address, "-o", tmp_path / "studies"),
        call(train, "predict", run, tmp_path / "studies", "-o", tmp_path / "out", "--format", "seg", "--no-pictures"),
        call(planes, "push", tmp_path / "out", *address, "-v"),
    ]

    added = {uid: pydicom.dcmread(io.BytesIO(orthanc.fetch(uid))) for uid in set(orthanc.instances()) - images}
    assert sorted(one.Modality for one in added.values()) == ["SEG"] * 6 + ["SR"]
    assert orthanc.ask("/studies") == studies
    for one in added.values():
        if one.Modality == "SEG":
            referred = {
                item.ReferencedSOPInstanceUID
                for series in one.ReferencedSeriesSequence
                for item in series.ReferencedInstanceSequence
            }
            assert referred <= images
    needles = {*IDENTITY.values(), "Tilda", orthanc.password, *images, *added}
    assert found_in(needles, [text.encode() for text in (*printed, caplog.text)]) == set()
    others = [path for path in files_under(tmp_path / "studies", tmp_path / "out") if path.suffix != ".dcm"]
    assert found_in(needles, (blob for path in others for blob in contents(Path(path)))) == set()
