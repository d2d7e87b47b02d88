"""A limit of memory that holds for all of the process, for the time of a question.

Enters: bytes. Leaves: nothing; what would take more fails to. Next room: `wsipipe.cli.query`.

DuckDB's own limit counts tables, sorts and joins, but not what one function makes of one value: repeat('x', 4000000000)
took 4 GB and half a minute that no interrupt reached. So the command, which has its process for itself, asks the
operating system too. A library call does not: other threads of the caller's would be hit.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

BEYOND = 3 << 30
"""What DuckDB may take, and half of it again for results and the buffers that it does not count."""
STATM = Path("/proc/self/statm")


@contextmanager
def bounded_memory(beyond: int = BEYOND) -> Iterator[None]:
    """Allow so many bytes of data more than are taken now; where that cannot be said (not Linux), all."""
    if not STATM.exists():
        yield
        return
    import resource  # deferred: not everywhere

    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    most = int(STATM.read_text().split()[5]) * os.sysconf("SC_PAGE_SIZE") + beyond
    given = [limit for limit in (soft, hard) if limit != resource.RLIM_INFINITY]
    resource.setrlimit(resource.RLIMIT_DATA, (min([most, *given]), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))
