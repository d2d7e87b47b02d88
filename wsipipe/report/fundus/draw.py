"""Pictures and tables of one fundus picture, in its own size, and a sheet with all of it.

Enters: an `Analysis` and the open picture. Leaves: ``overview.png``, ``coloured.png``, ``vessels.png``,
``field.png``, ``enhanced.png`` where asked for, ``measures.csv``, ``segments.csv``. Next room: people.
"""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Circle
from numpy.typing import NDArray
from PIL import Image

from wsipipe.report.canvas import INK, MUTED, RULE, Canvas, cut, save_png
from wsipipe.report.fundus.analyse import Analysis
from wsipipe.run.work import Context
from wsipipe.store import read
from wsipipe.store.place import replace_file
from wsipipe.vessel import label as labels
from wsipipe.vessel.measure import RINGS, Measure

OVERVIEW, COLOURED, LABEL, FIELD, ENHANCED = "overview.png", "coloured.png", "vessels.png", "field.png", "enhanced.png"
MEASURES, SEGMENTS = "measures.csv", "segments.csv"
NAMES = {
    "calibre": "mean calibre", "tortuosity": "tortuosity (arc over chord)", "density": "vessel density",
    "fractal_dimension": "fractal dimension", "crae": "CRAE", "crve": "CRVE", "avr": "AVR",
}  # fmt: skip
SHOWN = ("crae", "crve", "avr", "calibre", "tortuosity", "density", "fractal_dimension")
PANEL, GAP, MARGIN, HEAD = 620.0, 20.0, 28.0, 78.0


def draw(context: Context, found: Analysis, record: dict[str, Any], *, threshold: float) -> None:
    """Write the pictures and tables of a picture into its folder."""
    folder = context.work.pictures
    folder.mkdir(parents=True, exist_ok=True)
    own = np.asarray(context.slide.read(_whole(context), level=0), np.uint8)
    own = own if own.shape[2] == 3 else np.repeat(own, 3, axis=2)
    label = enlarged(found, own.shape[:2], threshold)
    _save(folder / COLOURED, labels.coloured(own, label))
    _save(folder / LABEL, label)
    _save(folder / FIELD, _enlarge(found.found.field.mask.astype(np.float32), own.shape[:2]) >= 0.5)
    (folder / ENHANCED).unlink(missing_ok=True)
    if (enhanced := restored(context)) is not None:
        save_png(folder / ENHANCED, enhanced)
    replace_file(folder / MEASURES, _measures(found.rows).encode())
    replace_file(folder / SEGMENTS, _segments(found, context.work.frame.downsample).encode())
    _save(folder / OVERVIEW, sheet(context.work.id, found, record))


def restored(context: Context) -> NDArray[np.uint8] | None:
    """The enhanced picture (height, width, 3) at the working scale, black outside the tiles; None where not made."""
    if not any(spec.name == "restored" for layer in context.layers() for spec in layer.specs):
        return None
    return np.asarray(read.block(context.layer("restored"), "restored", context.work.frame.box), np.uint8)


def enlarged(found: Analysis, shape: tuple[int, ...], threshold: float) -> NDArray[np.uint8]:
    """The label in the picture's own size: the border from the enlarged probability, the class from the label."""
    small = found.found.label
    if small.shape == tuple(shape[:2]):
        return small
    mask = _enlarge(found.found.probability[2], shape) >= threshold
    kernel = np.ones((3, 3), np.uint8)
    grown = small.copy()
    for _ in range(2):  # what the enlarged border adds takes the class of its neighbour
        grown = np.where(grown > 0, grown, cv2.dilate(grown, kernel)).astype(np.uint8)
    codes = cv2.resize(grown, (shape[1], shape[0]), interpolation=cv2.INTER_NEAREST)
    return np.where(mask, codes, 0).astype(np.uint8)


def sheet(title: str, found: Analysis, record: dict[str, Any]) -> NDArray[np.uint8]:
    """The picture beside its vessels, with field, disc and zones, and the measures."""
    height, width = found.rgb.shape[:2]
    tall = PANEL * height / width
    rows = _table(found.rows)
    canvas = Canvas(2 * MARGIN + 2 * PANEL + GAP, HEAD + tall + 26 * (len(rows) + 1) + 2 * MARGIN)
    canvas.text(MARGIN, 20, cut(title, 2 * PANEL, 16, bold=True), size=16, bold=True)
    canvas.text(MARGIN, 48, cut("  ·  ".join(_lines(record)), 2 * PANEL + GAP, 12.5), size=12.5, color=MUTED)
    for place, pixels in enumerate((found.rgb, labels.coloured(found.rgb, found.found.label))):
        axes = canvas.axes(MARGIN + place * (PANEL + GAP), HEAD, PANEL, tall)
        axes.imshow(pixels, interpolation="bilinear", extent=(-0.5, width - 0.5, height - 0.5, -0.5))
        if place == 0:
            _circles(axes, found)
    _write_table(canvas, rows, HEAD + tall + MARGIN)
    return canvas.pixels()


