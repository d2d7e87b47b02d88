"""`wsipipe track`: objects of a time series, linked and measured."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    import pandas as pd

EXAMPLES = (
    "Examples: `wsipipe track frames/ --out tracks.parquet --mpp 0.2 --seconds 0.5` · "
    "`wsipipe track cells.npz --labels cells.npz --out tracks.parquet --mpp 0.65 --seconds 300 --linker laptrack "
    "--divide`. Beside tracks.parquet: tracks.trajectories.csv (one row per track), tracks.png, tracks.gif."
)


def track(
    frames: Annotated[Path, typer.Argument(help="Folder of pictures, .npy or .npz.", show_default=False)],
    out: Annotated[Path, typer.Option("--out", "-o", help="Parquet to write.", show_default=False)],
    mpp: Annotated[float, typer.Option("--mpp", min=1e-6, help="Micrometres per pixel.", show_default=False)],
    seconds: Annotated[float, typer.Option("--seconds", min=1e-9, help="Per frame.", show_default=False)],
    labels: Annotated[Path | None, typer.Option("--labels", help="Segmented frames instead of detection.")] = None,
    sigma_px: Annotated[float, typer.Option("--sigma", min=0.5, help="Of the spots, pixels.")] = 2.0,
    threshold: Annotated[
        float | None, typer.Option("--threshold", help="Of the filter; default: from the noise.")
    ] = None,
    dark: Annotated[bool, typer.Option("--dark", help="Dark spots on bright ground.")] = False,
    reach_px: Annotated[float, typer.Option("--reach", min=0.1, help="From frame to frame, pixels.")] = 8.0,
    gap: Annotated[int, typer.Option("--gap", min=0, help="Frames that an object may not be seen.")] = 3,
    linker: Annotated[str, typer.Option("--linker", help="trackpy or laptrack.")] = "trackpy",
    divide: Annotated[bool, typer.Option("--divide", help="Objects divide and merge (laptrack).")] = False,
    deblur: Annotated[str, typer.Option("--deblur", help="none, wiener, richardson_lucy, network.")] = "none",
    least: Annotated[int, typer.Option("--least", min=1, help="Detections of a track that is kept.")] = 2,
) -> None:
    """Follow objects from frame to frame; speed, displacement, straightness, MSD and activity in um and seconds."""
    from wsipipe.errors import UsageError
    from wsipipe.slide.frames import read_frames  # deferred: --help stays quick
    from wsipipe.track.link import link

    if linker not in ("trackpy", "laptrack") or (divide and linker != "laptrack"):
        raise UsageError(f"--linker is trackpy or laptrack, --divide needs laptrack, got {linker!r}")
    movie = sharpened(read_frames(frames), deblur)
    found = detected(movie, labels, sigma_px=sigma_px, threshold=threshold, dark=dark)
    linked = link(found, reach_px=reach_px, gap=gap, method=linker, divide=divide)  # type: ignore[arg-type]
    linked = linked[linked.groupby("track")["track"].transform("size") >= least].reset_index(drop=True)
    leave(movie, linked, out, mpp=mpp, seconds=seconds)


def sharpened(movie: Any, method: str) -> Any:
    """Every frame deblurred alone."""
    import numpy as np

    if method == "none":
        return movie
    from wsipipe.deblur import restore
    from wsipipe.track.picture import shown

    if method == "network":
        from wsipipe.deblur.network import deblurring

        route = deblurring()
        return np.stack([route.restore(shown(frame))[0].rgb for frame in movie])
    stage = restore(method=method)  # type: ignore[arg-type]
    halo = [(stage.halo, stage.halo)] * 2 + [(0, 0)]
    cut = slice(stage.halo, -stage.halo or None)
    pads = (np.pad(shown(frame), halo, mode="reflect") for frame in movie)
    return np.stack([stage.fn(rgb=one[None])["rgb"][0][cut, cut] for one in pads])


def detected(movie: Any, labels: Path | None, *, sigma_px: float, threshold: float | None, dark: bool) -> pd.DataFrame:
    """One table of all frames."""
    import pandas as pd

    from wsipipe.slide.frames import read_frames
    from wsipipe.track.detect import labelled, spots

    if labels is not None:
        tables = [labelled(frame) for frame in read_frames(labels, name="labels" if labels.suffix == ".npz" else "")]
    else:
        greys = (frame if frame.ndim == 2 else frame[..., :3].mean(axis=2) for frame in movie)
        tables = [spots(grey, sigma_px=sigma_px, threshold=threshold, dark=dark) for grey in greys]
    found = [one.assign(frame=index) for index, one in enumerate(tables)]
    return pd.concat([one for one in found if len(one)] or found[:1], ignore_index=True)


def leave(movie: Any, linked: pd.DataFrame, out: Path, *, mpp: float, seconds: float) -> None:
    """Write the table, the measures and the pictures, and say so."""
    from PIL import Image

    from wsipipe.track.picture import movie as pictures
    from wsipipe.track.picture import over
    from wsipipe.track.trajectory import trajectories

    out.parent.mkdir(parents=True, exist_ok=True)
    measured = trajectories(linked, mpp=mpp, seconds=seconds)
    units = linked.assign(y_um=linked["y"] * mpp, x_um=linked["x"] * mpp, seconds=linked["frame"] * seconds)
    units.to_parquet(out, index=False)
    measured.to_csv(out.with_suffix(".trajectories.csv"), index=False, float_format="%.6g")
    Image.fromarray(over(movie[0], linked)).save(out.with_suffix(".png"))
    frames = [Image.fromarray(one) for one in pictures(list(movie), linked)]
    frames[0].save(out.with_suffix(".gif"), save_all=True, append_images=frames[1:], duration=120, loop=0)
    typer.echo(f"{len(linked)} detections in {len(measured)} tracks over {len(movie)} frames")
    if len(measured):
        typer.echo(f"median speed {measured['speed_um_s'].median():.4g} um/s, straightness "
                   f"{measured['straightness'].median():.3f}")  # fmt: skip
    typer.echo(f"tracks: {out}; measures: {out.with_suffix('.trajectories.csv')}; look at {out.with_suffix('.png')}")
