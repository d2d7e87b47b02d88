"""Light and lens: stain concentrations to the pixels that a scanner would store.

Enters: a `Canvas`, a `Look`, artefacts. Leaves: RGB uint8. Next room: `wsipipe.phantom.gastric_slide`, `gastric_tile`.

Beer-Lambert per pixel: ``rgb = white * 10 ** -(h * h_od + e * e_od)``, then shading, point spread, sharpening, noise.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from wsipipe.phantom.gastric_canvas import Canvas
from wsipipe.phantom.gastric_regime import Look
from wsipipe.phantom.gastric_texture import PERIOD, Textures

Float = NDArray[np.float32]
HALO = 24
"""Pixels around a block that filters may look at."""


@dataclass(frozen=True, slots=True)
class Noise:
    """Textures and where their corner lies (y, x pixels)."""

    textures: Textures
    shift: tuple[int, int]

    def cut(self, plane: Float, corner: tuple[int, int], size: int) -> Float:
        """A block with its halo of a texture, which repeats for ever."""
        rows, columns = (
            (np.arange(-HALO, size + HALO) + at + move) % PERIOD for at, move in zip(corner, self.shift, strict=True)
        )
        return np.asarray(plane.take(rows, axis=0).take(columns, axis=1))


def compose(canvas: Canvas, look: Look, noise: Noise, corner: tuple[int, int], *, size: int) -> Float:
    """Optical density (size + 2 HALO, size + 2 HALO, 2): haematoxylin and eosin of the block at `corner`.

    `corner` is (y, x) in pixels of the canvas; outside the canvas there is clear glass.
    """
    paint, nuclei, tissue = (_cut(plane, corner, size) for plane in (canvas.paint, canvas.nuclei, canvas.tissue))
    soft = cv2.GaussianBlur(paint, (0, 0), 0.42 / canvas.mpp).astype(np.float32)
    texture = [noise.cut(plane, corner, size) for plane in noise.textures.planes()]
    grain, speckle, cloud, mesh, fibre, gap = texture
    weight = soft[..., 2] / 255
    eosin = soft[..., 0] * (0.01 + 0.0018 * speckle) * (1 + weight * (1.5 * fibre - 0.75))
    open_share = 1 - 0.9 * weight * weight * gap - 3.2 * weight * (1 - weight) * mesh
    eosin *= open_share
    blue = soft[..., 1] * (0.01 + 0.0022 * speckle) * open_share
    core = nuclei.astype(np.float32) * 0.01
    cover = np.minimum(core * 1.6, 1.0)
    eosin *= 1 - 0.55 * cover
    blue = blue * (1 - cover) + core * (1 + 0.06 * grain)
    thick = look.thickness * (1 + look.unevenness * cloud) * (tissue.astype(np.float32) / 255)
    return np.stack([blue * thick, eosin * thick], axis=-1)


def bare(canvas: Canvas, corner: tuple[int, int], *, size: int) -> bool:
    """Whether a block and its halo are clear glass."""
    return not _cut(canvas.tissue, corner, size).any()


def expose(stain: Float, look: Look, *, extra: Float | None = None) -> Float:
    """Light (0 to 255) of a block of concentrations; `extra` is optical density (y, x, 3) on top (ink, dust)."""
    density = cv2.transform(stain, np.array([look.h_od, look.e_od], dtype=np.float32).T)
    if extra is not None:
        density = density + extra
    light = cv2.exp(density * np.float32(-math.log(10)))
    light *= np.array(look.white, dtype=np.float32)
    return np.asarray(light, dtype=np.float32)


def scan(light: Float, look: Look, mpp: float) -> Float:
    """Point spread and sharpening of the scanner."""
    sigma = look.psf_um / mpp
    seen = cv2.GaussianBlur(light, (0, 0), sigma)
    if look.sharpen > 0:
        wide = cv2.GaussianBlur(seen, (0, 0), 1.2)
        seen = cv2.addWeighted(seen, 1 + look.sharpen, wide, -look.sharpen, 0)
    return np.asarray(seen, dtype=np.float32)


def finish(light: Float, look: Look, noise: Noise, corner: tuple[int, int]) -> NDArray[np.uint8]:
    """Sensor noise, trim of the halo, rounding to 8 bits."""
    size = len(light) - 2 * HALO
    grain = noise.cut(noise.textures.grain, (corner[0] + 311, corner[1] + 173), size)[HALO:-HALO, HALO:-HALO]
    inner = light[HALO:-HALO, HALO:-HALO] + (look.noise * grain + np.float32(0.5))[..., None]
    return np.clip(inner, 0, 255, out=inner).astype(np.uint8)


def _cut(plane: NDArray[np.uint8], corner: tuple[int, int], size: int) -> NDArray[np.uint8]:
    """A block with its halo; zero outside the plane."""
    y0, x0 = corner[0] - HALO, corner[1] - HALO
    y1, x1 = y0 + size + 2 * HALO, x0 + size + 2 * HALO
    high, wide = plane.shape[:2]
    inner = plane[max(y0, 0) : y1, max(x0, 0) : x1]
    pad = (max(-y0, 0), max(y1 - high, 0)), (max(-x0, 0), max(x1 - wide, 0))
    if not any(sum(pad, ())):
        return inner
    return np.pad(inner, pad + ((0, 0),) * (plane.ndim - 2))
