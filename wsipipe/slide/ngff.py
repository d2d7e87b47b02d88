"""OME-Zarr images as slides: what this package wrote, or another (0.4 and 0.5).

Enters: a directory. Leaves: a `Slide`. Next rooms: all that read slides. The files are read by `wsipipe.store.ngff`.
"""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path

from wsipipe.errors import SlideOpenError, SlideReadError, StoreError
from wsipipe.grid import Box
from wsipipe.slide.base import Level, Pixels, SlideInfo
from wsipipe.slide.colour import fill_of
from wsipipe.slide.identity import slide_id
from wsipipe.slide.reader import Reader
from wsipipe.slide.scale import level_downsample, with_mpp_yx
from wsipipe.store.ngff import NgffImage, image_names, open_image


class NgffSlide(Reader):
    """A multiscale image of an OME-Zarr; see `wsipipe.slide.base.Slide`."""

    def __init__(self, info: SlideInfo, *, slide_id: str, subject: str, image: NgffImage) -> None:
        super().__init__(info, slide_id=slide_id, subject=subject)
        self._image = image

    def _pixels(self, level: int, box: Box, plane: int) -> Pixels:
        try:
            return self._image.read(level, box, plane)
        except (OSError, RuntimeError, ValueError, KeyError) as exc:
            raise SlideReadError(
                f"reading {box} of level {level}: {type(exc).__name__} {' '.join(str(exc).split())}"[:200]
                + ": the chunk is damaged, write or copy the image again",
                subject=self._subject,
            ) from exc


def open_ngff(path: Path, scene: int | None = None) -> NgffSlide:
    """Open an image group, or a slide's group with one image.

    Parameters
    ----------
    path : Path
    scene : int, optional
        Which of the sorted names of ``images/``, where there are several.

    Raises
    ------
    SlideOpenError
        Where there is no such image, or several and none was chosen.
    """
    names = image_names(path)
    if scene is not None and not 0 <= scene < max(1, len(names)):
        raise SlideOpenError(f"it has no scene {scene}, choose from 0 to {max(1, len(names)) - 1}", subject=str(path))
    if scene is None and len(names) > 1:
        listed = "; ".join(f"{i}: {name}" for i, name in enumerate(names))
        raise SlideOpenError(f"it holds {len(names)} scenes, choose one with scene= ({listed})", subject=str(path))
    try:
        image = open_image(path, name=names[scene or 0] if names else None)
    except StoreError as exc:
        raise SlideOpenError(exc.message, subject=str(path)) from exc
    info = _info(image)
    return NgffSlide(
        with_mpp_yx(info, image.mpp_yx), slide_id=slide_id(path, info.fingerprint), subject=str(path), image=image
    )


def _info(image: NgffImage) -> SlideInfo:
    full = image.shapes[0]
    levels = tuple(Level(shape, level_downsample(full, shape) if i else 1.0) for i, shape in enumerate(image.shapes))
    return SlideInfo(
        levels, None, image.channels, image.dtype, image.digest(), f"zarr {version('zarr')}", planes=image.planes,
        vendor="ome-zarr", fill=fill_of(image.channels, image.dtype),
    )  # fmt: skip
