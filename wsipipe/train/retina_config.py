"""Configuration of ``wsipipe train retina``: pictures, losses, augmentation, schedule.

Enters: YAML, ``--set`` values. Leaves: a checked `RetinaConfig`. Next: `wsipipe.train.retina`.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from wsipipe.config import Config, Positive, Share
from wsipipe.models.retina_settings import DUAL_BRANCH_PRESETS, SIDE_MULTIPLE, PresetName
from wsipipe.train.config import MachineSection, NumberSection
from wsipipe.vessel.folder import COVERED
from wsipipe.vessel.network import WORKING_FIELD_PX

Count = Annotated[int, Field(ge=1)]


class FolderSection(Config):
    """One folder of labelled pictures (``images``, ``1st_manual``, ``mask``)."""

    path: Annotated[str, Field(description="the folder above images/")]
    weight: Annotated[Positive, Field(description="how often it is drawn from, beside the other folders")] = 1.0
    field_px: Annotated[Positive, Field(description="width of the field: 540 for 45 degrees, 720 for 60")] = (
        WORKING_FIELD_PX
    )
    covered: Annotated[Share, Field(description="share of a smaller pixel that vessels cover to be taught")] = COVERED
    told: Annotated[str, Field(description="source and licence, for the card")] = ""


class MadeSection(Config):
    """Made pictures with exact trees (`wsipipe.phantom`)."""

    pictures: Annotated[int, Field(ge=0, description="how many; 0 leaves them out")] = 64
    seed: Annotated[int, Field(ge=0, description="of the first")] = 70001
    height: Annotated[int, Field(ge=64, le=4096)] = 584
    width: Annotated[int, Field(ge=64, le=4096)] = 565
    first_share: Annotated[Share, Field(description="share of the steps, at the start, that see made ones only")] = 0.25
    later_share: Annotated[Share, Field(description="share of the examples after that which are made")] = 0.15


class RetinaDataSection(Config):
    """Where pictures come from and which are kept for judging."""

    folders: tuple[FolderSection, ...] = ()
    made: MadeSection = MadeSection()
    folds: Annotated[int, Field(ge=1, description="1 trains on all pictures; n keeps every n-th for judging")] = 1
    fold: Annotated[int, Field(ge=0, description="which of them, from 0")] = 0
    colour: Annotated[Literal["standard", "as_is"], Field(description="one mean and deviation for every picture")] = (
        "as_is"
    )

    @model_validator(mode="after")
    def _some(self) -> RetinaDataSection:
        if not self.folders and not self.made.pictures:
            raise ValueError("data needs a folder or made pictures")
        if self.fold >= self.folds:
            raise ValueError(f"fold is 0 to {self.folds - 1}")
        return self


class RetinaLossSection(Config):
    """The total loss (US 12393838 B2): L_BCE + rec L_rec + ssim L_ssim + mask L_mask; see `retina_loss`."""

    rec: Annotated[float, Field(ge=0, description="λ1")] = 0.2
    ssim: Annotated[float, Field(ge=0, description="λ2")] = 0.4
    mask: Annotated[float, Field(ge=0, description="λ3, missing in our copy: an assumption")] = 0.4
    segment: Annotated[float, Field(ge=0, description="of L_BCE; 0 trains an enhancement network alone")] = 1.0
    artery: Annotated[float, Field(ge=0, description="μ of arteries")] = 0.3
    vein: Annotated[float, Field(ge=0, description="μ of veins")] = 0.3
    vessel: Annotated[float, Field(ge=0, description="μ of all vessels")] = 0.4
    positive: Annotated[Positive, Field(description="factor of the all-vessels channel's positive term; 1: source")] = 1
    separate: Annotated[float, Field(ge=0, description="of artery against vein on vessels only; 0: the source")] = 0.0
    first: Annotated[float, Field(ge=0, description="weight of the answer before refinement")] = 0.5
    constants: Annotated[Literal["printed", "usual"], Field(description="C1, C2 of the similarity")] = "printed"
    window: Annotated[int, Field(ge=0, le=63, description="0: one similarity per patch, as printed")] = 0
    mask_by: Annotated[Literal["frozen", "detached"], Field(description="D1's part in L_mask")] = "frozen"


class RetinaAugmentSection(Config):
    """Changes of training pictures, clean and poor alike; 0 switches one off."""

    flips: bool = True
    turn_deg: Annotated[float, Field(ge=0, le=180, description="turn, half width")] = 45.0
    scale: Annotated[float, Field(ge=0, lt=1, description="half width of the logarithm of the scale")] = 0.25
    gain: Annotated[float, Field(ge=0, lt=1, description="factor of each colour, about 1")] = 0.15
    brightness: Annotated[float, Field(ge=0, lt=1, description="factor of all colours, about 1")] = 0.2
    gamma: Annotated[float, Field(ge=0, lt=1, description="half width of the logarithm of gamma")] = 0.3
    noise: Annotated[float, Field(ge=0, le=0.2, description="largest sigma, share of white")] = 0.02


class RetinaScheduleSection(Config):
    """How long, how fast, in what batches."""

    steps: Annotated[Count, Field(description="of the whole training")] = 3000
    seconds: Annotated[float, Field(ge=0, description="0: none; else the one-cycle schedule shortens to fit it")] = 0.0
    round_steps: Annotated[Count, Field(description="steps between lines of the log")] = 100
    batch: Annotated[int, Field(ge=2, le=512, description="patches per step")] = 12
    crop_px: Annotated[int, Field(ge=32, multiple_of=SIDE_MULTIPLE, description="side of the random patches")] = 448
    degraded: Annotated[Share, Field(description="share of the patches that are degraded; the rest is clean")] = 0.75
    learning_rate: Annotated[Positive, Field(description="highest of the one-cycle schedule")] = 2e-3
    warm_share: Annotated[Share, Field(description="share of steps in which the rate rises")] = 0.15
    weight_decay: Annotated[float, Field(ge=0, description="of AdamW, not on norms and biases")] = 1e-2
    clip: Annotated[Positive, Field(description="largest norm of the gradient")] = 5.0
    average: Annotated[float, Field(ge=0, lt=1, description="decay of the weights' running mean; it is saved")] = 0.995
    seed: Annotated[int, Field(ge=0, description="of the network's start and of every draw")] = 0


class RetinaConfig(Config):
    """``wsipipe train retina``: the dual-branch network."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]*$", description="of the weights")] = "retina-av"
    data: RetinaDataSection = RetinaDataSection()
    network: Annotated[PresetName, Field(description="preset of the dual-branch network")] = "standard"
    init: Annotated[str, Field(description="weights to begin from: name or path; '' begins from the seed")] = ""
    encoder: Annotated[str, Field(description="a ResNet-18 as safetensors for the encoder; preset resnet18")] = ""
    before: Annotated[str, Field(description="weights whose enhancement is applied first (two stages); '': none")] = ""
    notice: Annotated[str, Field(description="what the card asks to be said of every result")] = (
        "research use; not for clinical use"
    )
    loss: RetinaLossSection = RetinaLossSection()
    augment: RetinaAugmentSection = RetinaAugmentSection()
    schedule: RetinaScheduleSection = RetinaScheduleSection()
    numbers: NumberSection = NumberSection()
    machine: MachineSection = MachineSection()

    @model_validator(mode="after")
    def _presets(self) -> RetinaConfig:
        if self.network not in DUAL_BRANCH_PRESETS:
            raise ValueError(f"network is one of {', '.join(DUAL_BRANCH_PRESETS)}")
        if self.encoder and self.init:
            raise ValueError("init and encoder both say where to begin: keep one")
        return self
