"""`wsipipe deblur`: pictures and fields made sharper, one by one."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from wsipipe.deblur.blur import Blur
    from wsipipe.deblur.network import Deblurring
    from wsipipe.deblur.picture import Restoring

EXAMPLES = (
    "Examples: `wsipipe deblur field.png --out sharp/` · `wsipipe deblur fields/ --out sharp/ --method wiener` · "
    "`wsipipe deblur slide.svs --out sharp/ --blur 9,45,0` (motion of 9 px along 45 degrees, no defocus). "
    "Leaves NAME.png (NAME.tif from 60 Mpx on), NAME.before-after.png, NAME.error.png (8 steps for each grey level of "
    "error to expect) where the network worked, and deblur.csv. "
    "Exit codes: 0 all done, 2 wrong usage or weights, 3 some pictures could not be worked on."
)
WHOLE_PX = 60_000_000
"""Larger pictures are written as tiled pyramids, strip by strip."""
COLUMNS = (
    "picture", "result", "kind", "sharp_probability", "length_px", "direction_deg", "turn_deg", "radius_px",
    "fell_back", "expected_error_grey", "message",
)  # fmt: skip


def deblur(
    pictures: Annotated[list[str], typer.Argument(help="Pictures, slides, or folders of them.", show_default=False)],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder; made if missing.", show_default=False)],
    method: Annotated[
        str, typer.Option("--method", "-m", help="network, wiener, richardson_lucy or none.")
    ] = "network",
    weights: Annotated[str, typer.Option("--weights", help="Of the deblurring network: name or path.")] = (
        "microscope-deblur-v1"
    ),
    blur: Annotated[
        str | None, typer.Option("--blur", help="LENGTH,DIRECTION,RADIUS in px and degrees, where they are known.")
    ] = None,
    guard: Annotated[
        bool, typer.Option("--guard/--no-guard", help="Input where the result does not explain it.")
    ] = True,
    device: Annotated[str, typer.Option("--device", help="auto, cpu or cuda.")] = "auto",
    threads: Annotated[int, typer.Option("--threads", min=1, help="Threads of torch.")] = 1,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")] = False,
) -> None:
    """Restore blurred pictures; sharp ones pass unchanged."""
    from wsipipe.deblur.network import deblurring  # deferred: --help stays quick
    from wsipipe.deblur.picture import METHODS
    from wsipipe.errors import UsageError
    from wsipipe.slide.find import find_slides

    if method not in METHODS:
        raise UsageError(f"the method is one of {', '.join(METHODS)}, got {method!r}: correct it", subject="--method")
    known = _known(blur)
    if out.exists() and not out.is_dir():
        raise UsageError("--out is a folder, this is a file: give another path", subject=str(out))
    found = find_slides(pictures)
    route = deblurring(weights=weights, guard=guard, device=device, threads=threads)
    out.mkdir(parents=True, exist_ok=True)
    rows = list(_rows(found, out, method, known, route, quiet=quiet))
    _write(out / "deblur.csv", rows)
    failed = sum(bool(row["message"]) for row in rows)
    typer.echo(f"{len(rows) - failed} of {len(rows)} pictures done; {out / 'deblur.csv'}")
    if failed:
        raise typer.Exit(3)


def _rows(
    found: list[Path], out: Path, method: str, known: Blur | None, route: Deblurring, *, quiet: bool
) -> Iterator[dict[str, Any]]:
    """One row a picture; a picture that fails says so in its row and on stderr, and the others go on."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    from wsipipe.errors import SlideError

    console = Console(stderr=True, quiet=quiet)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
               TextColumn("ETA"), TimeRemainingColumn())  # fmt: skip
    names = _names(found)
    with Progress(*columns, console=console, disable=quiet or not console.is_terminal) as bar:
        everything = bar.add_task("pictures", total=len(found))
        tiles = bar.add_task("tiles")
        for number, path in enumerate(found):
            try:
                row = _one(path, out, names[number], method, known, route, bar, tiles)
            except SlideError as error:
                row = dict.fromkeys(COLUMNS, "") | {"picture": str(path), "message": str(error)}
                console.print(f"wsipipe: {error}", highlight=False, soft_wrap=True)
            else:
                console.print(f"{number + 1}/{len(found)} {path.name}: {_said(row)}", highlight=False, soft_wrap=True)
            bar.advance(everything)
            yield row


