"""Retinal arteries and veins, counted on clean and degraded pictures; the same ruler for other programs' PNG files.

Enters: labelled cases, a network or a folder of predictions. Leaves: `Record`: one per picture, condition and way of
answering, and tables of them. Next: `wsipipe.cli.evaluate_retina` prints them.

Pictures are degraded and segmented at the working scale and counted at the label's own. The published seeds of
`wsipipe.vessel.degrade`, the picture's name and the kind say what is drawn, so everybody counts the same pictures.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from wsipipe.errors import SlideError, UsageError
from wsipipe.vessel.colour import AS_IS, STANDARD, alike
from wsipipe.vessel.count import Counts, Prediction, count, from_label, from_maps
from wsipipe.vessel.degrade import HARDER, KINDS, SEEDS, degraded
from wsipipe.vessel.folder import Case, read_label, read_picture
from wsipipe.vessel.label import CROSSING
from wsipipe.vessel.network import VesselNetwork, predict
from wsipipe.vessel.skeleton import graph
from wsipipe.vessel.topology import repair

Map = NDArray[np.float32]
CLEAN = "clean"
CONDITIONS = (CLEAN, *KINDS, *HARDER)
PLAIN, REPAIRED = "network", "with topology repair"
Segment = Callable[[NDArray[np.uint8]], Map]


@dataclass(frozen=True)
class Record:
    """One picture under one condition, counted.

    Attributes
    ----------
    picture, condition, way : str
        The picture's name; ``clean`` or a kind of degradation; how it was answered (`PLAIN`, `REPAIRED`, ...).
    seed : int
        Of the degradation.
    counts : Counts
    seconds : float
        Of the network (and the repair) for this picture; NaN for other programs' predictions.
    """

    picture: str
    condition: str
    way: str
    seed: int
    counts: Counts
    seconds: float


@dataclass(frozen=True)
class Asked:
    """What is counted: conditions, seeds, whether also with topology repair and wrong paths."""

    conditions: Sequence[str] = CONDITIONS
    seeds: Sequence[int] = SEEDS
    repaired: bool = True
    topology: bool = True
    cldice: bool = True

    def __post_init__(self) -> None:
        strange = [one for one in self.conditions if one not in CONDITIONS]
        if strange or not self.conditions or not self.seeds:
            raise UsageError(
                f"conditions are {', '.join(CONDITIONS)}, and one or more seeds are needed; got {strange}: correct it"
            )


@dataclass(frozen=True)
class Shown:
    """What a network is shown: a case's picture at the working scale under one condition."""

    case: Case
    picture: NDArray[np.uint8]
    condition: str
    seed: int


def shown(cases: Iterable[Case], asked: Asked) -> Iterator[Shown]:
    """All pictures that are asked, case after case."""
    for case in cases:
        work = case.working()
        for condition, seed in _draws(asked):
            yield Shown(case, _seen(work, condition, seed)[0], condition, seed)


def evaluate(
    pictures: Iterable[Shown], segment: Segment, asked: Asked, *, told: Callable[[str], None] = lambda _: None
) -> list[Record]:
    """Count a network.

    Parameters
    ----------
    pictures : iterable of Shown
        From `shown`.
    segment : callable
        From a picture (height, width, 3) uint8 at the working scale to probabilities (3, height, width).
    asked : Asked
    told : callable
        Gets the name of each case when it begins.
    """
    records: list[Record] = []
    for one in pictures:
        if not records or records[-1].picture != one.case.name:
            told(one.case.name)
        records += _answered(one, segment, asked)
    return records


def by_network(network: VesselNetwork, *, colour: str = STANDARD) -> Segment:
    """The network as `evaluate` takes it; loaded and warmed before the first picture is timed.

    `colour` says whether pictures are given the network's colours first, as a run does it (`wsipipe.vessel.colour`).
    """
    predict(network, np.zeros((64, 64, 3), np.uint8))
    card = network.file.card
    if colour == AS_IS:
        return lambda picture: predict(network, picture)
    return lambda picture: predict(network, alike(picture, card.mean, card.std))


def evaluate_folder(cases: Iterable[Case], folder: Path, asked: Asked) -> list[Record]:
    """Count another program's predictions by the same ruler.

    Parameters
    ----------
    cases : iterable of Case
    folder : Path
        ``NAME.png`` for the clean pictures, or one folder per condition (``clean/NAME.png``, ``blur/NAME.png``; see
        `export`). One channel, or the label's colours, is a label (see `wsipipe.vessel.folder`): mode G then counts
        what it leaves out as wrong. Any other colours are probabilities of 0 to 255: red artery, green all vessels,
        blue vein.
    asked : Asked
        Its seeds are not used.

    Raises
    ------
    UsageError
        Where a prediction is missing.
    SlideError
        Where a prediction has another size than its picture.
    """
    parts = [one for one in asked.conditions if (folder / one).is_dir()]
    places = {one: folder / one for one in parts} or {CLEAN: folder}
    return [
        Record(case.name, condition, folder.name, 0, _counted(_read(place, case), case, asked), float("nan"))
        for case in cases
        for condition, place in places.items()
    ]


