"""The one place where files become tensors: safetensors with a JSON card beside it, found by name or path.

Enters: ``NAME.safetensors`` and ``NAME.json`` (from ``wsipipe/models/weights/`` or from anywhere). Leaves:
a card, statistics, a network. Nothing is ever unpickled. Torch is imported only by `load` and `save`:
finding, hashing and reading cards and statistics cost none of it. Next: a room's stage factory.
"""

from __future__ import annotations

import difflib
import hashlib
import os
import reprlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError
from safetensors import SafetensorError, safe_open

from wsipipe.errors import WeightsError
from wsipipe.models.architecture import Architecture
from wsipipe.models.card import Card, FeatureStatistics, untrained

if TYPE_CHECKING:
    from torch import nn

Network = TypeVar("Network", bound="nn.Module")

FOLDER = Path(__file__).with_name("weights")
"""Weights that ship with the package."""

PREFIX = "statistics."
"""Tensors whose names start so belong to the gate, not to the network."""


@dataclass(frozen=True)
class WeightsFile:
    """Weights that were found: their checked card, and the file (None for an untrained network)."""

    card: Card
    path: Path | None = None

    @property
    def sha256(self) -> str:
        """Of the file; of architecture and seed for an untrained network. 64 hex digits."""
        return self.card.sha256

    def check(self, sha256: str) -> WeightsFile:
        """Itself, if it is what a stage was planned with (an empty `sha256` asks for nothing).

        Raises
        ------
        WeightsError
            Where the weights changed between planning and loading.
        """
        if sha256 and sha256 != self.sha256:
            raise WeightsError(
                f"the run was planned with weights of sha256 {sha256[:12]}, found {self.sha256[:12]}: "
                "put the planned weights back, or start a new run",
                subject=self.card.name,
            )
        return self


def find(name_or_path: str | Path, presets: Mapping[str, Architecture] | None = None) -> WeightsFile:
    """The weights of that name or path, with card and sha256 checked.

    Parameters
    ----------
    name_or_path : str or Path
        A path (it ends in ``.safetensors``, or names a folder), the name of weights that ship with the
        package, or ``untrained[:SEED[:PRESET]]``.
    presets : mapping, optional
        The architectures that ``untrained`` may stand for, the default first; without it untrained
        weights are unknown.

    Raises
    ------
    WeightsError
        Where there is no such file or card, or the file is not the one that the card describes.
    """
    name = str(name_or_path)
    if presets and name.split(":", maxsplit=1)[0] == "untrained":
        return WeightsFile(_untrained(name, presets))
    path = _path(name)
    card = read_card(path)
    found = hash_file(path)
    if found != card.sha256:
        raise WeightsError(
            f"the weights' sha256 is {found[:12]}, their card says {card.sha256[:12] or 'nothing'}: "
            "the file is damaged or the card is of other weights; copy both again, or train again",
            subject=path.name,
        )
    return WeightsFile(card, path)


def read_card(path: Path) -> Card:
    """The card beside the weights file `path`.

    Raises
    ------
    WeightsError
        Where it is missing or is no card.
    """
    beside = path.with_suffix(".json")
    try:
        return Card.model_validate_json(beside.read_bytes())
    except OSError as error:
        raise WeightsError(
            f"weights need a card beside them, {beside.name} cannot be read ({error.strerror}): "
            "copy it next to the safetensors file",
            subject=path.name,
        ) from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the file"
        raise WeightsError(
            f"the card {beside.name} is wrong at {where} ({first['msg']}): use the card that came with the weights",
            subject=path.name,
        ) from error


def hash_file(path: Path) -> str:
    """sha256 of a file, 64 hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def statistics(file: WeightsFile) -> FeatureStatistics | None:
    """Where the training tiles' feature vectors lie; None where the weights say nothing of it."""
    if file.path is None:
        return None
    with _decoding(file.path), safe_open(file.path, framework="np") as stored:
        if not {PREFIX + "means", PREFIX + "precision"} <= set(stored.keys()):
            return None
        means, precision = (stored.get_tensor(PREFIX + name) for name in ("means", "precision"))
    return FeatureStatistics(np.asarray(means, np.float64), np.asarray(precision, np.float64))


def load(file: WeightsFile, build: Callable[[Card], Network]) -> Network:
    """The network, in evaluation mode, on the CPU.

    Parameters
    ----------
    file : WeightsFile
        From `find`.
    build : callable
        Makes the untrained network of a card; raises WeightsError for an architecture that is not its own.

    Raises
    ------
    WeightsError
        Where the architecture differs, tensors are missing, too many or of another shape, or the file
        cannot be decoded.
    """
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(_seed(file.card))
        module = build(file.card)
    if file.path is not None:
        tensors = _tensors(file.path)
        _compare(module.state_dict(), tensors, file.card.name)
        module.load_state_dict(tensors)
    return module.eval()


