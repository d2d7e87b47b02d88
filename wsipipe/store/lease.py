"""A lease on a results directory: one run writes in it at a time, and says all the while that it is alive.

Enters: a results directory. Leaves: a `Lease` that is held, beats, and is given back. Next rooms: `wsipipe.run` holds
one for each run, `wsipipe.query` tells people who holds it.

Leases are numbered files, ``RESULTS/lease/<number>.json``, and the highest number is the owner. A lease is taken by
creating the next number, which succeeds for one process only (a hard link of a synced file, or a conditional put), so
two that find a dead owner at once cannot both follow it. The owner writes its own file again every few seconds; a
given-back lease says so in its file and stays, because the numbers must never go down.

An owner is dead where its process is gone (asked on the same machine only) and its heartbeat is `DEAD_S` old, or,
on another machine, where its heartbeat has not changed for `LOST_S` of the watcher's own clock: clocks of two machines
are never compared. A run that is paused, or cut off from a network file system, for longer than that loses its lease;
`Lease.check` tells it, and it stops.
"""

from __future__ import annotations

import contextlib
import json
import os
import platform
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from hashlib import sha256
from pathlib import Path
from types import TracebackType
from typing import Any

import psutil

from wsipipe.errors import StoreError, UsageError
from wsipipe.store.layout import LEASE
from wsipipe.store.place import place, replace_file, sync

BEAT_S = 5.0
"""An owner writes its heartbeat this often."""
DEAD_S = 3.0
"""A heartbeat is this old before an owner whose process is gone counts as dead; its workers have ended by then."""
LOST_S = 60.0
"""A heartbeat has not changed for this long before an owner on another machine counts as dead."""
POLL_S = 0.5
LIVE, DYING, STALE = "live", "dying", "stale"


@dataclass(frozen=True)
class Owner:
    """What a lease's file says.

    Parameters
    ----------
    run : str
        Random id of the run; the same as in its log.
    host : str
        Empty in a de-identified run.
    machine : str
        Hash of the machine's boot and process namespace: equal where a `pid` means the same process.
    pid, process : int, float
        The process and when it started, in seconds since 1970.
    started, seen : float
        When the lease was taken, and the last heartbeat, by the owner's clock.
    beat : int
        Heartbeats so far.
    released : bool
        Given back.
    number : int
        Of the lease; the file's name.
    """

    run: str = ""
    host: str = ""
    machine: str = ""
    pid: int = 0
    process: float = 0.0
    started: float = 0.0
    seen: float = 0.0
    beat: int = 0
    released: bool = False
    number: int = 0

    def told(self) -> str:
        """The owner in words, for people."""
        here = self.machine == _machine()
        where = f"on host {self.host}" if self.host else f"on {'this' if here else 'another'} machine"
        since = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(self.started))
        return f"run {self.run[:8] or '(unreadable)'} {where} (process {self.pid}), since {since}"


def owner(results: str | Path) -> Owner | None:
    """Who holds a results directory, or held it last; None where nobody ever did."""
    folder = place(results) / LEASE
    numbers = _numbers(folder)
    return _read(folder, numbers[-1]) if numbers else None


def _myself() -> Owner:
    pid = os.getpid()
    return Owner(uuid.uuid4().hex, machine=_machine(), pid=pid, process=psutil.Process(pid).create_time())


