"""What the report shows of network one: scores of both splits and the tiles that it gets most wrong.

Enters: what the network says of a split, and the split's tiles. Leaves: the report's folder. Next: people.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from wsipipe.models.card import CATEGORIES
from wsipipe.train.report import worst_rows, worst_sheet, write_report
from wsipipe.train.tiles import Said
from wsipipe.train.tileset import TileSet


def tiles_report(
    folder: Path, history: Sequence[Mapping[str, float]], said: Mapping[str, Said], tiles: Mapping[str, TileSet]
) -> None:
    """Write the report of network one; see `wsipipe.train.report`."""
    classified = {split: (one.label, one.prob) for split, one in said.items()}
    write_report(folder, history, classified, {split: one.measures() for split, one in said.items()})
    for split, one in said.items():
        rows = worst_rows(one.label, one.prob)
        _sheet(folder / f"{split}-worst-classes.png", one, tiles[split], rows.tolist())
        wrong = [
            np.mean((tiles[split].read(row)[1][2::4, 2::4] > 0) != one.coarse[row]) for row in range(len(one.label))
        ]
        order = np.argsort(-np.array(wrong), kind="stable")[:24]
        _sheet(folder / f"{split}-worst-masks.png", one, tiles[split], order.tolist())


def _sheet(path: Path, said: Said, tiles: TileSet, rows: Sequence[int]) -> None:
    pairs = [tiles.read(row) for row in rows]
    captions = [
        f"{CATEGORIES[said.label[row]]} -> {CATEGORIES[said.prob[row].argmax()]} {said.prob[row].max():.2f}\n"
        f"dice {said.tile_dice[row]:.2f}  {tiles.shards[tiles.where[row, 0]].name}/{tiles.where[row, 1]}"
        for row in rows
    ]
    masks = [
        (mask > 0, said.coarse[row].repeat(4, axis=0).repeat(4, axis=1))
        for row, (_, mask) in zip(rows, pairs, strict=True)
    ]
    worst_sheet(path, [rgb for rgb, _ in pairs], captions, masks=masks)
