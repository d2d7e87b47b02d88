"""What can be set for training the deblurring network, checked before the first picture is read.

Enters: YAML (``configs/deblur.yaml``). Leaves: frozen settings. Next: `wsipipe.train.deblur`.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from wsipipe.config import Config, Positive, Share
from wsipipe.models.deblur_config import DEBLUR_PRESETS, DeblurConfig, SubModel
from wsipipe.train.config import Count, MachineSection, NumberSection

Span = tuple[float, float]


class SharpSection(Config):
    """Sharp pictures to learn from."""

    folder: Annotated[str, Field(description="folder with train/ and val/ of RGB pictures; '' makes them")] = ""
    scales: Annotated[
        tuple[Share, ...], Field(min_length=1, description="sizes at which a picture is learnt from, where it fits")
    ] = (1.0, 0.75, 0.5)
    made: Annotated[Count, Field(description="made tiles (`wsipipe.phantom`) where no folder is given")] = 48


class BlursSection(Config):
    """Which blurs are made; spans are drawn from evenly in the logarithm."""

    length_px: Annotated[Span, Field(description="of motion")] = (3.0, 17.0)
    radius_px: Annotated[Span, Field(description="of defocus")] = (1.1, 5.6)
    turn_deg: Annotated[float, Field(ge=0, le=180, description="largest turn of a curved path")] = 70.0
    curved: Annotated[Share, Field(description="share of motions whose path is curved")] = 0.25
    acceleration: Annotated[Share, Field(description="largest, either way; 1 ends or begins at rest")] = 0.5
    gaussian: Annotated[Share, Field(description="share of defocus by a Gaussian rather than a disk")] = 0.1
    noise: Annotated[Span, Field(description="sigma of even noise, grey levels")] = (0.5, 2.0)
    photons: Annotated[Span, Field(description="electrons at white; half of the pictures have photon noise")] = (
        1e4, 2e5,
    )  # fmt: skip

    @model_validator(mode="after")
    def _spans_rise(self) -> BlursSection:
        for name in ("length_px", "radius_px", "noise", "photons"):
            low, high = getattr(self, name)
            if not 0 < low <= high:
                raise ValueError(f"{name} is a span (low, high) with 0 < low <= high, got ({low:g}, {high:g})")
        if self.length_px[1] > 40 or self.radius_px[1] > 20:
            raise ValueError("a motion is at most 40 px long, a defocus at most 20 px in radius: kernels have 47 px")
        return self


class DeblurLossSection(Config):
    """Weights of the loss's terms; the sub-models' own weights are in `submodels`."""

    measure: Annotated[
        Literal["absolute", "decibels"], Field(description="mean error, or the logarithm of each picture's mean square")
    ] = "absolute"
    kind: Annotated[float, Field(ge=0, description="cross-entropy of the kind")] = 0.02
    level: Annotated[float, Field(ge=0, description="of the logarithms of length and radius")] = 0.02
    direction: Annotated[float, Field(ge=0, description="of the direction")] = 0.02
    error: Annotated[float, Field(ge=0, description="of the error that is to be expected")] = 0.002
    extent_power: Annotated[float, Field(ge=0, le=2, description="a blur counts with its extent / 9 px to this")] = 0.0


class DeblurScheduleSection(Config):
    """How long, how fast, in what batches."""

    epochs: Annotated[Count, Field(description="each of `steps` steps, then a validation")] = 12
    steps: Annotated[Count, Field(description="steps of an epoch")] = 400
    seconds: Annotated[float, Field(ge=0, description="most seconds of training; 0: no limit, epochs counts")] = 0
    batch: Annotated[int, Field(ge=1, le=256, description="sharp crops a step; each is blurred in every way")] = 4
    crop_px: Annotated[int, Field(ge=64, le=1024, multiple_of=8, description="side of what the network sees")] = 128
    margin_px: Annotated[int, Field(ge=0, le=64, description="rim of a crop that is not scored")] = 8
    together: Annotated[Share, Field(description="share of epochs in which the sub-models are one")] = 0.5
    jitter: Annotated[
        Share, Field(description="sigma of the error of the levels' logarithms that a filter is told")
    ] = 0.05
    learning_rate: Annotated[Positive, Field(description="highest of the one-cycle schedule")] = 1.2e-3
    warm_share: Annotated[Share, Field(description="share in which the rate rises")] = 0.1
    weight_decay: Annotated[float, Field(ge=0, description="of AdamW, not on norms and biases")] = 1e-4
    clip: Annotated[Positive, Field(description="largest norm of the gradient")] = 1.0
    patience: Annotated[Count, Field(description="epochs without a better score before it stops early")] = 1000
    seed: Annotated[int, Field(ge=0, description="of the network's start, the crops and the blurs")] = 0


class DeblurTraining(Config):
    """``wsipipe train deblur``: the deblurring network."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]*$", description="of the weights")] = (
        "microscope-deblur-v1"
    )
    data: SharpSection = SharpSection()
    network: Annotated[Literal["light", "deep", "one", "tiny"], Field(description="preset")] = "light"
    init: Annotated[str, Field(description="weights of the same form to begin from; '' begins anew")] = ""
    submodels: Annotated[
        tuple[SubModel, ...], Field(description="n sub-models, the blurs and loss weight of each; none: the preset's")
    ] = ()
    blurs: BlursSection = BlursSection()
    loss: DeblurLossSection = DeblurLossSection()
    schedule: DeblurScheduleSection = DeblurScheduleSection()
    numbers: NumberSection = NumberSection(dtype="bfloat16")
    machine: MachineSection = MachineSection()

    def architecture(self) -> DeblurConfig:
        """The network's settings."""
        preset = DEBLUR_PRESETS[self.network]
        values = preset.model_dump() | ({"submodels": self.submodels} if self.submodels else {})
        return DeblurConfig.model_validate(values)

    @model_validator(mode="after")
    def _fits(self) -> DeblurTraining:
        self.architecture()
        if 2 * self.schedule.margin_px >= self.schedule.crop_px:
            raise ValueError("schedule.margin_px is less than half of schedule.crop_px")
        return self
