"""Stitching against exact truth: made fields of a real slide, and the nine real fields.

Enters: a picture, a folder to work in. Leaves: a `Table`. Next room: `wsipipe.cli.evaluate_stitch`.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from wsipipe.evaluate.table import Table
from wsipipe.grid import Box
from wsipipe.phantom import fields as made
from wsipipe.slide import open_slide
from wsipipe.slide.fields import FieldsSlide, open_fields
from wsipipe.stitch.compose import Placement, laid_pixels
from wsipipe.stitch.light import Light
from wsipipe.stitch.quality import REGISTERED
from wsipipe.stitch.register import correlate

if TYPE_CHECKING:
    from wsipipe.run.course import Phase
    from wsipipe.run.mosaic import Made

RIM_PX = 24
"""Left out along a field's edge, where a bent outline does not fill its box."""
WORN = {"jitter_px": 15, "vignetting": 0.25, "noise": 3.0, "blur_px": 1.0}
COLUMNS = (
    "case", "fields", "registered", "error px, median", "worst", "empty: found", "empty: worst off, px", "seam energy",
    "exact", "cpu s",
)  # fmt: skip


def cases(side: int) -> dict[str, made.Microscope]:
    """What is made, from nothing done to everything, at 10 % overlap."""
    return {
        "cut": made.Microscope(side), "jitter": made.Microscope(side, jitter_px=15),
        "jitter, light, noise, blur": made.Microscope(side, **WORN),  # type: ignore[arg-type]
        "and turned by 0.2 degrees": made.Microscope(side, turn_deg=0.2, **WORN),  # type: ignore[arg-type]
        "and a fifth empty": made.Microscope(side, turn_deg=0.2, empty_share=0.2, **WORN),  # type: ignore[arg-type]
    }  # fmt: skip


def stitched(folder: Path, mosaic: Path, sets: tuple[str, ...] = (), workers: int = 0) -> tuple[Made, float]:
    """A mosaic and the processor seconds of this process; with `workers` these are the others' and not counted."""
    from wsipipe.pipelines import microscope  # deferred: dask comes with the workers
    from wsipipe.run.mosaic import make
    from wsipipe.run.pool import Pool

    started = time.process_time()
    found = make(
        microscope.plan(folder, mosaic, None, sets), mosaic, lambda: Pool(workers=workers), tell=_quiet, say=_mute
    )
    return found, time.process_time() - started


def _quiet(phase: Phase, done: int) -> None:
    """Tell nobody."""


def _mute(line: str) -> None:
    """Tell nobody."""


def evaluate(picture: NDArray[np.uint8], folder: Path, *, side: int = 512, seed: int = 1) -> Table:
    """All cases on one picture."""
    table = Table("Stitching made fields of a real slide, 10 % overlap", COLUMNS)
    for name, how in cases(side).items():
        table.add(name, *_case(picture, folder / name.replace(" ", "-").replace(",", ""), how, seed))
    table.notes += [
        "error: distance of field middles from the truth, after the best rigid fit of all registered fields (where the "
        "whole lies and how it is turned is free)",
        "empty: fields of glass; off: largest distance of one from its true place, on an axis, after the same fit (the "
        "stage's own jitter is up to 15 px)",
        "seam energy: mean gradient across the seams of the mosaic over the mean of that in either field alone, at the "
        "same places, evenly lit and turned as they are laid; 1 or less: seams are not seen",
        "exact: every pixel equals the picture's where registered fields lie (of glass placed by the stage model "
        "no program can know it to the pixel), or the share that does",
    ]
    return table


def _case(picture: NDArray[np.uint8], folder: Path, how: made.Microscope, seed: int) -> tuple[object, ...]:
    truth = made.layout(picture.shape[:2], how, seed)
    made.write(folder / "fields", made.from_array(picture), truth, how, seed=seed)
    found, cpu = stitched(folder / "fields", folder / "mosaic.zarr")
    placed = fields_table(found, truth)
    known = (placed["status"] == REGISTERED).to_numpy()
    gap = rigid_gap(placed[["y", "x"]].to_numpy() + (how.side - 1) / 2, truth.middle, known)
    error = np.hypot(*gap[known].T)
    flagged = f"{int((~known[truth.empty]).sum())} of {int(truth.empty.sum())}" if truth.empty.any() else "-"
    off = float(np.abs(gap[truth.empty]).max()) if truth.empty.any() else None
    return (
        len(known), int(known.sum()), float(np.median(error)), float(error.max()), flagged, off,
        seam_energy(found, folder / "fields", placed), _exact(found, picture, truth, how, placed), cpu,
    )  # fmt: skip


