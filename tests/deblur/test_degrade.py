"""Blur by paths and disks: kernels sum to one, a delta changes nothing, torch makes the same kernels."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from wsipipe.deblur import defocus, light, motion
from wsipipe.deblur.blur import Blur
from wsipipe.deblur.degrade import Camera, degrade, versions
from wsipipe.deblur.degrade import blur as convolve
from wsipipe.errors import ConfigError
from wsipipe.models import blur_kernel

PATHS = [
    motion.Motion(5.0), motion.Motion(9.0, 37.0), motion.Motion(15.0, 90.0, acceleration=0.8),
    motion.Motion(12.0, 140.0, turn_deg=60.0), motion.Motion(20.0, 10.0, speed=0.0, acceleration=2.0, turn_deg=-90.0),
]  # fmt: skip


def picture(height: int = 60, width: int = 70, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def middle(kernel: np.ndarray) -> tuple[float, float]:
    offset = np.arange(len(kernel)) - len(kernel) // 2
    return float((kernel.sum(axis=1) * offset).sum()), float((kernel.sum(axis=0) * offset).sum())


@pytest.mark.parametrize("path", PATHS)
def test_kernels_sum_to_one_about_their_middle(path: motion.Motion) -> None:
    kernel = motion.kernel(path)
    assert kernel.min() >= 0
    assert kernel.sum() == pytest.approx(1, abs=1e-12)
    assert middle(kernel) == pytest.approx((0, 0), abs=1e-9)


def test_a_straight_path_is_as_long_as_its_level_says() -> None:
    kernel = motion.kernel(motion.Motion(9.0))
    offset = np.arange(len(kernel)) - len(kernel) // 2
    along = float((kernel.sum(axis=0) * offset**2).sum())
    assert along == pytest.approx(9**2 / 12 + 1 / 6, rel=0.05)  # a line, spread over neighbouring pixels
    assert kernel[len(kernel) // 2].sum() == pytest.approx(1)
    assert np.allclose(motion.kernel(motion.Motion(9.0, 90.0)), kernel.T)


def test_a_hurrying_path_leaves_more_where_it_is_slow() -> None:
    kernel = motion.kernel(motion.Motion(15.0, speed=0.2, acceleration=2.0))[len(motion.kernel(PATHS[2])) // 2 - 1 :]
    row = motion.kernel(motion.Motion(15.0, speed=0.2, acceleration=2.0)).sum(axis=0)
    some = row[row > 1e-3]
    assert some[:3].sum() > 1.5 * some[-3:].sum()
    assert kernel.size


def test_m_kernels_in_one_call() -> None:
    motions, kernels = motion.kernels((5.0, 9.0, 15.0), (0.0, 45.0, 90.0, 135.0))
    assert len(motions) == len(kernels) == 12
    assert np.allclose(kernels.sum(axis=(1, 2)), 1)
    rgb = picture()
    assert versions(rgb, kernels[:3]).shape == (3, *rgb.shape)


@pytest.mark.parametrize("delta", [np.ones((1, 1)), motion.kernel(motion.Motion(0.0)), defocus.disk(0.0),
                                   defocus.gaussian(0.0), motion.kernel(motion.Motion(0.0), side=5)])  # fmt: skip
def test_a_delta_changes_nothing(delta: np.ndarray) -> None:
    rgb = picture()
    assert np.array_equal(degrade(rgb, delta, camera=Camera(noise=0)), rgb)


def test_every_grey_level_survives_light_and_back() -> None:
    levels = np.arange(256, dtype=np.uint8)
    assert np.array_equal(light.rounded(light.coded(light.linear(levels))), levels)


def test_blur_adds_up_in_light() -> None:
    """Half black, half white: the middle is half the light, 188 in sRGB, not 128."""
    rgb = np.zeros((9, 40, 3), np.uint8)
    rgb[:, ::2] = 255
    found = degrade(rgb, motion.kernel(motion.Motion(16.0)), camera=Camera(noise=0))[4, 12:28]
    assert abs(int(np.median(found)) - 188) <= 3


def test_small_and_large_kernels_are_convolved_alike() -> None:
    values = light.linear(picture())
    kernel = motion.kernel(motion.Motion(6.0, 30.0, acceleration=1.0), side=11)
    wide = np.pad(kernel, 2)
    assert np.allclose(convolve(values, kernel)[8:-8, 8:-8], convolve(values, wide)[8:-8, 8:-8], atol=1e-5)
    assert np.allclose(convolve(values[..., 0], wide), convolve(values, wide)[..., 0], atol=1e-6)


def test_torch_makes_the_same_kernels() -> None:
    straight = [one for one in PATHS if one.speed == 1.0]
    columns = [[getattr(one, name) for one in straight] for name in ("level_px", "direction_deg", "turn_deg")]
    length, direction, turn = (torch.tensor(column) for column in columns)
    hurry = torch.tensor([one.acceleration / (1 + one.acceleration / 2) for one in straight])
    none = torch.zeros_like(length)
    blurs = blur_kernel.Blurs(length, torch.deg2rad(direction), none, torch.deg2rad(turn), hurry, none > 0)
    for one, found in zip(straight, blur_kernel.motion_kernels(blurs), strict=True):
        assert np.abs(motion.kernel(one, side=blur_kernel.SIDE) - found.numpy()).max() < 2e-3
    radii = torch.tensor([0.0, 1.5, 3.0, 5.0])
    disks = blur_kernel.defocus_kernels(radii, radii < 0)
    bells = blur_kernel.defocus_kernels(radii, radii >= 0)
    for radius, disk, bell in zip(radii.tolist(), disks, bells, strict=True):
        assert np.allclose(defocus.disk(radius, side=blur_kernel.SIDE), disk.numpy(), atol=1e-6)
        assert np.allclose(defocus.gaussian(radius, side=blur_kernel.SIDE), bell.numpy(), atol=1e-6)


def test_both_blurs_one_after_the_other() -> None:
    both = Blur(9.0, 30.0, 3.0)
    assert both.kind == "both"
    assert both.extent_px == 9.0
    assert both.kernel().sum() == pytest.approx(1)
    assert Blur().kernel().tolist() == [[1.0]]
    assert [Blur(5.0).kind, Blur(0, 0, 2.0).kind, Blur().kind] == ["motion", "defocus", "sharp"]


def test_a_spread_is_measured_from_a_point_and_from_a_pair() -> None:
    truth = defocus.disk(3.0, side=15)
    point = np.full((61, 61), 0.1)
    point[30, 33] = 9.0
    seen = convolve(point.astype(np.float32), truth)
    assert np.abs(defocus.from_point(seen) - truth).max() < 0.01
    sharp = np.random.default_rng(0).random((128, 128)).astype(np.float32)
    assert np.abs(defocus.from_pair(sharp, convolve(sharp, truth)) - truth).max() < 0.01


def test_noise_is_seeded_and_as_strong_as_asked() -> None:
    rgb, delta = np.full((80, 80, 3), 128, np.uint8), np.ones((1, 1))
    one = degrade(rgb, delta, camera=Camera(noise=2.0), seed=3)
    assert np.array_equal(one, degrade(rgb, delta, camera=Camera(noise=2.0), seed=3))
    assert float((one.astype(float) - 128).std()) == pytest.approx(2.0, rel=0.1)
    assert float(degrade(rgb, delta, camera=Camera(noise=0, photons=1000)).std()) > 1
    assert not np.array_equal(degrade(rgb, delta, camera=Camera(jpeg=30)), one)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: motion.Motion(-1.0), lambda: motion.Motion(5.0, speed=-1.0), lambda: motion.Motion(float("nan")),
        lambda: motion.kernel(motion.Motion(9.0), side=4), lambda: defocus.disk(-1.0),
        lambda: defocus.disk(5.0, side=3), lambda: Camera(noise=-1), lambda: degrade(picture(), np.ones((3, 3))),
        lambda: degrade(picture()[..., 0], np.ones((1, 1))),
        lambda: degrade(picture().astype(np.uint16), np.ones((1, 1))),
        lambda: defocus.from_pair(np.zeros((9, 9)), np.zeros((9, 9))), lambda: defocus.from_point(np.zeros((30, 30))),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused(wrong: object) -> None:
    with pytest.raises(ConfigError):
        wrong()  # type: ignore[operator]
