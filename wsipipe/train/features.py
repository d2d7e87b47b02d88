"""What the graph network learns from: feature vectors and target probabilities of every kept tile of a slide.

Enters: slides with a category, and the pipeline with a trained tile network. Leaves: one small ``.npz`` per slide in
a folder named after everything that shaped it. The steps are those of inference (`wsipipe.run.work`).
Next: `wsipipe.train.graphs`.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wsipipe.models.card import CATEGORIES
from wsipipe.run.job import Job
from wsipipe.run.source import Source, close_all
from wsipipe.run.work import Context, prepare
from wsipipe.train.cut import Made, network_step, run_until

ARRAYS = ("features", "positive_sum", "class_prob")


@dataclass(frozen=True)
class SlideFeatures:
    """One slide as the graph network sees it.

    Parameters
    ----------
    name, split, case_id : str
    category : int
        Index in ``CATEGORIES``.
    tile_id : (N,) int64
        Ascending; N may be 0.
    features : (N, D) float32
    positive_sum : (N,) float32
    class_prob : (N, 4) float32
    """

    name: str
    split: str
    case_id: str
    category: int
    tile_id: NDArray[np.int64]
    features: NDArray[np.float32]
    positive_sum: NDArray[np.float32]
    class_prob: NDArray[np.float32]


@dataclass(frozen=True)
class Errand:
    """What a worker is asked for: one slide's features."""

    job: Job
    source: Source
    name: str
    split: str
    case_id: str
    category: str
    folder: str
    made: Made | None = None

    @property
    def subject(self) -> str:
        """What an error names."""
        return self.source.path or self.name


def describe(errand: Errand) -> SlideFeatures:
    """Run the pipeline up to the tile network over one slide, and keep what the graph needs.

    Raises
    ------
    SlideError
        Where the slide cannot be read.
    """
    with tempfile.TemporaryDirectory(prefix="wsipipe-features-") as scratch:
        source = errand.source
        if errand.made is not None:
            source = Source(str(_make(errand.made, errand, Path(scratch) / "slide")))
        try:
            arrays = _arrays(replace(errand.job, results=scratch), source)
        finally:
            close_all()
    found = SlideFeatures(errand.name, errand.split, errand.case_id, CATEGORIES.index(errand.category), **arrays)
    save_features(Path(errand.folder), found)
    return found


def save_features(folder: Path, slide: SlideFeatures) -> None:
    """Write ``NAME.npz``, whole or not at all."""
    partial = folder / f".{slide.name}.partial"
    with partial.open("wb") as handle:
        np.savez_compressed(handle, allow_pickle=False, **_plain(slide))
    partial.replace(folder / f"{slide.name}.npz")


def load_features(folder: Path, name: str) -> SlideFeatures | None:
    """The features of that name; None where they are not there yet."""
    path = folder / f"{name}.npz"
    if not path.is_file():
        return None
    with np.load(path, allow_pickle=False) as stored:
        arrays: dict[str, Any] = {key: stored[key] for key in ("tile_id", *ARRAYS)}
        arrays |= {key: str(stored[key]) for key in ("name", "split", "case_id")}
        return SlideFeatures(category=int(stored["category"]), **arrays)


def of_split(slides: Sequence[SlideFeatures], split: str) -> list[SlideFeatures]:
    """The slides of a split that have tiles: an empty slide has no graph."""
    return [slide for slide in slides if slide.split == split and len(slide.tile_id)]


def _arrays(job: Job, source: Source) -> dict[str, NDArray[Any]]:
    work = prepare(job, source)
    if work is None:
        shapes = {"tile_id": (0,), "features": (0, 0), "positive_sum": (0,), "class_prob": (0, 4)}
        return {name: np.zeros(shape, np.int64 if name == "tile_id" else np.float32) for name, shape in shapes.items()}
    step = network_step(job.recipe.build())
    run_until(work, step + 1)
    context = Context(work, step + 1)
    return {"tile_id": np.array(context.ids)} | {name: context.rows(name) for name in ARRAYS}


def _plain(slide: SlideFeatures) -> dict[str, Any]:
    arrays = {name: getattr(slide, name) for name in ("tile_id", *ARRAYS)}
    return arrays | {name: np.array(getattr(slide, name)) for name in ("name", "split", "case_id", "category")}


def _make(made: Made, errand: Errand, folder: Path) -> Path:
    from wsipipe.phantom import write_gastric  # deferred: only made slides need it

    path: Path = write_gastric(
        folder, category=errand.category, seed=made.seed, regime=made.regime, size=made.size or None, name=errand.name
    )
    return path
