"""The units of a mosaic but for placing: decode a field, measure an edge, draw for the test, write a block.

Enters: a `Work` and a unit. Leaves: files of the work folder, blocks of the mosaic. Next room:
`wsipipe.run.mosaic.place` between the edges and the blocks.
"""

from __future__ import annotations

import io
import os
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from wsipipe.errors import ConfigError
from wsipipe.grid import Box
from wsipipe.run.course import Work
from wsipipe.run.mosaic.place import light_of, placement_of, store_of
from wsipipe.run.mosaic.plan import (
    EDGES,
    FIELDS,
    NULL,
    NULL_DRAWS,
    STRIP,
    WHOLE,
    fields_of,
    plan_of,
    raw,
    setting,
    sharpened,
    sharpener,
    sharpens_fields,
)
from wsipipe.stitch import compose, refine, register
from wsipipe.store.place import replace_file, sync

THUMBNAIL_PX = 1600
SURE = 0.7
"""With a correlation like this on the strip that was expected the whole fields are not searched."""
LEAST_SCORE = 4.0
"""No match below this is looked at more closely."""


def field(work: Work, unit: int) -> None:
    """Decode a field once: its samples for later, and a reduced copy."""
    slide, plan = fields_of(work.plan), plan_of(work.plan)
    pixels = slide.read(Box(0, 0, *slide.info.shape), level=0, plane=unit)
    if sharpens_fields(plan) and (stage := sharpener(plan)) is not None:
        if pixels.dtype != np.uint8:
            raise ConfigError("deblurring fields works on 8 bits: set deblur.order=mosaic", subject=plan.fields)
        rgb = np.repeat(pixels, 3, axis=2) if pixels.shape[2] == 1 else pixels[..., :3]
        pixels = sharpened(stage, np.pad(rgb, [(stage.halo, stage.halo)] * 2 + [(0, 0)], mode="reflect"))
    path = work.path(FIELDS, unit, "raw")
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    np.ascontiguousarray(pixels).tofile(partial)
    sync(partial)
    partial.replace(path)
    factor = setting(slide, plan.overlap).factor
    small = reduced(pixels, factor)
    work.save(FIELDS, unit, small=small, most=np.array(pixels.max()))


