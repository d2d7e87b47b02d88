"""Slides as the pipeline sees them, with their truth: what every figure of the evaluation is counted from.

Enters: cohorts of made slides (and real pictures), the pipeline that ships. Leaves: one small ``.npz`` per slide:
features, scores, what the gate measured, the category's probabilities, pixels of lesions true and said.
Next: `wsipipe.evaluate.gastric_variants`, `wsipipe.evaluate.gastric`.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wsipipe.grid import Box
from wsipipe.models.card import CATEGORIES
from wsipipe.phantom import Alteration, gastric_truth, write_gastric
from wsipipe.run.job import Job, SlideWork
from wsipipe.run.source import Source, close_all
from wsipipe.run.work import Context, prepare
from wsipipe.stage import digest
from wsipipe.store import read
from wsipipe.train.cut import run_until
from wsipipe.train.features import SlideFeatures
from wsipipe.train.gastric_slides import each_of
from wsipipe.train.mask import read_mask
from wsipipe.train.source import Told, generator

LAST = "gate_value"
"""The array that the last step before the report leaves."""
SUSPECTED = 127
"""A pixel of the probability map above this (of 255) is called a lesion: the default third threshold."""


@dataclass(frozen=True)
class Cohort:
    """Made slides of one regime under one condition, the four categories in turn."""

    name: str
    regime: str
    seed: int
    slides: int
    size_px: int
    alteration: Alteration


@dataclass(frozen=True)
class Look:
    """What a worker is asked to look at: slide `number` of a cohort, or the file at `path`."""

    job: Job
    folder: str
    cohort: Cohort
    number: int
    path: str = ""

    @property
    def name(self) -> str:
        """Of its file in the folder."""
        return f"{self.cohort.name}-{self.number:04d}"

    @property
    def subject(self) -> str:
        """What an error names."""
        return self.path or self.name


@dataclass(frozen=True)
class Observed:
    """One slide as the pipeline saw it.

    Parameters
    ----------
    slide : SlideFeatures
        ``split`` is the cohort's name; ``category`` is -1 for a real picture.
    lesion_share : float
        True lesion over tissue; NaN where it is not known.
    gate_value, gate_passed : (4,) arrays
        As `wsipipe.lesion.gate` gives them.
    category_prob : (4,) float32
        Of the networks as they ship; NaN without tiles.
    pixels : (3,) int64
        Of the probability map: lesion said and true, true, said.
    """

    slide: SlideFeatures
    lesion_share: float
    gate_value: NDArray[np.float32]
    gate_passed: NDArray[np.uint8]
    category_prob: NDArray[np.float32]
    pixels: NDArray[np.int64]


def observe_all(cohort: Cohort, job: Job, cache: Path, *, workers: int, told: Told) -> list[Observed]:
    """Every slide of a cohort; those in the cache are not made again."""
    what = {key: value for key, value in asdict(cohort).items() if key != "slides"}  # more of them keep what is there
    folder = _folder(cache, job, what)
    looks = [Look(job, str(folder), cohort, number) for number in range(cohort.slides)]
    return _seen(looks, folder, workers=workers, told=told)


def observe_files(paths: Sequence[Path], job: Job, cache: Path, *, workers: int, told: Told) -> list[Observed]:
    """Real pictures, as they are."""
    folder = _folder(cache, job, {"files": [str(path.resolve()) for path in paths]})
    real = Cohort("real", "", 0, 0, 0, Alteration())
    looks = [Look(job, str(folder), real, number, str(path)) for number, path in enumerate(paths)]
    return _seen(looks, folder, workers=workers, told=told)


def observe(look: Look) -> Observed:
    """Make one slide (or take the file), run the pipeline as far as the gate, and keep what counts.

    Raises
    ------
    SlideError
        Where the slide cannot be read.
    """
    with tempfile.TemporaryDirectory(prefix="wsipipe-look-") as scratch:
        path = Path(look.path) if look.path else _make(look, Path(scratch) / "slide")
        try:
            work = prepare(replace(look.job, results=scratch), Source(str(path)))
            if work is None:
                raise AssertionError("no mpp policy here skips a slide")
            found = _observed(look, work, path)
        finally:
            close_all()
    _save(Path(look.folder), look.name, found)
    return found


def _observed(look: Look, work: SlideWork, path: Path) -> Observed:
    end = work.job.recipe.build().index(LAST) + 1
    run_until(work, end)
    context = Context(work, end)
    names = ("features", "positive_sum", "class_prob")
    rows = {name: context.rows(name) for name in names}
    made = not look.path
    category = look.number % len(CATEGORIES) if made else -1
    slide = SlideFeatures(path.stem, look.cohort.name, look.name, category, tile_id=np.array(context.ids), **rows)
    value = {name: context.value(name) for name in ("gate_value", "gate_passed", "category_prob")}
    share = gastric_truth(path).lesion_share if made else float("nan")
    pixels = _pixels(context, path) if made else np.zeros(3, np.int64)
    return Observed(slide, share, value["gate_value"], value["gate_passed"], value["category_prob"], pixels)


def _pixels(context: Context, path: Path) -> NDArray[np.int64]:
    """Lesion pixels of the probability map that are both, true, said."""
    work = context.work
    source = read.array(context.layer("probability"), "probability")
    height, width = work.frame.shape
    scale = -(-height // source.shape[0])
    truth = read_mask(path.with_name(path.stem + ".truth.npz"), work.slide().info.shape, "")
    true = truth.read(work.frame, Box(0, 0, height, width))[scale // 2 :: scale, scale // 2 :: scale] > 0
    said = np.asarray(source[: true.shape[0], : true.shape[1]]) > SUSPECTED
    true = true[: said.shape[0], : said.shape[1]]
    return np.array([np.count_nonzero(true & said), np.count_nonzero(true), np.count_nonzero(said)], np.int64)


def _seen(looks: Sequence[Look], folder: Path, *, workers: int, told: Told) -> list[Observed]:
    left = [look for look in looks if not (folder / f"{look.name}.npz").is_file()]
    if left:
        each_of(observe, left, workers, lambda done: told(len(looks) - len(left) + done, len(looks)))
    return [_load(folder, look.name) for look in looks]


def _make(look: Look, folder: Path) -> Path:
    cohort, category = look.cohort, CATEGORIES[look.number % len(CATEGORIES)]
    path: Path = write_gastric(
        folder, category=category, seed=cohort.seed * 100_000 + look.number, regime=cohort.regime,
        size=cohort.size_px or None, name=look.name, alteration=cohort.alteration,
    )  # fmt: skip
    return path


def _folder(cache: Path, job: Job, what: dict[str, Any]) -> Path:
    steps = [step.spec() for step in job.recipe.build().steps[:-2]]
    folder = cache / f"seen-{digest({'what': what, 'steps': steps} | generator())}"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _save(folder: Path, name: str, found: Observed) -> None:
    """Write ``NAME.npz``, whole or not at all."""
    partial = folder / f".{name}.partial"
    arrays = {f"slide_{key}": np.asarray(value) for key, value in vars(found.slide).items()}
    arrays |= {key: np.asarray(value) for key, value in vars(found).items() if key != "slide"}
    with partial.open("wb") as handle:
        np.savez_compressed(handle, allow_pickle=False, **arrays)
    partial.replace(folder / f"{name}.npz")


def _load(folder: Path, name: str) -> Observed:
    with np.load(folder / f"{name}.npz", allow_pickle=False) as stored:
        arrays: dict[str, Any] = dict(stored)
    slide = {key.removeprefix("slide_"): arrays.pop(key) for key in list(arrays) if key.startswith("slide_")}
    slide |= {key: str(slide[key]) for key in ("name", "split", "case_id")} | {"category": int(slide["category"])}
    arrays["lesion_share"] = float(arrays["lesion_share"])
    return Observed(SlideFeatures(**slide), **arrays)
