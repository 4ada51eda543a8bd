"""A short run of every target: the same inputs each time, and none does what none may do."""

import pytest

from tests.fuzz.campaign import run
from tests.fuzz.targets import TARGETS

N_INPUTS = 40
"""Of each target, the whole seeds among them. ``make fuzz`` runs many more."""


@pytest.mark.parametrize("name", list(TARGETS))
def test_mutated_inputs_are_read_or_refused(name: str) -> None:
    campaign = run(name, 0, range(N_INPUTS), is_isolated=TARGETS[name].is_isolated)
    assert campaign.findings == []
    assert campaign.n_inputs == N_INPUTS
    assert len(campaign.words) > 1
