"""The last step of training: the kind is decided by the classifier and by how well each blur fits the spectrum.

Enters: a trained network, sharp pictures. Leaves: the network with its layer `decide` fitted (multinomial logistic
regression, all else as it was). Next: `wsipipe.train.deblur` saves it.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from wsipipe.models import blur_spectrum
from wsipipe.models.deblurring import DeblurNet, evidence
from wsipipe.models.device import Execution
from wsipipe.train.deblur_config import BlursSection
from wsipipe.train.deblur_degrade import RIM, every_way
from wsipipe.train.deblur_pictures import Pictures
from wsipipe.train.tiles import mixed

DECAY = 1e-3
ITERATIONS = 200


@torch.no_grad()
def gather(
    module: DeblurNet, pictures: Pictures, side: int, count: int, how: BlursSection, where: Execution, seed: int
) -> tuple[Tensor, Tensor]:
    """Evidence (4 * count, DECIDED_BY) and kinds of crops, each in the four ways."""
    generator = torch.Generator(where.device).manual_seed(seed)
    seen, kinds = [], []
    for _ in range(count):
        data = every_way(pictures.crops(1, side + 2 * RIM, generator), how, generator)
        for row in range(4):
            picture = data.seen[row : row + 1]
            with mixed(where):
                estimate = module.estimate(picture, module.look(picture))
            seen.append(evidence(estimate, blur_spectrum.fit(picture)))
            kinds.append(data.kind[row])
    return torch.stack(seen), torch.stack(kinds)


def decide(module: DeblurNet, seen: Tensor, kinds: Tensor) -> float:
    """Fit the layer; returns the share of these that it then gets right."""
    mean, std = seen.mean(dim=0), seen.std(dim=0).clamp(min=1e-3)
    weight = torch.zeros(4, seen.shape[1], device=seen.device, requires_grad=True)
    bias = torch.zeros(4, device=seen.device, requires_grad=True)
    given = (seen - mean) / std
    search = torch.optim.LBFGS([weight, bias], max_iter=ITERATIONS, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        search.zero_grad()
        loss = F.cross_entropy(given @ weight.T + bias, kinds) + DECAY * weight.square().sum()
        loss.backward()  # type: ignore[no-untyped-call]  # torch's stubs lack it
        return loss

    search.step(closure)  # type: ignore[no-untyped-call]  # torch's stubs lack it
    with torch.no_grad():
        module.decide.weight.copy_(weight / std)
        module.decide.bias.copy_(bias - weight @ (mean / std))
        return float((module.decide(seen).argmax(dim=1) == kinds).float().mean())
