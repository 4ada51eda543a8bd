"""The report as a reader has it: whole, for every way, and in a browser."""

import csv
import io
import itertools
import json
import re
from pathlib import Path
from urllib.parse import unquote

import pytest
import torch
from click.testing import CliRunner
from PIL import Image

from cmr_planes.shards.catalogue import Catalogue
from cmr_planes.views import CardiacView
from cmr_train.choices import Recipe, Subset, TransferMode
from cmr_train.cli import main
from cmr_train.data.selection import select_images
from cmr_train.errors import CheckpointError
from cmr_train.presets import configure
from cmr_train.report.page import write_report
from cmr_train.study.study_file import parse_study
from tests.helpers.pages import CHROMIUM, Page, probe
from tests.helpers.study_folders import SETTINGS, make_study
from tests.helpers.training import annotate, small_catalogue


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    torch.set_num_threads(1)


def check_page(path: Path) -> Page:
    """Check what must hold of every report, and return it."""
    page = Page(path.read_text(encoding="utf-8"))
    levels = [int(tag[1]) for tag, _ in page.elements if tag in {"h1", "h2", "h3", "h4"}]
    assert levels.count(1) == 1
    assert levels[0] == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))
    identifiers = [attributes["id"] for _, attributes in page.elements if attributes.get("id")]
    assert len(set(identifiers)) == len(identifiers)
    assert {each["href"][1:] for each in page.all("a") if each["href"].startswith("#")} <= set(identifiers)
    for image in page.all("img"):
        assert image["src"].startswith("data:image/png;base64,")
        assert any(letter.isdigit() for letter in image["alt"]), image["alt"]
        assert len(image["alt"]) > 60
    n_tables = len(page.all("table"))
    assert len(page.all("caption")) == n_tables == len([each for each in page.all("a") if each.get("class") == "csv"])
    assert all(each.get("scope") in {"col", "row"} for each in page.all("th"))
    for tag, attributes in page.elements:
        for name in ("src", "href"):
            value = attributes.get(name) or "#"
            assert value.startswith(("#", "data:")), f"{tag} needs {value}"
    assert "SYN-" not in path.read_text(encoding="utf-8")
    assert "nan" not in [word.lower() for _, text in page.texts for word in text.replace("(", " ").replace(")", " ").split()]
    assert not re.search(r"\bp ?[<=]", " ".join(text for _, text in page.texts)), "a p beside intervals of another bootstrap"
    for link in page.all("a"):
        if link.get("class") == "csv":
            rows = list(csv.reader(io.StringIO(unquote(link["href"].split(",", 1)[1]))))
            assert len({len(row) for row in rows}) == 1
    return page


