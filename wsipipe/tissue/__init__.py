"""Where the tissue is: a threshold fitted once per slide, a mask and a tissue share for every tile."""

from wsipipe.tissue.damage import undecoded
from wsipipe.tissue.stage import fit_threshold, keep, mask

__all__ = ["fit_threshold", "keep", "mask", "undecoded"]
