"""What several of the fault tests begin with."""

from collections.abc import Mapping

import pytest

from tests.helpers.forked import Job, make_jobs


@pytest.fixture(scope="module")
def jobs(tmp_path_factory) -> Mapping[str, Job]:
    return make_jobs(tmp_path_factory.mktemp("given"))
