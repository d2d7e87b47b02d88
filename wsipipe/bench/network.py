"""The tile network: tiles per second beside what the measured matrix-product rate allows, and beside MONAI's V-Net.

Enters: the name of weights. Leaves: figures. Speed only: equal Dice is the evaluation's business.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np

from wsipipe.bench.figure import LIMIT, OURS, Figure, Job, figure
from wsipipe.bench.peers import installed
from wsipipe.lesion import tile_network
from wsipipe.models.architecture import VNET, VNetConfig, settings
from wsipipe.models.device import BATCH, number_format
from wsipipe.models.vnet import gflop
from wsipipe.models.weights import find

TILE, SIDE = 512, 2048
DTYPES = ("float32", "bfloat16")
BATCHES = (1, 4, 8, 16)
"""Tiles per forward pass that are tried beside the default."""


def figures(
    *, peers: bool, rounds: int, weights: str = "gastric-phantom-v1", batch: int = BATCH["cpu"]
) -> Iterator[Figure]:
    """Float32 and bfloat16, each beside a matrix product of the same precision; one thread."""
    cost = gflop(settings(find(weights, VNET).card.architecture, "vnet", VNetConfig), TILE)
    rng = np.random.default_rng(0)
    given = {
        "rgb": rng.integers(0, 255, (batch, TILE, TILE, 3)).astype(np.uint8),
        "inside": np.full((batch, 2), TILE, np.int32),
    }
    for dtype in DTYPES:
        stage = tile_network(weights=weights, batch=batch, dtype=dtype, device="cpu")
        jobs: dict[str, Job] = {OURS: partial(_forward, stage, given), LIMIT: partial(_product, dtype, cost)}
        if peers and installed("MONAI") and dtype == "float32":
            jobs["MONAI V-Net"] = _monai()
        note = f"limit: {SIDE} x {SIDE} matrix product at {cost:.2f} GFLOP per tile"
        yield figure(work(dtype), "tiles/s", jobs, rounds=rounds, note=note)


def batches(*, rounds: int, weights: str = "gastric-phantom-v1") -> Iterator[Figure]:
    """Other numbers of tiles per forward pass, to choose one; in the number format that a run takes here."""
    dtype = number_format()
    rng = np.random.default_rng(0)
    for batch in BATCHES:
        given = {
            "rgb": rng.integers(0, 255, (batch, TILE, TILE, 3)).astype(np.uint8),
            "inside": np.full((batch, 2), TILE, np.int32),
        }
        stage = tile_network(weights=weights, batch=batch, dtype=dtype, device="cpu")
        yield figure(f"{work(dtype)}, batch {batch}", "tiles/s", {OURS: partial(_forward, stage, given)},
                     rounds=rounds)  # fmt: skip


def work(dtype: str) -> str:
    """The name of a number format's figure."""
    return f"tile network, {dtype}"


def _forward(stage: Any, given: dict[str, Any]) -> float:
    stage.fn(**given)
    return float(len(given["rgb"]))


def _product(dtype: str, cost: float) -> float:
    """Tiles that the operations of one matrix product would pay for."""
    import torch

    one = torch.ones(SIDE, SIDE, dtype=getattr(torch, dtype))
    with torch.inference_mode():
        one @ one
    return float(2 * SIDE**3 / 1e9 / cost)


def _monai() -> Job:
    """Two-dimensional, four channels (it takes divisors of 16), one tile."""
    import torch
    from monai.networks.nets import VNet

    network = VNet(spatial_dims=2, in_channels=4, out_channels=4).eval()
    tile = torch.zeros(1, 4, TILE, TILE)

    def forward() -> float:
        with torch.inference_mode():
            network(tile)
        return 1.0

    return forward
