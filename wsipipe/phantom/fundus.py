"""Made fundus pictures with exact trees of arteries and veins.

Enters: seeds. Leaves: `Fundus`, or a folder of pictures in the form of public data sets (``images/``,
``1st_manual/``, ``mask/``). Next rooms: `wsipipe.train` pre-trains on them, `wsipipe.vessel`'s tests measure them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wsipipe.errors import UsageError
from wsipipe.phantom.fundus_paint import label
from wsipipe.phantom.fundus_render import Eye, field_of_view, render
from wsipipe.phantom.fundus_tree import Anatomy, Segment, anatomy, grow

SIZE = (584, 565)
"""Height and width of DRIVE's pictures."""
VERSION = "1"
"""Of the generator: another version draws other pictures from the same seed."""
MICRONS = 24.0
"""Micrometres on the retina per reference pixel: a disc of 76 px is 1.8 mm across."""


@dataclass(frozen=True)
class Fundus:
    """A made fundus picture and its truth.

    Attributes
    ----------
    picture : array (height, width, 3) of uint8
        RGB.
    label : array (height, width) of uint8
        0 background, 1 artery, 2 vein, 3 both; 0 outside the field of view.
    field : array (height, width) of bool
        Field of view.
    disc : tuple of float
        (y, x, radius) in px.
    fovea : tuple of float
        (y, x) in px; may lie outside a picture that is cut.
    tree : tuple of Segment
        Centre lines, calibres, classes and parents in px, also of what lies outside the field.
    laterality : str
        "right" (the disc is on the right) or "left".
    mpp : float
        Micrometres on the retina per px.
    seed : int
    """

    picture: NDArray[np.uint8]
    label: NDArray[np.uint8]
    field: NDArray[np.bool_]
    disc: tuple[float, float, float]
    fovea: tuple[float, float]
    tree: tuple[Segment, ...]
    laterality: str
    mpp: float
    seed: int


def make_fundus(seed: int, *, size: tuple[int, int] = SIZE, laterality: str | None = None) -> Fundus:
    """Make a fundus picture.

    Parameters
    ----------
    seed : int
        Same seed, size and laterality: same bytes.
    size : tuple of int
        (height, width), each at least 64. The field of view is 0.95 of the width across, and cut where the height
        is smaller.
    laterality : str, optional
        "left" or "right"; drawn where not given.

    Returns
    -------
    Fundus
        0.3 s for 584x565; 9 s for 2336x3504.

    Raises
    ------
    UsageError
        Where the size or the laterality is not one of these.
    """
    rng = np.random.default_rng([seed, 0xF0D05])
    drawn = "right" if rng.random() < 0.5 else "left"
    side = laterality or drawn
    if side not in ("left", "right") or min(size) < 64:
        raise UsageError(
            f"making a fundus picture: expected a height and width of at least 64 and laterality left or right, "
            f"got {size} and {side!r}"
        )
    place = anatomy(rng)
    tree = grow(rng, place)
    radius = 0.475 * min(size[1], 1.5 * size[0])
    middle = (size[0] - 1) / 2 + rng.normal(0, 0.008) * radius, (size[1] - 1) / 2 + rng.normal(0, 0.005) * radius
    eye, scaled = _in_pixels(place, tree, (float(middle[0]), float(middle[1]), radius), side)
    field = field_of_view(eye, size)
    truth = np.where(field, label(scaled, size), 0).astype(np.uint8)
    picture = render(rng, scaled, eye, size)
    return Fundus(picture, truth, field, eye.disc, eye.fovea, tuple(scaled), side, MICRONS / eye.scale, seed)


def _in_pixels(
    place: Anatomy, tree: list[Segment], field: tuple[float, float, float], side: str
) -> tuple[Eye, list[Segment]]:
    """Reference pixels to those of the picture; x is mirrored where the disc is on the right."""
    scale = field[2] / 268.0
    turn = np.array([1.0, -1.0 if side == "right" else 1.0]) * scale
    origin = np.array(field[:2]) - np.array(place.centre) * turn

    def move(yx: tuple[float, float]) -> tuple[float, float]:
        moved = origin + np.array(yx) * turn
        return float(moved[0]), float(moved[1])

    eye = Eye((*move((0.0, 0.0)), place.disc_radius * scale), move(place.fovea), field)
    return eye, [replace(part, points=origin + part.points * turn, calibre=part.calibre * scale) for part in tree]


def write_fundus(out: str | Path, pictures: int, seed: int = 0, *, size: tuple[int, int] = SIZE) -> Path:
    """Write pictures in the folder form of DRIVE: ``images/``, ``1st_manual/``, ``mask/``, all PNG.

    Parameters
    ----------
    out : path
        Made if missing.
    pictures : int
        How many; picture i has seed ``seed * 100_000 + i``.
    seed : int
    size : tuple of int
        (height, width).

    Returns
    -------
    path
        ``fundus.csv``: wsi, mpp (micrometres on the retina per px), laterality, disc: a list for
        ``wsipipe run retina``.
        The rest of the truth of each picture is beside it: ``truth/NAME.json``.
    """
    import json

    from PIL import Image

    out = Path(out)
    for part in ("images", "1st_manual", "mask", "truth"):
        (out / part).mkdir(parents=True, exist_ok=True)
    rows = ["wsi,mpp,laterality,disc_y,disc_x,disc_radius"]
    for index in range(pictures):
        made, name = make_fundus(seed * 100_000 + index, size=size), f"made_{seed}_{index:04d}"
        Image.fromarray(made.picture).save(out / "images" / f"{name}.png")
        Image.fromarray(made.label).save(out / "1st_manual" / f"{name}.png")
        Image.fromarray(made.field.astype(np.uint8) * 255).save(out / "mask" / f"{name}.png")
        (out / "truth" / f"{name}.json").write_text(json.dumps(_record(made)) + "\n", encoding="utf-8")
        places = ",".join(f"{value:.2f}" for value in made.disc)
        rows.append(f"images/{name}.png,{made.mpp:.4f},{made.laterality},{places}")
    listed = out / "fundus.csv"
    listed.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return listed


def _record(made: Fundus) -> dict[str, Any]:
    tree = [
        {
            "kind": "artery" if part.kind == 1 else "vein",
            "parent": part.parent,
            "points_yx": np.round(part.points, 2).tolist(),
            "calibre_px": np.round(part.calibre, 3).tolist(),
            "tortuosity": round(part.tortuosity, 5),
        }
        for part in made.tree
    ]
    return {
        "version": VERSION, "seed": made.seed, "mpp": made.mpp, "laterality": made.laterality, "disc": made.disc,
        "fovea": made.fovea, "tree": tree,
    }  # fmt: skip


def contact_sheet(seed: int = 0, *, pictures: int = 6) -> NDArray[np.uint8]:
    """Pictures over their labels (arteries red, veins blue, crossings green), three in a row, to be looked at."""
    colour = np.array([[0, 0, 0], [255, 60, 60], [70, 90, 255], [90, 255, 90]], np.uint8)
    made = [make_fundus(seed * 100_000 + index) for index in range(pictures)]
    cells = [np.concatenate([one.picture, colour[one.label]], 0) for one in made]
    blank = np.zeros_like(cells[0])
    cells += [blank] * (-len(cells) % 3)
    return np.concatenate([np.concatenate(cells[at : at + 3], 1) for at in range(0, len(cells), 3)], 0)
