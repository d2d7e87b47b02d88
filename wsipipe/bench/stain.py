"""Stain normalisation: apply, fit and apply per tile, and reading with it, beside bare OpenCV and the peers.

Enters: a slide. Leaves: figures in tiles of 512 px per second. Peers that fit every picture again are also measured
with their fit given, arithmetic alone: apply against apply.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from wsipipe.bench.figure import LIMIT, OURS, Figure, Job, figure
from wsipipe.bench.peers import installed
from wsipipe.bench.reading import BATCH, TILE, Array, Sample, sample
from wsipipe.errors import SlideReadError
from wsipipe.run.pixels import read_tiles
from wsipipe.stain.extract import greatest, macenko
from wsipipe.stain.fitting import fit_pixels
from wsipipe.stain.reference import target
from wsipipe.stain.sample import pool
from wsipipe.stain.unmix import recolour, transfer

FIT_PIXELS, TILE_PIXELS = 100_000, 20_000
"""Stained pixels that a fit is made of: of the batch, as a run has it; and of one tile."""


@dataclass(frozen=True)
class Tissue:
    """A batch of tissue tiles, and the slide's fit to the target."""

    rgb: Array
    matrix: Array
    greatest: Array
    aim: Any

    @property
    def reference(self) -> Array:
        """A tile in the target's stains, for peers to fit; staintools refuses some that are not."""
        return np.asarray(recolour(self.rgb[:1], self.change)[0])

    @property
    def change(self) -> Array:
        """The (3, 3) matrix from densities of the slide to densities in the target's stains."""
        return transfer(self.matrix, self.greatest, self.aim.matrix, self.aim.greatest)


def tissue(found: Sample) -> Tissue:
    """The batch of the darkest tiles of a sample, with a Macenko fit on them.

    Raises
    ------
    SlideReadError
        Where there is too little stained tissue for a fit.
    """
    every = np.concatenate([read_tiles(found.slide, found.frame, found.grid, unit) for unit in found.ids])
    darkest = np.argsort(every.mean(axis=(1, 2, 3)), kind="stable")[:BATCH]
    rgb = np.ascontiguousarray(every[np.sort(darkest)])
    fit = fit_pixels(pool(rgb, most=FIT_PIXELS, seed=0), method="macenko")
    if not fit.valid:
        raise SlideReadError(
            "benchmarking: there is no stained tissue in the middle of the slide", subject=str(found.path)
        )
    return Tissue(rgb, fit.matrix, fit.greatest, target("default", "macenko"))


def figures(path: Path, *, peers: bool, rounds: int) -> Iterator[Figure]:
    """Apply; fit and apply; read and apply."""
    found = sample(path)
    try:
        given = tissue(found)
        yield _apply(given, peers=peers, rounds=rounds)
        yield _fit_and_apply(given, peers=peers, rounds=rounds)
        yield _read_and_apply(found, given, peers=peers, rounds=rounds)
    finally:
        found.slide.close()


def _apply(given: Tissue, *, peers: bool, rounds: int) -> Figure:
    jobs: dict[str, Job] = {
        OURS: lambda: _count(recolour(given.rgb, given.change)),
        LIMIT: partial(_each, given, partial(_opencv, given.change)),
    }
    if peers and installed("TIAToolbox"):
        jobs["TIAToolbox, fit given"] = partial(_each, given, _tiatoolbox_arithmetic(given))
    if peers and installed("staintools"):
        jobs["staintools, fit given"] = partial(_each, given, _staintools_arithmetic(given))
    note = "limit: bare OpenCV calls, whole tiles"
    return figure("Macenko, apply", "tiles/s", jobs, rounds=rounds, note=note)


def _fit_and_apply(given: Tissue, *, peers: bool, rounds: int) -> Figure:
    jobs: dict[str, Job] = {OURS: partial(_each, given, partial(_per_tile, given.aim))}
    reference = given.reference
    if peers and installed("TIAToolbox"):
        jobs["TIAToolbox"] = partial(_each, given, _tiatoolbox(reference))
    if peers and installed("staintools"):
        jobs["staintools"] = partial(_each, given, _staintools(reference))
    note = f"ours fits {TILE_PIXELS} stained pixels of a tile, peers all"
    return figure("Macenko, fit and apply, tile by tile", "tiles/s", jobs, rounds=rounds, note=note)


