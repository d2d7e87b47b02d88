"""Loaded into a worker of a test: its reader of slides named ``aborts`` ends the process, as broken libraries do."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any
from unittest import mock

from wsipipe.slide import choose


def dask_setup(_: Any) -> None:
    """What dask calls as a worker starts."""
    real = choose.open_local

    def local(path: Path, scene: int | None = None) -> Any:
        reader = real(path, scene)
        if path.stem == "aborts":
            reader.read_into = lambda *_, **__: os.abort()  # type: ignore[method-assign]
        return reader

    mock.patch.object(choose, "open_local", local).start()
