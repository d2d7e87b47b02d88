"""The `wsipipe` command: verbs put together, errors turned into one line and an exit code."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from wsipipe import __version__
from wsipipe.cli import (
    bench,
    catalogue,
    clean,
    deblur,
    demo,
    doctor,
    evaluate,
    export,
    import_annotations,
    info,
    phantom,
    query,
    report,
    run,
    run_retina,
    status,
    stitch,
    track,
    train,
    view,
    watch,
)
from wsipipe.errors import SlideError, StoreError, UsageError, WsipipeError
from wsipipe.run import heap

USAGE, FAILED, INTERRUPTED, TERMINATED = 2, 3, 130, 143

app = typer.Typer(
    name="wsipipe",
    help="A directory of slides in; checked, queryable, viewable results out.",
    epilog=(
        "Exit codes: 0 all slides done, 2 wrong usage or configuration, 3 some slides failed, 130 interrupted, "
        "143 terminated."
    ),
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
run.app.command("retina", epilog=run_retina.EXAMPLES)(run_retina.retina)
app.add_typer(run.app, name="run")
app.add_typer(train.app, name="train")
app.add_typer(evaluate.app, name="evaluate")
app.add_typer(phantom.app, name="phantom")
app.command("stitch", epilog=stitch.EXAMPLES)(stitch.stitch)
app.command("track", epilog=track.EXAMPLES)(track.track)
app.command("info", epilog=info.EXAMPLES)(info.info)
app.command("status", epilog=status.EXAMPLES)(status.status)
app.command("deblur", epilog=deblur.EXAMPLES)(deblur.deblur)
app.command("clean", epilog=clean.EXAMPLES)(clean.clean)
app.command("doctor", epilog=doctor.EXAMPLES)(doctor.doctor)
app.command("export", epilog=export.EXAMPLES)(export.export)
app.command("import-annotations", epilog=import_annotations.EXAMPLES)(import_annotations.import_annotations)
app.command("watch", epilog=watch.EXAMPLES)(watch.watch)
app.command("query", epilog=query.EXAMPLES)(query.query)
app.command("catalogue", epilog=catalogue.EXAMPLES)(catalogue.catalogue)
app.command("view", epilog=view.EXAMPLES)(view.view)
app.command("report", epilog=report.EXAMPLES)(report.report)
app.command("bench", epilog=bench.EXAMPLES)(bench.bench)
app.command("demo", epilog=demo.EXAMPLES)(demo.demo)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"wsipipe {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """A directory of slides in; checked, queryable, viewable results out."""


def main() -> None:
    """Entry point of the `wsipipe` command; every expected error is one line on stderr."""
    heap.keep()
    try:
        app()
    except WsipipeError as error:
        typer.echo(f"wsipipe: {error}", err=True)
        sys.exit(_code(error))
    except SystemExit as stop:
        if stop.code in (INTERRUPTED, TERMINATED):
            typer.echo("wsipipe: interrupted; the same command continues where this one stopped", err=True)
        raise


def _code(error: WsipipeError) -> int:
    return USAGE if isinstance(error, (UsageError, StoreError)) else FAILED if isinstance(error, SlideError) else 1
