"""The report of a training: learning curves, confusion, ROC, calibration, the worst mistakes, and one page of text.

Enters: the history, and what the network says of validation and test. Leaves: PNG pictures, ``scores.json`` and
``README.md`` in a folder. Next: people.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

from wsipipe.models.card import CATEGORIES
from wsipipe.train.metric import calibration, confusion, roc, summary

NAMES = [name.replace("_", " ") for name in CATEGORIES]
THUMB_PX = 224
Labels = NDArray[np.integer[Any]]
Floats = NDArray[np.floating[Any]]


def write_report(
    folder: Path,
    history: Sequence[Mapping[str, float]],
    said: Mapping[str, tuple[Labels, Floats]],
    scores: Mapping[str, Mapping[str, float]],
) -> None:
    """Pictures and numbers of a classification.

    Parameters
    ----------
    folder : Path
        Made where it is not there.
    history : sequence of mappings
        One per epoch; ``train_...`` are losses.
    said : mapping
        Split to (true labels (N,), probabilities (N, 4)).
    scores : mapping
        Split to measures by name.
    """
    folder.mkdir(parents=True, exist_ok=True)
    _save(folder / "curves.png", _curves(history))
    for split, (truth, prob) in said.items():
        _save(folder / f"{split}.png", _classified(truth, prob))
    (folder / "scores.json").write_text(json.dumps(scores, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    (folder / "README.md").write_text(_page(history, said, scores), encoding="utf-8")


def worst_sheet(
    path: Path,
    pictures: Sequence[NDArray[np.uint8]],
    captions: Sequence[str],
    *,
    masks: Sequence[tuple[NDArray[np.bool_], NDArray[np.bool_]]] = (),
    columns: int = 6,
) -> None:
    """A contact sheet: each picture with its caption; true lesion outlined in green, said lesion in yellow.

    Parameters
    ----------
    pictures : sequence of (y, x, 3) uint8
    captions : sequence of str
        Two lines at most.
    masks : sequence of (true, said) bool
        One pair per picture, or none.
    """
    cells = []
    for number, (rgb, text) in enumerate(zip(pictures, captions, strict=True)):
        seen = np.array(rgb)  # a copy: tiles are memory-mapped
        for mask, colour in zip(masks[number] if masks else (), ((0, 160, 60), (240, 200, 0)), strict=False):
            contours, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
            cv2.drawContours(seen, contours, -1, colour, 5)
        cells.append(_cell(seen, text))
    rows = -(-len(cells) // columns)
    blank = np.full((THUMB_PX + 40, THUMB_PX, 3), 255, np.uint8)
    cells += [blank] * (rows * columns - len(cells))
    sheet = [np.concatenate(cells[row * columns : (row + 1) * columns], axis=1) for row in range(rows)]
    if sheet:
        cv2.imwrite(str(path), np.concatenate(sheet)[..., ::-1])


def worst_rows(truth: Labels, prob: Floats, *, most: int = 24) -> NDArray[np.int64]:
    """Rows in which the true category has the least probability, worst first; only wrong ones."""
    wrong = np.flatnonzero(prob.argmax(axis=1) != truth)
    return np.asarray(wrong[np.argsort(prob[wrong, truth[wrong]], kind="stable")][:most], np.int64)


def _cell(rgb: NDArray[np.uint8], text: str) -> NDArray[np.uint8]:
    small = cv2.resize(rgb, (THUMB_PX - 4, THUMB_PX - 4), interpolation=cv2.INTER_AREA)
    cell = np.full((THUMB_PX + 40, THUMB_PX, 3), 255, np.uint8)
    cell[2 : THUMB_PX - 2, 2 : THUMB_PX - 2] = small
    for row, line in enumerate(text.split("\n")[:2]):
        cv2.putText(cell, line, (4, THUMB_PX + 14 + 18 * row), cv2.FONT_HERSHEY_SIMPLEX, 0.4, (0, 0, 0), 1, cv2.LINE_AA)
    return cell


def _curves(history: Sequence[Mapping[str, float]]) -> Figure:
    figure = Figure(figsize=(10, 3.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    epochs = [row["epoch"] for row in history]
    for axes, names in ((left, _named(history, losses=True)), (right, _named(history, losses=False))):
        for name in names:
            axes.plot(epochs, [row.get(name, np.nan) for row in history], marker=".", label=name)
        axes.set_xlabel("epoch")
        axes.grid(alpha=0.3)
        if names:
            axes.legend(fontsize=7)
    left.set_title("losses")
    right.set_title("validation")
    right.set_ylim(0, 1.02)
    return figure


def _named(history: Sequence[Mapping[str, float]], *, losses: bool) -> list[str]:
    names = history[-1] if history else {}
    if losses:
        return [name for name in names if name.startswith("train_") or name == "log_loss"]
    return [name for name in names if name in ("score", "macro_f1", "accuracy", "auc", "dice", "dice_tile", "ece")]


def _classified(truth: Labels, prob: Floats) -> Figure:
    figure = Figure(figsize=(12, 4), layout="constrained")
    matrix, curve, calibrated = figure.subplots(1, 3)
    _draw_confusion(matrix, confusion(truth, prob))
    for name, (rate, hit, area) in roc(truth, prob).items():
        curve.plot(rate, hit, label=f"{name.replace('_', ' ')} {area:.3f}")
    curve.plot([0, 1], [0, 1], color="0.7", linewidth=0.8)
    curve.set(xlabel="false positive rate", ylabel="true positive rate", title="ROC, one against the rest")
    if curve.get_legend_handles_labels()[0]:
        curve.legend(fontsize=7)
    found = calibration(truth, prob)
    calibrated.plot([0, 1], [0, 1], color="0.7", linewidth=0.8)
    calibrated.plot(found.confidence, found.right, marker="o")
    calibrated.set(xlabel="mean confidence", ylabel="share right", title=f"calibration, ECE {found.ece:.3f}")
    return figure


def _draw_confusion(axes: Axes, matrix: NDArray[np.int64]) -> None:
    share = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
    for (row, column), number in np.ndenumerate(matrix):
        axes.text(
            column, row, str(number), ha="center", va="center", color="white" if share[row, column] > 0.6 else "black"
        )
    axes.set_xticks(range(len(NAMES)), NAMES, rotation=30, fontsize=7)
    axes.set_yticks(range(len(NAMES)), NAMES, fontsize=7)
    axes.set(xlabel="said", ylabel="true", title="confusion")


def _save(path: Path, figure: Figure) -> None:
    figure.set_canvas(FigureCanvasAgg(figure))
    figure.savefig(path, format="png", dpi=100)


def _page(
    history: Sequence[Mapping[str, float]],
    said: Mapping[str, tuple[Labels, Floats]],
    scores: Mapping[str, Mapping[str, float]],
) -> str:
    lines = ["# Training report", "", f"{len(history)} epochs. ![curves](curves.png)", ""]
    for split, (truth, prob) in said.items():
        told = summary(truth, prob) | dict(scores.get(split, {}))
        numbers = ", ".join(f"{name} {value:.4f}" for name, value in told.items())
        lines += [f"## {split}", "", f"{len(truth)} examples: {numbers}.", "", f"![{split}]({split}.png)", ""]
    return "\n".join(lines)
