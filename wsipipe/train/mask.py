"""True categories per pixel: masks of a laboratory's slides and of made ones, read tile by tile.

Enters: a mask file, whatever its form: a picture (PNG, TIFF) of any size, QuPath GeoJSON in level-0 pixels,
OME-Zarr labels, or the ``.truth.npz`` beside a made slide. Leaves: a `Truth`, which gives the categories of a box
of the working frame. Next: `wsipipe.train.cut`.
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from wsipipe.errors import UsageError
from wsipipe.grid import Box, Frame
from wsipipe.models.card import CATEGORIES

Mask = NDArray[np.uint8]
ENDINGS = (".truth.npz", ".geojson", ".geojson.gz", ".json", ".ome.zarr", ".zarr", ".png", ".tif", ".tiff")
"""Endings of mask files, in the order in which they are looked for."""


@dataclass(frozen=True)
class Truth:
    """True categories of a whole slide, kept at the resolution in which they are stored.

    ``whole`` (height, width) uint8 covers the slide's level 0 exactly; None where the slide is negative throughout.
    """

    whole: Mask | None

    def read(self, frame: Frame, box: Box) -> Mask:
        """Categories (height, width) uint8 of a box of the working frame; 0 outside the slide.

        A pixel takes the category of the stored pixel under its middle.
        """
        if self.whole is None:
            return np.zeros((box.height, box.width), np.uint8)
        rows = _places(box.y, box.height, frame.shape[0], self.whole.shape[0])
        columns = _places(box.x, box.width, frame.shape[1], self.whole.shape[1])
        seen = self.whole[np.maximum(rows, 0)][:, np.maximum(columns, 0)]
        seen[rows < 0] = 0
        seen[:, columns < 0] = 0
        return seen


def find_mask(slide: Path, folder: Path | None) -> Path | None:
    """The mask named after a slide, in `folder` or beside it; None where there is none."""
    place = folder or slide.parent
    for ending in ENDINGS:
        for stem in (slide.stem, slide.name):
            path = place / f"{stem}{ending}"
            if path.exists() and path != slide:
                return path
    return None


def read_mask(path: Path, l0_shape: tuple[int, int], category: str) -> Truth:
    """The categories that a mask file holds.

    Parameters
    ----------
    path : Path
    l0_shape : (int, int)
        Height and width of the slide's level 0, which GeoJSON counts in.
    category : str
        Of the slide: what a mask of two values (0 and 255) means by the second.

    Raises
    ------
    UsageError
        Where the file cannot be read, or a value or name is no category.
    """
    name = path.name
    if name.endswith(".truth.npz"):
        with np.load(path, allow_pickle=False) as stored:
            return Truth(_checked(stored["category"], path, category))
    if name.endswith((".geojson", ".geojson.gz", ".json")):
        return Truth(draw_outlines(features_of(read_json(path), path), l0_shape, path))
    if name.endswith(".zarr"):
        return Truth(_checked(_labels(path), path, category))
    picture = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if picture is None:
        raise _unreadable(path, "it is no picture that can be decoded")
    return Truth(_checked(np.asarray(picture), path, category))


def draw_outlines(features: Iterator[dict[str, Any]], l0_shape: tuple[int, int], path: Path) -> Mask:
    """Polygons filled at a sixteenth of a million of the slide's pixels at least, milder categories first."""
    scale = max(1.0, (max(l0_shape) / 8192))
    mask = np.zeros([max(1, round(side / scale)) for side in l0_shape], np.uint8)
    found = sorted(((_category(item, path), item) for item in features), key=lambda pair: pair[0])
    for code, item in found:
        for rings in _polygons(item["geometry"], path):
            points = [
                np.rint((np.asarray(ring, np.float64)[:, :2] / scale - 0.5) * 16).astype(np.int32) for ring in rings
            ]
            cv2.fillPoly(mask, points, code, cv2.LINE_8, 4)
    return mask


def _places(start: int, count: int, frame_side: int, mask_side: int) -> NDArray[np.int64]:
    """Mask pixel under the middle of each frame pixel; -1 outside."""
    middle = (np.arange(start, start + count) + 0.5) * mask_side / frame_side
    found = np.floor(middle).astype(np.int64)
    return np.where((found >= 0) & (found < mask_side), found, -1)


def _checked(values: NDArray[Any], path: Path, category: str) -> Mask:
    plane = values[..., 0] if values.ndim == 3 and values.shape[-1] in (1, 3, 4) else values
    known = np.unique(plane)
    if plane.ndim != 2:
        raise _unreadable(path, f"a mask has two axes, this has the shape {values.shape}")
    if known.max(initial=0) == 255 and set(known.tolist()) <= {0, 255}:
        return np.where(plane == 255, np.uint8(CATEGORIES.index(category)), np.uint8(0))
    if known.min(initial=0) < 0 or known.max(initial=0) >= len(CATEGORIES):
        raise UsageError(
            f"reading a mask: a pixel is 0 to {len(CATEGORIES) - 1} ({', '.join(CATEGORIES)}), or 0 and 255, got the "
            f"values {known[:8].tolist()}: correct it",
            subject=str(path),
        )
    return plane.astype(np.uint8)


def read_json(path: Path) -> Any:
    """What a ``.json``, ``.geojson`` or ``.gz`` of one holds. Raises UsageError where it is none."""
    try:
        opener = gzip.open if path.name.endswith(".gz") else open
        with opener(path, "rt", encoding="utf-8") as handle:
            return json.load(handle)
    except (OSError, EOFError, zlib.error, UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise _unreadable(path, " ".join(str(error).split())) from error


def features_of(whole: Any, path: Path) -> Iterator[dict[str, Any]]:
    """The features with a geometry of a FeatureCollection, of one Feature or of a list of them."""
    features = whole.get("features", [whole]) if isinstance(whole, dict) else whole
    if not isinstance(features, list) or not all(isinstance(item, dict) for item in features):
        raise _unreadable(path, "it is no GeoJSON: a FeatureCollection, a Feature or a list of features")
    yield from (item for item in features if item.get("geometry"))


def class_name(item: dict[str, Any]) -> str:
    """A feature's class as QuPath stores it; empty where it has none."""
    told = (item.get("properties") or {}).get("classification") or {}
    return str(told.get("name") or "" if isinstance(told, dict) else told)


def _category(item: dict[str, Any], path: Path) -> int:
    name = class_name(item)
    found = name.strip().lower().replace("-", "_").replace(" ", "_")
    if found not in CATEGORIES:
        raise UsageError(
            f"reading a mask: an annotation's class is one of {', '.join(CATEGORIES)}, got {name!r}: rename it",
            subject=str(path),
        )
    return CATEGORIES.index(found)


def _polygons(geometry: dict[str, Any], path: Path) -> list[list[list[list[float]]]]:
    kind = geometry.get("type")
    if kind == "Polygon":
        return [geometry["coordinates"]]
    if kind == "MultiPolygon":
        return list(geometry["coordinates"])
    raise UsageError(f"reading a mask: annotations are polygons, got a {kind}: leave it out", subject=str(path))


def _labels(path: Path) -> NDArray[Any]:
    from wsipipe.store.labels import read_labels  # deferred: only OME-Zarr masks need Zarr

    return read_labels(path)


def _unreadable(path: Path, why: str) -> UsageError:
    return UsageError(f"reading a mask: {why}; give a PNG, GeoJSON, or OME-Zarr labels", subject=str(path))
