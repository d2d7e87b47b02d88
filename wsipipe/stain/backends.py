"""Extractors of other libraries, for those who want theirs: fitted on our pooled pixels, applied by us.

Enters: pooled pixels. Leaves: stain vectors as `wsipipe.stain.extract` gives them. Their own `transform` fits
every picture by itself and would make neighbouring tiles differ. Neither library is imported before it is used.

Known of them: staintools' Vahadane runs SPAMS for one second by the clock, so two fits differ in late digits (0.1
degrees here); TIAToolbox's own Vahadane warns that it is unstable since scikit-learn 0.23, and indeed returns vectors
that are no stains for most pictures, which `checked` refuses: the slide is then left as it is and says so.
"""

from __future__ import annotations

from importlib import util
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from wsipipe.errors import UsageError
from wsipipe.stain.density import Float
from wsipipe.stain.extract import MIN_PIXELS, checked

Backend = Literal["wsipipe", "staintools", "tiatoolbox"]

NEEDS = {"staintools": ("staintools", "spams"), "tiatoolbox": ("tiatoolbox",), "wsipipe": ()}
"""Packages that each back end imports."""


def require(backend: str) -> None:
    """Say early that a library is missing.

    Raises
    ------
    UsageError
        With the extra that installs it.
    """
    missing = [name for name in NEEDS[backend] if util.find_spec(name) is None]
    if missing:
        extra = "wsipipe[staintools]" if backend == "staintools" else "wsipipe"
        raise UsageError(
            f"fitting stains with {backend}: {' and '.join(missing)} cannot be imported; pip install '{extra}', "
            "or set stain.backend to wsipipe"
        )


def extract(pixels: NDArray[np.uint8], *, backend: str, method: str) -> Float | None:
    """Stain vectors by another library's extractor.

    Parameters
    ----------
    pixels : (M, 3) uint8
    backend : {"staintools", "tiatoolbox"}
    method : {"macenko", "vahadane"}

    Returns
    -------
    (2, 3) float64 or None
        Unit rows, haematoxylin first; None where theirs found no tissue or what it found is no pair of stains.

    Raises
    ------
    UsageError
        Where the library is not installed.
    """
    require(backend)
    if len(pixels) < MIN_PIXELS:
        return None
    no_fit: tuple[type[Exception], ...] = (ValueError, np.linalg.LinAlgError, *_own_errors(backend))
    picture = pixels[None].copy()  # both write to their argument
    try:
        found = _extractor(backend, method).get_stain_matrix(picture)
    except no_fit:
        return None
    return checked(np.asarray(found, np.float64))


def _extractor(backend: str, method: str) -> Any:
    if backend == "staintools":
        from staintools.stain_extraction.macenko_stain_extractor import MacenkoStainExtractor
        from staintools.stain_extraction.vahadane_stain_extractor import VahadaneStainExtractor

        return MacenkoStainExtractor if method == "macenko" else VahadaneStainExtractor
    from tiatoolbox.tools.stainextract import MacenkoExtractor, VahadaneExtractor

    return MacenkoExtractor() if method == "macenko" else VahadaneExtractor()


def _own_errors(backend: str) -> tuple[type[Exception], ...]:
    if backend == "staintools":
        from staintools.miscellaneous.exceptions import TissueMaskException

        return (TissueMaskException,)
    return ()
