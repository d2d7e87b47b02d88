"""Sharp pictures on the device, and crops of them in batches: no loader that a GPU would wait for.

Enters: a folder with ``train/`` and ``val/`` of pictures, or made tiles. Leaves: `Pictures`, from which thousands of
crops a second are cut by one gather. Next: `wsipipe.train.deblur_task`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from wsipipe.errors import UsageError
from wsipipe.train.deblur_config import SharpSection

SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp")
FLAT = 6.0
"""Crops whose green channel has a smaller standard deviation (grey levels) are mostly glass: drawn again."""
TRIES = 6


@dataclass(frozen=True)
class Pictures:
    """Pixels of all pictures one after the other, (P, 3) uint8; where each begins, and its height and width, (M, 3)."""

    pixels: Tensor
    places: Tensor
    names: tuple[str, ...]

    @classmethod
    def of(cls, rgb: Sequence[NDArray[np.uint8]], names: Sequence[str], device: str) -> Pictures:
        """Put pictures on a device."""
        starts = np.cumsum([0, *(one.shape[0] * one.shape[1] for one in rgb)])[:-1]
        places = [(int(start), *one.shape[:2]) for start, one in zip(starts, rgb, strict=True)]
        pixels = torch.from_numpy(np.concatenate([one.reshape(-1, 3) for one in rgb]))
        return cls(pixels.to(device), torch.tensor(places, device=device), tuple(names))

    def at_least(self, side: int) -> Pictures:
        """Only those whose sides are as long; one at least must be."""
        rows = torch.nonzero(self.places[:, 1:].amin(dim=1) >= side).flatten()
        return Pictures(self.pixels, self.places[rows], tuple(self.names[row] for row in rows.tolist()))

    def crops(self, count: int, side: int, generator: torch.Generator) -> Tensor:
        """Crops at random: pictures by the square root of their area, turned and mirrored.

        Returns
        -------
        (count, 3, side, side) float32
            0 to 1. A crop that shows little but glass is drawn again, up to `TRIES` times.
        """
        made = self._cut(count, side, generator)
        for _ in range(TRIES):
            flat = made[:, 1].flatten(1).std(dim=1) * 255 < FLAT
            made = torch.where(flat[:, None, None, None], self._cut(count, side, generator), made)
        return made

    def _cut(self, count: int, side: int, generator: torch.Generator) -> Tensor:
        device = self.places.device
        weight = (self.places[:, 1] * self.places[:, 2]).float().sqrt()
        which = torch.multinomial(weight, count, replacement=True, generator=generator)
        start, height, width = self.places[which].T[:, :, None, None]
        draw = torch.rand(count, 5, 1, 1, generator=generator, device=device).unbind(1)
        line = torch.arange(side, device=device)
        rows, columns = line[None, :, None], line[None, None, :]
        rows = torch.where(draw[2] < 0.5, side - 1 - rows, rows)
        columns = torch.where(draw[3] < 0.5, side - 1 - columns, columns)
        turned = draw[4] < 0.5
        y = (draw[0] * (height - side + 1)).long() + torch.where(turned, columns, rows)
        x = (draw[1] * (width - side + 1)).long() + torch.where(turned, rows, columns)
        return self.pixels[start + y * width + x].permute(0, 3, 1, 2).float() / 255


def read(how: SharpSection, part: str, side: int, *, seed: int) -> tuple[list[NDArray[np.uint8]], list[str]]:
    """The pictures of a part at every scale at which a crop of `side` px fits, with their names.

    Raises
    ------
    UsageError
        Where the folder has no such part, or no picture is large enough.
    """
    found = list(_made(how.made, part, seed) if not how.folder else _files(Path(how.folder) / part))
    sized = [
        (small, f"{name} x {scale:g}")
        for rgb, name in found
        for scale in how.scales
        for small in [cv2.resize(rgb, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA) if scale < 1 else rgb]
        if min(small.shape[:2]) >= side
    ]
    if not sized:
        raise UsageError(
            f"none of the {len(found)} pictures of {part}/ has sides of {side} px or more: give larger pictures, or "
            "lower schedule.crop_px",
            subject=how.folder,
        )
    return [rgb for rgb, _ in sized], [name for _, name in sized]


def _files(folder: Path) -> Iterator[tuple[NDArray[np.uint8], str]]:
    if not folder.is_dir():
        raise UsageError(
            "data.folder holds the folders train/ and val/ of sharp pictures, one is missing: make it",
            subject=str(folder),
        )
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() in SUFFIXES:
            pixels = cv2.imread(str(path), cv2.IMREAD_COLOR)
            if pixels is None:
                raise UsageError("this picture cannot be decoded: copy it again, or take it out", subject=str(path))
            yield np.asarray(cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB), np.uint8), path.name


def _made(count: int, part: str, seed: int) -> Iterator[tuple[NDArray[np.uint8], str]]:
    """Made tiles, one of each class in turn; a part has its own seeds."""
    from wsipipe.phantom import tiles

    rgb, _, _ = tiles(2 * seed + (part == "val"), count if part == "train" else max(2, count // 8), part)
    yield from ((one, f"made {part} {number}") for number, one in enumerate(rgb))
