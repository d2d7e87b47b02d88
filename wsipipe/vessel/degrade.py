"""Pictures of the retina made worse on purpose: the degradation model, and a harder regime.

Enters: a clean picture, its field of view, a seed. Leaves: a poor picture, and the record of what was done to it.
Next: `wsipipe.train` makes pairs of it (batched, on the device), `wsipipe.evaluate` asks how much is lost.

The model is the field's usual one (Shen et al., 2021), as SYSTEMS.md 3.8 gives it: uneven light, spots, blur, and their
seven combinations; all lengths are at a working size of 512 px and grow with the picture. What it leaves open is ours
and named here: how bright the halo, the spots and the hole are, and where they lie. Blurred discs have the profile of
the error function across their edge, which is what a Gaussian makes of an edge much longer than its sigma. The blur's
kernel is far smaller than its sigma, so it is nearly a box of 3 to 7 pixels. The *harder* regime is another physics:
true Gaussian blur, motion, JPEG, haze. Nothing trains on it.
"""

from __future__ import annotations

import zlib
from dataclasses import asdict, dataclass, replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.special import erf

from wsipipe.errors import ConfigError

Pixels = NDArray[np.uint8]
Mask = NDArray[np.bool_]
Light = NDArray[np.floating[Any]]

WORKING_PX = 512
"""Short side of the picture that the model's pixels are counted in."""
KINDS = ("blur", "spots", "light", "blur+spots", "blur+light", "spots+light", "blur+spots+light")
"""The seven kinds: every non-empty combination."""
HARDER = ("gaussian", "motion", "jpeg", "haze")
"""The regime that nothing trains on."""
SEEDS = (20210617,)
"""Published: what evaluation draws with, beside the picture's name and the kind. More seeds, more draws per picture."""

BRIGHTNESS, CONTRAST, SATURATION = (0.7, 1.2), (0.6, 1.4), (0.6, 1.4)
HALO_DIAMETER, HALO_SOFT, HALO_GAIN, HALO_TINT = (0.75, 1.0), (0.04, 0.12), (0.10, 0.45), (0.6, 1.0)
"""Disc (of the short side) outside of which light is added, the edge's sigma, how much light, and its colour."""
HOLE_DIAMETER, HOLE_SOFT, HOLE_DEPTH, HOLE_OFF = (0.4, 0.7), (0.05, 0.15), (0.2, 0.6), 0.12
"""Dark disc (of the width), the edge's sigma, which share of light it takes, how far off the middle at most."""
SPOT_COUNT, SPOT_RADIUS, SPOT_SOFT, SPOT_GAIN = (5, 10), (0.01, 0.05), (0.2, 0.5), (0.1, 0.5)
"""How many, radius (of the height), the edge's sigma in radii, light added."""
BLUR_SIGMA, BLUR_SHARE = (5.0, 15.0), (1 / 3, 1 / 2)
"""Sigma in px, and the kernel's side in sigmas."""


@dataclass(frozen=True)
class Spot:
    """A bright soft disc: centre in shares of height and width, radius in shares of the height, sigma in px/height."""

    y: float
    x: float
    radius: float
    soft: float
    gain: float


@dataclass(frozen=True)
class Uneven:
    """Uneven light: factors of colour, a halo outside a disc, a dark hole; lengths in shares of the short side."""

    brightness: float
    contrast: float
    saturation: float
    halo: Spot
    tint: tuple[float, float, float]
    hole: Spot


@dataclass(frozen=True)
class Degradation:
    """What is done to a picture; None or empty where nothing. ``as_json`` is its record.

    ``blur`` is (sigma, kernel side) in px at the working size.
    """

    kind: str
    light: Uneven | None = None
    spots: tuple[Spot, ...] = ()
    blur: tuple[float, int] | None = None

    def as_json(self) -> dict[str, Any]:
        """JSON values."""
        return asdict(self)


def seed_of(seed: int, name: str, kind: str) -> np.random.Generator:
    """Generator of one picture and kind: the same whatever other pictures are worked on."""
    return np.random.default_rng([seed, zlib.crc32(name.encode()), zlib.crc32(kind.encode())])