def _read_and_apply(found: Sample, given: Tissue, *, peers: bool, rounds: int) -> Figure:
    jobs: dict[str, Job] = {OURS: partial(_batches, found, given.change)}
    if peers and installed("TIAToolbox"):
        jobs["TIAToolbox, extractor and normaliser"] = _tiatoolbox_extractor(found, given.reference)
    return figure("read and normalise", "tiles/s", jobs, rounds=rounds)


def _batches(found: Sample, change: Array) -> float:
    for unit in found.ids:
        for start in range(0, len(unit), BATCH):
            recolour(read_tiles(found.slide, found.frame, found.grid, unit[start : start + BATCH]), change)
    return float(len(found.boxes))


def _each(given: Tissue, work: Callable[[Array], Any]) -> float:
    for tile in given.rgb:
        work(tile)
    return float(len(given.rgb))


def _count(rgb: Array) -> float:
    return float(len(rgb))


def _per_tile(aim: Any, tile: Array) -> Array:
    drawn = pool(tile[None], most=TILE_PIXELS, seed=0)
    matrix = macenko(drawn)
    return (
        tile if matrix is None else recolour(tile, transfer(matrix, greatest(drawn, matrix), aim.matrix, aim.greatest))
    )


def _opencv(change: Array, tile: Array) -> Array:
    """The same arithmetic by OpenCV calls on a whole tile: what a straightforward program does."""
    import cv2

    table = -np.log(np.maximum(np.arange(256), 1) / 255.0).astype(np.float32)
    log = cv2.transform(cv2.LUT(tile, table), -change.T.astype(np.float32))
    return np.asarray(cv2.convertScaleAbs(cv2.exp(log), alpha=255.0))


def _tiatoolbox(reference: Array) -> Callable[[Array], Any]:
    from tiatoolbox.tools.stainnorm import MacenkoNormalizer

    theirs: Any = MacenkoNormalizer()
    theirs.fit(reference.copy())
    return lambda tile: theirs.transform(tile.copy())


def _tiatoolbox_arithmetic(given: Tissue) -> Callable[[Array], Any]:
    """`StainNormalizer.transform` of TIAToolbox 2.1 without its two estimates of the picture's own stains."""
    from tiatoolbox.tools.stainnorm import MacenkoNormalizer

    theirs: Any = MacenkoNormalizer()
    theirs.fit(given.reference.copy())

    def apply(tile: Array) -> Array:
        codes = theirs.get_concentrations(tile, given.matrix) * (theirs.maxC_target / given.greatest)
        made = 255 * np.exp(-1 * np.dot(codes, theirs.stain_matrix_target))
        made[made > 255] = 255
        return np.asarray(made.reshape(tile.shape).astype(np.uint8))

    return apply


def _staintools(reference: Array) -> Callable[[Array], Any]:
    import staintools

    theirs: Any = staintools.StainNormalizer(method="macenko")
    theirs.fit(reference.copy())
    return lambda tile: theirs.transform(tile.copy())


def _staintools_arithmetic(given: Tissue) -> Callable[[Array], Any]:
    """`StainNormalizer.transform` of staintools 2.1 without its estimate of the picture's own stains."""
    from staintools.miscellaneous.get_concentrations import get_concentrations

    matrix = np.array(given.matrix, np.float64, order="C")  # SPAMS wants its transpose in Fortran's order

    def apply(tile: Array) -> Array:
        codes = get_concentrations(tile.copy(), matrix) * (given.aim.greatest / given.greatest)
        return np.asarray((255 * np.exp(-1 * np.dot(codes, given.aim.matrix))).reshape(tile.shape).astype(np.uint8))

    return apply


def _tiatoolbox_extractor(found: Sample, reference: Array) -> Job:
    """Its patch extractor over the same tiles, and its normaliser on each patch."""
    from tiatoolbox.tools.patchextraction import PointsPatchExtractor
    from tiatoolbox.wsicore.wsireader import WSIReader

    normalise, reader = _tiatoolbox(reference), WSIReader.open(found.path)
    middles = np.array([(box.x + TILE // 2, box.y + TILE // 2) for box in found.boxes[:32]])

    def read() -> float:
        patches: Any = PointsPatchExtractor(reader, middles, patch_size=TILE, resolution=0, units="level")
        return float(sum(1 for patch in patches if normalise(patch) is not None))

    return read
