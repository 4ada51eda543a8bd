"""The page and its table: equal bytes, no keys unasked, nothing fetched, and numbers that plain h5py and csv find again."""

import base64
import csv
import json
import re
import shutil
import zlib
from collections import Counter
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import h5py
import numpy as np
import pytest
from PIL import Image

from cmr_planes.errors import Finding, NoteCode, ShardError
from cmr_planes.quality.page import write_quality_page
from tests.helpers.catalogues import write_batches
from tests.helpers.pages import Page
from tests.helpers.records import make_subject, rejected_subject


@pytest.fixture(scope="module")
def catalogue(tmp_path_factory) -> Path:
    """Three subjects of other agreement, one of them noted and with a sentence that is not HTML, and one left out."""
    records = [make_subject(number, n_slices=2, agreement=agreement) for number, agreement in ((1, 0.9), (2, 0.2), (4, 0.7))]
    records[1] = replace(records[1], findings=(Finding("4ch", NoteCode.LOW_AGREEMENT, "0.2 < 0.3 </script> & low"),))
    return write_batches(tmp_path_factory.mktemp("cohort"), [[*records[:2], rejected_subject(3)], records[2:]])


@pytest.fixture(scope="module")
def plain(catalogue, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("plain")
    written = write_quality_page(catalogue, folder / "qc.html", n_pictures=3)
    assert (written.n_subjects, written.n_rows, written.n_pictures, written.n_unread) == (4, 10, 3, 0)
    return written.page


def data(page: Path, name: str) -> object:
    """A script element that holds JSON."""
    found = re.search(rf'<script type="application/json" id="{name}">(.*?)</script>', page.read_text(encoding="utf-8"), re.DOTALL)
    assert found is not None
    return json.loads(found[1])


def arrays(page: Path) -> dict[str, np.ndarray]:
    """The rows that the page's script reads."""
    found = re.search(r'<script type="text/plain" id="packed">(.*?)</script>', page.read_text(encoding="utf-8"), re.DOTALL)
    assert found is not None
    raw, start, unpacked = zlib.decompress(base64.b64decode(found[1])), 0, {}
    for name, kind, length in data(page, "about")["arrays"]:
        assert start % int(kind[1]) == 0, "a typed array of JavaScript needs an aligned start"
        unpacked[name] = np.frombuffer(raw, dtype=f"<{kind}", count=length, offset=start)
        start += unpacked[name].nbytes
    assert start == len(raw)
    return unpacked


def test_equal_catalogues_give_equal_bytes(catalogue, plain, tmp_path):
    again = write_quality_page(catalogue, tmp_path / "qc.html", n_pictures=3)
    assert again.page.read_bytes() == plain.read_bytes()
    assert again.table.read_bytes() == plain.with_suffix(".csv").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["qc.csv", "qc.html"]


def test_the_page_needs_nothing_else_and_is_well_formed(plain):
    page = Page(plain.read_text(encoding="utf-8"))
    assert [text for tag, text in page.texts if tag == "h1"] == ["Quality of out.h5"]
    identifiers = [attributes["id"] for _, attributes in page.elements if attributes.get("id")]
    assert len(set(identifiers)) == len(identifiers)
    for tag, attributes in page.elements:
        for name in ("src", "href"):
            assert (attributes.get(name) or "#").startswith(("#", "data:")), tag
        for name in ("aria-labelledby", "form"):
            assert attributes.get(name) is None or attributes[name] in identifiers
    drawings = page.all("svg")
    assert len(drawings) == 6  # of nine measures, these records have neither frames nor times
    assert all(each["role"] == "img" and len(each["aria-label"]) > 60 for each in drawings)
    assert all(each.get("aria-label") or each.get("name") for each in page.all("input"))
    assert "https:" not in plain.read_text(encoding="utf-8")


def test_the_table_has_the_rows_of_the_catalogue(catalogue, plain):
    with plain.with_suffix(".csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    with h5py.File(catalogue) as file:
        views, subjects = file["views"][()], file["subjects"]["subject"].tolist()
        rejections, notes = file["rejections"][()], file["notes"][()]
    by_place = {(row["subject"], row["view"]): row for row in rows}
    assert len(by_place) == len(rows) == len(views) + len(rejections)
    for view in views:
        row = by_place[str(subjects.index(view["subject"]) + 1), view["view"].decode()]
        assert (row["state"], row["manufacturer"], float(row["field_strength_t"])) == ("positions", "SIEMENS", 1.5)
        assert float(row["line_angle_deg"]) == pytest.approx(view["line_angle_deg"], rel=1e-5)
        assert float(row["line_agreement"]) == pytest.approx(view["line_agreement"].min(), rel=1e-5)
    found = Counter(code for row in rows for code in row["reasons"].split())
    assert found == Counter(code.decode() for table in (rejections, notes) for code in table["code"])


def test_the_rows_of_the_page_are_those_of_the_table(plain):
    unpacked, about = arrays(plain), data(plain, "about")
    with plain.with_suffix(".csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert about["rows"] == len(rows)
    assert [str(number + 1) for number in unpacked["subject"]] == [row["subject"] for row in rows]
    assert [about["states"][state] for state in unpacked["state"]] == [row["state"] for row in rows]
    for measure in about["measures"]:
        values = [value / 10 ** measure["digits"] if value > -(2**31) else None for value in unpacked[measure["name"]].tolist()]
        written = [float(row[measure["name"]]) if row[measure["name"]] else None for row in rows]
        assert [value is None for value in values] == [value is None for value in written]
        half = 0.5 / 10 ** measure["digits"] + 1e-6
        assert all(value is None or abs(value - other) <= half for value, other in zip(values, written, strict=True))
    assert unpacked["reasons"].sum() == len(unpacked["reason"])


def test_sentences_cannot_end_a_script_or_become_elements(plain):
    text = plain.read_text(encoding="utf-8")
    assert "0.2 &lt; 0.3 &lt;/script&gt; &amp; low" in text
    assert "</script> & low" not in text


def test_the_outermost_rows_have_pictures_and_no_more_than_asked_for(catalogue, plain, tmp_path):
    pictures = data(plain, "pictures")
    assert len(pictures) == 3
    unpacked, about = arrays(plain), data(plain, "about")
    lowest = {int(np.flatnonzero((unpacked["view"] == view) & (unpacked["subject"] == 1))[0]) for view in (1, 2, 3)}
    assert lowest <= {int(row) for row in pictures}, "subject 2 agrees least on every view"
    for row, (address, width, height, alt) in pictures.items():
        image = Image.open(BytesIO(base64.b64decode(address.split(",", 1)[1])))
        assert (address[:23], image.size) == ("data:image/webp;base64,", (width, height))
        assert f"subject {unpacked['subject'][int(row)] + 1} " in alt
        assert about["views"][unpacked["view"][int(row)]] in alt
    for limit in (0, 2):
        fewer = write_quality_page(catalogue, tmp_path / "fewer.html", n_pictures=limit)
        assert fewer.n_pictures == len(data(fewer.page, "pictures")) == limit


def test_keys_are_written_only_when_they_are_asked_for(catalogue, plain, tmp_path):
    for path in (plain, plain.with_suffix(".csv")):
        assert "SYN-" not in path.read_text(encoding="utf-8")
    named = write_quality_page(catalogue, tmp_path / "qc.html", n_pictures=1, with_keys=True)
    assert data(named.page, "about")["keys"] == ["SYN-0001", "SYN-0002", "SYN-0003", "SYN-0004"]
    with named.table.open(newline="") as stream:
        assert {(row["subject"], row["key"]) for row in csv.DictReader(stream)} == {(str(n), f"SYN-000{n}") for n in range(1, 5)}


def test_a_catalogue_without_its_shards_has_a_page_without_pictures(catalogue, tmp_path):
    shutil.copy(catalogue, tmp_path / "out.h5")
    written = write_quality_page(tmp_path / "out.h5", tmp_path / "qc.html", n_pictures=3)
    assert (written.n_pictures, written.n_unread) == (0, 3)
    assert "3 contact sheets could not be drawn" in written.page.read_text(encoding="utf-8")


def test_a_catalogue_without_images_has_a_page(tmp_path):
    out = write_batches(tmp_path, [[rejected_subject(1)]])
    written = write_quality_page(out, tmp_path / "qc.html")
    text = written.page.read_text(encoding="utf-8")
    assert "1 subject, 0 images; 1 subject left out." in text
    assert "No row has a measure." in text
    Page(text)


def test_a_page_says_where_it_lists_fewer_rows_than_there_are(catalogue, plain, tmp_path, monkeypatch):
    monkeypatch.setattr("cmr_planes.quality.page_data.MAX_ROWS", 4)
    written = write_quality_page(catalogue, tmp_path / "qc.html", n_pictures=0)
    assert "The first 4 of 10 rows are listed and filtered here" in written.page.read_text(encoding="utf-8")
    assert written.table.read_bytes() == plain.with_suffix(".csv").read_bytes()
    listed, whole = arrays(written.page), arrays(plain)
    for name in ("subject", "view", "state", "line_agreement"):
        np.testing.assert_array_equal(listed[name], whole[name][:4])
    assert len(listed["reason"]) == listed["reasons"].sum() == whole["reasons"][:4].sum()


def test_the_page_cannot_take_the_place_of_its_table(catalogue, tmp_path):
    with pytest.raises(ValueError, match=r"call it qc\.html"):
        write_quality_page(catalogue, tmp_path / "qc.csv")
    with pytest.raises(ShardError, match="could not be written"):
        write_quality_page(catalogue, tmp_path / "nowhere" / "qc.html", n_pictures=0)
