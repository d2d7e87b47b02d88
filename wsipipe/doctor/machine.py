"""What the machine offers: cores, memory, a GPU, file handles, new processes.

Enters: nothing. Leaves: findings. Next: `wsipipe.doctor.examine`.
"""

from __future__ import annotations

import multiprocessing
import os
import resource
from pathlib import Path

import psutil

from wsipipe.doctor.finding import FAIL, Finding, graded
from wsipipe.models.device import execution

LEAST_MEMORY, LEAST_HANDLES, GOOD_HANDLES = 4e9, 256, 4096
SPAWN_S = 20.0


def processor() -> Finding:
    """Cores that this process may use."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return graded("cores", f"{usable} of {os.cpu_count()}", "")


def memory() -> Finding:
    """Memory that is free for workers; a slide of 100,000 px a side takes one of them about 1 GB."""
    free = psutil.virtual_memory().available
    fix = "close other programs, or run with --workers 1"
    return graded("memory", f"{free / 1e9:.1f} GB free", fix, warn=free < LEAST_MEMORY)


def gpu() -> Finding:
    """A GPU that torch sees; its absence is no fault, one that the system has and torch does not see is."""
    device = execution(device="auto").device
    unseen = device == "cpu" and Path("/dev/nvidiactl").exists()
    said = (
        "torch sees a GPU" if device == "cuda" else "a GPU that torch does not see" if unseen else "none, CPU is used"
    )
    return graded("gpu", said, "install a torch with CUDA that fits the driver", warn=unseen)


def handles() -> Finding:
    """How many files one process may have open."""
    limit, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if limit == resource.RLIM_INFINITY:
        return graded("file handles", "no limit", "")
    fix = f"ulimit -n {GOOD_HANDLES if most == resource.RLIM_INFINITY else min(most, GOOD_HANDLES)} before the run"
    low, lowest = limit < GOOD_HANDLES, limit < LEAST_HANDLES
    return graded("file handles", f"{limit} a process (at most {most})", fix, fail=lowest, warn=low)


def spawning() -> Finding:
    """Workers are spawned, never forked: Zarr, OpenSlide and torch deadlock in forked children."""
    process = multiprocessing.get_context("spawn").Process(target=os.getpid)
    try:
        process.start()
        process.join(SPAWN_S)
    except OSError as error:
        return Finding("start of workers", FAIL, f"no process can be spawned ({error.strerror})", "raise ulimit -u")
    said = f"spawned, ended with {process.exitcode}; workers are never forked"
    slow = process.exitcode is None
    if slow:
        process.kill()
    fix = "free memory, or run with --workers 0 in one process"
    return graded("start of workers", said, fix, fail=process.exitcode not in (0, None), warn=slow)
