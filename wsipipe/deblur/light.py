"""Linear light and back: what a lens adds up is light, what a file holds is sRGB.

Enters: pixels. Leaves: floats, and pixels. Next: `wsipipe.deblur.degrade`, `wsipipe.deblur.guard`. Source: IEC
61966-2-1.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float32]

_SHARE = np.arange(256) / 255.0
_LIGHT = np.where(_SHARE <= 0.04045, _SHARE / 12.92, ((_SHARE + 0.055) / 1.055) ** 2.4).astype(np.float32)


def linear(rgb: NDArray[np.uint8]) -> Float:
    """Light of sRGB pixels, 0 to 1, float32 of the same shape."""
    return _LIGHT[rgb]


def coded(light: NDArray[np.floating]) -> Float:
    """SRGB grey levels of light, 0.0 to 255.0, not rounded; light outside 0 to 1 is clipped."""
    clipped = np.clip(np.asarray(light, np.float32), 0, 1)
    low = clipped * np.float32(12.92)
    high = np.float32(1.055) * np.maximum(clipped, np.float32(0.0031308)) ** np.float32(1 / 2.4) - np.float32(0.055)
    return np.where(clipped <= 0.0031308, low, high) * np.float32(255)


def rounded(levels: NDArray[np.floating]) -> NDArray[np.uint8]:
    """Grey levels as pixels: clipped and rounded half up."""
    return np.asarray(np.floor(np.clip(levels, 0, 255) + 0.5), np.uint8)