def draw(kind: str, rng: np.random.Generator) -> Degradation:
    """Draw one of the seven kinds.

    Parameters
    ----------
    kind : str
        Of `KINDS`.
    rng : numpy.random.Generator

    Raises
    ------
    ConfigError
        Where there is no such kind.
    """
    if kind not in KINDS:
        raise ConfigError(f"a degradation is one of {', '.join(KINDS)}, got {kind!r}: correct it", subject="kind")
    parts, made = kind.split("+"), Degradation(kind)
    if "light" in parts:
        made = replace(made, light=_uneven(rng))
    if "spots" in parts:
        count = int(rng.integers(SPOT_COUNT[0], SPOT_COUNT[1] + 1))
        made = replace(made, spots=tuple(_spot(rng) for _ in range(count)))
    if "blur" in parts:
        sigma = rng.uniform(*BLUR_SIGMA)
        side = 2 * int(sigma * rng.uniform(*BLUR_SHARE) / 2) + 1
        made = replace(made, blur=(float(sigma), max(3, side)))
    return made


def apply(picture: Pixels, field: Mask, done: Degradation) -> Pixels:
    """A degraded picture.

    Parameters
    ----------
    picture : (height, width, 3) uint8
    field : (height, width) bool
        Field of view; outside of it nothing changes.
    done : Degradation

    Returns
    -------
    (height, width, 3) uint8
        In order: uneven light, spots, blur.
    """
    light: Light = picture.astype(np.float32) / 255
    if done.light is not None:
        light = _lit(light, done.light)
    for spot in done.spots:
        light = light + spot.gain * _disc(light.shape, spot, light.shape[0])[..., None]
    if done.blur is not None:
        light = np.clip(light, 0, 1)
        kernel = blur_kernel(done.blur, min(picture.shape[:2]))
        light = cv2.sepFilter2D(light, -1, kernel, kernel, borderType=cv2.BORDER_REFLECT_101)
    return _quantised(light, picture, field)


def blur_kernel(blur: tuple[float, int], short: int) -> NDArray[np.float64]:
    """The cut Gaussian (sigma, side), enlarged to a picture whose short side is `short` px; sums to 1."""
    scale = short / WORKING_PX
    side = max(3, 2 * int(round(blur[1] * scale) / 2) + 1)
    away = np.arange(side) - side // 2
    kernel = np.exp(-0.5 * np.square(away / (blur[0] * scale)))
    return np.asarray(kernel / kernel.sum(), np.float64)


def harder(picture: Pixels, field: Mask, kind: str, rng: np.random.Generator) -> tuple[Pixels, dict[str, float]]:
    """The harder regime, never trained on.

    Parameters
    ----------
    picture : (height, width, 3) uint8
    field : (height, width) bool
    kind : {"gaussian", "motion", "jpeg", "haze"}
        Gaussian blur of sigma 1 to 4 px; a straight line of 7 to 21 px; JPEG of quality 5 to 25; a veil of 0.3 to 0.6.
    rng : numpy.random.Generator

    Returns
    -------
    picture : (height, width, 3) uint8
    record : dict
        What was drawn.

    Raises
    ------
    ConfigError
        Where there is no such kind.
    """
    made = {"gaussian": _gaussian, "motion": _motion, "jpeg": _jpeg, "haze": _haze}.get(kind)
    if made is None:
        raise ConfigError(f"the harder regime has {', '.join(HARDER)}, got {kind!r}: correct it", subject="kind")
    light, record = made(np.asarray(picture, np.float32) / 255, rng)
    return _quantised(light, picture, field), record


def degraded(picture: Pixels, field: Mask, *, name: str, kind: str, seed: int) -> tuple[Pixels, dict[str, Any]]:
    """A picture of that name, made worse by a kind of either regime, and the record; the same for the same seed."""
    rng = seed_of(seed, name, kind)
    if kind in HARDER:
        made, record = harder(picture, field, kind, rng)
        return made, {"kind": kind, "seed": seed, **record}
    done = draw(kind, rng)
    return apply(picture, field, done), {"seed": seed, **done.as_json()}


def _uneven(rng: np.random.Generator) -> Uneven:
    factors = [float(rng.uniform(*limits)) for limits in (BRIGHTNESS, CONTRAST, SATURATION)]
    y, x = rng.uniform(0.5 - HOLE_OFF, 0.5 + HOLE_OFF, (2, 2)).tolist()
    halo = Spot(y[0], x[0], *_lengths(rng, HALO_DIAMETER, HALO_SOFT), float(rng.uniform(*HALO_GAIN)))
    hole = Spot(y[1], x[1], *_lengths(rng, HOLE_DIAMETER, HOLE_SOFT), float(rng.uniform(*HOLE_DEPTH)))
    tint = [float(value) for value in rng.uniform(*HALO_TINT, 3)]
    return Uneven(factors[0], factors[1], factors[2], halo, (tint[0], tint[1], tint[2]), hole)


