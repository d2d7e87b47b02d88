"""Tiles with truth on disk: one pair of memory-mapped arrays per slide, and an index that is written last.

Enters: tiles of one slide at a time. Leaves: `TileSet`, read tile by tile in any order. The folder is named after
everything that shaped the tiles, so another setting makes another folder and a finished one is used again.
Next: `wsipipe.train.tiles`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wsipipe.errors import UsageError
from wsipipe.models.card import CATEGORIES
from wsipipe.train.file import put

INDEX = "index.json"
SPLITS = ("train", "val", "test")
Rgb = NDArray[np.uint8]
Mask = NDArray[np.uint8]


@dataclass(frozen=True)
class Shard:
    """Tiles of one slide.

    ``name`` is the stem of its two files; ``category`` of the slide; ``label`` the class of each tile.
    """

    name: str
    split: str
    case_id: str
    category: str
    label: tuple[int, ...]


def class_of(mask: Mask, *, least: float) -> int | None:
    """Class of a tile: the most severe category on at least the share `least` of its pixels, else negative.

    Returns
    -------
    int or None
        None where a lesion is there, but on less than `least`: such a tile is neither, and is not learnt from.
    """
    share = np.bincount(mask.ravel(), minlength=len(CATEGORIES))[1 : len(CATEGORIES)] / mask.size
    if ((share > 0) & (share < least)).any():
        return None
    return int(np.flatnonzero(share)[-1]) + 1 if share.any() else 0


def write_shard(folder: Path, name: str, rgb: Rgb, mask: Mask) -> None:
    """``NAME-rgb.npy`` (n, side, side, 3) and ``NAME-mask.npy`` (n, side, side), both uint8."""
    for kind, array in (("rgb", rgb), ("mask", mask)):
        np.save(folder / f"{name}-{kind}.npy", np.ascontiguousarray(array), allow_pickle=False)


def write_row(folder: Path, shard: Shard) -> None:
    """Note that a shard is complete, so that a cut that was interrupted goes on after it."""
    put(folder / f"{shard.name}.json", json.dumps(asdict(shard)).encode(), what="a shard of tiles")


def read_row(folder: Path, name: str) -> Shard | None:
    """The shard of that name, if it is complete."""
    path = folder / f"{name}.json"
    return _shard(json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else None


def write_index(folder: Path, shards: Iterable[Shard]) -> None:
    """The index, last: a folder with one is complete."""
    text = json.dumps([asdict(shard) for shard in shards], indent=0)
    put(folder / INDEX, text.encode(), what="the index of the tiles")


def read_index(folder: Path) -> list[Shard] | None:
    """The shards of a complete folder; None where it is not complete."""
    path = folder / INDEX
    if not path.is_file():
        return None
    rows = json.loads(path.read_text(encoding="utf-8"))
    return [_shard(row) for row in rows]


@dataclass(frozen=True)
class TileSet:
    """All tiles of one split.

    Parameters
    ----------
    folder : Path
    shards : sequence of Shard
    """

    folder: Path
    shards: Sequence[Shard]
    _open: dict[str, NDArray[np.uint8]] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def of(cls, folder: Path, split: str) -> TileSet:
        """The tiles of a split of a complete folder.

        Raises
        ------
        UsageError
            Where the folder is not complete, or a class has no tile in it.
        """
        shards = read_index(folder)
        if shards is None:
            raise UsageError(
                "reading tiles: the folder is not complete (no index.json); make it again", subject=str(folder)
            )
        found = cls(folder, [shard for shard in shards if shard.split == split and shard.label])
        check_classes(found.label, split=split)
        return found

    def __len__(self) -> int:
        return len(self.label)

    @cached_property
    def label(self) -> NDArray[np.int64]:
        """Class of every tile."""
        return np.array([label for shard in self.shards for label in shard.label], np.int64)

    @cached_property
    def where(self) -> NDArray[np.int64]:
        """(N, 2): shard and row of every tile."""
        rows = [(number, row) for number, shard in enumerate(self.shards) for row in range(len(shard.label))]
        return np.array(rows, np.int64).reshape(-1, 2)

    def read(self, index: int) -> tuple[Rgb, Mask]:
        """Pixels and mask of one tile, memory-mapped: copy what is to be changed."""
        number, row = self.where[index].tolist()
        name = self.shards[number].name
        return self._array(f"{name}-rgb")[row], self._array(f"{name}-mask")[row]

    def _array(self, name: str) -> NDArray[np.uint8]:
        if name not in self._open:
            self._open[name] = np.load(self.folder / f"{name}.npy", mmap_mode="r")
        return self._open[name]


def _shard(row: dict[str, Any]) -> Shard:
    return Shard(**row | {"label": tuple(row["label"])})


def check_classes(label: NDArray[np.integer], *, split: str, what: str = "tile") -> None:
    """Every category needs an example to be learnt from.

    Raises
    ------
    UsageError
        Where one has none.
    """
    count = np.bincount(label, minlength=len(CATEGORIES))
    empty = [name for name, number in zip(CATEGORIES, count.tolist(), strict=True) if number == 0]
    if empty:
        raise UsageError(
            f"training: every category needs a {what} in split {split!r}, there is none of {', '.join(empty)}: add "
            "cases, or change the split",
            subject="data",
        )
