"""What bfloat16 changes of the gastric results: made slides of unseen laboratories in both number formats.

    python tests/benchmarks/formats.py [--slides 12] [--out build/formats]

Prints lesion Dice, macro-F1 of the categories, paired differences, and how far the categories' probabilities move.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np

from wsipipe.evaluate.gastric_slides import Cohort, Observed, observe_all
from wsipipe.evaluate.gastric_variants import categories, macro_f1
from wsipipe.evaluate.interval import difference, interval
from wsipipe.evaluate.progress import Steps
from wsipipe.phantom import Alteration
from wsipipe.pipelines import gastric
from wsipipe.run.job import Job
from wsipipe.run.source import MppPolicy
from wsipipe.train.metric import pooled_dice

FORMATS = ("float32", "bfloat16")
SEED = 7001


def observed(out: Path, slides: int, size_px: int, workers: int) -> dict[str, list[Observed]]:
    """The same slides by the pipeline as it ships, in each number format."""
    cohort = Cohort("formats", "test", SEED, slides, size_px, Alteration())
    found = {}
    with Steps(quiet=False) as steps:
        for dtype in FORMATS:
            recipe = gastric.launch(None, [f"network.dtype={dtype}", "network.device=cpu"]).recipe
            job = Job(recipe, "", MppPolicy.parse("assume:0.5"))
            found[dtype] = observe_all(cohort, job, out, workers=workers, told=steps.of(dtype))
    return found


def report(found: dict[str, list[Observed]]) -> dict[str, object]:
    """Figures of the slides that gave tiles."""
    exact, short = (found[dtype] for dtype in FORMATS)
    kept = [(a, b) for a, b in zip(exact, short, strict=True) if len(a.slide.tile_id) and len(b.slide.tile_id)]
    truth = categories([a.slide for a, _ in kept])
    said = [np.stack([pair[side].category_prob for pair in kept]) for side in (0, 1)]
    named = [one.argmax(axis=1)[:, None] for one in said]
    pixels = [np.stack([pair[side].pixels for pair in kept]) for side in (0, 1)]
    return {
        "slides": len(kept),
        **{
            f"lesion Dice, {dtype}": str(interval(pooled_dice, one)) for dtype, one in zip(FORMATS, pixels, strict=True)
        },
        "lesion Dice, bfloat16 less float32": str(difference(pooled_dice, pixels[1], pixels[0])),
        **{
            f"macro-F1, {dtype}": str(interval(macro_f1, one, truth)) for dtype, one in zip(FORMATS, named, strict=True)
        },
        "same category": int((named[0] == named[1]).sum()),
        "probabilities of categories, largest difference": round(float(np.abs(said[0] - said[1]).max()), 4),
    }


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--slides", type=int, default=12)
    parser.add_argument("--size", type=int, default=4096, help="side at 0.5 um/px")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--out", type=Path, default=Path("build/formats"))
    asked = parser.parse_args()
    print(json.dumps(report(observed(asked.out, asked.slides, asked.size, asked.workers)), indent=1))


if __name__ == "__main__":
    main()
