"""The deblurring network: a shared trunk, a classifier of the blur on it, and n parallel encoder-decoders.

Enters: pictures. Leaves: what blur they have, and the picture restored by the sub-model for that blur, with the error
to be expected of every pixel. Next: `wsipipe.deblur.network` routes with it, `wsipipe.train.deblur` fits it.

After CN 111462010 A: an encoder-decoder (input layer, encoder, decoder, prediction layer) of n parallel sub-models,
each for one or several of the blurs. Ours (the source leaves them open): the trunk that they share; the classifier on
it, which also sees the picture's mean power spectrum, where motion and defocus leave their zeros; a sub-model also sees
the picture filtered by Wiener's rule for the estimated blur (Dong et al., *Deep Wiener Deconvolution*, 2020), so that
it need not learn to invert what is known; a residual output; no normalisation (which would see the tile) but a batch
norm of the spectrum. Works at half resolution: 2 x 2 pixels are moved into channels.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wsipipe.models import blur_kernel, blur_spectrum
from wsipipe.models.blur_kernel import Blurs
from wsipipe.models.blur_spectrum import Fitted
from wsipipe.models.card import Card
from wsipipe.models.deblur_config import KINDS, DeblurConfig

BLOCK, STRIDE = 64, 32
"""Side of the blocks of the mean power spectrum, and the step between them."""
DECIDED_BY = 12
"""What the kind is decided by: the classifier's logits (4), how well each kind fits the spectrum (4), levels (4)."""
FLOOR = 1e-7
"""Least power: of a picture's rounding to 8 bit, about a tenth of it."""
SLIGHT_PX = (1.75, 2.2)
"""Radii of defocus: up to the first the classifier's counts as much as the fit's, from the second on it does not."""
MULTIPLE = 8
"""Sides that are no multiple of this are padded by repeating the edge, and the answer is cropped."""


class Estimate(NamedTuple):
    """What the classifier says of N pictures.

    ``kind`` (N, 4) logits of `KINDS`; ``length``, ``radius`` (N,) px; ``turn`` (N, 2) cosine and sine of twice the
    direction, of any length; ``log_levels`` (N, 2) the logarithms that the first two are of.
    """

    kind: Tensor
    length: Tensor
    radius: Tensor
    turn: Tensor
    log_levels: Tensor

    @property
    def direction(self) -> Tensor:
        """Radians, 0 along x towards y, over half a turn."""
        return torch.atan2(self.turn[:, 1], self.turn[:, 0]) / 2


class Restored(NamedTuple):
    """A restored picture (N, 3, y, x), sRGB from 0 to 1, not clipped; and log of the error to expect, (N, 1, y, x)."""

    picture: Tensor
    log_error: Tensor


class Block(nn.Module):
    """Two 3x3 convolutions whose result is added to their input."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)
        nn.init.kaiming_normal_(self.first.weight, nonlinearity="relu")
        nn.init.normal_(self.second.weight, std=0.1 / math.sqrt(9 * channels))

    def forward(self, own: Tensor) -> Tensor:
        """Same shape."""
        return own + torch.as_tensor(self.second(F.relu(self.first(own), inplace=True)))


def blocks(channels: int, count: int) -> nn.Sequential:
    """`count` blocks."""
    return nn.Sequential(*(Block(channels) for _ in range(count)))


class Classifier(nn.Module):
    """Kind, levels and direction of the blur, from the trunk's map and the picture's mean power spectrum."""

    def __init__(self, config: DeblurConfig) -> None:
        super().__init__()
        a, b, _ = config.channels
        self.see = nn.Sequential(
            nn.Conv2d(a, b, 3, stride=2, padding=1), nn.ReLU(), nn.Conv2d(b, b, 3, stride=2, padding=1), nn.ReLU()
        )
        bands = BLOCK * (BLOCK // 2 + 1)
        self.norm = nn.BatchNorm1d(bands, momentum=0.05)
        self.spectrum = nn.Linear(bands, config.hidden)
        self.hidden = nn.Linear(config.hidden + 2 * b, config.hidden)
        self.answer = nn.Linear(config.hidden, len(KINDS) + 4)
        self.drop = nn.Dropout(0.1)

    def forward(self, picture: Tensor, trunk: Tensor) -> Estimate:
        """Of pictures (N, 3, y, x) and the trunk's maps of them."""
        seen = self.see(trunk).float()
        pooled = torch.cat([seen.mean(dim=(2, 3)), seen.std(dim=(2, 3))], dim=1)
        with torch.autocast(picture.device.type, enabled=False):
            power = self.drop(self.norm(log_spectrum(picture)))
            both = torch.cat([F.relu(self.spectrum(power)), pooled], dim=1)
            said = self.answer(F.relu(self.hidden(both)))
        levels = said[:, 4:6] + torch.tensor([math.log(9.0), math.log(3.0)], device=said.device)
        levels = levels.clamp(-1.0, math.log(40.0))
        return Estimate(said[:, :4], levels[:, 0].exp(), levels[:, 1].exp().clamp(max=20.0), said[:, 6:8], levels)


