"""What is measured of executors; made once for each meter provider."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from importlib import metadata
from typing import TypeAlias
from weakref import WeakKeyDictionary, WeakMethod

from opentelemetry.metrics import CallbackOptions, Histogram, MeterProvider, Observation

from funcx_async.models import Stats

MINUTE, HOUR, DAY = 60, 3_600, 86_400

TASK_SECONDS = (
    *(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
    *(MINUTE, 5 * MINUTE, 15 * MINUTE, HOUR, 4 * HOUR, 12 * HOUR, DAY, 7 * DAY),
)
"""Bounds of the histogram of tasks: from a local endpoint's to those of a week in a queue."""

POST_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)

BATCH_SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1_024)

STANDING: dict[str, tuple[str, str, Callable[[Stats], int]]] = {
    "funcx.tasks.open": ("{task}", "Tasks that are not settled", lambda stats: stats.open),
    "funcx.tasks.queued": ("{task}", "Tasks that wait to be sent", lambda stats: stats.queued),
    "funcx.batches.in_flight": (
        "{batch}",
        "Batches on the wire",
        lambda stats: stats.batches_in_flight,
    ),
    "funcx.results.held": (
        "{result}",
        "Results that came before the receipt of their submit",
        lambda stats: stats.held,
    ),
}
"""What all executors have at this time, together: unit, description, and where it stands."""

COUNTERS = {
    "funcx.tasks.submitted": ("{task}", "Tasks submitted"),
    "funcx.tasks.settled": ("{task}", "Tasks settled, by outcome"),
    "funcx.tasks.retried": ("{task}", "Tasks submitted again after a failure"),
    "funcx.reconnects": ("{reconnect}", "Result queues that were lost and found again"),
    "funcx.results.orphaned": ("{result}", "Results that no future awaits"),
    "funcx.results.duplicated": ("{result}", "Results that came again"),
    "funcx.results.malformed": ("{message}", "Messages that were no results"),
}
"""What is counted: unit and description."""

COUNTED = {
    "retried": "funcx.tasks.retried",
    "reconnects": "funcx.reconnects",
    "orphans": "funcx.results.orphaned",
    "duplicates": "funcx.results.duplicated",
    "malformed": "funcx.results.malformed",
}
"""The counters of what sessions count, by their words for it."""

Labels: TypeAlias = tuple[tuple[str, str], ...]
Observed: TypeAlias = Callable[[CallbackOptions], list[Observation]]


class Instruments:
    """What is measured of executors.

    Counting here and reporting when asked costs a task a tenth of what the SDK's counters do.

    Args:
        provider: takes the measurements.
    """

    def __init__(self, provider: MeterProvider) -> None:
        self._meter = provider.get_meter("funcx_async", metadata.version("funcx-async"))
        self._lock = threading.RLock()  # garbage collection may settle futures
        self._watched: list[WeakMethod[Callable[[], Stats]]] = []
        self._counts: dict[str, Counter[Labels]] = {name: Counter() for name in COUNTERS}
        self.task_duration = self._histogram(
            "funcx.task.duration", "s", "From submitting a task to its settling", TASK_SECONDS
        )
        self.batch_size = self._histogram(
            "funcx.batch.size", "{task}", "Tasks in one request", BATCH_SIZES
        )
        self.batch_duration = self._histogram(
            "funcx.batch.duration", "s", "From sending a batch to the answer", POST_SECONDS
        )
        for name, (unit, description) in COUNTERS.items():
            self._meter.create_observable_counter(name, [self._count_of(name)], unit, description)
        for name, (unit, description, read) in STANDING.items():
            self._meter.create_observable_up_down_counter(
                name, [self._sum_of(read)], unit, description
            )

    def watch(self, stats: Callable[[], Stats]) -> None:
        """Include an executor in the gauges.

        Args:
            stats: returns what the executor is doing; a bound method, held weakly.
        """
        with self._lock:
            alive = [each for each in self._watched if each() is not None]
            self._watched = [*alive, WeakMethod(stats)]

    def count(self, name: str, *labels: tuple[str, str]) -> None:
        """Count one more, in any thread."""
        counts = self._counts[name]
        with self._lock:
            counts[labels] += 1

    def _histogram(
        self, name: str, unit: str, description: str, bounds: tuple[float, ...]
    ) -> Histogram:
        return self._meter.create_histogram(
            name, unit, description, explicit_bucket_boundaries_advisory=bounds
        )

    def _count_of(self, name: str) -> Observed:
        def observe(_: CallbackOptions) -> list[Observation]:
            with self._lock:
                counts = tuple(self._counts[name].items())
            return [Observation(count, dict(labels)) for labels, count in counts]

        return observe

    def _sum_of(self, read: Callable[[Stats], int]) -> Observed:
        def observe(_: CallbackOptions) -> list[Observation]:
            with self._lock:
                watched = [stats for each in self._watched if (stats := each()) is not None]
            return [Observation(sum(read(stats()) for stats in watched))]

        return observe


_made: WeakKeyDictionary[MeterProvider, Instruments] = WeakKeyDictionary()


def instruments_of(provider: MeterProvider) -> Instruments:
    """Return the instruments of a provider: it takes the callbacks of the first alone."""
    instruments = _made.get(provider)
    if instruments is None:
        instruments = _made[provider] = Instruments(provider)
    return instruments
