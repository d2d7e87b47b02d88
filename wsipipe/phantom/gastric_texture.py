"""Periodic noise textures that are made once per resolution and laid over every picture.

Enters: micrometres per pixel. Leaves: `Textures`, float32 squares of `PERIOD` pixels that repeat without a seam.
Next room: `wsipipe.phantom.gastric_render`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

PERIOD = 1024
"""Side of every texture in pixels; pictures are composed in squares of this side."""
WAYS = 8
"""Directions that fibres are made in."""
Plane = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Textures:
    """Noise of mean 0 and deviation 1 (`grain`, `speckle`, `cloud`), and shares from 0 to 1.

    `mesh` gaps of loose tissue, `fibre` collagen, `gap` clefts between its bundles.
    """

    grain: Plane
    speckle: Plane
    cloud: Plane
    mesh: Plane
    fibre: Plane
    gap: Plane

    def planes(self) -> tuple[Plane, ...]:
        """All of them, in the order of the fields."""
        return self.grain, self.speckle, self.cloud, self.mesh, self.fibre, self.gap


def textures(mpp: float, *, way: float = 0.0) -> Textures:
    """Textures at about that resolution (kept for resolutions 6 % apart), fibres along the angle `way`.

    `way` is in radians (0 along x, atan2(dy, dx)), rounded to an eighth of half a turn.
    """
    return _textures(float(np.exp(round(np.log(mpp) / 0.06) * 0.06)), round(way / np.pi * WAYS) % WAYS)


@lru_cache(maxsize=24)
def _textures(mpp: float, way: int) -> Textures:
    """About 0.4 s."""
    fibre, gap = _fibres(np.random.default_rng([4711, way]), 1 / mpp, np.pi * way / WAYS)
    return Textures(*_grounds(mpp), fibre, gap)


@lru_cache(maxsize=4)
def _grounds(mpp: float) -> tuple[Plane, Plane, Plane, Plane]:
    rng = np.random.default_rng(4711)
    grain, speckle, cloud = (_noise(rng, (sigma_um / mpp,) * 2) for sigma_um in (0.45, 1.3, 14.0))
    loose = _noise(rng, (1.9 / mpp, 1.9 / mpp)) + 0.6 * _noise(rng, (7 / mpp, 7 / mpp))
    mesh = np.clip((loose - 0.25) * 0.75, 0, 1).astype(np.float32)
    return grain, speckle, cloud, mesh


def _noise(rng: np.random.Generator, sigma: tuple[float, float], way: float = 0.0) -> Plane:
    """Periodic Gaussian noise of mean 0 and deviation 1, smoothed by `sigma` pixels along and across `way`."""
    white = np.fft.rfft2(rng.standard_normal((PERIOD, PERIOD)))
    fy, fx = np.fft.fftfreq(PERIOD)[:, None], np.fft.rfftfreq(PERIOD)[None]
    along, across = fx * np.cos(way) + fy * np.sin(way), fy * np.cos(way) - fx * np.sin(way)
    pass_band = np.exp(-2 * np.pi**2 * ((along * sigma[0]) ** 2 + (across * sigma[1]) ** 2))
    smooth = np.fft.irfft2(white * pass_band, s=(PERIOD,) * 2)
    return np.asarray((smooth - smooth.mean()) / smooth.std(), dtype=np.float32)


def _fibres(rng: np.random.Generator, px: float, way: float) -> tuple[Plane, Plane]:
    """Wavy collagen and the clefts between its bundles: streaks, bent by a smooth periodic displacement."""
    thin = _noise(rng, (11 * px, 0.55 * px), way)
    thick = _noise(rng, (28 * px, 2.0 * px), way)
    cleft = _noise(rng, (16 * px, 1.3 * px), way)
    sway = 9 * px * _noise(rng, (40 * px, 40 * px)) + 3.5 * px * _noise(rng, (12 * px, 12 * px))
    dy, dx = sway * np.float32(np.cos(way)), -sway * np.float32(np.sin(way))
    fibre = np.clip(0.5 + 0.17 * _bent(thin, dy, dx) + 0.17 * _bent(thick, dy, dx), 0, 1)
    gap = np.clip((_bent(cleft, dy, dx) - 0.9) * 1.6, 0, 1)
    return fibre.astype(np.float32), gap.astype(np.float32)


def _bent(plane: Plane, dy: Plane, dx: Plane) -> Plane:
    y, x = np.mgrid[0:PERIOD, 0:PERIOD].astype(np.float32)
    moved = cv2.remap(plane, (x + dx) % PERIOD, (y + dy) % PERIOD, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP)
    return np.asarray(moved, dtype=np.float32)