class SubNetwork(nn.Module):
    """One encoder-decoder, from the trunk's map and the filtered pictures to the correction of the input."""

    def __init__(self, config: DeblurConfig) -> None:
        super().__init__()
        a, b, c = config.channels
        filtered = 12 * len(config.noise)
        self.enter = nn.Conv2d(a + filtered, a, 3, padding=1)
        self.first = blocks(a, config.encoder[0])
        self.down_1, self.second = nn.Conv2d(a, b, 2, 2), blocks(b, config.encoder[1])
        self.down_2, self.third = nn.Conv2d(b, c, 2, 2), blocks(c, config.encoder[2])
        self.up_2, self.fourth = nn.Conv2d(c, b, 1), blocks(b, config.decoder[1])
        self.up_1, self.fifth = nn.Conv2d(b, a, 1), blocks(a, config.decoder[0])
        self.predict = nn.Conv2d(a, 16, 3, padding=1)
        self.take = nn.Conv2d(filtered, 12, 1, bias=False)
        nn.init.normal_(self.predict.weight, std=1e-3)
        nn.init.zeros_(self.take.weight)
        with torch.no_grad():  # it begins as the filter that assumes most noise
            self.predict.bias[:] = 0  # type: ignore[index]  # there is one
            self.take.weight[:, -12:, 0, 0] = torch.eye(12)

    def forward(self, trunk: Tensor, filtered: Tensor) -> Tensor:
        """(N, 16, y / 2, x / 2): a correction of 12 values, 4 logarithms of errors."""
        fine = self.first(F.relu(self.enter(torch.cat([trunk, filtered], dim=1))))
        middle = self.second(F.relu(self.down_1(fine)))
        coarse = self.third(F.relu(self.down_2(middle)))
        middle = self.fourth(middle + F.interpolate(self.up_2(coarse), scale_factor=2.0, mode="nearest"))
        fine = self.fifth(fine + F.interpolate(self.up_1(middle), scale_factor=2.0, mode="nearest"))
        said = torch.as_tensor(self.predict(F.relu(fine))).float()
        return torch.cat([said[:, :12] + self.take(filtered).float(), said[:, 12:] - 4.0], dim=1)


