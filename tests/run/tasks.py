"""Functions that worker processes run in tests of the pool: they live in a module, so that they can be pickled."""

from __future__ import annotations

import os
import resource
import time
from pathlib import Path

import numpy as np


def double(number: int) -> int:
    return 2 * number


def die(_: object = None) -> None:
    """What a native library does that has lost its way."""
    os.abort()


def die_once(flag: str) -> str:
    """Dies at the first call, answers at the second."""
    path = Path(flag)
    if path.exists():
        return "answered"
    path.touch()
    os.abort()


def hang(seconds: float) -> None:
    """Sleeps where no stop is asked for, as a native library does."""
    time.sleep(seconds)


def fail_once(flag: str) -> str:
    path = Path(flag)
    if path.exists():
        return "answered"
    path.touch()
    raise OSError("made for a test")


def slow(seconds: float, number: int) -> int:
    time.sleep(seconds)
    return number


def page_faults(size: int, times: int) -> int:
    """Pages that the system hands out while so many arrays of `size` bytes are made, one after the other."""
    np.ones(size, np.uint8)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(times):
        np.ones(size, np.uint8)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
