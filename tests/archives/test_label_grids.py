"""Label maps of NIfTI images lie on the grid of their file: the same array, whatever its order of slices and its header."""

from pathlib import Path

import h5py
import nibabel
import numpy as np
import pytest
import torch
from click.testing import CliRunner

import cmr_train
from cmr_planes.shards.catalogue import Catalogue
from cmr_planes.views import CardiacView
from cmr_train.cli import main
from cmr_train.data.images import normalise
from tests.helpers.archive_nifti import PIXDIM, PLACEHOLDER, SHAPE, heart, image_of, true_affine, write, write_pair
from tests.helpers.cohorts import run as planes
from tests.helpers.threshold_runs import write_run

KEY = "patient001"
REVERSED = true_affine() @ np.array([[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, -1, SHAPE[2] - 1], [0, 0, 0, 1.0]])
HEADERS = {
    "ACDC": {"sform": PLACEHOLDER, "pixdim": PIXDIM},
    "sform": {"sform": REVERSED},
    "qform": {"qform": REVERSED},
    "both": {"sform": REVERSED, "qform": REVERSED},
    "DICOM's coordinates": {"sform": np.diag([-1, -1, 1, 1]) @ REVERSED},
    "metres": {"sform": np.diag([1e-3, 1e-3, 1e-3, 1]) @ REVERSED, "unit": "meter"},
    "no matrix": {"pixdim": PIXDIM},
}
PLACE = ("sform_code", "qform_code", "srow_x", "srow_y", "srow_z", "quatern_b", "quatern_c", "quatern_d", "qoffset_x", "xyzt_units")


@pytest.fixture(autouse=True, scope="module")
def _one_thread():
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    return write_run(tmp_path_factory.mktemp("run") / "run", rows=SHAPE[1], columns=SHAPE[0], threshold=0.6)


def write_set(folder: Path, **header: object) -> Path:
    """ED and ES in ACDC's layout, the apex first; return the set's folder."""
    for frame, scale in (("01", 1.0), ("12", 0.7)):
        write_pair(folder / "set" / KEY, f"{KEY}_frame{frame}", heart(scale)[:, :, ::-1], **header)
    return folder / "set"


def is_bright(image) -> np.ndarray:
    """What the network finds, slice by slice of the file."""
    values = np.asarray(image.dataobj)
    seen = [normalise(values[..., k].T.astype(np.uint16)).T for k in range(values.shape[2])]
    return np.stack(seen, axis=2) > np.float32(0.6)


def check(maps: Path, source: Path, phases=(("ed", "01"), ("es", "12"))) -> None:
    """Array, matrix and place are the file's own."""
    for phase, frame in phases:
        (path,) = (source / KEY).glob(f"{KEY}_frame{frame}.nii*")
        image, found = nibabel.load(path), nibabel.load(maps / f"{KEY}_sax_{phase}.nii.gz")
        assert found.shape == image.shape
        np.testing.assert_array_equal(found.affine, image.affine)
        np.testing.assert_array_equal(found.header["pixdim"][:4], image.header["pixdim"][:4])
        for name in PLACE:
            np.testing.assert_array_equal(found.header[name], image.header[name])
        expected = is_bright(image)
        assert 0 < expected[..., 0].sum() < expected[..., -1].sum()  # the apex is the file's first slice
        np.testing.assert_array_equal(np.asarray(found.dataobj) == 1, expected)


@pytest.mark.parametrize("header", HEADERS.values(), ids=HEADERS)
def test_maps_are_arrays_of_the_files_grid(tmp_path: Path, run: Path, header: dict[str, object]) -> None:
    source = write_set(tmp_path, **header)
    cmr_train.predict(run, source, tmp_path / "direct", pictures=False)
    check(tmp_path / "direct" / "labels", source)
    assert planes("extract", "--nifti", source, tmp_path / "out.h5", "--workers", 1, "--views", "sax").exit_code == 0
    with Catalogue(tmp_path / "out.h5") as catalogue:
        assert catalogue.view_attributes(KEY, CardiacView.SAX).source_order == tuple(range(SHAPE[2]))[::-1]
    cmr_train.predict(run, tmp_path / "out.h5", tmp_path / "stored", pictures=False)
    check(tmp_path / "stored" / "labels", source)


def test_a_catalogue_of_an_earlier_release_keeps_the_order_of_slices(tmp_path: Path, run: Path) -> None:
    source = write_set(tmp_path, sform=REVERSED)
    assert planes("extract", "--nifti", source, tmp_path / "out.h5", "--workers", 1, "--views", "sax").exit_code == 0
    with h5py.File(tmp_path / "out.shards" / "00000.h5", "r+") as shard:
        del shard[f"data/{KEY}/sax"].attrs["source_header"]
    cmr_train.predict(run, tmp_path / "out.h5", tmp_path / "stored", pictures=False)
    for phase, frame in (("ed", "01"), ("es", "12")):
        (path,) = (source / KEY).glob(f"{KEY}_frame{frame}.nii*")
        image, found = nibabel.load(path), nibabel.load(tmp_path / "stored" / "labels" / f"{KEY}_sax_{phase}.nii.gz")
        np.testing.assert_allclose(found.affine, image.affine, atol=1e-4)
        np.testing.assert_array_equal(np.asarray(found.dataobj) == 1, is_bright(image))


