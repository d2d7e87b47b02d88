"""A contact sheet: the four categories and the artefacts, each at two magnifications, for people to look at.

Enters: a seed and a regime. Leaves: one RGB picture. Next room: the documentation, and whoever judges the phantoms.
"""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from wsipipe.phantom.gastric_artefact import MAP_UM, Artefacts, single_artefact
from wsipipe.phantom.gastric_picture import Field, make_field
from wsipipe.phantom.gastric_record import GRID_UM, category_map
from wsipipe.phantom.gastric_regime import Regime, regime_of
from wsipipe.phantom.gastric_style import CATEGORIES
from wsipipe.phantom.gastric_tissue import stream

CELL = 512
FIELD_UM = 1100.0
SHOWN = ("fold", "blur", "pen", "bubble")
"""Artefacts on the sheet."""
RGB = NDArray[np.uint8]


def contact_sheet(seed: int = 0, regime: str = "test") -> RGB:
    """The four categories above, four artefacts below.

    Returns
    -------
    (2160, 2048, 3) uint8
        Four rows of four cells of 512 pixels with a caption each: categories at 2.1 and at 0.5 micrometres per
        pixel, then artefacts likewise. The close views are centred on the lesion or the artefact.

    Raises
    ------
    UsageError
        Where the regime is unknown.
    """
    chosen = regime_of(regime)
    made = [make_field(code, seed + code, chosen, FIELD_UM, mpp=0.5) for code in range(4)]
    fields = [replace(field, artefacts=Artefacts()) for field in made]
    far, near = [], []
    for name, field in zip(CATEGORIES, fields, strict=True):
        far.append(_captioned(_far(field), f"{name}, 2.1 um/px"))
        near.append(_captioned(_near(field, _lesion_of(field)), f"{name}, 0.5 um/px"))
    spoilt = [_spoilt(field, name, seed, chosen) for name, field in zip(SHOWN, fields, strict=True)]
    rows = far, near, [pair[0] for pair in spoilt], [pair[1] for pair in spoilt]
    return np.concatenate([np.concatenate(row, axis=1) for row in rows])


def _spoilt(field: Field, name: str, seed: int, regime: Regime) -> tuple[RGB, RGB]:
    """A field with one artefact, far and near."""
    made = single_artefact(name, FIELD_UM, stream(regime, seed, 10, SHOWN.index(name)))
    spoilt = replace(field, artefacts=made)
    planes = [plane for plane in (made.fold, made.blur, made.ink, made.air) if plane is not None]
    weight = planes[0] if planes[0].ndim == 2 else planes[0].sum(axis=2)
    over = cv2.resize(field.canvas.tissue, weight.shape[::-1], interpolation=cv2.INTER_AREA) > 128
    y, x = np.unravel_index(int(np.argmax(cv2.GaussianBlur(weight, (0, 0), 3) * over)), weight.shape)
    at = float(y) * MAP_UM, float(x) * MAP_UM
    return _captioned(_far(spoilt), f"{name}, 2.1 um/px"), _captioned(_near(spoilt, at), f"{name}, 0.5 um/px")


def _lesion_of(field: Field) -> tuple[float, float]:
    """The place deepest inside the highest lesion, else of the tissue, in micrometres yx."""
    mask = category_map(field.scene)
    wanted = mask == mask.max()
    if not mask.max():
        wanted = cv2.resize(field.canvas.tissue, mask.shape, interpolation=cv2.INTER_AREA) > 200
    depth = cv2.distanceTransform(np.pad(wanted.astype(np.uint8), 1), cv2.DIST_L2, 3)[1:-1, 1:-1]
    y, x = np.unravel_index(int(np.argmax(depth)), depth.shape)
    return float(y) * GRID_UM, float(x) * GRID_UM


def _far(field: Field) -> RGB:
    side = len(field.canvas.nuclei)
    whole = np.concatenate(
        [np.concatenate([field.block((y, x)) for x in range(0, side, 1024)], axis=1) for y in range(0, side, 1024)]
    )
    return np.asarray(cv2.resize(whole[:side, :side], (CELL, CELL), interpolation=cv2.INTER_AREA), dtype=np.uint8)


def _near(field: Field, at_um: tuple[float, float]) -> RGB:
    side = len(field.canvas.nuclei)
    y, x = (int(np.clip(um / field.canvas.mpp - CELL / 2, 0, side - CELL)) for um in at_um)
    return field.block((y, x), size=CELL)


def _captioned(picture: RGB, text: str) -> RGB:
    bar = np.full((28, CELL, 3), 255, np.uint8)
    cv2.putText(bar, text, (8, 20), cv2.FONT_HERSHEY_SIMPLEX, 0.55, (40, 40, 40), 1, cv2.LINE_AA)
    return np.concatenate([bar, picture])
