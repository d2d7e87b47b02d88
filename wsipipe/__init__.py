"""wsipipe: a directory of slides in; checked, queryable, viewable results out."""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.1.0"

_LAZY = {"open_slide": "wsipipe.slide", "open_results": "wsipipe.query", "Box": "wsipipe.grid", "Grid": "wsipipe.grid"}
_MODULES = {"plot": "wsipipe.report.plot"}

__all__ = ["Box", "Grid", "__version__", "open_results", "open_slide", "plot"]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return importlib.import_module(_MODULES[name])
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_LAZY[name]), name)
