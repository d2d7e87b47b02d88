"""All checks, in the order in which people read them. Enters: places. Leaves: findings. Next: `wsipipe.cli.doctor`."""

from __future__ import annotations

from wsipipe.doctor import installed, machine, places, reading
from wsipipe.doctor.finding import Finding


def examine(*, out: str = ".", scheduler: str = "") -> list[Finding]:
    """Look at this machine; takes a few seconds and leaves nothing behind.

    Parameters
    ----------
    out : str
        Where results would go: a folder (its nearest existing one is tried) or ``s3://bucket/prefix``.
    scheduler : str
        Address of a dask scheduler; empty asks for none.
    """
    found = [
        installed.python(),
        *installed.libraries(),
        reading.openslide(),
        *reading.codecs(),
        *installed.weights(),
        machine.processor(),
        machine.memory(),
        machine.gpu(),
        machine.handles(),
        machine.spawning(),
        *places.results(out),
        places.temporary(),
    ]
    return found + ([places.scheduler(scheduler)] if scheduler else [])