@pytest.fixture(scope="module")
def study(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("report")
    data = annotate(small_catalogue(folder / "data", 8))
    config = configure(Recipe.FINETUNE, data=data, mode=TransferMode.SCRATCH, **SETTINGS)
    with Catalogue(data) as catalogue:
        index = select_images(config, catalogue, config.head, Subset.TEST)
        keys = tuple(dict.fromkeys(index.subject(row) for row in range(len(index))))
    made = make_study(folder, data=data, test_subjects=keys, missing=("all-n5-s1",), failed={"decoder-n5-s0": "a | <b> failed"})
    (made / "cells/multitask-n5-s0/final.pt").write_bytes(b"damaged")
    write_report(made)
    return made


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Draw one pixel in place of every figure, for tests of words and of which files there are."""
    for kind in ("png", "webp"):
        file = io.BytesIO()
        Image.new("RGB", (1, 1)).save(file, kind)
        monkeypatch.setattr(f"cmr_train.report.drawings.encode_{kind}", lambda *_, file=file: file.getvalue())


@pytest.mark.usefixtures("undrawn")
def test_a_report_says_that_weights_were_chosen_by_their_validation(tmp_path):
    made = make_study(tmp_path, modes=("scratch", "all"), subjects=(1,), is_watched=False)
    words = "Scored were the weights of each network's best validation."
    write_report(made)
    assert words not in (made / "report.md").read_text(encoding="utf-8")
    stored = json.loads((made / "study.json").read_text(encoding="utf-8"))
    stored["study"]["weights"] = "best"
    (made / "study.json").write_text(json.dumps(stored), encoding="utf-8")
    write_report(made)
    assert words in (made / "report.md").read_text(encoding="utf-8")


@pytest.mark.usefixtures("undrawn")
def test_a_report_begins_with_the_note_of_the_study_file(tmp_path):
    study = make_study(tmp_path, modes=("scratch", "all"), subjects=(1,), seeds=1)
    note = "The planes of these people were simulated: a < b."
    value = parse_study({"name": "x", "note": note}).to_json()
    file = study / "study.json"
    stored = json.loads(file.read_text(encoding="utf-8"))
    write_report(study)
    assert "simulated" not in (study / "report.md").read_text(encoding="utf-8")
    file.write_text(json.dumps(stored | {"study": stored["study"] | {"note": value["note"]}}), encoding="utf-8")
    page = write_report(study).read_text(encoding="utf-8")
    assert note in (study / "report.md").read_text(encoding="utf-8").split("## Findings")[0]
    assert "simulated: a &lt; b." in page.split("</header>")[0]


def test_a_report_is_whole_and_made_again_alike(study):
    page = check_page(study / "report.html")
    headings = [text for tag, text in page.texts if tag == "h2"]
    assert headings == [
        "Findings",
        "Failed and missing runs",
        "Dice",
        "Contour distance",
        "Against the number of annotated subjects",
        "Learning curves",
        "Segmentations",
        "Pretext",
        "Runs",
        "Configuration",
    ]
    names = {path.stem for path in (study / "figures").iterdir()}
    assert names == {"dice", "distance", "learning", "example-median", "example-worst", "pretext-default"}
    assert len(page.all("img")) == len(names)
    text = " ".join(each for _, each in page.texts)
    for words in (
        "a | <b> failed",
        "it has not ended",
        "paper: 0.704 (0.065)",
        "paper: 1 (18)",
        "python 3.11.0",
        "Pretext default ends at a mean Dice of 0.",
        "cpu (1 thread)",
    ):
        assert words in text
    markdown = (study / "report.md").read_text(encoding="utf-8")
    assert "a \\| &lt;b> failed" in markdown
    assert "- `decoder`: the weights of the pretext; the encoder stays as it is" in markdown
    assert [text for tag, text in page.texts if tag == "dd"] == [
        "a network trained beforehand without manual annotations, to find the nine anatomical positions",
        *(line.partition(": ")[2] for line in markdown.splitlines() if line.startswith(("- `",))),
    ]
    assert {"scratch", "decoder", "all", "multitask"} <= {text for tag, text in page.texts if tag == "code"}
    assert all(f"(figures/{name}.png)" in markdown for name in names)
    files = {path: path.read_bytes() for path in (study / "report.html", study / "report.md", study / "table.csv")}
    files |= {path: path.read_bytes() for path in (study / "figures").iterdir()}
    write_report(study)
    assert files == {path: path.read_bytes() for path in files}
    assert not list(study.rglob("*.part"))


@pytest.mark.usefixtures("undrawn")
def test_pictures_say_why_they_are_not_there(tmp_path):
    study = make_study(tmp_path)
    page = check_page(write_report(study))
    text = " ".join(each for _, each in page.texts)
    assert "There are no pictures: the catalogue 'out.h5' is not where it was when the study ran" in text
    assert "There is no picture: the catalogue" in text


CASES = {
    "one of everything": {"modes": ("scratch",), "subjects": (1,), "seeds": 1, "test_subjects": ("SYN-0001",)},
    "no scratch": {"modes": ("all", "multitask"), "subjects": (1,), "seeds": 1},
    "nothing ended": {
        "missing": tuple(f"{m}-n{n}-s0" for m in ("scratch", "all") for n in (1, 5)),
        "modes": ("scratch", "all"),
        "seeds": 1,
    },
    "found nothing": {"modes": ("scratch", "all"), "subjects": (1,), "seeds": 1, "empty": ("scratch-n1-s0", "all-n1-s0")},
    "not watched": {"modes": ("scratch", "all"), "subjects": (1,), "is_watched": False},
    "variants": {"variants": ("mild", "strong"), "subjects": (1, 5), "modes": ("scratch", "multitask"), "seeds": 1},
    "long axis": {"view": CardiacView.FOUR_CHAMBER, "modes": ("scratch", "all"), "seeds": 1, "name": "4Ch & <more>"},
    "2Ch, numbers not in the paper": {"view": CardiacView.TWO_CHAMBER, "subjects": (3,), "modes": ("scratch", "all"), "seeds": 1},
}


def test_json_lists_the_files_of_the_report(study):
    files = json.loads(CliRunner().invoke(main, ["report", str(study), "--json"], catch_exceptions=False).stdout)
    written = {study / name for name in ("report.html", "report.md", "table.csv")} | set((study / "figures").glob("*.png"))
    assert {Path(path) for path in (files["report"], files["markdown"], files["table"], *files["figures"])} == written
    assert files["figures"]


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_every_kind_of_study_has_a_report(tmp_path, case):
    study = make_study(tmp_path, **case)
    page = check_page(write_report(study))
    assert [text for tag, text in page.texts if tag == "h1"] == [case.get("name", "SAX, positions or not")]
    assert ("variants" in {path.stem for path in (study / "figures").iterdir()}) == ("variants" in case)
    has_paper = case.get("view") is not CardiacView.TWO_CHAMBER
    assert any("Bai et al." in text for _, text in page.texts) == has_paper


@pytest.mark.usefixtures("undrawn")
def test_a_report_made_anew_keeps_no_figure_of_the_one_before(tmp_path):
    study = make_study(tmp_path, modes=("scratch", "all"), subjects=(1,), seeds=1)
    write_report(study)
    assert (study / "figures" / "learning.png").exists()
    for path in study.glob("cells/*/metrics.jsonl"):
        path.unlink()
    (study / "cells/all-n1-s0/per_subject.csv").write_text("subject\nSYN-0001\n")
    page = check_page(write_report(study))
    assert not (study / "figures" / "learning.png").exists()
    assert any("its per_subject.csv cannot be used: it is not what the study wrote" in text for _, text in page.texts)


@pytest.mark.parametrize("content", [None, "{", '{"study": {}}'], ids=["none", "damaged", "another"])
def test_a_folder_that_is_no_study_is_refused(tmp_path, content):
    if content is not None:
        (tmp_path / "study.json").write_text(content)
    with pytest.raises(CheckpointError, match=r"study\.json"):
        write_report(tmp_path)


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium on the path")
@pytest.mark.parametrize("width", [400, 1280])
def test_a_browser_opens_the_report_without_complaint(study, tmp_path, width):
    found = probe(
        study / "report.html",
        tmp_path,
        width,
        "return {wide: document.documentElement.scrollWidth,"
        " broken: [...document.images].filter((image) => !image.complete || !image.naturalWidth).length,"
        " cut: [...document.querySelectorAll('main td, main th, main img, main caption, dd')]"
        ".filter((each) => each.checkVisibility() && each.closest('thead') === null"
        " && each.getBoundingClientRect().right > innerWidth).length,"
        " sideways: [...document.querySelectorAll('.scroll')].filter((each) => each.scrollWidth > each.clientWidth).length,"
        " kinds: [...new Set([...document.images].map((image) => image.currentSrc.split(';')[0]))],"
        " label: getComputedStyle(document.querySelector('#dice td'), '::before').content,"
        " buttons: [...document.querySelectorAll('button')].map((each) => [Number(each.dataset.lines), each.getAttribute('aria-label')])};",
    )
    assert found["broken"] == 0
    assert found["wide"] <= width
    assert found["kinds"] == ["data:image/webp" if width == 400 else "data:image/png"]
    assert found["cut"] == found["sideways"] == 0
    assert found["label"] == ('"scratch"' if width == 400 else "none")
    links = [each for each in Page((study / "report.html").read_text(encoding="utf-8")).all("a") if each.get("class") == "csv"]
    assert [lines for lines, _ in found["buttons"]] == [len(unquote(each["href"].split(",", 1)[1]).splitlines()) for each in links]
    assert all(label.startswith("Copy as CSV: ") for _, label in found["buttons"])
