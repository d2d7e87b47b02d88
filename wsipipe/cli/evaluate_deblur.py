"""`wsipipe evaluate deblur`: restored pictures beside classical restoration that knows the kernel."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

EXAMPLES = (
    "Examples: `wsipipe evaluate deblur ../shared/data/histology/glands/images "
    "../shared/data/slides/tcga-cr-7395-01a-01-ts1.svs --out build/deblur-table` (held out from the shipped weights). "
    "Leaves gains, routing and nuclei as .md, .csv and .json, and examples.png (input, ours, oracle, truth)."
)


def deblur(
    pictures: Annotated[list[str], typer.Argument(help="Sharp pictures, slides, folders of them.", show_default=False)],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder; made if missing.", show_default=False)],
    weights: Annotated[str, typer.Option("--weights", help="Name or path.")] = "microscope-deblur-v1",
    crops: Annotated[int, typer.Option("--crops", min=1, help="Crops in all, shared evenly by the paths named.")] = 24,
    per_picture: Annotated[int, typer.Option("--per-picture", min=1, help="Crops of one picture or slide.")] = 8,
    side: Annotated[int, typer.Option("--side", min=96, help="Side of a crop, px.")] = 352,
    rows: Annotated[str, typer.Option("--rows", help="Only blurs whose name holds this text; '' takes all.")] = "",
    threads: Annotated[int, typer.Option("--threads", min=1, help="Threads of torch.")] = 1,
    device: Annotated[str, typer.Option("--device", help="auto, cpu or cuda.")] = "auto",
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of the noise.")] = 0,
) -> None:
    """Gains per blur with intervals, routing, nuclei, Mpixel/s."""
    import cv2  # deferred: --help stays quick
    from rich.console import Console

    from wsipipe.deblur.network import deblurring
    from wsipipe.errors import UsageError
    from wsipipe.evaluate import deblur as evaluation
    from wsipipe.evaluate.deblur_cases import ROWS, cases

    console = Console(stderr=True, highlight=False)
    wanted = [row for row in ROWS if rows in row.name]
    if not wanted:
        raise UsageError(
            f"no blur's name holds {rows!r}; they are {', '.join(row.name for row in ROWS)}", subject="--rows"
        )
    route = deblurring(weights=weights, device=device, threads=threads)
    drawn = cases(pictures, side=side, most=crops, per_source=per_picture)
    console.print(f"{len(drawn)} crops of {len({case.source for case in drawn})} pictures")
    found = []
    for row in wanted:
        found.append(evaluation.measure_row(row, drawn, route, seed=seed))
        console.print(f"{row.name}: ours {sum(found[-1].ours) / len(drawn):+.2f} dB, oracle "
                      f"{sum(found[-1].oracle) / len(drawn):+.2f} dB")  # fmt: skip
    gains = evaluation.gains(found)
    rate = evaluation.speed(route)
    gains.notes.append(f"{rate:.2f} Mpixel/s per core second ({route.how.dtype}, {threads} threads), whole route.")
    tables = {"gains": gains, "routing": evaluation.routing(found, evaluation.sharp_route(drawn, route, seed=seed)),
              "nuclei": evaluation.found_nuclei(found)}  # fmt: skip
    for name, table in tables.items():
        table.show()
        table.write(out, name)
    cv2.imwrite(str(out / "examples.png"), evaluation.examples(found)[..., ::-1])
    typer.echo(f"tables and examples: {out}")
