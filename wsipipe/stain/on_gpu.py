"""Recolouring of whole batches by torch, for tiles that a GPU can take; see `wsipipe.stain.unmix` for the arithmetic.

Enters: uint8 tiles and a `transfer` matrix. Leaves: uint8 tiles of the same shape. Next: the network.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from wsipipe.stain.density import TABLE, Float

if TYPE_CHECKING:
    import torch

BATCH = 64
"""Tiles on the device at once: 0.6 GB of floats for 512 px."""


def recolour(rgb: NDArray[np.uint8], matrix: Float, *, device: str) -> NDArray[np.uint8]:
    """Apply a `wsipipe.stain.unmix.transfer` matrix on a device.

    Parameters
    ----------
    rgb : (N, height, width, 3) uint8
    matrix : (3, 3) float64
    device : str
        Torch's name: ``cuda``, or ``cpu`` (slower there than `wsipipe.stain.unmix.recolour`).

    Returns
    -------
    (N, height, width, 3) uint8
        Within one grey level of what `wsipipe.stain.unmix.recolour` gives; a device rounds in its own way.
    """
    import torch

    made = np.empty_like(rgb)
    change = torch.from_numpy(np.asarray(matrix, np.float32)).to(device)
    with torch.inference_mode():
        for start in range(0, len(rgb), BATCH):
            part = torch.from_numpy(np.ascontiguousarray(rgb[start : start + BATCH])).to(device)
            light = torch.exp(-(_table(device)[part.int()] @ change)).mul_(255).round_().clamp_(0, 255)
            made[start : start + BATCH] = light.to(torch.uint8).cpu().numpy()
    return made


@lru_cache(maxsize=4)
def _table(device: str) -> torch.Tensor:
    """Density of every grey level, on the device."""
    import torch

    return torch.from_numpy(TABLE.astype(np.float32)).to(device)
