"""What every source of pixels offers: the `Slide` protocol and the facts it states about itself.

Enters: nothing; this module reads no file. Leaves: the protocol that `wsipipe.slide`'s readers
implement and that every other room reads pixels through. Next room: `wsipipe.slide.whole` and its neighbours.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from wsipipe.errors import MppError
from wsipipe.grid import Box, Frame
from wsipipe.units import SANE_MPP, Mpp, is_sane

Pixels = NDArray[Any]
"""``(height, width, channel)`` of the slide's dtype."""


@dataclass(frozen=True, slots=True)
class Level:
    """One stored resolution: its shape in its own pixels, and level-0 pixels per pixel of it."""

    shape: tuple[int, int]
    downsample: float


@dataclass(frozen=True, slots=True)
class SlideInfo:
    """What is known of a slide without reading its pixels.

    Parameters
    ----------
    levels : tuple of Level
        Finest first; ``levels[0].downsample`` is 1.
    mpp : float or None
        Micrometres per level-0 pixel as the file (or the mpp policy) says; None where it says nothing.
    channels : int
        3 for RGB, 1 for grey.
    dtype : numpy.dtype
        Of what `read` returns.
    planes : int
        Fields, frames or focal planes of one shape; 1 for an ordinary slide.
    bounds : Box or None
        The scanned part of level 0 where the format states it (MRXS, some NDPI).
    fingerprint : str
        Content hash: OpenSlide's quickhash-1, else of size, first and last MiB and TIFF directories.
    reader : str
        Name and version of the reader and its decoder; part of the execution fingerprint.
    icc : bytes or None
        The embedded colour profile.
    objective : float or None
        Nominal magnification, for people only: never used to derive mpp.
    fill : int
        Value of pixels outside the plane: 255 for bright-field pictures, else 0.
    """

    levels: tuple[Level, ...]
    mpp: Mpp | None
    channels: int
    dtype: np.dtype[Any]
    fingerprint: str
    reader: str
    planes: int = 1
    bounds: Box | None = None
    icc: bytes | None = field(default=None, repr=False)
    objective: float | None = None
    vendor: str = ""
    associated: tuple[str, ...] = ()
    properties: Mapping[str, str] = field(default_factory=dict, repr=False)
    fill: int = 255

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width of level 0 in pixels."""
        return self.levels[0].shape

    def frames(self) -> tuple[Frame, ...]:
        """The stored levels as frames, finest first.

        Raises
        ------
        MppError
            Where mpp is missing or outside 0.05 to 20.
        """
        mpp = self.mpp
        if mpp is None or not is_sane(mpp):
            found = "stores no micrometres per pixel" if mpp is None else f"says {mpp:g} micrometres per pixel"
            low, high = SANE_MPP
            raise MppError(
                f"the file {found}, a value from {low:g} to {high:g} is needed: give the true one in the "
                f"slide list's mpp column, or --mpp-policy assume:0.5 (replaces it) or skip"
            )
        return tuple(
            Frame(level.shape, level.downsample, Mpp(mpp * level.downsample), index)
            for index, level in enumerate(self.levels)
        )

    def with_mpp(self, mpp: float) -> SlideInfo:
        """The same facts with level 0 at `mpp` micrometres per pixel."""
        return replace(self, mpp=Mpp(mpp))


@runtime_checkable
class Slide(Protocol):
    """A source of pixels: whole slide, picture, mosaic, folder of fields, frame sequence, array.

    Implementations are safe to read from several threads and hold no pixels that a caller could
    write to. They are never pickled: a worker opens its own from the path.
    """

    @property
    def id(self) -> str:
        """The name's stem and the first twelve hex digits of the fingerprint."""
        ...

    @property
    def info(self) -> SlideInfo:
        """What is known without reading pixels."""
        ...

    def read(self, box: Box, *, frame: Frame | None = None, level: int | None = None, plane: int = 0) -> Pixels:
        """Pixels of `box`.

        Parameters
        ----------
        box : Box
            In pixels of `frame` or of the stored `level`; may reach outside the plane.
        frame : Frame, optional
            A frame of this slide; its level is read as it is, else resampled once from the next finer level
            with an area filter, in such a way that a pixel's value does not depend on the box it is read in.
        level : int, optional
            A stored level, where no frame is given. Exactly one of the two.
        plane : int
            ``0 <= plane < info.planes``.

        Returns
        -------
        (height, width, channel) array of ``info.dtype``
            A new array. Pixels outside the plane are ``info.fill``; transparent ones are laid on it.

        Raises
        ------
        SlideReadError
            Where the pixels cannot be decoded.
        """
        ...

    def read_into(
        self, out: Pixels, box: Box, *, frame: Frame | None = None, level: int | None = None, plane: int = 0
    ) -> None:
        """Write what `read` gives to `out`, ``(height, width, channel)`` of ``info.dtype``: a tile of a batch."""
        ...

    def damaged(self, box: Box, *, frame: Frame | None = None, level: int | None = None, plane: int = 0) -> float:
        """Share of a box, 0 to 1, that could not be decoded and is white; asked after it was read.

        0 unless the slide was opened with ``damaged="mask"``: without it, what cannot be decoded raises.
        """
        ...

    def close(self) -> None:
        """Give back files and memory; reading afterwards raises."""
        ...
