"""How a report writes numbers, times and settings.

Enters: values. Leaves: text, which the template escapes. Next room: the templates.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote

NOTHING = "–"


def number(value: Any, digits: int = 3) -> str:
    """A number with so many significant digits and thin thousands; a dash for none."""
    if not isinstance(value, int | float) or not math.isfinite(value):
        return NOTHING
    if float(value).is_integer() or abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.{digits}g}"


def percent(value: Any) -> str:
    """A probability in percent; a dash for none."""
    if not isinstance(value, int | float) or not math.isfinite(value):
        return NOTHING
    return f"{100 * value:.1f} %" if value < 0.9995 else "100 %"


def duration(seconds: Any) -> str:
    """``0.4 s``, ``12 s``, ``3 min 5 s``, ``2 h 4 min``; a dash for none."""
    if not isinstance(seconds, int | float) or not math.isfinite(seconds):
        return NOTHING
    if seconds < 59.5:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def px(value: float, digits: int = 1) -> str:
    """A position or length in a drawing, without needless zeros."""
    told = f"{value:.{digits}f}"
    return told.rstrip("0").rstrip(".") if "." in told else told


def settings(config: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """``section.key`` and value of nested settings, in their order."""
    found = []
    for key, value in config.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping):
            found += settings(value, f"{name}.")
        else:
            found.append((name, "none" if value is None else str(value)))
    return found


def address(key: Any) -> str:
    """The part of an address after ``#`` that opens a slide's page."""
    return "/slide/" + quote(str(key), safe="", errors="replace")


FILTERS: dict[str, Callable[..., Any]] = {
    "number": number,
    "percent": percent,
    "px": px,
    "duration": duration,
    "settings": settings,
    "address": address,
}
