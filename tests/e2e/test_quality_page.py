"""The page of a cohort in a browser, at the width of a desk and of a telephone: what a reader can do on it."""

import csv
import json
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from cmr_planes.cli import main
from cmr_planes.errors import ExitCode, Finding, NoteCode
from tests.helpers.catalogues import write_batches
from tests.helpers.pages import CHROMIUM, probe
from tests.helpers.records import make_subject, rejected_subject

LOOK = """
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms)), find = (id) => document.getElementById(id);
for (let tries = 0; tries < 100 && !document.body.dataset.ready; tries += 1) await sleep(50);
const list = () => [...document.querySelectorAll("#body tr")].map((line) => [...line.cells].map((cell) => cell.textContent));
const found = {all: list(), wide: document.documentElement.scrollWidth, bars: document.querySelectorAll("rect").length};
const form = find("filters"), set = async (name, value) => {
  form.elements[name].value = value;
  form.elements[name].dispatchEvent(new Event("input", {bubbles: true}));
  await sleep(300);
};
await set("from:line_agreement", "0.5");
found.agreeing = list();
found.said = find("shown").textContent;
await set("view", [...form.elements.view.options].find((option) => option.text === "4Ch").value);
found.four = list();
form.reset();
await sleep(300);
found.again = list().length;
const heads = [...document.querySelectorAll("#head button")];
heads.find((head) => head.textContent.startsWith("agreement")).click();
found.sorted = list();
found.focus = document.activeElement.textContent;
const opener = document.querySelector(".ends button");
opener.focus();
opener.click();
await sleep(300);
const image = document.querySelector("#look-picture img");
for (let tries = 0; tries < 100 && !image.complete; tries += 1) await sleep(50);
found.picture = [find("look").open, image.naturalWidth, image.alt, find("look-title").textContent, document.activeElement.id];
find("look").close();
await sleep(100);
found.back = document.activeElement === opener;
document.querySelector("button[data-filter=reason]").click();
await sleep(300);
found.left = list();
found.unlabelled = [...document.querySelectorAll("button, select, input")].filter((each) => !(each.getAttribute("aria-label") || each.textContent || each.labels?.length)).length;
return found;
"""


@pytest.fixture(scope="module")
def page(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("page")
    records = [make_subject(number, n_slices=2, agreement=agreement) for number, agreement in ((1, 0.9), (2, 0.2), (4, 0.7))]
    records[1] = replace(records[1], findings=(Finding("4ch", NoteCode.LOW_AGREEMENT, "they disagree (0.2)"),))
    out = write_batches(folder, [[*records, rejected_subject(3)]])
    result = CliRunner().invoke(main, ["report", str(out), "-o", str(folder / "qc.html"), "--json", "--pictures", "3"])
    assert (result.exit_code, result.stderr) == (ExitCode.DONE, "")
    said = json.loads(result.stdout)
    assert said == {
        "page": (folder / "qc.html").as_posix(),
        "table": (folder / "qc.csv").as_posix(),
        "n_subjects": 4,
        "n_rows": 10,
        "n_pictures": 3,
    }
    return folder / "qc.html"


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium on the path")
@pytest.mark.parametrize("width", [1280, 400])
def test_a_reader_filters_sorts_and_looks(page, tmp_path, width):
    found = probe(page, tmp_path, width, LOOK)
    with page.with_suffix(".csv").open(newline="") as stream:
        table = list(csv.DictReader(stream))
    assert found["wide"] <= width
    assert found["bars"] > 20
    assert len(found["all"]) == found["again"] == len(table)
    agreeing = [row for row in table if row["line_agreement"] and float(row["line_agreement"]) >= 0.5]
    assert [line[0].split()[0] for line in found["agreeing"]] == [row["subject"] for row in agreeing]
    assert found["said"] == f"Filter: {len(agreeing)} of {len(table)} rows"
    assert [line[1] for line in found["four"]] == ["4Ch"] * sum(row["view"] == "4ch" for row in agreeing)
    column = [line[4] for line in found["sorted"]]
    assert column == sorted(column, key=lambda value: (value == "–", value))
    assert found["focus"] == "agreement ▲"
    is_open, natural_width, alt, title, focus = found["picture"]
    assert is_open
    assert natural_width > 500
    assert title == "Subject 2, SAX"
    assert alt.startswith("SAX images of subject 2 with two lines and nine boxes: ED · slice 1 of 2")
    assert focus == "close"
    assert found["back"]
    assert [line[2] for line in found["left"]] == ["left out"]
    assert found["unlabelled"] == 0


def test_the_command_says_what_it_wrote_and_what_is_wrong(page, tmp_path):
    out = page.with_name("out.h5")
    result = CliRunner().invoke(main, ["report", str(out), "-o", str(tmp_path / "qc.html"), "--pictures", "1", "-v"])
    assert result.stdout.splitlines() == [
        "4 subjects, 10 rows, 1 picture",
        f"The page is {tmp_path / 'qc.html'}, its table {tmp_path / 'qc.csv'}",
    ]
    assert "SYN-0002" in (tmp_path / "qc.csv").read_text()
    wrong = CliRunner().invoke(main, ["report", str(out), "-o", str(tmp_path / "qc.csv")])
    assert wrong.exit_code == 2
    assert "call it qc.html" in wrong.stderr
