"""How far the spliced probability map is from that of the whole picture in one pass.

Enters: pictures, weights. Leaves: a table over halos. The whole picture is padded with black to a multiple of 32, as a
window is; the difference is taken inside the field of view, away from the picture's border.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from wsipipe.evaluate.table import Table
from wsipipe.grid import Box, Grid
from wsipipe.models.device import execution
from wsipipe.vessel import blend, field_of_view
from wsipipe.vessel.network import WORKING_FIELD_PX, VesselNetwork, forward, predict, vessel_network

Pixels = NDArray[np.uint8]
Map = NDArray[np.float32]

HALOS = (0, 16, 32, 64, 96, 128, 192, 256)
SIDE = 32
"""Windows, tiles and halos are multiples of this: the network halves five times."""
MARGIN_PX = 16


def at_working_scale(rgb: Pixels) -> Pixels:
    """A picture whose field is 540 px across, reduced once with an area filter; smaller ones as they are."""
    found = field_of_view.find(rgb)
    scale = min(1.0, WORKING_FIELD_PX / (2 * found.radius)) if found.found else 1.0
    size = round(rgb.shape[1] * scale), round(rgb.shape[0] * scale)
    return rgb if scale == 1.0 else np.asarray(cv2.resize(rgb, size, interpolation=cv2.INTER_AREA), np.uint8)


def whole(network: VesselNetwork, rgb: Pixels, *, pad: int) -> Map:
    """Probabilities of the picture in one pass, on black with at least `pad` px on every side."""
    height, width = rgb.shape[:2]
    below, right = (pad + (-(side + 2 * pad) % SIDE) for side in (height, width))
    padded = np.pad(rgb, ((pad, below), (pad, right), (0, 0)))
    return predict(network, padded)[:, pad : pad + height, pad : pad + width]


def spliced(network: VesselNetwork, rgb: Pixels, *, tile: int, halo: int) -> Map:
    """Probabilities of the picture from overlapping windows."""
    grid = Grid((rgb.shape[0], rgb.shape[1]), tile, halo, 1)
    padded = np.pad(rgb, ((halo, tile + halo), (halo, tile + halo), (0, 0)))

    def windows(ids: NDArray[np.int64]) -> Map:
        boxes = [box.shift(halo, halo) for box in grid.read_boxes(ids)]
        return np.concatenate([forward(network, padded[box.slices()][None])[0] for box in boxes])

    return blend.block(Box(0, 0, *grid.shape), grid, grid.ids(), windows)


def seams(pictures: Sequence[Pixels], weights: str, *, tile: int = 256, halos: Sequence[int] = HALOS) -> Table:
    """Differences between spliced and whole maps, over halos.

    Parameters
    ----------
    pictures : sequence of (height, width, 3) uint8
        Reduced to the working scale.
    weights : str
        Name or path.
    tile : int
        Side of a tile.
    halos : sequence of int
    """
    network = vessel_network(weights, how=execution("auto"))
    table = Table(
        f"Spliced against whole, probabilities of {len(pictures)} pictures, tiles of {tile} px",
        ("halo px", "largest difference", "99.9 % below", "mean", "vessel pixels that change side of 0.5, %"),
    )
    small = [at_working_scale(rgb) for rgb in pictures]
    for halo in halos:
        gaps, sides = [], []
        for rgb in small:
            inside = _inside(rgb)
            one = whole(network, rgb, pad=halo)[:, inside]
            other = spliced(network, rgb, tile=tile, halo=halo)[:, inside]
            gaps.append(np.abs(one - other).ravel())
            sides.append((one[2] >= 0.5) != (other[2] >= 0.5))
        gap = np.concatenate(gaps)
        changed = 100 * float(np.concatenate(sides).mean())
        table.add(halo, float(gap.max()), float(np.quantile(gap, 0.999)), float(gap.mean()), changed)
    table.notes.append(f"inside the field of view, {MARGIN_PX} px or more from the picture's border; weights {weights}")
    return table


def _inside(rgb: Pixels) -> NDArray[np.bool_]:
    found = field_of_view.find(rgb)
    inside = found.mask.copy() if found.found else np.ones(rgb.shape[:2], np.bool_)
    edge = np.zeros_like(inside)
    edge[MARGIN_PX:-MARGIN_PX, MARGIN_PX:-MARGIN_PX] = True
    return np.asarray(inside & edge, np.bool_)
