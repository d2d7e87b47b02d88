"""The peers' engines with a network that only averages, called as their users call them, without worker processes.

Enters: nothing. Leaves: functions of a slide and a folder that return how many tiles were worked on. Next:
`wsipipe.bench.engine` times them.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

Engine = Callable[[Path, Path], int]
MPP, TILE, BATCH, MIN_TISSUE = 0.5, 512, 8, 0.70
"""Of every engine; PatchPredictor takes no share of tissue and works on every tile that touches any."""


def tiatoolbox() -> Engine:
    """PatchPredictor with its own tissue mask, writing Zarr."""
    import torch
    from tiatoolbox.models.engine.patch_predictor import PatchPredictor
    from tiatoolbox.models.models_abc import ModelABC
    from tiatoolbox.wsicore.wsireader import WSIReader

    class Mean(ModelABC):  # type: ignore[misc]  # TIAToolbox carries no annotations
        """Mean colours as probabilities; counts the tiles that it is given."""

        seen = 0

        def forward(self, images: Any) -> Any:
            return images.float().mean(dim=(1, 2))

        @staticmethod
        def infer_batch(model: Any, batch_data: Any, *, device: str) -> Any:
            model.seen += len(batch_data)
            with torch.inference_mode():
                return torch.softmax(model(torch.as_tensor(batch_data).to(device)), dim=1).numpy()

    def run(path: Path, folder: Path) -> int:
        reader: Any = WSIReader.open(path)
        mask = reader.tissue_mask(method="otsu", resolution=16 * MPP, units="mpp")
        network = Mean()
        predictor = PatchPredictor(model=network, batch_size=BATCH, num_workers=0, verbose=False)
        predictor.run(
            images=[path], masks=[mask], patch_mode=False, save_dir=folder / "out", output_type="zarr",
            input_resolutions=[{"resolution": MPP, "units": "mpp"}], patch_input_shape=(TILE, TILE),
            stride_shape=(TILE, TILE), return_probabilities=True,
        )  # fmt: skip
        return network.seen

    return run


def lazyslide() -> Engine:
    """Tissues, tiles and feature extraction, written to its store."""
    import lazyslide
    import torch

    class Mean(torch.nn.Module):
        """Mean colours as features."""

        def forward(self, images: Any) -> Any:
            return images.float().mean(dim=(2, 3))

    def run(path: Path, folder: Path) -> int:
        slide = lazyslide.open_wsi(str(path), store=str(folder / "slide.zarr"))
        lazyslide.pp.find_tissues(slide)
        lazyslide.pp.tile_tissues(slide, TILE, mpp=MPP, slide_mpp=MPP, background_fraction=1 - MIN_TISSUE)
        lazyslide.tl.feature_extraction(
            slide, Mean(), model_name="mean", device="cpu", batch_size=BATCH, num_workers=0, pbar=False,
            transform=lambda picture: torch.from_numpy(picture.copy()).permute(2, 0, 1),
        )  # fmt: skip
        slide.write()
        return len(slide.shapes["tiles"])

    return run
