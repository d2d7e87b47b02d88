"""A stand-in for the network: dark lines of the green channel are vessels, veins where red is dark, too."""

from __future__ import annotations

import cv2
import numpy as np

from wsipipe.stage import RGB, Ref, Spec, Stage


def segment(*, halo: int = 0, enhance: bool = False, **_) -> Stage:
    ref = Ref("tests.vessel.dark_lines:segment", {"halo": halo, "enhance": enhance})
    outputs = [Spec("vessel", (3, None, None))]
    if enhance:
        outputs.append(Spec("enhanced", (None, None, 3), "uint8", scale=1))

    def fn(*, rgb):
        crop = slice(halo, -halo or None)
        made = {"vessel": np.stack([probabilities(tile) for tile in rgb])[:, :, crop, crop]}
        return made | ({"enhanced": rgb[:, crop, crop]} if enhance else {})

    return Stage(ref, "dark_lines", 1, (RGB,), tuple(outputs), fn, halo)


def probabilities(rgb: np.ndarray) -> np.ndarray:
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (15, 15))
    depth = []
    for channel in range(2):
        plane = cv2.GaussianBlur(rgb[..., channel].astype(np.float32), (0, 0), 0.8)
        closed = cv2.morphologyEx(plane, cv2.MORPH_CLOSE, kernel)
        depth.append((closed - plane) / np.maximum(closed, 20))
    vessel = 1 / (1 + np.exp(-(depth[1] - 0.13) / 0.02))
    red = cv2.GaussianBlur(depth[0], (0, 0), 1.5) / np.maximum(cv2.GaussianBlur(depth[1], (0, 0), 1.5), 0.05)
    vein = 1 / (1 + np.exp(-(red - 0.42) / 0.05))
    return np.stack([vessel * (1 - vein), vessel * vein, vessel]).astype(np.float32)
