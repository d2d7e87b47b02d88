"""Labelled pictures of the retina in the folder form that public sets share: ``images/``, ``1st_manual/``, ``mask/``.

Enters: a folder (DRIVE-AV, HRF-AV, LES-AV, INSPIRE by path, or made pictures). Leaves: `Case`. Next: `wsipipe.train`
and `wsipipe.evaluate`.

Labels are coded 0 background, 1 artery, 2 vein, 3 crossing or uncertain; the colours that RITE and LES-AV are
published in (red, blue, green for crossings, white for uncertain) are understood too. Centre lines (INSPIRE-AVR) are
labels of the same coding whose vessels are one pixel wide.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from wsipipe.errors import SlideError, SlideOpenError, UsageError
from wsipipe.vessel.field_of_view import find
from wsipipe.vessel.network import WORKING_FIELD_PX

CODES = (0, 1, 2, 3)
COLOURS = {(0, 0, 0): 0, (255, 0, 0): 1, (0, 0, 255): 2, (0, 255, 0): 3, (255, 0, 255): 3, (255, 255, 255): 3}
"""Red, green, blue to code; magenta is where some tools draw an artery over a vein."""
SUFFIXES = (".bmp", ".gif", ".jpeg", ".jpg", ".png", ".ppm", ".tif", ".tiff", ".webp")
COVERED = 0.4
"""Share of a smaller picture's pixel that vessels must cover to make it a vessel pixel."""


@dataclass(frozen=True)
class Case:
    """A labelled picture.

    Attributes
    ----------
    name : str
        The picture's file name without suffix.
    picture : (height, width, 3) uint8
    label : (height, width) uint8
        0 background, 1 artery, 2 vein, 3 crossing or uncertain.
    field : (height, width) bool
        Field of view: the folder's mask, or found in the picture where the folder has none.
    """

    name: str
    picture: NDArray[np.uint8]
    label: NDArray[np.uint8]
    field: NDArray[np.bool_]

    @property
    def field_px(self) -> int:
        """Width of the field of view."""
        columns = np.flatnonzero(self.field.any(axis=0))
        return int(columns[-1] - columns[0] + 1)

    def working(self, *, field_px: float = WORKING_FIELD_PX, covered: float = COVERED) -> Case:
        """The case with a field of so many pixels across; itself where it is within 5 % of that. See `resized`."""
        factor = field_px / self.field_px
        return self if abs(factor - 1) < 0.05 else resized(self, factor, covered=covered)


def cases(folder: Path, *, labels: Path | None = None) -> list[Case]:
    """All labelled pictures of a folder.

    Parameters
    ----------
    folder : Path
        Holds ``images`` and ``1st_manual``, and ``mask`` where there are masks; or is itself a folder of pictures.
    labels : Path, optional
        Another folder of labels, such as INSPIRE's centre lines.

    Raises
    ------
    UsageError
        Where the folder is not of this form, a picture has no label or several.
    SlideError
        Where a file is no picture, has another size than its picture, or a label has unknown codes.

    Notes
    -----
    A label or mask belongs to a picture whose name it begins with (``01_dr.JPG``, ``01_dr_AVmanual.png``,
    ``01_dr_mask.tif``); the longest such name wins.
    """
    images = _pictures(folder / "images" if (folder / "images").is_dir() else folder)
    truth = _pictures(labels or folder / "1st_manual")
    masks = _pictures(folder / "mask") if (folder / "mask").is_dir() else {}
    names = sorted(images)
    return [
        _case(images[name], _beside(name, truth, names, what="label"), _beside(name, masks, names, what=""))
        for name in names
    ]


def read_picture(path: Path) -> NDArray[np.uint8]:
    """A picture (height, width, 3) uint8, turned as its EXIF says; 16-bit and grey ones are made 8-bit RGB.

    Raises
    ------
    SlideOpenError
        Where it cannot be read as a picture.
    """
    try:
        with Image.open(path) as opened:
            turned = ImageOps.exif_transpose(opened)
            if turned.mode.startswith("I"):
                deep = np.asarray(turned, np.float64)
                turned = Image.fromarray(np.clip(deep / 257, 0, 255).round().astype(np.uint8))
            return np.asarray(turned.convert("RGB"))
    except (OSError, UnidentifiedImageError, ValueError) as error:
        raise SlideOpenError(
            f"reading a picture: it cannot be decoded ({error}): convert it to PNG, JPEG or TIFF", subject=str(path)
        ) from error


