"""The document of the format names everything that is stored, and its examples run."""

import re
from pathlib import Path

import pytest

from cmr_planes.shards.schema import SCHEMA_VERSION, Attribute, Codec, Dataset, FileKind, RootAttribute
from cmr_planes.shards.tables import ANNOTATIONS_COLUMNS, ANNOTATIONS_TABLE, LABEL_FILES_TABLE, SHARDS_COLUMNS, SHARDS_TABLE, TABLES
from tests.helpers.catalogues import write_batches
from tests.helpers.records import make_subject

DOCUMENT = (Path(__file__).parents[3] / "docs" / "catalogue.md").read_text(encoding="utf-8")


def test_every_stored_name_is_in_the_document() -> None:
    names = [value for holder in (Attribute, Dataset, RootAttribute) for name, value in vars(holder).items() if name.isupper()]
    names += [column for columns in (*TABLES.values(), SHARDS_COLUMNS, ANNOTATIONS_COLUMNS) for column in columns]
    names += [kind.value for kind in (*Codec, *FileKind)] + [
        f"/{table}" for table in (*TABLES, SHARDS_TABLE, LABEL_FILES_TABLE, ANNOTATIONS_TABLE)
    ]
    assert [name for name in names if f"`{name}`" not in DOCUMENT] == []
    assert f"# The catalogue, version {SCHEMA_VERSION}\n" in DOCUMENT


@pytest.mark.parametrize("example", re.findall(r"```python\n(.*?)```", DOCUMENT, flags=re.DOTALL))
def test_the_examples_run(example: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_batches(tmp_path, [[make_subject(1, n_slices=5)]])
    monkeypatch.chdir(tmp_path)
    exec(compile(example, "catalogue.md", "exec"), {})  # noqa: S102  # our own document
