"""Retinal arteries and veins from fundus pictures (US 12393838 B2, deployment network).

field of view and grade -> tiles with light -> colours alike -> network -> splice, label, repair, measure, draw,
publish.
Each line of `build` is a step; the rooms say how a step works.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from wsipipe import vessel
from wsipipe.config import Config, NetworkSection, load
from wsipipe.errors import WeightsError
from wsipipe.models import device, weights
from wsipipe.models.retina_settings import DUAL_BRANCH
from wsipipe.report.fundus.analyse import FACTS
from wsipipe.run.job import Recipe
from wsipipe.run.plan import Finish, Keep, Map, Overview, Pipeline, Reduce, Scale, Step
from wsipipe.run.start import Launch
from wsipipe.slide.icc import Icc
from wsipipe.vessel.network import SCALES, WEIGHTS
from wsipipe.vessel.scale import NOMINAL_MPP

RECIPE = "wsipipe.pipelines.retina:build"
LEAST_LIGHT = 0.002
"""Tiles with a smaller lit part are not looked at."""


class PictureSection(Config):
    """Which pixels of the file are worked on."""

    plane: Annotated[int, Field(ge=0, description="field or frame")] = 0
    icc: Annotated[Icc, Field(description="what the file's ICC profile is for")] = "record"


class TileSection(Config):
    """Windows of the network."""

    size: Annotated[int, Field(ge=64, le=4096, multiple_of=16, description="side of a tile, working px")] = 608
    halo: Annotated[int, Field(ge=0, le=512, multiple_of=16, description="overlap on each side, working px")] = 16
    unit: Annotated[int, Field(ge=1, le=8, description="tiles along the side of a unit of work")] = 1

    @model_validator(mode="after")
    def _window_divides(self) -> TileSection:
        if (self.size + 2 * self.halo) % 32:
            raise ValueError("tile.size + 2 tile.halo must be a multiple of 32: the network halves five times")
        return self


class FieldSection(Config):
    """The field of view and the working scale."""

    method: Annotated[Literal["auto", "whole"], Field(description="look for it, or take the whole picture")] = "auto"
    width_px: Annotated[float, Field(ge=128, le=4096, description="width of the field at the working scale, px")] = (
        540.0
    )
    colour: Annotated[
        Literal["standard", "as_is"], Field(description="give every picture the colours that the network learnt from")
    ] = "standard"


class QualitySection(Config):
    """The grade."""

    work_on_refused: Annotated[bool, Field(description="send refused pictures through the network, too")] = False


class RetinaNetworkSection(NetworkSection):
    """The network for arteries and veins."""

    weights: Annotated[str, Field(description="name of shipped weights, path of a .safetensors, or 'untrained'")] = (
        WEIGHTS
    )
    batch: Annotated[int, Field(ge=1, le=64, description="tiles per forward pass; the last is padded")] = 1
    enhance: Annotated[bool, Field(description="also make the enhanced picture")] = False
    flips: Annotated[bool, Field(description="mean with the mirrored picture's answer: better, twice the time")] = True
    scales: Annotated[
        tuple[float, ...], Field(description="other sizes, as factors, asked for artery against vein; a pass each")
    ] = SCALES


class VesselSection(Config):
    """From probabilities to vessels."""

    threshold: Annotated[float, Field(gt=0, lt=1, description="probability from which a pixel is a vessel")] = 0.5
    repair: Annotated[bool, Field(description="one class for each vessel between two branch points")] = False


class RetinaConfig(Config):
    """Everything that can be set for the retinal pipeline."""

    picture: PictureSection = PictureSection()
    tile: TileSection = TileSection()
    field: FieldSection = FieldSection()
    quality: QualitySection = QualitySection()
    network: RetinaNetworkSection = RetinaNetworkSection()
    vessel: VesselSection = VesselSection()


def build(config: str) -> Pipeline:
    """The retinal pipeline of a resolved configuration, as JSON text (what workers rebuild it from)."""
    c = RetinaConfig.model_validate_json(config)
    steps: tuple[Step, ...] = (
        Overview(longest_px=1024),
        Reduce("field", (vessel.fitted(method=c.field.method),)),
        Map("lit", (vessel.lit(refused=c.quality.work_on_refused),), keep=("field_share",), kept_only=False),
        _network(c),
        _finish(c),
    )
    return Pipeline(
        "retina", steps, Keep("field_share", LEAST_LIGHT),
        mpp=NOMINAL_MPP, tile=c.tile.size, unit=c.tile.unit, plane=c.picture.plane, icc=c.picture.icc,
        scale=Scale("wsipipe.vessel.scale:nominal_mpp", {"field_px": c.field.width_px, "method": c.field.method}),
        smaller=True,
    )  # fmt: skip


def _network(c: RetinaConfig) -> Map:
    """The network sees windows of tile and halo; they are kept whole, to be spliced."""
    n, file = c.network, weights.find(c.network.weights, DUAL_BRANCH)
    segment = vessel.segment(
        weights=n.weights, sha256=file.sha256, batch=n.batch, halo=0,
        enhance=n.enhance, flips=n.flips, scales=n.scales,
        device=n.device, dtype=n.dtype, memory_format=n.memory_format,
    )  # fmt: skip
    window = vessel.window(tile=c.tile.size, halo=c.tile.halo, enhanced=n.enhance)
    keep = ("vessel_window", "restored") if n.enhance else ("vessel_window",)
    alike = (vessel.alike(mean=file.card.mean, std=file.card.std),) if c.field.colour == "standard" else ()
    return Map("vessels", (vessel.darkened(), *alike, segment, window), keep=keep, batch=n.batch)


def _finish(c: RetinaConfig) -> Finish:
    card = weights.find(c.network.weights, DUAL_BRANCH).card
    how = {"threshold": c.vessel.threshold, "repair": c.vessel.repair, "method": c.field.method}
    said = {"trained": card.trained, "notices": [card.notice]}
    return Finish("publish", "wsipipe.report.fundus.publish:publish", {**how, **said})


def launch(config: Path | None, sets: Sequence[str] = (), *, untrained: bool = False) -> Launch:
    """Check a configuration file and ``--set`` values, and resolve what depends on this machine (device, dtype).

    Parameters
    ----------
    untrained : bool
        Whether random weights are allowed; weights that nobody named become ``untrained`` then.

    Raises
    ------
    UsageError
        For a wrong configuration, missing or untrained weights, or stages that do not fit.
    """
    c = load(RetinaConfig, config, sets)
    name = c.network.weights
    if untrained and "weights" not in c.network.model_fields_set:
        name = "untrained"
    found = weights.find(name, DUAL_BRANCH)
    if not untrained and not found.card.trained:
        raise WeightsError("these weights are untrained: give --untrained to run the mechanics only", subject=name)
    how = device.execution(device=c.network.device, dtype=c.network.dtype)
    used = {"weights": name, "device": how.device, "dtype": how.dtype}
    resolved = c.model_copy(update={"network": c.network.model_copy(update=used)})
    recipe = Recipe(RECIPE, resolved.model_dump_json())
    recipe.build()
    return Launch(recipe, {"network": found.sha256}, device=how.device, facts=FACTS)
