"""What each kind of epithelium looks like: the histology that separates the four categories, as numbers.

Enters: a random generator for the slide's own variation. Leaves: `Style` values. Next room:
`wsipipe.phantom.gastric_epithelium`.

What separates the categories (and what deliberately does not): *negative* has one row of small nuclei at the
basement membrane, whatever the packing of its glands, which may be crowded (oxyntic), long (hyperplastic pits),
enlarged and dark (regenerative), sparse in scar (atrophic) or goblet-celled (metaplastic); *low grade* has two
or three rows of pencil-shaped upright nuclei in the lower half; *high grade* has large round nuclei at every
height and angle, in branching and cribriform glands; *invasive* has nests, cords and single cells in reactive stroma.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from wsipipe.phantom.gastric_sprite import Kind

CATEGORIES = ("negative", "low_grade", "high_grade", "invasive")
"""Names in the order of their codes 0 to 3."""
Colour = tuple[int, int, int]
"""Eosin and haematoxylin in hundredths of a concentration of 1, and the weight of the fibre texture (0 to 255)."""


@dataclass(frozen=True, slots=True)
class Style:
    """One kind of epithelium. Lengths in micrometres; depths relative, 0 the basement membrane, 1 the lumen.

    Parameters
    ----------
    category : int
        0 to 3.
    width, height : (low, high)
        Half width of a tube and height of its epithelium.
    pitch : float
        Distance between neighbouring nuclei of one row.
    rows : tuple of float
        Depth of each row of nuclei.
    scatter : float
        Deviation of the depth within a row.
    kinds : tuple of Kind
        Drawn from with equal weight.
    size, spread : float
        Mean relative size of nuclei and its deviation.
    upright : float
        Share of nuclei whose long axis points to the lumen; the others lie at any angle.
    base, apex, lumen : Colour
        Of the cytoplasm near the basement membrane and near the lumen, and of what fills the lumen.
    goblets : float
        Share of cells that carry a mucin drop.
    rough : float
        Waviness of the gland's outline.
    tone : float
        Mean darkness of the nuclei, 0 to 1.
    clumped : float
        Share of nuclei that are mitoses or apoptotic bodies.
    """

    category: int
    width: tuple[float, float]
    height: tuple[float, float]
    pitch: float
    rows: tuple[float, ...]
    scatter: float
    kinds: tuple[Kind, ...]
    size: float
    spread: float
    upright: float
    base: Colour
    apex: Colour
    lumen: Colour
    goblets: float = 0.0
    rough: float = 0.05
    tone: float = 0.5
    clumped: float = 0.002


CLEAR: Colour = (2, 1, 0)
MUCUS: Colour = (5, 4, 40)

STYLES: dict[str, Style] = {
    "pit": Style(
        category=0, width=(23, 30), height=(19, 25),
        pitch=5.8, rows=(0.2,), scatter=0.04,
        kinds=(Kind.BASAL,),
        size=0.95, spread=0.08, upright=0.9,
        base=(40, 16, 0), apex=(17, 8, 0), lumen=MUCUS,
    ),
    "antral": Style(
        category=0, width=(18, 25), height=(13, 18),
        pitch=6.5, rows=(0.2,), scatter=0.05,
        kinds=(Kind.BASAL, Kind.ROUND),
        size=0.88, spread=0.09, upright=0.2,
        base=(30, 14, 0), apex=(16, 8, 0), lumen=CLEAR,
    ),
    "oxyntic": Style(
        category=0, width=(16, 21), height=(14, 18),
        pitch=7.6, rows=(0.36,), scatter=0.09,
        kinds=(Kind.ROUND,),
        size=0.95, spread=0.09, upright=0.2,
        base=(58, 16, 0), apex=(50, 12, 0), lumen=CLEAR,
    ),
    "metaplastic": Style(
        category=0, width=(22, 30), height=(18, 23),
        pitch=5.8, rows=(0.22,), scatter=0.05,
        kinds=(Kind.BASAL,),
        size=1.05, spread=0.09, upright=0.9,
        base=(42, 20, 0), apex=(34, 12, 0), lumen=MUCUS,
        goblets=0.28,
    ),
    "regenerative": Style(
        category=0, width=(20, 29), height=(15, 20),
        pitch=6.0, rows=(0.26,), scatter=0.06,
        kinds=(Kind.BASAL, Kind.BASAL, Kind.VESICULAR),
        size=1.05, spread=0.14, upright=0.8,
        base=(42, 26, 0), apex=(36, 18, 0), lumen=CLEAR,
        clumped=0.01,
    ),
    "low_grade": Style(
        category=1, width=(23, 31), height=(21, 27),
        pitch=5.4, rows=(0.18, 0.4), scatter=0.06,
        kinds=(Kind.PENCIL,),
        size=0.92, spread=0.12, upright=1.0,
        base=(42, 24, 0), apex=(36, 15, 0), lumen=CLEAR,
        goblets=0.02, clumped=0.01,
    ),
    "high_grade": Style(
        category=2, width=(28, 40), height=(24, 32),
        pitch=10.4, rows=(0.14, 0.42, 0.68, 0.92), scatter=0.1,
        kinds=(Kind.VESICULAR, Kind.VESICULAR, Kind.BIZARRE),
        size=0.88, spread=0.14, upright=0.15,
        base=(40, 22, 0), apex=(36, 17, 0), lumen=CLEAR,
        rough=0.1, clumped=0.025,
    ),
    "tumour": Style(
        category=3, width=(12, 22), height=(12, 20),
        pitch=10.4, rows=(0.25, 0.7), scatter=0.16,
        kinds=(Kind.BIZARRE, Kind.VESICULAR),
        size=0.92, spread=0.18, upright=0.1,
        base=(42, 20, 0), apex=(38, 17, 0), lumen=CLEAR,
        rough=0.2, clumped=0.025,
    ),
}  # fmt: skip
"""By name; `of_slide` gives a slide's own variants of them."""


def of_slide(rng: np.random.Generator) -> dict[str, Style]:
    """The styles of one slide: nuclear size and darkness, cytoplasm and mucin differ between patients.

    Each kind of epithelium varies by itself, so a lesion may be darker or paler than the glands beside it.
    """
    size = float(np.clip(rng.normal(1.0, 0.06), 0.88, 1.14))
    return {name: _varied(style, size, rng) for name, style in STYLES.items()}


def _varied(style: Style, size: float, rng: np.random.Generator) -> Style:
    eosin, blue, mucin = rng.uniform(0.80, 1.2), rng.uniform(0.65, 1.45), rng.uniform(0.7, 1.35)
    base = int(style.base[0] * eosin), int(style.base[1] * blue), 0
    apex = int(style.apex[0] * eosin * mucin), int(style.apex[1] * blue), 0
    return replace(style, size=style.size * size, base=base, apex=apex, tone=float(rng.uniform(0.2, 0.8)))
