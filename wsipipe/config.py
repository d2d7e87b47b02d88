"""Configuration: YAML checked by pydantic before the first slide is opened.

Enters: a YAML file, ``--set a.b=c`` values. Leaves: a frozen, validated `Config` with every default filled in.
An unknown key is an error that names the nearest known one. The sections that several pipelines share are here;
each pipeline's own page says which it has.
"""

from __future__ import annotations

import difflib
import reprlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from wsipipe.errors import ConfigError

NOT_YAML = (yaml.YAMLError, ValueError, RecursionError)
"""What PyYAML raises: ValueError of a date such as 2026-13-01, RecursionError of brackets nested a thousand deep."""

_SHORT = reprlib.Repr()  # a few lines of aliases stand for gigabytes once they are written out
_SHORT.maxlevel = 2
_SHORT.maxstring = _SHORT.maxother = _SHORT.maxlong = 120


class Config(BaseModel):
    """A frozen section: unknown keys, NaN and infinities are refused (JSON, and so a key, cannot hold the latter)."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True, allow_inf_nan=False)


Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]


class SlideSection(Config):
    """Which pixels of the file are worked on."""

    mpp_policy: Annotated[
        str, Field(pattern=r"^(error|skip|assume:[0-9.]+)$", description="what a missing or absurd mpp means")
    ] = "error"
    plane: Annotated[int, Field(ge=0, description="focal plane, field or frame")] = 0
    icc: Annotated[Literal["record", "ignore", "apply"], Field(description="what the file's ICC profile is for")] = (
        "record"
    )
    damaged: Annotated[
        Literal["mask", "fail"], Field(description="native tiles that cannot be decoded: white and recorded, or fail")
    ] = "mask"


class TileSection(Config):
    """The grid of the working frame."""

    size: Annotated[int, Field(ge=64, le=4096, multiple_of=16, description="side of a tile, px")] = 512
    mpp: Annotated[float, Field(ge=0.05, le=20, description="working resolution, micrometres per pixel")] = 0.5
    min_tissue: Annotated[Share, Field(description="first threshold: tissue area / tile area, equality keeps")] = 0.70
    unit: Annotated[int, Field(ge=1, le=32, description="tiles along the side of a unit of work")] = 8


class TissueSection(Config):
    """The tissue mask."""

    method: Annotated[Literal["otsu", "per_tile"], Field(description="one threshold a slide, or one a tile")] = "otsu"
    scale: Annotated[
        Literal[4, 8, 16, 32], Field(description="working px per mask px; the share is counted at mpp x scale")
    ] = 16
    overview_px: Annotated[int, Field(ge=256, le=8192, description="longer side of the overview, px")] = 2048


class StainSection(Config):
    """Stain normalisation, fitted once per slide."""

    method: Annotated[
        Literal["macenko", "vahadane", "reinhard", "ruifrok", "none"], Field(description="how stains are found")
    ] = "macenko"
    backend: Annotated[
        Literal["wsipipe", "staintools", "tiatoolbox"], Field(description="whose extractor fits; apply is ours")
    ] = "wsipipe"
    reference: Annotated[str, Field(description="'default' or the path of a picture to look like")] = "default"
    sample_tiles: Annotated[int, Field(ge=1, le=512, description="kept tiles that the fit looks at")] = 16
    nonnegative: Annotated[bool, Field(description="concentrations clipped at zero, as staintools does")] = False


class DeblurSection(Config):
    """The optional deblur step, between stain and network."""

    method: Annotated[
        Literal["none", "wiener", "richardson_lucy", "network"], Field(description="how; network estimates the blur")
    ] = "none"
    weights: Annotated[str, Field(description="of `network`: name of shipped weights, or a path")] = (
        "microscope-deblur-v1"
    )
    sigma_px: Annotated[Positive, Field(le=8, description="assumed Gaussian blur, working px")] = 1.0
    iterations: Annotated[int, Field(ge=1, le=50, description="of Richardson-Lucy")] = 8


class NetworkSection(Config):
    """How the tile network is run; all of it is part of the key."""

    weights: Annotated[str, Field(description="name of shipped weights, path of a .safetensors, or 'untrained'")]
    batch: Annotated[
        int, Field(ge=0, le=64, description="tiles per forward pass, the last is padded; 0: 2 on a CPU, 16 on a GPU")
    ] = 0
    dtype: Annotated[
        Literal["auto", "float32", "bfloat16"],
        Field(description="of the forward pass; auto: bfloat16 where the device multiplies it, else float32"),
    ] = "auto"
    memory_format: Annotated[Literal["channels_last", "contiguous"], Field(description="of activations")] = (
        "channels_last"
    )
    device: Annotated[Literal["auto", "cpu", "cuda"], Field(description="auto takes a GPU where there is one")] = "auto"


C = TypeVar("C", bound=Config)


def load(kind: type[C], path: str | Path | None, sets: Iterable[str] = ()) -> C:
    """A checked configuration.

    Parameters
    ----------
    kind : type
        The pipeline's `Config`.
    path : path or None
        A YAML file; None takes all defaults.
    sets : iterable of str
        ``section.key=value`` texts, each value read as YAML; they win over the file.

    Raises
    ------
    ConfigError
        Where the file cannot be read, is not a mapping, has an unknown key or a value out of range.
    """
    values = _read(path) if path is not None else {}
    for text in sets:
        _set(values, text)
    return check(kind, values, subject=str(path or "configuration"))


def check(kind: type[C], values: Mapping[str, Any], *, subject: str = "configuration") -> C:
    """Validate a mapping. Raises ConfigError with one line per wrong value, joined by semicolons."""
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        raise ConfigError("; ".join(_explain(kind, item) for item in error.errors()), subject=subject) from None


def known_keys(kind: type[BaseModel], prefix: str = "") -> list[str]:
    """All dotted keys of a configuration, in the order in which they are declared."""
    found = []
    for name, info in kind.model_fields.items():
        inner = info.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            found += known_keys(inner, f"{prefix}{name}.")
        else:
            found.append(f"{prefix}{name}")
    return found


def _read(path: str | Path) -> dict[str, Any]:
    try:
        values = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"reading the configuration: {error}; give a readable YAML file", subject=str(path)) from None
    except NOT_YAML as error:
        told = " ".join(str(error).split())[:500]
        raise ConfigError(f"reading the configuration: not YAML ({told})", subject=str(path)) from None
    if values is not None and not isinstance(values, dict):
        raise ConfigError(
            f"reading the configuration: it is a mapping of sections, got a {type(values).__name__}", subject=str(path)
        )
    return values or {}


def _set(values: dict[str, Any], text: str) -> None:
    name, equals, value = text.partition("=")
    parts = name.strip().split(".")
    if not equals or not all(parts):
        raise ConfigError(f"--set takes section.key=value, got {text!r}", subject="--set")
    try:
        found = yaml.safe_load(value)
    except NOT_YAML:
        raise ConfigError(f"--set {name}: {value!r} is not a YAML value; quote it", subject="--set") from None
    for part in parts[:-1]:
        values = values.setdefault(part, {})
        if not isinstance(values, dict):
            raise ConfigError(f"--set {name}: {part!r} is a value, not a section", subject="--set")
    values[parts[-1]] = found


def _explain(kind: type[BaseModel], item: Any) -> str:
    name = ".".join(str(part) for part in item["loc"])
    if not name:  # a rule between several settings: its input is the whole configuration
        return str(item["msg"]).removeprefix("Value error, ")
    if item["type"] != "extra_forbidden":
        return f"{name}: {item['msg'].lower()}, got {_SHORT.repr(item['input'])}"
    known = known_keys(kind)
    sections = sorted({key.split(".")[0] for key in known})
    near = difflib.get_close_matches(name, [*known, *sections], n=1, cutoff=0.0)
    return f"{name}: no such setting; did you mean {near[0]}?" if near else f"{name}: no such setting"
