"""Stages of the retinal pipeline around the network: field of view and grade, which tiles count, colours, windows.

Enters: the overview (field), tiles (lit, darkened, alike, window). Leaves: rows per tile. Next: `wsipipe.report.fundus`
splices and measures.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wsipipe.errors import ConfigError
from wsipipe.stage import INSIDE, OVERVIEW, RGB, Batch, Ref, Spec, Stage
from wsipipe.vessel import colour, field_of_view, quality

METHODS = ("auto", "whole")
GRADES = (quality.REFUSED, quality.USABLE, quality.GOOD)

CIRCLE = Spec("field_circle", (3,), "float32", "px", "slide", about="y, x and radius of the field of view in pixels of "
              "the overview; NaN where there is none")  # fmt: skip
LIT = Spec("field_threshold", (1,), "float32", "grey", "slide", about="largest channel above which a pixel is lit")
VALUES = Spec("grade_value", (len(quality.CHECKS),), "float32", "1", "slide", about=f"{', '.join(quality.CHECKS)}")
GRADE = Spec("grade", (1,), "uint8", "1", "slide", about="0 refused, 1 usable, 2 good")
COLOUR = Spec("field_colour", (2, 3), "float32", "1", "slide", about="mean and standard deviation of red, green and "
              "blue inside the field of view, shares of white")  # fmt: skip
WINDOW = "vessel_window"


def fitted(*, method: str = "auto") -> Stage:
    """Stage that finds the field of view on the overview and grades the picture.

    Parameters
    ----------
    method : {"auto", "whole"}
        Look for the field, or take the whole picture.

    Returns
    -------
    Stage
        Input ``overview``. Outputs ``field_circle`` (3,), ``field_threshold`` (1,), ``field_colour`` (2, 3),
        ``grade_value`` (7,), ``grade`` (1,): 0 refused, 1 usable, 2 good.

    Raises
    ------
    ConfigError
        For another method.
    """
    if method not in METHODS:
        raise ConfigError(f"is auto or whole, got {method!r}: correct it", subject="field.method")
    ref = Ref("wsipipe.vessel.stage:fitted", {"method": method})
    return Stage(ref, "field", 2, (OVERVIEW,), (CIRCLE, LIT, COLOUR, VALUES, GRADE), partial(_fitted, method))


def lit(*, refused: bool = False) -> Stage:
    """Stage that says how much of a tile is lit: tiles with any light are worked on.

    Parameters
    ----------
    refused : bool
        Whether refused pictures are worked on, too.

    Returns
    -------
    Stage
        Inputs ``rgb``, ``inside``, ``field_threshold``, ``grade``. Output ``field_share`` (N,) float32, 0 to 1.
    """
    ref = Ref("wsipipe.vessel.stage:lit", {"refused": refused})
    outputs = (Spec("field_share", about="lit pixels over the tile's pixels inside the plane, 0 to 1"),)
    return Stage(ref, "lit", 1, (RGB, INSIDE, LIT, GRADE), outputs, partial(_lit, refused))


def darkened() -> Stage:
    """Stage that makes black what a tile shows of outside the plane: slides fill it with white, cameras with black.

    Returns
    -------
    Stage
        Input and output ``rgb``; rows and columns at the tile's border that are pure white throughout become black.
    """
    return Stage(Ref("wsipipe.vessel.stage:darkened", {}), "darkened", 1, (RGB,), (RGB,), _darkened)


def alike(*, mean: colour.Levels = colour.MEAN, std: colour.Levels = colour.STD) -> Stage:
    """Stage that gives pictures of all cameras the same colours: see `wsipipe.vessel.colour`.

    Parameters
    ----------
    mean, std : three floats
        Of red, green and blue inside the field of view, shares of white, to be reached.

    Returns
    -------
    Stage
        Inputs ``rgb``, ``field_threshold``, ``field_colour``. Output ``rgb``; pixels that are not lit stay.
    """
    ref = Ref("wsipipe.vessel.stage:alike", {"mean": list(mean), "std": list(std)})
    return Stage(ref, "alike", 1, (RGB, LIT, COLOUR), (RGB,), partial(_alike, mean, std))


def window(*, tile: int, halo: int, enhanced: bool = False) -> Stage:
    """Stage that keeps the network's windows whole, halo included, to be spliced.

    Parameters
    ----------
    tile, halo : int
        Working pixels.
    enhanced : bool
        Also crop the enhanced picture to the tile.

    Returns
    -------
    Stage
        Input ``vessel`` (3, side, side). Output ``vessel_window`` (3, tile + 2 halo, tile + 2 halo) float32, a row;
        with `enhanced` the input ``enhanced`` and the picture ``restored``.
    """
    side = tile + 2 * halo
    ref = Ref("wsipipe.vessel.stage:window", {"tile": tile, "halo": halo, "enhanced": enhanced})
    inputs = [Spec("vessel", (3, None, None))]
    outputs = [Spec(WINDOW, (3, side, side), about="artery, vein, all vessels, 0 to 1, with the halo")]
    if enhanced:
        inputs.append(Spec("enhanced", (None, None, 3), "uint8"))
        outputs.append(Spec("restored", (None, None, 3), "uint8", "grey", scale=1, about="the enhanced picture"))
    return Stage(ref, "window", 1, tuple(inputs), tuple(outputs), partial(_window, halo), halo=halo)


def _fitted(method: str, *, overview: NDArray[np.uint8]) -> Batch:
    field = field_of_view.whole(overview) if method == "whole" else field_of_view.find(overview)
    grade = quality.graded(overview, field)
    return {
        "field_circle": np.array([*field.centre, field.radius], np.float32),
        "field_threshold": np.array([field.threshold], np.float32),
        "field_colour": colour.statistics(overview, field.mask),
        "grade_value": np.array([grade.values[name] for name in quality.CHECKS], np.float32),
        "grade": np.array([GRADES.index(grade.grade)], np.uint8),
    }


def _lit(
    refused: bool, *, rgb: NDArray[np.uint8], inside: NDArray[np.int32], field_threshold: NDArray[np.float32],
    grade: NDArray[np.uint8],
) -> Batch:  # fmt: skip
    shares = np.zeros(len(rgb), np.float32)
    if grade[0] > 0 or refused:
        for index, (pixels, (height, width)) in enumerate(zip(rgb, inside.tolist(), strict=True)):
            shares[index] = colour.lit(pixels[:height, :width], float(field_threshold[0])).mean()
    return {"field_share": shares}


def _darkened(*, rgb: NDArray[np.uint8]) -> Batch:
    made = rgb.copy()
    for pixels in made:
        white = (pixels == 255).all(axis=2)
        for view, full in ((pixels, white.all(axis=1)), (pixels.swapaxes(0, 1), white.all(axis=0))):
            if full.all():
                continue
            first, last = int(full.argmin()), len(full) - int(full[::-1].argmin())
            view[:first] = 0
            view[last:] = 0
    return {"rgb": made}


def _alike(
    mean: colour.Levels, std: colour.Levels, *, rgb: NDArray[np.uint8], field_threshold: NDArray[np.float32],
    field_colour: NDArray[np.float32],
) -> Batch:  # fmt: skip
    made = np.empty_like(rgb)
    for row, pixels in enumerate(rgb):
        lit = colour.lit(pixels, float(field_threshold[0]))
        made[row] = colour.standardised(pixels, lit, field_colour, mean, std)
    return {"rgb": made}


def _window(halo: int, *, vessel: NDArray[np.float32], **pictures: NDArray[Any]) -> Batch:
    made: Batch = {WINDOW: vessel}
    if "enhanced" in pictures:
        made["restored"] = pictures["enhanced"][:, halo : -halo or None, halo : -halo or None]
    return made
