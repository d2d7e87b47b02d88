"""What slides are made to look like: the built-in target, or a picture of the user's.

Enters: a name or a path. Leaves: a `Target`, numbers only, so that workers need no picture and a moved picture
is the same target. Next: `wsipipe.stain.stage`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wsipipe.errors import UsageError
from wsipipe.stain.density import Float
from wsipipe.stain.fitting import fit_pixels
from wsipipe.stain.sample import pool

PIXELS = 100_000
"""Pixels drawn from a picture."""


@dataclass(frozen=True)
class Target:
    """Stain vectors, 99th percentiles of concentrations and LAB statistics to give to a slide.

    Parameters
    ----------
    name : str
        ``default``, or ``sha256:`` and the hash of the picture's file.
    matrix : (2, 3) float64
    greatest : (2,) float64
    lab : (2, 3) float64
    """

    name: str
    matrix: Float
    greatest: Float
    lab: Float

    def to_json(self) -> dict[str, Any]:
        """As JSON values; numbers come back bit for bit."""
        lists = {key: getattr(self, key).tolist() for key in ("matrix", "greatest", "lab")}
        return {"name": self.name, **lists}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Target:
        """The target that `to_json` wrote."""
        arrays = {key: np.array(values[key], np.float64) for key in ("matrix", "greatest", "lab")}
        return cls(str(values["name"]), **arrays)


def target(reference: str, method: str) -> Target:
    """The target of a method.

    Parameters
    ----------
    reference : str
        ``default`` or the path of an H&E picture (PNG, JPEG, TIFF, 8 bit).
    method : {"macenko", "vahadane", "ruifrok", "reinhard"}

    Raises
    ------
    UsageError
        Where the picture cannot be read or its stains cannot be fitted.
    """
    if reference == "default":
        found = BUILT_IN["macenko" if method == "reinhard" else method]
        return Target("default", *(np.array(part, np.float64) for part in (*found, LAB)))
    return from_picture(Path(reference), method)


def from_picture(path: Path, method: str) -> Target:
    """Fit the stains of a picture with our own extractor, as `target` does."""
    rgb, sha256 = _decoded(path)
    found = fit_pixels(pool(rgb[None], most=PIXELS, seed=0), method=method)
    if not found.valid:
        raise UsageError(
            f"fitting the stain reference with {method}: it shows no two stains; give an H&E picture that is mostly "
            "tissue",
            subject=str(path),
        )
    return Target(f"sha256:{sha256}", found.matrix, found.greatest, found.lab)


def _decoded(path: Path) -> tuple[NDArray[np.uint8], str]:
    """Pixels as RGB, and the sha256 of the file."""
    import cv2

    try:
        content = path.read_bytes()
    except OSError as error:
        told = f"reading the stain reference: {error.strerror or error}; give 'default' or a picture"
        raise UsageError(told, subject=str(path)) from None
    bgr = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR) if content else None
    if bgr is None:
        raise UsageError(
            "reading the stain reference: not a picture (PNG, JPEG, TIFF); give 'default' or one", subject=str(path)
        )
    return np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), np.uint8), hashlib.sha256(content).hexdigest()


Numbers = Sequence[Sequence[float]] | Sequence[float]

# Fitted on target-he.png (TIAToolbox's usual target, BSD-3), which is not part of the package, and rounded:
#   python -c "from wsipipe.stain.reference import target; print(target('target-he.png', 'macenko').to_json())"
# and the same with vahadane and ruifrok. The sha256 of the picture's file begins with 23c1e65fb65f.
BUILT_IN: dict[str, tuple[Numbers, Numbers]] = {
    "macenko": (((0.519311, 0.754929, 0.400496), (0.154845, 0.832912, 0.531301)), (2.898017, 1.091113)),
    "vahadane": (((0.489664, 0.764595, 0.419075), (0.283493, 0.814389, 0.506361)), (3.270802, 1.675560)),
    "ruifrok": (((0.651108, 0.701193, 0.290494), (0.070102, 0.991439, 0.110160)), (2.535859, 0.740763)),
}
"""Stain vectors and greatest concentrations of the default target, by method."""
LAB: Numbers = ((49.9509, 31.6710, -13.8991), (14.4236, 5.9048, 5.9944))
"""Its means and deviations in LAB."""
