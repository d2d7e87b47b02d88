"""What a pipeline is: steps as values, checked when built, and the key of every layer they leave.

Enters: stages. Leaves: a `Pipeline`, and `keys` for one slide. Next room: `wsipipe.run.work` does the
steps in workers; `wsipipe.run.batch` says which next.

A step is one of four: `Overview` (a small picture of the slide), `Map` (a chain of stages over tiles, unit
by unit), `Reduce` (slide-level arrays from pixels of a few tiles, from rows of all kept tiles, or from other
slide-level arrays; fitting is a reduce step), `Finish` (publish, draw: writes what people open).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from importlib import metadata
from typing import Any

from wsipipe import __version__
from wsipipe.errors import ChainError
from wsipipe.grid import Frame, Grid
from wsipipe.slide.base import Slide
from wsipipe.slide.damage import Damaged
from wsipipe.slide.icc import Icc
from wsipipe.stage import DAMAGED, INSIDE, OVERVIEW, RGB, Chain, Spec, Stage, chain, digest, resolve
from wsipipe.store.layer import Layer
from wsipipe.store.layout import LAYOUT_VERSION

TILE_ID = Spec("tile_id", (), "int64", scope="tiles", about="row of the tile in every per-tile layer")
LIBRARIES = ("numpy", "opencv-python-headless", "opencv-python", "scikit-image", "scipy", "torch", "torch-geometric")
"""Versions that could change a computed byte; part of every key."""


@dataclass(frozen=True)
class Overview:
    """Read the whole slide at low resolution.

    Parameters
    ----------
    longest_px : int
        Longer side of the picture is at most this; the scale is a power of two of working pixels.
    """

    name: str = "overview"
    longest_px: int = 2048

    outputs: tuple[Spec, ...] = (OVERVIEW,)
    stages: tuple[Stage, ...] = ()

    def spec(self) -> dict[str, Any]:
        """What distinguishes this step's results."""
        return {"step": self.name, "longest_px": self.longest_px}


@dataclass(frozen=True)
class Map:
    """Run a chain over tiles, unit by unit.

    Parameters
    ----------
    name : str
        Of the step and its layer.
    stages : tuple of Stage
        With scope ``tile``; slide-level inputs come from the steps before.
    keep : tuple of str
        Which outputs are written.
    scale : int
        Pixels are read from the frame this many times coarser than the working frame.
    kept_only : bool
        Only the tiles that the pipeline's `Keep` rule keeps, or all.
    batch : int
        Tiles read and handed to the chain at once.
    """

    name: str
    stages: tuple[Stage, ...]
    keep: tuple[str, ...]
    scale: int = 1
    kept_only: bool = True
    batch: int = 8

    @property
    def outputs(self) -> tuple[Spec, ...]:
        """The declared arrays that are written."""
        made = {spec.name: spec for stage in self.stages for spec in stage.outputs}
        if missing := [name for name in self.keep if name not in made]:
            raise ChainError(f"step {self.name!r} keeps {missing}, but its stages make only {sorted(made)}")
        return tuple(made[name] for name in self.keep)

    def spec(self) -> dict[str, Any]:
        """What distinguishes this step's results."""
        stages = [stage.spec() for stage in self.stages]
        return {
            "step": self.name,
            "stages": stages,
            "keep": list(self.keep),
            "scale": self.scale,
            "batch": self.batch,
            "kept_only": self.kept_only,
        }


@dataclass(frozen=True)
class Reduce:
    """Make slide-level arrays.

    Parameters
    ----------
    stages : tuple of Stage
        Inputs with scope ``tiles`` are the rows of all kept tiles; ``slide`` those of earlier steps.
    sample : int
        With a number, ``rgb`` is that many kept tiles, drawn by (seed, fingerprint).
    """

    name: str
    stages: tuple[Stage, ...]
    sample: int = 0
    seed: int = 0

    @property
    def outputs(self) -> tuple[Spec, ...]:
        """All slide-level arrays of its stages."""
        return tuple({spec.name: spec for stage in self.stages for spec in stage.outputs}.values())

    def spec(self) -> dict[str, Any]:
        """What distinguishes this step's results."""
        stages = [stage.spec() for stage in self.stages]
        return {"step": self.name, "stages": stages, "sample": self.sample, "seed": self.seed}


@dataclass(frozen=True)
class Finish:
    """Call ``factory(context, **params)`` once the slide's arrays are there; it returns a part of the record.

    ``factory`` is ``"package.module:function"``; see `wsipipe.run.work.Context`.
    """

    name: str
    factory: str
    params: Mapping[str, Any] = field(default_factory=dict)
    outputs: tuple[Spec, ...] = ()
    stages: tuple[Stage, ...] = ()

    def spec(self) -> dict[str, Any]:
        """What distinguishes this step's results."""
        return {"step": self.name, "factory": self.factory, "params": dict(self.params), "wsipipe": __version__}


Step = Overview | Map | Reduce | Finish


@dataclass(frozen=True)
class Keep:
    """Which tiles count: those whose row of `name` is at least `minimum`."""

    name: str
    minimum: float


@dataclass(frozen=True)
class Scale:
    """How a picture without a scale of its own is given one: ``factory(slide, **params)`` is the mpp of its level 0.

    The factory is ``"package.module:function"``. The number is nominal: it says which working frame a picture gets
    (one in which a fundus camera's field of view is always equally wide), not how large anything is.
    """

    factory: str
    params: Mapping[str, Any] = field(default_factory=dict)

    def mpp(self, slide: Slide) -> float:
        """The nominal mpp of level 0."""
        return float(resolve(self.factory)(slide, **self.params))


