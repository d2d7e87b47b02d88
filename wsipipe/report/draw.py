"""The drawing step of the gastric pipeline: an overview, a picture of each top-k tile, the stain before and after.

Enters: a finished slide's layers and the open slide. Leaves: PNG files in the slide's folder. Next room: people.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wsipipe.grid import Box
from wsipipe.report.canvas import save_png
from wsipipe.report.heat import Picture
from wsipipe.report.overview import Findings, Verdict, overview
from wsipipe.report.publish import overview_frame, picture_blocks, picture_frame, suspected, topk
from wsipipe.report.tile import before_after, tile_picture
from wsipipe.report.verdict import verdict
from wsipipe.run.pixels import read_tiles
from wsipipe.run.work import Context
from wsipipe.stage import Stage
from wsipipe.store import read
from wsipipe.store.publish import withdraw
from wsipipe.store.published import is_published
from wsipipe.store.records import PROBABILITY_COLUMNS

OVERVIEW, STAIN, TILE = "overview.png", "stain.png", "tile-{:02d}.png"
MAP_PX = 2000
"""Longer side of the maps that are drawn over the overview is at most this."""


def draw(
    context: Context, *, threshold: float, min_area_um2: float, trained: bool, notices: Sequence[str] = (),
    max_damaged: float = 1.0,
) -> dict[str, Any]:  # fmt: skip
    """Draw a slide's pictures; nothing is done where the slide is published and they are there.

    Parameters
    ----------
    context : Context
        Of a gastric pipeline.
    threshold, min_area_um2 : float
        What counts as a suspected region, as `wsipipe.report.publish.publish` has it.
    trained : bool
    notices : sequence of str
    max_damaged : float
        As `wsipipe.report.verdict.verdict` has them; the notices stand on every picture.
    """
    folder = context.work.pictures
    if is_published(context.work.root, context.work.keys[-1]) and (folder / OVERVIEW).is_file():
        return {}
    withdraw(context.work.root)  # from here until publish the pictures may be of another setting
    folder.mkdir(parents=True, exist_ok=True)
    for old in (*folder.glob("tile-*.png"), *folder.glob(STAIN)):
        old.unlink()
    record = verdict(context, trained=trained, notices=notices, max_damaged=max_damaged)
    found = suspected(context, threshold=threshold, min_area_um2=min_area_um2)
    save_png(folder / OVERVIEW, _overview(context, record, [region.polygon for region in found]))
    for rank, pixels in enumerate(_tiles(context, threshold), 1):
        save_png(folder / TILE.format(rank), pixels)
    if len(context.ids):
        save_png(folder / STAIN, _stain(context))
    return {}


def small_map(context: Context, name: str, *, longest_px: int = MAP_PX) -> Picture:
    """A picture layer, reduced by whole powers of two (mean) until its longer side is at most `longest_px`.

    One unit is in memory at a time.
    """
    frame = picture_frame(context, name)
    factor = 1
    while max(frame.coarser(factor).shape) > longest_px:
        factor *= 2
    small = frame.coarser(factor)
    out = np.zeros(small.shape, np.uint8)
    for box, block in picture_blocks(context, name):
        out[box.shrink(factor).slices()] = _mean(block, factor)
    return Picture(out, small.downsample)


def _mean(block: NDArray[np.uint8], factor: int) -> NDArray[np.uint8]:
    height, width = (-(-side // factor) * factor for side in block.shape)
    full = np.pad(block, ((0, height - block.shape[0]), (0, width - block.shape[1])), mode="edge")
    cells = full.reshape(height // factor, factor, width // factor, factor).mean(axis=(1, 3))
    return np.floor(cells + 0.5).astype(np.uint8)


def _overview(context: Context, record: dict[str, Any], regions: list[Any]) -> NDArray[np.uint8]:
    frame = overview_frame(context)
    ranked = context.value("topk_id")[np.argsort(topk(context).rank)]
    boxes = [context.work.frame.to_l0(Box(*box)) for box in context.work.grid.write_boxes(ranked).tolist()]
    findings = Findings(
        tissue=small_map(context, "tissue"),
        heat=small_map(context, "probability"),
        regions=regions,
        boxes=np.array([(box.y, box.x, *box.shape) for box in boxes], np.float64).reshape(-1, 4),
    )
    known = [record[name] for name in PROBABILITY_COLUMNS]
    said = Verdict(record["category"], None if None in known else known, record["reason"], "; ".join(record["notices"]))
    return overview(
        Picture(context.value("overview"), frame.downsample),
        findings,
        said,
        title=context.work.id,
        l0_mpp=context.work.mpp,
        lines=_lines(context, record),
    )


def _lines(context: Context, record: dict[str, Any]) -> list[str]:
    frame = context.work.frame
    connected = int(context.value("adjacency").sum()) // 2
    lines = [
        f"{record['tiles']} tiles of {context.work.grid.tile} px at {frame.mpp:.3g} µm/px",
        f"graph: {len(record['topk'])} tiles, {connected} edges",
    ]
    return lines + [f"gate {name}: {_answer(check)}" for name, check in record["gate"].items()]


def _answer(check: dict[str, Any]) -> str:
    value = check["value"]
    number = "not measured" if value is None or np.isnan(value) else f"{value:.3g}"
    return number if check["passed"] else f"{number} (failed)"


def _tiles(context: Context, threshold: float) -> Any:
    """A picture of each top-k tile, in rank order."""
    graph, grid = topk(context), context.work.grid
    scale = context.layer("probability").spec("probability").scale
    plane = Box(0, 0, *picture_frame(context, "probability").shape)
    for rank, node in enumerate(np.argsort(graph.rank), 1):
        tile = grid.at(int(graph.tile_id[node]))
        part = tile.write.shrink(scale).intersect(plane)
        rgb = _read(context, int(node))[0]
        probability = read.block(context.layer("probability"), "probability", part)
        label = f"tile {tile.id}, rank {rank}, target probability {graph.target[node]:.4g}"
        yield tile_picture(
            rgb[: tile.write.height, : tile.write.width],
            probability,
            label,
            threshold=threshold,
            mpp=context.work.frame.mpp,
        )


def _stain(context: Context) -> NDArray[np.uint8]:
    """The kept tile with most positive probability, before and after normalisation."""
    rgb = _read(context, int(np.argsort(topk(context).rank)[0]))
    stage = _stage(context, "stain")
    given = {spec.name: context.value(spec.name) for spec in stage.inputs if spec.scope == "slide"}
    after = stage.fn(rgb=rgb, **given)["rgb"][0]
    return before_after(rgb[0], after, mpp=context.work.frame.mpp, title=context.work.id)


def _read(context: Context, node: int) -> NDArray[np.uint8]:
    """``(1, tile, tile, 3)`` pixels of a node of the graph, as scanned."""
    ids, plane = context.value("topk_id")[node : node + 1], context.pipeline.plane
    return read_tiles(context.slide, context.work.frame, context.work.grid, ids, plane=plane)


def _stage(context: Context, name: str) -> Stage:
    return next(stage for step in context.pipeline.steps for stage in step.stages if stage.name == name)
