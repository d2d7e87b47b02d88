"""Recolouring: from a slide's stains to the target's, in one pass over the pixels.

Enters: uint8 tiles, the slide's stain vectors and greatest concentrations, the target's. Leaves: uint8
tiles of the same shape. Next: the network. Pointwise: a pixel's result depends on nothing but the pixel.

Unmix, scale, remix is one (3, 3) matrix of rank 2 on densities, so a tile takes a table look-up, a matrix and an
exponential, all OpenCV's. staintools and TIAToolbox fit every picture by itself and take several passes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wsipipe.stain.density import TABLE, Float, unmixer

Pixels = NDArray[np.uint8]

BLOCK = 1 << 16
"""Pixels at once: 192 KiB of floats, which stay in the cache and in one piece of memory. Whole tiles at once took
six to twenty times as long where the system handed out their memory page by page."""
GUARD = 64
"""Pixels put behind each block: OpenCV's matrix product rounds the last few of an array in another way."""
PENALTY = 0.01
"""Weight of the sum of concentrations in the non-negative unmixing; staintools' value."""

_DENSITY = TABLE.astype(np.float32)
_LOG_WHITE = float(np.log(255.0))


def transfer(stain_matrix: Float, stain_max: Float, target_matrix: Float, target_max: Float) -> Float:
    """The matrix that turns densities of the slide into densities in the target's stains.

    Parameters
    ----------
    stain_matrix, target_matrix : (2, 3) float64
        Stain vectors as rows.
    stain_max, target_max : (2,) float64
        99th percentiles of concentrations.

    Returns
    -------
    (3, 3) float64
        ``od_target = od @ transfer``; of rank 2: what neither stain explains is dropped.
    """
    scale = np.asarray(target_max, np.float64) / np.asarray(stain_max, np.float64)
    return np.asarray((unmixer(stain_matrix) * scale) @ target_matrix, np.float64)


def recolour(rgb: Pixels, matrix: Float) -> Pixels:
    """Apply a `transfer` matrix.

    Parameters
    ----------
    rgb : (..., 3) uint8
    matrix : (3, 3) float64

    Returns
    -------
    (..., 3) uint8
        ``255 exp(-od @ matrix)`` clipped to 0..255 and rounded to the nearest, in float32; the same bytes
        for a pixel alone, in a tile, or in a batch.

    Notes
    -----
    Needs 1 MiB beside the result; `wsipipe bench stain` measures it beside bare OpenCV calls on whole tiles.
    """
    import cv2

    affine = np.concatenate([-matrix.T, np.full((3, 1), _LOG_WHITE)], axis=1).astype(np.float32)

    def light(od: NDArray[Any]) -> NDArray[Any]:
        return np.asarray(cv2.transform(od, affine, dst=od))

    return _by_blocks(rgb, light)


def recolour_nonnegative(
    rgb: Pixels, stain_matrix: Float, stain_max: Float, target_matrix: Float, target_max: Float
) -> Pixels:
    """The same with concentrations that are not negative: the lasso of staintools, in closed form.

    Parameters
    ----------
    rgb : (..., 3) uint8
    stain_matrix, stain_max, target_matrix, target_max
        As for `transfer`.

    Returns
    -------
    (..., 3) uint8

    Notes
    -----
    See `wsipipe.stain.density.nonnegative_codes` for the arithmetic; here it is done in float32, about four times
    slower than `recolour`.
    """
    import cv2

    stains = np.asarray(stain_matrix, np.float64)
    cosine = float((stains[0] * stains[1]).sum())
    scale = np.asarray(target_max, np.float64) / np.asarray(stain_max, np.float64)
    pull = np.concatenate([stains, np.full((2, 1), -PENALTY)], axis=1).astype(np.float32)
    remix = np.concatenate([-(target_matrix * scale[:, None]).T, np.full((3, 1), _LOG_WHITE)], axis=1)

    def light(od: NDArray[Any]) -> NDArray[Any]:
        first, second = cv2.split(cv2.transform(od, pull))
        codes = cv2.merge(_settled(first, second, np.float32(cosine)))
        return np.asarray(cv2.transform(codes, remix.astype(np.float32)))

    return _by_blocks(rgb, light)


def _settled(first: NDArray[Any], second: NDArray[Any], cosine: np.float32) -> list[NDArray[Any]]:
    """Both concentrations from the pulls on them: free where both are positive, else one of them alone, or none."""
    norm, zero = np.float32(1) - cosine * cosine, np.float32(0)
    free_first, free_second = (first - cosine * second) / norm, (second - cosine * first) / norm
    alone_first = np.where(free_second < 0, np.maximum(first, zero), free_first)
    alone_second = np.where(free_first < 0, np.maximum(second, zero), free_second)
    return [np.where(free_first < 0, zero, alone_first), np.where(free_second < 0, zero, alone_second)]


def _by_blocks(rgb: Pixels, log_light: Callable[[NDArray[Any]], NDArray[Any]]) -> Pixels:
    """Densities to logarithms of light to pixels, block by block with `GUARD` pixels behind each.

    `log_light` takes and gives (1, n, 3) float32 and may overwrite what it takes. Logarithms are cut before
    the exponential, whose overflow OpenCV would turn into black.
    """
    import cv2

    flat = np.ascontiguousarray(rgb).reshape(1, -1, 3)
    made, last = np.empty_like(flat), np.zeros((1, BLOCK + GUARD, 3), np.uint8)
    od, out = np.empty(last.shape, np.float32), np.empty_like(last)
    for start in range(0, flat.shape[1], BLOCK):
        part = flat[:, start : start + BLOCK + GUARD]
        if part.shape[1] < BLOCK + GUARD:
            last[:, : part.shape[1]] = part
            part = last
        log = log_light(cv2.LUT(part, _DENSITY, dst=od))
        cv2.threshold(log, 6.0, 0, cv2.THRESH_TRUNC, dst=log)
        cv2.convertScaleAbs(cv2.exp(log, dst=log), dst=out)
        target = made[:, start : start + BLOCK]
        target[...] = out[:, : target.shape[1]]
    return made.reshape(rgb.shape)
