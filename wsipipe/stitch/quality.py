"""How well fields were put together: a table of edges, one of fields, a picture of both.

Enters: edges and their solution. Leaves: tables, bytes of files, pixels of a picture. Next room: people.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any, Protocol

import cv2
import networkx
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from wsipipe.stitch.compose import Placement
from wsipipe.stitch.light import Light
from wsipipe.stitch.solve import Edge, Solution, shift_of

REGISTERED, STAGE, OUTLIER = "registered", "by stage model", "outlier"
KEPT, BAD, UNMATCHED, EMPTY = "kept", "contradicts the others", "does not fit", "nothing to see"
STRUCTURE_SHARE, STRUCTURE_LEAST = 0.1, 1.0
"""A strip has structure with this share of the median strip's, and with so many grey levels."""
PICTURE_PX = 1000
_COLOURS = {KEPT: (40, 150, 70), BAD: (210, 40, 40), UNMATCHED: (230, 140, 20), EMPTY: (170, 170, 170)}
_FIELD = {REGISTERED: (60, 60, 60), STAGE: (90, 120, 220), OUTLIER: (210, 40, 40)}


class Named(Protocol):
    """What is asked of a field's place."""

    @property
    def file(self) -> str:
        """Name."""

    @property
    def cell(self) -> tuple[int, int] | None:
        """Row and column."""


def structured(texture: NDArray[np.float64]) -> float:
    """Grey levels of structure from which a strip counts as not empty."""
    seen = texture[texture >= STRUCTURE_LEAST]
    return max(STRUCTURE_LEAST, STRUCTURE_SHARE * float(np.median(seen))) if len(seen) else STRUCTURE_LEAST


def statuses(solution: Solution, edges: Sequence[Edge], texture: NDArray[np.float64]) -> list[str]:
    """What each field's place rests on.

    A field is an *outlier* where strips with structure on both sides are there and none of them fits, while its
    neighbours fit others; where its strips are empty the stage model places it.
    """
    limit = structured(texture)
    found = [REGISTERED if held else STAGE for held in solution.anchored]
    for index, name in enumerate(found):
        own = [(edge, seen) for edge, seen in zip(edges, texture, strict=True) if index in (edge.a, edge.b)]
        others = [edge.b if edge.a == index else edge.a for edge, seen in own if seen >= limit]
        if name == STAGE and sum(bool(solution.anchored[one]) for one in others) >= 2:
            found[index] = OUTLIER
    return found


def groups(solution: Solution, edges: Sequence[Edge]) -> NDArray[np.int64]:
    """Which fields edges hold together: 1 is the largest group, 0 where no edge holds a field.

    Between groups places are the stage model's.
    """
    graph = networkx.Graph([(one.a, one.b) for one, kept in zip(edges, solution.kept, strict=True) if kept])
    found = np.zeros(len(solution.middle), np.int64)
    for number, part in enumerate(
        sorted(networkx.connected_components(graph), key=lambda one: (-len(one), min(one))), 1
    ):
        found[list(part)] = number
    return found


def edge_status(edge: Edge, *, kept: bool) -> str:
    """In words."""
    if kept:
        return KEPT
    if edge.usable:
        return BAD
    return UNMATCHED if edge.score > 0 else EMPTY


def edge_table(
    names: Sequence[str], said: NDArray[np.float64], edges: Sequence[Edge], solution: Solution, *,
    null: NDArray[np.float64],
) -> pd.DataFrame:  # fmt: skip
    """One row per pair of neighbours.

    Columns: ``a``, ``b`` (files), ``said_dy``, ``said_dx``, ``dy``, ``dx`` (second corner from the first, pixels),
    ``ncc``, ``error`` (-ln ncc, as ASHLAR has it), ``score``, ``p`` (of the permutation test), ``windows``,
    ``window_ncc`` (median), ``residual_px`` (after solving), ``in_loop``, ``status``.
    """
    rows = []
    for index, edge in enumerate(edges):
        step = shift_of(edge) if len(edge.windows) else np.full(2, np.nan)
        told = said[edge.b] - said[edge.a]
        p = (1 + int((null >= edge.score).sum())) / (1 + len(null))
        error = -float(np.log(edge.ncc)) if edge.ncc > 0 else float("nan")
        rows.append((
            names[edge.a], names[edge.b], *np.round(told, 1), *np.round(step, 3), round(edge.ncc, 4), round(error, 4),
            round(edge.score, 2), round(p, 4), len(edge.windows),
            round(float(np.median(edge.windows.ncc)), 4) if len(edge.windows) else float("nan"),
            round(float(solution.residual[index]), 3), bool(solution.checked[index]),
            edge_status(edge, kept=bool(solution.kept[index])),
        ))  # fmt: skip
    columns = (
        "a", "b", "said_dy", "said_dx", "dy", "dx", "ncc", "error", "score", "p", "windows", "window_ncc",
        "residual_px", "in_loop", "status",
    )  # fmt: skip
    return pd.DataFrame(rows, columns=list(columns))


