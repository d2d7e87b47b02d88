"""Pictures of a made fundus: background, macula, disc, vessels, camera.

Enters: the vessels and where things lie, in pixels. Leaves: the picture. Next: `wsipipe.phantom.fundus`.

The background's reflectance is a colour drawn from what DRIVE's pictures show, changed by pigment (slow noise),
choroidal vessels (ridges of noise), macula and disc; vessels take light away by Beer and Lambert with a part for each
colour, arteries over veins; arteries carry a bright central reflex. The camera adds vignetting, a coloured rim, a
little blur and noise.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from wsipipe.phantom.fundus_paint import Map, coverage
from wsipipe.phantom.fundus_tree import ARTERY, FIELD, VEIN, Segment

ABSORB = {ARTERY: (0.17, 0.50, 0.36), VEIN: (0.36, 0.72, 0.46)}
"""Optical density (natural) of a thick vessel in red, green and blue."""


@dataclass(frozen=True)
class Eye:
    """Where things lie in a picture, in pixels (y, x): disc with radius, fovea, field of view with radius."""

    disc: tuple[float, float, float]
    fovea: tuple[float, float]
    field: tuple[float, float, float]

    @property
    def scale(self) -> float:
        """Pixels per reference pixel."""
        return self.field[2] / FIELD


def field_of_view(eye: Eye, shape: tuple[int, int]) -> NDArray[np.bool_]:
    """Pixels whose centre is inside the field of view."""
    return _distance(shape, eye.field[0], eye.field[1]) < eye.field[2]


def render(
    rng: np.random.Generator, segments: Sequence[Segment], eye: Eye, shape: tuple[int, int]
) -> NDArray[np.uint8]:
    """Draw the picture.

    Parameters
    ----------
    rng : numpy.random.Generator
        Colours, texture and camera come from it.
    segments : sequence of Segment
        In pixels of the picture.
    eye : Eye
        Where things lie.
    shape : tuple of int
        (height, width).

    Returns
    -------
    array (height, width, 3) of uint8
        RGB; 0.2 s for 584x565.
    """
    light = _background(rng, eye, shape)
    light = _macula(rng, light, eye)
    light = _disc(rng, light, eye)
    light = _specks(rng, light, eye)
    light = _vessels(rng, light, segments, eye)
    return _camera(rng, light, eye)


def noise(rng: np.random.Generator, shape: tuple[int, int], size: float, stretch: float = 1.0) -> Map:
    """Smooth noise with features of `size` px (`stretch` times that along x), standard deviation about 1."""
    cells = max(3, round(shape[0] / size) + 2), max(3, round(shape[1] / (size * stretch)) + 2)
    coarse = rng.standard_normal(cells).astype(np.float32)
    return np.asarray(cv2.resize(coarse, (shape[1], shape[0]), interpolation=cv2.INTER_CUBIC), np.float32) * 1.25


def _distance(shape: tuple[int, int], y: float, x: float, squeeze: float = 1.0) -> Map:
    rows, columns = np.ogrid[: shape[0], : shape[1]]
    return np.hypot(rows - y, (columns - x) * squeeze).astype(np.float32)


def _background(rng: np.random.Generator, eye: Eye, shape: tuple[int, int]) -> Map:
    red = rng.uniform(135, 245)
    green = red * rng.uniform(0.40, 0.66)
    base = np.array([red, green, green * rng.uniform(0.42, 0.75)], np.float32)
    s = eye.scale
    pigment = 0.05 * noise(rng, shape, 130 * s) + 0.03 * noise(rng, shape, 45 * s) + 0.018 * noise(rng, shape, 14 * s)
    grain = 0.02 * noise(rng, shape, 4.5 * s) + 0.015 * noise(rng, shape, 2.2 * s)
    wide = np.exp(-np.square(noise(rng, shape, 26 * s, rng.uniform(0.5, 2.0)) / 0.35)).astype(np.float32)
    patchy = np.clip(0.5 + 0.6 * noise(rng, shape, 150 * s), 0, 1)
    choroid = rng.gamma(1.6, 0.05) * (wide - 0.4) * patchy
    hue = 0.05 * noise(rng, shape, 160 * s)
    share = np.stack([pigment + choroid + hue, pigment + 0.55 * choroid, pigment + 0.4 * choroid - hue], -1)
    return np.asarray(base * (1 + share * rng.uniform(0.7, 1.4) + grain[..., None]), np.float32)


def _macula(rng: np.random.Generator, light: Map, eye: Eye) -> Map:
    near = _distance(light.shape[:2], *eye.fovea) / eye.scale
    depth = rng.uniform(0.16, 0.34) * np.exp(-np.square(near / rng.uniform(26, 38)))
    depth = depth + rng.uniform(0.05, 0.16) * np.exp(-np.square(near / rng.uniform(65, 100)))
    darker = light * (1 - depth[..., None] * np.array([0.75, 1.0, 0.85], np.float32))
    if rng.random() < 0.35:
        darker = darker * (1 + 0.5 * np.exp(-np.square(near / 2.2)))[..., None]
    return np.asarray(darker, np.float32)


def _disc(rng: np.random.Generator, light: Map, eye: Eye) -> Map:
    y, x, radius = eye.disc
    shape, side = light.shape[:2], np.sign(eye.fovea[1] - x)
    edge = 1.0 + 0.03 * noise(rng, shape, radius * 0.7)
    near = _distance(shape, y, x, rng.uniform(1.0, 1.12)) / radius * edge
    inside = _soft(near, 1.0, 0.05)
    halo = rng.uniform(0.05, 0.25) * np.exp(-np.square(near / 2.0))
    light = np.asarray(light * (1 + halo[..., None]), np.float32)
    bright = np.minimum(light[inside > 0.5].mean(0) * rng.uniform(1.22, 1.5), 252) if (inside > 0.5).any() else 220.0
    tint = np.array([1.0, rng.uniform(0.76, 0.90), rng.uniform(0.36, 0.55)], np.float32)
    colour = np.max(bright) * tint
    cup = _soft(_distance(shape, y, x + side * radius * 0.12) / radius, rng.uniform(0.35, 0.6), 0.08)
    disc = colour * (1 + 0.22 * cup[..., None] * np.array([0.4, 0.8, 1.4], np.float32))
    light = np.asarray(light * (1 - inside[..., None]) + disc * inside[..., None], np.float32)
    if rng.random() < 0.4:
        ring = _soft(np.abs(near - 1.08), 0.06, 0.04) * (_columns(shape) * side > x * side)
        light = np.asarray(light * (1 + rng.uniform(0.1, 0.35) * ring[..., None]), np.float32)
    return np.asarray(light, np.float32)


def _columns(shape: tuple[int, int]) -> Map:
    return np.arange(shape[1], dtype=np.float32)[None]


def _soft(value: Map, border: float, width: float) -> Map:
    """1 below a border, 0 above, smooth over `width`."""
    return np.asarray(1 / (1 + np.exp(np.clip((value - border) / width, -30, 30) * 2.2)), np.float32)


def _specks(rng: np.random.Generator, light: Map, eye: Eye) -> Map:
    """Drusen and small bleedings in some pictures, the sheen of nerve fibres in others."""
    shape, s = light.shape[:2], eye.scale
    if rng.random() < 0.35:
        bright, dark = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
        for target, count in ((bright, rng.integers(3, 30)), (dark, rng.integers(0, 12))):
            for y, x in rng.normal(0, 95, (int(count), 2)) * s + np.array(eye.fovea):
                cv2.circle(target, (round(x), round(y)), round(float(rng.uniform(0.8, 3.0)) * s), 1.0, -1)
        bright, dark = (cv2.GaussianBlur(part, (0, 0), 0.9 * s) for part in (bright, dark))
        light = light * (1 + 0.25 * bright[..., None]) * (1 - np.array([0.2, 0.5, 0.4]) * 0.6 * dark[..., None])
    if rng.random() < 0.5:
        near = _distance(shape, eye.disc[0], eye.disc[1]) / eye.disc[2]
        sheen = np.exp(-np.square((near - 2.4) / 1.3)) * np.clip(noise(rng, shape, 5 * s, 6.0), -1, 2)
        light = light + rng.uniform(2, 9) * sheen[..., None] * np.array([0.5, 1.0, 0.8])
    return np.asarray(light, np.float32)


def _vessels(rng: np.random.Generator, light: Map, segments: Sequence[Segment], eye: Eye) -> Map:
    """Light that passes the vessels; where they cross the artery hides most of the vein."""
    shape, s = light.shape[:2], eye.scale
    contrast = rng.uniform(0.75, 1.2)

    def strength(calibre: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.clip(0.52 + 0.48 * (calibre / s - 1.0) / 4.0, 0.4, 1.0)

    arteries, veins = ([part for part in segments if part.kind == kind] for kind in (ARTERY, VEIN))
    artery, vein = coverage(arteries, shape, strength=strength), coverage(veins, shape, strength=strength)
    vein = vein * (1 - 0.75 * (artery > 0.3))
    shadow = cv2.GaussianBlur(np.maximum(artery, vein), (0, 0), 2.2 * s) * 0.10
    density = sum(
        cv2.GaussianBlur(part, (0, 0), 0.55 * max(s, 0.8))[..., None] * np.array(ABSORB[kind], np.float32)
        for kind, part in ((ARTERY, artery), (VEIN, vein))
    )
    light = light * np.exp(-contrast * (density + shadow[..., None]))
    wide = [part for part in arteries if part.calibre.mean() > 2.6 * s]
    wide_veins = [part for part in veins if part.calibre.mean() > 5.0 * s]
    reflex = coverage(wide, shape, width=0.28) + 0.4 * coverage(wide_veins, shape, width=0.22)
    reflex = cv2.GaussianBlur(reflex, (0, 0), 0.5 * s)
    return np.asarray(light * (1 + rng.uniform(0.10, 0.40) * reflex[..., None]), np.float32)


def _camera(rng: np.random.Generator, light: Map, eye: Eye) -> NDArray[np.uint8]:
    shape, (y, x, radius) = light.shape[:2], eye.field
    angle, off = rng.uniform(0, 2 * np.pi), rng.uniform(0.0, 0.35) * radius
    far = _distance(shape, y + off * np.sin(angle), x + off * np.cos(angle)) / radius
    fall = 1 - rng.uniform(0.12, 0.42) * np.clip(far, 0, 1.5) ** rng.uniform(2.0, 3.5)
    light = light * fall[..., None]
    tint = np.clip(far - 0.75, 0, 1)[..., None] * np.array([-0.15, 0.28, 0.22], np.float32)
    light = light * (1 + rng.uniform(0.0, 1.0) * tint)
    light = cv2.GaussianBlur(light, (0, 0), rng.uniform(0.35, 0.8) * max(eye.scale, 0.6))
    border = _soft(_distance(shape, y, x), radius, 0.7 * max(eye.scale, 0.7))
    black = rng.uniform(1, 9, 3).astype(np.float32)
    light = light * border[..., None] + black * (1 - border[..., None])
    light = light + rng.normal(0, rng.uniform(0.8, 2.6), light.shape).astype(np.float32) * (
        0.3 + 0.7 * border[..., None]
    )
    return np.asarray(np.clip(light + 0.5, 0, 255), np.uint8)
