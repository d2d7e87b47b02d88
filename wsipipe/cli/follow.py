"""What `wsipipe watch` does: slides that come into a folder go through a pipeline, in one set of workers.

Enters: a pipeline's `Launch`, a run's options, a folder. Leaves: results, until a signal asks to stop.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

from wsipipe.cli.crew import enlist
from wsipipe.cli.launch import DONE, FAILED, Noted, Options, say
from wsipipe.cli.progress import Bars
from wsipipe.errors import UsageError
from wsipipe.run.batch import FAILURES, Batch, Row, Running
from wsipipe.run.job import Job
from wsipipe.run.pool import Pool
from wsipipe.run.report import Journal
from wsipipe.run.session import Session
from wsipipe.run.source import MppPolicy, Source, close_all
from wsipipe.run.start import Launch
from wsipipe.run.stop import Signals
from wsipipe.run.work import Report
from wsipipe.slide import find_slides
from wsipipe.slide.settle import Settling
from wsipipe.store.layout import SLIDES_FILE
from wsipipe.store.records import read_slides

LOOK_S = 0.2
"""Seconds of sleep at a time while there is nothing to do: a signal is seen after that."""


class Inbox:
    """The slides of a folder as they come to rest.

    Parameters
    ----------
    folder, out : Path
        What lies below `out` are results, no slides.
    interval, settle : float
        Seconds between two looks, and without a change before a slide is taken.
    """

    def __init__(self, folder: Path, out: Path, *, interval: float, settle: float) -> None:
        self._folder, self._out, self._interval = folder, out.resolve(), interval
        self._settling, self._next = Settling(settle), 0.0

    def take(self) -> list[Source]:
        """Slides that are at rest and new; none until the next look is due."""
        if time.monotonic() < self._next:
            return []
        self._next = time.monotonic() + self._interval
        try:
            found = find_slides([self._folder])
        except UsageError:  # none yet, or the folder is away for a moment
            return []
        slides = [slide for slide in found if self._out not in slide.resolve().parents]
        return [Source(str(slide)) for slide in self._settling.look(slides)]

    def pause(self) -> None:
        """Sleep until the next look, or for a while."""
        time.sleep(min(LOOK_S, max(0.05, self._next - time.monotonic())))


def done_before(out: Path) -> frozenset[str]:
    """Paths of the slides that earlier runs have done."""
    if not (out / SLIDES_FILE).is_file():
        return frozenset()
    rows = read_slides(out / SLIDES_FILE)
    return frozenset(rows.loc[rows["status"] == "done", "path"].dropna())


class _Following(Noted):
    """Hands slides that come while a batch runs over to it.

    Slides that were done `before` go first: of two copies that came one after the other, the same one counts again.
    """

    def __init__(
        self, bars: Bars, journal: Journal, session: Session, inbox: Inbox, *, before: frozenset[str] = frozenset()
    ) -> None:
        super().__init__(bars, journal, session)
        self.inbox, self._before = inbox, before
        self.batch: Batch | None = None

    def take(self) -> list[Source]:
        """New slides, counted."""
        fresh = sorted(self.inbox.take(), key=lambda source: source.path not in self._before)
        if fresh:
            self._session.more(len(fresh))
            self._bars.more(len(fresh))
        return fresh

    def known(self, fresh: list[Source]) -> dict[str, str]:
        """Ids by fingerprint of the slides that are done, whose copies are aliases; not of those that come again."""
        return {row.fingerprint: row.id for row in self.rows if row.status == "done" and row.source not in fresh}

    def task_done(self, slide: Running, report: Report) -> None:
        """A unit or a whole step is done: a moment to look into the folder."""
        super().task_done(slide, report)
        self._hand_over()

    def slide_ended(self, row: Row) -> None:
        """A slide has ended: another such moment."""
        super().slide_ended(row)
        self._hand_over()

    def _hand_over(self) -> None:
        fresh = self.take()
        if fresh and self.batch:
            for row in self.rows:
                if row.source in fresh:
                    self.batch.seen.pop(row.fingerprint, None)
            self.batch.add(fresh)


def follow(launch: Launch, options: Options, inbox: Inbox) -> int:
    """Work on what comes until SIGINT or SIGTERM; returns the exit code."""
    options.out.mkdir(parents=True, exist_ok=True)
    before = done_before(options.out)
    job = Job(launch.recipe, str(options.out), MppPolicy.parse(launch.mpp_policy), options.deidentify)
    journal, bars = Journal(job, launch.weights), Bars(0, quiet=options.as_json, deidentify=options.deidentify)
    with Session(journal, sources=0, wait=options.wait, tell=say) as session:
        noted = _Following(bars, journal, session, inbox, before=before)
        try:
            with enlist(session.job, options.hands, gpu=launch.device == "cuda", say=say) as pool, bars:
                _work(noted, session, pool)
        except KeyboardInterrupt:  # while workers started, or a second one: at once
            pass
        say("stopped; the same command continues where this one stopped")
        close_all()
        journal.end(noted.rows, status="stopped")
    return FAILED if any(row.status in FAILURES for row in noted.rows) else DONE


def _work(noted: _Following, session: Session, pool: Pool) -> None:
    """One batch after another in the same workers, until a signal comes."""
    with Signals(pool.stop):
        say("watching; stop with Ctrl-C, the same command continues")
        while not pool.stopping:
            fresh = noted.take()
            if not fresh:
                noted.inbox.pause()
                continue
            noted.batch = Batch(session.job, fresh, pool, noted)
            noted.batch.seen = noted.known(fresh)
            noted.batch.run()


def checked(folder: Path) -> Path:
    """The folder to watch. Raises UsageError where it is none or may not be read."""
    if not folder.is_dir() or not os.access(folder, os.R_OK | os.X_OK):
        raise UsageError("watching: no such directory, or it may not be read; check the path", subject=str(folder))
    return folder
