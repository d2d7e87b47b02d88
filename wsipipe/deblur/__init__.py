"""Focus and deblurring: how sharp tiles are, what blur they have, and restoration of it, classical and learned."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from wsipipe.deblur.stage import focus, restore

if TYPE_CHECKING:
    from wsipipe.deblur.network import sharpen

__all__ = ["focus", "restore", "sharpen"]


def __getattr__(name: str) -> Any:
    """The learned restoration, found when it is asked for: it loads OpenCV and SciPy."""
    if name != "sharpen":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from wsipipe.deblur.network import sharpen

    return sharpen
