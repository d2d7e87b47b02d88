"""Pixels and micrometres as different types, and the few conversions between them.

The types cost nothing at run time; ``mypy --strict`` keeps a length in micrometres out of a place
that wants pixels. ``Mpp`` is always real micrometres per pixel, never a magnification.
"""

from __future__ import annotations

import math
from typing import NewType

Px = NewType("Px", int)
"""Whole pixels of the frame that the name's prefix says (none: the working frame)."""
Um = NewType("Um", float)
"""Micrometres."""
Mpp = NewType("Mpp", float)
"""Micrometres per pixel."""

SANE_MPP = (Mpp(0.05), Mpp(20.0))
"""An mpp outside this closed range is a wrong tag, not a scanner."""


def is_sane(mpp: float | None) -> bool:
    """Whether `mpp` is a number in ``SANE_MPP`` (None and NaN are not)."""
    return mpp is not None and math.isfinite(mpp) and SANE_MPP[0] <= mpp <= SANE_MPP[1]


def to_px(length: Um, mpp: Mpp) -> Px:
    """Micrometres to the nearest whole pixel (half rounds up)."""
    return Px(round_half_up(length / mpp))


def to_um(length: float, mpp: Mpp) -> Um:
    """Pixels (whole or not) to micrometres."""
    return Um(length * mpp)


def round_half_up(value: float) -> int:
    """The one rounding rule of the package: half goes towards plus infinity.

    Python's own ``round`` goes to the even neighbour, so two boxes that share an edge at
    ``n + 0.5`` could disagree about it once their coordinates are scaled. The half is not added: the
    sum is itself rounded, and 0.49999999999999994 would become 1.
    """
    below = math.floor(value)
    return below + (value - below >= 0.5)
