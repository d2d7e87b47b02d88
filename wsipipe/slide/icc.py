"""Colour as the scanner meant it: a slide's ICC profile to sRGB.

Enters: RGB pixels and the profile that the file carries. Leaves: the same pixels in sRGB. Next: `wsipipe.slide.reader`
applies it to all that is read of a slide that was opened with ``icc="apply"``.
"""

from __future__ import annotations

import hashlib
import io
import threading
from typing import Any, Literal

import numpy as np

from wsipipe.errors import SlideOpenError
from wsipipe.slide.base import Pixels

Icc = Literal["record", "ignore", "apply"]


class ToSrgb:
    """A transform of RGB pixels, relative colorimetric; pointwise, safe for several threads.

    Parameters
    ----------
    profile : bytes
        As the file stores it.
    subject : str
        What errors are about: the path.

    Raises
    ------
    SlideOpenError
        Where it is no profile of RGB pixels.
    """

    def __init__(self, profile: bytes, *, subject: str) -> None:
        self._profile, self._own = profile, threading.local()
        from PIL import ImageCms  # deferred: most slides carry no profile

        try:
            self._own.transform = self._made()
        except (ImageCms.PyCMSError, OSError) as exc:
            raise SlideOpenError(
                f"applying its ICC profile: {' '.join(str(exc).split())}: choose slide.icc: record or ignore",
                subject=subject,
            ) from exc

    def apply(self, pixels: Pixels) -> None:
        """Replace ``(height, width, 3)`` uint8 pixels by what they are in sRGB."""
        from PIL import Image

        if not hasattr(self._own, "transform"):  # a transform remembers the last pixel: each thread has its own
            self._own.transform = self._made()
        picture = Image.fromarray(np.ascontiguousarray(pixels))
        pixels[...] = np.asarray(self._own.transform.apply(picture))

    def _made(self) -> Any:
        from PIL import ImageCms

        given = ImageCms.ImageCmsProfile(io.BytesIO(self._profile))
        how = ImageCms.Intent.RELATIVE_COLORIMETRIC
        return ImageCms.buildTransform(given, ImageCms.createProfile("sRGB"), "RGB", "RGB", renderingIntent=how)


def described(profile: bytes | None) -> dict[str, str] | None:
    """sha256 and name of a profile, for the record; None where the slide carries none."""
    if not profile:
        return None
    from PIL import ImageCms

    try:
        name = ImageCms.getProfileDescription(io.BytesIO(profile)).strip()
    except (ImageCms.PyCMSError, OSError):
        name = "unreadable"
    return {"sha256": hashlib.sha256(profile).hexdigest(), "name": " ".join(name.split())}