def _circles(axes: Axes, found: Analysis) -> None:
    field, disc = found.found.field, found.found.disc
    if field.found:
        axes.add_patch(Circle(field.centre[::-1], field.radius, fill=False, color="#ffffff", linewidth=0.8))
    if disc.found:
        y, x = disc.yx
        axes.add_patch(Circle((x, y), disc.radius, fill=False, color="#40e0ff", linewidth=1.2))
        for radius in sorted({ring for pair in RINGS.values() for ring in pair}):
            ring = Circle((x, y), radius * disc.radius, fill=False, color="#40e0ff", linewidth=0.6, linestyle=":")
            axes.add_patch(ring)


def _lines(record: dict[str, Any]) -> list[str]:
    grade = record["grade"]["grade"] + (
        f" ({', '.join(record['grade']['reasons'])})" if record["grade"]["reasons"] else ""
    )
    side = record["laterality"]["side"]
    scale = f"{record['mpp']:.3g} µm/px" if record["mpp"] else "size of a pixel not known"
    eye = f"{side} eye ({record['laterality']['from']})" if side else "which eye is not known"
    return [f"quality: {grade}", eye, scale, *([record["reason"]] if record["reason"] else []), *record["notices"]]


def _table(rows: list[Measure]) -> list[tuple[str, ...]]:
    """Name and unit, then artery, vein and all, in the zone that is told for it."""
    units = [("px", "um"), ("1",)]
    found = {(row.name, row.kind, row.zone, row.unit): row.value for row in rows}
    table = []
    for name in SHOWN:
        zone = "B" if name in ("crae", "crve", "avr") else "whole"
        for unit in units[0] if name in ("calibre", "crae", "crve") else units[1]:
            cells = [found.get((name, kind, zone, unit), float("nan")) for kind in ("artery", "vein", "all")]
            if np.isfinite(cells).any():
                label = f"{NAMES[name]}{'' if unit == '1' else ', ' + unit.replace('um', 'µm')} · {zone}"
                table.append((label, *(f"{cell:.4g}" if np.isfinite(cell) else "–" for cell in cells)))
    return table


def _write_table(canvas: Canvas, rows: list[tuple[str, ...]], top: float) -> None:
    lefts = (MARGIN, MARGIN + 420, MARGIN + 560, MARGIN + 700)
    for left, text in zip(lefts, ("measure · zone", "artery", "vein", "all"), strict=True):
        canvas.text(left, top, text, size=12.5, color=MUTED)
    for index, cells in enumerate(rows, 1):
        canvas.line((MARGIN, canvas.width - MARGIN), (top + 26 * index - 8,) * 2, color=RULE, width=0.6)
        for left, text in zip(lefts, cells, strict=True):
            canvas.text(left, top + 26 * index, text, size=12.5, color=INK)


def _measures(rows: list[Measure]) -> str:
    return _csv(
        ("measure", "class", "zone", "value", "unit", "reason"),
        [(row.name, row.kind, row.zone, _number(row.value), row.unit, row.reason) for row in rows],
    )


def _segments(found: Analysis, down: float) -> str:
    """One line per vessel between two nodes, lengths in pixels of the picture."""
    lines = []
    for index, one in enumerate(found.vessels):
        y, x = ((place + 0.5) * down - 0.5 for place in one.middle)
        numbers = (one.length * down, one.calibre * down, one.tortuosity, y, x)
        lines.append((index, labels.MEANINGS[one.kind], *(_number(value) for value in numbers)))
    return _csv(("segment", "class", "length_px", "calibre_px", "tortuosity", "middle_y", "middle_x"), lines)


def _csv(head: tuple[str, ...], lines: list[tuple[Any, ...]]) -> str:
    sink = io.StringIO()
    csv.writer(sink, lineterminator="\n").writerows([head, *lines])
    return sink.getvalue()


def _number(value: float) -> str:
    return f"{value:.6g}" if np.isfinite(value) else "nan"


def _whole(context: Context) -> Any:
    return context.slide.info.frames()[0].box


def _enlarge(pixels: NDArray[np.float32], shape: tuple[int, ...]) -> NDArray[np.float32]:
    return np.asarray(cv2.resize(pixels, (shape[1], shape[0]), interpolation=cv2.INTER_LINEAR), np.float32)


def _save(path: Path, pixels: NDArray[Any]) -> None:
    """PNG of one channel or three; packed lightly, since a large picture takes seconds otherwise."""
    sink = io.BytesIO()
    values = pixels.astype(np.uint8) * np.uint8(255 if pixels.dtype == np.bool_ else 1)
    Image.fromarray(values).save(sink, "PNG", compress_level=1)
    replace_file(path, sink.getvalue())
