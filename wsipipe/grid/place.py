"""Where the working frame lies on level 0: one scale, one rounding rule.

Enters: a slide's level-0 shape and mpp, and the mpp that the run asked for. Leaves: a `Frame`.
Next room: `wsipipe.grid.cover` covers it with tiles.
"""

from __future__ import annotations

from dataclasses import dataclass

from wsipipe.grid.box import Box
from wsipipe.units import Mpp, round_half_up

NATIVE_TOLERANCE = 0.02 + 1e-9
"""Within this share of the asked mpp a stored level is read as it is, and its true mpp recorded.

The last term lets 0.49 and 0.51 count as within 2 % of 0.5: as floats they are a hair outside."""


@dataclass(frozen=True, slots=True)
class Frame:
    """A plane of whole pixels at one resolution of one slide.

    Parameters
    ----------
    shape : (int, int)
        Height and width in pixels of this frame.
    downsample : float
        Level-0 pixels per pixel of this frame, along either axis (1.0 is level 0).
    mpp : float
        True micrometres per pixel of this frame.
    level : int or None
        The stored level that this frame is, pixel for pixel; None where it is resampled.
    """

    shape: tuple[int, int]
    downsample: float
    mpp: Mpp
    level: int | None = None

    @property
    def box(self) -> Box:
        """The whole plane."""
        return Box(0, 0, *self.shape)

    def to_l0(self, box: Box) -> Box:
        """The level-0 box of a box of this frame.

        Each *edge* is scaled and rounded half up, so boxes that share an edge here share it there:
        a partition stays a partition, though sizes may differ by one pixel.
        """
        edges = (box.y, box.x, box.y1, box.x1)
        return Box.from_edges(*(round_half_up(edge * self.downsample) for edge in edges))

    def coarser(self, factor: int) -> Frame:
        """The frame whose every pixel covers ``factor x factor`` of this one's (the last may overhang)."""
        height, width = (-(-side // factor) for side in self.shape)
        return Frame((height, width), self.downsample * factor, Mpp(self.mpp * factor))


def choose_frame(levels: tuple[Frame, ...], mpp: float) -> Frame:
    """The working frame for an asked mpp: a stored level within 2 %, otherwise resampled.

    Parameters
    ----------
    levels : tuple of Frame
        The stored levels, finest first; ``levels[0]`` is level 0.
    mpp : float
        Micrometres per pixel that the run asks for.

    Returns
    -------
    Frame
        The nearest stored level where it is within ``NATIVE_TOLERANCE``, else a frame of exactly
        `mpp` whose shape is the level-0 shape over the downsample, rounded half up, at least 1.
    """
    nearest = min(levels, key=lambda level: abs(level.mpp / mpp - 1.0))
    if abs(nearest.mpp / mpp - 1.0) <= NATIVE_TOLERANCE:
        return nearest
    downsample = mpp / levels[0].mpp
    height, width = (max(1, round_half_up(side / downsample)) for side in levels[0].shape)
    return Frame((height, width), downsample, Mpp(mpp))


def source_level(levels: tuple[Frame, ...], downsample: float) -> int:
    """Index of the coarsest stored level that is not coarser than `downsample` (0 if all are).

    The tolerance of one part in ten thousand keeps a level whose downsample is 4.0001 for 4.
    """
    fine = [i for i, level in enumerate(levels) if level.downsample <= downsample * 1.0001]
    return max(fine, key=lambda i: levels[i].downsample, default=0)
