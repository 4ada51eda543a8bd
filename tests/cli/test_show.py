"""``cmr-planes show``: which sheets it writes, what it keeps out of them, and its exit codes."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from matplotlib.image import imread

from cmr_planes.cli import main
from cmr_planes.errors import ExitCode
from cmr_planes.geometry import SliceShifts
from cmr_planes.pictures.contact_sheet import SheetImage
from cmr_planes.pictures.seams import Seam
from cmr_planes.pictures.space import Scene
from cmr_planes.views import CardiacView
from tests.helpers.catalogues import make_catalogue, write_batches
from tests.helpers.records import make_subject, rejected_subject


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_catalogue(tmp_path_factory.mktemp("catalogue"))


def run(out: Path, folder: Path, *options: str) -> Result:
    return CliRunner().invoke(main, ["show", str(out), "-o", str(folder), *options])


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[SheetImage]:
    """The panels that are drawn, in order; nothing is drawn in truth."""
    panels: list[SheetImage] = []

    def draw(view: CardiacView, batch: list[SheetImage], *, heading: str) -> None:
        panels.extend(batch)

    monkeypatch.setattr("cmr_planes.cli.show.draw_sheet", draw)
    monkeypatch.setattr("cmr_planes.cli.show.encode_png", lambda _: b"")
    return panels


def test_sheets_are_pictures_and_their_paths_are_printed(out: Path, tmp_path: Path) -> None:
    result = run(out, tmp_path / "deep" / "pictures")
    assert (result.exit_code, result.stderr) == (ExitCode.DONE, "")
    names = ["sax-001.png", "2ch-001.png", "4ch-001.png"]
    assert result.stdout.splitlines() == [str(tmp_path / "deep" / "pictures" / name) for name in names]
    for name in names:
        picture = imread(tmp_path / "deep" / "pictures" / name)
        assert min(picture.shape[:2]) > 300
        assert np.ptp(picture[..., :3]) > 0.8


def test_images_come_by_subject_phase_and_slice(out: Path, tmp_path: Path, drawn: list[SheetImage]) -> None:
    assert run(out, tmp_path, "--view", "sax").exit_code == ExitCode.DONE
    titles = [panel.title for panel in drawn]
    expected = [
        f"subject {number} · {phase} · slice {level} of 2" for number in (1, 3) for phase in ("ED", "ES") for level in (1, 2)
    ]
    assert titles == expected
    np.testing.assert_array_equal(drawn[3].image, make_subject(1, n_slices=2).views[0].image[1, 1])


def test_low_agreement_is_marked_where_it_was_noted(out: Path, tmp_path: Path, drawn: list[SheetImage]) -> None:
    run(out, tmp_path)
    assert [panel.title for panel in drawn if panel.warning] == ["subject 3 · ED", "subject 3 · ES"]
    assert drawn[-1].warning == "low agreement along the lines: 0.25, 0.25"


def test_keys_stay_out_of_pictures_and_names_unless_asked_for(out: Path, tmp_path: Path, drawn: list[SheetImage]) -> None:
    run(out, tmp_path / "plain", "--subject", "SYN-0002")
    assert drawn
    assert not any("SYN" in panel.title for panel in drawn)
    assert not any("SYN" in path.name for path in (tmp_path / "plain").iterdir())
    drawn.clear()
    run(out, tmp_path / "named", "--subject", "SYN-0002", "-v")
    assert all(panel.title.endswith(" · SYN-0002") for panel in drawn)


def test_views_and_phases_are_taken_as_they_are_printed(out: Path, tmp_path: Path, drawn: list[SheetImage]) -> None:
    assert run(out, tmp_path, "--view", "2Ch", "--view", "SAX", "--phase", "ED").exit_code == ExitCode.DONE
    assert {panel.title.split(" · ")[1] for panel in drawn} == {"ED"}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["2ch-001.png", "sax-001.png"]


def test_json_lists_the_files(out: Path, tmp_path: Path, drawn: list[SheetImage]) -> None:
    result = run(out, tmp_path, "--per-sheet", "4", "--view", "sax", "--json")
    content = json.loads(result.stdout)
    assert content == {"n_images": 8, "pictures": [(tmp_path / f"sax-00{number}.png").as_posix() for number in (1, 2)]}
    assert len(drawn) == 8


def test_limits_are_kept(out: Path, tmp_path: Path, drawn: list[SheetImage]) -> None:
    run(out, tmp_path / "a", "--limit", "1")
    assert {panel.title.split(" · ")[0] for panel in drawn} == {"subject 1"}
    result = run(out, tmp_path / "b", "--view", "sax", "--per-sheet", "3")
    assert len(result.stdout.splitlines()) == 4  # two for each subject, whose four images do not fit on one
    drawn.clear()
    run(out, tmp_path / "c", "--view", "2ch", "--phase", "es")
    assert [panel.title for panel in drawn] == ["subject 1 · ES", "subject 3 · ES"]


def test_of_all_frames_the_first_is_drawn_unless_others_are_asked_for(tmp_path: Path, drawn: list[SheetImage]) -> None:
    out = write_batches(tmp_path, [[make_subject(1, n_slices=1, phases=("000", "001", "002"))]])
    run(out, tmp_path / "a", "--view", "sax")
    assert [panel.title for panel in drawn] == ["subject 1 · 000"]
    drawn.clear()
    run(out, tmp_path / "b", "--view", "sax", "--phase", "001", "--phase", "002")
    assert [panel.title for panel in drawn] == ["subject 1 · 001", "subject 1 · 002"]


def test_images_without_positions_are_drawn(tmp_path: Path) -> None:
    out = write_batches(tmp_path, [[make_subject(1, n_slices=1, with_positions=False)]])
    assert run(out, tmp_path / "pictures").exit_code == ExitCode.DONE
    assert len(list((tmp_path / "pictures").glob("*.png"))) == 3


def test_nothing_to_draw_has_an_exit_code_of_its_own(out: Path, tmp_path: Path) -> None:
    result = run(out, tmp_path / "a", "--phase", "017")
    assert result.exit_code == ExitCode.NOTHING_USABLE
    assert result.stderr.startswith("nothing to draw")
    empty = write_batches(tmp_path / "empty", [[rejected_subject(1)]])
    assert run(empty, tmp_path / "b").exit_code == ExitCode.NOTHING_USABLE
    assert not (tmp_path / "a").exists()


def test_a_subject_is_taken_by_its_number_too(out: Path, tmp_path: Path, drawn: list[SheetImage]) -> None:
    assert run(out, tmp_path, "--subject", "3", "--subject", "SYN-0002").exit_code == ExitCode.DONE
    assert {panel.title.split(" · ")[0] for panel in drawn} == {"subject 3"}


def test_a_subject_begins_on_a_sheet_that_has_room_for_it(out: Path, tmp_path: Path, drawn: list[SheetImage]) -> None:
    assert len(run(out, tmp_path / "a", "--view", "sax", "--per-sheet", "8").stdout.splitlines()) == 1
    assert len(run(out, tmp_path / "b", "--view", "sax", "--per-sheet", "7").stdout.splitlines()) == 2


def test_lines_are_named_by_the_planes_that_leave_them(out: Path, tmp_path: Path, drawn: list[SheetImage]) -> None:
    run(out, tmp_path, "--view", "sax")
    assert {panel.line_names for panel in drawn} == {("4Ch plane", "2Ch plane")}


def test_a_phase_that_is_not_there_is_answered_with_those_that_are(out: Path, tmp_path: Path) -> None:
    assert "its phases are ed, es" in run(out, tmp_path, "--phase", "017").stderr


def test_a_subject_that_is_not_there_is_a_bad_argument(out: Path, tmp_path: Path) -> None:
    result = run(out, tmp_path, "--subject", "SYN-0404")
    assert result.exit_code == ExitCode.BAD_ARGUMENTS
    sentence = " ".join(result.stderr.split())
    assert "no images of SYN-0404; did you mean 'SYN-000" in sentence
    assert "inspect -v" in sentence


def test_a_damaged_shard_is_named_in_one_sentence(tmp_path: Path) -> None:
    out = make_catalogue(tmp_path)
    shard = out.parent / "out.shards" / "00000.h5"
    shard.write_bytes(shard.read_bytes()[:5000])
    result = run(out, tmp_path / "pictures")
    assert result.exit_code == ExitCode.FAILED
    assert "00000.h5" in result.stderr
    assert "truncated" in result.stderr
    assert result.stderr.count("\n") == 1


def test_a_folder_that_cannot_be_made_is_one_sentence(out: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    result = run(out, tmp_path / "file" / "pictures")
    assert result.exit_code == ExitCode.FAILED
    assert "not a directory" in result.stderr
    assert result.stderr.count("\n") == 1


def test_shifts_are_drawn_before_and_after_for_each_long_axis_view(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shifts = {
        CardiacView.SAX: [[0.0, 3.0, 4.0], [np.nan] * 3],
        CardiacView.TWO_CHAMBER: [[0.0, 0.0, 0.0]],
        CardiacView.FOUR_CHAMBER: [[0.0, 0.0, -1.0]],
    }
    record = make_subject(1, n_slices=2)
    measured = replace(record, views=tuple(replace(one, shifts=slice_shifts(shifts[one.view])) for one in record.views))
    out = write_batches(tmp_path / "catalogue", [[measured]])
    sheets: list[Sequence[Sequence[Seam]]] = []

    def draw(rows: Sequence[Sequence[Seam]], *, heading: str) -> None:
        sheets.append(rows)
        assert "SYN" not in heading

    monkeypatch.setattr("cmr_planes.cli.show.draw_seams", draw)
    monkeypatch.setattr("cmr_planes.cli.show.encode_png", lambda _: b"")
    result = run(out, tmp_path / "pictures", "--shifts", "--json")
    assert json.loads(result.stdout) == {"pictures": [(tmp_path / "pictures" / "shifts-001.png").as_posix()]}
    (rows,) = sheets
    assert [[seam.title for seam in row] for row in rows] == [
        ["slice 1 · 2Ch · headers", "slice 1 · 2Ch · shifted 5.0 mm", "slice 1 · 4Ch · headers", "slice 1 · 4Ch · shifted 5.8 mm"],
        [
            "slice 2 · 2Ch · headers",
            "slice 2 · 2Ch · shift not given",
            "slice 2 · 4Ch · headers",
            "slice 2 · 4Ch · shift not given",
        ],
    ]
    assert np.isnan(rows[1][1].image).all()


def slice_shifts(shift_mm: list[list[float]]) -> SliceShifts:
    values = np.array(shift_mm)
    return SliceShifts(shift_mm=values, sd_mm=values[:, :2] * 0 + 0.5, agreement=values[:, :2] * 0 + 0.9)


def test_without_measured_shifts_there_is_nothing_to_draw(out: Path, tmp_path: Path) -> None:
    result = run(out, tmp_path, "--shifts")
    assert result.exit_code == ExitCode.NOTHING_USABLE
    assert "shifts need a short axis and two long-axis views with images" in result.stderr


def test_planes_in_space_are_a_picture_for_each_subject_with_all_three_views(
    out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scenes: list[Scene] = []
    monkeypatch.setattr("cmr_planes.cli.show.draw_scene", scenes.append)
    monkeypatch.setattr("cmr_planes.cli.show.encode_png", lambda _: b"")
    result = run(out, tmp_path, "--space")
    assert (result.exit_code, result.stderr) == (ExitCode.DONE, "")
    assert result.stdout.splitlines() == [str(tmp_path / f"space-00{number}.png") for number in (1, 3)]
    assert [scene.title for scene in scenes] == ["subject 1 · ED", "subject 3 · ED"]
    expected = make_subject(1, n_slices=2).views[0]
    np.testing.assert_array_equal(scenes[0].images[CardiacView.SAX].image, expected.image[0, 1])
    np.testing.assert_allclose(scenes[0].centres_px, expected.positions[1].centres_px)
    listed = json.loads(run(out, tmp_path, "--space", "--json", "-v", "--limit", "1").stdout)
    assert listed == {"pictures": [(tmp_path / "space-001.png").as_posix()]}
    assert scenes[-1].title == "subject 1 · ED · SYN-0001"


def test_planes_in_space_say_what_they_need(out: Path, tmp_path: Path) -> None:
    wrong = run(out, tmp_path, "--space", "--view", "sax")
    assert (wrong.exit_code, "leave them out with --space" in wrong.stderr) == (2, True)
    short_axis = write_batches(tmp_path / "sax", [[make_subject(1, views=(CardiacView.SAX,))]])
    nothing = run(short_axis, tmp_path, "--space")
    assert nothing.exit_code == ExitCode.NOTHING_USABLE
    assert "no subject has SAX, 2Ch and 4Ch with positions" in nothing.stderr
