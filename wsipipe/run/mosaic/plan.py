"""What a mosaic is made by: every setting that decides a byte, and the fields it is made of.

Enters: settings. Leaves: a `MosaicPlan` that pickles as JSON, and the fields' pixels for the tasks. Next rooms:
`wsipipe.run.mosaic.tasks`, `wsipipe.run.mosaic.place`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wsipipe.grid import Box, neighbours
from wsipipe.run.course import Work
from wsipipe.run.plan import library_versions
from wsipipe.slide.field_places import Arrangement
from wsipipe.slide.fields import FieldsSlide, open_fields
from wsipipe.stage import Stage, digest, resolve
from wsipipe.units import round_half_up

SMALL_PX = 512
"""Fields are first compared with sides of at most this."""
FIELDS, NULL, EDGES, PLACE, FINISH = "fields", "null", "edges", "place", "finish"
STRIP, WHOLE = "strip", "whole"
"""Where a match was searched: near the place that was said, or anywhere."""
VERSION = 1
"""Raised when the same settings give other bytes."""
NULL_DRAWS = 8
"""Draws of the permutation test that one unit does."""


@dataclass(frozen=True)
class MosaicPlan:
    """All that decides a byte of a mosaic.

    Parameters
    ----------
    fields : str
        Folder.
    name : str
        Of the image in the OME-Zarr.
    beside : str
        Folder for tables and pictures.
    arrangement : Arrangement
        How it is known where fields lie.
    overlap : float
        Share of a side, for fields that are placed by rows and columns.
    reach_px : int
        Pixels by which a said displacement may be wrong before whole fields are compared; 0: a twentieth of the side.
    alpha, permutations : float, int
        Of the test that an edge must pass.
    turns, lens : bool
        Whether fields may be turned against each other, and all be bent alike by the lens.
    most_px : float
        Residual over which an edge is bad.
    light, exposures : bool
        Whether brightness over the field and of whole fields is corrected.
    feather_px : float
        Half of the band in which two fields are mixed.
    deblur, order : mapping, str
        Settings of the deblur stage (``method`` and its own), and whether it works on ``fields`` or on the ``mosaic``.
    mpp : float or None
        Micrometres per pixel; what the files say where it is None.
    outliers : str
        ``leave_out`` fields that belong to no neighbour, or ``place`` them.
    seed : int
    """

    fields: str
    name: str
    beside: str
    arrangement: Arrangement = field(default_factory=Arrangement)
    overlap: float = 0.1
    reach_px: int = 0
    alpha: float = 0.01
    permutations: int = 96
    turns: bool = True
    lens: bool = True
    most_px: float = 3.0
    light: bool = True
    exposures: bool = True
    feather_px: float = 24.0
    deblur: Mapping[str, Any] = field(default_factory=lambda: {"method": "none"})
    order: str = "fields"
    mpp: float | None = None
    outliers: str = "leave_out"
    seed: int = 0

    def text(self) -> str:
        """As JSON."""
        return json.dumps(asdict(self), sort_keys=True)

    def key(self, fingerprint: str) -> str:
        """Changes with anything that could change a byte; paths are not in it."""
        kept = {name: value for name, value in asdict(self).items() if name not in ("fields", "beside")}
        kept["arrangement"] = {n: v for n, v in kept["arrangement"].items() if n != "positions"}
        found = {"plan": kept, "fields": fingerprint, "version": VERSION, "libraries": library_versions()}
        return digest(found)


@lru_cache(maxsize=4)
def plan_of(text: str) -> MosaicPlan:
    """The plan that a work's text stands for."""
    values = json.loads(text)
    values["arrangement"] = Arrangement(**values["arrangement"])
    return MosaicPlan(**values)


@lru_cache(maxsize=2)
def fields_of(text: str) -> FieldsSlide:
    """The fields of a plan, opened once per process."""
    plan = plan_of(text)
    return open_fields(plan.fields, plan.arrangement)


