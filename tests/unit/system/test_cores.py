"""The number of usable cores, on systems that can and cannot tell which those are."""

import os
import subprocess
import sys

import pytest

from cmr_planes.system.cores import n_cores


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="the system cannot keep a process to some cores")
def test_only_the_cores_that_the_process_may_use_count():
    one = min(os.sched_getaffinity(0))
    code = f"import os; os.sched_setaffinity(0, {{{one}}}); from cmr_planes.system.cores import n_cores; print(n_cores())"
    assert subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout == "1\n"


@pytest.mark.parametrize(("known", "expected"), [(12, 12), (None, 1)])
def test_a_system_that_cannot_tell_them_counts_all(monkeypatch, known, expected):
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    for name in ("cpu_count", "process_cpu_count"):
        monkeypatch.setattr(os, name, lambda: known, raising=False)
    assert n_cores() == expected
