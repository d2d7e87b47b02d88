"""A pyramid of 30,720 x 30,720 px from real pixels: the CMU region of ../shared/data repeated, JPEG tiles of 256 px.

    python tests/benchmarks/repeated.py slide.svs [--side 30720]

For ``wsipipe bench all slide.svs --peers``. A name that ends in .svs is described as Aperio's are, so that every
program reads it as it reads a scanner's slides (TIAToolbox by OpenSlide); .tif is a plain tiled TIFF.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from wsipipe.grid import Box
from wsipipe.phantom.pyramid_file import write_pyramid
from wsipipe.slide import open_slide

REGION = Path(__file__).parents[3] / "shared" / "data" / "slides" / "cmu-1-small-region.svs"


def strips(side: int) -> Iterator[Any]:
    """Rows of the repeated region, 512 at a time."""
    slide = open_slide(REGION)
    height, width = slide.info.shape
    row = np.tile(slide.read(Box(0, 0, height, width), level=0), (1, -(-side // width), 1))[:, :side]
    for y in range(0, side, 512):
        yield np.take(row, np.arange(y, min(y + 512, side)) % height, axis=0)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("path", type=Path)
    parser.add_argument("--side", type=int, default=30_720)
    asked = parser.parse_args()
    write_pyramid(asked.path, strips(asked.side), (asked.side, asked.side), 0.499, quality=80)


if __name__ == "__main__":
    main()
