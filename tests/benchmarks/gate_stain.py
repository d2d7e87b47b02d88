"""How far the pictures at hand lie from standard H&E: the table behind `wsipipe.stain.distance.MAX_DEG`.

    python tests/benchmarks/gate_stain.py [FOLDER]

FOLDER is that of the real pictures (default: ../shared/data, or WSIPIPE_DATA). Every picture is fitted as a
slide would be, from all its pixels; ``max`` is `he_distance`, H and E the angle of each vector. Rows with a
star are not H&E, or not tissue; NaN: no fit.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import tifffile

from wsipipe.stain.distance import MAX_DEG, STANDARD, angles_deg, he_distance
from wsipipe.stain.extract import macenko
from wsipipe.stain.sample import pool

SHARED = Path(os.environ.get("WSIPIPE_DATA", Path(__file__).parents[3] / "shared" / "data"))


def pictures(data: Path) -> Iterator[tuple[str, str, np.ndarray]]:
    """Group, name and pixels of every picture; groups of what is no H&E tissue begin with a star."""
    for path in sorted((data / "stain").glob("*.png")):
        yield "stain", path.stem, read(path)
    for path in sorted((data / "slides").glob("*.svs")):
        if path.stem != "broken":
            yield "slides", path.stem, read_svs(path)
    for folder, pattern in (("fields/he-3x3", "*.jpg"), ("fields", "*.png"), ("histology/glands/images", "*.png"),
                            ("histology/nuclei/images", "*.png")):  # fmt: skip
        for path in sorted((data / folder).glob(pattern)):
            yield folder, path.stem, read(path)
    for label in range(8):
        tiles = [read(path) for path in sorted((data / "histology" / "tissue-classes").glob(f"*_label_{label}.png"))]
        group = "* empty tiles" if label == 7 else "histology/tissue-classes"
        yield group, f"class {label}", np.concatenate(tiles)
    yield "* IHC", "kidney-48-5", tifffile.imread(data / "slides" / "kidney-48-5.tif")[..., :3]
    yield "* IHC", "scikit-image's immunohistochemistry", ihc()


def read(path: Path) -> np.ndarray:
    """A picture as RGB."""
    return cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)


def read_svs(path: Path) -> np.ndarray:
    """Level 0 of a slide, as RGB."""
    import openslide

    with openslide.OpenSlide(str(path)) as slide:
        return np.array(slide.read_region((0, 0), 0, slide.dimensions).convert("RGB"))


def ihc() -> np.ndarray:
    """The brown (diaminobenzidine) picture that scikit-image ships."""
    from skimage import data

    return data.immunohistochemistry()


def measured(rgb: np.ndarray) -> tuple[float, float, float, np.ndarray | None]:
    """Distance, angle of H, angle of E, and the vectors."""
    found = macenko(pool(np.ascontiguousarray(rgb)[None], most=100_000, seed=0))
    if found is None:
        return (float("nan"),) * 3 + (None,)
    first, second = angles_deg(found, STANDARD)
    return he_distance(found), float(first), float(second), found


def main() -> None:
    data = Path(sys.argv[1]) if len(sys.argv) > 1 else SHARED
    rows = [(group, name, *measured(rgb)) for group, name, rgb in pictures(data)]
    fitted = [row for row in rows if row[5] is not None]
    for group, name, distance, first, second, vectors in sorted(fitted, key=lambda row: row[2]):
        text = " ".join(f"{value:5.2f}" for value in vectors.ravel())
        print(f"{distance:5.1f}  H {first:5.1f}  E {second:5.1f}   {text}   {group}: {name}")
    print("\nno fit:", ", ".join(f"{row[0]}: {row[1]}" for row in rows if row[5] is None) or "none")
    for group in sorted({row[0] for row in fitted}):
        values = [row[2] for row in fitted if row[0] == group]
        low, mid, high = np.percentile(values, [0, 50, 100])
        over = sum(value > MAX_DEG for value in values)
        spread = f"min {low:5.1f}  median {mid:5.1f}  max {high:5.1f}"
        print(f"{group:28} n {len(values):3}  {spread}  over {MAX_DEG}: {over}")


if __name__ == "__main__":
    main()
