"""Pools of processes that end with their parent, and at once."""

import gc
import signal
import subprocess
import sys
import threading

import pytest

from cmr_planes.system.pool import starting_workers, worker_pool

SCRIPT = """
import sys, time
from cmr_planes.system.pool import starting_workers, worker_pool

try:
    with worker_pool(1) as pool:
        with starting_workers():
            futures = [pool.submit(bytes, 1 << 25) for _ in range(40)]
        futures[0].result()
        time.sleep(float(sys.argv[1]))
        raise ValueError
except ValueError:
    print("ended")
"""
"""Ends a pool whose worker sends one large result after another."""


@pytest.mark.parametrize("seconds", [0.05, 0.1, 0.15])
def test_a_pool_that_is_stopped_does_not_wait_for_half_a_result(seconds):
    done = subprocess.run([sys.executable, "-c", SCRIPT, str(seconds)], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (0, "ended\n")


def test_a_worker_leaves_ctrl_c_to_its_parent_whichever_thread_starts_it():
    found = []

    def start() -> None:
        with worker_pool(1) as pool, starting_workers():
            found.append(pool.submit(signal.getsignal, signal.SIGINT).result())

    thread = threading.Thread(target=start)
    thread.start()
    thread.join()
    assert found == [signal.SIG_IGN]


def test_a_worker_collects_cycles_among_what_its_work_makes_and_not_among_its_modules():
    with worker_pool(1) as pool, starting_workers():
        is_on, n_left_alone = (pool.submit(function) for function in (gc.isenabled, gc.get_freeze_count))
    assert is_on.result()
    assert n_left_alone.result() > 1000