def read_label(path: Path) -> NDArray[np.uint8]:
    """A label (height, width) uint8, codes 0 to 3, from a grey, palette or colour file.

    Raises
    ------
    SlideError
        Where it holds other codes or colours; they are named.
    """
    with Image.open(path) as opened:
        codes = np.asarray(opened) if opened.mode in ("L", "1", "P") else None
        colour = np.asarray(opened.convert("RGB"))
    if codes is not None and int(codes.max(initial=0)) <= max(CODES):
        return codes.astype(np.uint8)
    packed = (colour.astype(np.int64) * (65536, 256, 1)).sum(axis=2)
    known = {(r << 16) + (g << 8) + b: code for (r, g, b), code in COLOURS.items()}
    strange = sorted(set(np.unique(packed).tolist()) - set(known))
    if strange:
        told = ", ".join(f"#{value:06x}" for value in strange[:4])
        raise SlideError(
            f"reading a label: codes are 0 background, 1 artery, 2 vein, 3 crossing (or black, red, blue, green or "
            f"white), found {len(strange)} others (first: {told}): save the label without smoothing, as PNG",
            subject=str(path),
        )
    label = np.zeros(packed.shape, np.uint8)
    for value, code in known.items():
        label[packed == value] = code
    return label


def resized(case: Case, factor: float, *, covered: float = COVERED) -> Case:
    """The case, larger or smaller; a smaller label's pixel is a vessel where vessels cover the share `covered` of it.

    Its class is the one that covers most of it.
    """
    size = tuple(max(1, round(side * factor)) for side in case.label.shape[::-1])
    way = cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC
    shares = np.stack([_share(case.label == code, size, factor) for code in CODES[1:]])
    label = np.where(shares.sum(axis=0) >= covered, shares.argmax(axis=0) + 1, 0).astype(np.uint8)
    field = _share(case.field, size, factor) >= 0.5
    return Case(case.name, cv2.resize(case.picture, size, interpolation=way), label, field)


def _share(mask: NDArray[np.bool_], size: tuple[int, ...], factor: float) -> NDArray[np.float32]:
    way = cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(mask.astype(np.float32), size, interpolation=way), np.float32)


def _case(image: Path, label: Path | None, mask: Path | None) -> Case:
    picture, truth = read_picture(image), read_label(label) if label else None
    if truth is None:
        raise UsageError("reading labelled pictures: this one has no label in 1st_manual: add it", subject=str(image))
    field = read_picture(mask).max(axis=2) > 127 if mask else find(picture).mask
    for path, array in ((label, truth), (mask or image, field)):
        if array.shape != picture.shape[:2]:
            raise SlideError(
                f"reading labelled pictures: the picture is {picture.shape[1]}x{picture.shape[0]} px, this is "
                f"{array.shape[1]}x{array.shape[0]}: give the label and mask of this picture",
                subject=str(path),
            )
    if not field.any():
        raise SlideError("no field of view can be found: give a mask in the folder mask", subject=str(image))
    return Case(image.stem, picture, truth, field)


def _pictures(folder: Path) -> dict[str, Path]:
    if not folder.is_dir():
        raise UsageError(
            "reading labelled pictures: this folder is missing; the form is images/, 1st_manual/ and mask/ (optional): "
            "give --data the folder above them, --labels a folder of labels elsewhere",
            subject=str(folder),
        )
    found = {path.stem: path for path in sorted(folder.iterdir()) if path.suffix.lower() in SUFFIXES}
    if not found:
        raise UsageError(f"there is no picture ({', '.join(SUFFIXES)}) in this folder", subject=str(folder))
    return found


def _beside(name: str, files: dict[str, Path], names: list[str], *, what: str) -> Path | None:
    """The file that belongs to a picture: its name begins with the picture's and with no longer picture's name."""

    def ours(stem: str) -> bool:
        begins = [one for one in names if stem == one or stem.startswith((f"{one}_", f"{one}-", f"{one}."))]
        return bool(begins) and max(begins, key=len) == name

    found = [path for stem, path in files.items() if ours(stem)]
    if what and len(found) > 1:
        raise UsageError(f"{name} has {len(found)} {what}s ({found[0].name}, {found[1].name}): keep one", subject=name)
    return found[0] if found else None