def export(cases: Iterable[Case], folder: Path, asked: Asked) -> int:
    """Write the pictures that are counted, for other programs: ``CONDITION/NAME.png`` and ``record.json``.

    Returns
    -------
    int
        Pictures written. They are at the working scale; only the first seed is used.
    """
    drawn: list[dict[str, Any]] = []
    for case in cases:
        work = case.working()
        for condition in asked.conditions:
            picture, record = _seen(work, condition, asked.seeds[0])
            (folder / condition).mkdir(parents=True, exist_ok=True)
            Image.fromarray(picture).save(folder / condition / f"{case.name}.png")
            drawn.append({"picture": case.name, **record})
    (folder / "record.json").write_text(json.dumps(drawn, indent=1) + "\n", encoding="utf-8")
    return len(drawn)


def as_json(records: Sequence[Record]) -> list[dict[str, Any]]:
    """Records as JSON values, measures beside the names."""
    return [{**asdict(one), "counts": None} | asdict(one.counts) | {"counts": None} for one in records]


def from_json(rows: Iterable[dict[str, Any]]) -> list[Record]:
    """Records of what `as_json` gave."""
    fields = Counts.__dataclass_fields__
    return [
        Record(
            row["picture"], row["condition"], row["way"], row["seed"], Counts(**{name: row[name] for name in fields}),
            row["seconds"],
        )
        for row in rows
    ]  # fmt: skip


def _draws(asked: Asked) -> list[tuple[str, int]]:
    """Conditions and seeds; the clean picture once."""
    return [
        (condition, seed)
        for condition in asked.conditions
        for seed in (asked.seeds[:1] if condition == CLEAN else asked.seeds)
    ]


def _seen(work: Case, condition: str, seed: int) -> tuple[NDArray[np.uint8], dict[str, Any]]:
    if condition == CLEAN:
        return work.picture, {"kind": CLEAN}
    return degraded(work.picture, work.field, name=work.name, kind=condition, seed=seed)


def _answered(one: Shown, segment: Segment, asked: Asked) -> list[Record]:
    began = time.perf_counter()
    probability = segment(one.picture)
    seconds, case = time.perf_counter() - began, one.case
    size = case.label.shape
    whole = probability if probability.shape[1:] == size else _enlarged(probability, size)
    plain = from_maps(whole)

    def record(way: str, predicted: Prediction) -> Record:
        return Record(case.name, one.condition, way, one.seed, _counted(predicted, case, asked), seconds)

    found = [record(PLAIN, plain)]
    if asked.repaired:
        began = time.perf_counter()
        better = repaired(plain, whole, case)
        seconds += time.perf_counter() - began
        found.append(record(REPAIRED, better))
    return found


def repaired(plain: Prediction, probability: Map, case: Case) -> Prediction:
    """The same vessel mask with the classes that `wsipipe.vessel.topology.repair` gives; unseen vessels keep theirs."""
    label = np.where(plain.vessel & case.field, plain.kind, 0).astype(np.uint8)
    made = repair(probability, label, graph(label > 0)).label
    return Prediction(plain.vessel, np.where((made > 0) & (made != CROSSING), made, plain.kind).astype(np.uint8))


def _enlarged(probability: Map, size: tuple[int, ...]) -> Map:
    return np.stack([cv2.resize(one, size[::-1], interpolation=cv2.INTER_LINEAR) for one in probability])


def _counted(predicted: Prediction, case: Case, asked: Asked) -> Counts:
    return count(predicted, case, topology=asked.topology, cldice=asked.cldice)


def _read(folder: Path, case: Case) -> Prediction:
    path = folder / f"{case.name}.png"
    if not path.is_file():
        raise UsageError(
            "counting predictions: one PNG per picture is needed, this is missing: add it", subject=str(path)
        )
    try:
        made, size = from_label(label := read_label(path)), label.shape
    except SlideError:
        maps = np.asarray(read_picture(path)[..., (0, 2, 1)].transpose(2, 0, 1) / 255, np.float32)
        made, size = from_maps(maps), maps.shape[1:]
    if size != case.label.shape:
        raise SlideError(
            f"counting predictions: the picture is {case.label.shape[1]}x{case.label.shape[0]} px, the prediction "
            f"{size[1]}x{size[0]}: bring it to the picture's size",
            subject=str(path),
        )
    return made
