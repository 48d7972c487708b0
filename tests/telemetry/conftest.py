"""A local service, and OpenTelemetry's SDK, which keeps what it is told in memory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import Tracer

from funcx_async import EventKind, ExecutorEvent, FuncXExecutor
from funcx_async.local import LocalService
from funcx_async.telemetry import Telemetry
from tests.executor.tasks import add

TIMEOUT = 60


class Seen:
    """What OpenTelemetry was told."""

    def __init__(self) -> None:
        self._spans = InMemorySpanExporter()
        self._metrics = InMemoryMetricReader()
        self.tracer_provider = TracerProvider(shutdown_on_exit=False)
        self.tracer_provider.add_span_processor(SimpleSpanProcessor(self._spans))
        self.meter_provider = MeterProvider([self._metrics], shutdown_on_exit=False)
        self.tracer: Tracer = self.tracer_provider.get_tracer("the application")

    def telemetry(self) -> Telemetry:
        return Telemetry(self.tracer_provider, self.meter_provider)

    def spans(self, name: str) -> list[ReadableSpan]:
        """Spans that have ended, in that order."""
        return [span for span in self._spans.get_finished_spans() if span.name == name]

    def points(self, name: str) -> list[Any]:
        """The points of a metric; none if nothing was measured."""
        told = self._metrics.get_metrics_data()
        scopes = [] if told is None else [s for r in told.resource_metrics for s in r.scope_metrics]
        metrics = [metric for scope in scopes for metric in scope.metrics if metric.name == name]
        return [point for metric in metrics for point in metric.data.data_points]

    def total(self, name: str, **attributes: str) -> int:
        """The sum of a counter or gauge over the points that have these attributes."""
        wanted = {key.replace("__", "."): value for key, value in attributes.items()}
        return sum(p.value for p in self.points(name) if wanted.items() <= p.attributes.items())

    def everything(self) -> str:
        """All of it, as text."""
        told = self._metrics.get_metrics_data()
        spans = "\n".join(span.to_json() for span in self._spans.get_finished_spans())
        return spans + ("" if told is None else told.to_json())

    def close(self) -> None:
        self.tracer_provider.shutdown()
        self.meter_provider.shutdown()


async def cut_off(
    service: LocalService, executor: FuncXExecutor, events: AsyncIterator[ExecutorEvent]
) -> None:
    """Cut an executor off while a task is open, until that has its result all the same.

    ``events`` are those since before the first connection.
    """
    with service.faults.hold_results():
        future = executor.submit(add, 1)
        await asyncio.wait_for(future.submitted(), TIMEOUT)
        service.faults.disconnect()
        connected = 0
        async with asyncio.timeout(TIMEOUT):
            async for event in events:
                connected += event.kind is EventKind.CONNECTED
                if connected == 2:
                    break
    await asyncio.wait_for(future, TIMEOUT)


@pytest.fixture
def seen() -> Iterator[Seen]:
    told = Seen()
    yield told
    told.close()


@pytest.fixture(scope="module")
async def service() -> AsyncIterator[LocalService]:
    async with LocalService(workers=2) as running:
        yield running