def test_a_view_of_one_slice_of_several_says_that_the_others_are_empty(tmp_path: Path) -> None:
    folder = tmp_path / "set" / KEY
    for frame, scale in (("ED", 1.0), ("ES", 0.7)):
        write(folder / f"{KEY}_LA_{frame}.nii.gz", image_of(heart(scale))[..., 2:5], sform=true_affine())
    run = write_run(tmp_path / "run", rows=SHAPE[1], columns=SHAPE[0], threshold=0.6, view=CardiacView.FOUR_CHAMBER)
    said = []
    prediction = cmr_train.predict(run, tmp_path / "set", tmp_path / "out", pictures=False, on_message=said.append)
    assert prediction.subjects[0].n_empty_slices == 2
    assert any("1 subject have slices that were not extracted" in sentence for sentence in said)
    found = nibabel.load(tmp_path / "out" / "labels" / f"{KEY}_4ch_ed.nii.gz")
    assert found.shape == (*SHAPE[:2], 3)
    assert np.asarray(found.dataobj).any(axis=(0, 1)).tolist() == [False, True, False]


def predict(*arguments: object):
    return CliRunner().invoke(main, ["predict", *map(str, arguments), "--no-pictures"])


def test_maps_like_another_image_of_the_slices(tmp_path: Path, run: Path) -> None:
    """The peer has rows, columns and slices in another order, as the files of another converter have."""
    source = write_set(tmp_path, sform=REVERSED)
    (own,) = (source / KEY).glob(f"{KEY}_frame01.nii*")
    peer = nibabel.load(own).as_reoriented(np.array([[1, -1], [0, 1], [2, -1]]))
    (tmp_path / "peers").mkdir()
    nibabel.save(peer, tmp_path / "peers" / f"{KEY}.nii.gz")
    one = predict(run, source, "-o", tmp_path / "one", "--like", tmp_path / "peers" / f"{KEY}.nii.gz")
    assert one.exit_code == 0, one.output
    found = nibabel.load(tmp_path / "one" / "labels" / f"{KEY}_sax_ed.nii.gz")
    assert found.shape == peer.shape
    np.testing.assert_array_equal(found.affine, nibabel.load(tmp_path / "peers" / f"{KEY}.nii.gz").affine)
    expected = nibabel.Nifti1Image(is_bright(nibabel.load(own)).astype(np.uint8), nibabel.load(own).affine)
    expected = expected.as_reoriented(np.array([[1, -1], [0, 1], [2, -1]]))
    np.testing.assert_array_equal(np.asarray(found.dataobj) == 1, np.asarray(expected.dataobj) == 1)
    for frame in ("01", "12"):
        write_pair(source / "patient002", f"patient002_frame{frame}", heart()[:, :, ::-1], sform=REVERSED)
    both = predict(run, source, "-o", tmp_path / "both", "--like", tmp_path / "peers" / "{subject}.nii.gz", "-v")
    assert both.exit_code == 0, both.output
    assert (tmp_path / "both" / "labels" / f"{KEY}_sax_ed.nii.gz").read_bytes() == (
        tmp_path / "one" / "labels" / f"{KEY}_sax_ed.nii.gz"
    ).read_bytes()
    assert "other_grid" in both.stdout
    assert not list((tmp_path / "both" / "labels").glob("patient002*"))
    none = predict(run, source, "-o", tmp_path / "none", "--like", tmp_path / "nowhere" / "{subject}.nii.gz")
    assert none.exit_code == 3
    assert "no subject has an image of its slices to write a label map like" in " ".join(none.stderr.split())
    refused = predict(run, source, "-o", tmp_path / "refused", "--like", tmp_path / "peers" / f"{KEY}.nii.gz")
    assert (refused.exit_code, list((tmp_path / "refused").iterdir())) == (1, [])
    assert "is one image, and 2 subjects have view SAX" in " ".join(refused.stderr.split())


def test_an_image_of_other_voxels_is_refused_in_a_sentence(tmp_path: Path, run: Path) -> None:
    source = write_set(tmp_path, sform=REVERSED)
    write(tmp_path / "peer.nii", image_of(heart()), sform=REVERSED @ np.diag([1.1, 1.1, 1, 1]))
    result = predict(run, source, "-o", tmp_path / "out", "--like", tmp_path / "peer.nii")
    assert result.exit_code == 1
    assert "lie between them, or are of other size" in " ".join(result.stderr.split())
    assert KEY not in result.stderr.replace(str(tmp_path), "")
    assert predict(run, source, "-o", tmp_path / "out", "--like", tmp_path / "nowhere.nii").exit_code == 1
    assert not list((tmp_path / "out").iterdir())
