"""Gastric slides: from stained tissue to one of four categories (CN 112990339 A).

tissue -> stain -> tiles (focus, normalised, segmented and classified) -> top k -> Pearson graph -> GCN -> gate.
Each line of `build` is a step; the rooms say how a step works.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

from pydantic import Field, model_validator

from wsipipe import deblur, graph, lesion, stain, tissue
from wsipipe.config import (
    Config,
    DeblurSection,
    NetworkSection,
    SlideSection,
    StainSection,
    TileSection,
    TissueSection,
    load,
)
from wsipipe.errors import ConfigError, WeightsError
from wsipipe.graph.gcn import GCN
from wsipipe.grid.place import NATIVE_TOLERANCE
from wsipipe.models import device, weights
from wsipipe.models.architecture import VNET, Architecture
from wsipipe.models.deblur_config import DEBLUR
from wsipipe.run.job import Recipe
from wsipipe.run.plan import Finish, Keep, Map, Overview, Pipeline, Reduce, Step
from wsipipe.run.start import Launch
from wsipipe.stage import Stage

RECIPE = "wsipipe.pipelines.gastric:build"


class TileNetworkSection(NetworkSection):
    """The segmentation-and-classification network."""

    weights: Annotated[str, Field(description="name of shipped weights, path of a .safetensors, or 'untrained'")] = (
        "gastric-phantom-v1"
    )


class TopKSection(Config):
    """Which tiles speak for the slide."""

    k: Annotated[int, Field(ge=1, le=256, description="tiles kept, by descending sum of positive probability")] = 10
    order: Annotated[str, Field(pattern="^(descending|ascending|random)$", description="of the graph's nodes")] = (
        "descending"
    )


class GraphSection(Config):
    """The Pearson graph and the network on it."""

    threshold: Annotated[float, Field(ge=-1, le=1, description="second threshold: r >= t connects")] = 0.5
    weights: Annotated[str, Field(description="of the graph network; 'untrained' for the mechanics only")] = (
        "gastric-phantom-v1-graph"
    )


class LesionSection(Config):
    """Suspected lesion regions and the choice of what is positive."""

    positive: Annotated[
        str, Field(pattern="^(any|negative|low_grade|high_grade|invasive)$", description="whose probability is mapped")
    ] = "any"
    threshold: Annotated[float, Field(ge=0, le=1, description="third threshold: p > t is suspected")] = 0.5
    min_area_um2: Annotated[float, Field(ge=0, description="smaller regions are not reported, um2")] = 2500.0


class GateSection(Config):
    """What must hold before a category is given."""

    min_tiles: Annotated[int, Field(ge=1, description="kept tiles")] = 4
    max_stain_deg: Annotated[float, Field(ge=0, le=90, description="angle of stains to H&E, degrees")] = 25.0
    min_focus: Annotated[float, Field(ge=0, description="median focus of kept tiles")] = 0.08
    max_distance: Annotated[float, Field(gt=0, description="lower quartile of feature distances")] = 0.5
    max_damaged: Annotated[float, Field(ge=0, le=1, description="share of the tissue that could not be decoded")] = 0.05


class GastricConfig(Config):
    """Everything that can be set for the gastric pipeline."""

    slide: SlideSection = SlideSection()
    tile: TileSection = TileSection()
    tissue: TissueSection = TissueSection()
    stain: StainSection = StainSection()
    deblur: DeblurSection = DeblurSection()
    network: TileNetworkSection = TileNetworkSection()
    topk: TopKSection = TopKSection()
    graph: GraphSection = GraphSection()
    lesion: LesionSection = LesionSection()
    gate: GateSection = GateSection()
    seed: Annotated[int, Field(ge=0, description="of every draw")] = 0

    @model_validator(mode="after")
    def _tile_divides(self) -> GastricConfig:
        if self.tile.size % self.tissue.scale:
            raise ValueError(f"tile.size must be a multiple of tissue.scale ({self.tissue.scale})")
        return self


def build(config: str) -> Pipeline:
    """The gastric pipeline of a resolved configuration, as JSON text (what workers rebuild it from)."""
    c = GastricConfig.model_validate_json(config)
    steps: tuple[Step, ...] = (
        Overview(longest_px=c.tissue.overview_px),
        Reduce("tissue_fit", (tissue.fit_threshold(),)),
        _tissue(c),
        Reduce("stain_fit", (_fit(c),), sample=c.stain.sample_tiles, seed=c.seed),
        _tiles(c),
        Reduce("topk", (graph.select(k=c.topk.k, order=c.topk.order, seed=c.seed),)),
        Reduce("graph", (graph.connect(threshold=c.graph.threshold),)),
        Reduce("category", (graph.classify(weights=c.graph.weights, sha256=_sha(c.graph.weights, GCN), **_how(c)),)),
        Reduce("gate", (_gate(c),)),
        *_finish(c),
    )
    rule = Keep("tissue_share", c.tile.min_tissue)
    return Pipeline(
        "gastric", steps, rule,
        mpp=c.tile.mpp, tile=c.tile.size, unit=c.tile.unit, plane=c.slide.plane, icc=c.slide.icc,
        damaged=c.slide.damaged,
    )  # fmt: skip


def _tissue(c: GastricConfig) -> Map:
    mask = tissue.mask(scale=c.tissue.scale, method=c.tissue.method)
    lost = tissue.undecoded(name="tissue_damaged")
    kept = ("tissue", "tissue_share", "tissue_damaged")
    return Map("tissue", (mask, lost), keep=kept, scale=c.tissue.scale, kept_only=False)


def _fit(c: GastricConfig) -> Stage:
    return stain.fit(method=c.stain.method, backend=c.stain.backend, seed=c.seed)


def _tiles(c: GastricConfig) -> Map:
    """Focus as scanned, then normalised, sharpened if asked, segmented and classified."""
    normal = stain.apply(
        method=c.stain.method,
        reference=c.stain.reference,
        nonnegative=c.stain.nonnegative,
        device="cuda" if c.network.device == "cuda" else "cpu",
    )
    network = lesion.tile_network(
        weights=c.network.weights,
        sha256=_sha(c.network.weights, VNET),
        batch=c.network.batch,
        positive=c.lesion.positive,
        **_how(c),
    )
    kept = ("damaged", "focus", "features", "class_prob", "positive_sum", "positive_mean", "probability")
    stages = (tissue.undecoded(), deblur.focus(), normal, *_sharper(c), network)
    return Map("tiles", stages, keep=kept, batch=c.network.batch)


def _sharper(c: GastricConfig) -> tuple[Stage, ...]:
    """The deblur step, if asked for; it crops its own halo, so the network sees the tile alone."""
    if c.deblur.method == "network":
        how = _how(c)
        return (deblur.sharpen(weights=c.deblur.weights, sha256=_sha(c.deblur.weights, DEBLUR), trim=True, **how),)
    options = c.deblur.model_dump(exclude={"weights"})
    return (deblur.restore(**options, trim=True),) if c.deblur.method != "none" else ()


def _gate(c: GastricConfig) -> Stage:
    return lesion.gate(
        weights=c.network.weights,
        sha256=_sha(c.network.weights, VNET),
        min_tiles=c.gate.min_tiles,
        max_stain_angle=c.gate.max_stain_deg,
        min_focus=c.gate.min_focus,
        max_feature_distance=c.gate.max_distance,
    )


def _finish(c: GastricConfig) -> tuple[Finish, ...]:
    cards = (weights.find(c.network.weights, VNET).card, weights.find(c.graph.weights, GCN).card)
    said = {"trained": all(card.trained for card in cards), "notices": sorted({card.notice for card in cards})}
    said |= {"max_damaged": c.gate.max_damaged}
    regions = {"threshold": c.lesion.threshold, "min_area_um2": c.lesion.min_area_um2}
    return (
        Finish("verdict", "wsipipe.report.verdict:verdict", said),
        Finish("draw", "wsipipe.report.draw:draw", {**regions, **said}),
        Finish("publish", "wsipipe.report.publish:publish", regions),
    )


def _untrained(c: GastricConfig) -> GastricConfig:
    sections = {"network": c.network, "graph": c.graph}
    unnamed = {name: part for name, part in sections.items() if "weights" not in part.model_fields_set}
    return c.model_copy(
        update={name: part.model_copy(update={"weights": "untrained"}) for name, part in unnamed.items()}
    )


def _refuse_untrained(c: GastricConfig) -> GastricConfig:
    deblurs = ((c.deblur.weights, DEBLUR),) if c.deblur.method == "network" else ()
    for name, presets in ((c.network.weights, VNET), (c.graph.weights, GCN), *deblurs):
        if not weights.find(name, presets).card.trained:
            raise WeightsError("these weights are untrained: give --untrained to run the mechanics only", subject=name)
    return c


def _check_scale(c: GastricConfig) -> None:
    """A trained network is used at the resolution that it was trained at."""
    card = weights.find(c.network.weights, VNET).card
    if card.trained and abs(c.tile.mpp / card.mpp - 1) > NATIVE_TOLERANCE:
        raise ConfigError(
            f"the weights {card.name!r} were trained at {card.mpp:g} um/px, got {c.tile.mpp:g}: "
            f"set tile.mpp to {card.mpp:g}, or give weights of that resolution",
            subject="tile.mpp",
        )


def _how(c: GastricConfig) -> device.Options:
    return {"device": c.network.device, "dtype": c.network.dtype, "memory_format": c.network.memory_format}


def _sha(name: str, presets: Mapping[str, Architecture]) -> str:
    return weights.find(name, presets).sha256


def launch(config: Path | None, sets: Sequence[str] = (), *, untrained: bool = False) -> Launch:
    """Check a configuration file and ``--set`` values, and resolve what depends on this machine (device, dtype, batch).

    Parameters
    ----------
    untrained : bool
        Whether random weights are allowed; weights that nobody named become ``untrained`` then.

    Raises
    ------
    UsageError
        For a wrong configuration, missing or untrained weights, or stages that do not fit.
    """
    checked = load(GastricConfig, config, sets)
    checked = _untrained(checked) if untrained else _refuse_untrained(checked)
    how = device.execution(device=checked.network.device, dtype=checked.network.dtype)
    here = {"device": how.device, "dtype": how.dtype, "batch": checked.network.batch or device.BATCH[how.device]}
    resolved = checked.model_copy(update={"network": checked.network.model_copy(update=here)})
    _check_scale(resolved)
    recipe = Recipe(RECIPE, resolved.model_dump_json())
    recipe.build()
    used = {"network": _sha(resolved.network.weights, VNET), "graph": _sha(resolved.graph.weights, GCN)}
    return Launch(recipe, used, resolved.slide.mpp_policy, device=how.device)
