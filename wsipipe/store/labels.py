"""Label pictures of any OME-Zarr group: ours, and those that annotation tools write.

Enters: the path of a multiscale, or of an image with one label picture below ``labels/``. Leaves: an array.
Next room: `wsipipe.train` takes it as pixel truth.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray

from wsipipe.errors import StoreError


def read_labels(path: str | Path, *, most_px: int = 64_000_000) -> NDArray[Any]:
    """The finest level of a label picture that has at most `most_px` pixels, ``(y, x)``.

    Parameters
    ----------
    path : path
        A group with OME-Zarr multiscales (0.4 or 0.5); where it has a group ``labels`` of one label picture, that.
    most_px : int
        Of all levels that are larger the coarsest is read.

    Raises
    ------
    StoreError
        Where it is no OME-Zarr picture, has several label pictures, or more axes than two that are longer than 1.
    """
    try:
        group = _label_group(zarr.open_group(str(path), mode="r"), path)
        names = [str(level["path"]) for level in _multiscales(group)[0]["datasets"]]
        arrays = [group[name] for name in names]
    except (FileNotFoundError, KeyError, IndexError, TypeError) as error:
        raise _wrong(path, f"it is no OME-Zarr picture ({error})") from error
    levels = [array for array in arrays if isinstance(array, zarr.Array)]
    fitting = [array for array in levels if math.prod(array.shape) <= most_px]
    chosen = fitting[0] if fitting else levels[-1]
    values = np.asarray(chosen[...])
    if any(side != 1 for side in values.shape[:-2]):
        raise _wrong(path, f"a label picture has the axes y and x, this has the shape {values.shape}")
    return values.reshape(values.shape[-2:])


def _label_group(group: zarr.Group, path: str | Path) -> zarr.Group:
    below = group.get("labels")
    if not isinstance(below, zarr.Group):
        return group
    names = sorted(name for name, _ in below.groups())
    if len(names) != 1:
        raise _wrong(path, f"one label picture is needed, found {names}; give the path of one, labels/NAME")
    found = below[names[0]]
    return found if isinstance(found, zarr.Group) else group


def _multiscales(group: zarr.Group) -> list[Any]:
    attributes: dict[str, Any] = dict(group.attrs)
    scales: list[Any] = attributes.get("ome", attributes)["multiscales"]
    return scales


def _wrong(path: str | Path, text: str) -> StoreError:
    return StoreError(f"reading labels: {text}; give OME-Zarr labels with multiscales", subject=Path(path).name)
