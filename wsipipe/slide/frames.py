"""Frames of a time series: a folder of pictures in the order of their names, or an array of a NumPy file.

Enters: a path. Leaves: frames ``(T, H, W)`` or ``(T, H, W, C)``. Next room: `wsipipe.track`.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wsipipe.errors import SlideOpenError
from wsipipe.grid import Box
from wsipipe.slide.fields import field_files


def read_frames(path: Path, *, name: str = "") -> NDArray[Any]:
    """All frames; they are held in memory.

    Parameters
    ----------
    path : Path
        A folder of pictures of one shape, or an ``.npy`` or ``.npz`` with ``(T, H, W)`` or ``(T, H, W, C)``.
    name : str
        Which array of an ``.npz``; ``images``, or the only one, where it is empty.

    Raises
    ------
    SlideOpenError
        Missing, fewer than two frames, frames of different shape, an array of other axes.
    """
    frames = _array(path, name) if path.suffix in (".npy", ".npz") else _pictures(path)
    if frames.ndim not in (3, 4) or len(frames) < 2:
        raise SlideOpenError(
            f"reading frames: two or more of (y, x) or (y, x, channel) are needed, got shape {frames.shape}",
            subject=str(path),
        )
    return frames


def _array(path: Path, name: str) -> NDArray[Any]:
    try:
        found = np.load(path, allow_pickle=False)
    except (OSError, ValueError) as error:
        raise SlideOpenError(f"reading frames: {error}: give a file of numbers", subject=str(path)) from error
    if isinstance(found, np.ndarray):
        return found
    wanted = name or ("images" if "images" in found.files else found.files[0] if len(found.files) == 1 else "")
    if wanted not in found.files:
        raise SlideOpenError(
            f"reading frames: the file has no array {wanted or 'images'!r}, it has {', '.join(found.files)}",
            subject=str(path),
        )
    return np.asarray(found[wanted])


def _pictures(path: Path) -> NDArray[Any]:
    from wsipipe.slide.choose import open_local  # deferred: that module opens folders through this room

    frames = []
    for file in sorted(field_files(path), key=_natural):
        slide = open_local(path / file)
        frames.append(slide.read(Box(0, 0, *slide.info.shape), level=0))
        slide.close()
        if frames[-1].shape != frames[0].shape:
            raise SlideOpenError(
                f"reading frames: {file} is {frames[-1].shape}, the first is {frames[0].shape}", subject=str(path)
            )
    return np.stack(frames) if frames else np.zeros((0, 0, 0))


def _natural(file: str) -> list[tuple[int, str]]:
    """Names with numbers in the order of these: 2 before 10."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", file)]
