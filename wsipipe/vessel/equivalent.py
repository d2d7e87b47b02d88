"""Central retinal artery and vein equivalents and their ratio, by Knudtson's rule.

Enters: the calibres of the largest vessels around the disc. Leaves: CRAE, CRVE, AVR. Next: `wsipipe.vessel.measure`.

Source: Knudtson et al., Current Eye Research 2003 (27:143): of the six largest arterioles (venules) in zone B the
largest is joined with the smallest, the second with the second smallest and so on, w = 0.88 (w1² + w2²)^½ for
arterioles and 0.95 for venules, again and again until one is left; an odd middle one is carried over.
"""

from __future__ import annotations

from collections.abc import Sequence

from wsipipe.vessel.label import ARTERY, VEIN

FACTORS = {ARTERY: 0.88, VEIN: 0.95}
LARGEST = 6


def equivalent(calibres: Sequence[float], factor: float) -> float:
    """One calibre that stands for the largest six.

    Parameters
    ----------
    calibres : sequence of float
        Of any length unit; six or more.
    factor : float
        0.88 for arteries, 0.95 for veins.

    Returns
    -------
    float
        In the same unit; NaN for fewer than six.
    """
    if len(calibres) < LARGEST:
        return float("nan")
    left = sorted(calibres, reverse=True)[:LARGEST]
    while len(left) > 1:
        pairs = len(left) // 2
        joined = [factor * (left[i] ** 2 + left[-1 - i] ** 2) ** 0.5 for i in range(pairs)]
        left = sorted([*joined, *([left[pairs]] if len(left) % 2 else [])], reverse=True)
    return left[0]
