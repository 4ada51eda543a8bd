"""Extract a cohort on a Slurm cluster: `python slurm_extract.py SOURCE OUT.h5 [--jobs 8] [extract's own options]`.

Run it where it may stay for the whole job, on a login node in tmux or as a small Slurm job of its own. It asks Slurm for workers
and hands them to `cmr-planes extract`. Needs, where all nodes see it: pip install 'cmr-planes[cluster]' dask-jobqueue.
SOURCE and OUT.h5 must lie on a file system that all nodes see under the same path.
"""

import argparse
import subprocess
import sys

from dask_jobqueue import SLURMCluster
from distributed import Client


def main() -> int:
    """Start workers, run the command on them, and give the nodes back."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--jobs", type=int, default=8, help="Slurm jobs of 16 workers each")
    parser.add_argument("--partition", help="Slurm partition; the cluster's default")
    parser.add_argument("--account", help="Slurm account; yours by default")
    arguments, extract = parser.parse_known_args()

    cluster = SLURMCluster(
        queue=arguments.partition,
        account=arguments.account,
        cores=16,  # of one job ...
        processes=16,  # ... in as many workers of one thread each: a worker makes one shard at a time
        memory="32GB",  # of one job: 2 GB a worker is plenty
        walltime="12:00:00",
        worker_extra_args=["--lifetime", "11h", "--lifetime-stagger", "20m"],  # leave before Slurm ends the job
        local_directory="/tmp",  # noqa: S108  # Dask's own small files; shards go to OUT.shards
        log_directory="slurm-logs",
    )
    with cluster, Client(cluster) as client:
        cluster.adapt(minimum_jobs=1, maximum_jobs=arguments.jobs)  # a job that ends is replaced as long as there is work
        client.wait_for_workers(1)  # however long the queue is
        command = ["cmr-planes", "extract", *extract, "--scheduler", cluster.scheduler_address]
        return subprocess.run(command, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
