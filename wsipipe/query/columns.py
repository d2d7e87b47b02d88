"""What can be asked: every view, its columns, their types, units and meanings.

Enters: nothing. Leaves: `VIEWS`, the one table that the catalogue is written by and ``--schema`` prints.
Next room: `wsipipe.query.catalogue`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from wsipipe.store.records import CATEGORIES

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its Arrow type, its unit (empty for none) and what it means."""

    kind: str
    unit: str
    meaning: str


RESULTS = {"results": Column("string", "", "the results directory, as it was given")}
SLIDE = {"slide_id": Column("string", "", "the slide: its name's stem and a fingerprint of its content")}


def _probabilities(kind: str, what: str) -> dict[str, Column]:
    return {
        f"p_{category}": Column(kind, "0 to 1", f"probability that the {what} is {category.replace('_', ' ')}")
        for category in CATEGORIES
    }


_SLIDES = {
    "path": Column("string", "", "where the slide lay; empty in a de-identified run"),
    "case_id": Column("string", "", "the case that the slide list names; empty in a de-identified run"),
    "fingerprint": Column("string", "", "hash of the slide's content"),
    "status": Column("string", "", "done, partial, failed or skipped"),
    "error": Column("string", "", "type of the error of a failed slide"),
    "reason": Column("string", "", "why it failed, was skipped, or has no category"),
    "mpp": Column("float64", "um/px", "resolution of level 0"),
    "tiles": Column("int64", "", "number of kept tiles"),
    "category": Column("string", "", f"one of {', '.join(CATEGORIES)}; null where none may be given"),
    **_probabilities("float64", "slide"),
    "seconds": Column("float64", "s", "time that the slide took"),
}

_TILES = {
    "tile_id": Column("int64", "", "row of the tile in the slide's grid; does not move when thresholds do"),
    "x": Column("int64", "level-0 px", "left edge"),
    "y": Column("int64", "level-0 px", "upper edge"),
    "width": Column("int64", "level-0 px", "width"),
    "height": Column("int64", "level-0 px", "height"),
    "mpp": Column("float64", "um/px", "resolution that the run worked at"),
    "tissue": Column("float32", "0 to 1", "share of the tile that is tissue"),
    "focus": Column("float32", "", "measure of sharpness; larger is sharper"),
    "positive_sum": Column("float32", "px", "positive probability summed over the tile's pixels"),
    "positive_mean": Column("float32", "0 to 1", "positive probability, mean over the tile's pixels"),
    **_probabilities("float32", "tile"),
    "is_topk": Column("bool_", "", "whether the tile is a node of the slide's graph"),
    "rank": Column("int32", "", "1 is the largest target probability; 0 is not among the top k"),
    "degree": Column("int32", "", "neighbours in the graph"),
}

_EDGES = {
    "source": Column("int64", "", "tile_id of one end, the smaller one"),
    "target": Column("int64", "", "tile_id of the other end"),
    "correlation": Column("float32", "-1 to 1", "Pearson's r of the two tiles"),
}

_REGIONS = {
    "region_id": Column("int64", "", "number of the region in its slide, from 0"),
    "polygon": Column("string", "level-0 px", "outline as WKT, x before y, holes kept"),
    "area_um2": Column("float64", "um2", "area"),
    "mean_probability": Column("float64", "0 to 1", "positive probability, mean over the region"),
    "max_probability": Column("float64", "0 to 1", "largest positive probability in the region"),
}

_MEASURES = {
    "measure": Column("string", "", "calibre, tortuosity, density, fractal_dimension, crae, crve or avr"),
    "vessels": Column("string", "", "artery, vein or all"),
    "zone": Column("string", "", "whole field of view, or B or C: rings around the optic disc"),
    "value": Column("float64", "as unit says", "the number; null where it cannot be had"),
    "unit": Column("string", "", "px (of the picture), um (on the retina) or 1"),
    "reason": Column("string", "", "why there is no number; empty where there is one"),
}

_RUNS = {
    "key": Column("string", "", "hash of pipeline, configuration and weights"),
    "wsipipe": Column("string", "", "version of wsipipe"),
    "pipeline": Column("string", "", "the pipeline"),
    "status": Column("string", "", "how the run ended, or running"),
    "started": Column("float64", "s since 1970", "when it began"),
    "seconds": Column("float64", "s", "how long it took"),
    "deidentified": Column("bool_", "", "whether names were left out"),
    "config": Column("string", "", "the resolved configuration, JSON"),
}

VIEWS: dict[str, dict[str, Column]] = {
    "slides": {**RESULTS, **SLIDE, **_SLIDES},
    "tiles": {**RESULTS, **SLIDE, **_TILES},
    "edges": {**RESULTS, **SLIDE, **_EDGES},
    "regions": {**RESULTS, **SLIDE, **_REGIONS},
    "measures": {**RESULTS, **SLIDE, **_MEASURES},
    "runs": {**RESULTS, **_RUNS},
}
"""Columns of every view, in their order."""

PER_SLIDE = ("tiles", "edges", "regions", "measures")
"""Views whose rows lie in the catalogue; the others are read from ``slides.parquet`` and ``run.json``."""


def stored_schema(view: str) -> pa.Schema:
    """The Arrow schema of a view's files: its columns without ``results``."""
    import pyarrow as pa

    columns = {name: column for name, column in VIEWS[view].items() if name != "results"}
    return pa.schema([(name, getattr(pa, column.kind)()) for name, column in columns.items()])
