"""Arrays that read only the chunks that an index touches.

Enters: a Zarr array. Leaves: a `Lazy`, which NumPy takes for an array. Next room: `wsipipe.store.published`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import zarr
from numpy.typing import DTypeLike, NDArray


@dataclass(frozen=True, eq=False)
class Lazy:
    """A published array that reads only the chunks that an index touches, and counts as an array for NumPy.

    Parameters
    ----------
    source : zarr.Array
        ``(y, x)``, ``(row, value)``, or ``(c, y, x)`` of which one `channel` is shown.
    channel : int or None
    top : int
        With a number, values are divided by it and shown as float32 (255: a probability stored in eight bits).
    l0_scale, mpp : float
        Of a picture: level-0 pixels and micrometres per pixel; NaN for a table.
    """

    source: zarr.Array[Any]
    channel: int | None = None
    top: int = 0
    l0_scale: float = float("nan")
    mpp: float = float("nan")

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of what is shown."""
        return tuple(self.source.shape if self.channel is None else self.source.shape[1:])

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of what is shown."""
        return np.dtype(np.float32) if self.top else np.dtype(self.source.dtype)

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: Any) -> NDArray[Any]:
        if self.channel is not None:
            index = (self.channel, *(index if isinstance(index, tuple) else (index,)))
        values = np.asarray(self.source[index])
        return np.asarray(values / np.float32(self.top), np.float32) if self.top else values

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> NDArray[Any]:
        return np.asarray(self[...], dtype=dtype)

    def __repr__(self) -> str:
        scale = f", {self.mpp:g} um/px" if np.isfinite(self.mpp) else ""
        return f"<Lazy {'x'.join(map(str, self.shape))} {self.dtype}{scale}>"
