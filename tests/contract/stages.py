"""Small stages for tests, importable by name in any process, so that references to them can be rebuilt."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from wsipipe.stage import INSIDE, OVERVIEW, RGB, Batch, Ref, Spec, Stage

FIT = Spec("fit", (3,), "float64", "grey", scope="slide")
SHARE = Spec("share", (), "float32")
MASK = Spec("mask", (None, None), "uint8", scale=2, fill=0)
FEATURES = Spec("features", (4,), "float32")
SHARES = Spec("share", (), "float32", scope="tiles")
BEST = Spec("best", (None,), "int64", scope="slide", fill=-1)
BUILT: list[str] = []
"""One entry per call of `network`."""


def brighten(*, amount: int = 10) -> Stage:
    """Pixels made brighter, clipped."""

    def fn(rgb: NDArray[np.uint8]) -> Batch:
        return {"rgb": np.minimum(rgb.astype(np.int64) + amount, 255).astype(np.uint8)}

    return Stage(_ref("brighten", amount=amount), "brighten", 1, (RGB,), (RGB,), fn)


def mask(*, threshold: int = 128) -> Stage:
    """A picture of bright pixels at half size and its share inside the plane."""

    def fn(rgb: NDArray[np.uint8], inside: NDArray[np.int32]) -> Batch:
        bright = (rgb[:, ::2, ::2, 0] >= threshold).astype(np.uint8)
        area = inside.prod(axis=1)
        return {"mask": bright, "share": (bright.sum(axis=(1, 2)) * 4 / area).astype(np.float32)}

    return Stage(_ref("mask", threshold=threshold), "mask", 1, (RGB, INSIDE), (MASK, SHARE), fn)


def fit() -> Stage:
    """Mean colour of the overview: a slide-level array."""

    def fn(overview: NDArray[np.uint8]) -> Batch:
        return {"fit": overview.mean(axis=(0, 1))}

    return Stage(_ref("fit"), "fit", 1, (OVERVIEW,), (FIT,), fn)


def blur(*, radius: int = 1) -> Stage:
    """Needs pixels around the tile."""

    def fn(rgb: NDArray[np.uint8]) -> Batch:
        return {"rgb": rgb}

    return Stage(_ref("blur", radius=radius), "blur", 1, (RGB,), (RGB,), fn, halo=radius)


def network(*, weights: str = "", sha256: str = "", size: int = 4) -> Stage:
    """Features that subtract the slide's fit; stands for a stage with weights."""
    BUILT.append(weights)

    def fn(rgb: NDArray[np.uint8], fit: NDArray[np.float64]) -> Batch:
        mean = rgb.mean(axis=(1, 2)) - fit
        return {"features": np.concatenate([mean, mean[:, :1]], axis=1).astype(np.float32)}

    ref = Ref("tests.contract.stages:network", {"weights": weights, "size": size}, sha256)
    return Stage(ref, "network", 1, (RGB, FIT), (FEATURES,), fn)


def select(*, k: int = 2) -> Stage:
    """Ids of the k tiles with the largest share: from the rows of all kept tiles."""
    tile_id = Spec("tile_id", (), "int64", scope="tiles")

    def fn(tile_id: NDArray[np.int64], share: NDArray[np.float32]) -> Batch:
        return {"best": tile_id[np.argsort(-share, kind="stable")[:k]]}

    return Stage(_ref("select", k=k), "select", 1, (tile_id, SHARES), (BEST,), fn)


def changes_input() -> Stage:
    """Breaks the contract: writes to its argument."""

    def fn(rgb: NDArray[np.uint8]) -> Batch:
        rgb[:] = 0
        return {"rgb": rgb}

    return Stage(_ref("changes_input"), "changes_input", 1, (RGB,), (RGB,), fn)


def looks_around() -> Stage:
    """Breaks the contract: a tile's result depends on the other tiles."""

    def fn(rgb: NDArray[np.uint8]) -> Batch:
        return {"share": (rgb.mean(axis=(1, 2, 3)) / rgb.mean()).astype(np.float32)}

    return Stage(_ref("looks_around"), "looks_around", 1, (RGB,), (SHARE,), fn)


def wrong_dtype() -> Stage:
    """Breaks the contract: float64 where float32 is declared."""

    def fn(rgb: NDArray[np.uint8]) -> Batch:
        return {"share": rgb.mean(axis=(1, 2, 3))}

    return Stage(_ref("wrong_dtype"), "wrong_dtype", 1, (RGB,), (SHARE,), fn)


def forgets(*, amount: int = 1) -> Stage:
    """Breaks the contract: its reference lacks a parameter."""
    return Stage(Ref("tests.contract.stages:forgets"), f"forgets{amount}", 1, (RGB,), (RGB,), lambda rgb: {"rgb": rgb})


def _ref(name: str, **params: Any) -> Ref:
    return Ref(f"tests.contract.stages:{name}", params)
