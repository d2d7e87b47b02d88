"""Publishing: a finished slide's pictures, shapes and tables put in place together, root attributes last.

Enters: what `raster`, `shapes` and `tables` write into an open publication. Leaves: ``images/ labels/ shapes/
tables/`` and the root attributes, which only this module writes. Next room: `wsipipe.query` and other people's tools.

    staged = begin(root)
    write_image(staged, "probability", ...)
    write_table(staged, ...)
    commit(root, key=..., facts=..., record=..., config=..., work=...)

Everything is written under ``work/publishing``, which other tools ignore, and moved in place by `commit`. From the
moment at which the old elements go until the root attributes are written the slide is not published: a reader says
so, and a run that was killed then publishes again, to the same bytes. An object store can move nothing: there the old
elements go in `begin`, and the new ones are written where they stay. The promise is the same, only the time longer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import zarr

from wsipipe.grid import Box, Frame, source_level
from wsipipe.store.layout import LAYOUT_VERSION, WORK
from wsipipe.store.place import moves, place, remove_tree, sync, unsynced, zarr_store
from wsipipe.store.records import plain
from wsipipe.store.tables import REGION

PUBLISHING = "publishing"
KINDS = ("images", "labels", "shapes", "tables")
MARK = "wsipipe"
SPATIALDATA_ATTRS = {"version": "0.2", "spatialdata_software_version": "0.7.0"}


@dataclass(frozen=True)
class SlideFacts:
    """What other tools want to know of the slide and its tiles.

    Parameters
    ----------
    levels : sequence of Frame
        The slide's stored levels, finest first (``slide.info.frames()``).
    frame : Frame
        The working frame.
    tile : int
        Side of a tile in working pixels.
    magnification : float or None
        Nominal objective power, for people.
    bounds : Box or None
        The scanned part of level 0; the whole of it by default.
    """

    levels: Sequence[Frame]
    frame: Frame
    tile: int
    magnification: float | None = None
    bounds: Box | None = None


def begin(root: str | Path) -> Path:
    """An empty publication, beside the published elements where they can be moved; what a killed one left is removed.

    Returns
    -------
    Path
        A Zarr group with the empty groups ``images, labels, shapes, tables``, to be handed to `write_image`,
        `write_labels`, `write_shapes` and `write_table`.
    """
    root = place(root)
    group = zarr.open_group(zarr_store(root), mode="a", zarr_format=3)
    work, staged = group.require_group(WORK), _staged(root)
    if staged == root:
        withdraw(root)
        for kind in KINDS:
            remove_tree(root / kind)
    else:
        remove_tree(staged, missing_ok=True)
        group = work.create_group(PUBLISHING, overwrite=True)
    for kind in KINDS:
        group.create_group(kind)
    return staged


def commit(
    root: str | Path,
    *,
    key: str,
    facts: SlideFacts,
    record: Mapping[str, Any],
    config: Mapping[str, Any],
    work: Sequence[str] = (),
) -> None:
    """Put an open publication in place of what was published before, and say so in the root attributes.

    Parameters
    ----------
    root : path
        The slide's Zarr group, after `begin` and the writing of every element.
    key : str
        Of the finishing step: equal keys, equal published bytes.
    facts : SlideFacts
        For ``tile_spec`` and ``slide_properties``.
    record : mapping
        What is known of the slide: category, probabilities, reason, provenance. JSON values; NaN becomes null.
        Nothing that differs between two runs of one setting (times, host) belongs in it.
    config : mapping
        The resolved configuration.
    work : sequence of str
        Names of the work layers that it was made from.
    """
    root = place(root)
    if (staged := _staged(root)) != root:
        _move_in(root, staged)
    ours = {"layout": LAYOUT_VERSION, "published": key, "record": record, "config": config, "work": list(work)}
    _put(
        root,
        {
            "spatialdata_attrs": SPATIALDATA_ATTRS,
            "tile_spec": {REGION: tile_spec(facts)},
            "slide_properties": slide_properties(facts),
            MARK: ours,
        },
    )


def _staged(root: Path) -> Path:
    """Where a publication is written: beside what it will replace, or in its place where nothing can be moved."""
    return root / WORK / PUBLISHING if moves(root) else root


def _move_in(root: Path, staged: Path) -> None:
    _sync_tree(staged)
    withdraw(root)
    for kind in KINDS:
        remove_tree(root / kind, missing_ok=True)
        (staged / kind).rename(root / kind)
    remove_tree(staged)
    sync(root)


def withdraw(root: str | Path) -> None:
    """Say that a slide is not published; its elements stay until `commit` replaces them."""
    _put(place(root), {MARK: {"layout": LAYOUT_VERSION, "published": None}})


def tile_spec(facts: SlideFacts) -> dict[str, Any]:
    """The ten values from which LazySlide reads tiles: side and stride in working pixels, level and downsamples."""
    frame, tile = facts.frame, facts.tile
    level = source_level(tuple(facts.levels), frame.downsample) if frame.level is None else frame.level
    return {
        "height": tile,
        "width": tile,
        "stride_height": tile,
        "stride_width": tile,
        "mpp": float(frame.mpp),
        "ops_level": level,
        "ops_downsample": float(frame.downsample / facts.levels[level].downsample),
        "base_level": 0,
        "base_downsample": float(frame.downsample),
        "tissue_name": "tissues",
    }


def slide_properties(facts: SlideFacts) -> dict[str, Any]:
    """What LazySlide knows of the slide: shapes ``[height, width]``, bounds ``[x, y, width, height]``."""
    base = facts.levels[0]
    bounds = facts.bounds or base.box
    return {
        "shape": list(base.shape),
        "n_level": len(facts.levels),
        "level_shape": [list(level.shape) for level in facts.levels],
        "level_downsample": [float(level.downsample) for level in facts.levels],
        "mpp": float(base.mpp),
        "magnification": facts.magnification,
        "bounds": [bounds.x, bounds.y, bounds.width, bounds.height],
    }


def _put(root: Path, attributes: Mapping[str, Any]) -> None:
    zarr.open_group(zarr_store(root), mode="r+", zarr_format=3).attrs.put(plain(attributes))
    sync(root / "zarr.json")
    sync(root)


def _sync_tree(folder: Path) -> None:
    for path in unsynced(folder):
        sync(path)
