"""The example scripts on a small cohort, and the study files."""

import importlib.util
import os
import subprocess
from collections import Counter
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from cmr_planes import Catalogue
from cmr_planes.cli import main as planes_main
from cmr_planes.geometry import LPS_AXES, DecidingAxis, angle_between_normals_deg
from cmr_planes.nifti.plane_table import read_plane_table
from cmr_planes.views import CardiacView
from cmr_train import finetune, pretext
from cmr_train.choices import DecoderSharing, LossKind, TransferMode
from cmr_train.data.splits import read_split_file
from cmr_train.study.plan import plan_study
from cmr_train.study.study_file import parse_study, read_document
from tests.helpers.cohorts import run as run_planes
from tests.helpers.training import SMALL, annotate, small_catalogue, train

EXAMPLES = Path(__file__).parents[2] / "examples"


def load(name: str):
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return annotate(small_catalogue(tmp_path_factory.mktemp("data"), 10))


def test_a_catalogue_is_read(data, capsys):
    load("read_catalogue").main(str(data))
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 10
    assert lines[0].startswith("SYN-0001 SAX: 48 × 48; first pixel at [")


@pytest.fixture(scope="module")
def phantoms(tmp_path_factory):
    """Three labelled phantoms: the catalogue, ``out.h5``, lies beside the folder of the cohort, ``coh``."""
    folder = tmp_path_factory.mktemp("phantoms")
    arguments = ["phantom", folder / "coh", "-n", 3, "--frames", 8, "--slices", 7, "--rows", 96, "--columns", 96, "--spacing", 3]
    assert CliRunner().invoke(planes_main, [*map(str, arguments), "--workers", "1"]).exit_code == 0
    labels = ["--annotations", str(folder / "coh/truth/labels")]
    arguments = ["extract", str(folder / "coh/dicom"), str(folder / "out.h5"), "--units", "mm", *labels]
    assert CliRunner().invoke(planes_main, arguments).exit_code == 0
    return folder / "out.h5"


def test_planes_are_prescribed_on_labelled_stacks(phantoms, tmp_path):
    """Drawn from the labels of phantoms, they run like the planes that were acquired, up to the technologist's errors."""
    example = load("simulated_planes")
    (tmp_path / "subjects.txt").write_text("SYN-0001\nSYN-0003\n")
    for name in ("first", "second"):
        result = CliRunner().invoke(
            example.main, [str(phantoms), str(tmp_path / f"{name}.csv"), "--subjects", str(tmp_path / "subjects.txt")]
        )
        assert result.output == "2 of 2 subjects have planes\n"
    assert (tmp_path / "first.csv").read_bytes() == (tmp_path / "second.csv").read_bytes()
    drawn, acquired = (
        read_plane_table(path).subjects for path in (tmp_path / "first.csv", phantoms.parent / "coh/truth/stated_planes.csv")
    )
    assert sorted(drawn) == ["SYN-0001", "SYN-0003"]
    for subject, stated in drawn.items():
        two, four = stated.planes[CardiacView.TWO_CHAMBER], stated.planes[CardiacView.FOUR_CHAMBER]
        assert 62 - 1e-6 <= angle_between_normals_deg(two.normal, four.normal) <= 78 + 1e-6
        for view in (CardiacView.TWO_CHAMBER, CardiacView.FOUR_CHAMBER):
            true = acquired[subject].planes[view]
            assert angle_between_normals_deg(stated.planes[view].normal, true.normal) < 35
            assert abs(true.signed_distance_mm(stated.planes[view].centre_mm)) < 10
        assert stated.axes is not None
        assert stated.axes.left @ LPS_AXES.left > 0.5
        assert stated.axes.anterior @ LPS_AXES.along(DecidingAxis.ANTERIOR_SUPERIOR) > 0.5


def slices_of(catalogue, subject, *, n=None):
    """Return the planes of a subject's first slices, and their positions."""
    planes = catalogue.view_attributes(subject, "sax").planes[:n]
    return planes, [catalogue.positions(subject, "sax", 0, number) for number in range(len(planes))]


def test_planes_are_fitted_to_positions(phantoms):
    """Boxes drawn from headers lead to the planes of the headers, also where one slice's boxes lie elsewhere."""
    example = load("planes_from_positions")
    truth = read_plane_table(phantoms.parent / "coh/truth/stated_planes.csv").subjects
    with Catalogue(phantoms) as catalogue:
        for subject in ("SYN-0001", "SYN-0002", "SYN-0003"):
            planes, maps = slices_of(catalogue, subject)
            maps[1] = np.roll(maps[1], 9, axis=1)
            fitted = example.fit(example.find_centres(planes, maps), planes[0].normal)
            for view, plane in fitted.planes.items():
                true = truth[subject].planes[CardiacView(view)]
                assert angle_between_normals_deg(plane.normal, true.normal) < 4
                assert abs(true.signed_distance_mm(plane.centre_mm)) < 2
            assert fitted.left @ LPS_AXES.left > 0.3
            assert fitted.anterior @ LPS_AXES.along(DecidingAxis.ANTERIOR_SUPERIOR) > 0.5


