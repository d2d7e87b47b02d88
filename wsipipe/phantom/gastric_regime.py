"""Looks of made gastric slides: which laboratory stained them and which scanner read them.

Enters: the name of a regime and a random generator. Leaves: a `Look`, every number that turns stain
concentrations into the pixels of one slide. Next room: `wsipipe.phantom.gastric_render`.

A *regime* is a set of laboratories and scanners. A laboratory is a point in the space of (tone of
haematoxylin, tone of eosin, strength of each); a slide of it lies within `JITTER` of that point. Points of
different regimes are further apart than two such boxes, so no slide of `test` could have come from a
laboratory of `train`; the same holds for the scanners' mpp. A test proves it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wsipipe.errors import UsageError

JITTER = (0.035, 0.035, 0.05, 0.05)
"""Half widths of a laboratory's box: tone of H, tone of E, strength of H, strength of E."""
MPP_JITTER = 0.002
"""Half width of a scanner's mpp, relative."""


@dataclass(frozen=True, slots=True)
class Lab:
    """A staining laboratory: tones from 0 (bluish H, magenta E) to 1 (purple H, orange E), strengths about 1."""

    h_tone: float
    e_tone: float
    h_gain: float
    e_gain: float

    def point(self) -> tuple[float, float, float, float]:
        """The four numbers that `JITTER` belongs to."""
        return self.h_tone, self.e_tone, self.h_gain, self.e_gain


@dataclass(frozen=True, slots=True)
class Scanner:
    """A scanner: level-0 mpp, point spread in micrometres (sigma), sharpening, JPEG quality, colour of clear glass."""

    mpp: float
    psf_um: float
    sharpen: float
    quality: int
    white: tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Regime:
    """Laboratories and scanners that belong together, and the number that separates its random streams."""

    name: str
    salt: int
    labs: tuple[Lab, ...]
    scanners: tuple[Scanner, ...]


@dataclass(frozen=True, slots=True)
class Look:
    """How one slide looks. Optical density of a pixel is ``h * h_od + e * e_od``, light is ``white * 10**-od``."""

    h_od: tuple[float, float, float]
    e_od: tuple[float, float, float]
    white: tuple[float, float, float]
    thickness: float
    unevenness: float
    psf_um: float
    sharpen: float
    noise: float
    quality: int
    mpp: float
    shading: tuple[float, float]


_TRAIN = Regime(
    "train",
    1,
    labs=(
        Lab(0.10, 0.15, 1.00, 0.95),
        Lab(0.10, 0.75, 0.85, 1.15),
        Lab(0.30, 0.45, 1.20, 1.00),
        Lab(0.35, 0.95, 1.05, 0.80),
        Lab(0.50, 0.10, 0.85, 1.20),
        Lab(0.55, 0.60, 1.00, 1.00),
        Lab(0.75, 0.30, 1.15, 0.85),
        Lab(0.75, 0.85, 0.80, 0.90),
        Lab(0.95, 0.50, 1.00, 1.20),
        Lab(0.95, 0.10, 0.75, 0.80),
        Lab(0.95, 0.95, 1.25, 1.10),
        Lab(0.20, 0.25, 1.25, 1.25),
    ),
    scanners=(
        Scanner(0.500, 0.35, 0.0, 80, (243, 243, 243)),
        Scanner(0.500, 0.50, 0.4, 60, (247, 244, 248)),
        Scanner(0.460, 0.30, 0.0, 90, (238, 240, 238)),
        Scanner(0.400, 0.45, 0.6, 70, (250, 248, 244)),
        Scanner(0.262, 0.40, 0.2, 85, (244, 246, 249)),
    ),
)
_VAL = Regime(
    "val",
    2,
    labs=(
        Lab(0.20, 0.60, 1.05, 1.05),
        Lab(0.42, 0.25, 1.00, 0.90),
        Lab(0.65, 0.45, 0.95, 1.10),
        Lab(0.85, 0.70, 1.10, 0.95),
    ),
    scanners=(
        Scanner(0.490, 0.38, 0.2, 75, (244, 243, 240)),
        Scanner(0.430, 0.32, 0.3, 85, (246, 247, 247)),
        Scanner(0.274, 0.45, 0.0, 80, (240, 239, 243)),
    ),
)
_TEST = Regime(
    "test",
    3,
    labs=(
        Lab(0.20, 0.40, 0.95, 1.00),
        Lab(0.40, 0.70, 1.10, 1.15),
        Lab(0.62, 0.22, 1.05, 1.00),
        Lab(0.85, 0.40, 0.90, 1.05),
        Lab(0.65, 0.75, 1.15, 0.90),
    ),
    scanners=(
        Scanner(0.495, 0.40, 0.1, 75, (242, 243, 245)),
        Scanner(0.452, 0.35, 0.5, 70, (248, 246, 242)),
        Scanner(0.253, 0.42, 0.1, 82, (244, 244, 241)),
    ),
)
_SHIFTED = Regime(
    "shifted",
    4,
    labs=(Lab(-0.45, 1.40, 0.70, 1.35), Lab(1.45, -0.25, 1.35, 0.65), Lab(1.50, 1.50, 0.65, 1.45)),
    scanners=(
        Scanner(0.480, 0.55, 0.0, 55, (250, 240, 228)),
        Scanner(0.440, 0.30, 0.9, 65, (228, 236, 250)),
        Scanner(0.268, 0.60, 0.0, 60, (236, 236, 226)),
    ),
)
REGIMES = {regime.name: regime for regime in (_TRAIN, _VAL, _TEST, _SHIFTED)}
"""``train``, ``val``, ``test`` (other laboratories in the same range) and ``shifted`` (far outside it)."""


