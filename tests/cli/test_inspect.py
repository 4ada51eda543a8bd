"""``cmr-planes inspect``: what it counts, what it keeps to itself, and its exit codes."""

import dataclasses
import json
import re
from pathlib import Path

import h5py
import numpy as np
import pytest
from click.testing import CliRunner

from cmr_planes.cli import main
from cmr_planes.errors import ExitCode
from cmr_planes.fates import Fate, PlaneFate
from tests.helpers.catalogues import make_catalogue, write_batches
from tests.helpers.records import make_subject, rejected_subject


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return make_catalogue(tmp_path)


def test_counts_are_those_of_the_file(out: Path) -> None:
    result = CliRunner().invoke(main, ["inspect", str(out), "--json"])
    assert (result.exit_code, result.stderr) == (ExitCode.DONE, "")
    content = json.loads(result.stdout)
    with h5py.File(out) as file:
        sizes = {view: [file[f"data/{key}/{view}/image"].shape[:2] for key in file["data"]] for view in ("sax", "2ch", "4ch")}
        masks = np.concatenate([file[f"data/{key}/sax/positions"][()].ravel() for key in file["data"]])
    for view, shapes in sizes.items():
        assert content["views"][view]["n_images"] == sum(phases * slices for phases, slices in shapes)
        assert content["views"][view]["n_slices"] == sum(slices for _, slices in shapes)
    shares = list(content["views"]["sax"]["class_shares"].values())
    assert shares == pytest.approx((np.bincount(masks) / masks.size).tolist())
    assert (content["n_subjects"], content["n_used"], content["n_left_out"], content["n_shards"]) == (3, 2, 1, 2)
    assert content["rejections"] == [{"code": "no_sax", "view": "", "count": 1}]
    assert content["low_agreement"] == [
        {"subject_number": 3, "view": "4ch", "line_agreement": [0.25, 0.25], "worst_slice": 1, "worst_agreement": 0.25}
    ]
    assert content["views"]["sax"]["worst_slice"] == {"subject_number": 3, "slice": 1, "line_agreement": 0.25}


def test_tables_are_for_readers(out: Path) -> None:
    result = CliRunner().invoke(main, ["inspect", str(out)])
    assert (result.exit_code, result.stderr) == (ExitCode.DONE, "")
    for words in (
        "SAX",
        "2Ch",
        "4Ch",
        "208 × 180 (2)",
        "SIEMENS",
        "1.5 T",
        "no_sax",
        "anterior near / superior near",
        "Low agreement (1)",
    ):
        assert words in result.stdout
    assert result.stdout.splitlines()[-1] == "2 subjects with 16 images in 2 shards; 1 subject left out (no_sax)"


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_keys_are_printed_with_v_only(out: Path, options: list[str]) -> None:
    assert "SYN-" not in CliRunner().invoke(main, ["inspect", str(out), *options]).stdout
    verbose = CliRunner().invoke(main, ["inspect", str(out), *options, "-v"]).stdout
    assert "SYN-0003" in verbose
    assert "look at the series' descriptions" in " ".join(verbose.split())


def test_v_lists_what_became_of_each_plane(out: Path) -> None:
    text = CliRunner().invoke(main, ["inspect", str(out), "-v"]).stdout
    lines = [line.split() for line in text.splitlines() if "8 planes with one frame" in line]
    assert lines[0][:8] == ["2", "SYN-0003", "–", "–", "8", "×", "1", "–"]
    planes = json.loads(CliRunner().invoke(main, ["inspect", str(out), "--json", "-v"]).stdout)["planes"]
    assert planes[0] == {
        "subject": "SYN-0003",
        "series_number": 7,
        "view": "2ch",
        "n_frames": 25,
        "n_planes": 1,
        "angle_deg": 177.5,
        "distance_mm": 1.5,
        "fate": "used",
        "sentence": "",
    }
    assert planes[1]["angle_deg"] is None


def test_series_of_one_fate_share_a_row(tmp_path: Path) -> None:
    fates = [PlaneFate(series_number=n, view="sax", n_frames=25, distance_mm=10.0 * n, fate=Fate.USED) for n in (8, 7, 9, 3)]
    subject = dataclasses.replace(make_subject(1, n_slices=1), planes=tuple(fates))
    text = CliRunner().invoke(main, ["inspect", str(write_batches(tmp_path, [[subject]])), "-v"]).stdout
    row = next(line for line in text.splitlines() if "7-9" in line)
    assert re.split(r" {2,}", row.strip()) == ["1", "SYN-0001", "SAX", "3, 7-9", "4 × 25", "–", "30 to 90", "used"]


def test_the_first_lines_say_what_the_catalogue_is_good_for(out: Path) -> None:
    lines = CliRunner().invoke(main, ["inspect", str(out)]).stdout.splitlines()
    assert lines[:4] == [
        "2 of 3 subjects can be used",
        "with positions: SAX 2, 2Ch 2, 4Ch 2",
        "annotated: no subject",
        f"to look at first: subject 3, whose images agree least: cmr-planes show {out} -o pictures --subject 3",
    ]


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_an_encoding_without_some_signs_gets_plain_ones(out: Path, encoding: str) -> None:
    done = CliRunner(charset=encoding).invoke(main, ["inspect", str(out)])
    assert (done.exit_code, done.exception) == (0, None)
    assert "208 x 180 (2)" in done.stdout or encoding == "latin-1"


def test_nothing_usable_has_an_exit_code_of_its_own(tmp_path: Path) -> None:
    out = write_batches(tmp_path, [[rejected_subject(1), rejected_subject(2)]])
    result = CliRunner().invoke(main, ["inspect", str(out)])
    assert result.exit_code == ExitCode.NOTHING_USABLE
    assert "2 subjects left out (no_sax)" in result.stdout


def test_a_catalogue_without_positions_has_no_tables_of_them(tmp_path: Path) -> None:
    out = write_batches(tmp_path, [[make_subject(1, n_slices=1, with_positions=False)]])
    result = CliRunner().invoke(main, ["inspect", str(out)])
    assert result.exit_code == ExitCode.DONE
    assert "Images" in result.stdout
    assert "Classes" not in result.stdout
    assert "alignment" not in result.stdout


def test_a_missing_shard_does_not_matter_to_the_counts(out: Path) -> None:
    before = CliRunner().invoke(main, ["inspect", str(out)]).stdout
    (out.parent / "out.shards" / "00000.h5").unlink()
    assert CliRunner().invoke(main, ["inspect", str(out)]).stdout == before


def test_help_has_an_example() -> None:
    for command in ("inspect", "show", "verify"):
        result = CliRunner().invoke(main, [command, "--help"])
        assert result.exit_code == ExitCode.DONE
        assert f"  Example:\n    cmr-planes {command} out.h5" in result.stdout
