"""Hypothesis profiles: ``dev`` is quick, ``ci`` tries more examples and always the same ones (environment variable CI)."""

import os

import pytest
from hypothesis import settings

settings.register_profile("dev", max_examples=50, deadline=None, print_blob=True)
settings.register_profile("ci", max_examples=100, derandomize=True, deadline=None, print_blob=True)
settings.load_profile("ci" if os.environ.get("CI", "").lower() in {"1", "true"} else "dev")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let the fault tests be longer than they are every day."""
    parser.addoption("--kills", type=int, default=8, help="how often tests/faults/test_kills.py kills each job")
    parser.addoption("--full-disks", type=int, default=6, help="at how many sizes tests/faults/test_full_disk.py fills the disk")
