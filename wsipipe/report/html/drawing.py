"""What is drawn over a slide's picture in a report, as numbers of an SVG: outlines, numbered tiles, the graph.

Enters: published shapes, the tile table, edges. Leaves: paths and positions in pixels of the picture.
Next room: the template ``_slide.html.j2``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import shapely

from wsipipe.report.badge import place_badges

if TYPE_CHECKING:
    import geopandas as gpd
    import pandas as pd

OUTLINE_POINTS = 1200
"""Of one layer at most: outlines are simplified further until they keep to it."""
EDGES = 200
"""Drawn and listed at most, the strongest first."""
LABELLED = 15
"""Up to so many edges carry their correlation in the picture; more of them only in the list beside it."""


@dataclass(frozen=True)
class Node:
    """A top-k tile: its rank, its box, and where its number stands; all in pixels of the picture."""

    rank: int
    x: float
    y: float
    width: float
    height: float
    badge_x: float
    badge_y: float

    @property
    def centre(self) -> tuple[float, float]:
        """x, y."""
        return self.x + self.width / 2, self.y + self.height / 2

    @property
    def outline(self) -> str:
        """Path of the box, and of a line to its number where that stands apart."""
        right, bottom = self.x + self.width, self.y + self.height
        apart = not (self.x <= self.badge_x <= right and self.y <= self.badge_y <= bottom)
        line = f"M{self.centre[0]:.1f},{self.centre[1]:.1f}L{self.badge_x:.1f},{self.badge_y:.1f}" if apart else ""
        return f"M{self.x:.1f},{self.y:.1f}H{right:.1f}V{bottom:.1f}H{self.x:.1f}Z{line}"


@dataclass(frozen=True)
class Edge:
    """Two ranks, first the smaller one, their correlation, the line between their tiles' middles, and its width."""

    first: int
    second: int
    r: float
    line: tuple[float, float, float, float]
    width: float


@dataclass(frozen=True)
class Drawing:
    """Everything over one picture of `width` x `height` pixels."""

    width: int
    height: int
    radius: float
    tissue: str
    regions: str
    nodes: Sequence[Node]
    edges: Sequence[Edge]
    all_edges: int
    view: tuple[float, float, float, float]
    node_radius: float

    @property
    def graph(self) -> str:
        """All edges as one path."""
        return "".join("M{:.0f},{:.0f}L{:.0f},{:.0f}".format(*edge.line) for edge in self.edges)

    @property
    def labelled(self) -> bool:
        """Whether the edges carry numbers."""
        return len(self.edges) <= LABELLED


def drawing(
    size: tuple[int, int],
    l0_per_px: float,
    *,
    tissues: gpd.GeoDataFrame,
    regions: gpd.GeoDataFrame,
    tiles: pd.DataFrame,
    edges: pd.DataFrame,
) -> Drawing:
    """Bring everything into pixels of a picture.

    Parameters
    ----------
    size : (width, height)
        Of the picture.
    l0_per_px : float
        Level-0 pixels per pixel of it.
    tissues, regions : GeoDataFrame
        Polygons in level-0 pixels; may be empty.
    tiles : DataFrame
        The tile table; may be empty.
    edges : DataFrame
        ``source, target`` (tile ids) and ``correlation``.
    """
    width, height = size
    radius = max(width, height) / 78
    nodes = _nodes(tiles, l0_per_px, radius=radius, plane=(width, height))
    view = _view(list(nodes.values()), size)
    strongest = edges.reindex(edges["correlation"].sort_values(ascending=False, kind="stable").index)[:EDGES]
    return Drawing(
        width=width,
        height=height,
        radius=radius,
        tissue=path(tissues.geometry, l0_per_px),
        regions=path(regions.geometry, l0_per_px),
        nodes=list(nodes.values()),
        edges=list(_edges(strongest, nodes, view[2])),
        all_edges=len(edges),
        view=view,
        node_radius=_node_radius(list(nodes.values()), view[2]),
    )


def path(polygons: Any, l0_per_px: float) -> str:
    """One SVG path (even-odd) of polygons and multipolygons with their holes, simplified to what can be seen."""
    rings = shapely.get_rings(shapely.get_parts(np.asarray(polygons, object)))
    tolerance = 0.6 * l0_per_px
    simple = shapely.simplify(rings, tolerance)
    while shapely.get_num_coordinates(simple).sum() > OUTLINE_POINTS and len(simple):
        tolerance *= 2
        simple = shapely.simplify(rings, tolerance)
        simple = simple[shapely.get_num_coordinates(simple) > (4 if tolerance > 16 * l0_per_px else 0)]
    return "".join(_ring(shapely.get_coordinates(ring) / l0_per_px) for ring in simple)


def _ring(points: Any) -> str:
    """A closed ring in whole pixels, each point told by its distance from the one before: half as long."""
    whole = np.round(points[:-1]).astype(np.int64)
    steps = np.diff(whole, axis=0)
    steps = steps[steps.any(axis=1)]
    told = " ".join(f"{x},{y}" for x, y in steps.tolist()).replace(",-", "-")
    return f"M{whole[0, 0]},{whole[0, 1]}l{told}z" if told else ""


def _nodes(tiles: pd.DataFrame, scale: float, *, radius: float, plane: tuple[float, float]) -> dict[int, Node]:
    """Nodes by tile id, in rank order."""
    if not len(tiles):
        return {}
    top = tiles[tiles["is_topk"]].sort_values("rank")
    boxes = top[["x", "y", "width", "height"]].to_numpy(np.float64) / scale
    badges = place_badges(boxes, radius=radius, plane=plane)
    ids, ranks = top["tile_id"].tolist(), top["rank"].tolist()
    return {
        tile: Node(rank, *box, *badge)
        for tile, rank, box, badge in zip(ids, ranks, boxes.tolist(), badges.tolist(), strict=True)
    }


def _edges(edges: pd.DataFrame, nodes: dict[int, Node], across: float) -> Iterator[Edge]:
    for source, target, r in edges[["source", "target", "correlation"]].itertuples(index=False):
        one, two = sorted((nodes[int(source)], nodes[int(target)]), key=lambda node: node.rank)
        yield Edge(
            one.rank, two.rank, float(r), (*one.centre, *two.centre), across / 600 * (0.5 + 1.5 * max(0.0, float(r)))
        )


def _view(nodes: Sequence[Node], size: tuple[int, int]) -> tuple[float, float, float, float]:
    """The part of the picture that the graph fills, at 3:2, with room around: x, y, width, height."""
    if not nodes:
        return 0.0, 0.0, float(size[0]), float(size[1])
    left, top = min(node.x for node in nodes), min(node.y for node in nodes)
    right, bottom = max(node.x + node.width for node in nodes), max(node.y + node.height for node in nodes)
    margin = max(0.12 * max(right - left, bottom - top), 0.6 * nodes[0].width)
    width, height = right - left + 2 * margin, bottom - top + 2 * margin
    width, height = max(width, 1.5 * height), max(height, width / 1.5)
    return (left + right - width) / 2, (top + bottom - height) / 2, width, height


def _node_radius(nodes: Sequence[Node], across: float) -> float:
    """As large as a number needs, but neighbours stay apart where that leaves them readable."""
    side = nodes[0].width if nodes else across
    return max(across / 75, min(across / 42, 0.42 * side))