def test_no_planes_are_fitted_to_the_boxes_of_two_slices(phantoms):
    example = load("planes_from_positions")
    with Catalogue(phantoms) as catalogue:
        planes, maps = slices_of(catalogue, "SYN-0001", n=2)
        assert example.fit(example.find_centres(planes, maps), planes[0].normal) is None


def test_planes_stand_upright_where_boxes_are_scattered(phantoms):
    """A network that has not seen such images scatters its boxes, and finds some of them on a few slices only."""
    example, random = load("planes_from_positions"), np.random.default_rng(0)
    truth = read_plane_table(phantoms.parent / "coh/truth/stated_planes.csv").subjects["SYN-0001"].planes
    with Catalogue(phantoms) as catalogue:
        planes, maps = slices_of(catalogue, "SYN-0001")
    middle = len(maps) // 2
    for number, labels in enumerate(maps):
        if abs(number - middle) > 1:
            labels[np.isin(labels, [*example.LEFT, *example.ANTERIOR])] = 0
        maps[number] = np.roll(labels, random.integers(-4, 5, 2), axis=(0, 1))
    fitted = example.fit(example.find_centres(planes, maps), planes[0].normal)
    for view, plane in fitted.planes.items():
        assert abs(plane.normal @ planes[0].normal) < 0.35
        assert angle_between_normals_deg(plane.normal, truth[CardiacView(view)].normal) < 15


def test_planes_are_found_by_the_network_of_a_pretext(phantoms, tmp_path):
    """One that has learnt nothing finds none; one of structures is refused."""
    settings = SMALL | {"rows": 96, "columns": 96}
    pretrained = pretext(phantoms, tmp_path / "pretext", **settings)
    arguments = [str(pretrained.folder), str(phantoms), str(tmp_path / "planes.csv")]
    result = CliRunner().invoke(load("planes_from_positions").main, arguments)
    assert result.output == "0 of 3 subjects have planes\n"
    run = finetune(phantoms, tmp_path / "scratch", mode="scratch", **settings)
    result = CliRunner().invoke(load("planes_from_positions").main, [str(run.folder), *arguments[1:]])
    assert result.exit_code == 1
    assert "finds structures, not positions" in result.output


def test_networks_are_trained_scored_and_used(data, tmp_path, capsys):
    torch.set_num_threads(1)
    arguments = str(data), str(data), str(tmp_path / "results")
    load("train_and_predict").main(*arguments, "quick", **SMALL)
    said = capsys.readouterr().out
    assert "LV at end-diastole: Dice " in said
    assert "10 subjects segmented" in said
    assert len(list((tmp_path / "results" / "segmented" / "labels").iterdir())) == 20


def test_the_decoders_on_acdc_are_compared_on_people_whom_the_other_study_does_not_score():
    studies = EXAMPLES / "studies"
    runs = plan_study(parse_study(read_document(studies / "decoders_acdc.toml")), Path("studies")).combinations
    pairs = {(run.config.transfer.decoder, run.config.training.loss) for run in runs if run.mode is TransferMode.MULTITASK}
    assert pairs == set(product(DecoderSharing, (LossKind.CROSS_ENTROPY, LossKind.DICE)))
    assert {run.config.network.base_channels for run in runs} == {8}
    other, own = (read_split_file(studies / f"{name}.csv") for name in ("acdc_split", "decoders_acdc_split"))
    with_planes, annotated, scored = (
        {key for key, place in other.items() if place == name} for name in ("pretext", "train", "test")
    )
    assert not scored & own.keys()
    assert {key for key, place in own.items() if place == "train"} == annotated
    assert {key for key, place in own.items() if place != "train"} == with_planes
    groups = Counter((place, (int(key.removeprefix("patient")) - 1) // 20) for key, place in own.items() if place != "train")
    assert groups == {(place, group): n for place, n in (("pretext", 8), ("validation", 3), ("test", 1)) for group in range(5)}


@pytest.mark.posix
def test_synthetic_pretexts_are_made_to_give_away(tmp_path):
    """The commands that the script gives to its shell, each run in this process."""
    (tmp_path / "bin").mkdir()
    for program in ("cmr-planes", "cmr-train"):
        script = tmp_path / "bin" / program
        script.write_text(f"#!/bin/sh\nprintf '%s\\t' {program} \"$@\"\necho\n")
        script.chmod(0o755)
    environment = {**os.environ, "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}"}
    command = ["bash", str(EXAMPLES / "synthetic_pretext.sh"), str(tmp_path / "made"), "1", "1", "1"]
    done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True, timeout=600)
    lines = [line.rstrip("\t").split("\t") for line in done.stdout.splitlines()]
    assert [name for _, name, *_ in lines] == ["phantom", "extract", *("pretext", "export") * 2]
    extra = {"phantom": ["--workers", 1], "extract": ["--workers", 1], "pretext": ["--threads", 1, "--device", "cpu"]}
    for program, name, *words in lines:
        result = {"cmr-planes": run_planes, "cmr-train": train}[program](name, *words, *extra.get(name, []))
        assert result.exit_code == 0, result.output
    for view in ("sax", "4ch"):
        exported = tmp_path / "made" / view
        assert {path.name for path in exported.iterdir()} == {"card.md", "config.json", "final.pt", "split.json"}
        assert "SYN-0001" not in (exported / "card.md").read_text() + (exported / "split.json").read_text()
