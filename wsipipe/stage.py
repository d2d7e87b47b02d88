"""Stages: pure functions over batches of arrays, as values that a worker can rebuild and a store can hash.

Enters: declared arrays. Leaves: declared arrays. A stage does not know where arrays come from, how
many tiles there are, or that dask exists. Next room: `wsipipe.run` feeds chains of stages with tiles.

A *room* (``wsipipe.stain``, ``wsipipe.graph``, ...) is pure functions with a stage factory at its foot::

    def apply(*, method: str = "macenko") -> Stage:
        ref = Ref("wsipipe.stain.stage:apply", {"method": method})
        return Stage(ref, "stain", 1, inputs=(RGB, STAIN_FIT), outputs=(RGB,), fn=...)
"""

from __future__ import annotations

import hashlib
import importlib
import json
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import reduce
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from wsipipe.errors import ChainError

Batch = dict[str, NDArray[Any]]
Scope = Literal["tile", "tiles", "slide"]


@dataclass(frozen=True, slots=True)
class Spec:
    """One declared array.

    Parameters
    ----------
    name : str
        Keyword of the stage's function, name of the layer on disk, and column of the published table.
    shape : tuple of int or None
        Without the batch axis; None is any size. Axes are (y, x, channel) or (feature,).
    dtype : str
        NumPy name, such as ``uint8`` or ``float32``.
    unit : str
        ``"grey"``, ``"um"``, ``"1"`` (dimensionless), ...
    scope : {"tile", "tiles", "slide"}
        ``tile``: one per tile of a batch, so arrays carry a leading batch axis. ``tiles``: the rows of all
        kept tiles of a slide, in ascending tile id. ``slide``: one for the whole slide, no batch axis.
    scale : int
        0 for a row of a table; otherwise the array is a *picture*: working-frame pixels per pixel of it,
        and a tile's part of it is its write box over `scale`.
    fill : float
        Value of cells that were not computed.
    about : str
        Meaning, range and what NaN says; shown by ``--schema``.
    """

    name: str
    shape: tuple[int | None, ...] = ()
    dtype: str = "float32"
    unit: str = "1"
    scope: Scope = "tile"
    scale: int = 0
    fill: float = 0
    about: str = ""

    def accepts(self, other: Spec) -> bool:
        """Whether an array declared as `other` can be used where this one is asked for."""
        same_axes = len(self.shape) == len(other.shape) and all(
            a is None or b is None or a == b for a, b in zip(self.shape, other.shape, strict=True)
        )
        return self.dtype == other.dtype and self.scope == other.scope and same_axes


RGB = Spec("rgb", (None, None, 3), "uint8", "grey", about="pixels of the tile's read box, 0 black to 255 white")
INSIDE = Spec("inside", (2,), "int32", "px", about="height and width of the part of the tile inside the plane")
DAMAGED = Spec("damaged", about="share of the tile, 0 to 1, that the file could not give: those pixels are white")
OVERVIEW = Spec("overview", (None, None, 3), "uint8", "grey", scope="slide", about="the whole slide, small")


@dataclass(frozen=True)
class Ref:
    """What a worker rebuilds a stage from, and what is hashed.

    Parameters
    ----------
    factory : str
        ``"package.module:function"``; called with `params`.
    params : mapping
        Keyword arguments; JSON values only.
    weights : str
        sha256 of the weights that the factory loads, or empty. The path to them is a parameter named
        ``weights`` and is then *not* hashed: moved weights are the same weights. The factory gets it as
        the keyword ``sha256``, to check what it loads.
    """

    factory: str
    params: Mapping[str, Any] = field(default_factory=dict)
    weights: str = ""

    def build(self) -> Stage:
        """The stage, built once per process and kept."""
        return _built(self.factory, canonical(self.params), self.weights)

    def spec(self) -> dict[str, Any]:
        """What distinguishes this stage's results, as JSON values."""
        params = {key: value for key, value in self.params.items() if key != "weights" or not self.weights}
        return {"factory": self.factory, "params": params, "weights": self.weights}


