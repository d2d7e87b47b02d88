"""The C heap of processes that work on tiles: what one batch's arrays held is kept for the next batch's.

Enters: nothing. Leaves: settings of glibc's ``malloc``, for this process or for workers that are to be started. Next
rooms: `wsipipe.run.cluster`, and `wsipipe.cli.app` for every command.

As it comes, glibc gives large arrays back to the system when they are freed, and dask has its workers give back small
ones too (``MALLOC_TRIM_THRESHOLD_``); every batch is then paged in and zeroed anew (docs/speed.md says how much of the
tile network's time that takes). And every thread has a heap of its own, where what one phase freed does not serve the
next. Values that the environment has already are left as they are. Other C libraries ignore all this.
"""

from __future__ import annotations

import ctypes
import os
import sys

ENVIRONMENT = {"MALLOC_ARENA_MAX": 1, "MALLOC_MMAP_THRESHOLD_": 1 << 30, "MALLOC_TRIM_THRESHOLD_": 1 << 30}
"""Heaps; bytes from which an array is mapped on its own; free bytes at the heap's end from which it shrinks."""
_PARAMETERS = {"MALLOC_ARENA_MAX": -8, "MALLOC_MMAP_THRESHOLD_": -3, "MALLOC_TRIM_THRESHOLD_": -1}
"""Numbers of `mallopt` (malloc.h)."""


def keep() -> None:
    """Settle this process's heap; does nothing where the C library is not glibc. Call it before threads start."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is None:
        return
    for name, value in ENVIRONMENT.items():
        if name not in os.environ:
            mallopt(_PARAMETERS[name], value)
