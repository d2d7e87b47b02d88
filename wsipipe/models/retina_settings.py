"""Settings and presets of the dual-branch network for retinal vessels; no torch here.

Enters: values from a card or a configuration file. Leaves: checked, frozen settings. Next:
`wsipipe.models.dual_branch` builds the network from them.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from wsipipe.models.architecture import Architecture, Count, Depth

LEVELS = 5
"""Times that the encoder halves the side."""
SIDE_MULTIPLE = 2**LEVELS
"""Pictures whose sides are no multiple of this many pixels are padded, and the answer is cropped."""


class DualBranchConfig(BaseModel):
    """Settings of the dual-branch network (see `wsipipe.models.dual_branch`).

    Parameters
    ----------
    width : int
        Channels of the encoder's first layer; 64 is ResNet-18 itself, whose published weights then fit.
    blocks : tuple of 4 int
        Residual blocks per layer; ResNet-18 has two each.
    detail : int
        Channels of the map at full resolution that both decoders get beside the ResNet's; 0 leaves it out, and the
        decoders end at cells of two pixels and say four pixels per cell, which takes a third of the time.
    decoder : tuple of 5 int (4 without `detail`)
        Channels of the segmentation decoder, coarsest first.
    enhancer : tuple of 5 int (4 without `detail`)
        Channels of the enhancement decoder; empty for the deployment network, which has none.
    refine : tuple of int
        Channels, finest first, of a small U-Net that looks at the segmentation decoder's own answer once more
        (after Galdran et al., 2022, and Morano et al., 2024); empty leaves it out, as the source does.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    width: Count = 40
    blocks: tuple[Depth, Depth, Depth, Depth] = (2, 2, 2, 2)
    detail: Annotated[int, Field(ge=0, le=1024)] = 12
    decoder: tuple[Count, ...] = (112, 80, 64, 40, 16)
    enhancer: tuple[Count, ...] = (112, 80, 64, 40, 16)
    refine: tuple[Count, ...] = (12, 24, 48, 96)

    @property
    def cell(self) -> int:
        """Pixels along the side of a cell of the finest map."""
        return 1 if self.detail else 2

    @model_validator(mode="after")
    def _steps(self) -> DualBranchConfig:
        steps = LEVELS if self.detail else LEVELS - 1
        if len(self.decoder) != steps or len(self.enhancer) not in (0, steps):
            raise ValueError(f"decoder and enhancer have {steps} channels here (5, or 4 without detail)")
        return self


_SLIM = (80, 64, 48, 32, 16)

DUAL_BRANCH_PRESETS = {
    "standard": DualBranchConfig(),
    "plain": DualBranchConfig(refine=()),
    "light": DualBranchConfig(
        width=24, detail=8, decoder=(64, 48, 32, 24, 8), enhancer=(64, 48, 32, 24, 8), refine=(8, 16, 32)
    ),
    "slim": DualBranchConfig(width=24, detail=8, decoder=(64, 48, 32, 24, 8), enhancer=(64, 48, 32, 24, 8), refine=()),
    "coarse": DualBranchConfig(
        width=32, detail=0, decoder=(96, 64, 48, 32), enhancer=(96, 64, 48, 32), refine=(24, 32, 64)
    ),
    "coarse-plain": DualBranchConfig(
        width=32, detail=0, decoder=(96, 64, 48, 32), enhancer=(96, 64, 48, 32), refine=()
    ),
    "resnet18": DualBranchConfig(width=64, decoder=_SLIM, enhancer=_SLIM, refine=()),
    "tiny": DualBranchConfig(
        width=8, blocks=(1, 1, 1, 1), detail=4, decoder=(8, 8, 8, 8, 4), enhancer=(8, 8, 8, 8, 4), refine=(4, 8)
    ),
}
"""``standard`` is the default; ``plain`` the same without refinement; ``light`` a third of its operations, and ``slim``
the same without refinement; ``coarse`` ends at cells of two pixels, so that a step of training on a CPU takes half of
``light``'s time, and ``coarse-plain`` the same without refinement; ``resnet18`` the source's full width, whose encoder
takes published weights; ``tiny`` is for tests of the mechanics."""

REFINED = {"plain": "standard", "slim": "light", "coarse-plain": "coarse"}
"""Presets without refinement, and the same with it."""

PresetName = Literal["standard", "plain", "light", "slim", "coarse", "coarse-plain", "resnet18", "tiny"]

DUAL_BRANCH = {
    name: Architecture(name="dual_branch", config=config.model_dump(mode="json"))
    for name, config in DUAL_BRANCH_PRESETS.items()
}
"""The same presets as an untrained network's card states them, the default first."""
