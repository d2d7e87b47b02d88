"""The verdict on a gastric slide: its category, or why it has none.

Enters: a finished slide's arrays. Leaves: the record that is published, printed and drawn. Next rooms:
`wsipipe.report.draw`, `wsipipe.report.publish`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from wsipipe import graph, lesion
from wsipipe.run.partial import missing_line
from wsipipe.run.work import Context
from wsipipe.store import read
from wsipipe.store.records import PROBABILITY_COLUMNS

UNTRAINED = "untrained"
H_AND_E = {"H&E", "HE", "HANDE", "H+E", "HEMATOXYLIN-EOSIN", "HEMATOXYLINANDEOSIN"}
"""What a slide list may call the stain that the networks know, in capitals and without spaces."""


def verdict(
    context: Context, *, trained: bool, notices: Sequence[str] = (), max_damaged: float = 1.0
) -> dict[str, Any]:
    """The slide's record.

    Parameters
    ----------
    context : Context
        Of a gastric pipeline.
    trained : bool
        Whether both networks are; without it no category and no probability is given.
    notices : sequence of str
        What the weights' cards ask to be said.
    max_damaged : float
        Share of the tissue, 0 to 1, that the file may not give; with more there is no category.

    Returns
    -------
    dict
        ``category`` (None with a ``reason``), the four probabilities (kept where only the gate says no), ``gate`` with
        every check's value and answer, ``tiles``, ``topk`` ids, ``constant_tiles`` (top-k tiles whose features are
        constant: they connect to nothing), stain vectors, working frame; ``damaged`` (tiles, share) where the
        file could not give all pixels.
    """
    prob, value, passed = (context.value(name) for name in ("category_prob", "gate_value", "gate_passed"))
    tiles, lost = len(context.ids), _lost(context)
    reason = _reason(context, trained, lost if lost.share > max_damaged else None, lesion.reasons(value, passed))
    checks = zip(lesion.CHECKS, value.tolist(), passed.tolist(), strict=True)
    return {
        "category": None if reason else graph.category(prob),
        "reason": reason,
        **dict(zip(PROBABILITY_COLUMNS, prob.tolist() if trained else [None] * len(prob), strict=True)),
        "tiles": tiles,
        **({"missing": context.work.lacks} if context.work.missing else {}),
        "gate": {name: {"value": number, "passed": bool(good)} for name, number, good in checks},
        "topk": context.value("topk_id").tolist(),
        "constant_tiles": int((np.ptp(context.value("topk_features"), axis=1) == 0).sum()) if tiles else 0,
        "stain": _stain(context),
        "frame": _frame(context),
        **({"damaged": {"tiles": lost.tiles, "share": lost.share}} if lost.tiles else {}),
        "notices": [*notices, *([lost.line()] if lost.tiles else [])],
    }


@dataclass(frozen=True)
class _Lost:
    """Tiles of which the file could not give all pixels, and their part of the tissue, 0 to 1."""

    tiles: int
    share: float

    def line(self) -> str:
        return f"{self.tiles} tile{'s' if self.tiles > 1 else ''} of a damaged file are partly white ({self.share:.1%})"


def _lost(context: Context) -> _Lost:
    """What reading lost: of kept tiles at the working resolution, of the others where tissue was looked for."""
    layer = context.layer("tissue_damaged")
    ids = layer.grid.ids() if layer.grid else np.zeros(0, np.int64)
    others = read.rows(layer, "tissue_damaged", ids)[~np.isin(ids, context.ids)]
    parts = np.concatenate([context.rows("damaged"), others[others > 0]]).astype(np.float64)
    return _Lost(int((parts > 0).sum()), float(parts.mean()) if len(parts) else 0.0)


def _reason(context: Context, trained: bool, lost: _Lost | None, gate: str) -> str:
    declared = context.work.source.stain
    if context.work.missing:
        return missing_line(context.work.lacks)
    if lost is not None:
        return f"damaged: {lost.line()}, copy the file again"
    if len(context.ids) == 0:
        return "no tissue: no tile reaches the least share of tissue"
    if not trained:
        return UNTRAINED
    if declared and declared.upper().replace(" ", "") not in H_AND_E:
        return "; ".join(["the slide list declares another stain than H&E", *([gate] if gate else [])])
    return gate


def _stain(context: Context) -> dict[str, Any]:
    names = ("stain_matrix", "stain_max", "stain_valid", "stain_distance")
    return {name.removeprefix("stain_"): context.value(name).tolist() for name in names}


def _frame(context: Context) -> dict[str, Any]:
    frame = context.work.frame
    return {"shape": list(frame.shape), "mpp": frame.mpp, "downsample": frame.downsample, "level": frame.level}
