"""A slide made of arrays in memory: for tests, and for what a program holds already.

Enters: NumPy arrays. Leaves: a `Slide`. Next room: whatever reads slides.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wsipipe.errors import SlideOpenError
from wsipipe.grid import Box
from wsipipe.slide.base import Level, Pixels, SlideInfo
from wsipipe.slide.colour import fill_of
from wsipipe.slide.identity import clean, joint_fingerprint
from wsipipe.slide.reader import Reader
from wsipipe.slide.scale import level_downsample
from wsipipe.units import Mpp


class MemorySlide(Reader):
    """A slide over arrays; see `wsipipe.slide.base.Slide`.

    Parameters
    ----------
    array : (H, W), (H, W, C) or (P, H, W, C) array
        Level 0: grey, one plane of C channels, or P planes. A copy is taken.
    mpp : float, optional
        Micrometres per pixel of level 0.
    levels : sequence of arrays, optional
        Reduced levels, finest first, of the same kind; without them there is level 0 only.
    name : str
        Start of the id.
    downsamples : sequence of float, optional
        Of `levels`; where absent, see `wsipipe.slide.scale.level_downsample`.

    Raises
    ------
    SlideOpenError
        Where an array has no pixels, other axes, or the levels do not belong together.
    """

    def __init__(
        self,
        array: NDArray[Any],
        *,
        mpp: float | None = None,
        levels: Sequence[NDArray[Any]] | None = None,
        name: str = "memory",
        downsamples: Sequence[float] | None = None,
    ) -> None:
        stored = [_planes(one, name) for one in (array, *(levels or ()))]
        if len({(one.shape[0], one.shape[3], one.dtype) for one in stored}) > 1:
            raise SlideOpenError("opening arrays: levels need the same planes, channels and dtype", subject=name)
        first = stored[0]
        shapes = [(one.shape[1], one.shape[2]) for one in stored]
        ratios = downsamples or [level_downsample(shapes[0], shape) for shape in shapes[1:]]
        info = SlideInfo(
            levels=tuple(Level(shape, ratio) for shape, ratio in zip(shapes, (1.0, *ratios), strict=True)),
            mpp=None if mpp is None else Mpp(mpp),
            channels=first.shape[3],
            dtype=first.dtype,
            fingerprint=_fingerprint(stored),
            reader=f"memory numpy {np.__version__}",
            planes=first.shape[0],
            fill=fill_of(first.shape[3], first.dtype),
        )
        super().__init__(info, slide_id=f"{clean(name)}-{info.fingerprint[:12]}", subject=name)
        self._stored = stored

    def _pixels(self, level: int, box: Box, plane: int) -> Pixels:
        rows, columns = box.slices()
        return self._stored[level][plane, rows, columns]

    def _release(self) -> None:
        self._stored = []


def _planes(array: NDArray[Any], name: str) -> NDArray[Any]:
    """A copy as ``(plane, y, x, channel)``."""
    array = np.asarray(array)
    if array.ndim not in (2, 3, 4) or 0 in array.shape:
        raise SlideOpenError(
            "opening an array: axes are (y, x), (y, x, channel) or (plane, y, x, channel) and none is empty, got shape "
            f"{array.shape}",
            subject=name,
        )
    if array.ndim == 2:
        array = array[..., None]
    return np.array(array if array.ndim == 4 else array[None], order="C")


def _fingerprint(stored: Sequence[NDArray[Any]]) -> str:
    return joint_fingerprint(f"{one.shape} {one.dtype} {hashlib.sha256(one.tobytes()).hexdigest()}" for one in stored)
