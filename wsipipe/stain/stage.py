"""Stain stages: fitted once per slide on a few tiles, applied to every tile.

Enters: sampled tiles (fit), then tiles and the fit (apply). Leaves: ``stain_matrix``, ``stain_max``,
``stain_lab``, ``stain_valid``, ``stain_distance`` per slide, and recoloured ``rgb``. Next: `wsipipe.deblur`
or the network; ``stain_distance`` goes to the gate. Source: CN 112990339 A normalises to the standard colour that the
network was trained on and leaves the method open.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from wsipipe.errors import ConfigError
from wsipipe.stage import RGB, Batch, Ref, Spec, Stage
from wsipipe.stain import on_gpu, reinhard, unmix
from wsipipe.stain.backends import Backend, require
from wsipipe.stain.fitting import Fit, Method, fit_pixels
from wsipipe.stain.reference import Target
from wsipipe.stain.reference import target as find_target
from wsipipe.stain.sample import pool

FITTED = (
    Spec("stain_matrix", (2, 3), "float64", scope="slide", about="unit density vectors of H and E; NaN: no fit"),
    Spec("stain_max", (2,), "float64", scope="slide", about="99th percentiles of concentrations, natural density"),
    Spec("stain_lab", (2, 3), "float64", scope="slide", about="means and deviations of L (0..100), a, b"),
    Spec("stain_valid", (1,), "uint8", scope="slide", about="1: fitted; 0: too little stained tissue, left as it is"),
    Spec("stain_distance", (1,), "float32", "degree", "slide", about="largest angle to standard H&E; NaN: no fit"),
)


def fit(*, method: Method = "macenko", backend: Backend = "wsipipe", seed: int = 0, pixels: int = 100_000) -> Stage:
    """Stage that fits a slide's stains on sampled tiles.

    Parameters
    ----------
    method : {"macenko", "vahadane", "reinhard", "ruifrok", "none"}
        The one that will be applied.
    backend : {"wsipipe", "staintools", "tiatoolbox"}
        Whose extractor, for ``macenko`` and ``vahadane``.
    seed : int
        Of the draw of pixels from the tiles.
    pixels : int
        Stained pixels that are drawn; fewer where there are fewer.

    Returns
    -------
    Stage
        Input ``rgb`` (n, height, width, 3), the sampled tiles, n may be 0. Outputs ``stain_matrix`` (2, 3)
        float64, ``stain_max`` (2,) float64, ``stain_lab`` (2, 3) float64, ``stain_valid`` (1,) uint8 and
        ``stain_distance`` (1,) float32, degrees, of Macenko's vectors whatever the method.

    Raises
    ------
    ConfigError
        For an unknown method or back end, or fewer than one pixel.
    UsageError
        Where the back end is not installed.

    Notes
    -----
    About 0.6 s for 16 tiles of 512 px with ``macenko``, 1 s with ``vahadane``.
    """
    _check("method", method, get_args(Method))
    _check("backend", backend, get_args(Backend))
    if pixels < 1:
        raise ConfigError(f"drawing pixels: 1 or more are needed, got {pixels}: correct it", subject="stain.pixels")
    require(backend)
    params = {"method": method, "backend": backend, "seed": seed, "pixels": pixels}
    ref = Ref("wsipipe.stain.stage:fit", params)
    return Stage(ref, "stain_fit", 1, (RGB,), FITTED, partial(_fitted, params))


def apply(
    *,
    method: Method = "macenko",
    reference: str = "default",
    nonnegative: bool = False,
    target: Mapping[str, Any] | None = None,
    device: str = "cpu",
) -> Stage:
    """Stage that gives tiles the target's stains.

    Parameters
    ----------
    method : {"macenko", "vahadane", "reinhard", "ruifrok", "none"}
        As in `fit`; ``none`` needs no fit and changes nothing.
    reference : str
        ``default``, or the path of an H&E picture to look like: fitted here, once, with the same method.
    nonnegative : bool
        Concentrations are not negative, as in staintools; four times slower. Not for ``reinhard``.
    target : mapping, optional
        The fitted reference as numbers (`Target.to_json`), for workers: `reference` is then only its name.
    device : str
        ``cpu``, or ``cuda`` for the linear methods: results differ by one grey level at most, so it is part of the key.

    Returns
    -------
    Stage
        Inputs ``rgb``, ``stain_matrix``, ``stain_max``, ``stain_lab``, ``stain_valid``; output ``rgb`` of the same
        shape. Pointwise, halo 0. Where ``stain_valid`` is 0 tiles leave as they came.

    Raises
    ------
    ConfigError
        For an unknown method.
    UsageError
        Where the reference cannot be read or fitted.
    """
    _check("method", method, get_args(Method))
    if method == "none":
        return Stage(Ref("wsipipe.stain.stage:apply", {"method": "none"}), "stain", 1, (RGB,), (RGB,), _unchanged)
    found = Target.from_json(target) if target is not None else find_target(reference, method)
    params = {"method": method, "reference": found.name, "nonnegative": nonnegative, "target": found.to_json()}
    if device != "cpu":
        params["device"] = device
    ref = Ref("wsipipe.stain.stage:apply", params)
    way = Way(method, found, nonnegative, device)
    return Stage(ref, "stain", 1, (RGB, *FITTED[:4]), (RGB,), partial(_applied, way))


@dataclass(frozen=True)
class Way:
    """How `apply` was asked to work."""

    method: str
    target: Target
    nonnegative: bool
    device: str = "cpu"


def _check(name: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise ConfigError(f"is one of {', '.join(allowed)}, got {value!r}: correct it", subject=f"stain.{name}")


def _fitted(params: Mapping[str, Any], *, rgb: NDArray[np.uint8]) -> Batch:
    drawn = pool(rgb, most=params["pixels"], seed=params["seed"])
    return as_arrays(fit_pixels(drawn, method=params["method"], backend=params["backend"]))


def as_arrays(found: Fit) -> Batch:
    """A fit as the arrays that `fit` declares."""
    return {
        "stain_matrix": found.matrix,
        "stain_max": found.greatest,
        "stain_lab": found.lab,
        "stain_valid": np.array([found.valid], np.uint8),
        "stain_distance": np.array([found.distance_deg], np.float32),
    }


def _unchanged(*, rgb: NDArray[np.uint8]) -> Batch:
    return {"rgb": rgb}


def _applied(
    way: Way,
    *,
    rgb: NDArray[np.uint8],
    stain_matrix: NDArray[np.float64],
    stain_max: NDArray[np.float64],
    stain_lab: NDArray[np.float64],
    stain_valid: NDArray[np.uint8],
) -> Batch:
    if not stain_valid[0]:
        return {"rgb": rgb}
    if way.method == "reinhard":
        return {"rgb": reinhard.transfer(rgb, stain_lab, way.target.lab)}
    ends = (stain_matrix, stain_max, way.target.matrix, way.target.greatest)
    if way.nonnegative:
        return {"rgb": unmix.recolour_nonnegative(rgb, *ends)}
    if way.device != "cpu":
        return {"rgb": on_gpu.recolour(rgb, unmix.transfer(*ends), device=way.device)}
    return {"rgb": unmix.recolour(rgb, unmix.transfer(*ends))}
