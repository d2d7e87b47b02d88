"""What spoils real slides: folds, blur, pen, bubbles, dust, uneven light. In every category alike.

Enters: the side of a field, what must stay visible, a random generator. Leaves: `Artefacts`, maps at 4
micrometres per pixel that the renderer lays over a block. Next room: `wsipipe.phantom.gastric_picture`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

MAP_UM = 4.0
"""Micrometres per pixel of the maps."""
Plane = NDArray[np.float32]
Floats = NDArray[np.float64]
INKS = {"blue": (1.1, 0.75, 0.18), "green": (1.0, 0.25, 0.75), "black": (1.1, 1.1, 1.05), "red": (0.08, 0.9, 0.8)}
"""Optical density (R, G, B) of pens."""


@dataclass(slots=True)
class Artefacts:
    """Maps of one field; a map that is absent does nothing.

    ``fold`` extra thickness (0, or 0.5 to 1 inside a fold); ``blur`` 0 to 1; ``ink`` optical density (y, x, 3);
    ``air`` optical density of bubble rims (y, x); ``blur_um`` the defocus inside the blurred places.
    """

    names: set[str] = field(default_factory=set)
    fold: Plane | None = None
    blur: Plane | None = None
    ink: Plane | None = None
    air: Plane | None = None
    blur_um: float = 2.0


CHANCE = {"fold": 0.35, "blur": 0.30, "pen": 0.22, "bubble": 0.25, "dust": 0.6}
"""Chance of each on a slide, the same whatever the category."""


def draw_artefacts(side_um: float, spared: Floats, rng: np.random.Generator, *, chance: float = 1.0) -> Artefacts:
    """Draw a slide's artefacts. A blur, pen or bubble that would hide over a third of `spared` is drawn elsewhere."""
    made = Artefacts(blur_um=float(rng.uniform(1.0, 2.8)))
    side = int(np.ceil(side_um / MAP_UM)) + 1
    focus = cv2.fillPoly(np.zeros((side, side), np.uint8), [np.rint(spared[:, ::-1] / MAP_UM).astype(np.int32)], 1)
    for name, draw in _KINDS.items():
        wanted = rng.random() < CHANCE[name] * chance
        for _ in range(8):
            mask = draw(side, rng)
            hidden = float(mask[focus > 0].mean()) if focus.any() else 0.0
            if hidden < 0.33:
                break
        if wanted and hidden < 0.33:
            _apply(made, name, mask, rng)
    return made


def single_artefact(name: str, side_um: float, rng: np.random.Generator) -> Artefacts:
    """One artefact of that name (a key of `CHANCE`) and nothing else."""
    made = Artefacts(blur_um=2.0)
    _apply(made, name, _KINDS[name](int(np.ceil(side_um / MAP_UM)) + 1, rng), rng)
    return made


def _apply(made: Artefacts, name: str, mask: Plane, rng: np.random.Generator) -> None:
    made.names.add(name)
    if name == "fold":
        made.fold = mask * np.float32(rng.uniform(0.5, 1.0))
    elif name == "blur":
        made.blur = mask
    elif name == "bubble":
        made.air = mask
    else:
        ink = INKS[str(rng.choice(["blue", "green", "black"] if name == "pen" else ["black", "blue"]))]
        layer = mask[..., None] * np.array(ink, np.float32) * np.float32(rng.uniform(0.5, 1.0))
        made.ink = layer if made.ink is None else made.ink + layer


def _curve(side: int, length: float, wander: float, rng: np.random.Generator) -> NDArray[np.int32]:
    count = 40
    turn = rng.uniform(0, 2 * np.pi) + np.cumsum(rng.normal(0, wander, count))
    step = length / count
    yx = rng.uniform(0.05, 0.95, 2) * side + np.cumsum(np.stack([np.sin(turn), np.cos(turn)], 1), axis=0) * step
    return np.asarray(np.rint((yx - yx.mean(axis=0) + rng.uniform(0.1, 0.9, 2) * side)[:, ::-1] * 16), dtype=np.int32)


def _share(mask: NDArray[Any]) -> Plane:
    """0 to 255 as 0 to 1."""
    return np.asarray(mask, dtype=np.float32) / np.float32(255)


def _fold(side: int, rng: np.random.Generator) -> Plane:
    """One or two narrow bands of double thickness."""
    mask = np.zeros((side, side), np.uint8)
    for _ in range(int(rng.integers(1, 3))):
        curve = _curve(side, rng.uniform(0.2, 0.8) * side, 0.05, rng)
        cv2.polylines(mask, [curve], False, 255, int(rng.uniform(4, 11)), cv2.LINE_AA, 4)
    return _share(cv2.GaussianBlur(mask, (0, 0), 0.8))


def _blur(side: int, rng: np.random.Generator) -> Plane:
    """One or two soft-edged places out of focus."""
    mask = np.zeros((side, side), np.uint8)
    for _ in range(int(rng.integers(1, 3))):
        middle, size = rng.uniform(0, side, 2), rng.uniform(0.05, 0.17, 2) * side + 8
        half = int(size[0]), int(size[1])
        cv2.ellipse(mask, (int(middle[0]), int(middle[1])), half, float(rng.uniform(0, 180)), 0, 360, 255, -1)
    return _share(cv2.GaussianBlur(mask, (0, 0), 8))


def _pen(side: int, rng: np.random.Generator) -> Plane:
    """A stroke or two of a felt pen, darker at its edges."""
    mask = np.zeros((side, side), np.uint8)
    for _ in range(int(rng.integers(1, 3))):
        curve, width = _curve(side, rng.uniform(0.3, 1.0) * side, 0.06, rng), int(rng.uniform(14, 34))
        cv2.polylines(mask, [curve], False, 255, width, cv2.LINE_AA, 4)
        cv2.polylines(mask, [curve], False, 190, max(1, width - 6), cv2.LINE_AA, 4)
    noise = cv2.GaussianBlur(rng.random((side, side), dtype=np.float32), (0, 0), 4)
    return np.asarray(_share(cv2.GaussianBlur(mask, (0, 0), 1.0)) * (0.2 + 1.6 * noise), dtype=np.float32)


def _bubble(side: int, rng: np.random.Generator) -> Plane:
    """Air under the cover glass: dark refractive rims with a bright line inside."""
    mask = np.zeros((side, side), np.float32)
    for _ in range(int(rng.integers(1, 4))):
        middle, radius = tuple(int(v) for v in rng.uniform(0, side, 2)), int(rng.uniform(10, 60))
        rim = np.zeros((side, side), np.uint8)
        cv2.circle(rim, middle, radius, 255, 3, cv2.LINE_AA)
        mask += np.float32(0.30) * _share(cv2.GaussianBlur(rim, (0, 0), 1.0))
        cv2.circle(mask, middle, radius - 3, 0.05, -1)
    return mask


def _dust(side: int, rng: np.random.Generator) -> Plane:
    """Specks and short lint."""
    mask = np.zeros((side, side), np.uint8)
    for _ in range(int(rng.integers(2, 14))):
        spot = rng.uniform(0, side, 2)
        end = spot + rng.normal(0, 3, 2) * (rng.random() < 0.4)
        ends = [tuple(int(v * 16) for v in point) for point in (spot, end)]
        cv2.line(mask, ends[0], ends[1], int(rng.uniform(80, 255)), 1, cv2.LINE_AA, 4)
    return _share(mask)


_KINDS = {"fold": _fold, "blur": _blur, "pen": _pen, "bubble": _bubble, "dust": _dust}
