"""The record of a fundus picture: what is printed, published and shown.

Enters: an `Analysis`. Leaves: JSON values. Next: `wsipipe.report.fundus.publish`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from wsipipe.report.fundus.analyse import Analysis
from wsipipe.run.partial import missing_line
from wsipipe.run.work import Context
from wsipipe.slide.icc import described

UNTRAINED = "untrained"


def record(context: Context, found: Analysis, *, trained: bool, notices: Sequence[str]) -> dict[str, Any]:
    """The picture's record.

    Returns
    -------
    dict
        ``fundus`` (True), ``grade``, ``refused``, ``reason`` (why there are no vessels, or no trained ones), ``field``,
        ``disc`` and ``laterality``, all in pixels of the picture; ``measures``, one mapping a row; ``mpp``, micrometres
        on the retina per pixel or None; ``topology``; ``tiles``; where the pixels came from.
    """
    work, frame = context.work, context.work.frame
    return {
        "id": work.id,
        "fingerprint": work.fingerprint,
        "fundus": True,
        "category": None,
        "reason": _reason(context, found, trained),
        "refused": found.grade.refused,
        "grade": {"grade": found.grade.grade, "reasons": list(found.grade.reasons), "values": found.grade.values},
        **places(found, frame.downsample),
        "laterality": {"side": found.laterality[0] or None, "from": found.laterality[1]},
        "mpp": found.found.um,
        "topology": {"changed": found.changed, "lines": len(found.vessels)},
        "measures": [asdict(row) for row in found.rows],
        "tiles": len(context.ids),
        **({"missing": work.lacks} if work.missing else {}),
        "frame": {"shape": list(frame.shape), "downsample": frame.downsample, "level": frame.level,
                  "mpp": found.found.um and found.found.um * frame.downsample},
        "notices": list(notices),
        "source": _source(context, found),
    }  # fmt: skip


def places(found: Analysis, down: float) -> dict[str, Any]:
    """Field of view and disc in pixels of the picture; None where there is none, with the reason."""
    field, disc = found.found.field, found.found.disc

    def circle(yx: tuple[float, float], radius: float) -> dict[str, float]:
        return {"y": (yx[0] + 0.5) * down - 0.5, "x": (yx[1] + 0.5) * down - 0.5, "radius": radius * down}

    return {
        "field": circle(field.centre, field.radius) if field.found else {"reason": field.reason},
        "disc": circle(disc.yx, disc.radius) if disc.found else {"reason": disc.reason},
    }


def _reason(context: Context, found: Analysis, trained: bool) -> str:
    if found.grade.refused and not len(context.ids):
        return f"refused: {'; '.join(found.grade.reasons)}"
    if context.work.missing:
        return missing_line(context.work.lacks)
    if not trained:
        return UNTRAINED
    return f"doubtful: {'; '.join(found.grade.reasons)}" if found.grade.refused else ""


def _source(context: Context, found: Analysis) -> dict[str, Any]:
    info = context.slide.info
    return {
        "reader": info.reader,
        "vendor": info.vendor,
        "shape": list(info.shape),
        "mpp": found.found.um,
        "icc": described(info.icc) if context.pipeline.icc != "ignore" else None,
        "icc_use": context.pipeline.icc,
    }
