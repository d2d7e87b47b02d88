"""Plain pictures as one-level slides: PNG, JPEG, BMP, WebP, small JPEG 2000. Decoded at the first read, and kept.

Enters: a picture file. Leaves: a `Slide`. Next rooms: all that read slides. (TIFFs, tiled or not, are
`wsipipe.slide.tiled`'s; large JPEG 2000 files `wsipipe.slide.foreign`'s.)
"""

from __future__ import annotations

import threading
from importlib.metadata import version
from pathlib import Path

from wsipipe.errors import SlideOpenError, SlideReadError
from wsipipe.grid import Box
from wsipipe.slide.base import Level, Pixels, SlideInfo
from wsipipe.slide.colour import fill_of, on_fill
from wsipipe.slide.identity import file_fingerprint, slide_id
from wsipipe.slide.native import DECODE_ERRORS, MOST_PX
from wsipipe.slide.picture_file import J2K_MAGIC, Facts, read_facts
from wsipipe.slide.reader import Reader, brief, choose_scene
from wsipipe.slide.samples import UnsupportedError
from wsipipe.slide.scale import with_mpp_yx

MOST_J2K_PX = 64_000_000
"""The same for JPEG 2000, whose decoder needs some twelve bytes per pixel."""


class PictureSlide(Reader):
    """A picture that is held whole once it is read."""

    def __init__(self, info: SlideInfo, *, slide_id: str, subject: str, facts: Facts) -> None:
        super().__init__(info, slide_id=slide_id, subject=subject)
        self._facts = facts
        self._held: Pixels | None = None
        self._decoding = threading.Lock()

    def _pixels(self, level: int, box: Box, plane: int) -> Pixels:  # noqa: ARG002 (one level of one plane)
        with self._decoding:
            if self._held is None:
                self._held = self._decoded()
            return self._held[box.slices()]

    def _decoded(self) -> Pixels:
        facts = self._facts
        try:
            pixels = facts.decode()
            pixels = pixels.astype(facts.dtype, copy=False).reshape(*facts.shape, facts.bands)
        except DECODE_ERRORS as exc:
            raise SlideReadError(
                f"decoding the picture: {brief(exc)}: it is damaged or cut off, copy it again", subject=self._subject
            ) from exc
        return on_fill(pixels[..., :-1], pixels[..., -1], self._info.fill) if facts.alpha else pixels

    def _release(self) -> None:
        self._held = None


def open_picture(path: Path, scene: int | None = None) -> PictureSlide:
    """Open a plain picture.

    Returns
    -------
    PictureSlide
        RGB or grey of 8 or 16 bits, turned as EXIF says, palettes resolved, transparent pixels on white (grey ones
        on black). mpp is that of PNG's pHYs, JPEG's density or JPEG 2000's capture resolution as stated: 72 dots
        per inch is 353 micrometres, which is refused where frames are asked for.

    Raises
    ------
    SlideOpenError
        CMYK and other colours than grey and RGB, animations, more than 500 Mpx (64 Mpx of JPEG 2000), damaged headers.
    """
    choose_scene(["picture"], scene, path)
    try:
        facts = read_facts(path)
    except UnsupportedError as exc:
        raise SlideOpenError(str(exc), subject=str(path)) from exc
    except DECODE_ERRORS as exc:
        raise SlideOpenError(f"reading its header: {brief(exc)}: copy it again", subject=str(path)) from exc
    _check_size(path, facts)
    fingerprint, channels = file_fingerprint(path), facts.bands - facts.alpha
    info = SlideInfo(
        (Level(facts.shape, 1.0),), None, channels, facts.dtype, fingerprint, _versions(), icc=facts.icc,
        vendor="picture", fill=fill_of(channels, facts.dtype),
    )  # fmt: skip
    info = with_mpp_yx(info, facts.mpp_yx)
    return PictureSlide(info, slide_id=slide_id(path, fingerprint), subject=str(path), facts=facts)


def _check_size(path: Path, facts: Facts) -> None:
    with path.open("rb") as file:
        most = MOST_J2K_PX if file.read(16).startswith(J2K_MAGIC) else MOST_PX
    height, width = facts.shape
    if not 0 < height * width <= most:
        raise SlideOpenError(
            f"the picture has {width} x {height} px, at most {most // 10**6} Mpx are held whole: save a tiled TIFF",
            subject=str(path),
        )


def _versions() -> str:
    return f"pillow {version('pillow')} + imagecodecs {version('imagecodecs')}"
