"""Made pictures with exact truth: slides of gastric mucosa, training tiles, a very large sparse slide, fundus pictures.

Enters: seeds. Leaves: files and arrays whose truth is known to the pixel. Next room: `wsipipe.slide` reads the
files, `wsipipe.train` the tiles. Importing this costs nothing; names are found when they are asked for.
"""

from __future__ import annotations

import importlib
from typing import Any

_LAZY = {
    "tiles": "gastric_tile",
    "tile_stream": "gastric_tile",
    "write_gastric": "gastric_slide",
    "Alteration": "gastric_alter",
    "cohort": "gastric_slide",
    "Truth": "gastric_record",
    "gastric_truth": "gastric_record",
    "contact_sheet": "gastric_contact",
    "REGIMES": "gastric_regime",
    "CATEGORIES": "gastric_style",
    "VERSION": "gastric_version",
    "GENERATOR": "gastric_version",
    "write_large": "large",
    "make_fundus": "fundus",
    "write_fundus": "fundus",
    "Fundus": "fundus",
}

__all__ = [
    "CATEGORIES", "GENERATOR", "REGIMES", "VERSION", "Alteration", "Fundus", "Truth", "cohort", "contact_sheet",
    "gastric_truth", "make_fundus", "tile_stream", "tiles", "write_fundus", "write_gastric", "write_large",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_LAZY[name]}"), name)