@dataclass(frozen=True)
class Pipeline:
    """A page that lists steps.

    Parameters
    ----------
    name : str
    steps : tuple
        In order; each step's inputs are made by steps before it.
    keep : Keep
        The rule for kept tiles.
    mpp : float
        Of the working frame, micrometres per pixel.
    tile, unit : int
        Side of a tile in working pixels, and of a unit in tiles.
    plane : int
        Which plane of the slide is worked on.
    icc : {"record", "ignore", "apply"}
        What the file's ICC profile is for; ``apply`` is in every key, by the reader's name.
    damaged : {"fail", "mask"}
        Whether a native tile that cannot be decoded fails the slide, or is left white and recorded.
    scale : Scale, optional
        In place of the mpp of files and slide lists.
    smaller : bool
        Whether slides that are smaller than a tile are worked on; the tile then reaches outside the plane.
    """

    name: str
    steps: tuple[Step, ...]
    keep: Keep
    mpp: float = 0.5
    tile: int = 512
    unit: int = 8
    plane: int = 0
    icc: Icc = "record"
    damaged: Damaged = "fail"
    scale: Scale | None = None
    smaller: bool = False

    def __post_init__(self) -> None:
        for _ in self.chains():
            pass

    def chains(self) -> Iterator[Chain]:
        """The checked chain of every step. Raises ChainError where an input is missing."""
        have: dict[str, Spec] = {}
        for step in self.steps:
            if not isinstance(step, Finish) and _uses_kept(step) and self.keep.name not in have:
                raise ChainError(
                    f"step {step.name!r} works on kept tiles, but no step before it leaves {self.keep.name!r}, which "
                    f"says which are kept; there is only {sorted(have) or 'nothing'}: change the order"
                )
            if twice := sorted(spec.name for spec in step.outputs if spec.name in have):
                raise ChainError(f"step {step.name!r} leaves {twice} once more: give the arrays other names")
            yield chain(step.stages, [*have.values(), *_pixels(step)])
            have |= {spec.name: _seen_later(spec) for spec in step.outputs if not spec.scale}

    def grid(self, frame: Frame) -> Grid:
        """The tiles of a working frame."""
        return Grid(frame.shape, self.tile, 0, self.unit)

    def index(self, array: str) -> int:
        """Which step leaves an array (the last that does). Raises KeyError where none does."""
        holders = [i for i, step in enumerate(self.steps) if any(spec.name == array for spec in step.outputs)]
        if not holders:
            raise KeyError(f"no step of pipeline {self.name!r} leaves {array!r}")
        return holders[-1]


def keys(pipeline: Pipeline, frame: Frame, *, fingerprint: str, reader: str, declared: str = "") -> tuple[str, ...]:
    """One key per step for one slide; a key changes with anything that could change a byte of the layer.

    It hashes the step, the keys of the layers that it reads, the rule for kept tiles where it works on those,
    the grid, the slide's fingerprint, and the execution fingerprint: reader and decoder, library versions
    (device, dtype, memory format and batch size are parameters of stages and so are in the step). What a slide
    list declares of the slide, and what is recorded of its colours, counts for finishing steps only.
    """
    base = digest(
        {
            "layout": LAYOUT_VERSION,
            "frame": asdict(frame),
            "grid": asdict(pipeline.grid(frame)),
            "plane": pipeline.plane,
            "fingerprint": fingerprint,
            "reader": reader,
            "libraries": library_versions(),
        }
    )
    made: dict[str, str] = {}
    found: list[str] = []
    for step in pipeline.steps:
        read = sorted({made[name] for name in inputs(pipeline, step) if name in made})
        keep = asdict(pipeline.keep) if _uses_kept(step) else None
        told = f"{declared}; icc {pipeline.icc}" if isinstance(step, Finish) else ""
        key = digest({"base": base, "inputs": read, "keep": keep, "step": step.spec(), "declared": told})
        found.append(key)
        made |= {spec.name: key for spec in step.outputs}
    return tuple(found)


def inputs(pipeline: Pipeline, step: Step) -> set[str]:
    """Names of the arrays of earlier steps that a step reads; a finishing step may read any."""
    if isinstance(step, Finish):
        return {spec.name for other in pipeline.steps for spec in other.outputs}
    needs = {spec.name for stage in step.stages for spec in stage.inputs}
    return needs | ({pipeline.keep.name} if _uses_kept(step) else set())


def layer_of(pipeline: Pipeline, index: int, key: str, *, root: str, grid: Grid) -> Layer:
    """The layer that a step leaves for a slide."""
    step = pipeline.steps[index]
    halo = sum(stage.halo for stage in step.stages)
    return Layer(root, step.name, key, step.outputs, replace(grid, halo=halo) if isinstance(step, Map) else None)


def library_versions() -> dict[str, str]:
    """Installed versions of `LIBRARIES`, without importing them."""
    found = {}
    for name in LIBRARIES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "absent"
    return found


def _pixels(step: Step) -> tuple[Spec, ...]:
    if isinstance(step, Map):
        return RGB, INSIDE, DAMAGED
    if isinstance(step, Reduce):
        return (RGB, TILE_ID) if step.sample else (TILE_ID,)
    return ()


def _seen_later(spec: Spec) -> Spec:
    """A per-tile row is seen by later steps as the table of all kept tiles; a picture by finishing steps only."""
    return replace(spec, scope="tiles") if spec.scope == "tile" else spec


def _uses_kept(step: Step) -> bool:
    """Whether a step's result depends on which tiles are kept."""
    if isinstance(step, Reduce):
        return step.sample > 0 or any(spec.scope == "tiles" for stage in step.stages for spec in stage.inputs)
    return isinstance(step, Finish) or (isinstance(step, Map) and step.kept_only)
