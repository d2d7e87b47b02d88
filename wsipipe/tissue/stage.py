"""Stages that find tissue: one threshold a slide, and a mask and a share for every tile.

Enters: the overview (fit), and tiles at the mask's resolution (mask). Leaves: ``tissue`` and ``tissue_share``.
Next: the run keeps the tiles whose share is at least the first threshold (`keep`); `wsipipe.stain` fits on those.
Source: CN 112990339 A: Otsu, then tissue area over tile area >= 0.70. It thresholds every tile by itself
(``method="per_tile"`` here); one threshold a slide is ours, and the default.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from wsipipe.errors import ConfigError
from wsipipe.stage import INSIDE, OVERVIEW, RGB, Batch, Ref, Spec, Stage
from wsipipe.tissue import otsu

Method = Literal["otsu", "per_tile"]

THRESHOLD = Spec(
    "tissue_threshold", (1,), "float32", "1", "slide",
    about="colour (16 x root of chroma, 0 to 255) that tissue exceeds; -1 keeps all, 255 keeps nothing",
)  # fmt: skip
BIMODAL = Spec("tissue_bimodal", (1,), "uint8", "1", "slide", about="1: there are two classes, glass and tissue")


def fit_threshold() -> Stage:
    """Stage that fits the slide's threshold on its overview.

    Returns
    -------
    Stage
        Input ``overview``. Outputs ``tissue_threshold`` (1,) float32 and ``tissue_bimodal`` (1,) uint8; where
        there are no two classes the threshold is -1 (all tissue) or 255 (all glass).
    """
    ref = Ref("wsipipe.tissue.stage:fit_threshold", {})
    return Stage(ref, "fit_threshold", 1, (OVERVIEW,), (THRESHOLD, BIMODAL), _fitted)


def mask(*, scale: int = 16, method: Method = "otsu", median_px: int = 3) -> Stage:
    """Stage that finds the tissue of tiles.

    Parameters
    ----------
    scale : int
        Working-frame pixels per mask pixel: the share is counted at this many times the working mpp (8 um
        at the defaults 0.5 and 16).
    method : {"otsu", "per_tile"}
        The slide's threshold, or each tile's own, fitted on its pixels inside the plane.
    median_px : int
        Side of the median that smooths the mask, odd, in mask pixels; 1 smooths nothing. The stage's halo
        is half of it, in pixels of what it is fed with: mask pixels. Hence with ``otsu`` tiles computed apart
        equal the mask of the whole plane, pixel for pixel; with ``per_tile`` they have seams by design.

    Returns
    -------
    Stage
        Inputs ``rgb`` (N, s + 2 halo, s + 2 halo, 3) *read from the frame that is `scale` times coarser*,
        s = tile / scale; ``inside`` (N, 2) in working pixels; with ``otsu`` the fitted ``tissue_threshold``,
        which says too what to do where there are no two classes. Outputs ``tissue``, a picture (N, s, s)
        uint8, 1 tissue, 0 not and outside the plane; ``tissue_share`` (N,) float32, 0 to 1, tissue area over
        the area of the full tile: what is outside the plane counts as background, mask pixels on its edge
        by their part inside.

    Raises
    ------
    ConfigError
        For a scale below 1, an even median, an unknown method.
    """
    if method not in get_args(Method):
        raise ConfigError(f"is otsu or per_tile, got {method!r}: correct it", subject="tissue.method")
    if scale < 1 or median_px < 1 or median_px % 2 == 0:
        raise ConfigError(
            f"scale is 1 or more and median_px odd, got {scale} and {median_px}: correct them", subject="tissue"
        )
    ref = Ref("wsipipe.tissue.stage:mask", {"scale": scale, "method": method, "median_px": median_px})
    inputs = (RGB, INSIDE) if method == "per_tile" else (RGB, INSIDE, THRESHOLD)
    outputs = (
        Spec("tissue", (None, None), "uint8", scale=scale, about="1 tissue, 0 glass, ink, or outside the plane"),
        Spec("tissue_share", about="tissue area over the tile's full area, 0 to 1"),
    )
    return Stage(ref, "tissue", 1, inputs, outputs, partial(_masked, Way(scale, median_px)), halo=median_px // 2)


def keep(tissue_share: NDArray[np.floating[Any]], minimum: float = 0.70) -> NDArray[np.bool_]:
    """Which tiles have enough tissue.

    Parameters
    ----------
    tissue_share : (N,) floats
        As `mask` gives them.
    minimum : float
        The first threshold, 0 to 1. Equality keeps; it is compared in the shares' own precision, so that a
        float32 share of 0.7 is kept by the number 0.70.

    Returns
    -------
    (N,) bool
        NaN is not kept.
    """
    shares = np.asarray(tissue_share)
    return np.asarray(shares >= shares.dtype.type(minimum), np.bool_)


@dataclass(frozen=True)
class Way:
    """How `mask` was asked to work."""

    scale: int
    median_px: int

    @property
    def halo(self) -> int:
        """Mask pixels around a tile."""
        return self.median_px // 2


def _fitted(*, overview: otsu.Pixels) -> Batch:
    found = otsu.split(otsu.histogram(overview))
    return {
        "tissue_threshold": np.array([found.threshold], np.float32),
        "tissue_bimodal": np.array([found.bimodal], np.uint8),
    }


def _masked(
    way: Way, *, rgb: otsu.Pixels, inside: NDArray[np.integer[Any]], tissue_threshold: NDArray[np.float32] | None = None
) -> Batch:
    """See `mask`."""
    side = rgb.shape[1] - 2 * way.halo
    own = slice(way.halo, way.halo + side)
    covered = np.clip(inside[:, :, None] / way.scale - np.arange(side), 0, 1)
    rows, columns = covered[:, 0], covered[:, 1]
    if tissue_threshold is None:
        cut = zip(rgb[:, own, own], rows > 0, columns > 0, strict=True)
        given = np.array([_own(pixels[ys][:, xs]) for pixels, ys, xs in cut], np.float64)[:, None, None]
    else:
        given = np.asarray(tissue_threshold[:1], np.float64)
    found = otsu.tissue(rgb, given, median_px=way.median_px)[:, own, own]
    masks = found * ((rows > 0)[:, :, None] & (columns > 0)[:, None])
    areas = masks * (rows[:, :, None] * columns[:, None])
    shares = (areas.reshape(len(rgb), side**2).sum(axis=1) / side**2).astype(np.float32)
    return {"tissue": masks, "tissue_share": shares}


def _own(pixels: otsu.Pixels) -> float:
    return otsu.split(otsu.histogram(pixels)).threshold
