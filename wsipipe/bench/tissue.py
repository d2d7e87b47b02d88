"""Tissue mask and tile boxes: the pipeline's own steps, beside TIAToolbox's mask and patch extractor.

Enters: a slide. Leaves: a figure in Mpx of the working frame per second.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wsipipe import tissue
from wsipipe.bench.figure import OURS, Figure, Job, figure
from wsipipe.bench.peers import installed
from wsipipe.config import TileSection, TissueSection
from wsipipe.grid import Grid
from wsipipe.grid.place import choose_frame
from wsipipe.pipelines import gastric
from wsipipe.run import pixels
from wsipipe.run.forecast import expect
from wsipipe.run.job import Job as RunJob
from wsipipe.run.source import MppPolicy, Source, close_all
from wsipipe.slide import Slide, open_slide

MPP, TILE, MIN_TISSUE = 0.5, 512, 0.70


def figures(path: Path, *, peers: bool, rounds: int) -> Iterator[Figure]:
    """Ours in memory, beside the peer's; then as a run does it, with marks, masks and shares in a store on the disk."""
    with closing(open_slide(path)) as slide:
        (height, width), mpp = slide.info.shape, slide.info.mpp or MPP
    area = height * width * (mpp / MPP) ** 2 / 1e6
    launch = gastric.launch(
        None, ["network.weights=untrained:0:tiny", "graph.weights=untrained:0:tiny"], untrained=True
    )
    job, source = RunJob(launch.recipe, "", MppPolicy("assume", MPP)), Source(str(path))

    def in_memory() -> float:
        with closing(open_slide(path, mpp=mpp)) as opened:
            boxes(opened)
        return area

    def stored() -> float:
        close_all()
        expect(job, source)
        return area

    jobs: dict[str, Job] = {OURS: in_memory}
    if peers and installed("TIAToolbox"):
        jobs["TIAToolbox, mask and extractor"] = _tiatoolbox(path, area)
    yield figure("tissue mask and tile boxes, in memory", "Mpx/s", jobs, rounds=rounds)
    yield figure("tissue mask and tile boxes, stored", "Mpx/s", {OURS: stored}, rounds=rounds)


def boxes(slide: Slide) -> NDArray[np.int64]:
    """Ids of the tiles with enough tissue, by the stages that a run has, unit by unit, and nothing written."""
    told, unit_side = TissueSection(), TileSection().unit  # what a run has by default
    mask, fit = tissue.mask(scale=told.scale), tissue.fit_threshold()
    frame = choose_frame(slide.info.frames(), MPP)
    grid = Grid(frame.shape, TILE, unit=unit_side, halo=mask.halo)
    overview, _ = pixels.read_overview(slide, frame, longest_px=told.overview_px)
    threshold = fit.fn(overview=overview)["tissue_threshold"]
    kept = []
    for unit in range(grid.n_units):
        ids, rgb = pixels.read_unit(slide, frame, grid, unit, scale=told.scale)
        inside = grid.write_boxes(ids)[:, 2:].astype(np.int32)
        shares = mask.fn(rgb=rgb, inside=inside, tissue_threshold=threshold)["tissue_share"]
        kept.append(ids[tissue.keep(shares, MIN_TISSUE)])
    return np.concatenate(kept)


def _tiatoolbox(path: Path, area: float) -> Job:
    """Otsu's mask at 8 um/px, as ours, and boxes with as much tissue."""
    from tiatoolbox.tools.patchextraction import SlidingWindowPatchExtractor
    from tiatoolbox.wsicore.wsireader import WSIReader

    def theirs() -> float:
        reader: Any = WSIReader.open(path)
        mask = reader.tissue_mask(method="otsu", resolution=16 * MPP, units="mpp")
        size = (TILE, TILE)
        SlidingWindowPatchExtractor(
            reader,
            patch_size=size,
            input_mask=mask,
            stride=size,
            resolution=MPP,
            units="mpp",
            min_mask_ratio=MIN_TISSUE,
        )
        return area

    return theirs
