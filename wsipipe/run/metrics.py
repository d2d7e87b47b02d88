"""Figures of a run for Prometheus: ``RESULTS/metrics.prom``, replaced every few seconds; no server.

Enters: a `Tally`. Leaves: a file in Prometheus' text format, for node_exporter's textfile collector or any scraper.
The names below are documented in docs/operations.md and do not change.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from wsipipe.run.tally import Tally
from wsipipe.store.place import replace_file
from wsipipe.store.records import STATUSES

METRICS_FILE = "metrics.prom"


class Metrics(Collector):
    """A tally as Prometheus sees it.

    Parameters
    ----------
    path : Path
        The file that `write` replaces.
    tally : Tally
    run, key : str
        Labels of ``wsipipe_run_info``.
    """

    def __init__(self, path: Path, tally: Tally, *, run: str, key: str) -> None:
        self._path, self._tally, self._labels, self.up = path, tally, {"run": run, "key": key}, True
        self._registry = CollectorRegistry()
        self._registry.register(self)

    def write(self) -> None:
        """Replace the file; called by the lease's heartbeat and at the end."""
        replace_file(self._path, generate_latest(self._registry))

    def collect(self) -> Iterator[Metric]:
        """All figures; asked for by the registry."""
        tally = self._tally
        yield _gauge("wsipipe_up", "1 while the run is under way, 0 once it has ended", float(self.up))
        yield _gauge("wsipipe_heartbeat_timestamp_seconds", "when this file was written", time.time())
        yield _gauge("wsipipe_start_timestamp_seconds", "when the run began", tally.began)
        yield _gauge("wsipipe_sources", "slides that the run was given", tally.sources)
        yield _gauge("wsipipe_slides_running", "slides under way", max(0, tally.active))
        info = GaugeMetricFamily(
            "wsipipe_run_info", "the run's random id and the key of its settings", labels=["run", "key"]
        )
        info.add_metric([self._labels["run"], self._labels["key"]], 1)
        yield info
        slides = GaugeMetricFamily("wsipipe_slides", "slides that have ended, by status", labels=["status"])
        for status in sorted({*STATUSES, *tally.slides}):
            slides.add_metric([status], tally.slides[status])
        yield slides
        yield _counter("wsipipe_units_done", "units of work done", tally.units)
        yield _counter("wsipipe_step_seconds", "seconds that workers spent", tally.seconds)
        yield _counter("wsipipe_read_bytes", "bytes of pixels read", tally.read)
        yield _counter("wsipipe_written_bytes", "bytes of arrays written, before compression", tally.written)


def _gauge(name: str, about: str, value: float) -> Metric:
    return GaugeMetricFamily(name, about, value=value)


def _counter(name: str, about: str, values: Mapping[str, float]) -> Metric:
    family = CounterMetricFamily(name, f"{about}, by step", labels=["step"])
    for step, value in sorted(dict(values).items()):
        family.add_metric([step], value)
    return family
