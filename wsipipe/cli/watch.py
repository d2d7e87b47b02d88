"""`wsipipe watch`: slides that come into a folder, through the gastric pipeline, as they come."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from wsipipe.cli.run import (
    ConfigFile,
    Deidentify,
    Device,
    NoWait,
    Out,
    Policy,
    Sets,
    Threads,
    Untrained,
    Workers,
    hands,
    settings,
)

EXAMPLES = (
    "Examples: `wsipipe watch inbox --out results` · `wsipipe watch inbox --out results --settle 60 --workers 4`. "
    "A slide that is still being copied waits until it has not changed for --settle seconds; one that does not open is "
    "told once, and tried again when it changes. Ctrl-C or SIGTERM stops; the same command continues. "
    "Exit codes: 0 stopped, 2 wrong usage or configuration, 3 stopped and some slides failed."
)


def watch(
    folder: Annotated[
        Path, typer.Argument(help="A directory that slides come into (searched below).", show_default=False)
    ],
    out: Out,
    config: ConfigFile = None,
    set_: Sets = None,
    mpp_policy: Policy = None,
    workers: Workers = None,
    threads: Threads = 1,
    device: Device = None,
    untrained: Untrained = False,
    deidentify: Deidentify = False,
    interval: Annotated[float, typer.Option("--interval", min=0.1, help="Seconds between two looks.")] = 5.0,
    settle: Annotated[float, typer.Option("--settle", min=0, help="Seconds without a change.")] = 20.0,
    no_wait: NoWait = False,
) -> None:
    """Work on slides as they come into a folder, until stopped."""
    from wsipipe.cli.follow import Inbox, checked, follow  # deferred: --help stays quick
    from wsipipe.cli.launch import Options
    from wsipipe.pipelines import gastric as page

    inbox = Inbox(checked(folder), out, interval=interval, settle=settle)
    launch = page.launch(config, settings(set_, mpp_policy=mpp_policy, device=device), untrained=untrained)
    options = Options(out=out, hands=hands(workers, threads), deidentify=deidentify, wait=not no_wait)
    raise typer.Exit(follow(launch, options, inbox))
