"""`wsipipe evaluate retina-ablation`, `retina-folds`: train many small networks, count each on what it did not see."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from wsipipe.errors import UsageError

if TYPE_CHECKING:
    from wsipipe.evaluate.retina_ablation import Bench

ABLATION = (
    "Example: `wsipipe evaluate retina-ablation -c configs/retina-ablation.yaml --out build/ablation --seeds 3`. "
    "Several processes share the work with `--part 0/2` and `--part 1/2`; `--part none` only makes the tables."
)
FOLDS = "Example: `wsipipe evaluate retina-folds -c configs/retina-drive.yaml --out build/folds --folds 5`."

Out = Annotated[Path, typer.Option("--out", "-o", help="Folder of networks, records, tables.", show_default=False)]
ConfigFile = Annotated[Path | None, typer.Option("--config", "-c", help="YAML of wsipipe train retina.")]
Sets = Annotated[list[str] | None, typer.Option("--set", help="section.key=value; wins over the file; repeatable.")]
Rows = Annotated[list[str] | None, typer.Option("--row", help="Only this row; repeatable; default all.")]
Seeds = Annotated[int, typer.Option("--seeds", min=1, help="Trainings of each row.")]
Part = Annotated[str, typer.Option("--part", help="i/n: every n-th experiment from i on; none: tables only.")]
Seconds = Annotated[float, typer.Option("--seconds", min=0, help="Begin no new experiment after so long; 0: no limit.")]
Folds = Annotated[int, typer.Option("--folds", min=2, help="Parts of the pictures.")]
Flips = Annotated[bool, typer.Option("--flips/--no-flips", help="Average with the mirrored picture.")]


def ablation(
    out: Out,
    config: ConfigFile = None,
    set_: Sets = None,
    row: Rows = None,
    seeds: Seeds = 3,
    part: Part = "0/1",
    seconds: Seconds = 0,
    flips: Flips = True,
) -> None:
    """Train the source's Table 1 with several seeds, and count every network on the held-out pictures."""
    from wsipipe.evaluate import retina_ablation as page  # deferred: --help stays quick

    strange = [one for one in row or () if one not in page.ROWS]
    if strange:
        raise UsageError(f"--row is one of {', '.join(page.ROWS)}; got {strange}: correct it")
    experiments = page.ablation(row or list(page.ROWS), seeds)
    _work(page, experiments, _bench(page, config, out, set_, part, seconds, flips=flips), part)
    found = page.collect(experiments, out)
    table = page.ablation_table(found, title="Dual branch: what each loss gives, DRIVE-AV's training half")
    table.show()
    table.write(out, "ablation")


def folds(
    out: Out,
    config: ConfigFile = None,
    set_: Sets = None,
    folds_: Folds = 5,
    part: Part = "0/1",
    seconds: Seconds = 0,
    flips: Flips = True,
) -> None:
    """Cross-validate a configuration: train once per fold, count every picture by the network that did not see it."""
    from wsipipe.evaluate import retina_ablation as page  # deferred: --help stays quick
    from wsipipe.evaluate import retina_table as tables
    from wsipipe.evaluate.retina import PLAIN, REPAIRED, Asked
    from wsipipe.vessel.network import SCALES

    experiments = page.folds(folds_)
    bench = _bench(page, config, out, set_, part, seconds, flips=flips, asked=Asked(), scales=SCALES)
    _work(page, experiments, bench, part)
    found = page.collect(experiments, out)
    records = [one for seeds in found.values() for some in seeds.values() for one in some]
    title = f"{len(found)} of {folds_} folds: every picture counted by the network that did not see it"
    for table, name in (
        (tables.condition_table(records, title=title), "folds"),
        (tables.repair_table(records, PLAIN, REPAIRED), "repair"),
    ):
        table.show()
        table.write(out, name)


def _bench(page, config, out, sets, part, seconds, *, flips, **more) -> Bench:  # type: ignore[no-untyped-def]  # values of the options above
    first, _, parts = part.partition("/")
    if part != "none" and not (first.isdecimal() and parts.isdecimal() and int(first) < int(parts)):
        raise UsageError(f"--part is i/n with i from 0 to n - 1, or none; got {part!r}: correct it")
    share = (0, 1) if part == "none" else (int(first), int(parts))
    made: Bench = page.Bench(
        config, out, tuple(sets or ()), part=share, seconds=seconds or float("inf"), flips=flips, **more
    )
    return made


def _work(page, experiments, bench, part: str) -> None:  # type: ignore[no-untyped-def]  # the module, imported late
    bench.out.mkdir(parents=True, exist_ok=True)
    if part != "none":
        page.run(experiments, bench, told=lambda line: typer.echo(line, err=True))
