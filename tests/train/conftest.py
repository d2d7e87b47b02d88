"""Small tiles whose truth can be seen in their colour, so that a tiny network learns it in seconds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from wsipipe.train.tileset import Shard, write_index, write_shard

COLOURS = np.array([[220, 180, 210], [90, 60, 160], [200, 60, 60], [60, 140, 60]], np.uint8)


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> None:
    """Two threads on two busy cores wait for each other longer than they work."""
    torch.set_num_threads(1)


def painted(kind: int, rng: np.random.Generator, *, side: int = 64) -> tuple[np.ndarray, np.ndarray]:
    """A tile with a square of the category's colour on the ground of the negative one."""
    mask = np.zeros((side, side), np.uint8)
    if kind:
        y, x = rng.integers(0, side // 2, 2)
        mask[y : y + side // 2, x : x + side // 2] = kind
    noise = rng.integers(-15, 16, (side, side, 3))
    return np.clip(COLOURS[mask].astype(int) + noise, 0, 255).astype(np.uint8), mask


@pytest.fixture(scope="session")
def tiles_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A complete folder: 8 training, 4 validation and 4 test shards of 4 tiles, one of each class."""
    folder = tmp_path_factory.mktemp("tiles")
    rng, shards = np.random.default_rng(0), []
    for split, count in (("train", 8), ("val", 4), ("test", 4)):
        for number in range(count):
            pairs = [painted(kind, rng) for kind in range(4)]
            name = f"{split}-{number}"
            write_shard(folder, name, np.stack([p[0] for p in pairs]), np.stack([p[1] for p in pairs]))
            shards.append(Shard(name, split, name, "invasive", (0, 1, 2, 3)))
    write_index(folder, shards)
    return folder
