"""A picture that a run left on disk, for notebooks and for NumPy.

Enters: a path. Leaves: PNG bytes, pixels. Next room: `wsipipe.query.results`.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from wsipipe.errors import StoreError


class StoredPicture:
    """A picture on disk: shows itself in a notebook, and is its pixels for NumPy.

    Raises
    ------
    StoreError
        Where there is no such file.
    """

    def __init__(self, path: Path) -> None:
        if not path.is_file():
            raise StoreError(
                f"reading {path.name}: it was not drawn; run the same command again", subject=path.parent.name
            )
        self.path = path

    @property
    def pixels(self) -> NDArray[np.uint8]:
        """``(height, width, 3)`` uint8."""
        from PIL import Image

        with Image.open(io.BytesIO(self._repr_png_())) as picture:
            return np.asarray(picture.convert("RGB"))

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> NDArray[Any]:
        return np.asarray(self.pixels, dtype=dtype)

    def __repr__(self) -> str:
        return f"<StoredPicture {self.path}>"

    def _repr_png_(self) -> bytes:
        return self.path.read_bytes()
