"""Results of made slides beside their exact truth: what the demo prints.

Enters: a results directory and the made slides. Leaves: lines of text. Next room: people.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from wsipipe.phantom import gastric_truth
from wsipipe.store import published
from wsipipe.store.records import read_slides


def compare(results: str | Path, made: Sequence[str]) -> Iterator[str]:
    """One line per made slide: its true category, the category found, the overlap of lesions, and a closing count.

    Parameters
    ----------
    results : path
        Of a finished run.
    made : sequence of str
        Paths of slides that `wsipipe.phantom` made.
    """
    rows = read_slides(Path(results) / "slides.parquet").set_index("path")
    right = 0
    for path in made:
        row, truth = rows.loc[path], gastric_truth(Path(path))
        found = row["category"] or f"none ({row['reason']})"
        right += row["category"] == truth.category
        overlap = _overlap(Path(results) / f"{row['id']}.zarr", Path(path).with_suffix(".truth.npz"))
        yield f"{Path(path).name}: truth {truth.category}, found {found}; lesion IoU {overlap:.2f}"
    yield f"{right} of {len(made)} made slides have their true category"


def _overlap(root: Path, truth: Path) -> float:
    """IoU of suspected regions and true lesion on the truth's own grid; NaN for no store or none of both."""
    if not root.is_dir():
        return float("nan")
    with np.load(truth, allow_pickle=False) as masks:
        true = masks["category"] > 0
    found = published.picture(root, "labels/lesion", level=0)
    return iou(_at(np.asarray(found[...]) > 0, (true.shape[0], true.shape[1])), true)


def iou(found: NDArray[np.bool_], true: NDArray[np.bool_]) -> float:
    """Intersection over union; NaN where both are empty."""
    union = np.count_nonzero(found | true)
    return np.count_nonzero(found & true) / union if union else float("nan")


def _at(mask: NDArray[np.bool_], shape: tuple[int, int]) -> NDArray[np.bool_]:
    """Nearest pixels of a mask that covers the same ground at another size."""
    rows, columns = (
        np.minimum((np.arange(new) + 0.5) * old / new, old - 1).astype(int)
        for new, old in zip(shape, mask.shape, strict=True)
    )
    return mask[np.ix_(rows, columns)]