def regime_of(name: str) -> Regime:
    """The regime of that name.

    Raises
    ------
    UsageError
        Where there is none.
    """
    if name not in REGIMES:
        raise UsageError(f"choosing a phantom regime: it is one of {', '.join(REGIMES)}, got {name!r}")
    return REGIMES[name]


def draw_look(regime: Regime, rng: np.random.Generator) -> Look:
    """A slide of one of the regime's laboratories, read by one of its scanners."""
    lab = regime.labs[int(rng.integers(len(regime.labs)))]
    scanner = regime.scanners[int(rng.integers(len(regime.scanners)))]
    spot = np.array(lab.point()) + rng.uniform(-1, 1, 4) * np.array(JITTER)
    white = np.clip(np.array(scanner.white) + rng.normal(0, 1.5, 3), 200, 254)
    shade = rng.uniform(-0.025, 0.025, 2)
    return Look(
        h_od=_triple(haematoxylin(spot[0]) * spot[2]),
        e_od=_triple(eosin(spot[1]) * spot[3]),
        white=_triple(white),
        thickness=float(rng.uniform(0.70, 1.05)),
        unevenness=float(rng.uniform(0.02, 0.10)),
        psf_um=float(scanner.psf_um * rng.uniform(0.85, 1.2)),
        sharpen=scanner.sharpen,
        noise=float(rng.uniform(0.6, 2.0)),
        quality=int(scanner.quality + rng.integers(-4, 5)),
        mpp=round(float(scanner.mpp * (1 + rng.uniform(-MPP_JITTER, MPP_JITTER))), 5),
        shading=(float(shade[0]), float(shade[1])),
    )


def haematoxylin(tone: float) -> NDArray[np.float64]:
    """Unit optical-density vector (R, G, B) of haematoxylin: tone 0 is blue, 1 purple (Macenko's range)."""
    return _unit(np.array([0.70 - 0.16 * tone, 0.66 + 0.08 * tone, 0.26 + 0.14 * tone]))


def eosin(tone: float) -> NDArray[np.float64]:
    """Unit optical-density vector (R, G, B) of eosin: tone 0 is magenta, 1 orange-red."""
    return _unit(np.array([0.22 - 0.12 * tone, 0.92 - 0.08 * tone, 0.30 + 0.24 * tone]))


def _unit(vector: NDArray[np.float64]) -> NDArray[np.float64]:
    return vector / np.linalg.norm(vector)


def _triple(values: NDArray[np.float64]) -> tuple[float, float, float]:
    return float(values[0]), float(values[1]), float(values[2])
