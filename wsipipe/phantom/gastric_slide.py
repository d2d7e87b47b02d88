"""Made gastric slides on disk: a pyramidal TIFF, its truth beside it, and cohorts with a slide list.

Enters: category, seed, regime. Leaves: ``NAME.tif``, ``NAME.truth.json`` (`Truth`), ``NAME.truth.npz`` (masks at
a stated downsample, nuclei), ``NAME.truth.geojson`` (outlines as QuPath reads them). The masks are no ``.png``
so that a directory of made slides holds nothing else that a slide reader would open.
Next room: `wsipipe.slide`, `wsipipe.train`.
"""

from __future__ import annotations

import csv
import json
import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from wsipipe.errors import MppError, UsageError
from wsipipe.phantom.gastric_alter import Alteration, altered
from wsipipe.phantom.gastric_picture import Field, make_field
from wsipipe.phantom.gastric_record import (
    GRID_UM,
    TRUTH_DOWNSAMPLE,
    Truth,
    category_map,
    enlarge,
    outlines,
    tissue_map,
    write_truth,
)
from wsipipe.phantom.gastric_regime import draw_look, regime_of
from wsipipe.phantom.gastric_style import CATEGORIES
from wsipipe.phantom.gastric_tissue import stream
from wsipipe.phantom.gastric_version import GENERATOR, VERSION
from wsipipe.phantom.pyramid_file import write_pyramid

BLOCK = 512
"""Side of the squares that are rendered one after the other."""
COLOURS = {"low_grade": (255, 200, 0), "high_grade": (255, 110, 0), "invasive": (200, 0, 40)}
"""Of outlines, as QuPath shows them."""


def write_gastric(  # noqa: PLR0913 (all but the directory by name)
    directory: str | Path, *, category: str, seed: int, regime: str = "test", size: int | None = None,
    mpp: float | None = None, name: str | None = None, alteration: Alteration | None = None,
) -> Path:  # fmt: skip
    """Make one slide of gastric mucosa with its truth.

    Parameters
    ----------
    directory : path
        Made where it does not exist.
    category : str
        ``negative``, ``low_grade``, ``high_grade`` or ``invasive``: the highest lesion on the slide.
    seed : int
        0 or more. The same seed, version and library versions give the same bytes. Slides of one seed and
        regime that differ in category share fragments, stain, scanner and artefacts.
    regime : str
        ``train``, ``val``, ``test`` or ``shifted``: see `wsipipe.phantom.gastric_regime`.
    size : int, optional
        Side in pixels *at 0.5 micrometres per pixel* (so half as many micrometres); 1024 or more. None draws
        4,096 to 6,000 from the seed, fewer where level 0 would have more than 6,144 pixels a side.
    mpp : float, optional
        Of level 0; None takes that of the regime's scanner.
    name : str, optional
        Stem of the files; None gives ``gastric-REGIME-SEED-CATEGORY``.
    alteration : Alteration, optional
        The same slide out of focus or off colour.

    Returns
    -------
    Path
        Of the TIFF.

    Raises
    ------
    UsageError
        Where category, regime or size is not one of those.
    MppError
        Where `mpp` is outside 0.2 to 1.

    Notes
    -----
    About 4 s and 0.5 GB for 6,000 pixels at 0.5.
    """
    code = category_code(category)
    if seed < 0:
        raise UsageError(f"making a phantom slide: a seed is 0 or more, got {seed}")
    if size is not None and size < 1024:
        raise UsageError(f"making a phantom slide: its side is 1024 pixels or more, got {size}; ask for a larger one")
    if mpp is not None and not 0.2 <= mpp <= 1:
        raise MppError(f"making a phantom slide: micrometres per pixel are 0.2 to 1, got {mpp:g}; ask for one of those")
    chosen = regime_of(regime)
    pitch = mpp or draw_look(chosen, stream(chosen, seed, 4)).mpp
    side_um = size * 0.5 if size else min(0.5 * int(stream(chosen, seed, 6).integers(4096, 6001)), 6144 * pitch)
    side = int(side_um / pitch + 1e-6) // TRUTH_DOWNSAMPLE * TRUTH_DOWNSAMPLE
    field = make_field(code, seed, chosen, side * pitch, mpp=pitch)
    if alteration:
        field = replace(field, look=altered(field.look, alteration))
    folder = Path(directory)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name or f'gastric-{regime}-{seed:06d}-{category}'}.tif"
    shape = field.canvas.nuclei.shape
    write_pyramid(path, _strips(field), (shape[0], shape[1]), field.canvas.mpp, quality=field.look.quality)
    _write_beside(path, field, seed, regime)
    return path


def cohort(
    directory: str | Path, n: int, seed: int, regime: str = "test", *, size: int | None = None, mpp: float | None = None
) -> Path:
    """Make `n` slides, the categories in turn, and the list of them.

    Returns
    -------
    Path
        ``slides.csv`` with columns ``wsi,mpp,case_id,category``; `wsi` is relative to the list.
    """
    folder = Path(directory)
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for number in range(n):
        category, case = CATEGORIES[number % 4], f"{regime}-{seed:03d}-{number:04d}"
        own = case_seed(seed, number)
        path = write_gastric(folder, category=category, seed=own, regime=regime, size=size, mpp=mpp, name=case)
        rows.append((path.name, _mpp_of(path), case, category))
    listed = folder / "slides.csv"
    with listed.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("wsi", "mpp", "case_id", "category"))
        writer.writerows(rows)
    return listed


