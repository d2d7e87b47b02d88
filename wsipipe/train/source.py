"""Where training tiles come from: made slides, a laboratory's slides, or tile sets; all end as one folder of shards.

Enters: settings and the pipeline that the network will be used in. Leaves: the path of a complete folder.
Cutting goes on where it was interrupted. Next: `wsipipe.train.tileset`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from wsipipe.errors import UsageError
from wsipipe.grid import Box, Frame
from wsipipe.models.card import CATEGORIES
from wsipipe.run.job import Job, Recipe
from wsipipe.run.pool import Failure, Pool
from wsipipe.run.source import MppPolicy, Source
from wsipipe.stage import digest
from wsipipe.train.config import TilesConfig
from wsipipe.train.cut import Made, Order, before_network, cut, network_step
from wsipipe.train.mask import Truth, find_mask, read_mask
from wsipipe.train.table import SLIDE_COLUMNS, TILE_COLUMNS, Row, read_table
from wsipipe.train.tileset import SPLITS, Shard, class_of, read_index, read_row, write_index, write_row, write_shard
from wsipipe.units import Mpp

REGIMES = dict(zip(SPLITS, ("train", "val", "test"), strict=True))
Told = Callable[[int, int], None]


def silent(done: int, total: int) -> None:
    """Tell nobody."""


def gather(config: TilesConfig, recipe: Recipe, cache: Path, *, told: Told = silent) -> Path:
    """The folder of tiles for a configuration; made where it is not there yet.

    Parameters
    ----------
    config : TilesConfig
    recipe : Recipe
        Of the pipeline whose steps before the tile network the tiles go through.
    cache : Path
        Folder of such folders.
    told : callable
        Called with the slides done and their number.

    Raises
    ------
    UsageError
        For a wrong table, missing masks, a slide that cannot be cut.
    """
    folder = cache / f"tiles-{digest(_shaped(config, recipe))}"
    if read_index(folder) is not None:
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    if config.data.source == "tiles":
        shards = _tile_sets(config, folder)
    else:
        orders = list(
            _made(config, recipe, folder) if config.data.source == "phantom" else _own(config, recipe, folder)
        )
        shards = cut_all(orders, workers=config.machine.workers, told=told)
    write_index(folder, shards)
    return folder


def cut_all(orders: Sequence[Order], *, workers: int, told: Told) -> list[Shard]:
    """Cut all slides that are not cut yet, in worker processes (one: in this); shards in the order of the orders.

    Raises
    ------
    UsageError
        For the first slide that fails; what is cut is kept.
    """
    done = {order.shard.name: read_row(Path(order.folder), order.shard.name) for order in orders}
    left = [order for order in orders if done[order.shard.name] is None]
    told(len(orders) - len(left), len(orders))
    with Pool(workers=workers if workers > 1 else 0, threads=1) as pool:
        waiting = iter(left)
        for order in [*_some(waiting, 2 * pool.slots)]:
            pool.submit(order, cut, order)
        for order, answer in pool.answers():
            if isinstance(answer, Failure):
                raise UsageError(
                    f"cutting training tiles: {answer.error.message}: take the slide out of the table, or mend it",
                    subject=order.source.path or order.shard.name,
                )
            done[order.shard.name] = answer
            told(sum(shard is not None for shard in done.values()), len(orders))
            for more in _some(waiting, 1):
                pool.submit(more, cut, more)
    return [shard for shard in done.values() if shard is not None]


def generator() -> dict[str, str]:
    """Version and hash of the generator of made slides."""
    from wsipipe import phantom  # deferred: only made slides need it

    return {"version": str(phantom.VERSION), "generator": str(phantom.GENERATOR)}


def check_masks(rows: Sequence[Row], found: Sequence[Path | None]) -> None:
    """Every file of a category with lesions needs a mask; a negative one without is negative throughout.

    Raises
    ------
    UsageError
        Where some have none; the first ones are named.
    """
    missing = [
        row.path.name for row, mask in zip(rows, found, strict=True) if mask is None and row.category != CATEGORIES[0]
    ]
    if missing:
        more = f" and {len(missing) - 3} more" if len(missing) > 3 else ""
        raise UsageError(
            f"training: pixel truth is needed for every file that is not negative, {len(missing)} of {len(rows)} have "
            f"no mask ({', '.join(missing[:3])}{more}): put NAME.png, NAME.geojson or NAME.ome.zarr beside them or in "
            "data.own.masks",
            subject="data.own.masks",
        )


def _shaped(config: TilesConfig, recipe: Recipe) -> dict[str, Any]:
    """Everything that shapes the tiles."""
    source = config.data.source
    data = config.data.model_dump(mode="json", exclude={"own"} if source == "phantom" else {"phantom"})
    known: dict[str, Any] = {"data": data, "tile": config.tile.model_dump(mode="json")}
    if source == "phantom":
        known |= generator()
    else:
        known |= {"table": _table(config).read_text(encoding="utf-8-sig"), "seed": config.schedule.seed}
    if source == "tiles":
        return known
    pipeline = recipe.build()
    step = network_step(pipeline)
    before = before_network(pipeline.steps[step])
    return known | {"steps": [one.spec() for one in pipeline.steps[:step]], "before": [one.spec() for one in before]}


def _made(config: TilesConfig, recipe: Recipe, folder: Path) -> Iterator[Order]:
    made, job = config.data.phantom, Job(recipe, "", MppPolicy())
    counts = {"train": made.train_slides, "val": made.val_slides, "test": made.test_slides}
    for split, count in counts.items():
        for number in range(count):
            name, category = f"{split}-{number:05d}", CATEGORIES[number % len(CATEGORIES)]
            shard = Shard(name, split, name, category, ())
            seed = made.seed * 100_000 + number
            yield Order(
                job, Source(""), shard, str(folder), made=Made(seed, REGIMES[split], made.size_px),
                most=made.tiles_per_slide, least=config.data.min_lesion, seed=seed,
            )  # fmt: skip


def _own(config: TilesConfig, recipe: Recipe, folder: Path) -> Iterator[Order]:
    own = config.data.own
    rows = read_table(_table(config), SLIDE_COLUMNS, shares=own.split, seed=config.schedule.seed)
    masks = [row.mask or find_mask(row.path, Path(own.masks) if own.masks else None) for row in rows]
    check_masks(rows, masks)
    job = Job(recipe, "", MppPolicy.parse(own.mpp_policy))
    for number, (row, mask) in enumerate(zip(rows, masks, strict=True)):
        shard = Shard(f"{number:05d}", row.split, row.case_id, row.category, ())
        yield Order(
            job, Source(str(row.path), row.mpp, row.case_id), shard, str(folder), mask=str(mask or ""),
            most=own.tiles_per_slide, least=config.data.min_lesion, seed=config.schedule.seed * 100_000 + number,
        )  # fmt: skip


def _tile_sets(config: TilesConfig, folder: Path) -> list[Shard]:
    """Pictures of one tile each; they are taken as they are, without stain normalisation."""
    own, side = config.data.own, config.tile.size
    rows = read_table(_table(config), TILE_COLUMNS, shares=own.split, seed=config.schedule.seed)
    masks = [row.mask or (find_mask(row.path, Path(own.masks)) if own.masks else None) for row in rows]
    check_masks(rows, masks)
    shards = []
    for number, (row, path) in enumerate(zip(rows, masks, strict=True)):
        rgb = _picture(row.path, side)
        mask = _tile_mask(path, rgb.shape[:2], row.category)
        rgb, mask = rgb[:side, :side], mask[:side, :side]
        label = class_of(mask, least=config.data.min_lesion)
        shard = Shard(f"{number:06d}", row.split, row.case_id, row.category, () if label is None else (label,))
        write_shard(folder, shard.name, rgb[None], mask[None])
        write_row(folder, shard)
        shards.append(shard)
    return shards


def _picture(path: Path, side: int) -> NDArray[np.uint8]:
    seen = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if seen is None or min(seen.shape[:2]) < side:
        got = "no picture that can be decoded" if seen is None else f"{seen.shape[0]} x {seen.shape[1]} px"
        raise UsageError(
            f"reading a tile: a picture of {side} x {side} px or more is needed, got {got}; set tile.size",
            subject=str(path),
        )
    return np.asarray(seen[..., ::-1], np.uint8)


def _tile_mask(path: Path | None, shape: tuple[int, ...], category: str) -> NDArray[np.uint8]:
    """Categories of a picture, (height, width) as it; all negative where there is no mask."""
    height, width = shape
    truth = read_mask(path, (height, width), category) if path else Truth(None)
    return truth.read(Frame((height, width), 1.0, Mpp(1.0)), Box(0, 0, height, width))


def _table(config: TilesConfig) -> Path:
    path = Path(config.data.own.table)
    if not config.data.own.table or not path.is_file():
        raise UsageError(
            f"training from {config.data.source}: data.own.table is the path of a CSV, got {config.data.own.table!r}: "
            "give one",
            subject="data.own.table",
        )
    return path


def _some(waiting: Iterator[Order], most: int) -> Iterator[Order]:
    for _, order in zip(range(most), waiting, strict=False):
        yield order
