"""What can be set for the evaluation of the gastric networks.

Enters: YAML (``configs/evaluate-gastric.yaml``). Leaves: frozen settings. Next: `wsipipe.evaluate.gastric`.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from wsipipe.config import Config, Share
from wsipipe.train.config import Count, SlidesConfig

Turn = Annotated[float, Field(ge=-90, le=90)]
Blur = Annotated[float, Field(gt=0, le=4)]
Similarity = Annotated[float, Field(ge=-1, le=1)]


class TestSection(Config):
    """Made slides that no network has seen, of regimes that no network was trained on."""

    seed: Annotated[int, Field(ge=0, description="of the first; apart from those of every training")] = 7001
    size_px: Annotated[int, Field(ge=0, description="side at 0.5 um/px; 0 draws 4,096 to 6,000")] = 0
    slides: Annotated[Count, Field(description="of regime `test`; the four categories in turn")] = 60
    shifted: Annotated[Count, Field(description="of regime `shifted`, with and without stain normalisation")] = 12


class WorseSection(Config):
    """The same few slides, more and more out of focus and off colour."""

    slides: Annotated[Count, Field(description="of regime `test`")] = 4
    size_px: Annotated[int, Field(ge=0, description="side at 0.5 um/px")] = 4096
    blur_um: Annotated[tuple[Blur, ...], Field(description="sigma of a Gaussian, um")] = (1.0, 2.0)
    stain_deg: Annotated[tuple[Turn, ...], Field(description="turn of both stains' hue, degrees")] = (-30.0, 30.0, 60.0)


class TileTestSection(Config):
    """Tiles on which network one is measured."""

    seed: Annotated[int, Field(ge=0, description="of the first slide")] = 9001
    size_px: Annotated[int, Field(ge=1024, description="side of a made slide at 0.5 um/px")] = 3072
    slides: Annotated[Count, Field(description="of each regime, `test` and `shifted`")] = 8
    tiles_per_slide: Annotated[int, Field(ge=1, le=256, description="classes as even as a slide allows")] = 16
    networks: Annotated[tuple[str, ...], Field(description="further weights, such as of other seeds")] = ()


class VariantSection(Config):
    """What is compared with the graph network as it is."""

    seeds: Annotated[tuple[int, ...], Field(min_length=1, description="of each training")] = (0, 1, 2)
    k: Annotated[tuple[Count, ...], Field(description="tiles kept")] = (5, 10, 15)
    threshold: Annotated[tuple[Similarity, ...], Field(description="second threshold: r >= t connects")] = (
        0.0,
        0.25,
        0.5,
        0.75,
        0.9,
    )


class EvaluateGastricConfig(Config):
    """``wsipipe evaluate gastric``."""

    training: SlidesConfig = SlidesConfig()
    graph_weights: Annotated[str, Field(description="of network two, as it ships")] = "gastric-phantom-v1-graph"
    test: TestSection = TestSection()
    worse: WorseSection = WorseSection()
    tiles: TileTestSection = TileTestSection()
    variants: VariantSection = VariantSection()
    min_share: Annotated[Share, Field(description="share of in-scope slides that the gate is to pass")] = 0.95
