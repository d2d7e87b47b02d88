"""Stages of the deblur room: how sharp tiles are, and making them sharper.

Enters: tiles. Leaves: ``focus`` per tile; sharper ``rgb``. Next: the network, and the gate. Source: CN 111462010 A asks
which pictures need deblurring, by a person, a preset measure or a network; this is the preset measure. The
learned network is `wsipipe.deblur.network`.

Convention for halos: a chain's tiles carry the halos of all its stages added. `restore` by default leaves its halo
in the array, same size in and out. With ``trim=True`` it cuts its own halo off, so that stages behind it that
have none (a network made for tiles of one size) see the tile alone.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from functools import partial
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from wsipipe.deblur import classical, motion
from wsipipe.deblur.sharpness import sharpness
from wsipipe.errors import ConfigError
from wsipipe.stage import RGB, Batch, Ref, Spec, Stage

Method = Literal["none", "wiener", "richardson_lucy"]

FOCUS = Spec("focus", about="contrast at a small over a large distance: 0 blurred, 0.2 to 0.4 sharp; NaN: no tissue")


def focus(*, near_px: int = 2, far_px: int = 12) -> Stage:
    """Stage that measures how sharp the tissue of each tile is.

    Parameters
    ----------
    near_px, far_px : int
        Distances that are compared, in working pixels; the limit that `wsipipe.deblur.sharpness.MIN_FOCUS` proposes
        holds for the defaults at 0.5 um.

    Returns
    -------
    Stage
        Input ``rgb``. Output ``focus`` (N,) float32, 0 to about 1; NaN where a tile has too little tissue or
        contrast. Measured over all that is handed in, a halo included; pixels outside the plane are
        white, that is glass, and do not count.

    Raises
    ------
    ConfigError
        Unless ``1 <= near_px < far_px``.
    """
    if not 1 <= near_px < far_px:
        raise ConfigError(f"1 <= near_px < far_px is needed, got {near_px} and {far_px}: correct them", subject="focus")
    ref = Ref("wsipipe.deblur.stage:focus", {"near_px": near_px, "far_px": far_px})
    return Stage(ref, "focus", 2, (RGB,), (FOCUS,), partial(_measured, near_px=near_px, far_px=far_px))


@dataclass(frozen=True)
class Way:
    """How `restore` was asked to work; see there."""

    method: str
    sigma_px: float
    iterations: int
    balance: float
    shape: str
    trim: bool
    length_px: float = 0.0
    direction_deg: float = 0.0

    def spread(self) -> NDArray[np.float64]:
        """The kernel of the assumed blur."""
        if self.shape == "motion":
            return motion.kernel(motion.Motion(self.length_px, self.direction_deg))
        return classical.point_spread(self.sigma_px, shape=self.shape)

    @property
    def halo(self) -> int:
        """Pixels around a tile."""
        iterations = 0 if self.method == "wiener" else self.iterations
        if self.shape == "motion":  # a line's deviation along itself; its spectrum has zeros, as a disk's
            return classical.reach_px(self.length_px / math.sqrt(12), iterations=iterations, shape="disk")
        return classical.reach_px(self.sigma_px, iterations=iterations, shape=self.shape)


def restore(  # noqa: PLR0913 (keyword-only settings)
    *,
    method: Method = "none",
    sigma_px: float = 1.0,
    iterations: int = 8,
    balance: float = 0.01,
    shape: classical.Shape = "gaussian",
    trim: bool = False,
    length_px: float = 9.0,
    direction_deg: float = 0.0,
) -> Stage:
    """Stage that undoes an assumed blur.

    Parameters
    ----------
    method : {"none", "wiener", "richardson_lucy"}
    sigma_px : float
        Standard deviation of the assumed blur, working pixels, more than 0.
    iterations : int
        Of ``richardson_lucy``, 1 or more.
    balance : float
        Of ``wiener``, 0.001 or more: larger is smoother.
    shape : {"gaussian", "disk", "motion"}
        Of the blur.
    trim : bool
        Cut the stage's own halo off its result.
    length_px, direction_deg : float
        Of a ``motion``: its length, working pixels, above 0, and its direction, 0 along x and 90 along y.

    Returns
    -------
    Stage
        Input and output ``rgb`` (N, height, width, 3) uint8, of the same size unless `trim`. The halo is wide
        enough for a tile to be within a grey level of the whole restored at once; ``none`` has no halo.

    Raises
    ------
    ConfigError
        For an unknown method or shape, or a number out of range.
    """
    if method not in get_args(Method) or shape not in get_args(classical.Shape):
        raise ConfigError(
            f"method is one of {', '.join(get_args(Method))} and shape of {', '.join(get_args(classical.Shape))}, got "
            f"{method!r} and {shape!r}: correct them", subject="deblur",
        )  # fmt: skip
    if not min(sigma_px, length_px) > 0 or iterations < 1 or not balance >= 1e-3:
        raise ConfigError(
            f"sigma_px and length_px are over 0, iterations 1 or more, balance 0.001 or more, got {sigma_px:g}, "
            f"{length_px:g}, {iterations} and {balance:g}: correct them", subject="deblur",
        )  # fmt: skip
    if method == "none":
        return Stage(Ref("wsipipe.deblur.stage:restore", {"method": "none"}), "deblur", 1, (RGB,), (RGB,), _unchanged)
    way = Way(method, sigma_px, iterations, balance, shape, trim, length_px, direction_deg)
    unused = {"sigma_px"} if shape == "motion" else {"length_px", "direction_deg"}
    ref = Ref(
        "wsipipe.deblur.stage:restore", {name: value for name, value in asdict(way).items() if name not in unused}
    )
    return Stage(ref, "deblur", 1, (RGB,), (RGB,), partial(_restored, way), halo=way.halo)


def _measured(*, rgb: NDArray[np.uint8], near_px: int, far_px: int) -> Batch:
    found = [sharpness(tile, near_px=near_px, far_px=far_px) for tile in rgb]
    return {"focus": np.array(found, np.float32)}


def _unchanged(*, rgb: NDArray[np.uint8]) -> Batch:
    return {"rgb": rgb}


def _restored(way: Way, *, rgb: NDArray[np.uint8]) -> Batch:
    spread = way.spread()
    made = np.empty_like(rgb)
    for index, tile in enumerate(rgb):
        if way.method == "wiener":
            made[index] = classical.wiener(tile, spread, balance=way.balance)
        else:
            made[index] = classical.richardson_lucy(tile, spread, iterations=way.iterations)
    cut = slice(way.halo, -way.halo) if way.trim else slice(None)
    return {"rgb": made[:, cut, cut]}
