"""What a worker must show before it gets units: the same libraries, the same results directory, room for a batch.

Enters: a job, and what the runner has. Leaves: a `Hello`, or the reason why the worker is not used. Next room:
`wsipipe.run.pool`.

The pipeline is built here, networks are loaded: a unit's time limit counts its own work only.
"""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass, field

from wsipipe import __version__
from wsipipe.errors import ClusterError
from wsipipe.run import capacity
from wsipipe.run.forecast import tile_seconds
from wsipipe.run.job import Job
from wsipipe.run.plan import library_versions
from wsipipe.run.pool import Hello
from wsipipe.store.layout import RUN_FILE
from wsipipe.store.place import place


def versions() -> dict[str, str]:
    """Versions that must be the same in the runner and in every worker: they are in the keys of layers."""
    return {"wsipipe": __version__, **library_versions()}


@dataclass(frozen=True)
class Asked:
    """What a worker is asked.

    Parameters
    ----------
    job : Job
    versions : dict
        Of the runner; empty asks for nothing.
    shared : bool
        Whether the worker may be on another machine: then it must see the runner's results.
    gpu : bool
        Whether the run uses a GPU: each belongs to one process.
    measure : bool
        Run one batch, so that the memory that the worker needs can be told.
    """

    job: Job
    versions: dict[str, str] = field(default_factory=dict)
    shared: bool = False
    gpu: bool = False
    measure: bool = False


def greet(asked: Asked) -> Hello:
    """Build the pipeline and answer.

    Raises
    ------
    ClusterError
        Where the worker has other versions, or does not see the results directory.
    """
    mine = versions() if asked.versions else {}
    if other := [f"{name} {mine[name]}, not {text}" for name, text in asked.versions.items() if mine[name] != text]:
        raise ClusterError(f"it has {', '.join(other)}: install the runner's versions there")
    if asked.shared and not (place(asked.job.results) / RUN_FILE).is_file():
        raise ClusterError("it does not see the results directory: give an --out that all machines share")
    asked.job.recipe.build()
    if asked.measure:
        tile_seconds(asked.job, rounds=1)
    owns = f"{socket.gethostname()}:{os.environ.get('CUDA_VISIBLE_DEVICES', '')}" if asked.gpu else ""
    return Hello(os.getpid(), owns, capacity.most_used())
