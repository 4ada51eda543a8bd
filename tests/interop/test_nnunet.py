"""What nnU-Net itself says of exported data; needs ``make interop``."""

import importlib.metadata
from pathlib import Path

from tests.helpers.interop import NEEDS_NNUNET

pytestmark = NEEDS_NNUNET

ROOT = Path(__file__).parents[2]


def test_the_pinned_release_of_nnunet_is_installed():
    pinned = dict(line.split("==") for line in (ROOT / "tests" / "interop" / "requirements.txt").read_text().split())
    assert {name: importlib.metadata.version(name).partition("+")[0] for name in pinned} == pinned
