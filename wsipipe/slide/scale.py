"""Micrometres per pixel as files state them; never from a magnification.

Enters: resolutions and lengths with their units. Leaves: mpp of y and x, and the facts that carry it.
Next rooms: all readers.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

from wsipipe.errors import MppError
from wsipipe.grid import Frame
from wsipipe.slide.base import SlideInfo
from wsipipe.units import Mpp, round_half_up

SQUARE_TOLERANCE = 0.02
"""Sides of a pixel that differ by more than this share are no square pixels."""

_UM = {
    "m": 1e6, "meter": 1e6, "metre": 1e6, "cm": 1e4, "centimeter": 1e4, "centimetre": 1e4, "mm": 1e3, "millimeter": 1e3,
    "millimetre": 1e3,
    "µm": 1.0, "μm": 1.0, "um": 1.0, "\\u00b5m": 1.0, "micron": 1.0, "microns": 1.0, "micrometer": 1.0,
    "micrometre": 1.0, "nm": 1e-3, "nanometer": 1e-3, "nanometre": 1e-3, "in": 25400.0, "inch": 25400.0,
}  # fmt: skip
_RESOLUTION_UNITS = {2: "inch", 3: "cm", 4: "mm", 5: "um"}

MppYX = tuple[float | None, float | None]


def length_um(value: float | None, unit: str) -> float | None:
    """A length in micrometres; None for a unit that is no length (OME's ``pixel``) or a length that is none."""
    factor = _UM.get(unit.strip()) or _UM.get(unit.strip().lower())
    if value is None or factor is None or not math.isfinite(value) or value <= 0:
        return None
    return value * factor


def resolution_um(per_unit: float, unit: int) -> float | None:
    """Micrometres per pixel of a TIFF resolution.

    Parameters
    ----------
    per_unit : float
        Pixels per unit; 0 says nothing.
    unit : int
        TIFF's ResolutionUnit: 2 inch, 3 centimetre; 1 says nothing.
    """
    return length_um(1.0 / per_unit if per_unit > 0 else None, _RESOLUTION_UNITS.get(unit, ""))


def level_downsample(full: tuple[int, int], small: tuple[int, int]) -> float:
    """Level-0 pixels per pixel of a level.

    Parameters
    ----------
    full, small : (int, int)
        Shapes of level 0 and of the level.

    Returns
    -------
    float
        The mean of the two sides' ratios, as OpenSlide has it; but the whole number where the sides are those of one,
        cut or rounded: a level of 2221 x 1783 out of 4443 x 3567 is 2 and not 2.0005. (Measured on that slide: its
        pixels register at 2 everywhere, at 2.0005 they would be 0.95 px off at the far corner.)
    """
    ratio = (full[0] / small[0] + full[1] / small[1]) / 2
    whole = max(1, round_half_up(ratio))
    cut = all(abs(side / whole - stored) < 1 for side, stored in zip(full, small, strict=True))
    return float(whole) if cut else ratio


def number(text: object) -> float | None:
    """A number out of a file's text; None where there is none."""
    try:
        return float(str(text).strip().replace(",", "."))
    except ValueError:
        return None


@dataclass(frozen=True, slots=True)
class OblongInfo(SlideInfo):
    """Facts of a slide whose pixels are not square: `mpp` is the mean of the two, but there are no frames.

    ``mpp_yx`` is micrometres per pixel down and across. A given mpp (the slide list's) makes it an ordinary one.
    """

    mpp_yx: tuple[float, float] = (0.0, 0.0)

    def frames(self) -> tuple[Frame, ...]:
        """Raises MppError: a frame has one mpp."""
        down, across = self.mpp_yx
        raise MppError(
            f"the file says {down:g} micrometres per pixel down and {across:g} across, they may differ by "
            f"{SQUARE_TOLERANCE:.0%}: give the true one in the slide list's mpp column, or resample the slide"
        )

    def with_mpp(self, mpp: float) -> SlideInfo:
        """The same facts with square pixels of `mpp`."""
        kept = {item.name: getattr(self, item.name) for item in fields(SlideInfo)}
        return SlideInfo(**kept | {"mpp": Mpp(mpp)})


def with_mpp_yx(info: SlideInfo, mpp_yx: MppYX) -> SlideInfo:
    """The facts with what a file says of the two axes: their mean, or `OblongInfo` beyond 2 %.

    Where only one axis is stated the other is taken to be the same; where none is, mpp is None.
    """
    down, across = (mpp_yx[0] or mpp_yx[1]), (mpp_yx[1] or mpp_yx[0])
    if down is None or across is None:
        return info
    mean = (down + across) / 2
    if abs(down - across) <= SQUARE_TOLERANCE * mean:
        return info.with_mpp(mean)
    kept = {item.name: getattr(info, item.name) for item in fields(SlideInfo)}
    return OblongInfo(**kept | {"mpp": Mpp(mean), "mpp_yx": (down, across)})