@dataclass(frozen=True)
class Setting:
    """What the fields' places say before anything is measured.

    Parameters
    ----------
    said : (N, 2) float
        Corners, pixels.
    pairs : (M, 2) int
        Neighbours.
    factor : int
        Pixels per pixel of the reduced fields.
    """

    said: NDArray[np.float64]
    pairs: NDArray[np.int64]
    factor: int
    shape: tuple[int, int]

    def expected(self, pair: NDArray[np.int64] | tuple[int, int]) -> tuple[int, int]:
        """The second field's corner from the first's, reduced pixels."""
        step = (self.said[pair[1]] - self.said[pair[0]]) / self.factor
        return round_half_up(float(step[0])), round_half_up(float(step[1]))

    def apart(self, field: int) -> NDArray[np.int64]:
        """Fields that are no neighbours of one; where there are none, all others."""
        others = np.setdiff1d(np.arange(len(self.said)), [field])
        near = np.unique(self.pairs[(self.pairs == field).any(axis=1)])
        far = np.setdiff1d(others, near)
        return far if len(far) else others

    def reach(self, plan: MosaicPlan) -> int:
        """Reduced pixels by which that may be wrong."""
        usual = max(40, max(self.shape) // 20)
        return max(4, -(-(plan.reach_px or usual) // self.factor))


def setting(slide: FieldsSlide, overlap: float) -> Setting:
    """Corners and neighbours as names, table or stage say them."""
    shape = slide.info.shape
    factor = max(1, -(-max(shape) // SMALL_PX))
    cells = [place.cell for place in slide.places]
    if all(cell is not None for cell in cells):
        pitch = np.array(shape) * (1 - overlap)
        said = np.array(cells, float) * pitch
        return Setting(said, beside_each_other([cell for cell in cells if cell is not None]), factor, shape)
    said = np.array([place.yx for place in slide.places], float)
    return Setting(said, _overlapping(said, shape), factor, shape)


def beside_each_other(cells: list[tuple[int, int]]) -> NDArray[np.int64]:
    """Pairs of cells that share a side."""
    at = {cell: index for index, cell in enumerate(cells)}
    pairs = [
        (index, at[near])
        for cell, index in at.items()
        for near in ((cell[0], cell[1] + 1), (cell[0] + 1, cell[1]))
        if near in at
    ]
    return np.array(sorted(pairs), np.int64).reshape(-1, 2)


def _overlapping(said: NDArray[np.float64], shape: tuple[int, int]) -> NDArray[np.int64]:
    """Pairs whose said boxes overlap; those that overlap in a corner only are left out."""
    boxes = np.concatenate([np.rint(said), np.tile(shape, (len(said), 1))], axis=1).astype(np.int64)
    pairs = neighbours(boxes)
    if len(pairs) == 0:
        return pairs
    area = np.prod(np.array(shape) - np.abs(said[pairs[:, 0]] - said[pairs[:, 1]]), axis=1)
    most = np.zeros(len(said))
    for column in (0, 1):
        np.maximum.at(most, pairs[:, column], area)
    return np.asarray(pairs[area >= 0.4 * np.minimum(most[pairs[:, 0]], most[pairs[:, 1]])])


def sharpener(plan: MosaicPlan) -> Stage | None:
    """The deblur stage, or None. Rooms are named here and not imported: a run knows no pathology."""
    given = dict(plan.deblur)
    method = given.pop("method", "none")
    if method == "none":
        return None
    if method == "network":
        wanted = {name: given[name] for name in ("weights", "guard", "device") if name in given}
        found: Callable[..., Stage] = resolve("wsipipe.deblur.network:sharpen")
        return found(**wanted)
    classical = {name: given[name] for name in ("sigma_px", "iterations") if name in given}
    found = resolve("wsipipe.deblur.stage:restore")
    return found(method=method, trim=True, **classical)


def sharpened(stage: Stage, rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A picture with the stage's halo around it, without it afterwards, sharper."""
    halo = stage.halo
    made = np.asarray(stage.fn(rgb=rgb[None])["rgb"])[0]
    if halo and made.shape == rgb.shape:
        made = made[halo:-halo, halo:-halo]
    return made


class RawField:
    """A field's samples as they were decoded once: ``(h, w, C)`` in a plain file, any rows of it read alone."""

    def __init__(self, path: Path, shape: tuple[int, int, int], dtype: str) -> None:
        self.path, self.shape, self.dtype = path, shape, np.dtype(dtype)

    def read(self, box: Box) -> NDArray[np.integer[Any]]:
        """Pixels of a box inside the field."""
        _, width, channels = self.shape
        row = width * channels * self.dtype.itemsize
        with self.path.open("rb") as file:
            file.seek(box.y * row)
            rows = np.frombuffer(file.read(box.height * row), self.dtype).reshape(box.height, width, channels)
        return rows[:, box.x : box.x1]


def raw(work: Work, unit: int) -> RawField:
    """The decoded samples of a field, deblurred if fields are."""
    slide, plan = fields_of(work.plan), plan_of(work.plan)
    channels = 3 if sharpens_fields(plan) else slide.info.channels
    return RawField(work.path(FIELDS, unit, "raw"), (*slide.info.shape, channels), slide.info.dtype.str)


def sharpens_fields(plan: MosaicPlan) -> bool:
    """Whether fields are deblurred before they are combined."""
    return plan.order == "fields" and plan.deblur.get("method", "none") != "none"