def _lengths(rng: np.random.Generator, diameter: tuple[float, float], soft: tuple[float, float]) -> tuple[float, float]:
    return float(rng.uniform(*diameter)) / 2, float(rng.uniform(*soft))


def _spot(rng: np.random.Generator) -> Spot:
    y, x = rng.uniform(0, 1, 2).tolist()
    radius = float(rng.uniform(*SPOT_RADIUS))
    return Spot(y, x, radius, radius * float(rng.uniform(*SPOT_SOFT)), float(rng.uniform(*SPOT_GAIN)))


def _lit(light: Light, done: Uneven) -> Light:
    grey = np.array([0.299, 0.587, 0.114], np.float32)
    light = light * done.brightness
    mean = (light @ grey).mean()
    light = (light - mean) * done.contrast + mean
    level = (light @ grey)[..., None]
    light = np.clip((light - level) * done.saturation + level, 0, 1)
    short = min(light.shape[:2])
    outside = 1 - _disc(light.shape, done.halo, short)
    light = light + done.halo.gain * outside[..., None] * np.array(done.tint, np.float32)
    inside = _disc(light.shape, done.hole, short)
    return np.clip(light * (1 - done.hole.gain * inside[..., None]), 0, 1).astype(np.float32)


def _disc(shape: tuple[int, ...], spot: Spot, length: int) -> Light:
    """1 inside, 0 outside, with the edge of a Gaussian blur; radius and sigma in shares of `length`."""
    height, width = shape[:2]
    y, x = np.ogrid[:height, :width]
    away = np.hypot(y - spot.y * height, x - spot.x * width)
    edge = erf((away - spot.radius * length) / (np.sqrt(2) * spot.soft * length))
    return np.asarray(0.5 * (1 - edge), np.float32)


def _gaussian(light: Light, rng: np.random.Generator) -> tuple[Light, dict[str, float]]:
    sigma = float(rng.uniform(1, 4))
    return cv2.GaussianBlur(light, (0, 0), sigma * min(light.shape[:2]) / WORKING_PX), {"sigma_px": sigma}


def _motion(light: Light, rng: np.random.Generator) -> tuple[Light, dict[str, float]]:
    length, angle = float(rng.uniform(7, 21)), float(rng.uniform(0, 180))
    side = 2 * int(length * min(light.shape[:2]) / WORKING_PX / 2) + 1
    line = np.zeros((side, side), np.float32)
    line[side // 2] = 1
    middle = (side // 2, side // 2)
    kernel = cv2.warpAffine(line, cv2.getRotationMatrix2D(middle, angle, 1.0), (side, side))
    return cv2.filter2D(light, -1, kernel / kernel.sum()), {"length_px": length, "angle_deg": angle}


def _jpeg(light: Light, rng: np.random.Generator) -> tuple[Light, dict[str, float]]:
    quality = int(rng.integers(5, 26))
    _, data = cv2.imencode(
        ".jpg", np.round(light[..., ::-1] * 255).astype(np.uint8), [cv2.IMWRITE_JPEG_QUALITY, quality]
    )
    decoded = np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.float32)
    return decoded[..., ::-1] / 255, {"quality": float(quality)}


def _haze(light: Light, rng: np.random.Generator) -> tuple[Light, dict[str, float]]:
    height, width = light.shape[:2]
    veil, level = rng.uniform(0.3, 0.6), float(rng.uniform(0.5, 0.8))
    uneven = cv2.resize(rng.uniform(-1, 1, (4, 4)).astype(np.float32), (width, height), interpolation=cv2.INTER_CUBIC)
    share = np.clip(veil + 0.15 * uneven, 0, 0.9)[..., None]
    return light * (1 - share) + level * share, {"veil": float(veil), "level": level}


def _quantised(light: Light, picture: Pixels, field: Mask) -> Pixels:
    made = np.round(np.clip(light, 0, 1) * 255).astype(np.uint8)
    return np.where(field[..., None], made, picture)
