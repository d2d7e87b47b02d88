"""What can be set for training: one page of settings per network, checked before the first picture is read.

Enters: YAML (``configs/gastric-tiles.yaml``, ``configs/gastric-slides.yaml``). Leaves: frozen settings, and
`identity`, the part of them that a checkpoint belongs to. Next: `wsipipe.train.tiles`, `wsipipe.train.graphs`.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from wsipipe.config import Config, Positive, Share, StainSection, TileSection, TissueSection
from wsipipe.models.architecture import VNET_PRESETS

Count = Annotated[int, Field(ge=1)]
Shares = tuple[Share, Share, Share]


class MadeSection(Config):
    """Tiles of made slides (`wsipipe.phantom`); each slide has one stain and one scanner."""

    seed: Annotated[int, Field(ge=0, description="of the first training slide")] = 1
    tiles_per_slide: Annotated[int, Field(ge=1, le=256, description="tiles cut from one made slide")] = 16
    size_px: Annotated[int, Field(ge=1024, description="side of a made slide at 0.5 um/px")] = 3072
    train_slides: Annotated[Count, Field(description="made slides of regime `train`")] = 360
    val_slides: Annotated[Count, Field(description="made slides of regime `val`")] = 48
    test_slides: Annotated[Count, Field(description="made slides of regime `test`; only reported")] = 48


class OwnSection(Config):
    """A laboratory's own slides or tiles, and how they are split."""

    table: Annotated[str, Field(description="CSV: wsi,mpp,case_id,category[,mask,split], or picture,mask,...")] = ""
    masks: Annotated[str, Field(description="folder of masks named after the slides; '' looks beside them")] = ""
    split: Annotated[Shares, Field(description="share of cases for training, validation, test")] = (0.7, 0.15, 0.15)
    tiles_per_slide: Annotated[int, Field(ge=1, description="at most so many kept tiles a slide, drawn by seed")] = 64
    mpp_policy: Annotated[str, Field(pattern=r"^(error|skip|assume:[0-9.]+)$", description="as in `wsipipe run`")] = (
        "error"
    )

    @model_validator(mode="after")
    def _whole(self) -> OwnSection:
        if abs(sum(self.split) - 1) > 1e-6 or self.split[0] == 0:
            raise ValueError("the three shares of `split` add up to 1, and the first is above 0")
        return self


class DataSection(Config):
    """Where pictures and truth come from."""

    source: Annotated[Literal["phantom", "slides", "tiles"], Field(description="made, whole slides, or tile sets")] = (
        "phantom"
    )
    phantom: MadeSection = MadeSection()
    own: OwnSection = OwnSection()
    min_lesion: Annotated[
        Share, Field(description="share of a tile from which its most severe lesion names its class")
    ] = 0.02


class LossSection(Config):
    """Loss of network one: the weighted sum of a pixel term and a class term (CN 112990339 A)."""

    class_loss: Annotated[Literal["cross_entropy", "euclidean"], Field(description="euclidean is the source's")] = (
        "cross_entropy"
    )
    class_weight: Annotated[float, Field(ge=0, description="of the class term")] = 1.0
    dice_weight: Annotated[float, Field(ge=0, description="of 1 - soft Dice with squared denominators")] = 1.0
    pixel_weight: Annotated[float, Field(ge=0, description="of a pixel cross-entropy (ours; 0 is the source)")] = 1.0


class AugmentSection(Config):
    """Changes of training pictures only; every number is the half width of a uniform draw, 0 switches it off."""

    flips: Annotated[bool, Field(description="mirrors and turns by 90 degrees")] = True
    stretch: Annotated[float, Field(ge=0, lt=0.5, description="scale along either axis, about 1")] = 0.10
    turn_deg: Annotated[float, Field(ge=0, le=45, description="further turn, degrees")] = 10.0
    brightness: Annotated[float, Field(ge=0, lt=1, description="factor, about 1")] = 0.08
    contrast: Annotated[float, Field(ge=0, lt=1, description="factor about the middle grey, about 1")] = 0.12
    saturation: Annotated[float, Field(ge=0, lt=1, description="factor, about 1")] = 0.15
    hue_deg: Annotated[float, Field(ge=0, le=180, description="turn in the colour plane, degrees")] = 8.0
    stain: Annotated[float, Field(ge=0, lt=1, description="factor of each stain's concentration, about 1")] = 0.15
    blur_px: Annotated[float, Field(ge=0, le=4, description="largest Gaussian sigma, tile px; half of tiles")] = 0.8
    noise: Annotated[float, Field(ge=0, le=0.2, description="largest sigma of noise, share of white")] = 0.01


