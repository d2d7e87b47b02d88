"""Microscope fields: where they lie, a mosaic of them, and what another pipeline finds in it (CN 111462010 A).

fields (decoded once, deblurred if asked) -> edges -> positions and light -> blocks -> levels. The phases are listed in
`wsipipe.run.mosaic.make`; here is what can be set. The source combines k deblurred fields into the complete view, or
combines first and deblurs then: ``deblur.order``.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from wsipipe.config import Config, Positive, load
from wsipipe.errors import WeightsError
from wsipipe.models.deblur_config import DEBLUR
from wsipipe.models.weights import find
from wsipipe.run.mosaic.make import beside
from wsipipe.run.mosaic.plan import MosaicPlan
from wsipipe.slide.field_places import Arrangement


class FieldsSection(Config):
    """How it is known where fields lie."""

    pattern: Annotated[str, Field(description="in every name, e.g. 'x{x}_y{y}'; empty: the usual ones are tried")] = ""
    layout: Annotated[
        Literal["raster", "snake", "raster_down", "snake_down"], Field(description="order of fields with an {index}")
    ] = "raster"
    columns: Annotated[int, Field(ge=0, description="of the grid, for {index}; 0: a square")] = 0
    positions: Annotated[str, Field(description="CSV of file, y, x (pixels) or file, row, col; wins over names")] = ""
    metadata: Annotated[bool, Field(description="take stage positions from the files")] = False
    overlap: Annotated[float, Field(ge=0, lt=1, description="share of a side, where names say rows and columns")] = 0.1
    mpp: Annotated[float | None, Field(ge=0.05, le=20, description="um per pixel; null: what the files say")] = None


class RegisterSection(Config):
    """How neighbours are compared and put together."""

    reach_px: Annotated[int, Field(ge=0, description="a said place may be so wrong; 0: side / 20, 40 at least")] = 0
    alpha: Annotated[float, Field(gt=0, lt=1, description="of the permutation test that an edge must pass")] = 0.01
    permutations: Annotated[int, Field(ge=8, le=10_000, description="draws of that test")] = 96
    turns: Annotated[bool, Field(description="fields may be turned against each other")] = True
    lens: Annotated[bool, Field(description="the lens may bend all fields alike")] = True
    most_px: Annotated[Positive, Field(description="residual over which an edge in a loop is bad, px")] = 3.0
    outliers: Annotated[
        Literal["leave_out", "place"], Field(description="fields that fit none of their neighbours")
    ] = "leave_out"


class BlendSection(Config):
    """How fields are laid over each other."""

    light: Annotated[bool, Field(description="even out brightness over the field")] = True
    exposures: Annotated[bool, Field(description="even out brightness between fields")] = True
    feather_px: Annotated[Positive, Field(le=1024, description="half of the band of mixing, px")] = 24.0


class FieldDeblurSection(Config):
    """Deblurring, before fields are combined or after."""

    method: Annotated[Literal["none", "wiener", "richardson_lucy", "network"], Field(description="how")] = "none"
    order: Annotated[Literal["fields", "mosaic"], Field(description="deblur, then combine; or the other way")] = (
        "fields"
    )
    sigma_px: Annotated[Positive, Field(le=8, description="assumed Gaussian blur of the classical methods, px")] = 1.0
    iterations: Annotated[int, Field(ge=1, le=50, description="of Richardson-Lucy")] = 8
    weights: Annotated[str, Field(description="of the network; empty: those that ship")] = ""
    guard: Annotated[bool, Field(description="fall back to the input where the result does not explain it")] = True


class MicroscopeConfig(Config):
    """Everything that can be set for a mosaic."""

    places: FieldsSection = FieldsSection()
    edges: RegisterSection = RegisterSection()
    blend: BlendSection = BlendSection()
    deblur: FieldDeblurSection = FieldDeblurSection()
    seed: Annotated[int, Field(ge=0, description="of the permutation test")] = 0


def plan(
    folder: str | Path, mosaic: Path, config: Path | None = None, sets: Sequence[str] = (), *, untrained: bool = False
) -> MosaicPlan:
    """The plan of one mosaic.

    Parameters
    ----------
    folder : path
        Of fields.
    mosaic : Path
        The OME-Zarr to make.
    config, sets
        A YAML file and ``section.key=value`` texts.
    untrained : bool
        Whether random weights may deblur, which shows the mechanics only.

    Raises
    ------
    ConfigError
        For an unknown key or a value out of range.
    WeightsError
        For missing weights, or untrained ones where they are not allowed.
    """
    c = load(MicroscopeConfig, config, sets)
    if c.deblur.method == "network" and not (find(c.deblur.weights, DEBLUR).card.trained or untrained):
        raise WeightsError("these weights are untrained and would spoil the mosaic", subject=c.deblur.weights)
    f, r = c.places, c.edges
    sharpen = {name: value for name, value in c.deblur.model_dump(exclude={"order"}).items() if value != ""}
    return MosaicPlan(
        str(folder), mosaic.name.removesuffix(".zarr"), str(beside(mosaic)),
        Arrangement(f.pattern, f.layout, f.columns, f.positions, f.metadata),
        overlap=f.overlap, mpp=f.mpp, reach_px=r.reach_px, alpha=r.alpha, permutations=r.permutations, turns=r.turns,
        lens=r.lens, most_px=r.most_px, outliers=r.outliers, light=c.blend.light, exposures=c.blend.exposures,
        feather_px=c.blend.feather_px, deblur=sharpen, order=c.deblur.order, seed=c.seed,
    )  # fmt: skip
