"""What a network is, in numbers: the settings from which `wsipipe.models.vnet` builds it.

Enters: values from a card or a configuration file. Leaves: checked, frozen settings. This module does
not import torch: the planning process reads settings and cards without paying for it.
Next: `wsipipe.models.card`, `wsipipe.models.vnet`.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from wsipipe.errors import WeightsError

Count = Annotated[int, Field(ge=1, le=4096)]
Depth = Annotated[int, Field(ge=1, le=32)]
"""Bounds far above any network of this kind: a damaged card is refused before it makes a billion layers."""
Settings = TypeVar("Settings", bound=BaseModel)


class Architecture(BaseModel):
    """A network's kind (such as ``vnet``) and its settings as JSON values; what a card states."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    config: dict[str, Any]


class VNetConfig(BaseModel):
    """Settings of the segmentation-and-classification network (see `wsipipe.models.vnet`).

    Parameters
    ----------
    stem_stride : {1, 2, 4, 8}
        Tile pixels along one pixel of the finest level: the stem moves ``stride x stride`` pixels into
        channels. 1 is the classic, costly form.
    channels : tuple of int
        Channels of each level, finest first; every level halves the side. At least two levels.
    convs, decoder_convs : tuple of int
        3x3 convolutions of the encoder's and the decoder's layer of each level, finest first.
    pool : int
        The first feature map is pooled to ``pool x pool`` (mean and maximum) before the fully connected layers.
    hidden : int
        Width of the fully connected layer before the feature vector.
    features : int
        Length D of the tile's feature vector.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    stem_stride: Literal[1, 2, 4, 8] = 4
    channels: tuple[Count, ...] = (32, 48, 64, 96, 128)
    convs: tuple[Depth, ...] = (1, 2, 2, 2, 2)
    decoder_convs: tuple[Depth, ...] = (1, 1, 1, 1, 1)
    pool: Count = 2
    hidden: Count = 128
    features: Count = 64

    @model_validator(mode="after")
    def _levels_agree(self) -> Self:
        if len(self.channels) < 2 or not len(self.channels) == len(self.convs) == len(self.decoder_convs):
            raise ValueError("channels, convs and decoder_convs need one value per level, and two levels or more")
        return self

    @property
    def side_multiple(self) -> int:
        """Tile sides that are no multiple of this many pixels are padded, and the answer is cropped."""
        return int(self.stem_stride * 2 ** (len(self.channels) - 1))


VNET_PRESETS = {
    "light": VNetConfig(),
    "wide": VNetConfig(
        stem_stride=1, channels=(16, 32, 64, 128, 256), convs=(1, 2, 3, 3, 3), decoder_convs=(1, 2, 3, 3, 3)
    ),
    "tiny": VNetConfig(
        stem_stride=8, channels=(8, 16, 16), convs=(1, 1, 1), decoder_convs=(1, 1, 1), hidden=16, features=16
    ),
}
"""``light`` is the default; ``wide`` the classic form at full resolution; ``tiny`` is for tests of the mechanics."""

VNET = {name: Architecture(name="vnet", config=config.model_dump(mode="json")) for name, config in VNET_PRESETS.items()}
"""The same presets as an untrained network's card states them, the default first."""


def settings(architecture: Architecture, name: str, kind: type[Settings]) -> Settings:
    """The checked settings of an architecture that must be called `name`.

    Raises
    ------
    WeightsError
        Where the architecture is another one, or its settings are not those of `kind`.
    """
    if architecture.name != name:
        raise WeightsError(
            f"the weights are for a {architecture.name!r} network, this step needs {name!r}: "
            "give weights that were trained for this step"
        )
    try:
        return kind.model_validate(architecture.config)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "settings"
        raise WeightsError(
            f"the card's settings of the {name!r} network are wrong at {where} ({first['msg']}): "
            "use a card written by this version, or train again"
        ) from error
