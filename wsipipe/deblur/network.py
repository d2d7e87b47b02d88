"""Tiles through the deblurring network: estimate the blur, route, restore, check.

Enters: tiles. Leaves: sharper tiles, and per tile the blur's kind, levels, direction, how uncertain the result is and
how much of it fell back to the input. Next: whatever reads ``rgb``; `wsipipe.deblur.picture` for whole pictures.

After CN 111462010 A: a network says whether a picture is blurred; its kind and level choose the sub-model; a sharp one
passes unchanged, byte for byte. The guard and the map of expected errors are ours.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Unpack

import numpy as np
from numpy.typing import NDArray

from wsipipe.deblur.blur import Blur
from wsipipe.deblur.guard import guarded
from wsipipe.deblur.light import rounded
from wsipipe.models.architecture import settings
from wsipipe.models.deblur_config import DEBLUR, KINDS, DeblurConfig
from wsipipe.models.device import Execution, Options, execution, loaded
from wsipipe.models.weights import WeightsFile, find, load
from wsipipe.stage import RGB, Batch, Ref, Spec, Stage

if TYPE_CHECKING:
    import torch

    from wsipipe.models.deblurring import DeblurNet

HALO = 32
"""Pixels around a tile; a tile restored with it is within a grey level of the whole for nearly all pixels."""
SHARP_BELOW, EXPLAINED_BELOW = 0.5, 6.0
"""Limits where the weights' card says none: probability of a blur, and grey levels of disagreement."""
WEIGHTS = "microscope-deblur-v1"
"""The weights that ship with the package."""

Rgb = NDArray[np.uint8]

OUTPUTS = (
    RGB,
    Spec("blur_kind", (), "int8", fill=-1, about=f"of the tile: {', '.join(f'{n} {k}' for n, k in enumerate(KINDS))}"),
    Spec("blur_sharp", (), about="probability that the tile is sharp"),
    Spec("blur_length_px", (), unit="px", about="length of the motion; 0: none"),
    Spec("blur_direction_deg", (), unit="deg", about="of the motion, 0 along x to below 180; NaN: none"),
    Spec("blur_turn_deg", (), unit="deg", about="how far the motion's path turns over its length; 0: straight"),
    Spec("blur_radius_px", (), unit="px", about="radius of the defocus; 0: none"),
    Spec("deblur_error", (), unit="grey", about="mean error to expect of the restored pixels; 0 where unchanged"),
    Spec("deblur_fell_back", (), about="share of a blurred tile that is the input again, as the guard asked"),
)


@dataclass(frozen=True, slots=True)
class Estimated:
    """What the classifier says: probabilities of `KINDS`, and the blur that each kind but the first would be."""

    kind_prob: tuple[float, ...]
    blurs: tuple[Blur, ...]

    def blur(self, sharp_below: float) -> Blur:
        """The blur to undo; none where the probability of one is below `sharp_below`."""
        if 1 - self.kind_prob[0] < sharp_below:
            return Blur()
        return self.blurs[int(np.argmax(self.kind_prob[1:]))]


@dataclass(frozen=True, slots=True)
class Sharpened:
    """A tile after the route: pixels, the error to expect of each (float32, grey levels), the share that fell back."""

    rgb: Rgb
    error: NDArray[np.float32]
    fell_back: float


@dataclass(frozen=True)
class Deblurring:
    """How pictures are sent through which network; small and hashable, the network itself is loaded on first use."""

    file: WeightsFile
    how: Execution
    guard: bool

    def module(self) -> DeblurNet:
        """The network on its device, loaded once per process."""
        return loaded(("deblur", self.file.sha256, self.how), partial(_ready, self.file, self.how))

    @property
    def sharp_below(self) -> float:
        """Probability of a blur below which a picture is sharp."""
        return float(self.file.card.made.get("limits", {}).get("blur_probability", SHARP_BELOW))

    @property
    def explained_below(self) -> float:
        """Grey levels up to which a result explains its input."""
        return float(self.file.card.made.get("limits", {}).get("disagreement", EXPLAINED_BELOW))

    def estimate(self, rgb: Rgb) -> Estimated:
        """Kind, levels and direction of one picture, (height, width, 3) uint8."""
        module = self.module()
        with self.how.inference():
            picture = _picture(rgb, self.how)
            logits, blurs = module.judge(picture, module.look(picture))
            prob = tuple(logits.float().softmax(dim=0).tolist())
            rows = zip(*(value.tolist() for value in blurs[:4]), strict=True)
            return Estimated(prob, tuple(_blur(*row) for row in rows)[1:])

    def restore(self, rgb: Rgb, blur: Blur | None = None) -> tuple[Sharpened, Estimated | None]:
        """One picture through the route.

        Parameters
        ----------
        rgb : (height, width, 3) uint8
        blur : Blur, optional
            What is known of the blur; estimated if not given.

        Returns
        -------
        Sharpened
            The very array that was given where it is sharp.
        Estimated or None
            What was estimated, None where the blur was given.
        """
        estimated = self.estimate(rgb) if blur is None else None
        blur = blur if estimated is None else estimated.blur(self.sharp_below)
        assert blur is not None
        if blur.kind == "sharp":
            return Sharpened(rgb, np.zeros(rgb.shape[:2], np.float32), 0.0), estimated
        made, error = _restored(self, rgb, blur)
        if not self.guard:
            return Sharpened(made, error, 0.0), estimated
        kept = guarded(rgb, made, blur, limit=self.explained_below)
        return Sharpened(kept.rgb, error, kept.fell_back), estimated


