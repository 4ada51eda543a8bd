"""SIGKILL at random moments: what is sealed stays as it is, and the run that continues ends with the bytes of an undisturbed one.

A server that has all modules loaded forks the runs, so that the moments fall into the work and not into the imports. Each job is
killed ``--kills`` times or once more, at moments that are drawn evenly over what an undisturbed run took; so is the run that continues.
"""

import random
import shutil
from collections.abc import Mapping

import pytest

from tests.helpers.forked import Running, complete, content, finished


@pytest.mark.parametrize("name", ["extract", "annotate", "train"])
def test_a_run_killed_at_any_moment_goes_on_to_the_same_bytes(jobs, name, tmp_path, request):
    job, n_wanted = jobs[name], request.config.getoption("kills")
    whole, out = tmp_path / "whole", tmp_path / "out"
    for _ in range(2):  # the server of forks starts with the first
        shutil.rmtree(whole, ignore_errors=True)
        job.begin(whole)
        seconds = complete(job, whole)
    reference = content(whole)
    draw = random.Random(name)
    n_killed, n_tries = 0, 0
    while n_killed < n_wanted:
        n_tries += 1
        assert n_tries <= 4 * n_wanted + 8, "the runs end before they can be killed"
        job.begin(out)
        before: Mapping[str, bytes] = {}
        for _ in range(2):  # the run that continues may be killed too
            n_killed += Running(job, out).kill(draw.uniform(0, seconds))
            now = finished(content(out))
            assert now.items() <= finished(reference).items()
            assert {each for each in before if not each.endswith(".sha256")} <= set(now)
            before = now
        complete(job, out)
        assert content(out) == reference
        assert not list(tmp_path.rglob("*.lock"))
        shutil.rmtree(out)
    print(f"{name}: {n_killed} runs of {seconds:.2f} s killed, {n_tries} times gone on to the end")  # noqa: T201  # shown by -rP
