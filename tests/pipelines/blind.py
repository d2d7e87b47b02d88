"""Loaded into a worker of a test: this worker sees no results directory, as one that lacks the shared disk."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from unittest import mock

from wsipipe.run import greeting


def dask_setup(_: Any) -> None:
    """What dask calls as a worker starts."""
    mock.patch.object(greeting, "place", return_value=Path("/nowhere")).start()
