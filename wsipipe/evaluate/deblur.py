"""The table of deblurring: gains per blur beside classical restoration that knows the kernel, routing, nuclei, speed.

Enters: cases, weights. Leaves: `Table`s and a picture of examples. Next: `wsipipe.cli.evaluate_deblur` prints
and writes them.

The oracle is the better of Wiener's filter and of Richardson and Lucy's iteration, in sRGB or in linear light, told the
true kernel; its method and setting are the best on the first `TUNED` cases of each row, which favours it. A wrong
kernel is half as long again and 20 degrees off (defocus: half as wide again).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import product

import numpy as np
from numpy.typing import NDArray

from wsipipe.deblur import classical
from wsipipe.deblur.blur import Blur
from wsipipe.deblur.network import Deblurring
from wsipipe.evaluate import deblur_cases as measure
from wsipipe.evaluate.deblur_cases import LENGTHS, RADII, Case, Row
from wsipipe.evaluate.interval import interval, mean
from wsipipe.evaluate.table import Table

Rgb = NDArray[np.uint8]
Kernel = NDArray[np.float64]
TUNED = 4
BALANCES, ITERATIONS = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0), (4, 10, 20, 40)
SPEED_PX = 1024
DIRECTION_DEG = 10.0


@dataclass(frozen=True, slots=True)
class Setting:
    """A classical method with its number, on light or on stored values."""

    method: str
    number: float
    in_light: bool

    def __str__(self) -> str:
        return f"{self.method} {self.number:g}{' in light' if self.in_light else ''}"

    def restore(self, seen: Rgb, kernel: Kernel) -> Rgb:
        """A picture by it."""
        if self.method == "Wiener":
            return classical.wiener(seen, kernel, balance=self.number, in_light=self.in_light)
        return classical.richardson_lucy(seen, kernel, iterations=int(self.number), in_light=self.in_light)


SETTINGS = tuple(
    Setting(method, number, in_light)
    for method, numbers in (("Wiener", BALANCES), ("Richardson-Lucy", ITERATIONS))
    for number, in_light in product(numbers, (False, True))
)


@dataclass
class Found:
    """What was measured of one row, an entry per case."""

    row: Row
    setting: Setting
    blurred: list[float] = field(default_factory=list)
    ours: list[float] = field(default_factory=list)
    oracle: list[float] = field(default_factory=list)
    wrong: list[float] = field(default_factory=list)
    ssim_ours: list[float] = field(default_factory=list)
    ssim_oracle: list[float] = field(default_factory=list)
    kind: list[bool] = field(default_factory=list)
    all_right: list[bool] = field(default_factory=list)
    angle: list[float] = field(default_factory=list)
    fell_back: list[float] = field(default_factory=list)
    nuclei: list[tuple[int, int, int]] = field(default_factory=list)
    nuclei_blurred: list[tuple[int, int, int]] = field(default_factory=list)
    error_gain: list[float] = field(default_factory=list)
    example: tuple[Rgb, ...] = ()


def measure_row(row: Row, cases: Sequence[Case], route: Deblurring, *, seed: int = 0) -> Found:
    """All cases under one blur."""
    found = Found(row, best_setting(row, cases[:TUNED], seed=seed))
    for case in cases:
        truth = row.truth(case.number)
        kernel = truth.kernel()
        seen = case.seen(kernel, seed=seed)
        done, said = route.restore(seen)
        assert said is not None
        oracle = found.setting.restore(seen, kernel)
        _pictures(found, case.sharp, seen, done.rgb, oracle)
        found.wrong.append(_gain(found.setting.restore(seen, wrong(truth).kernel()), seen, case.sharp))
        _routing(found, said.blur(route.sharp_below), truth)
        found.fell_back.append(done.fell_back)
        off = np.abs(done.rgb.astype(np.float32) - case.sharp).mean(axis=2)
        found.error_gain.append(_correlation(done.error, off))
        if not found.example:
            found.example = (seen, done.rgb, oracle, case.sharp)
    return found


def best_setting(row: Row, cases: Sequence[Case], *, seed: int) -> Setting:
    """The classical setting with the highest mean gain on some cases with the true kernel."""
    seen = [(case, row.truth(case.number).kernel()) for case in cases]
    pairs = [(case.seen(kernel, seed=seed), kernel, case.sharp) for case, kernel in seen]

    def score(setting: Setting) -> float:
        return float(np.mean([measure.psnr(setting.restore(rgb, kernel), sharp) for rgb, kernel, sharp in pairs]))

    return max(SETTINGS, key=score)


def wrong(truth: Blur) -> Blur:
    """The kernel that a wrong guess would take."""
    return Blur(1.5 * truth.length_px, (truth.direction_deg + 20) % 180, 1.5 * truth.radius_px, truth.turn_deg)


def gains(rows: Sequence[Found]) -> Table:
    """Decibels and SSIM per row, ours beside the oracle."""
    columns = (
        "blur", "rows", "PSNR blurred", "gain ours, dB", "gain oracle, dB", "ours - oracle, dB", "wrong kernel, dB",
        "SSIM gain ours", "SSIM gain oracle", "oracle", "fell back",
    )  # fmt: skip
    table = Table("Deblurring of held-out sharp pictures", columns)
    for one in rows:
        ours, oracle = np.array(one.ours), np.array(one.oracle)
        table.add(
            one.row.name, one.row.group, float(np.mean(one.blurred)), mean(ours), mean(oracle), mean(ours - oracle),
            mean(np.array(one.wrong)), mean(np.array(one.ssim_ours)), mean(np.array(one.ssim_oracle)),
            str(one.setting), float(np.mean(one.fell_back)),
        )  # fmt: skip
    table.notes += [
        f"{len(rows[0].ours)} crops; 95 % bootstrap intervals over crops (crops of one slide are not independent). "
        f"A rim of {measure.UNSCORED} px is not scored. Noise of one grey level, 8 bit.",
        "Oracle: the better of Wiener and Richardson-Lucy with the true kernel, setting chosen per row on "
        f"{TUNED} of these crops. Ours estimates the blur from the picture.",
    ]
    return table


def routing(rows: Sequence[Found], sharp: Sequence[tuple[float, bool]]) -> Table:
    """How often kind, level and direction are right, and what becomes of sharp pictures."""
    table = Table(
        "What the classifier says", ("blur", "kind right", "kind, level, direction right", "angle error, degrees")
    )
    stated = [one for one in rows if one.row.group == "stated"]
    for one in stated:
        angle = mean(np.array(one.angle)) if one.angle else None
        table.add(one.row.name, mean(np.array(one.kind, float)), mean(np.array(one.all_right, float)), angle)
    every, angles = (
        np.array([value for one in stated for value in getattr(one, name)], float) for name in ("all_right", "angle")
    )
    kinds = np.array([value for one in stated for value in one.kind], float)
    table.add("all of these", mean(kinds), mean(every), mean(angles))
    alarms = np.array([alarm for _, alarm in sharp], float)
    worst = min(value for value, _ in sharp)
    table.notes += [
        f"Sharp pictures (noise of one grey level): false alarms {mean(alarms)} of {len(sharp)}; PSNR of output "
        f"against input: {'unchanged, every byte,' if np.isinf(worst) else f'{worst:.1f} dB'} in the worst case, "
        f"{sum(np.isinf(value) for value, _ in sharp)} of {len(sharp)} unchanged.",
        "Level: the nearest of 5, 9, 15 px and of radii 1.5, 3, 5 px. Direction: within 10 degrees.",
    ]
    return table


def found_nuclei(rows: Sequence[Found]) -> Table:
    """F1 of nuclei after deblurring against those of the sharp original."""
    table = Table("Nuclei after deblurring against the sharp original", ("blur", "F1 blurred", "F1 ours", "nuclei"))
    for one in rows:
        if one.row.group == "stated" and one.row.length_px <= 9 and one.row.radius_px <= 3:
            blurred, ours = (np.array(pairs, float) for pairs in (one.nuclei_blurred, one.nuclei))
            table.add(one.row.name, interval(f1, blurred), interval(f1, ours), int(ours[:, 2].sum()))
    table.notes.append(
        "Detector: maxima of the Laplacian of a Gaussian (sigma "
        f"{measure.NUCLEUS_SIGMA:g} px) of haematoxylin's density after Ruifrok and Johnston, response from "
        f"{measure.NUCLEUS_LEAST:g} on; a match is within {measure.MATCH_PX:g} px, one to one."
    )
    return table


def f1(pairs: NDArray[np.float64]) -> float:
    """2 x matches / (detections + true ones), summed over cases."""
    hit, found, true = pairs.sum(axis=0)
    return float(2 * hit / (found + true)) if found + true else float("nan")


def sharp_route(cases: Sequence[Case], route: Deblurring, *, seed: int = 0) -> list[tuple[float, bool]]:
    """PSNR of output against input, and whether it was called blurred, for each sharp picture."""
    found = []
    for case in cases:
        seen = case.seen(np.ones((1, 1)), seed=seed)
        done, said = route.restore(seen)
        assert said is not None
        found.append((measure.psnr(done.rgb, seen), said.blur(route.sharp_below).kind != "sharp"))
    return found


def speed(route: Deblurring, *, clock: Callable[[], float] = time.process_time, rounds: int = 3) -> float:
    """Mpixel a second of one core through the whole route, blurred all over: estimate, restore, guard."""
    rng = np.random.default_rng(0)
    tile = rng.integers(0, 255, (SPEED_PX, SPEED_PX, 3), dtype=np.uint8)
    route.estimate(tile)
    route.restore(tile, Blur(9.0, 30.0, 3.0))
    began = clock()
    for _ in range(rounds):
        route.estimate(tile)
        route.restore(tile, Blur(9.0, 30.0, 3.0))
    return rounds * SPEED_PX**2 / 1e6 / (clock() - began)


def examples(rows: Sequence[Found], side: int = 200) -> Rgb:
    """Input, ours, oracle and truth of the first case of each row, one row of pictures each."""
    lines = []
    for one in rows:
        middle = (one.example[0].shape[0] - side) // 2
        cut = slice(middle, middle + side)
        lines.append(np.hstack([picture[cut, cut] for picture in one.example]))
    return np.vstack(lines)


def _pictures(found: Found, sharp: Rgb, seen: Rgb, ours: Rgb, oracle: Rgb) -> None:
    found.blurred.append(measure.psnr(seen, sharp))
    found.ours.append(_gain(ours, seen, sharp))
    found.oracle.append(_gain(oracle, seen, sharp))
    before = measure.ssim(seen, sharp)
    found.ssim_ours.append(measure.ssim(ours, sharp) - before)
    found.ssim_oracle.append(measure.ssim(oracle, sharp) - before)
    truth = measure.nuclei(sharp)
    found.nuclei.append(measure.matched(measure.nuclei(ours), truth))
    found.nuclei_blurred.append(measure.matched(measure.nuclei(seen), truth))


def _routing(found: Found, called: Blur, truth: Blur) -> None:
    kind = called.kind == truth.kind
    right = kind
    if truth.length_px and called.length_px:
        angle = measure.angle_off(called.direction_deg, truth.direction_deg)
        found.angle.append(angle)
        right = right and angle <= DIRECTION_DEG and _same(called.length_px, truth.length_px, LENGTHS)
    if truth.radius_px and called.radius_px:
        right = right and _same(called.radius_px, truth.radius_px, RADII)
    found.kind.append(kind)
    found.all_right.append(right)


def _same(value: float, truth: float, levels: Sequence[float]) -> bool:
    """Whether both are rounded to the same level."""
    return measure.nearest(value, levels) == measure.nearest(truth, levels)


def _gain(picture: Rgb, seen: Rgb, sharp: Rgb) -> float:
    return measure.psnr(picture, sharp) - measure.psnr(seen, sharp)


def _correlation(said: NDArray[np.float32], true: NDArray[np.float32]) -> float:
    """Of the error to expect with the true one, both averaged over 8 x 8 px; NaN where nothing was restored."""
    a, b = (_coarse(one) for one in (said, true))
    return float(np.corrcoef(a, b)[0, 1]) if a.std() > 0 and b.std() > 0 else float("nan")


def _coarse(values: NDArray[np.float32]) -> NDArray[np.float32]:
    height, width = (side // 8 * 8 for side in values.shape)
    cells = values[:height, :width].reshape(height // 8, 8, width // 8, 8)
    return np.asarray(cells.mean(axis=(1, 3)).ravel(), np.float32)
