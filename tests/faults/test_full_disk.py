"""A disk that is full at any write: one sentence, nothing sealed is damaged, and the next run with room ends with the same bytes.

A limit on the size of files stands in for the disk: every write beyond it fails, of shards, catalogue, plan, checksums, checkpoints,
metrics and the lock alike. The limits are drawn evenly on a logarithmic scale up to the largest file that the job writes.
"""

import random
import shutil

import pytest

from tests.helpers.forked import Running, complete, content, finished


@pytest.mark.parametrize("name", ["extract", "annotate", "train"])
def test_a_full_disk_costs_one_sentence_and_no_sealed_file(jobs, name, tmp_path, request):
    job, n_limits = jobs[name], request.config.getoption("full_disks")
    whole, out = tmp_path / "whole", tmp_path / "out"
    job.begin(whole)
    given = content(whole)
    complete(job, whole)
    reference = content(whole)
    largest = max(len(data) for key, data in reference.items() if given.get(key) != data)
    draw = random.Random(name)
    for place in range(n_limits):
        limit = int(largest ** ((place + draw.random()) / n_limits))
        job.begin(out)
        code, said = Running(job, out, limit).wait()
        lines = [line for line in said.splitlines() if line.startswith("Error: ")]
        assert code == 1, (limit, said)
        assert "Traceback" not in said
        assert len(lines) == 1, said
        assert "file too large" in lines[0]
        assert "could not be written" in lines[0] or "free some space there" in lines[0]
        assert not list(out.rglob("*.part")), limit
        now = content(out)
        assert finished(now).items() <= finished(reference).items()
        complete(job, out)
        assert content(out) == reference
        shutil.rmtree(out)
