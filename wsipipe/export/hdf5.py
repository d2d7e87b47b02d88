"""Coordinates and features as HDF5, as TRIDENT and CLAM lay them out.

Enters: a `Job`. Leaves: ``coords`` (N, 2) int64 level-0 x and y, ``features`` (N, D) float32. Next room: those tools'
feature extraction and training.

::

    OUT/20x_512px_0px_overlap/patches/<slide>_patches.h5           TRIDENT
    OUT/20x_512px_0px_overlap/features_wsipipe/<slide>.h5
    OUT/patches/<slide>.h5                                          CLAM
    OUT/h5_files/<slide>.h5

``<slide>`` is the slide file's name without ending, by which both tools find it (`Job.stems`). CLAM's ``pt_files``
are pickled tensors and are not written: its loader takes ``h5_files`` too (``use_h5``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from wsipipe.export.job import Job
from wsipipe.export.place import placed
from wsipipe.query import SlideResult
from wsipipe.store import published

CHUNK_ROWS = 512
MPP_AT_1X = 10.0
"""Micrometres per pixel times magnification, by the convention that 40x is 0.25 µm/px."""
ENCODER = "wsipipe"

Attributes = Callable[[Job, SlideResult, Path], dict[str, Any]]


def trident_names(job: Job) -> list[Path]:
    """The files that `trident` writes: two a slide."""
    return [path for slide_id in job.ids for path in _trident(job, job.results.slide(slide_id))]


def clam_names(job: Job) -> list[Path]:
    """The files that `clam` writes: two a slide."""
    return [path for slide_id in job.ids for path in _clam(job, slide_id)]


def trident(job: Job) -> Iterator[Path]:
    """Coordinates with TRIDENT's nine attributes, and features with the coordinates beside them."""
    for slide in job:
        coords, features = _trident(job, slide)
        told = _trident_attributes(job, slide, coords.parents[1])
        yield _write(coords, job, slide, told)
        yield _write(features, job, slide, told, features=True)


def clam(job: Job) -> Iterator[Path]:
    """Coordinates with CLAM's attributes, and features with the coordinates beside them."""
    for slide in job:
        coords, features = _clam(job, slide.id)
        told = _clam_attributes(job, slide, coords.parent)
        yield _write(coords, job, slide, told)
        yield _write(features, job, slide, told, features=True)


def _trident(job: Job, slide: SlideResult) -> tuple[Path, Path]:
    spec = published.facts(slide.path)["tile"]
    folder = job.out / f"{magnification(spec['mpp']):g}x_{spec['width']}px_0px_overlap"
    stem = job.stems[slide.id]
    return folder / "patches" / f"{stem}_patches.h5", folder / f"features_{ENCODER}" / f"{stem}.h5"


def _clam(job: Job, slide_id: str) -> tuple[Path, Path]:
    name = f"{job.stems[slide_id]}.h5"
    return job.out / "patches" / name, job.out / "h5_files" / name


def magnification(mpp: float) -> float:
    """Nominal magnification of micrometres per pixel, 20 for 0.5; whole where it is within 2 % of a whole number."""
    exact = MPP_AT_1X / mpp
    return float(round(exact)) if abs(exact - round(exact)) <= 0.02 * exact else exact


def _trident_attributes(job: Job, slide: SlideResult, folder: Path) -> dict[str, Any]:
    """TRIDENT cuts ``patch_size`` times ``level0_magnification / target_magnification`` level-0 pixels a side.

    Both magnifications come from micrometres per pixel, so that their ratio is the tiles' true downsample: the nominal
    magnification that a file states need not fit its micrometres per pixel.
    """
    known = published.facts(slide.path)
    spec, (height, width) = known["tile"], known["shape"]
    return {
        "patch_size": int(spec["width"]),
        "patch_size_level0": round(spec["width"] * spec["base_downsample"]),
        "level0_magnification": _plain(magnification(spec["mpp"]) * spec["base_downsample"]),
        "target_magnification": _plain(magnification(spec["mpp"])),
        "overlap": 0,
        "name": job.stems[slide.id],
        "savetodir": folder.name,
        "level0_width": int(width),
        "level0_height": int(height),
    }


def _clam_attributes(job: Job, slide: SlideResult, folder: Path) -> dict[str, Any]:
    """CLAM reads squares of ``patch_size`` pixels of the stored level ``patch_level``: the next finer one is told
    where the tiles were resampled.
    """
    known = published.facts(slide.path)
    spec, level = known["tile"], int(known["tile"]["ops_level"])
    downsample, (height, width) = known["level_downsample"][level], known["level_shape"][level]
    return {
        "patch_size": round(spec["width"] * spec["ops_downsample"]),
        "patch_level": level,
        "downsample": np.array([downsample, downsample]),
        "downsampled_level_dim": np.array([width, height]),
        "level_dim": np.array([width, height]),
        "name": job.stems[slide.id],
        "save_path": folder.name,
    }


def _write(path: Path, job: Job, slide: SlideResult, told: Mapping[str, Any], *, features: bool = False) -> Path:
    tiles = job.tiles(slide)
    xy = tiles[["x", "y"]].to_numpy(np.int64) if len(tiles) else np.zeros((0, 2), np.int64)
    with placed(path) as partial, h5py.File(partial, "w") as file:
        coords = file.create_dataset("coords", data=xy, chunks=(CHUNK_ROWS, 2), maxshape=(None, 2))
        coords.attrs.update(told)
        if features:
            _write_features(file, slide, np.asarray(tiles.index, np.int64), told)
    return path


def _write_features(file: Any, slide: SlideResult, rows: NDArray[np.int64], told: Mapping[str, Any]) -> None:
    """Chunk after chunk, so that one chunk is in memory."""
    width = max(1, slide.features.shape[1])
    stored = file.create_dataset(
        "features", shape=(len(rows), width), dtype=np.float32, chunks=(CHUNK_ROWS, width), maxshape=(None, width)
    )
    stored.attrs.update({"name": told["name"], "encoder": ENCODER})
    for start in range(0, len(rows), CHUNK_ROWS):
        part = rows[start : start + CHUNK_ROWS]
        read = np.asarray(slide.features[int(part[0]) : int(part[-1]) + 1], np.float32)
        stored[start : start + len(part)] = read[part - part[0]]


def _plain(value: float) -> int | float:
    """A whole number as one: TRIDENT divides magnifications as integers where it can."""
    return int(value) if value == int(value) else value
