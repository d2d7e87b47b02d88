"""How many workers a machine bears: its cores, its memory, its one GPU.

Enters: what the command asks for, and what one worker was seen to need. Leaves: a number of processes and why. A
limit of memory lowers this number and nothing else: the size of a batch is in the key of every layer.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import psutil
from dask.system import CPU_COUNT
from distributed.system import MEMORY_LIMIT

from wsipipe.errors import UsageError

WORKER_BYTES = 1_200_000_000
"""What a worker of one thread is taken to need before one was measured."""
THREAD_BYTES = 400_000_000
"""What a worker needs per thread beyond what one batch showed: an open slide's cache, blocks of pictures that are
drawn and published."""
SHARE = 0.8
"""Of the free memory that workers may have where nobody gave a limit."""
UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "KI": 2**10, "MI": 2**20, "GI": 2**30, "TI": 2**40}


@dataclass(frozen=True)
class Size:
    """A number of worker processes, the memory of each (0: no limit), and why, in a line."""

    workers: int
    memory: int = 0
    why: str = ""


def parse_bytes(text: str) -> int:
    """Read ``8GB``, ``8GiB``, ``500M``. Raises UsageError for anything else."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMGT]?I?)B?", text.strip().upper())
    if match is None or float(match[1]) == 0:
        raise UsageError(f"--max-memory is a size such as 8GB, got {text!r}")
    return int(float(match[1]) * UNITS[match[2]])


def by_cores(threads: int, *, gpu: bool) -> Size:
    """As many workers as cores and free memory allow; one where a GPU is used, whose owner is one process."""
    if gpu:
        return Size(1, why="one process owns the GPU")
    free = min(psutil.virtual_memory().available, MEMORY_LIMIT)
    need = WORKER_BYTES + (threads - 1) * THREAD_BYTES
    cores, memory = max(1, CPU_COUNT // threads), max(1, int(SHARE * free // need))
    return Size(min(cores, memory), why=f"{CPU_COUNT} cores, {free / 1e9:.1f} GB of memory free")


def by_memory(most: int, measured: int, threads: int, *, asked: int) -> Size:
    """As many workers as fit into `most` bytes beside this process, at most `asked`.

    Parameters
    ----------
    measured : int
        Bytes that a worker had at most, after a batch.

    Raises
    ------
    UsageError
        Where not even one fits.
    """
    need, own = measured + threads * THREAD_BYTES, psutil.Process().memory_info().rss
    fit = (most - own) // need
    if fit < 1:
        raise UsageError(
            f"--max-memory {most / 1e9:.2f} GB is too little: this process has {own / 1e9:.2f} GB, a worker of "
            f"{threads} threads needs {need / 1e9:.2f} GB; give {(own + need) / 1e9:.1f}GB or more, or fewer --threads"
        )
    workers = min(asked, fit)
    return Size(workers, (most - own) // workers, f"{need / 1e9:.2f} GB a worker, measured, of {most / 1e9:.2f} GB")


def most_used() -> int:
    """Bytes of memory that this process had at most; 0 where the system does not tell."""
    status = Path("/proc/self/status")
    if not status.is_file():
        return 0
    found = re.search(r"VmHWM:\s+(\d+) kB", status.read_text())
    return int(found[1]) * 1024 if found else 0
