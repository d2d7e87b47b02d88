"""Placing: from what all edges measured to where every field lies, with tables and a picture that say how well.

Enters: the edges, the draws of the permutation test, the reduced fields. Leaves: the placement, the light, tables,
``edges.png`` and an empty mosaic. Next room: `wsipipe.run.mosaic.tasks` fills it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wsipipe.errors import StitchError
from wsipipe.run.course import Work
from wsipipe.run.mosaic.plan import (
    EDGES,
    FIELDS,
    NULL,
    NULL_DRAWS,
    PLACE,
    STRIP,
    WHOLE,
    MosaicPlan,
    Setting,
    fields_of,
    plan_of,
    setting,
)
from wsipipe.stitch import light as lights
from wsipipe.stitch import quality, register
from wsipipe.stitch.compose import Placement, placed
from wsipipe.stitch.refine import Windows
from wsipipe.stitch.solve import Edge, Solution, loops, shift_of, solve
from wsipipe.store.mosaic import MosaicStore
from wsipipe.store.place import replace_file

DEPTHS = (8, 10, 12, 14, 16)
FEWEST = 0.5
"""Share of the edges with structure that must fit; with fewer something is wrong with the order or the overlap."""


@dataclass(frozen=True)
class Found:
    """All that was measured, and what follows from it."""

    setting: Setting
    edges: tuple[Edge, ...]
    texture: NDArray[np.float64]
    limit: float
    null: NDArray[np.float64]
    trusted: bool


def place(work: Work, unit: int) -> None:  # noqa: ARG001 (one unit)
    """Solve, judge, tell, and make the empty mosaic."""
    plan, slide = plan_of(work.plan), fields_of(work.plan)
    found = measured(work)
    _refuse_strangers(found, plan, known=slide.known_by)
    solution = solve(
        found.setting.said, found.setting.shape, found.edges, turns=plan.turns, lens=plan.lens,
        most_px=plan.most_px,
    )  # fmt: skip
    status = quality.statuses(solution, found.edges, found.texture)
    used = np.array([one != quality.OUTLIER or plan.outliers == "place" for one in status], bool)
    light = _light(work, plan, found, solution)
    fill = slide.info.fill if slide.info.channels == 3 else 0
    top = _top(work, len(status))
    laid = placed(Placement(
        solution.middle, solution.turn, found.setting.shape, (1, 1), used, top, plan.feather_px, fill, solution.bend
    ))  # fmt: skip
    work.save(
        PLACE, 0, middle=laid.middle, turn=laid.turn, size=np.array(laid.size), used=used, top=np.array(laid.top),
        fill=np.array(laid.fill), bend=np.array(laid.bend), terms=light.terms, exposure=light.exposure,
    )  # fmt: skip
    _tell(plan, found, solution, (status, light, laid))
    store_of(work).create()


def measured(work: Work) -> Found:
    """What the edges left, and the threshold that the permutation test sets.

    Where most neighbours fit near the place that was said, matches elsewhere are not believed; where they do not, the
    better of the two searches counts.
    """
    plan, slide = plan_of(work.plan), fields_of(work.plan)
    where = setting(slide, plan.overlap)
    draws = range(-(-plan.permutations // NULL_DRAWS) if len(where.pairs) else 0)
    null = np.concatenate([work.load(NULL, draw)["score"] for draw in draws] or [np.zeros((0, 3))])
    told = [work.load(EDGES, index) for index in range(len(where.pairs))]
    texture = np.array([float(one["texture"]) for one in told])
    least = quality.structured(texture)
    null = null[null[:, 2] >= least]  # glass fits glass
    limits = {name: register.threshold(null[:, column], alpha=plan.alpha) for column, name in enumerate((STRIP, WHOLE))}
    near = np.array([float(one["strip_score"]) > limits[STRIP] for one in told], bool)
    structured = texture >= least
    trusted = bool(structured.any()) and float(near[structured].mean()) >= FEWEST
    edges = tuple(
        _edge(pair, one, limits, least if trusted else 0.0, trusted=trusted)
        for pair, one in zip(where.pairs.tolist(), told, strict=True)
    )
    column = 0 if trusted else 1
    return Found(where, edges, texture, limits[STRIP if trusted else WHOLE], null[:, column], trusted)


def _edge(pair: list[int], told: dict[str, Any], limits: dict[str, float], least: float, *, trusted: bool) -> Edge:
    """The search that counts, of a pair; what two strips without structure have in common is the light or the dirt."""
    over = {name: float(told[f"{name}_score"]) / limits[name] for name in limits}
    name = STRIP if trusted else max(over, key=lambda one: over[one])
    windows = Windows(told[f"{name}_at"], told[f"{name}_shift"], told[f"{name}_window_ncc"])
    score, ncc = float(told[f"{name}_score"]), float(told[f"{name}_ncc"])
    found = score > limits[name] and float(told["texture"]) >= least
    return Edge(pair[0], pair[1], windows, ncc, score, found)


def _refuse_strangers(found: Found, plan: MosaicPlan, *, known: str) -> None:
    """Where hardly any neighbours fit the fields are not in this order, or do not overlap.

    Raises
    ------
    StitchError
        Unless a table or the stage said where fields lie: then they are put there.
    """
    structured = found.texture >= quality.structured(found.texture)
    fits = np.array([edge.usable for edge in found.edges], bool)
    share = float(fits[structured].mean()) if structured.any() else 1.0
    if share >= FEWEST or known != "names" or plan.overlap <= 0:
        return
    raise StitchError(
        f"registering fields: {int(fits.sum())} of {len(fits)} neighbours fit, at least {FEWEST:.0%} are expected: the "
        f"fields do not overlap, or lie in another order (tried: {plan.arrangement.pattern or 'usual names'}, "
        f"{plan.arrangement.layout}): check --pattern and --layout, or give --positions",
        subject=plan.fields,
    )


def _light(work: Work, plan: MosaicPlan, found: Found, solution: Solution) -> lights.Light:
    count = len(solution.middle)
    small = _Small(work, count)
    channels = small[0].shape[2]
    if not plan.light:
        return lights.even(count, channels)
    overlaps = []
    for edge, kept in zip(found.edges, solution.kept, strict=True):
        if kept:
            step = shift_of(edge) / found.setting.factor
            overlaps.append((edge.a, edge.b, (round(float(step[0])), round(float(step[1])))))
    return lights.estimate(small, overlaps, exposures=plan.exposures)


class _Small(Sequence[Any]):
    """The reduced fields, a few of them in memory at a time."""

    def __init__(self, work: Work, count: int) -> None:
        self._count = count
        self._load = lru_cache(maxsize=4)(lambda index: work.load(FIELDS, index)["small"])

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: Any) -> Any:
        return self._load(index)

    def __iter__(self) -> Iterator[Any]:
        return (self[index] for index in range(self._count))


def _top(work: Work, count: int) -> float:
    """The value that stands for white: 255, or that of the fewest bits that hold the brightest sample."""
    if fields_of(work.plan).info.dtype == np.uint8:
        return 255.0
    most = max(int(work.load(FIELDS, index)["most"]) for index in range(count))
    return float(next(2**bits - 1 for bits in DEPTHS if most < 2**bits))


def _tell(plan: MosaicPlan, found: Found, solution: Solution, what: tuple[list[str], lights.Light, Placement]) -> None:
    status, light, laid = what
    slide_fields = fields_of_plan(plan)
    names = [one.file for one in slide_fields]
    edges = quality.edge_table(names, found.setting.said, found.edges, solution, null=found.null)
    fields = quality.field_table(slide_fields, solution, laid, status, light, quality.groups(solution, found.edges))
    beside = Path(plan.beside)
    replace_file(beside / "edges.csv", quality.csv_bytes(edges))
    replace_file(beside / "edges.parquet", quality.parquet_bytes(edges))
    replace_file(beside / "fields.csv", quality.csv_bytes(fields))
    picture = quality.edge_picture(laid, found.edges, solution, status)
    from wsipipe.run.mosaic.tasks import save_picture  # deferred: that module asks this one for the placement

    save_picture(picture, beside / "edges.png")
    said = quality.summary(edges, fields, light, limit=found.limit, laid=laid)
    cells = [one.cell for one in slide_fields]
    gaps = [gap for _, gap in loops(cells, found.edges, solution, found.setting.shape)]
    said["near_said_places"] = found.trusted
    said["loops_px"] = [round(gap, 3) for gap in gaps]
    replace_file(beside / "stitch.json", (json.dumps(said, indent=1) + "\n").encode())


def fields_of_plan(plan: MosaicPlan) -> tuple[Any, ...]:
    """Places of a plan's fields."""
    return fields_of(plan.text()).places


def placement_of(work: Work) -> Placement:
    """Where fields lie, as `place` left it."""
    return _placed(work)[0]


def light_of(work: Work) -> lights.Light:
    """How fields are lit, as `place` left it."""
    return _placed(work)[1]


@lru_cache(maxsize=2)
def _placed(work: Work) -> tuple[Placement, lights.Light]:
    told, plan = work.load(PLACE, 0), plan_of(work.plan)
    shape, size = fields_of(work.plan).info.shape, told["size"]
    laid = Placement(
        told["middle"], told["turn"], shape, (int(size[0]), int(size[1])), told["used"], float(told["top"]),
        plan.feather_px, int(told["fill"]), float(told["bend"]),
    )  # fmt: skip
    return laid, lights.Light(told["terms"], told["exposure"], "")


def store_of(work: Work) -> MosaicStore:
    """The mosaic that is being written."""
    slide, plan = fields_of(work.plan), plan_of(work.plan)
    laid = placement_of(work)
    return MosaicStore(
        str(Path(work.folder) / "mosaic.zarr"), laid.size, min(slide.info.shape), plan.mpp or slide.info.mpp, laid.fill
    )
