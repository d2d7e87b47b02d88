"""Whether an object store takes and gives back an object. Enters: its address. Leaves: what is wrong. Next: doctor."""

from __future__ import annotations

import uuid
from typing import Any

from wsipipe.errors import WsipipeError

QUICK = {"connect_timeout": 3, "read_timeout": 5, "retries": {"max_attempts": 1}}
"""For the doctor only: a run waits longer and tries again."""


def answers(address: str) -> str:
    """Write, read and remove a small object below ``s3://bucket/prefix``; what went wrong, or nothing."""
    try:
        from botocore.exceptions import BotoCoreError, ClientError  # deferred: only object storage needs them
        from upath import UPath
    except ImportError as error:
        return f"object storage needs the extra s3 ({error.name} is missing): pip install 'wsipipe[s3]'"
    name, data = f"wsipipe-doctor-{uuid.uuid4().hex}", b"may be removed"
    try:
        options: dict[str, Any] = {"config_kwargs": QUICK} if address.startswith("s3://") else {}
        probe = UPath(address, **options) / name
        probe.write_bytes(data)
        same = probe.read_bytes() == data
        probe.unlink()
    except (OSError, ValueError, BotoCoreError, ClientError, WsipipeError) as error:
        return f"{address} does not take an object ({type(error).__name__}: {' '.join(str(error).split())[:160]})"
    return "" if same else f"{address} does not give back what was written"
