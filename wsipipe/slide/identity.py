"""What a slide is called and how its content is told from another's.

Enters: files. Leaves: fingerprints and ids. Next rooms: all readers; `wsipipe.store` names its groups by the id.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from pathlib import Path

MIB = 2**20
ID_STEM_MOST = 80
_ZARR_ENDINGS = (".ome.zarr", ".zarr")


def slide_id(path: Path, fingerprint: str) -> str:
    """The name's stem and the first twelve hex digits of the fingerprint.

    Parameters
    ----------
    path : Path
        A directory's name is kept whole but for ``.zarr``: a DICOM folder's dots are no suffix.
    fingerprint : str
        Hex digits.

    Returns
    -------
    str
        Letters, digits, ``.``, ``_`` and ``-`` only; never starts with a dot, so that no name escapes its
        folder or hides in it.
    """
    return f"{clean(_stem(path))}-{fingerprint[:12]}"


def clean(stem: str) -> str:
    """A name that is safe on every file system; at most 80 characters."""
    safe = re.sub(r"[^A-Za-z0-9._-]", "_", stem)[:ID_STEM_MOST]
    return re.sub(r"^\.", "_", safe) or "slide"


def file_fingerprint(path: Path, *more: bytes) -> str:
    """sha256 of a file's size, its first and last MiB, and what the reader adds (TIFF directories).

    Cost: two reads, whatever the file's size.
    """
    size = path.stat().st_size
    hashed = hashlib.sha256(size.to_bytes(8, "big"))
    with path.open("rb") as file:
        hashed.update(file.read(MIB))
        file.seek(max(size - MIB, 0))
        hashed.update(file.read(MIB))
    for item in more:
        hashed.update(item)
    return hashed.hexdigest()


def joint_fingerprint(parts: Iterable[str]) -> str:
    """One fingerprint of several, in the order given."""
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def scene_fingerprint(fingerprint: str, scene: int | None) -> str:
    """A scene's own: two scenes of one file are two slides. None stands for the only scene of a file."""
    return fingerprint if scene is None else joint_fingerprint([fingerprint, f"scene {scene}"])


def _stem(path: Path) -> str:
    if path.is_dir():
        ending = next((e for e in _ZARR_ENDINGS if path.name.lower().endswith(e)), "")
        return path.name[: len(path.name) - len(ending)]
    return path.stem