class ScheduleSection(Config):
    """How long, how fast, in what batches."""

    epochs: Annotated[Count, Field(description="passes over the training tiles")] = 18
    batch: Annotated[int, Field(ge=2, le=512, description="crops per step")] = 16
    crop_px: Annotated[int, Field(ge=0, description="side of the crops seen first; 0 sees whole tiles throughout")] = (
        256
    )
    whole_epochs: Annotated[int, Field(ge=0, description="last epochs on whole tiles")] = 2
    whole_batch: Annotated[int, Field(ge=2, le=512, description="whole tiles per step")] = 8
    balance: Annotated[Share, Field(description="0: every tile once an epoch, 1: every class as often")] = 0.5
    learning_rate: Annotated[Positive, Field(description="highest of the one-cycle schedule")] = 2e-3
    warm_share: Annotated[Share, Field(description="share of steps in which the rate rises")] = 0.2
    weight_decay: Annotated[float, Field(ge=0, description="of AdamW, not on norms and biases")] = 1e-2
    clip: Annotated[Positive, Field(description="largest norm of the gradient")] = 5.0
    patience: Annotated[Count, Field(description="epochs without a better score before it stops early")] = 8
    seed: Annotated[int, Field(ge=0, description="of the network's start, the order and the augmentation")] = 0


class MachineSection(Config):
    """Where it runs; none of it changes what a checkpoint belongs to."""

    device: Annotated[Literal["auto", "cpu", "cuda"], Field(description="auto takes a GPU where there is one")] = "auto"
    threads: Annotated[int, Field(ge=0, description="of torch; 0 leaves its own choice")] = 0
    workers: Annotated[int, Field(ge=1, le=64, description="processes that make or read tiles for the cache")] = 2
    cache: Annotated[str, Field(description="folder of tiles kept between runs; '' is inside --out")] = ""
    checkpoint_s: Annotated[float, Field(gt=0, description="seconds between checkpoints inside an epoch")] = 120.0


class NumberSection(Config):
    """Number format of the forward and backward pass."""

    dtype: Annotated[Literal["float32", "bfloat16"], Field(description="bfloat16 is mixed precision")] = "float32"
    memory_format: Annotated[Literal["channels_last", "contiguous"], Field(description="of activations")] = (
        "channels_last"
    )


