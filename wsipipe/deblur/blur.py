"""What blur a picture has: its kind, levels and direction, and the kernel of these.

Enters: numbers. Leaves: `Blur`. Next: `wsipipe.deblur.network` estimates one, `wsipipe.deblur.guard` blurs with it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.signal import fftconvolve

from wsipipe.deblur import defocus, motion


@dataclass(frozen=True, slots=True)
class Blur:
    """A blur by even motion, by a disk of defocus, by both, or none.

    Parameters
    ----------
    length_px : float
        Of the motion; 0 is none.
    direction_deg : float
        Of the motion, 0 (along x) to below 180, 90 is along y.
    radius_px : float
        Of the defocus; 0 is none.
    turn_deg : float
        Change of the motion's heading from one end to the other; 0 is straight.
    """

    length_px: float = 0.0
    direction_deg: float = 0.0
    radius_px: float = 0.0
    turn_deg: float = 0.0

    @property
    def kind(self) -> str:
        """``sharp``, ``motion``, ``defocus`` or ``both``."""
        return ("sharp", "motion", "defocus", "both")[(self.length_px > 0) + 2 * (self.radius_px > 0)]

    @property
    def extent_px(self) -> float:
        """Length or diameter, whichever is larger."""
        return max(self.length_px, 2 * self.radius_px)

    def kernel(self) -> NDArray[np.float64]:
        """(side, side) float64, 0 or more, sum 1; a delta where nothing is blurred."""
        moved = motion.kernel(motion.Motion(self.length_px, self.direction_deg, turn_deg=self.turn_deg))
        spread = defocus.disk(self.radius_px)
        if 1 in (len(moved), len(spread)):
            return moved if len(spread) == 1 else spread
        both = np.clip(fftconvolve(moved, spread), 0, None)
        return np.asarray(both / both.sum(), np.float64)
