"""Stain normalisation: stain vectors fitted once per slide, tiles recoloured to a target, and the distance to H&E."""

from wsipipe.stain.distance import he_distance
from wsipipe.stain.stage import apply, fit

__all__ = ["apply", "fit", "he_distance"]