class TilesConfig(Config):
    """``wsipipe train gastric-tiles``: the tile network."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]*$", description="of the weights")] = "gastric-phantom-v1"
    data: DataSection = DataSection()
    tile: TileSection = TileSection()
    tissue: TissueSection = TissueSection()
    stain: StainSection = StainSection()
    network: Annotated[Literal["light", "wide", "tiny"], Field(description="preset of the V-Net")] = "light"
    loss: LossSection = LossSection()
    augment: AugmentSection = AugmentSection()
    schedule: ScheduleSection = ScheduleSection()
    numbers: NumberSection = NumberSection()
    machine: MachineSection = MachineSection()

    @model_validator(mode="after")
    def _presets(self) -> TilesConfig:
        if self.network not in VNET_PRESETS:
            raise ValueError(f"network is one of {', '.join(VNET_PRESETS)}")
        if self.schedule.crop_px > self.tile.size:
            raise ValueError(f"schedule.crop_px is at most tile.size ({self.tile.size})")
        return self


class CohortSection(Config):
    """Made slides with a category each (`wsipipe.phantom`); seeds are apart from those of the tile network."""

    seed: Annotated[int, Field(ge=0, description="of the first training slide")] = 1001
    size_px: Annotated[int, Field(ge=0, description="side at 0.5 um/px; 0 draws 4,096 to 6,000")] = 0
    train_slides: Annotated[Count, Field(description="of regime `train`")] = 112
    val_slides: Annotated[Count, Field(description="of regime `val`")] = 32
    test_slides: Annotated[Count, Field(description="of regime `test`; only reported")] = 16


class SlideDataSection(Config):
    """Where slides with a category come from."""

    source: Annotated[Literal["phantom", "slides"], Field(description="made, or a laboratory's own")] = "phantom"
    phantom: CohortSection = CohortSection()
    own: OwnSection = OwnSection()


class GraphNetSection(Config):
    """The graph that is learnt on, and the network on it; k, order and threshold are those of inference."""

    k: Annotated[int, Field(ge=1, le=256, description="tiles kept, by descending sum of positive probability")] = 10
    order: Annotated[Literal["descending", "ascending", "random"], Field(description="of the nodes")] = "descending"
    threshold: Annotated[float, Field(ge=-1, le=1, description="second threshold: r >= t connects")] = 0.5
    layers: Annotated[int, Field(ge=0, le=8, description="graph convolutions; 0: nodes by themselves")] = 2
    hidden: Annotated[Count, Field(description="width of node vectors")] = 64
    self_loops: Annotated[bool, Field(description="a convolution sees the node itself")] = True
    edges: Annotated[bool, Field(description="false leaves all edges out")] = True
    readout: Annotated[Literal["mean", "max", "attention", "ordered"], Field(description="node vectors to one")] = (
        "mean"
    )
    drop_tiles: Annotated[
        Share, Field(description="share of tiles left out at random before the top k; training only")
    ] = 0.2
    noise: Annotated[float, Field(ge=0, description="sigma of noise on feature vectors; training only")] = 0.1


class SlideScheduleSection(Config):
    """How long, how fast, in what batches."""

    epochs: Annotated[Count, Field(description="passes over the training slides")] = 60
    batch: Annotated[int, Field(ge=1, le=512, description="slides per step")] = 16
    learning_rate: Annotated[Positive, Field(description="highest of the one-cycle schedule")] = 3e-3
    warm_share: Annotated[Share, Field(description="share of steps in which the rate rises")] = 0.2
    weight_decay: Annotated[float, Field(ge=0, description="of AdamW, not on norms and biases")] = 1e-2
    clip: Annotated[Positive, Field(description="largest norm of the gradient")] = 5.0
    patience: Annotated[Count, Field(description="epochs without a better score before it stops early")] = 30
    seed: Annotated[int, Field(ge=0, description="of the network's start, the order and the augmentation")] = 0


class EndToEndSection(Config):
    """``--end-to-end``: the slide's loss reaches network one through the kept tiles' feature vectors."""

    epochs: Annotated[Count, Field(description="passes over the training slides")] = 4
    slides: Annotated[Count, Field(description="training slides at most, with their pixels")] = 64
    tiles_per_slide: Annotated[int, Field(ge=1, description="kept tiles of a slide that may become top-k")] = 32
    learning_rate: Annotated[Positive, Field(description="highest of the one-cycle schedule, for both networks")] = 2e-4
    tile_weight: Annotated[float, Field(ge=0, description="of network one's own loss on the kept tiles")] = 1.0


class SlidesConfig(Config):
    """``wsipipe train gastric-slides``: the graph network, on the features of a trained tile network."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]*$", description="of the weights")] = (
        "gastric-phantom-v1-graph"
    )
    tile_weights: Annotated[str, Field(description="of network one: name, path, or untrained")] = "gastric-phantom-v1"
    data: SlideDataSection = SlideDataSection()
    tile: TileSection = TileSection()
    tissue: TissueSection = TissueSection()
    stain: StainSection = StainSection()
    graph: GraphNetSection = GraphNetSection()
    schedule: SlideScheduleSection = SlideScheduleSection()
    end_to_end: EndToEndSection = EndToEndSection()
    numbers: NumberSection = NumberSection()
    machine: MachineSection = MachineSection()


def identity(config: Config) -> dict[str, Any]:
    """The settings that change the result, as JSON values: all but `machine`."""
    return {key: value for key, value in config.model_dump(mode="json").items() if key != "machine"}