def field_table(
    fields: Sequence[Named], solution: Solution, laid: Placement, status: Sequence[str], light: Light,
    group: NDArray[np.int64],
) -> pd.DataFrame:  # fmt: skip
    """One row per field: ``file``, ``row``, ``column``, ``y``, ``x`` (corner in the mosaic, pixels, before rounding),
    ``turn_deg``, ``brightness`` (1: as the others), ``status``, ``in_mosaic``, ``group`` (see `groups`).
    """
    half = (np.array(laid.shape) - 1) / 2
    rows = []
    for index, field in enumerate(fields):
        y, x = laid.middle[index] - half
        row, column = field.cell or (None, None)
        turn = float(np.rad2deg(solution.turn[index]))
        bright = float(np.exp(light.exposure[index].mean()))
        rows.append((
            field.file, row, column, round(float(y), 3), round(float(x), 3), round(turn, 4), round(bright, 4),
            status[index], bool(laid.used[index]), int(group[index]),
        ))  # fmt: skip
    names = ("file", "row", "column", "y", "x", "turn_deg", "brightness", "status", "in_mosaic", "group")
    return pd.DataFrame(rows, columns=list(names))


def summary(
    edges: pd.DataFrame, fields: pd.DataFrame, light: Light, *, limit: float, laid: Placement
) -> dict[str, Any]:
    """What a person wants to know first."""
    kept = edges[edges["status"] == KEPT]
    cells = {(row, column) for row, column in zip(fields["row"], fields["column"], strict=True) if row is not None}
    rows, columns = ({cell[i] for cell in cells} for i in (0, 1))
    missing = [
        f"row {int(r)}, column {int(c)}"
        for r in range(int(max(rows, default=-1)) + 1)
        for c in range(int(max(columns, default=-1)) + 1)
        if (r, c) not in cells
    ]
    return {
        "mosaic_px": list(laid.size), "fields": len(fields), "missing": missing,
        "by_status": {str(name): int(count) for name, count in fields["status"].value_counts().items()},
        "groups": int(fields["group"].max()),
        "edges": len(edges), "edges_by_status": {str(n): int(c) for n, c in edges["status"].value_counts().items()},
        "score_needed": round(limit, 3),
        "residual_px_median": round(float(kept["residual_px"].median()), 3) if len(kept) else None,
        "residual_px_worst": round(float(kept["residual_px"].max()), 3) if len(kept) else None,
        "lens_px": round(laid.bend * float(np.hypot(*laid.shape) / 2) ** 3, 3),
        "resampled": int(sum(map(laid.resampled, np.flatnonzero(laid.used).tolist()))),
        "light": light.said,
        "light_terms": np.round(light.terms, 6).tolist(),
    }  # fmt: skip


def csv_bytes(table: pd.DataFrame) -> bytes:
    """A table as CSV; NaN is empty."""
    return table.to_csv(index=False, lineterminator="\n").encode()


def parquet_bytes(table: pd.DataFrame) -> bytes:
    """A table as Parquet."""
    held = io.BytesIO()
    table.to_parquet(held, index=False)
    return held.getvalue()


def edge_picture(
    laid: Placement, edges: Sequence[Edge], solution: Solution, status: Sequence[str]
) -> NDArray[np.uint8]:
    """Fields as outlines, edges as lines between their middles: green kept, red contradicting, orange not fitting,
    grey empty; the number is the residual in pixels.
    """
    scale = PICTURE_PX / max(laid.size)
    margin = 20
    height, width = (int(side * scale) + 2 * margin for side in laid.size)
    picture = np.full((height, width, 3), 255, np.uint8)

    def at(point: NDArray[np.float64]) -> tuple[int, int]:
        return int(point[1] * scale) + margin, int(point[0] * scale) + margin

    half = np.array(laid.shape) / 2
    for index, middle in enumerate(laid.middle):
        shrunk = half * 0.96 if index % 2 else half
        cv2.rectangle(picture, at(middle - shrunk), at(middle + shrunk), _FIELD[status[index]], 1, cv2.LINE_AA)
        cv2.circle(picture, at(middle), 4, _FIELD[status[index]], -1, cv2.LINE_AA)
    for index, edge in enumerate(edges):
        colour = _COLOURS[edge_status(edge, kept=bool(solution.kept[index]))]
        a, b = at(laid.middle[edge.a]), at(laid.middle[edge.b])
        cv2.line(picture, a, b, colour, 2, cv2.LINE_AA)
        if np.isfinite(solution.residual[index]):
            where = ((a[0] + b[0]) // 2 + 3, (a[1] + b[1]) // 2 - 3)
            text = f"{solution.residual[index]:.2f}"
            cv2.putText(picture, text, where, cv2.FONT_HERSHEY_SIMPLEX, 0.4, colour, 1, cv2.LINE_AA)
    return picture
