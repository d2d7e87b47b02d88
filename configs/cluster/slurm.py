"""Start a dask cluster of SLURM jobs and keep it until Ctrl-C; `wsipipe run --scheduler FILE` uses it meanwhile.

Needs `pip install dask-jobqueue` and configs/cluster/jobqueue.yaml in ~/.config/dask/. See docs/clusters.md.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
from pathlib import Path

from dask_jobqueue import SLURMCluster  # not a dependency of wsipipe


def main() -> None:
    """Parse the command line, start the jobs, wait."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=4, help="SLURM jobs, each with the workers that the YAML names")
    parser.add_argument("--scheduler-file", type=Path, default=Path("scheduler.json"))
    asked = parser.parse_args()
    with SLURMCluster() as cluster:
        cluster.scale(jobs=asked.jobs)
        asked.scheduler_file.write_text(json.dumps({"address": cluster.scheduler_address}))
        sys.stdout.write(f"wsipipe run gastric SLIDES --out RESULTS --scheduler {asked.scheduler_file}\n")
        sys.stdout.flush()
        signal.sigwait({signal.SIGINT, signal.SIGTERM})


if __name__ == "__main__":
    main()
