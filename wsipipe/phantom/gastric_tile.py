"""Training tiles straight from the generator: the same scenes and the same light as slides, without files.

Enters: a seed, a number, a regime. Leaves: RGB tiles of 512 px at 0.5 micrometres per pixel, their category masks
and classes. Next room: `wsipipe.train`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from wsipipe.phantom.gastric_artefact import draw_artefacts
from wsipipe.phantom.gastric_picture import Field, draw_noise, make_field, see
from wsipipe.phantom.gastric_record import GRID_UM, category_map, enlarge
from wsipipe.phantom.gastric_regime import Regime, draw_look, regime_of
from wsipipe.phantom.gastric_tissue import stream

TILE = 512
MPP = 0.5
FIELD_UM = 880.0
"""Side of the fields that tiles are cut from."""
PER_FIELD = 6
CLASS_SHARE = 0.02
"""A tile's class is the highest category on at least this share of its pixels, else negative."""
Tiles = tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.int64]]


@dataclass(frozen=True, slots=True)
class Spot:
    """One tile's place (corner in pixels) and what it shows."""

    corner: tuple[int, int]
    mask: NDArray[np.uint8]
    code: int


def tiles(seed: int, n: int, regime: str = "train") -> Tiles:
    """Make tiles for training network one.

    Parameters
    ----------
    seed : int
        0 or more; the first m of n tiles are those of ``tiles(seed, m)``.
    n : int
        How many. Fields hold lesions of the four categories in turn and give `PER_FIELD` tiles each, five of
        their lesion and one beside it, so about 37 % of the tiles are negative and 21 % of each lesion.
    regime : str
        ``train``, ``val``, ``test`` or ``shifted``. Every tile has its own stain, scanner and artefacts.

    Returns
    -------
    rgb : (n, 512, 512, 3) uint8
    mask : (n, 512, 512) uint8
        Category per pixel, 0 (negative, or glass) to 3.
    label : (n,) int64
        Class: the highest category on at least `CLASS_SHARE` of the pixels. A tile with less lesion than that,
        but some, is not drawn.

    Raises
    ------
    UsageError
        Where the regime is unknown.

    Notes
    -----
    About 25 tiles a second and core. Tiles of different regimes never come from the same laboratory.
    """
    rgb = np.zeros((n, TILE, TILE, 3), np.uint8)
    mask = np.zeros((n, TILE, TILE), np.uint8)
    label = np.zeros(n, np.int64)
    for index, (picture, truth, code) in zip(range(n), tile_stream(seed, regime), strict=False):
        rgb[index], mask[index], label[index] = picture, truth, code
    return rgb, mask, label


def tile_stream(seed: int, regime: str = "train") -> Iterator[tuple[NDArray[np.uint8], NDArray[np.uint8], int]]:
    """The tiles of `tiles`, one after the other, for ever."""
    chosen = regime_of(regime)
    number = 0
    while True:
        yield from _from_field(seed, number, chosen)
        number += 1


def _from_field(seed: int, number: int, regime: Regime) -> Iterator[tuple[NDArray[np.uint8], NDArray[np.uint8], int]]:
    turn = stream(regime, seed, 7, number // 4)
    category = int(turn.permutation(4)[number % 4])
    at = 50_000_000_000 + seed * 1_000_000 + number
    field = make_field(category, at, regime, FIELD_UM, mpp=MPP)
    rng = stream(regime, at, 8)
    for spot in _spots(field, category, rng):
        yield _developed(field, spot, regime, rng), spot.mask, spot.code


def _spots(field: Field, category: int, rng: np.random.Generator) -> list[Spot]:
    """Places of a field's tiles: all but one show its lesion, all but few are mostly tissue."""
    truth = category_map(field.scene)
    side = len(field.canvas.nuclei)
    small = cv2.resize(field.canvas.tissue, None, fx=1 / 16, fy=1 / 16, interpolation=cv2.INTER_AREA)
    found: list[Spot] = []
    for wanted in [category] * (PER_FIELD - 1) + [0]:
        corners = rng.integers(0, side - TILE + 1, (30, 2))
        bare = 0.5 + 0.3 * rng.random()
        ranked = sorted(((_unfit(truth, small, corner, wanted, bare), index) for index, corner in enumerate(corners)))
        corner = int(corners[ranked[0][1]][0]), int(corners[ranked[0][1]][1])
        mask = enlarge(truth, TILE, MPP, corner_um=(corner[0] * MPP, corner[1] * MPP))
        code = _code(mask)
        if code is not None:
            found.append(Spot(corner, mask, code))
    return found


def _unfit(
    truth: NDArray[np.uint8], small: NDArray[np.uint8], corner: NDArray[np.int64], wanted: int, bare: float
) -> int:
    """0 for a good place; the more, the worse."""
    y, x = int(corner[0]), int(corner[1])
    step = round(GRID_UM / MPP)
    code = _code(truth[y // step : (y + TILE) // step, x // step : (x + TILE) // step])
    cover = float(small[y // 16 : (y + TILE) // 16, x // 16 : (x + TILE) // 16].mean()) / 255
    return 4 * (code is None) + 2 * (code != wanted) + (cover < bare)


def _code(mask: NDArray[np.uint8]) -> int | None:
    """A tile's class, or None where it holds a little lesion but too little for its class."""
    share = np.bincount(mask.ravel(), minlength=4)[1:] / mask.size
    if ((share > 0) & (share < CLASS_SHARE)).any():
        return None
    return int(np.flatnonzero(share)[-1]) + 1 if share.any() else 0


def _developed(field: Field, spot: Spot, regime: Regime, rng: np.random.Generator) -> NDArray[np.uint8]:
    """The tile's pixels with a stain, a scanner, artefacts and JPEG of its own."""
    look = replace(draw_look(regime, rng), mpp=MPP)
    spared = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
    damage = draw_artefacts(field.scene.side_um, spared, rng, chance=0.5)
    seen = see(field.canvas, look, draw_noise(field.plan, MPP, rng), spot.corner, size=TILE, artefacts=damage)
    _, coded = cv2.imencode(".jpg", seen[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, look.quality])
    plain = np.asarray(cv2.imdecode(coded, cv2.IMREAD_COLOR), dtype=np.uint8)
    return plain[..., ::-1]