def _machine() -> str:
    """Equal in two processes that see each other's pids, and on no other machine or boot."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        parts = (boot, os.readlink("/proc/self/ns/pid"))  # noqa: PTH115 (no path: "pid:[4026531836]")
    except OSError:  # not Linux
        parts = (platform.node(), f"{psutil.boot_time():.0f}")
    return sha256("\0".join(parts).encode()).hexdigest()[:16]


@dataclass
class Watch:
    """Tells a live owner from a dead one, looking several times."""

    _beat: tuple[int, int] = (0, -1)
    _since: float = 0.0

    def state(self, who: Owner) -> str:
        """``live``, ``dying`` (its process is gone, its heartbeat still young) or ``stale``."""
        now = time.monotonic()
        if (who.number, who.beat) != self._beat:
            self._beat, self._since = (who.number, who.beat), now
        unchanged = now - self._since
        if who.machine != _machine():
            return STALE if unchanged > LOST_S else LIVE
        if _alive(who):
            return LIVE
        return STALE if max(unchanged, time.time() - who.seen) > DEAD_S else DYING


@dataclass
class Lease:
    """The right to write in a results directory.

    Parameters
    ----------
    results : path
        Its folder exists.
    deidentify : bool
        Do not name the host.
    each_beat : callable
        Called after every heartbeat, in the lease's thread.

    Use it as a context manager after `take`.
    """

    results: Path
    deidentify: bool = False
    each_beat: Callable[[], None] = field(default=lambda: None)
    me: Owner = field(default_factory=_myself)
    _stop: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None
    _lost: bool = False

    def take(self, *, wait: bool = True, tell: Callable[[str], None] = print) -> Lease:
        """Take the lease, after its owner has given it back or is dead.

        Parameters
        ----------
        wait : bool
            Wait for a live owner, or raise.
        tell : callable
            Called once with a line for people for every owner that is waited for.

        Raises
        ------
        UsageError
            Where another run holds it and `wait` is off.
        """
        watch, told = Watch(), 0
        while True:
            found = owner(self.results)
            if found is None or found.released or (state := watch.state(found)) == STALE:
                if self._tried(found):
                    return self
                continue
            if not wait and state == LIVE and not _silent(found):
                raise UsageError(
                    f"another run is at work in this results directory: {found.told()}; wait for it, or leave out "
                    "--no-wait",
                    subject=str(self.results),
                )
            if found.number != told and state == LIVE:
                tell(f"waiting for {found.told()}")
                told = found.number
            time.sleep(POLL_S)

    def check(self) -> None:
        """Raise StoreError where another run has taken the lease over: this one must not write any more."""
        if self._lost:
            raise StoreError(
                f"another run has taken this results directory over, because this one gave no sign of life for "
                f"{LOST_S:g} s; run the same command again, it continues",
                subject=str(self.results),
            )

    def release(self) -> None:
        """Give it back; nothing where it was lost."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
        if not self._lost:
            with contextlib.suppress(OSError, StoreError):  # a full disk: the next run finds that the process is gone
                self._write(replace(self.me, seen=time.time(), released=True))

    def __enter__(self) -> Lease:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()

    @property
    def _folder(self) -> Path:
        return self.results / LEASE

    def _tried(self, before: Owner | None) -> bool:
        try:
            return self._claim(before)
        except OSError as error:
            raise UsageError(
                f"writing results: {error.strerror}; give an --out that can be written", subject=str(self.results)
            ) from error

    def _claim(self, before: Owner | None) -> bool:
        """Follow an owner that is gone; False where another process was quicker."""
        number = before.number + 1 if before else 1
        now, host = time.time(), "" if self.deidentify else platform.node()
        self.me = replace(self.me, number=number, host=host, started=now, seen=now)
        self._folder.mkdir(parents=True, exist_ok=True)
        if not _create(self._folder / f"{number}.json", _text(self.me)):
            return False
        if _numbers(self._folder)[-1] != number:  # it was taken, given back and swept since we looked
            (self._folder / f"{number}.json").unlink(missing_ok=True)
            return False
        self._sweep()
        self._thread = threading.Thread(target=self._beats, name="wsipipe-lease", daemon=True)
        self._thread.start()
        return True

    def _sweep(self) -> None:
        """Remove what is behind the owner before this one, whose file stays for those that are just looking."""
        for number in _numbers(self._folder):
            if number < self.me.number - 1:
                (self._folder / f"{number}.json").unlink(missing_ok=True)

    def _beats(self) -> None:
        while not self._stop.wait(BEAT_S):
            with contextlib.suppress(OSError, StoreError):  # a full disk or a network away: try again at the next beat
                if _numbers(self._folder)[-1] != self.me.number:
                    self._lost = True
                    return
                self._write(replace(self.me, seen=time.time(), beat=self.me.beat + 1))
                self.each_beat()

    def _write(self, me: Owner) -> None:
        replace_file(self._folder / f"{me.number}.json", _text(me))
        self.me = me


def _alive(who: Owner) -> bool:
    """Whether the process is there, is the same one, and is more than an entry that its parent has not collected."""
    try:
        process = psutil.Process(who.pid)
        return abs(process.create_time() - who.process) < 1.0 and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _silent(who: Owner) -> bool:
    """By its own clock long without a heartbeat: worth watching for `LOST_S` even where nobody wants to wait."""
    return who.machine != _machine() and time.time() - who.seen > LOST_S


def _numbers(folder: Path) -> list[int]:
    try:
        return sorted(int(path.stem) for path in folder.iterdir() if path.suffix == ".json" and path.stem.isdigit())
    except (FileNotFoundError, NotADirectoryError):
        return []


def _read(folder: Path, number: int) -> Owner:
    """What a lease's file says; an owner without a name where it cannot be read, which is dead once it stays so."""
    try:
        said = json.loads((folder / f"{number}.json").read_bytes())
        known = {name: value for name, value in said.items() if name in Owner.__dataclass_fields__}
        return Owner(**{**known, "number": number})
    except (OSError, ValueError, TypeError, AttributeError):
        return Owner(number=number)


def _text(me: Owner) -> bytes:
    return (json.dumps(asdict(me), indent=1) + "\n").encode()


def _create(path: Path, data: bytes) -> bool:
    """Make a file that is not there yet, whole from its first moment; False where it is there.

    On an object store a conditional put, on a disk a hard link of a synced file. A file system without hard links
    makes the file first and fills it then: one that is read half-filled is an owner without a name.
    """
    store: Any = getattr(path, "fs", None)
    if store is not None:
        with contextlib.suppress(FileExistsError):
            store.pipe_file(getattr(path, "path", str(path)), data, mode="create")
            return True
        return path.read_bytes() == data  # a put that succeeded and was not acknowledged is tried again, and refused
    partial = path.with_name(f"{path.name}.{uuid.uuid4().hex}.partial")
    replace_file(partial, data)
    try:
        return _linked(partial, path, data)
    finally:
        partial.unlink(missing_ok=True)
        sync(path.parent)


def _linked(partial: Path, path: Path, data: bytes) -> bool:
    try:
        path.hardlink_to(partial)
    except FileExistsError:
        return False
    except OSError:  # no hard links here
        try:
            with path.open("xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
        except FileExistsError:
            return False
    return True
