"""Settings of the deblurring network, without torch: what a card states and `wsipipe.models.deblurring` builds.

Enters: values from a card or a configuration file. Leaves: checked, frozen settings, presets. Next:
`wsipipe.models.deblurring`, `wsipipe.deblur.network`.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from wsipipe.models.architecture import Architecture

BlurKind = Literal["motion", "defocus", "both"]
KINDS = ("sharp", "motion", "defocus", "both")
"""Kinds of blur as the classifier numbers them; ``both`` is motion of a defocused picture."""
Width = Annotated[int, Field(ge=1, le=1024)]
Depth = Annotated[int, Field(ge=0, le=32)]


class SubModel(BaseModel):
    """Which blurs one of the parallel sub-models restores, and how much its loss counts.

    Parameters
    ----------
    kinds : tuple of {"motion", "defocus", "both"}
    extents_px : (float, float)
        Blur from, and below, which extent in pixels: the length of a motion, the diameter of a defocus, the larger
        of the two where both are there.
    weight : float
        Factor of its loss, 0 or more.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kinds: tuple[BlurKind, ...] = Field(min_length=1)
    extents_px: tuple[float, float] = (0.0, 1e3)
    weight: float = Field(default=1.0, ge=0)

    def takes(self, kind: str, extent_px: float) -> bool:
        """Whether a blur is this sub-model's."""
        return kind in self.kinds and self.extents_px[0] <= extent_px < self.extents_px[1]


class DeblurConfig(BaseModel):
    """Settings of the deblurring network (see `wsipipe.models.deblurring`).

    Parameters
    ----------
    channels : (int, int, int)
        At a half, a quarter and an eighth of the picture's resolution.
    trunk, encoder, decoder : int, (int, int, int), (int, int)
        Residual blocks of two 3x3 convolutions: of the shared trunk; of a sub-model's encoder at the three scales,
        finest first; of its decoder at the two finer ones.
    hidden : int
        Width of the classifier's fully connected layer.
    noise : tuple of float
        Ratios of noise to signal that the trunk's Wiener filters assume; one filter each.
    submodels : tuple of SubModel
        n of them. Every kind is taken by one at least.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    channels: tuple[Width, Width, Width] = (32, 64, 96)
    trunk: Depth = 1
    encoder: tuple[Depth, Depth, Depth] = (0, 2, 2)
    decoder: tuple[Depth, Depth] = (2, 2)
    hidden: Width = 192
    noise: tuple[Annotated[float, Field(gt=0)], ...] = (0.01, 0.05)
    submodels: tuple[SubModel, ...] = (
        SubModel(kinds=("motion",)), SubModel(kinds=("defocus",)), SubModel(kinds=("both",)),
    )  # fmt: skip

    @model_validator(mode="after")
    def _every_kind_is_taken(self) -> Self:
        missing = [kind for kind in KINDS[1:] if not any(kind in one.kinds for one in self.submodels)]
        if missing or not self.noise:
            raise ValueError(f"submodels take every kind (none takes {', '.join(missing) or '-'}); noise has a value")
        return self

    def route(self, kind: str, extent_px: float) -> int:
        """Number of the sub-model for a blur: the first that takes it, else the first that takes its kind."""
        exact = [number for number, one in enumerate(self.submodels) if one.takes(kind, extent_px)]
        return (exact or [number for number, one in enumerate(self.submodels) if kind in one.kinds])[0]


DEBLUR_PRESETS = {
    "light": DeblurConfig(),
    "deep": DeblurConfig(encoder=(1, 3, 3), decoder=(3, 3)),
    "one": DeblurConfig(submodels=(SubModel(kinds=("motion", "defocus", "both")),)),
    "tiny": DeblurConfig(channels=(8, 8, 8), trunk=0, encoder=(0, 1, 0), decoder=(1, 0), hidden=16, noise=(0.01,)),
}
"""``light`` is the default (n = 3); ``deep`` costs twice as much; ``one`` has one sub-model for all (n = 1);
``tiny`` is for tests of the mechanics."""

DEBLUR = {
    name: Architecture(name="deblur", config=config.model_dump(mode="json")) for name, config in DEBLUR_PRESETS.items()
}
"""The same presets as an untrained network's card states them, the default first."""
