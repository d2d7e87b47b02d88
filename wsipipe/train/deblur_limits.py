"""Limits that come from data, for the card: when a picture is sharp, and when a result explains its input.

Enters: a trained route, sharp validation pictures. Leaves: numbers under ``made.limits`` of the card. Next:
`wsipipe.deblur.network` and `wsipipe.deblur.guard` read them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wsipipe.deblur import defocus, motion
from wsipipe.deblur.blur import Blur
from wsipipe.deblur.degrade import degrade
from wsipipe.deblur.focus_limit import fit_limit
from wsipipe.deblur.guard import disagreement
from wsipipe.deblur.network import Deblurring
from wsipipe.deblur.sharpness import sharpness

Rgb = NDArray[np.uint8]
FALSE_ALARMS, UNEXPLAINED = 0.01, 0.02
"""Shares of honest pictures past the limits: sharp ones called blurred, restored ones that fall back somewhere."""
LEAST, MOST = 0.5, 0.95
MARGIN = 1.6
SIDE = 320


def limits(route: Deblurring, pictures: Sequence[Rgb], *, seed: int = 0) -> dict[str, Any]:
    """What the card says under ``limits``.

    Parameters
    ----------
    route : Deblurring
        Without guard.
    pictures : sequence of (height, width, 3) uint8
        Sharp.
    seed : int
    """
    delta = np.ones((1, 1))
    small = [rgb[:SIDE, :SIDE] for rgb in pictures]
    doubts, worst, sharp, soft = [], [], [], []
    for number, rgb in enumerate(small):
        noisy = degrade(rgb, delta, seed=seed + number)
        doubts.append(1 - route.estimate(noisy).kind_prob[0])
        sharp.append(sharpness(noisy))
        for kernel in _kernels(number):
            blurred = degrade(rgb, kernel, seed=seed + number)
            soft.append(sharpness(blurred))
            worst += _off(route, blurred)
    told = {
        "blur_probability": round(float(np.clip(np.quantile(doubts, 1 - FALSE_ALARMS), LEAST, MOST)), 3),
        "disagreement": round(float(MARGIN * np.quantile(worst, 1 - UNEXPLAINED)), 3) if worst else None,
        "focus": {name: round(value, 4) for name, value in asdict(fit_limit(sharp, soft)).items()},
    }
    return {name: value for name, value in told.items() if value is not None}


def _kernels(number: int) -> list[NDArray[np.float64]]:
    """Blurs of every kind, in directions that differ from picture to picture."""
    turn = 37.0 * number
    paths = [motion.Motion(level, turn + 60 * step) for step, level in enumerate((5.0, 9.0, 15.0))]
    paths.append(motion.Motion(12.0, turn, turn_deg=45.0))
    spreads = [defocus.disk(radius) for radius in (1.5, 3.0, 5.0)]
    return [*map(motion.kernel, paths), *spreads, Blur(9.0, turn % 180, 3.0).kernel()]


def _off(route: Deblurring, blurred: Rgb) -> list[float]:
    """The largest disagreement of one restored picture; nothing where it is taken for sharp."""
    estimated = route.estimate(blurred).blur(LEAST)
    if estimated.kind == "sharp":
        return []
    made, _ = route.restore(blurred, estimated)
    return [float(disagreement(blurred, made.rgb, estimated).max())]