class DeblurNet(nn.Module):
    """The network; see the module's docstring for its form and `DeblurConfig` for its settings.

    Pictures are sRGB, (N, 3, height, width) float32 from 0 to 1; `padded` makes their sides fit.
    """

    def __init__(self, config: DeblurConfig) -> None:
        super().__init__()
        self.config = config
        self.enter = nn.Conv2d(12, config.channels[0], 3, padding=1)
        self.trunk = blocks(config.channels[0], config.trunk)
        self.classifier = Classifier(config)
        self.submodels = nn.ModuleList(SubNetwork(config) for _ in config.submodels)
        self.decide = nn.Linear(DECIDED_BY, len(KINDS)).requires_grad_(requires_grad=False)
        nn.init.zeros_(self.decide.bias)
        nn.init.eye_(self.decide.weight)

    def look(self, picture: Tensor) -> Tensor:
        """The trunk's map, at half resolution."""
        return torch.as_tensor(self.trunk(F.relu(self.enter(folded_pixels(picture - 0.5)))))

    def estimate(self, picture: Tensor, trunk: Tensor) -> Estimate:
        """What blur the pictures have."""
        estimate: Estimate = self.classifier(picture, trunk)
        return estimate

    def judge(self, picture: Tensor, trunk: Tensor) -> tuple[Tensor, Blurs]:
        """Logits of the kinds (4,), and the blur that each kind would be (4 blurs), of one picture (1, 3, y, x)."""
        fitted, estimate = blur_spectrum.fit(picture), self.estimate(picture, trunk)
        return self.decide(evidence(estimate, fitted)), settled(fitted.blurs, estimate)

    def restore(self, picture: Tensor, trunk: Tensor, blurs: Blurs, submodel: int) -> Restored:
        """The pictures by one sub-model, given their blurs."""
        with torch.autocast(picture.device.type, enabled=False):
            light = blur_kernel.wiener(blur_kernel.linear(picture), blurs, self.config.noise)
            shift = blur_kernel.coded(light) - picture.repeat(1, len(self.config.noise), 1, 1)
        # folded filter by filter, so that the last twelve channels are those of the last filter
        filtered = torch.cat([folded_pixels(one) for one in torch.split(shift, 3, dim=1)], dim=1)
        said = self.submodels[submodel](trunk, filtered)
        correction = F.pixel_shuffle(said[:, :12], 2)
        return Restored(picture + correction, F.pixel_shuffle(said[:, 12:], 2).clamp(-9.0, 0.0))


def evidence(estimate: Estimate, fitted: Fitted) -> Tensor:
    """What the kind of one picture is decided by, (DECIDED_BY,) float32."""
    blurs = fitted.blurs
    levels = torch.stack([blurs.length[1], blurs.radius[2], blurs.length[3], blurs.radius[3]])
    return torch.cat([estimate.kind[0].float(), torch.log(fitted.loss), torch.log(levels)])


def settled(blurs: Blurs, estimate: Estimate) -> Blurs:
    """The fitted blurs, the slightest defocus moved towards what the classifier says.

    A disk's transfer function has its first zero at 0.61 / radius cycles per pixel. Below about 2 px it lies where
    noise hides it, and the fit alone cannot tell a slight defocus from a picture that was soft before.
    """
    lowest, highest = SLIGHT_PX
    share = 0.5 * ((math.log(highest) - torch.log(blurs.radius)) / math.log(highest / lowest)).clamp(0, 1)
    moved = blurs.radius ** (1 - share) * estimate.radius**share
    defocused = (blurs.radius > 0) & (blurs.length == 0)
    return blurs._replace(radius=torch.where(defocused, moved, blurs.radius))


def folded_pixels(picture: Tensor) -> Tensor:
    """2 x 2 pixels in channels, in channels-last memory."""
    return F.pixel_unshuffle(picture, 2).contiguous(memory_format=torch.channels_last)


def padded(picture: Tensor) -> Tensor:
    """Pictures whose sides are multiples of `MULTIPLE` and hold a block of the spectrum; the edge is repeated."""
    over = [max(BLOCK, math.ceil(side / MULTIPLE) * MULTIPLE) - side for side in picture.shape[-2:]]
    return F.pad(picture, (0, over[1], 0, over[0]), mode="replicate") if any(over) else picture


def log_spectrum(picture: Tensor) -> Tensor:
    """Logarithm of the mean power of overlapping, windowed blocks of the green channel, less its own mean.

    Parameters
    ----------
    picture : (N, 3, height, width) float32
        Sides of 64 px or more.

    Returns
    -------
    (N, 64 * 33) float32
        Block by block the mean is taken off, so glass counts for nothing.
    """
    green = picture[:, 1]
    cells = green.unfold(1, BLOCK, STRIDE).unfold(2, BLOCK, STRIDE)
    cells = cells - cells.mean(dim=(-2, -1), keepdim=True)
    window = torch.hann_window(BLOCK, device=picture.device)
    power = torch.fft.rfft2(cells * window[:, None] * window[None, :], norm="ortho").abs().square().mean(dim=(1, 2))
    logarithm = torch.log(power.flatten(1) + FLOOR)
    return logarithm - logarithm.mean(dim=1, keepdim=True)


def build(card: Card) -> DeblurNet:
    """The untrained network of a card."""
    from wsipipe.models.architecture import settings

    return DeblurNet(settings(card.architecture, "deblur", DeblurConfig))
