"""A made field from seed to pixels, block by block: plan, scene, canvas, artefacts, light.

Enters: category, seed, regime, side and mpp. Leaves: `Field`, whose blocks are read one after the other.
Next room: `wsipipe.phantom.gastric_slide` writes them, `wsipipe.phantom.gastric_tile` cuts training tiles.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from wsipipe.phantom.gastric_artefact import MAP_UM, Artefacts, draw_artefacts
from wsipipe.phantom.gastric_canvas import Canvas, draw_scene
from wsipipe.phantom.gastric_regime import Look, Regime, draw_look
from wsipipe.phantom.gastric_render import HALO, Noise, bare, compose, expose, finish, scan
from wsipipe.phantom.gastric_scene import Scene
from wsipipe.phantom.gastric_texture import PERIOD, textures
from wsipipe.phantom.gastric_tissue import Plan, make_scene, plan_field, stream

Float = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Field:
    """A drawn field and everything that is needed to see any block of it."""

    plan: Plan
    scene: Scene
    canvas: Canvas
    look: Look
    artefacts: Artefacts
    noise: Noise

    def block(self, corner: tuple[int, int], *, size: int = PERIOD) -> NDArray[np.uint8]:
        """RGB (size, size, 3) at `corner` (y, x) in pixels; beyond the field there is clear glass."""
        return see(self.canvas, self.look, self.noise, corner, size=size, artefacts=self.artefacts)


def make_field(category: int, seed: int, regime: Regime, side_um: float, *, mpp: float | None = None) -> Field:
    """Draw a field. `mpp` None takes the one of the regime's scanner."""
    look = draw_look(regime, stream(regime, seed, 4))
    plan = plan_field(category, seed, regime, side_um)
    scene = make_scene(plan, seed, regime, side_um)
    rng = stream(regime, seed, 5)
    artefacts = draw_artefacts(side_um, plan.spared, rng)
    pitch = look.mpp if mpp is None else mpp
    return Field(plan, scene, draw_scene(scene, pitch), look, artefacts, draw_noise(plan, pitch, rng))


def draw_noise(plan: Plan, mpp: float, rng: np.random.Generator) -> Noise:
    """Textures whose fibres run along the surface of the first fragment, moved at random."""
    y, x = (int(v) for v in rng.integers(0, PERIOD, 2))
    heading = plan.sheets[0].heading
    return Noise(textures(mpp, way=float(heading[len(heading) // 2])), (y, x))


def see(
    canvas: Canvas, look: Look, noise: Noise, corner: tuple[int, int], *, size: int, artefacts: Artefacts
) -> NDArray[np.uint8]:
    """Pixels of a block: concentrations, artefacts in the glass, light, lens, sensor."""
    wide = size + 2 * HALO
    extra = _part(artefacts.ink, corner, wide, canvas.mpp)
    air = _part(artefacts.air, corner, wide, canvas.mpp)
    if air is not None:
        extra = air[..., None] + (0 if extra is None else extra)
    if extra is None and bare(canvas, corner, size=size):
        glass = np.broadcast_to(np.array(look.white, np.float32), (wide, wide, 3))
        return finish(glass * _shade(canvas, look, corner, wide), look, noise, corner)
    stain = compose(canvas, look, noise, corner, size=size)
    fold = _part(artefacts.fold, corner, wide, canvas.mpp)
    if fold is not None:
        stain = stain * (1 + fold[..., None])
    light = scan(expose(stain, look, extra=extra), look, canvas.mpp)
    blur = _part(artefacts.blur, corner, wide, canvas.mpp)
    if blur is not None:
        light = light + blur[..., None] * (_defocused(light, artefacts.blur_um / canvas.mpp) - light)
    return finish(light * _shade(canvas, look, corner, wide), look, noise, corner)


def _defocused(light: Float, radius_px: float) -> Float:
    """Light out of focus: twice a box, near enough to a disc."""
    width = max(1, round(radius_px)) * 2 + 1
    return np.asarray(cv2.blur(cv2.blur(light, (width, width)), (width, width)), dtype=np.float32)


def _shade(canvas: Canvas, look: Look, corner: tuple[int, int], wide: int) -> Float:
    """A slope of the light over the field."""
    side = len(canvas.nuclei)
    y = (np.arange(wide, dtype=np.float32) + (corner[0] - HALO)) / side - 0.5
    x = (np.arange(wide, dtype=np.float32) + (corner[1] - HALO)) / side - 0.5
    return np.asarray(1 + look.shading[0] * y[:, None, None] + look.shading[1] * x[None, :, None], dtype=np.float32)


def _part(plane: Float | None, corner: tuple[int, int], wide: int, mpp: float) -> Float | None:
    """A map enlarged to a block with its halo, or None where it is zero there."""
    if plane is None:
        return None
    scale = mpp / MAP_UM
    y0, x0 = ((c - HALO + 0.5) * scale - 0.5 for c in corner)
    reach = int(wide * scale) + 3
    rows, columns = (slice(max(int(v) - 1, 0), max(int(v) + reach, 0)) for v in (y0, x0))
    if not plane[rows, columns].any():
        return None
    move = np.array([[scale, 0, x0], [0, scale, y0]])
    smooth = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return np.asarray(cv2.warpAffine(plane, move, (wide, wide), flags=smooth), dtype=np.float32)