def deblurring(*, weights: str = WEIGHTS, sha256: str = "", guard: bool = True, **how: Unpack[Options]) -> Deblurring:
    """A route of those weights; ``dtype`` is bfloat16 where the processor multiplies it, unless given.

    Raises
    ------
    WeightsError
        Where the weights cannot be used.
    ConfigError
        Where an option's value is not allowed.
    """
    file = find(weights, DEBLUR).check(sha256)
    settings(file.card.architecture, "deblur", DeblurConfig)
    return Deblurring(file, execution(**Options(dtype="auto") | how), guard)


def sharpen(
    *, weights: str = WEIGHTS, sha256: str = "", guard: bool = True, trim: bool = False, **how: Unpack[Options]
) -> Stage:
    """Stage that sends tiles through the deblurring network, each by itself.

    Parameters
    ----------
    weights : str
        Name or path of weights of a ``deblur`` network, or ``untrained[:SEED[:PRESET]]`` (see `find`).
    sha256 : str
        What the weights must hash to; empty accepts what is found.
    guard : bool
        Show the input where the result does not explain it.
    trim : bool
        Cut the stage's own halo off its result, for stages behind it that have none.
    **how
        ``device``, ``dtype`` (or ``auto``), ``memory_format`` and ``threads`` (see `wsipipe.models.device.execution`).

    Returns
    -------
    Stage
        Input ``rgb`` (N, height, width, 3) uint8. Outputs ``rgb`` of the same size unless `trim`, and per tile
        ``blur_kind`` (0 sharp, 1 motion, 2 defocus, 3 both), ``blur_sharp``, ``blur_length_px``,
        ``blur_direction_deg``, ``blur_turn_deg``, ``blur_radius_px``, ``deblur_error`` and ``deblur_fell_back``.
        Sharp tiles pass unchanged, byte for byte.

    Raises
    ------
    WeightsError
        Where the weights cannot be used.
    ConfigError
        Where an option's value is not allowed.

    Notes
    -----
    About 1 s for 1 Mpx on one core that multiplies bfloat16, 0.3 s of it for the estimate whatever the tile's size.
    """
    route = deblurring(weights=weights, sha256=sha256, guard=guard, **how)
    params = {"weights": weights, "guard": guard, "trim": trim, **route.how.params()}
    ref = Ref("wsipipe.deblur.network:sharpen", params, route.file.sha256)
    return Stage(ref, "deblur", 3, (RGB,), OUTPUTS, partial(_sharpened, route, trim), halo=HALO)


def _sharpened(route: Deblurring, trim: bool, *, rgb: Rgb) -> Batch:
    cut = slice(HALO, -HALO) if trim else slice(None)
    made: Batch = {spec.name: np.full(len(rgb), spec.fill, spec.dtype) for spec in OUTPUTS[1:]}
    made["rgb"] = np.empty_like(rgb[:, cut, cut])
    for row, tile in enumerate(rgb):
        done, said = route.restore(tile)
        assert said is not None
        blur = said.blur(route.sharp_below)
        made["rgb"][row] = done.rgb[cut, cut]
        made["blur_kind"][row], made["blur_sharp"][row] = KINDS.index(blur.kind), said.kind_prob[0]
        made["blur_length_px"][row], made["blur_radius_px"][row] = blur.length_px, blur.radius_px
        made["blur_turn_deg"][row] = blur.turn_deg
        made["blur_direction_deg"][row] = blur.direction_deg if blur.length_px else np.nan
        made["deblur_error"][row], made["deblur_fell_back"][row] = done.error[cut, cut].mean(), done.fell_back
    return made


def _restored(route: Deblurring, rgb: Rgb, blur: Blur) -> tuple[Rgb, NDArray[np.float32]]:
    import torch

    from wsipipe.models.blur_kernel import straight

    module = route.module()
    with route.how.inference():
        picture = _picture(rgb, route.how)
        levels = (blur.length_px, math.radians(blur.direction_deg), blur.radius_px, math.radians(blur.turn_deg))
        told = torch.tensor(levels, device=picture.device)[:, None]
        blurs = straight(told[0], told[1], told[2])._replace(turn=told[3])
        number = module.config.route(blur.kind, blur.extent_px)
        said = module.restore(picture, module.look(picture), blurs, number)
        height, width = rgb.shape[:2]
        pixels = said.picture[0, :, :height, :width].permute(1, 2, 0).float().cpu().numpy() * 255
        error = said.log_error[0, 0, :height, :width].float().exp().cpu().numpy() * 255
    return rounded(pixels), error


def _blur(length: float, direction: float, radius: float, turn: float) -> Blur:
    """Of pixels and radians. Half a turn more is the same path gone backwards, which bends the other way."""
    halves, degrees = divmod(math.degrees(direction), 180)
    return Blur(length, degrees, radius, math.degrees(turn) * (-1) ** int(halves))


def _picture(rgb: Rgb, how: Execution) -> torch.Tensor:
    import torch

    from wsipipe.models.deblurring import padded

    given = torch.from_numpy(np.require(rgb, requirements=["C", "W"])).to(how.device)
    return padded(given.permute(2, 0, 1)[None].float() / 255)


def _ready(file: WeightsFile, how: Execution) -> DeblurNet:
    from wsipipe.models.deblurring import build

    return how.placed(load(file, build))
