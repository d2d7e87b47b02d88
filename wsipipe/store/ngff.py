"""Pictures in OME-Zarr, read back: where the levels of a multiscale image lie and what a pixel measures.

Enters: a directory that is a slide's group, an element of it, or any OME-Zarr image (0.4 and 0.5). Leaves: an
`NgffImage`. Next room: `wsipipe.slide.ngff` makes a slide of it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray

from wsipipe.errors import StoreError
from wsipipe.grid import Box
from wsipipe.store import ome

IMAGES = "images"
_LENGTHS = {"micrometer": 1.0, "millimeter": 1e3, "nanometer": 1e-3, "meter": 1e6, "centimeter": 1e4}
_ZARR_ERRORS = (FileNotFoundError, KeyError, ValueError, TypeError, OSError)
"""What Zarr raises on what is no group or no array; its own errors are among them."""


@dataclass(frozen=True, slots=True, eq=False)
class NgffImage:
    """A multiscale image ``(..., y, x)``, optionally with channels.

    Parameters
    ----------
    name : str
    arrays : tuple of zarr.Array
        Finest first, axes as `axes` says.
    axes : str
        One letter per axis, ending in ``yx``: ``"yx"``, ``"cyx"``, ``"tczyx"`` ...
    mpp_yx : (float or None, float or None)
        Micrometres per pixel of the finest level, down and across; None where no length is given.
    """

    name: str
    arrays: tuple[zarr.Array[Any], ...]
    axes: str
    mpp_yx: tuple[float | None, float | None]

    @property
    def shapes(self) -> tuple[tuple[int, int], ...]:
        """Height and width of every level."""
        return tuple((int(array.shape[-2]), int(array.shape[-1])) for array in self.arrays)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the pixels."""
        return np.dtype(self.arrays[0].dtype)

    @property
    def channels(self) -> int:
        """Channels of a plane; 1 where there is no such axis."""
        return int(self.arrays[0].shape[self.axes.index("c")]) if "c" in self.axes else 1

    @property
    def planes(self) -> int:
        """Planes: all axes but channel, y and x together, in the order in which they are stored."""
        return int(np.prod(self._leading(), dtype=np.int64))

    def read(self, level: int, box: Box, plane: int = 0) -> NDArray[Any]:
        """``(height, width, channel)`` of a box inside the level; reads only the chunks that it touches."""
        where = list(np.unravel_index(plane, self._leading())) if self._leading() else []
        index: list[Any] = [slice(None) if axis == "c" else int(where.pop(0)) for axis in self.axes[:-2]]
        pixels = np.asarray(self.arrays[level][(*index, *box.slices())])
        return np.moveaxis(pixels, 0, -1) if pixels.ndim == 3 else pixels[..., None]

    def digest(self) -> str:
        """SHA-256 of shapes, scale and the coarsest level's pixels: cheap, and another picture has another."""
        hashed = hashlib.sha256(repr((self.axes, self.shapes, str(self.dtype), self.mpp_yx)).encode())
        hashed.update(np.ascontiguousarray(self.arrays[-1][...]).tobytes())
        return hashed.hexdigest()

    def _leading(self) -> tuple[int, ...]:
        sizes = zip(self.axes[:-2], self.arrays[0].shape[:-2], strict=True)
        return tuple(int(size) for axis, size in sizes if axis != "c")


def image_names(path: str | Path) -> list[str]:
    """Names below ``images/`` of a slide's group, sorted; none where it has no such group."""
    folder = Path(path) / IMAGES
    return sorted(one.name for one in folder.iterdir() if _is_group(one)) if folder.is_dir() else []


def open_image(path: str | Path, *, name: str | None = None) -> NgffImage:
    """Open a multiscale image.

    Parameters
    ----------
    path : path
        A group with ``multiscales``, one of our elements (whose inner group ``ome`` has them), or a slide's group.
    name : str, optional
        Which of ``images/`` of a slide's group; needed where it has several.

    Raises
    ------
    StoreError
        Where it is none of these, is damaged, or has several images and none was named.
    """
    root = Path(path)
    names = image_names(root)
    if name is None and len(names) > 1:
        listed = ", ".join(names)
        raise StoreError(f"opening an OME-Zarr: it has {len(names)} images, name one of {listed}", subject=str(root))
    if names:
        root = root / IMAGES / (name or names[0])
    try:
        return _image(root)
    except _ZARR_ERRORS as error:
        raise StoreError(
            f"opening an OME-Zarr image: its metadata or arrays are missing or damaged ({type(error).__name__}): give "
            "a group with multiscales (OME-Zarr 0.4 or 0.5)",
            subject=str(path),
        ) from error


def _image(root: Path) -> NgffImage:
    group = zarr.open_group(str(root), mode="r")
    if ome.INNER in group and isinstance(group[ome.INNER], zarr.Group):
        group = zarr.open_group(str(root / ome.INNER), mode="r")
    attributes: Mapping[str, Any] = group.attrs.asdict()
    described = attributes.get("ome", attributes)["multiscales"][0]
    axes = "".join(axis if isinstance(axis, str) else axis["name"] for axis in described["axes"])
    if axes[-2:] != "yx":
        raise ValueError(f"axes end in yx, got {axes}")
    arrays = tuple(_array(group, dataset["path"]) for dataset in described["datasets"])
    return NgffImage(root.name, arrays, axes, _mpp_yx(described))


def _array(group: zarr.Group, path: str) -> zarr.Array[Any]:
    found = group[path]
    if not isinstance(found, zarr.Array):
        raise TypeError(f"{path} is no array")
    return found


def _mpp_yx(described: Mapping[str, Any]) -> tuple[float | None, float | None]:
    """Scale of the finest level times the image's own; None on an axis without a length unit."""
    steps: Sequence[Any] = (
        *described["datasets"][0].get("coordinateTransformations", ()),
        *described.get("coordinateTransformations", ()),
    )
    scales = [step["scale"] for step in steps if step.get("type") == "scale"]
    lengths: list[float | None] = []
    for at in (-2, -1):
        axis = described["axes"][at]
        unit = _LENGTHS.get(axis.get("unit", "")) if isinstance(axis, dict) else None
        size = float(np.prod([scale[at] for scale in scales])) if scales else 0.0
        lengths.append(size * unit if unit and size > 0 else None)
    return lengths[0], lengths[1]


def _is_group(folder: Path) -> bool:
    return any((folder / name).is_file() for name in ("zarr.json", ".zgroup"))
