"""Tissue mask and tile boxes: the pipeline's own steps, beside TIAToolbox's mask and patch extractor.

Enters: a slide. Leaves: a figure in Mpx of the working frame per second.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from wsipipe.bench.figure import OURS, Figure, Job, figure
from wsipipe.bench.peers import installed
from wsipipe.pipelines import gastric
from wsipipe.run.forecast import expect
from wsipipe.run.job import Job as RunJob
from wsipipe.run.source import MppPolicy, Source, close_all
from wsipipe.slide import open_slide

MPP, TILE, MIN_TISSUE = 0.5, 512, 0.70


def figures(path: Path, *, peers: bool, rounds: int) -> Iterator[Figure]:
    """Ours writes its mask to a temporary store, as a run does; theirs is kept in memory."""
    slide = open_slide(path)
    height, width = slide.info.shape
    scale = (slide.info.mpp or MPP) / MPP
    slide.close()
    area = height * width * scale**2 / 1e6
    launch = gastric.launch(
        None, ["network.weights=untrained:0:tiny", "graph.weights=untrained:0:tiny"], untrained=True
    )
    job = RunJob(launch.recipe, "", MppPolicy("assume", MPP))

    def ours() -> float:
        close_all()
        expect(job, Source(str(path)))
        return area

    jobs: dict[str, Job] = {OURS: ours}
    if peers and installed("TIAToolbox"):
        jobs["TIAToolbox, mask and extractor"] = _tiatoolbox(path, area)
    yield figure("tissue mask and tile boxes", "Mpx/s", jobs, rounds=rounds)


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