def _seed(card: Card) -> int:
    """What an untrained network's random weights are drawn from."""
    seed = card.made.get("seed", 0)
    if type(seed) is not int or not 0 <= seed < 2**63:
        raise WeightsError(
            f"reading the card: made.seed is a whole number from 0, got {reprlib.repr(seed)}; correct the card",
            subject=card.name,
        )
    return seed


def save(path: Path, module: nn.Module, card: Card, *, known: FeatureStatistics | None = None) -> Card:
    """Write weights and card side by side, each whole or not at all; equal networks give equal bytes.

    Parameters
    ----------
    path : Path
        ``NAME.safetensors``; the card becomes ``NAME.json``.
    module : torch.nn.Module
        Its state dict is stored, on the CPU, in its own dtypes.
    card : Card
        Without sha256 and parameters, which are filled in.
    known : FeatureStatistics, optional
        Stored in the same file, so the card's sha256 covers them.

    Returns
    -------
    Card
        As written.

    Raises
    ------
    WeightsError
        Where they cannot be written; weights that stood there before are kept.
    """
    from safetensors.torch import save as encode

    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in module.state_dict().items()}
    data = encode(tensors | _statistics_tensors(known))
    learned = sum(tensor.numel() for tensor in module.parameters())
    card = card.model_copy(update={"sha256": hashlib.sha256(data).hexdigest(), "parameters": learned})
    parts = {path: data, path.with_suffix(".json"): card.model_dump_json(indent=2).encode() + b"\n"}
    _write(parts)
    return card


def _untrained(name: str, presets: Mapping[str, Architecture]) -> Card:
    try:
        return untrained(name, presets)
    except ValueError as error:
        raise WeightsError(
            f"untrained weights are named untrained[:SEED[:PRESET]] with a seed of 0 or more and a preset of "
            f"{', '.join(presets)}, got {name!r}: correct the name"
        ) from error


def _path(name: str) -> Path:
    path = Path(name)
    is_path = path.suffix == ".safetensors" or len(path.parts) > 1
    path = path if is_path else FOLDER / f"{name}.safetensors"
    if path.is_file():
        return path
    if is_path:
        raise WeightsError("there is no such weights file: check the path", subject=name)
    shipped = sorted(file.stem for file in FOLDER.glob("*.safetensors"))
    near = difflib.get_close_matches(name, shipped, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"shipped are: {', '.join(shipped) or 'none'}"
    raise WeightsError(f"no weights of this name ship with the package ({hint}): give a name or a path", subject=name)


def _tensors(path: Path) -> dict[str, Any]:
    from safetensors.torch import load_file

    with _decoding(path):
        tensors = load_file(path)
    return {name: tensor for name, tensor in tensors.items() if not name.startswith(PREFIX)}


@contextmanager
def _decoding(path: Path) -> Iterator[None]:
    try:
        yield
    except SafetensorError as error:
        raise WeightsError(
            f"the file is no readable safetensors ({error}): copy it again, or train again", subject=path.name
        ) from error


def _compare(wanted: Mapping[str, Any], stored: Mapping[str, Any], name: str) -> None:
    missing, surplus = sorted(wanted.keys() - stored.keys()), sorted(stored.keys() - wanted.keys())
    other = sorted(key for key in wanted.keys() & stored.keys() if wanted[key].shape != stored[key].shape)
    wrong = [
        f"{len(keys)} {what} (first: {keys[0]})"
        for what, keys in (("missing", missing), ("unknown", surplus), ("of another shape", other))
        if keys
    ]
    if wrong:
        raise WeightsError(
            f"the tensors are not those of the card's architecture: {', '.join(wrong)}: "
            "use the card that came with the weights, or train again",
            subject=name,
        )


def _statistics_tensors(known: FeatureStatistics | None) -> dict[str, Any]:
    import torch

    arrays: dict[str, NDArray[np.float64]] = (
        {} if known is None else {"means": known.means, "precision": known.precision}
    )
    return {PREFIX + name: torch.from_numpy(np.array(array, np.float64)) for name, array in arrays.items()}


def _write(parts: Mapping[Path, bytes]) -> None:
    partial = {path: path.with_name(f"{path.name}.{os.getpid()}.partial") for path in parts}
    try:
        for path, data in parts.items():
            with partial[path].open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
        for path in parts:
            partial[path].replace(path)
    except OSError as error:
        raise WeightsError(
            f"weights and card cannot be written ({error.strerror}): free space or choose another folder",
            subject=next(iter(parts)).name,
        ) from error
    finally:
        for rest in partial.values():
            rest.unlink(missing_ok=True)
