"""Exact truth of a made field: which pixels are tissue, which are lesion, and of which category.

Enters: a `Scene`. Leaves: category masks, outlines, and the `Truth` that is written beside a slide.
Next room: `wsipipe.phantom.gastric_slide`, and training and evaluation outside.

The lesion is what a pathologist would outline: the lesional glands, nests and cells and the stroma between
them (gaps up to `BRIDGE_UM` are closed), within the tissue. Where kinds meet the higher category wins.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from wsipipe.errors import SlideOpenError
from wsipipe.phantom.gastric_scene import Scene

BRIDGE_UM = (0.0, 40.0, 40.0, 64.0)
"""Gap between two parts of a lesion of each category that is still lesion."""
HOLE_UM2 = 8000.0
"""A smaller hole in a lesion is lesion."""
GRID_UM = 2.0
"""Micrometres per pixel at which lesions are closed and outlined."""
TRUTH_DOWNSAMPLE = 8
"""Level-0 pixels per pixel of the masks on disk."""
Mask = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Truth:
    """What is known of a made slide.

    Parameters
    ----------
    category : str
        Of the slide: the highest category of any lesion on it.
    regime, seed, version, generator : str, int, str, str
        What made it: `generator` is a hash of every number that shapes a slide.
    mpp : float
        Of level 0.
    shape : (int, int)
        Height and width of level 0 in pixels.
    lesion_share : float
        Lesion area over tissue area, 0 to 1; of all categories together.
    shares : dict
        Category name to its share of the tissue area.
    downsample : int
        Level-0 pixels per pixel of the masks.
    glands, nuclei : int
        How many there are.
    artefacts : tuple of str
        Names of what was put on it, sorted.
    """

    category: str
    regime: str
    seed: int
    version: str
    generator: str
    mpp: float
    shape: tuple[int, int]
    lesion_share: float
    shares: dict[str, float]
    downsample: int
    glands: int
    nuclei: int
    artefacts: tuple[str, ...]


def tissue_map(scene: Scene, um: float) -> Mask:
    """Tissue (1) of the field at `um` micrometres per pixel."""
    side = int(np.ceil(scene.side_um / um))
    mask = np.zeros((side, side), np.uint8)
    for outline in scene.outlines:
        cv2.fillPoly(mask, [np.rint(outline[:, ::-1] / um * 16 - 8).astype(np.int32)], 1, cv2.LINE_8, 4)
    return mask


def category_map(scene: Scene) -> Mask:
    """Category (0 to 3) per pixel of `GRID_UM` micrometres; 0 also outside the tissue."""
    tissue = tissue_map(scene, GRID_UM)
    made = np.zeros_like(tissue)
    for category in (1, 2, 3):
        contours = [contour for kind, contour in scene.lesions if kind == category]
        if not contours:
            continue
        mask = np.zeros_like(tissue)
        for contour in contours:
            cv2.fillPoly(mask, [np.rint(contour[:, ::-1] / GRID_UM * 16 - 8).astype(np.int32)], 1, cv2.LINE_8, 4)
        made[_closed(mask, BRIDGE_UM[category]) > 0] = category
    return made * tissue


def enlarge(mask: Mask, side: int, um: float, *, corner_um: tuple[float, float] = (0.0, 0.0)) -> Mask:
    """A square of `side` pixels of `um` micrometres of a `category_map`, with smooth borders, at `corner_um`."""
    scale = um / GRID_UM
    y, x = (um / GRID_UM + scale / 2 - 0.5 for um in corner_um)
    move = np.array([[scale, 0, x], [0, scale, y]])
    made = np.zeros((side, side), np.uint8)
    for category in range(1, 4):
        share = cv2.GaussianBlur((mask == category).astype(np.float32), (0, 0), 0.7)
        fine = cv2.warpAffine(share, move, (side, side), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
        made[fine > 0.5] = category
    return made


def outlines(mask: Mask) -> list[tuple[int, list[NDArray[np.float64]]]]:
    """Each lesion of a `category_map`: its category, its contour, then those of its holes, yx in micrometres."""
    found: list[tuple[int, list[NDArray[np.float64]]]] = []
    for category in range(1, 4):
        part = (mask == category).astype(np.uint8)
        contours, tree = cv2.findContours(part, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_TC89_L1)
        rings = [(contour[:, 0, ::-1].astype(np.float64) + 0.5) * GRID_UM for contour in contours]
        for index, ring in enumerate(rings):
            if tree[0, index, 3] < 0 and len(ring) >= 4:
                holes = [rings[i] for i in range(len(rings)) if tree[0, i, 3] == index and len(rings[i]) >= 4]
                found.append((category, [ring, *holes]))
    return found


def write_truth(path: Path, truth: Truth) -> None:
    """Write the record as JSON."""
    path.write_text(json.dumps(asdict(truth), indent=1, sort_keys=True) + "\n", encoding="utf-8")


def gastric_truth(path: str | Path) -> Truth:
    """The record beside a made slide (``NAME.truth.json``), given the path of the slide or of the record.

    Raises
    ------
    SlideOpenError
        Where there is no such record.
    """
    path = Path(path)
    beside = path if path.name.endswith(".truth.json") else path.with_name(path.stem + ".truth.json")
    if not beside.is_file():
        raise SlideOpenError(
            f"reading the truth of a made slide: expected {beside.name} beside it, found none; "
            "only slides from wsipipe's phantoms have one",
            subject=str(path),
        )
    record = json.loads(beside.read_text(encoding="utf-8"))
    return Truth(**record | {"shape": tuple(record["shape"]), "artefacts": tuple(record["artefacts"])})


def _closed(mask: Mask, bridge_um: float) -> Mask:
    """Closing by half the bridge on each side; computed on a padded map so that borders do not open."""
    radius = max(1, round(bridge_um / 2 / GRID_UM))
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1,) * 2)
    padded = cv2.copyMakeBorder(mask, *(2 * radius,) * 4, cv2.BORDER_CONSTANT, value=0)
    closed = cv2.morphologyEx(padded, cv2.MORPH_CLOSE, kernel)
    edge = 2 * radius
    holes, _ = cv2.findContours(1 - closed, cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
    small = [hole for hole in holes if cv2.contourArea(hole) < HOLE_UM2 / GRID_UM**2]
    cv2.fillPoly(closed, small, 1)
    return np.asarray(closed[edge:-edge, edge:-edge], dtype=np.uint8)
