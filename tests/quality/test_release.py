"""The version of the release stands in several files; they agree."""

import re
import tomllib
from pathlib import Path

from cmr_planes.extraction.configuration import SAME_RESULTS

ROOT = Path(__file__).parents[2]
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]


def found_in(name: str, pattern: str) -> str:
    found = re.search(pattern, (ROOT / name).read_text(encoding="utf-8"), re.MULTILINE)
    assert found is not None
    return found[1]


def test_the_files_of_a_release_name_one_version_and_one_day():
    newest = r"^## \[(\d+\.\d+\.\d+)\] - "
    assert found_in("CHANGELOG.md", newest) == found_in("CITATION.cff", r"^version: (.+)$") == VERSION
    assert found_in("CHANGELOG.md", r"^## \[\d+\.\d+\.\d+\] - (.+)$") == found_in("CITATION.cff", r"^date-released: (.+)$")


def test_a_release_says_of_which_others_it_resumes_the_outputs():
    assert SAME_RESULTS[-1] == VERSION