def fields_table(found: Made, truth: made.FieldsTruth) -> pd.DataFrame:
    """The fields' table in the order of the truth."""
    table = pd.read_csv(found.beside / "fields.csv").set_index("file")
    return table.loc[[truth.name(index) for index in range(len(truth.middle))]].reset_index()


def rigid_gap(found: NDArray[np.float64], true: NDArray[np.float64], known: NDArray[np.bool_]) -> NDArray[np.float64]:
    """``(N, 2)``: what is left between places after the best shift and turn of the `known` ones (Kabsch, 1976)."""
    a, b = found[known].mean(axis=0), true[known].mean(axis=0)
    u, _, v = np.linalg.svd((found[known] - a).T @ (true[known] - b))
    flip = np.diag([1.0, float(np.sign(np.linalg.det(u @ v)))])
    return np.asarray((found - a) @ (u @ flip @ v) - (true - b))


def seam_energy(found: Made, folder: Path, placed: pd.DataFrame) -> float:
    """Mean gradient on the lines halfway between neighbours in the mosaic, over that of the fields there themselves."""
    slide, fields = open_slide(found.mosaic), open_fields(folder)
    laid, light = _placement(found, fields), _light(found, fields)

    def alone(plane: int, box: Box) -> NDArray[np.float32]:
        return _laid(fields, laid, light, plane, box)

    try:
        return _seams(_grey(slide.read, slide.info.shape), alone, fields, placed)
    finally:
        slide.close()
        fields.close()


