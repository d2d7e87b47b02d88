"""A slide whose pixels say where they are: for tests of who reads what, where, from which frame."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from wsipipe.errors import SlideReadError
from wsipipe.grid import Box, Frame
from wsipipe.slide.base import Level, Pixels, SlideInfo
from wsipipe.units import Mpp


def pixel(y: int, x: int, frame: Frame) -> tuple[int, int, int]:
    """What `CoordinateSlide` shows at a pixel inside the plane of a frame."""
    return y % 251, x % 241, round(4 * frame.downsample) % 251


@dataclass
class CoordinateSlide:
    """Implements `Slide`; ``calls`` lists what was read."""

    shape: tuple[int, int] = (1000, 1400)
    mpp: float = 0.5
    downsamples: tuple[float, ...] = (1.0,)
    dtype: str = "uint8"
    channels: int = 3
    rounds_down: bool = False
    id: str = "coordinates-000000000000"
    calls: list[tuple[Box, Frame, int]] = field(default_factory=list)
    closed: bool = False

    @property
    def info(self) -> SlideInfo:
        up = 0 if self.rounds_down else 1 - 1e-9
        levels = tuple(Level((int(self.shape[0] / d + up), int(self.shape[1] / d + up)), d) for d in self.downsamples)
        return SlideInfo(levels, Mpp(self.mpp), self.channels, np.dtype(self.dtype), "0" * 12, "test 1", planes=3)

    def read(self, box: Box, *, frame: Frame | None = None, level: int | None = None, plane: int = 0) -> Pixels:
        if self.closed or frame is None:
            raise SlideReadError("the slide is closed, or no frame is given")
        self.calls.append((box, frame, plane))
        y, x = np.mgrid[box.y : box.y1, box.x : box.x1]
        found: np.ndarray[Any, Any] = np.stack([y % 251, x % 241, np.full_like(y, pixel(0, 0, frame)[2])], axis=-1)
        found[(y < 0) | (x < 0) | (y >= frame.shape[0]) | (x >= frame.shape[1])] = 255
        return found[..., : self.channels].astype(self.dtype)

    def damaged(self, box: Box, *, frame: Frame | None = None, level: int | None = None, plane: int = 0) -> float:
        return 0.0

    def read_into(
        self, out: Pixels, box: Box, *, frame: Frame | None = None, level: int | None = None, plane: int = 0
    ) -> None:
        out[...] = self.read(box, frame=frame, level=level, plane=plane)

    def close(self) -> None:
        self.closed = True
