"""`wsipipe evaluate vessel-measures`: how exact the measures are, on made trees."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from wsipipe.errors import UsageError

EXAMPLES = (
    "Examples: `wsipipe evaluate vessel-measures` · `wsipipe evaluate vessel-measures --pictures 20 --out tables/`. "
    "Needs no data: pictures and their trees are made from seeds."
)


def vessel_measures(
    pictures: Annotated[int, typer.Option("--pictures", "-n", min=1, help="Made pictures.")] = 12,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of the first picture.")] = 1000,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Folder for the tables (md, csv, json).")] = None,
) -> None:
    """Calibre, tortuosity, fractal dimension, CRAE and CRVE against known trees; topology repair with and without."""
    from wsipipe.evaluate import vessel_measures as measured  # deferred: --help stays quick

    names = ("vessel-measures", "fractal-dimension", "topology-repair")
    for name, table in zip(names, measured.tables(range(seed, seed + pictures)), strict=True):
        table.show()
        if out:
            table.write(out, name)


SEAMS = (
    "Examples: `wsipipe evaluate vessel-seams --weights retina-av-v3` · "
    "`wsipipe evaluate vessel-seams images/ --weights w.safetensors --tile 256`. Without pictures, made ones."
)


def vessel_seams(
    weights: Annotated[str, typer.Option("--weights", help="Name or path of a .safetensors.", show_default=False)],
    pictures: Annotated[list[Path] | None, typer.Argument(help="Fundus pictures, or folders of them.")] = None,
    tile: Annotated[int, typer.Option("--tile", min=64, help="Side of a tile, px.")] = 256,
    most: Annotated[int, typer.Option("--most", min=1, help="Pictures at most.")] = 3,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Folder for the table (md, csv, json).")] = None,
) -> None:
    """The spliced probability map against that of the whole picture in one pass, over halos."""
    from wsipipe.evaluate.vessel_seams import seams
    from wsipipe.phantom import make_fundus

    shown = [rgb for path in pictures or () for rgb in _pictures(str(path), most)][:most]
    table = seams(shown or [make_fundus(seed).picture for seed in range(most)], weights, tile=tile)
    table.show()
    if out:
        table.write(out, "vessel-seams")


def _whole(slide: Any) -> Any:
    from wsipipe.grid import Box

    return Box(0, 0, *slide.info.shape)


QUALITY = (
    "Examples: `wsipipe evaluate vessel-quality` · "
    "`wsipipe evaluate vessel-quality drive=drive-av/images hrf=hrf-av/images --other glands=glands/images`. "
    "Made pictures, and these made worse, are always in the table."
)


def vessel_quality(
    fundus: Annotated[list[str] | None, typer.Argument(help="NAME=FOLDER of fundus pictures; repeatable.")] = None,
    other: Annotated[list[str] | None, typer.Option("--other", help="NAME=FOLDER of other pictures.")] = None,
    most: Annotated[int, typer.Option("--most", min=1, help="Pictures of a folder at most.")] = 20,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of the first made picture.")] = 1000,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Folder for the table (md, csv, json).")] = None,
) -> None:
    """The numbers behind the quality grade, on fundus pictures, on worse ones, and on pictures of other things."""
    from wsipipe.evaluate.vessel_quality import in_a_round_field, quality_table, worse
    from wsipipe.phantom import make_fundus

    made = [make_fundus(at).picture for at in range(seed, seed + min(most, 12))]
    kinds: dict[str, list[Any]] = {}
    for picture in made[:6]:
        for name, spoilt in worse(picture):
            kinds.setdefault(f"made, {name}", []).append(spoilt)
    others = [(name, _pictures(folder, most)) for name, folder in _named(other)]
    table = quality_table([
        *((name, _pictures(folder, most)) for name, folder in _named(fundus)), ("made", made), *kinds.items(), *others,
        *((f"{name}, in a round field", [in_a_round_field(one) for one in pictures]) for name, pictures in others),
    ])  # fmt: skip
    table.show()
    if out:
        table.write(out, "vessel-quality")


def _named(texts: list[str] | None) -> list[tuple[str, str]]:
    pairs = [text.partition("=") for text in texts or ()]
    if wrong := [name for name, equals, folder in pairs if not (equals and folder)]:
        raise UsageError(f"a set of pictures is NAME=FOLDER, got {wrong[0]!r}")
    return [(name, folder) for name, _, folder in pairs]


def _pictures(folder: str, most: int) -> list[Any]:
    """Pixels of at most so many pictures of a folder, evenly chosen, as RGB."""
    import numpy as np  # deferred: --help stays quick

    from wsipipe.slide import find_slides, open_slide

    paths = find_slides([folder])
    chosen = [paths[at] for at in np.unique(np.linspace(0, len(paths) - 1, min(most, len(paths))).astype(int))]
    found = [slide.read(_whole(slide), level=0) for slide in map(open_slide, chosen)]
    return [np.repeat(pixels, 3, axis=2) if pixels.shape[2] == 1 else pixels for pixels in found]
