"""UK Biobank's audit searches for participants' numbers in repositories; there must be nothing that it takes for one.

Its rule: seven digits from 1,000,000 to 6,500,000, not preceded by a digit, a point or ``rs``, not followed by a digit, in the
contents or the name of a file.
"""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SEVEN_DIGITS = re.compile(r"(?<![\d.])(?<!rs)\d{7}(?!\d)")


def suspicious(text: str) -> list[str]:
    return [number for number in SEVEN_DIGITS.findall(text) if 1_000_000 <= int(number) <= 6_500_000]


def tracked_files() -> list[Path]:
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if listing.returncode:
        pytest.skip("not a git checkout")
    return [ROOT / name for name in listing.stdout.split("\0") if name and (ROOT / name).is_file()]


def test_no_file_holds_a_number_that_could_be_a_participant():
    files = tracked_files()
    assert len(files) > 20
    found = {str(path.relative_to(ROOT)): numbers for path in files if (numbers := suspicious(path.read_text(errors="replace")))}
    assert found == {}


def test_no_file_name_holds_a_number_that_could_be_a_participant():
    assert [path for path in tracked_files() if suspicious(str(path.relative_to(ROOT)))] == []


@pytest.mark.parametrize("digits", [1, 64], ids=["lower bound", "inside"])
def test_the_rule_finds_what_it_should(digits):
    number = str(digits).ljust(7, "0")
    assert suspicious(f"EID {number}.") == [number]
    assert suspicious(f"2.25.{number}") == []
    assert suspicious(f"rs{number}") == []
    assert suspicious(f"{number}0") == []