def reduced(pixels: NDArray[np.integer], factor: int) -> NDArray[np.integer]:
    """Means of ``factor x factor`` pixels; what does not fill a square at the end is left out."""
    height, width, channels = pixels.shape
    cut = pixels[: height // factor * factor, : width // factor * factor]
    small = cv2.resize(cut, (width // factor, height // factor), interpolation=cv2.INTER_AREA)
    return np.asarray(small.reshape(height // factor, width // factor, channels))


@lru_cache(maxsize=8)
def small_grey(work: Work, unit: int) -> NDArray[np.float32]:
    """A reduced field, band-passed, for the search."""
    found = work.load(FIELDS, unit)["small"]
    scale = 1.0 if found.dtype == np.uint8 else 255.0 / 65535
    grey: NDArray[np.float32] = register.band(found.mean(axis=2, dtype=np.float32) * np.float32(scale))
    grey.flags.writeable = False
    return grey


def null(work: Work, unit: int) -> None:
    """Some draws of the permutation test: pairs of fields that are no neighbours, one of them turned."""
    slide, plan = fields_of(work.plan), plan_of(work.plan)
    where = setting(slide, plan.overlap)
    scores = []
    for draw in range(unit * NULL_DRAWS, min((unit + 1) * NULL_DRAWS, plan.permutations)):
        rng = np.random.default_rng([plan.seed, draw])
        pair = where.pairs[rng.integers(len(where.pairs))]
        apart = where.apart(int(pair[0]))
        a = small_grey(work, int(pair[0]))
        b = register.stranger(small_grey(work, int(apart[rng.integers(len(apart))])), draw)
        strip = register.match_strip(a, b, where.expected(pair), where.reach(plan))
        whole = register.match_whole(a, b)
        scores.append((strip.score, whole.score, _texture(a, b, where.expected(pair))))
    work.save(NULL, unit, score=np.array(scores).reshape(-1, 3))


def edge(work: Work, unit: int) -> None:
    """Measure one pair of neighbours: near where it is said to be, and anywhere."""
    slide, plan = fields_of(work.plan), plan_of(work.plan)
    where = setting(slide, plan.overlap)
    a, b = (int(one) for one in where.pairs[unit])
    first, second = small_grey(work, a), small_grey(work, b)
    expected = where.expected((a, b))
    strip = register.match_strip(first, second, expected, where.reach(plan))
    found = {STRIP: strip, WHOLE: strip if strip.ncc >= SURE else register.match_whole(first, second)}
    told: dict[str, NDArray[np.float64]] = {"texture": np.array(_texture(first, second, expected))}
    for name, match in found.items():
        seen = _windows(work, (a, b), match)
        told |= {f"{name}_at": seen.at, f"{name}_shift": seen.shift, f"{name}_window_ncc": seen.ncc}
        told |= {f"{name}_ncc": np.array(match.ncc), f"{name}_score": np.array(match.score)}
    work.save(EDGES, unit, **told)


def _windows(work: Work, pair: tuple[int, int], match: register.Match) -> refine.Windows:
    """A match at full scale; none where it is hardly one."""
    if match.score < LEAST_SCORE:
        return refine.Windows(np.zeros((0, 2)), np.zeros((0, 2)), np.zeros(0))
    where = setting(fields_of(work.plan), plan_of(work.plan).overlap)
    shift = (match.dy * where.factor, match.dx * where.factor)
    first, second = (_grey(work, one) for one in pair)
    return refine.measure(first, second, where.shape, shift, slack=2 * where.factor + 8)


def _texture(first: NDArray[np.float32], second: NDArray[np.float32], expected: tuple[int, int]) -> float:
    """Grey levels of structure in the emptier of the two strips that should overlap."""
    here, there = register.overlap((first.shape[0], first.shape[1]), *expected)
    strips = (first[here], second[there])
    return min(float(strip.std()) if strip.size else 0.0 for strip in strips)


def _grey(work: Work, unit: int) -> refine.Read:
    field = raw(work, unit)
    scale = np.float32(1.0 if field.dtype == np.uint8 else 255.0 / 65535)

    def read(box: Box) -> NDArray[np.float32]:
        return field.read(box).mean(axis=2, dtype=np.float32) * scale

    return read


def block(work: Work, unit: int) -> None:
    """Write one block of the finest level."""
    plan, store = plan_of(work.plan), store_of(work)
    box = store.blocks(0)[unit]
    placement, light = placement_of(work), light_of(work)
    stage = sharpener(plan) if plan.order == "mosaic" else None
    halo = stage.halo if stage else 0
    pixels = compose.block(box.pad(halo), placement, light, lambda field, part: raw(work, field).read(part))
    store.write(0, box, sharpened(stage, pixels) if stage else pixels)


def level_1(work: Work, unit: int) -> None:
    """Write one block of the second level."""
    store = store_of(work)
    store.reduce(1, store.blocks(1)[unit])


def coarser(work: Work, unit: int) -> None:  # noqa: ARG001 (one unit)
    """Write all levels from the third on: together a twelfth of the finest."""
    store = store_of(work)
    for level in range(2, len(store.shapes)):
        for box in store.blocks(level):
            store.reduce(level, box)


def finish(work: Work, unit: int) -> None:  # noqa: ARG001 (one unit)
    """A picture to look at, and the metadata that make the mosaic readable."""
    plan, store = plan_of(work.plan), store_of(work)
    level = next(i for i, shape in enumerate(store.shapes) if max(shape) <= THUMBNAIL_PX or i == len(store.shapes) - 1)
    pixels = store.read(level, Box(0, 0, *store.shapes[level]))
    save_picture(pixels, Path(plan.beside) / "mosaic.png")
    told = {"stitch": plan.key(fields_of(work.plan).info.fingerprint), "fields": len(fields_of(work.plan).places)}
    store.describe(plan.name, told)


def save_picture(pixels: NDArray[np.uint8], path: Path) -> None:
    """Write a PNG in one step."""
    held = io.BytesIO()
    Image.fromarray(pixels).save(held, "PNG")
    replace_file(path, held.getvalue())
