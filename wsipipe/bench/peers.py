"""Which peers are installed. Enters: a name. Leaves: yes or no; what is not there is left out of a table."""

from __future__ import annotations

from importlib.util import find_spec

MODULES = {
    "OpenSlide": "openslide",
    "TIAToolbox": "tiatoolbox",
    "tiffslide": "tiffslide",
    "staintools": "staintools",
    "MONAI": "monai",
    "LazySlide": "lazyslide",
}


def installed(name: str) -> bool:
    """Whether a peer can be imported."""
    return find_spec(MODULES[name]) is not None
