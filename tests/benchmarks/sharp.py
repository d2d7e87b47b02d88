"""The sharp pictures that `microscope-deblur-v1` is trained on, out of ../shared/data: those whose licences allow it.

    python tests/benchmarks/sharp.py build/sharp
    wsipipe train deblur --config configs/deblur-train.yaml --out build/deblur

The TCGA slide and the glands are left out, for `wsipipe evaluate deblur`. Validation is apart from training by place.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from wsipipe.grid import Box
from wsipipe.slide import open_slide

Rgb = NDArray[np.uint8]
DATA = Path(__file__).parents[3] / "shared" / "data"
ABOUT = """crops of CMU-1-Small-Region (OpenSlide test data, CC0), of microscope fields of
histopathology-stitching-pipeline (MIT), of NuInsSeg at half size (Mahbod et al., CC BY), of colorectal tiles
(Kather et al. 2016, CC BY 4.0), the H&E targets of TIAToolbox (BSD-3) and torchstain (MIT)
"""
SIDE, FLAT = 512, 12.0
"""Side of the slide's crops; green channels with a smaller standard deviation (grey levels) are mostly glass."""
EVERY = 6
"""Of tiles and nuclei every sixth is for validation."""


def pictures() -> Iterator[tuple[str, str, Rgb]]:
    """Part, name, picture."""
    slide = open_slide(DATA / "slides" / "cmu-1-small-region.svs")
    height, width = slide.info.shape
    for y in range(0, height - SIDE + 1, SIDE):
        for x in range(0, width - SIDE + 1, SIDE):
            yield "val" if y < SIDE else "train", f"cmu-{y}-{x}", slide.read(Box(y, x, SIDE, SIDE), level=0)
    for path in sorted((DATA / "fields" / "he-3x3").glob("*.jpg")):
        yield "val" if "_x2_y1" in path.name else "train", f"field-{path.stem}", _read(path)[400:1200, 400:1200]
    for number, path in enumerate(sorted((DATA / "histology" / "nuclei" / "images").glob("*.png"))):
        half = cv2.resize(_read(path), None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
        yield _part(number), f"nuclei-half-{path.stem}", np.asarray(half, np.uint8)
    tiles = [path for path in sorted((DATA / "histology" / "tissue-classes").glob("*.png")) if path.stem[-1] < "6"]
    for number, path in enumerate(tiles):
        yield _part(number), f"tile-{path.stem}", _read(path)
    for name in ("target-he", "target-he-2"):
        yield "train", name, _read(DATA / "stain" / f"{name}.png")


def _part(number: int) -> str:
    return "val" if number % EVERY == 0 else "train"


def _read(path: Path) -> Rgb:
    pixels: Any = cv2.imread(str(path), cv2.IMREAD_COLOR)
    return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB), np.uint8)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    out = parser.parse_args().out
    for part, name, rgb in pictures():
        if rgb[..., 1].std() >= FLAT:
            (out / part).mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(out / part / f"{name}.png"), cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR))
    (out / "ABOUT.txt").write_text(ABOUT, encoding="utf-8")


if __name__ == "__main__":
    main()
