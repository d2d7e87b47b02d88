"""`wsipipe phantom`: made pictures with exact truth."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from wsipipe.cli import phantom_fundus, phantom_microscope

EXAMPLES = (
    "Examples: `wsipipe phantom gastric slides/ --slides 8 --seed 1` · "
    "`wsipipe phantom gastric slides/ --slides 4 --regime shifted --contact-sheet sheet.jpg`. "
    "Each slide has its truth beside it (.truth.json, .truth.npz, .truth.geojson); slides.csv lists them."
)

app = typer.Typer(help="Make pictures with exact truth.", no_args_is_help=True, rich_markup_mode="markdown")


@app.command("gastric", epilog=EXAMPLES)
def gastric(
    out: Annotated[Path, typer.Argument(help="Folder; made if missing.", show_default=False)],
    slides: Annotated[int, typer.Option("--slides", "-n", min=1, help="How many; the four categories in turn.")] = 4,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Same seed, same bytes.")] = 0,
    regime: Annotated[str, typer.Option("--regime", help="train, val, test or shifted.")] = "test",
    size: Annotated[int | None, typer.Option("--size", help="Side at 0.5 um/px; default 4,096 to 6,000.")] = None,
    contact_sheet: Annotated[Path | None, typer.Option("--contact-sheet", help="Also a picture to look at.")] = None,
) -> None:
    """Make pyramidal slides of gastric mucosa with tissue, lesion, gland and nucleus truth."""
    from PIL import Image  # deferred: --help stays quick

    from wsipipe.phantom import cohort
    from wsipipe.phantom import contact_sheet as sheet

    listed = cohort(out, slides, seed, regime, size=size)
    typer.echo(f"{slides} slides: {listed}")
    if contact_sheet:
        Image.fromarray(sheet(seed, regime)).save(contact_sheet, quality=88)
        typer.echo(f"contact sheet: {contact_sheet}")


app.command("fundus", epilog=phantom_fundus.EXAMPLES)(phantom_fundus.fundus)
app.command("fields", epilog=phantom_microscope.FIELDS_EXAMPLES)(phantom_microscope.fields)
app.command("movie", epilog=phantom_microscope.MOVIE_EXAMPLES)(phantom_microscope.movie)