@dataclass(frozen=True)
class Stage:
    """A pure function over a batch, with everything that is needed to check, rebuild and hash it.

    ``fn(**arrays)`` gets the arrays named in `inputs` and returns a dict with at least those named in
    `outputs`; it must not change its arguments. With scope ``tile`` it must give a tile the same
    values whichever tiles share its batch.
    """

    ref: Ref
    name: str
    version: int
    inputs: tuple[Spec, ...]
    outputs: tuple[Spec, ...]
    fn: Callable[..., Mapping[str, NDArray[Any]]] = field(compare=False, repr=False)
    halo: int = 0

    def __reduce__(self) -> tuple[Any, ...]:
        return self.ref.build, ()

    def spec(self) -> dict[str, Any]:
        """What distinguishes this stage's results, as JSON values."""
        outputs = [[spec.name, list(spec.shape), spec.dtype, spec.scale, spec.fill] for spec in self.outputs]
        return {"name": self.name, "version": self.version, "halo": self.halo, "outputs": outputs, **self.ref.spec()}


@dataclass(frozen=True)
class Chain:
    """Stages that run one after the other on the same batch. Made by `chain`, which checks it."""

    stages: tuple[Stage, ...]

    @property
    def halo(self) -> int:
        """Pixels around a tile that the chain needs: its stages' halos added."""
        return sum(stage.halo for stage in self.stages)

    @property
    def outputs(self) -> dict[str, Spec]:
        """All declared outputs by name; a later stage's replaces an earlier one's of the same name."""
        return {spec.name: spec for stage in self.stages for spec in stage.outputs}

    def spec(self) -> list[dict[str, Any]]:
        """What distinguishes the chain's results, as JSON values."""
        return [stage.spec() for stage in self.stages]

    def __call__(self, **arrays: NDArray[Any]) -> Batch:
        """Run all stages; returns the given arrays and every output, the latest of each name."""
        return reduce(_apply, self.stages, dict(arrays))


def chain(stages: Iterable[Stage], available: Iterable[Spec]) -> Chain:
    """Check and join stages.

    Parameters
    ----------
    stages : iterable of Stage
        In the order in which they run.
    available : iterable of Spec
        What is there before the first: the pixels (``rgb``), and slide-level inputs.

    Raises
    ------
    ChainError
        Where a stage asks for what neither `available` nor a stage before it declares; both are named.
    """
    stages = tuple(stages)
    have = {spec.name: spec for spec in available}
    for stage in stages:
        wrong = [spec for spec in stage.inputs if spec.name not in have or not spec.accepts(have[spec.name])]
        if wrong:
            raise ChainError(
                f"stage {stage.name!r} needs {_line(wrong)}, but before it there is only {_line(have.values())}: "
                "add the stage that makes it, or change the order"
            )
        have |= {spec.name: spec for spec in stage.outputs}
    return Chain(stages)


def canonical(value: Any) -> str:
    """JSON text with sorted keys and no spaces: equal values give equal text."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def resolve(factory: str) -> Callable[..., Any]:
    """The function that ``"package.module:function"`` names."""
    module, _, name = factory.partition(":")
    found: Callable[..., Any] = getattr(importlib.import_module(module), name)
    return found


def digest(value: Any, *, length: int = 12) -> str:
    """First `length` hex digits of the sha256 of a JSON value."""
    return hashlib.sha256(canonical(value).encode()).hexdigest()[:length]


def _apply(arrays: Batch, stage: Stage) -> Batch:
    made = stage.fn(**{spec.name: arrays[spec.name] for spec in stage.inputs})
    return arrays | {spec.name: np.asarray(made[spec.name]) for spec in stage.outputs}


def _line(specs: Iterable[Spec]) -> str:
    return ", ".join(f"{spec.name}{list(spec.shape)} {spec.dtype} per {spec.scope}" for spec in specs) or "nothing"


_LOCK = threading.RLock()
_BUILT: dict[tuple[str, str, str], Stage] = {}


def _built(factory: str, params: str, weights: str) -> Stage:
    """One stage per process and reference: networks are loaded once, whatever thread asks first."""
    key = (factory, params, weights)
    with _LOCK:
        if key not in _BUILT:
            keywords = json.loads(params) | ({"sha256": weights} if weights else {})
            _BUILT[key] = resolve(factory)(**keywords)
        return _BUILT[key]
