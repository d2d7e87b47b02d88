"""The same made slide seen worse: out of focus, or with stains of another hue. For measuring where a method ends.

Enters: a `Look`. Leaves: another. Next room: `wsipipe.phantom.gastric_slide`. Tissue, lesions and truth stay.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from wsipipe.errors import UsageError
from wsipipe.phantom.gastric_regime import Look

LEAST_OD = 0.01
"""Absorption that a turned stain keeps in every channel."""


@dataclass(frozen=True, slots=True)
class Alteration:
    """What is worse about a slide.

    Parameters
    ----------
    blur_um : float
        Sigma of a Gaussian on top of the scanner's own point spread, micrometres, 0 to 8.
    stain_deg : float
        By how much both stain vectors are turned about the grey axis of optical density, degrees, -90 to 90:
        another hue at the same darkness.
    """

    blur_um: float = 0.0
    stain_deg: float = 0.0

    def __post_init__(self) -> None:
        if not (0 <= self.blur_um <= 8 and -90 <= self.stain_deg <= 90):
            raise UsageError(
                f"altering a phantom slide: blur is 0 to 8 um and the turn -90 to 90 degrees, got {self.blur_um:g} and "
                f"{self.stain_deg:g}"
            )


def altered(look: Look, how: Alteration) -> Look:
    """The look with the alteration."""
    if how.stain_deg:
        turned = (_turned(np.array(od), how.stain_deg) for od in (look.h_od, look.e_od))
        h_od, e_od = ((float(r), float(g), float(b)) for r, g, b in turned)
        look = replace(look, h_od=h_od, e_od=e_od)
    return replace(look, psf_um=math.hypot(look.psf_um, how.blur_um)) if how.blur_um else look


def _turned(od: NDArray[np.float64], degrees: float) -> NDArray[np.float64]:
    """Rodrigues' rotation about (1, 1, 1); absorption below `LEAST_OD` is none that a dye could have."""
    axis, angle = np.full(3, 1 / math.sqrt(3)), math.radians(degrees)
    turned = od * math.cos(angle) + np.cross(axis, od) * math.sin(angle) + axis * (axis @ od) * (1 - math.cos(angle))
    kept = np.maximum(turned, LEAST_OD)
    return np.asarray(kept * np.linalg.norm(od) / np.linalg.norm(kept))
