"""How good an artery/vein segmentation is: counted as SYSTEMS.md 3.7 counts it.

Enters: a prediction and a label. Leaves: `Counts`. Next: `wsipipe.evaluate.retina` makes tables of it.

Which pixels count: those inside the field of view that the label calls artery or vein; crossings and uncertain pixels
are left out. *Mode S* takes of them those where the prediction has a vessel, *mode G* all. In both, sensitivity is the
share of arteries that are called arteries, specificity the share of veins that are called veins, accuracy the share of
both. S alone rewards finding few vessels, so S, G and vessel recall belong together. Vessel Dice, recall and clDice
(Shit et al., 2021) take artery, vein and crossing as one class.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from wsipipe.vessel.folder import Case
from wsipipe.vessel.label import ARTERY, BACKGROUND, CROSSING, VEIN
from wsipipe.vessel.path import topology_errors

Label = NDArray[np.uint8]
Mask = NDArray[np.bool_]
Map = NDArray[np.float32]

SMALLEST_PX, HOLE_PX, THRESHOLD = 100, 20, 0.5
"""Smaller parts of the vessel mask are removed, smaller holes filled, after a 3x3 closing."""
NOTE = (
    "Pixels counted: inside the field of view, labelled artery or vein; crossing or uncertain ones are left out. Mode "
    "S: of these, where the prediction has a vessel; mode G: all of them. Sen: arteries found, Spec: veins found."
)


@dataclass(frozen=True)
class Prediction:
    """What a program says of a picture.

    Attributes
    ----------
    vessel : (height, width) bool
        Where it sees a vessel, after `mask_of`.
    kind : (height, width) uint8
        1 artery or 2 vein at every pixel where it would say so, seen vessel or not; 0 where it says neither, which is
        counted as wrong.
    """

    vessel: Mask
    kind: Label


@dataclass(frozen=True)
class Counts:
    """Measures of one picture, shares of 1; NaN where nothing can be counted.

    Attributes
    ----------
    s_acc, s_sen, s_spec : float
        Mode S.
    g_acc, g_sen, g_spec : float
        Mode G.
    dice, recall, cldice : float
        Of the vessel mask.
    topology : float
        Share of wrong paths (`wsipipe.vessel.path`); NaN where it was not asked for.
    """

    s_acc: float
    s_sen: float
    s_spec: float
    g_acc: float
    g_sen: float
    g_spec: float
    dice: float
    recall: float
    cldice: float
    topology: float


def from_maps(probability: Map) -> Prediction:
    """A prediction from probabilities (3, height, width): artery, vein, all vessels."""
    kind = np.where(probability[0] >= probability[1], ARTERY, VEIN).astype(np.uint8)
    return Prediction(mask_of(probability[2] >= THRESHOLD), kind)


def from_label(label: Label, *, clean: bool = True) -> Prediction:
    """A prediction from a label; crossings are vessels of neither class, and outside of vessels nothing is said.

    `clean` puts the vessel mask through `mask_of`.
    """
    kind = np.where((label == ARTERY) | (label == VEIN), label, BACKGROUND).astype(np.uint8)
    vessel = label != BACKGROUND
    return Prediction(mask_of(vessel) if clean else vessel, kind)


def mask_of(vessel: Mask) -> Mask:
    """The vessel mask that is counted: parts under 100 px removed, 3x3 closing, holes under 20 px filled."""
    made = _without_small(vessel, SMALLEST_PX)
    made = cv2.morphologyEx(made.astype(np.uint8), cv2.MORPH_CLOSE, np.ones((3, 3), np.uint8)) > 0
    return ~_without_small(~made, HOLE_PX, connectivity=4)


def count(predicted: Prediction, case: Case, *, topology: bool = False, cldice: bool = True) -> Counts:
    """Count one picture.

    Parameters
    ----------
    predicted : Prediction
    case : Case
        Of the same size.
    topology : bool
        Also the share of wrong paths (0.3 s for a picture of DRIVE).
    cldice : bool
        Also clDice (0.05 s); NaN otherwise.
    """
    known = case.field & ((case.label == ARTERY) | (case.label == VEIN))
    seen, truth = predicted.vessel & case.field, (case.label != BACKGROUND) & case.field
    both = float((seen & truth).sum())
    return Counts(
        *_classes(predicted.kind, case.label, known & predicted.vessel),
        *_classes(predicted.kind, case.label, known),
        _ratio(2 * both, float(seen.sum() + truth.sum())),
        _ratio(both, float(truth.sum())),
        centreline_dice(seen, truth) if cldice else float("nan"),
        _wrong_paths(predicted, case) if topology else float("nan"),
    )


def centreline_dice(seen: Mask, truth: Mask) -> float:
    """ClDice: the harmonic mean of the share of each mask's skeleton that lies inside the other mask."""
    from skimage.morphology import skeletonize  # deferred: slow to import

    ours, theirs = skeletonize(seen), skeletonize(truth)
    precision, sensitivity = _ratio((ours & truth).sum(), ours.sum()), _ratio((theirs & seen).sum(), theirs.sum())
    return _ratio(2 * precision * sensitivity, precision + sensitivity)


def _classes(kind: Label, label: Label, where: Mask) -> tuple[float, float, float]:
    """Accuracy, sensitivity (arteries), specificity (veins) over some pixels."""
    said, truth = kind[where], label[where]
    artery, vein = truth == ARTERY, truth == VEIN
    right = said == truth
    return (
        _ratio(right.sum(), len(truth)),
        _ratio(right[artery].sum(), artery.sum()),
        _ratio(right[vein].sum(), vein.sum()),
    )


def _wrong_paths(predicted: Prediction, case: Case) -> float:
    """Mean over the two classes; what crosses belongs to both."""
    found = []
    for code in (ARTERY, VEIN):
        truth = ((case.label == code) | (case.label == CROSSING)) & case.field
        seen = predicted.vessel & case.field & ((predicted.kind == code) | (predicted.kind == BACKGROUND))
        found.append(topology_errors(truth, seen | (predicted.vessel & (case.label == CROSSING))))
    return float(np.nanmean(found)) if np.isfinite(found).any() else float("nan")


def _without_small(mask: Mask, smallest: int, *, connectivity: int = 8) -> Mask:
    _, parts, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=connectivity)
    large = stats[:, cv2.CC_STAT_AREA] >= smallest
    large[0] = False
    return np.asarray(large[parts], np.bool_)


def _ratio(part: float, whole: float) -> float:
    return float(part) / float(whole) if whole else float("nan")
