"""Whether a dask scheduler answers. Enters: its address. Leaves: its workers. Next room: `wsipipe.doctor`."""

from __future__ import annotations

import asyncio
from typing import Any

from distributed.core import rpc

TIMEOUT_S = 3.0


def scheduler_workers(address: str) -> tuple[int, str]:
    """How many workers the scheduler at ``tcp://HOST:PORT`` has, and what is wrong where it does not answer."""
    try:
        told = asyncio.run(asyncio.wait_for(_identity(address), TIMEOUT_S))
    except (OSError, ValueError, TimeoutError) as error:
        return 0, f"{address} does not answer ({type(error).__name__})"
    if told.get("type") != "Scheduler":
        return 0, f"{address} is a {told.get('type')}, no scheduler"
    return len(told.get("workers", ())), ""


async def _identity(address: str) -> dict[str, Any]:
    remote = rpc(address, timeout=TIMEOUT_S)
    try:
        told: dict[str, Any] = await remote.identity()
        return told
    finally:
        await remote.close_rpc()
