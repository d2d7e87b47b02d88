"""Prerendered nuclei: small pictures of haematoxylin that are stamped by the hundred thousand.

Enters: micrometres per pixel. Leaves: a `SpriteSheet` (uint8 pictures, 100 is a concentration of 1).
Next room: `wsipipe.phantom.gastric_canvas`. One sheet is made per mpp and process and kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

TURNS = 16
"""Orientations per nucleus, over half a turn."""
SIZES = (0.72, 0.85, 1.0, 1.18, 1.38)
"""Relative sizes that are prerendered."""
TONES = (0.66, 0.76, 0.87, 0.97, 1.08, 1.22)
"""Relative strength of the variants of a nucleus, pale to dark."""
_FINE_UM = 0.16


class Kind(IntEnum):
    """Kinds of nucleus."""

    BASAL = 0
    ROUND = 1
    PENCIL = 2
    VESICULAR = 3
    BIZARRE = 4
    LYMPHOCYTE = 5
    PLASMA = 6
    SPINDLE = 7
    MUSCLE = 8
    PLUMP = 9
    DEBRIS = 10
    LOBED = 11


@dataclass(frozen=True, slots=True)
class Form:
    """Length and width in micrometres; concentration of the body and of the rim; clumps; nucleoli; unevenness."""

    length: float
    width: float
    body: float
    rim: float
    clump: float
    nucleoli: int
    rough: float


FORMS = {
    Kind.BASAL: Form(6.6, 5.0, 0.78, 1.00, 0.22, 0, 0.06),
    Kind.ROUND: Form(5.8, 5.4, 0.80, 1.05, 0.26, 0, 0.05),
    Kind.PENCIL: Form(12.0, 4.3, 0.74, 0.98, 0.24, 0, 0.05),
    Kind.VESICULAR: Form(10.2, 8.6, 0.44, 0.88, 0.24, 2, 0.08),
    Kind.BIZARRE: Form(11.0, 8.2, 0.62, 0.95, 0.34, 1, 0.16),
    Kind.LYMPHOCYTE: Form(5.4, 5.0, 1.15, 1.25, 0.25, 0, 0.05),
    Kind.PLASMA: Form(5.8, 5.2, 0.85, 1.25, 0.50, 0, 0.05),
    Kind.SPINDLE: Form(13.0, 2.5, 0.95, 1.05, 0.15, 0, 0.08),
    Kind.MUSCLE: Form(14.0, 3.0, 0.70, 0.85, 0.18, 0, 0.05),
    Kind.PLUMP: Form(12.5, 4.6, 0.50, 0.85, 0.25, 1, 0.09),
    Kind.DEBRIS: Form(6.4, 3.6, 1.40, 1.40, 0.30, 0, 0.30),
    Kind.LOBED: Form(7.0, 3.4, 1.10, 1.20, 0.20, 0, 0.30),
}
"""What each kind looks like."""


@dataclass(frozen=True, slots=True)
class SpriteSheet:
    """Pictures by ``index(kind, size, angle, variant)``; each a square of odd side."""

    mpp: float
    pictures: tuple[NDArray[np.uint8], ...]
    half: NDArray[np.int64]

    @property
    def margin(self) -> int:
        """Largest half side: a nucleus that far outside the canvas cannot be seen."""
        return int(self.half.max())


def sprite_index(nuclei: NDArray[np.float64]) -> NDArray[np.int64]:
    """Index into a sheet of rows (y, x, kind, relative size, angle, tone, ...).

    The angle is that of the long axis (radians, atan2(dy, dx)); the tone 0 (palest) to 1 (darkest).
    """
    edges = np.sqrt(np.array(SIZES[1:]) * np.array(SIZES[:-1]))
    step = np.searchsorted(edges, nuclei[:, 3])
    turn = np.rint(nuclei[:, 4] / np.pi * TURNS).astype(np.int64) % TURNS
    tone = np.clip((nuclei[:, 5] * len(TONES)).astype(np.int64), 0, len(TONES) - 1)
    return ((nuclei[:, 2].astype(np.int64) * len(SIZES) + step) * TURNS + turn) * len(TONES) + tone


@lru_cache(maxsize=8)
def sprite_sheet(mpp: float) -> SpriteSheet:
    """All nuclei at that resolution (about 0.3 s at 0.5 micrometres per pixel, some megabytes)."""
    masters = _masters()
    pictures = [
        _turned(masters[kind, variant], np.pi * turn / TURNS, scale, mpp)
        for kind in Kind
        for scale in SIZES
        for turn in range(TURNS)
        for variant in range(len(TONES))
    ]
    return SpriteSheet(mpp, tuple(pictures), np.array([len(picture) // 2 for picture in pictures]))


@lru_cache(maxsize=1)
def _masters() -> dict[tuple[Kind, int], NDArray[np.float32]]:
    """Every nucleus once, lying along x, `_FINE_UM` micrometres per pixel."""
    found = {}
    for kind, form in FORMS.items():
        half = int(np.ceil(form.length * 0.62 / _FINE_UM))
        axis = np.arange(-half, half + 1, dtype=np.float64) * _FINE_UM
        for variant in range(len(TONES)):
            rng = np.random.default_rng([77, int(kind), variant])
            found[kind, variant] = _nucleus(axis[None], axis[:, None], form, TONES[variant], rng).astype(np.float32)
    return found


def _turned(master: NDArray[np.float32], angle: float, scale: float, mpp: float) -> NDArray[np.uint8]:
    """A master turned and scaled, drawn three times finer and reduced by area."""
    half = int(np.ceil(len(master) / 2 * _FINE_UM * scale / mpp)) + 1
    side, zoom = 3 * (2 * half + 1), _FINE_UM * scale * 3 / mpp
    turn = zoom * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    shift = (side - 1) / 2 - turn @ np.full(2, (len(master) - 1) / 2)
    fine = cv2.warpAffine(master, np.column_stack([turn, shift]), (side, side), flags=cv2.INTER_LINEAR)
    small = cv2.resize(fine, (2 * half + 1,) * 2, interpolation=cv2.INTER_AREA)
    return np.asarray(np.clip(small * 100, 0, 255), dtype=np.uint8)


def _nucleus(
    u: NDArray[np.float64], v: NDArray[np.float64], form: Form, tone: float, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Concentration over the coordinates along (`u`) and across (`v`) the long axis, in micrometres."""
    along, across = u / (form.length / 2), v / (form.width / 2)
    bow = rng.normal(0, 0.10)
    across = across + bow * (along**2 - 0.4) * form.length / form.width
    theta = np.arctan2(across, along)
    order, phase = np.arange(2, 5), rng.uniform(0, 2 * np.pi, 3)
    edge = 1 + sum(form.rough * rng.normal() * np.cos(k * theta + p) for k, p in zip(order, phase, strict=True))
    radius = np.hypot(along, across) / np.maximum(edge, 0.5)
    depth = (1 - radius) * form.width / 2
    inside = np.clip(depth / (0.2) + 0.5, 0, 1)
    rim = np.exp(-((depth / 0.55) ** 2))
    value = form.body + (form.rim - form.body) * rim + form.clump * _clumps(u, v, rng)
    for _ in range(form.nucleoli):
        spot = rng.normal(0, 0.16, 2) * (form.length, form.width)
        value = value + 0.45 * np.exp(-((u - spot[0]) ** 2 + (v - spot[1]) ** 2) / (2 * 0.55**2))
    return np.asarray(inside * np.maximum(value, 0.25) * tone, dtype=np.float64)


def _clumps(u: NDArray[np.float64], v: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
    """Chromatin: a few random plane waves of 1.5 to 4.5 micrometres, about -1 to 1; the same at every turn."""
    total = np.zeros(np.broadcast_shapes(u.shape, v.shape))
    for _ in range(7):
        wave = 2 * np.pi / rng.uniform(1.5, 4.5)
        way = rng.uniform(0, 2 * np.pi)
        total = total + np.cos(wave * (u * np.cos(way) + v * np.sin(way)) + rng.uniform(0, 2 * np.pi))
    return total / 3.0