def case_seed(seed: int, number: int) -> int:
    """Seed of the slide of that number in a cohort; no two cohorts of up to 100,000 slides share one."""
    return seed * 100_000 + number


def category_code(category: str) -> int:
    """0 to 3 for a category's name.

    Raises
    ------
    UsageError
        For any other name.
    """
    if category not in CATEGORIES:
        raise UsageError(f"making a phantom slide: the category is one of {', '.join(CATEGORIES)}, got {category!r}")
    return CATEGORIES.index(category)


def _strips(field: Field) -> Iterator[NDArray[np.uint8]]:
    side = len(field.canvas.nuclei)
    for y in range(0, side, BLOCK):
        blocks = [field.block((y, x), size=BLOCK) for x in range(0, side, BLOCK)]
        yield np.concatenate(blocks, axis=1)[: side - y, :side]


def _mpp_of(path: Path) -> float:
    record = json.loads(path.with_name(path.stem + ".truth.json").read_text(encoding="utf-8"))
    return float(record["mpp"])


def _write_beside(path: Path, field: Field, seed: int, regime: str) -> None:
    """Truth record, masks and outlines."""
    mask, tissue = category_map(field.scene), tissue_map(field.scene, GRID_UM)
    area = max(int(np.count_nonzero(tissue)), 1)
    counts = np.bincount(mask.ravel(), minlength=4)[1:].tolist()
    shares = {name: round(count / area, 6) for name, count in zip(CATEGORIES[1:], counts, strict=True)}
    side, mpp = len(field.canvas.nuclei), field.canvas.mpp
    truth = Truth(
        category=CATEGORIES[int(mask.max())],
        regime=regime,
        seed=seed,
        version=VERSION,
        generator=GENERATOR,
        mpp=mpp,
        shape=(side, side),
        lesion_share=round(sum(shares.values()), 6),
        shares=shares,
        downsample=TRUTH_DOWNSAMPLE,
        glands=len(field.scene.glands),
        nuclei=len(field.scene.all_nuclei()),
        artefacts=tuple(sorted(field.artefacts.names)),
    )
    _write_masks(path.with_name(path.stem + ".truth.npz"), field, mask)
    _write_outlines(path.with_name(path.stem + ".truth.geojson"), mask, mpp, path.stem)
    write_truth(path.with_name(path.stem + ".truth.json"), truth)


def _write_masks(path: Path, field: Field, mask: NDArray[np.uint8]) -> None:
    """``category``, ``tissue``, ``gland`` at `TRUTH_DOWNSAMPLE`; ``nucleus_yx`` in level-0 pixels, kind, category."""
    mpp = field.canvas.mpp
    coarse = mpp * TRUTH_DOWNSAMPLE
    side = -(-len(field.canvas.nuclei) // TRUTH_DOWNSAMPLE)
    gland = np.zeros((side, side), np.uint8)
    for contour in field.scene.glands:
        cv2.fillPoly(gland, [np.rint(contour[:, ::-1] / coarse * 16 - 8).astype(np.int32)], 1, cv2.LINE_8, 4)
    nuclei = field.scene.all_nuclei()
    tissue = tissue_map(field.scene, coarse)[:side, :side]
    arrays = {
        "category": enlarge(mask, side, coarse),
        "tissue": tissue,
        "gland": gland * tissue,
        "nucleus_yx": (nuclei[:, :2] / mpp).astype(np.float32),
        "nucleus_kind": nuclei[:, 2].astype(np.uint8),
        "nucleus_category": nuclei[:, 6].astype(np.uint8),
    }
    with path.open("wb") as file:
        np.savez_compressed(file, allow_pickle=False, **arrays)


def _write_outlines(path: Path, mask: NDArray[np.uint8], mpp: float, stem: str) -> None:
    """GeoJSON in QuPath's form: one annotation per lesion, level-0 pixels, rings closed."""
    features = []
    for number, (code, contours) in enumerate(outlines(mask)):
        rings = [[[round(float(x / mpp), 1), round(float(y / mpp), 1)] for y, x in one] for one in contours]
        area = [cv2.contourArea(one.astype(np.float32)) for one in contours]
        name = CATEGORIES[code]
        features.append(
            {
                "type": "Feature",
                "id": str(uuid.uuid5(uuid.NAMESPACE_URL, f"wsipipe/phantom/{stem}/{number}")),
                "geometry": {"type": "Polygon", "coordinates": [[*ring, ring[0]] for ring in rings]},
                "properties": {
                    "objectType": "annotation",
                    "classification": {"name": name, "color": list(COLOURS[name])},
                    "measurements": {"area_um2": round(2 * area[0] - sum(area), 1)},
                },
            }
        )
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}) + "\n", encoding="utf-8")
