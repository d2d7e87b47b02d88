"""`wsipipe evaluate retina`: arteries and veins counted on clean and degraded pictures."""

from __future__ import annotations

import json
import resource
from pathlib import Path
from typing import Annotated

import typer

from wsipipe.errors import UsageError

EXAMPLES = (
    "Examples: `wsipipe evaluate retina --data ../shared/data/fundus/drive-av --weights retina-av-v3 --out build/r` · "
    "`wsipipe evaluate retina --data drive-av --predictions their-pngs` · "
    "`wsipipe evaluate retina --data drive-av --export poor/` writes the pictures that are counted, for other programs."
)

Data = Annotated[Path, typer.Option("--data", help="Folder with images/, 1st_manual/, mask/.", show_default=False)]
Labels = Annotated[Path | None, typer.Option("--labels", help="Folder of labels (or centre lines) elsewhere.")]
Weights = Annotated[str | None, typer.Option("--weights", help="Name or path; default those that ship.")]
Predictions = Annotated[
    Path | None, typer.Option("--predictions", help="Count these PNG files: NAME.png, or CONDITION/NAME.png.")
]
OutFolder = Annotated[Path | None, typer.Option("--out", "-o", help="Folder of tables; none only prints.")]
Conditions = Annotated[
    list[str] | None, typer.Option("--condition", help="clean or a kind of degradation; repeatable; default all.")
]
Seeds = Annotated[list[int] | None, typer.Option("--seed", help="Of the degradations; repeatable; default published.")]
Device = Annotated[str, typer.Option("--device", help="auto, cpu or cuda.")]
Dtype = Annotated[str, typer.Option("--dtype", help="float32 or bfloat16.")]
Threads = Annotated[int, typer.Option("--threads", min=1, help="Threads of torch.")]
Flips = Annotated[bool, typer.Option("--flips/--no-flips", help="Average with the mirrored picture.")]
Scales = Annotated[
    str | None,
    typer.Option("--scales", help="Other sizes, asked for artery against vein: factors with commas, '' for none."),
]
Colour = Annotated[
    str, typer.Option("--colour", help="standard: give pictures the network's colours, as a run does; or as_is.")
]
Repair = Annotated[bool, typer.Option("--repair/--no-repair", help="Count with topology repair, too.")]
Topology = Annotated[bool, typer.Option("--paths/--no-paths", help="Count wrong paths.")]
Folds = Annotated[int, typer.Option("--folds", min=1, help="Count every n-th picture only, from --fold on.")]
Fold = Annotated[int, typer.Option("--fold", min=0, help="Which of the folds.")]
Export = Annotated[
    Path | None, typer.Option("--export", help="Write the pictures that are counted here; count nothing.")
]
AsJson = Annotated[bool, typer.Option("--json", help="The table as JSON on stdout.")]


def retina(
    data: Data,
    labels: Labels = None,
    weights: Weights = None,
    predictions: Predictions = None,
    out: OutFolder = None,
    condition: Conditions = None,
    seed: Seeds = None,
    device: Device = "auto",
    dtype: Dtype = "bfloat16",
    threads: Threads = 2,
    flips: Flips = True,
    scales: Scales = None,
    colour: Colour = "standard",
    repair: Repair = True,
    paths: Topology = True,
    folds: Folds = 1,
    fold: Fold = 0,
    export: Export = None,
    as_json: AsJson = False,
) -> None:
    """Count arteries and veins: clean pictures, seven degradations, a harder regime; ours or other programs'."""
    from wsipipe.evaluate import retina as counting  # deferred: --help stays quick
    from wsipipe.models.device import execution
    from wsipipe.vessel.colour import AS_IS, STANDARD
    from wsipipe.vessel.degrade import SEEDS
    from wsipipe.vessel.folder import cases
    from wsipipe.vessel.network import SCALES, WEIGHTS, vessel_network

    if colour not in (STANDARD, AS_IS):
        raise UsageError(f"--colour is {STANDARD} or {AS_IS}, got {colour!r}: correct it")
    found = cases(data, labels=labels)[fold::folds]
    asked = counting.Asked(
        tuple(condition or counting.CONDITIONS), tuple(seed or SEEDS), repaired=repair, topology=paths
    )
    if export is not None:
        typer.echo(f"{counting.export(found, export, asked)} pictures: {export}")
        return
    if predictions is not None:
        records, told = counting.evaluate_folder(found, predictions, asked), f"predictions {predictions.name}"
    else:
        how = execution(device, dtype, threads=threads)
        network = vessel_network(
            weights or WEIGHTS, how=how, flips=flips, scales=SCALES if scales is None else _factors(scales)
        )
        segment = counting.by_network(network, colour=colour)
        records = counting.evaluate(
            counting.shown(found, asked), segment, asked, told=lambda name: typer.echo(name, err=True)
        )
        told = ", ".join((
            f"{network.file.card.name} (sha256 {network.file.sha256[:12]})", how.device, how.dtype, f"flips {flips}",
            f"scales {list(network.scales)}", f"colour {colour}",
        ))  # fmt: skip
    _tell(records, f"{data.name}: {told}", list(asked.seeds), out, as_json=as_json)


def _factors(text: str) -> tuple[float, ...]:
    try:
        return tuple(float(one) for one in text.split(",") if one.strip())
    except ValueError:
        raise UsageError(f"--scales are numbers with commas, such as 0.85,1.3; got {text!r}: correct it") from None


def _tell(records: list, title: str, seeds: list[int], out: Path | None, *, as_json: bool) -> None:  # type: ignore[type-arg]  # Record is imported late
    from wsipipe.evaluate import retina_table as tables
    from wsipipe.evaluate.retina import PLAIN, REPAIRED

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    notes = [f"Seeds of the degradations: {seeds}. Peak memory of this process: {peak:.0f} MB."]
    made = [tables.condition_table(records, title=title, notes=notes)]
    if any(one.way == REPAIRED for one in records):
        made.append(tables.repair_table(records, PLAIN, REPAIRED))
    for table, name in zip(made, ("table", "repair"), strict=False):
        if as_json:
            typer.echo(json.dumps(table.told(), indent=1))
        else:
            table.show()
        if out is not None:
            table.write(out, name)
    if out is not None:
        tables.picture_table(records, title=title).write(out, "pictures")
