"""Whether a dask scheduler answers.

Enters: its address. Leaves: its workers. Next rooms: `wsipipe.doctor`, `wsipipe.run.cluster`.
"""

from __future__ import annotations

import asyncio
from typing import Any

from distributed.core import rpc
from distributed.security import Security

TIMEOUT_S = 3.0


def scheduler_workers(address: str, timeout_s: float = TIMEOUT_S) -> tuple[int, str]:
    """How many workers the scheduler at ``tcp://HOST:PORT`` has, and what is wrong where it does not answer."""
    try:
        told = asyncio.run(asyncio.wait_for(_identity(address, timeout_s), timeout_s))
    except (OSError, ValueError, TimeoutError) as error:
        return 0, f"{address} does not answer ({type(error).__name__})"
    if told.get("type") != "Scheduler":
        return 0, f"{address} is a {told.get('type')}, no scheduler"
    return len(told.get("workers", ())), ""


async def _identity(address: str, timeout_s: float) -> dict[str, Any]:
    keys = Security().get_connection_args("client")  # for tls://, from dask's configuration
    remote = rpc(address, timeout=timeout_s, connection_args=keys)
    try:
        told: dict[str, Any] = await remote.identity()
        return told
    finally:
        await remote.close_rpc()
