"""Where a run writes and whom it talks to: results, temporary files, a scheduler.

Enters: an ``--out``, an address. Leaves: findings. Next: `wsipipe.doctor.examine`.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from pathlib import Path

from wsipipe.doctor.finding import FAIL, Finding, graded
from wsipipe.run.reach import scheduler_workers
from wsipipe.store.reach import answers

BLOCK, BLOCKS = 1 << 20, 16
LEAST_FREE, GOOD_FREE, GOOD_TEMPORARY, GOOD_SPEED = 1e9, 20e9, 2e9, 20e6


def results(out: str) -> list[Finding]:
    """Space and speed of a disk, or whether an object store answers."""
    if "://" in out:
        wrong = answers(out)
        fix = "check the address, the credentials and AWS_ENDPOINT_URL"
        return [graded("object storage", wrong or f"{out} takes and gives back an object", fix, fail=bool(wrong))]
    folder = _existing(Path(out))
    return [_space("disk space", folder, LEAST_FREE, GOOD_FREE), _speed(folder)]


def temporary() -> Finding:
    """The folder of temporary files; workers of dask spill there."""
    return _space("temporary space", Path(tempfile.gettempdir()), LEAST_FREE / 10, GOOD_TEMPORARY)


def scheduler(address: str) -> Finding:
    """A dask scheduler that is to do the work."""
    workers, wrong = scheduler_workers(address)
    fix = f"start one: dask scheduler, and for each machine: dask worker {address}"
    said = wrong or f"{address} answers, {workers} workers"
    return graded("scheduler", said, fix, fail=bool(wrong), warn=workers == 0)


def _existing(path: Path) -> Path:
    """The folder itself, or the nearest above it that is there already."""
    path = path.absolute()
    return next(folder for folder in (path, *path.parents) if folder.is_dir())


def _space(name: str, folder: Path, least: float, good: float) -> Finding:
    free = shutil.disk_usage(folder).free
    fix = "free some space, or give another place"
    return graded(name, f"{free / 1e9:.1f} GB free in {folder}", fix, fail=free < least, warn=free < good)


def _speed(folder: Path) -> Finding:
    """Write, flush to the disk, and read some MiB."""
    block, size = os.urandom(BLOCK), BLOCK * BLOCKS
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            started = time.perf_counter()
            for _ in range(BLOCKS):
                file.write(block)
            file.flush()
            os.fsync(file.fileno())
            written = size / (time.perf_counter() - started)
            file.seek(0)
            whole = sum(len(part) for part in iter(lambda: file.read(BLOCK), b"")) == size
    except OSError as error:
        return Finding("disk speed", FAIL, f"{folder} cannot be written ({error.strerror})", "give another --out")
    said = f"{written / 1e6:.0f} MB/s written and flushed in {folder}" if whole else f"{folder} loses what is written"
    fix = "use a local disk for --out; every unit of work is flushed to it"
    return graded("disk speed", said, fix, fail=not whole, warn=written < GOOD_SPEED)