def _one(
    path: Path, out: Path, name: str, method: str, known: Blur | None, route: Deblurring, bar: Any, task: Any
) -> dict[str, Any]:
    from wsipipe.deblur.error_map import ErrorMap
    from wsipipe.deblur.picture import Restoring, check, look
    from wsipipe.slide import open_slide

    slide = open_slide(path)
    try:
        check(slide)
        estimated = look(slide, route) if known is None else None
        blur = known if known is not None else estimated.blur(route.sharp_below)  # type: ignore[union-attr]
        uncertain = ErrorMap(slide.info.shape) if method == "network" and blur.kind != "sharp" else None
        restoring = Restoring(slide, method, blur, route, map=uncertain)
        bar.reset(task, total=sum(map(len, restoring.boxes())), description=name[:30])
        result = _put(restoring, out, name, lambda: bar.advance(task))
    finally:
        slide.close()
    done = restoring.done
    return {
        "picture": str(path), "result": result.name, "kind": blur.kind,
        "sharp_probability": round(estimated.kind_prob[0], 4) if estimated else "",
        "length_px": round(blur.length_px, 2), "radius_px": round(blur.radius_px, 2),
        "direction_deg": round(blur.direction_deg, 1) if blur.length_px else "",
        "turn_deg": round(blur.turn_deg, 1) if blur.length_px else "",
        "fell_back": round(done.fell_back / max(1, done.pixels), 4),
        "expected_error_grey": round(done.error / max(1, done.pixels), 3), "message": "",
    }  # fmt: skip


def _put(restoring: Restoring, out: Path, name: str, told: Any) -> Path:
    """Write the result and the picture of before and after."""
    import cv2
    import numpy as np

    from wsipipe.deblur.picture import read_rgb
    from wsipipe.grid import Box
    from wsipipe.phantom.pyramid_file import write_pyramid

    height, width = restoring.slide.info.shape
    side = min(512, height, width)
    cut = Box((height - side) // 2, (width - side) // 2, side, side)
    before, after = read_rgb(restoring.slide, cut, restoring.plane), np.zeros((side, side, 3), np.uint8)

    def watched() -> Iterator[Any]:
        top = 0
        for strip in restoring.strips(told):
            rows = range(max(cut.y, top), min(cut.y1, top + len(strip)))
            if rows:
                after[rows.start - cut.y : rows.stop - cut.y] = strip[
                    rows.start - top : rows.stop - top, cut.x : cut.x1
                ]
            top += len(strip)
            yield strip

    if height * width < WHOLE_PX:
        path = out / f"{name}.png"
        cv2.imwrite(str(path), np.concatenate(list(watched()))[..., ::-1])
    else:
        path = out / f"{name}.tif"
        write_pyramid(path, watched(), (height, width), restoring.slide.info.mpp or 0.5, quality=95)
    cv2.imwrite(str(out / f"{name}.before-after.png"), np.hstack([before, after])[..., ::-1])
    if restoring.map is not None:
        cv2.imwrite(str(out / f"{name}.error.png"), restoring.map.steps)
    return path


def _known(text: str | None) -> Blur | None:
    from wsipipe.deblur.blur import Blur
    from wsipipe.errors import UsageError

    if text is None:
        return None
    try:
        length, direction, radius = (float(part) for part in text.split(","))
    except ValueError:
        length = direction = radius = -1.0
    if not 0 <= length <= 40 or not 0 <= radius <= 20:
        raise UsageError(
            f"a blur is LENGTH,DIRECTION,RADIUS with a length of 0 to 40 px and a radius of 0 to 20 px, got {text!r}: "
            "such as 9,45,0 for a motion",
            subject="--blur",
        )
    return Blur(length, direction % 180, radius)


def _names(found: list[Path]) -> list[str]:
    """A name for each result: the stem, numbered where two pictures share it."""
    stems = [path.stem for path in found]
    return [stem if stems.count(stem) == 1 else f"{number:04d}-{stem}" for number, stem in enumerate(stems, 1)]


def _said(row: dict[str, Any]) -> str:
    parts = [str(row["kind"])]
    parts += [f"length {row['length_px']} px at {row['direction_deg']} degrees"] if row["length_px"] else []
    parts += [f"turning by {row['turn_deg']} degrees"] if row["turn_deg"] else []
    parts += [f"radius {row['radius_px']} px"] if row["radius_px"] else []
    parts += [f"{row['fell_back']:.1%} fell back to the input"] if row["fell_back"] else []
    return ", ".join(parts)


def _write(path: Path, rows: list[dict[str, Any]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
