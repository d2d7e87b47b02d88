"""The card beside a weights file: what was trained, on what, how large it is, and what it must not be used for.

Enters: ``NAME.json``. Leaves: a checked `Card`. Nothing here imports torch.
Next: `wsipipe.models.weights` keeps card and tensors together.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from wsipipe.models.architecture import Architecture
from wsipipe.stage import digest

CATEGORIES = ("negative", "low_grade", "high_grade", "invasive")
"""The four categories of a tile, a pixel and a slide, from harmless to severe."""

NOTICE = "not for clinical use"


class Card(BaseModel):
    """What a file of weights says about itself.

    Parameters
    ----------
    name : str
        What the weights are called, such as ``gastric-phantom-v1``.
    architecture : Architecture
        Kind of network and its settings: enough to build it.
    trained : bool
        False for a network that holds nothing but its seed.
    sha256 : str
        Of the safetensors file, 64 hex digits; filled in by `wsipipe.models.weights.save`.
    parameters : int, optional
        Learned numbers.
    gflop_per_tile : float, optional
        1e9 operations (a multiplication and an addition are two) for a tile of `tile_px`, forward.
    training_data, licence, notice : str
        For people; the notice is shown wherever a category is.
    mpp : float
        Micrometres per pixel of the tiles it was trained on.
    tile_px : int
        Their side in pixels.
    mean, std : (3,) of float
        Of the training pixels per channel (red, green, blue), as shares of white (0 to 1).
    made : dict
        Anything else worth keeping: seeds, versions, seconds of training on which device, scores.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    architecture: Architecture
    trained: bool = True
    sha256: str = ""
    parameters: int | None = None
    gflop_per_tile: float | None = None
    training_data: str = ""
    licence: str = "Apache-2.0"
    notice: str = NOTICE
    mpp: float = Field(default=0.5, gt=0)
    tile_px: int = Field(default=512, ge=1)
    mean: tuple[float, float, float] = (0.5, 0.5, 0.5)
    std: tuple[float, float, float] = (0.25, 0.25, 0.25)
    categories: tuple[str, ...] = CATEGORIES
    made: dict[str, Any] = Field(default_factory=dict)


@dataclass(frozen=True)
class FeatureStatistics:
    """Where the feature vectors of the training tiles lie; the gate measures distances to it.

    Parameters
    ----------
    means : (C, D) float64
        Mean feature vector of each class that was seen.
    precision : (D, D) float64
        Inverse of the covariance about those means, shared by the classes.
    """

    means: NDArray[np.float64]
    precision: NDArray[np.float64]


def untrained(name: str, presets: Mapping[str, Architecture]) -> Card:
    """The card of a network that holds nothing but its seed.

    Parameters
    ----------
    name : str
        ``untrained``, ``untrained:SEED`` or ``untrained:SEED:PRESET``; seed 0 and the first preset if not given.
    presets : mapping
        The architectures that may be asked for.

    Returns
    -------
    Card
        Its ``sha256`` is the hash of architecture and seed, so it is as stable as a file's.

    Raises
    ------
    ValueError
        Where the seed is no whole number of 0 or more, or the preset is unknown.
    """
    _, _, rest = name.partition(":")
    seed, _, preset = rest.partition(":")
    preset = preset or next(iter(presets), "")
    if not (seed or "0").isdecimal() or preset not in presets:
        raise ValueError(name)
    architecture, made = presets[preset], {"seed": int(seed or 0)}
    sha256 = digest({"architecture": architecture.model_dump(mode="json"), **made}, length=64)
    return Card(name=name, architecture=architecture, trained=False, sha256=sha256, training_data="none", made=made)