def _seams(
    mosaic: NDArray[np.float32], alone: Callable[[int, Box], NDArray[np.float32]], fields: FieldsSlide,
    placed: pd.DataFrame,
) -> float:  # fmt: skip
    """Over all pairs side by side: a band of 8 px round the seam, in the mosaic and in either field."""
    side = fields.info.shape[0]
    at = {place.cell: plane for plane, place in enumerate(fields.places)}
    laid = placed[placed["in_mosaic"]]
    corners = dict(zip(laid["file"].tolist(), laid[["y", "x"]].to_numpy(float).tolist(), strict=True))
    ours, theirs = [], []
    for cell, plane in at.items():
        other = at.get((cell[0], cell[1] + 1)) if cell else None
        if other is None:
            continue
        names = [fields.places[one].file for one in (plane, other)]
        if any(name not in corners for name in names):
            continue
        (y, x), (y2, x2) = corners[names[0]], corners[names[1]]
        top, seam = round(max(y, y2)) + side // 8, round((x2 + x + side) / 2)
        band = Box(top, seam - 4, side * 3 // 4, 8)
        ours.append(_gradient(mosaic[band.slices()]))
        theirs.append(float(np.mean([_gradient(alone(one, band)) for one in (plane, other)])))
    return float(np.sum(ours) / max(1e-9, np.sum(theirs)))


def _gradient(grey: NDArray[np.float32]) -> float:
    return float(np.abs(np.diff(grey, axis=1)).mean())


def _grey(read: Callable[..., NDArray[np.uint8]], shape: tuple[int, int]) -> NDArray[np.float32]:
    return np.asarray(read(Box(0, 0, *shape), level=0).mean(axis=2, dtype=np.float32), np.float32)


def _exact(
    found: Made, picture: NDArray[np.uint8], truth: made.FieldsTruth, how: made.Microscope, placed: pd.DataFrame
) -> str:
    """Whether the mosaic equals the picture where registered fields alone lie; asked where nothing was done to them."""
    if how.noise or how.blur_px or how.turn_deg or how.vignetting:
        return "-"
    slide = open_slide(found.mosaic)
    pixels = slide.read(Box(0, 0, *slide.info.shape), level=0)
    slide.close()
    corners = np.floor(placed[["y", "x"]].to_numpy(float) + 0.5).astype(int)
    own = np.rint(truth.middle - (how.side - 1) / 2).astype(int)
    known = (placed["status"] == REGISTERED).to_numpy()
    counted = np.zeros(pixels.shape[:2], bool)
    for said, inside in ((known, True), (~known & placed["in_mosaic"].to_numpy(bool), False)):
        for y, x in corners[said]:
            counted[y : y + how.side, x : x + how.side] = inside
    y, x = (own[known] - corners[known])[0]
    cut = np.zeros_like(pixels)
    part = Box(int(y), int(x), *pixels.shape[:2]).intersect(Box(0, 0, *picture.shape[:2]))
    cut[part.shift(-int(y), -int(x)).slices()] = picture[part.slices()]
    return "yes" if bool((cut == pixels)[counted].all()) else f"{(cut == pixels)[counted].all(axis=1).mean():.4%}"


@dataclass(frozen=True)
class RealFields:
    """What the nine real fields gave."""

    made: Made
    table: Table


def evaluate_real(folder: Path, work: Path) -> RealFields:
    """The nine real fields: loops, and the correlation of overlaps at a quarter of the scale."""
    found, cpu = stitched(folder, work / "he-3x3.zarr", ("places.mpp=0.5",))
    said = found.said or {}
    table = Table("The nine real fields", ("what", "figure"))
    loops = said["loops_px"]
    table.add("loops of edges, worst, px", max(loops) if loops else None)
    table.add("loops", len(loops))
    table.add("correlation of overlaps at 1/4, lowest of the edges", min(overlap_correlations(found, folder)))
    table.add("edges kept", said["edges_by_status"].get("kept", 0))
    table.add("residual of edges, median, px", said["residual_px_median"])
    table.add("corner moved by the lens, px", said["lens_px"])
    table.add("cpu s", cpu)
    table.notes.append(f"mosaic: {found.mosaic}; look at {found.beside / 'mosaic.png'}")
    return RealFields(found, table)


def overlap_correlations(found: Made, folder: Path) -> list[float]:
    """Pearson's correlation of each kept edge's overlap in grey, reduced four times.

    Both fields are as they are laid down in the mosaic: placed, turned, the lens undone, evenly lit.
    """
    fields, edges = open_fields(folder), pd.read_csv(found.beside / "edges.csv")
    laid, light = _placement(found, fields), _light(found, fields)
    plane = {place.file: index for index, place in enumerate(fields.places)}
    kept = edges[edges["status"] == "kept"]
    pairs = [(plane[a], plane[b]) for a, b in zip(kept["a"].tolist(), kept["b"].tolist(), strict=True)]
    values = []
    for pair in pairs:
        boxes = [Box(*(int(side) for side in laid.boxes()[one])).pad(-RIM_PX) for one in pair]
        seen = [_quarter(fields, laid, light, one, boxes[0].intersect(boxes[1])) for one in pair]
        values.append(correlate(seen[0], seen[1]))
    fields.close()
    return values


def _placement(found: Made, fields: FieldsSlide) -> Placement:
    """Where fields were laid, from the table and the summary."""
    table = pd.read_csv(found.beside / "fields.csv").set_index("file").loc[[one.file for one in fields.places]]
    said = json.loads((found.beside / "stitch.json").read_text(encoding="utf-8"))
    shape = fields.info.shape
    middle = table[["y", "x"]].to_numpy(float) + (np.array(shape) - 1) / 2
    bend = float(said["lens_px"]) / float(np.hypot(*shape) / 2) ** 3
    height, width = said["mosaic_px"]
    used = table["in_mosaic"].to_numpy(bool)
    return Placement(middle, np.deg2rad(table["turn_deg"].to_numpy(float)), shape, (height, width), used, bend=bend)


def _light(found: Made, fields: FieldsSlide) -> Light:
    """How fields were lit; what they differ in as a whole does not change a correlation."""
    said = json.loads((found.beside / "stitch.json").read_text(encoding="utf-8"))
    return Light(np.array(said["light_terms"]), np.zeros((fields.info.planes, fields.info.channels)), "")


def _laid(fields: FieldsSlide, laid: Placement, light: Light, plane: int, box: Box) -> NDArray[np.float32]:
    """One field, grey, as it lies in a box of the mosaic."""

    def read(field: int, part: Box) -> NDArray[np.integer]:
        return fields.read(part, level=0, plane=field)

    return np.asarray(laid_pixels(box, laid, light, plane, read).mean(axis=2, dtype=np.float32), np.float32)


def _quarter(fields: FieldsSlide, laid: Placement, light: Light, plane: int, box: Box) -> NDArray[np.float32]:
    """The same, reduced four times."""
    grey = _laid(fields, laid, light, plane, box)
    return np.asarray(cv2.resize(grey, None, fx=0.25, fy=0.25, interpolation=cv2.INTER_AREA), np.float32)
