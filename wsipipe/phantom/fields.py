"""Microscope fields cut from a picture, with all that a microscope does to them, and where each exactly lies.

Enters: a picture, or a texture made from a seed. Leaves: fields and their `FieldsTruth`. Next rooms: `wsipipe.stitch`
is tested and measured with them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import Image

from wsipipe.grid import Box

U8 = NDArray[np.uint8]
Read = Callable[[Box], U8]
GLASS = 243
MARGIN_PX = 24
"""Kept free around the picture, for jitter and turns."""
TRUTH = "truth.json"


@dataclass(frozen=True)
class FieldsTruth:
    """Where fields lie.

    Parameters
    ----------
    middle : (N, 2) float
        ``y, x`` in the picture.
    turn : (N,) float
        Radians, as in `wsipipe.stitch.solve`.
    cell : (N, 2) int
        Row and column.
    empty : (N,) bool
        Fields of glass only.
    shape : (int, int)
        Of the fields.
    """

    middle: NDArray[np.float64]
    turn: NDArray[np.float64]
    cell: NDArray[np.int64]
    empty: NDArray[np.bool_]
    shape: tuple[int, int]

    def name(self, index: int, ending: str = "png") -> str:
        """File name of a field."""
        row, column = self.cell[index]
        return f"field_x{column + 1:02d}_y{row + 1:02d}.{ending}"


@dataclass(frozen=True)
class Microscope:
    """What is done to fields.

    Parameters
    ----------
    side : int
        Of a field, pixels.
    overlap : float
        Share of the side, as the stage is asked for.
    jitter_px : int
        Largest error of the stage, each axis, whole pixels.
    turn_deg : float
        Largest turn of a field.
    vignetting : float
        Brightness that a corner lacks, 0 to 1; falls with the fourth power of the cosine, off the middle.
    noise : float
        Standard deviation at white, grey levels; as light has it, with the root of the brightness.
    blur_px : float
        Standard deviation of a Gaussian.
    empty_share : float
        Of the fields that are glass.
    """

    side: int = 512
    overlap: float = 0.1
    jitter_px: int = 0
    turn_deg: float = 0.0
    vignetting: float = 0.0
    noise: float = 0.0
    blur_px: float = 0.0
    empty_share: float = 0.0


def texture(shape: tuple[int, int], seed: int = 0) -> Read:
    """A picture of any size that repeats nowhere: grains in the colours of H&E; parts of it cost what they show.

    Values are those of a coarse random grid, enlarged four times by cubic interpolation, the same in every box.
    """
    rng = np.random.default_rng(seed)
    grains = rng.integers(0, 256, (shape[0] // 4 + 8, shape[1] // 4 + 8, 2), np.uint8)

    def read(box: Box) -> U8:
        y, x = box.y // 4, box.x // 4
        part = grains[y : (box.y1 + 3) // 4 + 4, x : (box.x1 + 3) // 4 + 4]
        large = cv2.resize(part, None, fx=4, fy=4, interpolation=cv2.INTER_CUBIC)
        cut = large[box.y - 4 * y + 8 :, box.x - 4 * x + 8 :][: box.height, : box.width].astype(np.int16)
        blue, pink = cut[..., 0] * 5 // 8, cut[..., 1] // 2
        rgb = np.stack([235 - blue - pink // 8, 232 - blue - pink, 238 - blue // 3 - pink // 4], axis=-1)
        return np.asarray(np.clip(rgb, 0, 255), np.uint8)

    return read


def from_array(picture: U8) -> Read:
    """Read boxes of a picture in memory."""
    return lambda box: picture[box.slices()]


def layout(shape: tuple[int, int], how: Microscope, seed: int = 0) -> FieldsTruth:
    """Where fields are cut from a picture of this shape: as many as fit, from its upper left.

    Raises
    ------
    ValueError
        Where not two fit, or jitter and turns would reach over the picture's edge.
    """
    reach = how.jitter_px + (_spread(how.side, np.deg2rad(how.turn_deg)) if how.turn_deg else 0)
    if reach > MARGIN_PX:
        raise ValueError(
            f"jitter and turns of fields of {how.side} px reach {reach} px over their places, {MARGIN_PX} are free"
        )
    rng = np.random.default_rng(seed)
    pitch = round(how.side * (1 - how.overlap))
    rows, columns = ((length - 2 * MARGIN_PX - how.side) // pitch + 1 for length in shape)
    if min(rows, columns) < 1 or rows * columns < 2:
        raise ValueError(f"two fields of {how.side} px and a margin of {MARGIN_PX} px do not fit into {shape}")
    cell = np.stack(np.meshgrid(np.arange(rows), np.arange(columns), indexing="ij"), axis=-1).reshape(-1, 2)
    jitter = rng.integers(-how.jitter_px, how.jitter_px + 1, cell.shape)
    middle = np.asarray(cell * pitch + MARGIN_PX + (how.side - 1) / 2 + jitter, np.float64)
    turn: NDArray[np.float64] = np.deg2rad(rng.uniform(-how.turn_deg, how.turn_deg, len(cell)))
    empty = np.zeros(len(cell), bool)
    empty[rng.permutation(len(cell))[: round(how.empty_share * len(cell))]] = True
    return FieldsTruth(middle, turn if how.turn_deg else np.zeros(len(cell)), cell, empty, (how.side, how.side))


def fields(read: Read, truth: FieldsTruth, how: Microscope, seed: int = 0) -> Iterator[U8]:
    """The fields, one by one, in the order of `truth`; with no degradation they are cut out as they are."""
    shade = _shade(how)
    for index in range(len(truth.middle)):
        rng = np.random.default_rng([seed, index])
        pixels = _cut(read, truth, index)
        _erase(pixels, truth, index)
        if how.blur_px:
            pixels = cv2.GaussianBlur(pixels, (0, 0), how.blur_px)
        if how.vignetting or how.noise:
            lit = pixels.astype(np.float32) * shade
            if how.noise:
                lit += rng.standard_normal(lit.shape, np.float32) * how.noise * np.sqrt(np.maximum(lit, 1) / 255)
            pixels = np.clip(np.rint(lit), 0, 255).astype(np.uint8)
        yield pixels


def write(folder: Path, read: Read, truth: FieldsTruth, how: Microscope, *, seed: int = 0, ending: str = "png") -> Path:
    """Write fields and ``truth.json``; ``png`` or uncompressed ``tif``."""
    folder.mkdir(parents=True, exist_ok=True)
    for index, pixels in enumerate(fields(read, truth, how, seed)):
        path = folder / truth.name(index, ending)
        if ending == "png":
            Image.fromarray(pixels).save(path, compress_level=1)
        else:
            tifffile.imwrite(path, pixels, photometric="rgb", metadata=None)
    told: dict[str, Any] = {
        "files": [truth.name(index, ending) for index in range(len(truth.middle))], "shape": list(truth.shape),
        "middle": truth.middle.tolist(), "turn": truth.turn.tolist(), "cell": truth.cell.tolist(),
        "empty": truth.empty.tolist(),
    }  # fmt: skip
    (folder / TRUTH).write_text(json.dumps(told) + "\n", encoding="utf-8")
    return folder


def read_truth(folder: Path) -> FieldsTruth:
    """What `write` left beside the fields."""
    told = json.loads((folder / TRUTH).read_text(encoding="utf-8"))
    return FieldsTruth(
        np.array(told["middle"], float), np.array(told["turn"], float), np.array(told["cell"], np.int64),
        np.array(told["empty"], bool), (int(told["shape"][0]), int(told["shape"][1])),
    )  # fmt: skip


def _cut(read: Read, truth: FieldsTruth, index: int) -> U8:
    side = truth.shape[0]
    middle, turn = truth.middle[index], float(truth.turn[index])
    half = (side - 1) / 2
    if turn == 0:
        y, x = (int(at) for at in np.rint(middle - half))
        return read(Box(y, x, side, side)).copy()
    more = _spread(side, turn)
    box = Box(int(middle[0] - half) - more, int(middle[1] - half) - more, side + 2 * more, side + 2 * more)
    cos, sin = np.cos(turn), np.sin(turn)
    # a field's point p shows the picture's point middle + (cos y + sin x, cos x - sin y)
    y0, x0 = middle[0] - box.y - cos * half - sin * half, middle[1] - box.x - cos * half + sin * half
    place = np.array([[cos, -sin, x0], [sin, cos, y0]])
    turned = cv2.warpAffine(
        read(box), place, (side, side), flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP, borderMode=cv2.BORDER_REPLICATE
    )
    return np.asarray(turned, np.uint8)


def _spread(side: int, turn: float) -> int:
    """Pixels around a field that are read to turn it."""
    return int(np.ceil(abs(turn) * side)) + 4


def _erase(pixels: U8, truth: FieldsTruth, index: int) -> None:
    """Ground under an empty field is glass, whoever looks at it."""
    side = truth.shape[0]
    for other in np.flatnonzero(truth.empty):
        y, x = np.rint(truth.middle[other] - truth.middle[index]).astype(int)
        pixels[max(0, y) : max(0, y + side), max(0, x) : max(0, x + side)] = GLASS


def _shade(how: Microscope) -> NDArray[np.float32]:
    """Brightness over the field; its middle is an eighth off the field's."""
    at = np.linspace(-1, 1, how.side)
    square = ((at[:, None] - 0.1) ** 2 + (at[None] + 0.15) ** 2) / 2
    tangent = (1 / max(1e-6, 1 - how.vignetting)) ** 0.5 - 1
    return np.asarray(1 / (1 + tangent * square[..., None]) ** 2, np.float32)
