"""Hypothesis profiles, and what is not collected or skipped on a system or an installation that cannot run it.

The profile ``dev`` is quick; ``ci`` tries more examples and always the same ones (environment variable CI).
"""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from tests.helpers.missing import files_that_need_more

TESTS = Path(__file__).parent
LACKING = files_that_need_more(TESTS)
collect_ignore = [str(path) for path in LACKING]

settings.register_profile("dev", max_examples=50, deadline=None, print_blob=True)
settings.register_profile("ci", max_examples=100, derandomize=True, deadline=None, print_blob=True)
settings.load_profile("ci" if os.environ.get("CI", "").lower() in {"1", "true"} else "dev")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let the fault tests be longer than they are every day."""
    parser.addoption("--kills", type=int, default=8, help="how often tests/faults/test_kills.py kills each job")
    parser.addoption("--full-disks", type=int, default=6, help="at how many sizes tests/faults/test_full_disk.py fills the disk")


def pytest_report_header() -> list[str]:
    """Say what is not collected, and why."""
    lacking = sorted({name for names in LACKING.values() for name in names})
    return [f"not collected: {len(LACKING)} files of tests, for lack of {', '.join(lacking)}"] if LACKING else []


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what asks for modes of files, links, signals or pipes of POSIX where there are none."""
    if os.name != "posix":
        for item in items:
            if item.get_closest_marker("posix") is not None:
                item.add_marker(pytest.mark.skip(reason="needs a POSIX system"))


@pytest.fixture(scope="session", autouse=True)
def nothing_waits_for_the_disk() -> Iterator[None]:
    """Spare this process the waits for the disk, which tell only after a power cut; a descriptor that is not open still fails.

    Commands in processes of their own wait, and so does Windows, which refuses descriptors that are open for reading.
    """
    with pytest.MonkeyPatch.context() as patch:
        if os.name == "posix":
            patch.setattr(os, "fsync", os.fstat)
        yield
