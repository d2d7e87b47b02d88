"""`wsipipe phantom fundus`: made fundus pictures with exact trees of arteries and veins."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

EXAMPLES = (
    "Examples: `wsipipe phantom fundus fundus/ --pictures 20 --seed 1` · "
    "`wsipipe phantom fundus fundus/ -n 2 --height 2336 --width 3504`. "
    "The folder has images/, 1st_manual/ (0 background, 1 artery, 2 vein, 3 both), mask/, truth/ and fundus.csv."
)


def fundus(
    out: Annotated[Path, typer.Argument(help="Folder; made if missing.", show_default=False)],
    pictures: Annotated[int, typer.Option("--pictures", "-n", min=1, help="How many.")] = 4,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Same seed, same bytes.")] = 0,
    height: Annotated[int, typer.Option("--height", min=64, help="Pixels.")] = 584,
    width: Annotated[int, typer.Option("--width", min=64, help="Pixels; the field is 0.95 of it across.")] = 565,
    contact_sheet: Annotated[Path | None, typer.Option("--contact-sheet", help="Also a picture to look at.")] = None,
) -> None:
    """Make fundus pictures in the folder form of DRIVE, with the exact tree of each."""
    from PIL import Image  # deferred: --help stays quick

    from wsipipe.phantom import fundus as made

    listed = made.write_fundus(out, pictures, seed, size=(height, width))
    typer.echo(f"{pictures} pictures: {listed}")
    if contact_sheet:
        Image.fromarray(made.contact_sheet(seed)).save(contact_sheet)
        typer.echo(f"contact sheet: {contact_sheet}")
