"""What is measured: tasks, batches, results, and how long it took."""

from __future__ import annotations

import asyncio
import gc
from uuid import uuid4

import pytest
from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.sdk.metrics import MeterProvider
from prometheus_client import generate_latest

from funcx_async import FuncXError, gather
from funcx_async._service.messages import encode_result
from funcx_async.local import LocalService
from funcx_async.models import Result, Stats
from funcx_async.telemetry import Telemetry
from tests.executor.tasks import add, fail
from tests.telemetry.conftest import Seen, cut_off

TIMEOUT = 60


async def test_tasks_are_counted_by_their_outcome_and_timed(service: LocalService, seen: Seen):
    async with service.executor(telemetry=seen.telemetry()) as executor:
        futures = [executor.submit(add, number) for number in range(5)]
        futures += [executor.submit(fail, "no") for _ in range(2)]
        futures.append(executor.submit(add, 9))
        assert futures[-1].cancel()
        await asyncio.wait_for(asyncio.wait(futures), TIMEOUT)
    endpoint = service.endpoint_id
    assert seen.total("funcx.tasks.submitted", funcx__endpoint__id=endpoint) == 8
    for outcome, number in (("succeeded", 5), ("failed", 2), ("cancelled", 1)):
        assert seen.total("funcx.tasks.settled", funcx__outcome=outcome) == number
    assert seen.total("funcx.tasks.settled", error__type="TaskExecutionFailed") == 2
    durations = seen.points("funcx.task.duration")
    assert sum(point.count for point in durations) == 8
    assert all(0 < point.sum < TIMEOUT * 8 for point in durations)


async def test_batches_are_counted_measured_and_timed(service: LocalService, seen: Seen):
    async with service.executor(telemetry=seen.telemetry(), batch_size=4) as executor:
        await asyncio.wait_for(gather(*(executor.submit(add, n) for n in range(6))), TIMEOUT)
        service.faults.refuse("submit", status=403)
        with pytest.raises(FuncXError):
            await asyncio.wait_for(executor.submit(add, 1), TIMEOUT)
    (sizes,) = seen.points("funcx.batch.size")
    assert (sizes.count, sizes.sum, sizes.max) == (3, 7, 4)
    kinds = [point.attributes.get("error.type") for point in seen.points("funcx.batch.duration")]
    assert sorted(kinds, key=str) == ["Forbidden", None]


async def test_what_is_under_way_is_told_of_all_executors_together(
    service: LocalService, seen: Seen
):
    first = service.executor(telemetry=seen.telemetry())
    second = service.executor(telemetry=seen.telemetry())
    with service.faults.hold_replies("submit") as hold:
        futures = [first.submit(add, 1), first.submit(add, 2), second.submit(add, 3)]
        await asyncio.wait_for(hold.seen(2), TIMEOUT)
        futures.append(second.submit(add, 4))
        futures.append(await asyncio.to_thread(second.submit, add, 5))
        assert seen.total("funcx.tasks.open") == 5
        assert seen.total("funcx.tasks.queued") >= 1
        assert seen.total("funcx.batches.in_flight") == 2
    assert await asyncio.wait_for(gather(*futures), TIMEOUT) == [2, 3, 4, 5, 6]
    assert seen.total("funcx.tasks.open") == 0
    await first.shutdown()
    await second.shutdown()
    assert seen.total("funcx.tasks.queued") == 0


def test_what_is_under_way_is_read_of_all_executors_that_are_still_there(seen: Seen):
    class Still:
        def __init__(self, stats: Stats) -> None:
            self._stats = stats

        def stats(self) -> Stats:
            return self._stats

    at_work = [
        Still(Stats(queued=1, batches_in_flight=2, open=40, held=4)),
        Still(Stats(queued=10, batches_in_flight=20, open=400, held=40)),
        Still(Stats(queued=100, open=4_000)),
    ]
    for one in at_work:
        seen.telemetry().began(one.stats)
    del one, at_work[2]
    gc.collect()
    assert seen.total("funcx.tasks.queued") == 11
    assert seen.total("funcx.batches.in_flight") == 22
    assert seen.total("funcx.tasks.open") == 440
    assert seen.total("funcx.results.held") == 44


async def test_trouble_with_results_is_counted(service: LocalService, seen: Seen):
    async with service.executor(telemetry=seen.telemetry()) as executor:
        events = executor.events()
        await asyncio.wait_for(executor.submit(add, 1), TIMEOUT)
        group = executor.task_group_id
        assert group is not None
        service.faults.duplicate_results()
        service.faults.publish(group, b"nonsense")
        service.faults.publish(group, encode_result(Result(str(uuid4()), "00\ngARLAS4=\n")))
        await asyncio.wait_for(executor.submit(add, 1), TIMEOUT)
        await cut_off(service, executor, events)
    stats = executor.stats  # what was not acknowledged before the cut comes, and counts, again
    assert seen.total("funcx.results.duplicated") == stats.duplicates >= 1
    assert seen.total("funcx.results.malformed") == stats.malformed >= 1
    assert seen.total("funcx.results.orphaned") == stats.orphans >= 1
    assert seen.total("funcx.reconnects") == stats.reconnects == 1


async def test_prometheus_reads_it_through_its_exporter(service: LocalService, seen: Seen):
    reader = PrometheusMetricReader()
    provider = MeterProvider([reader], shutdown_on_exit=False)
    try:
        telemetry = Telemetry(seen.tracer_provider, provider)
        async with service.executor(telemetry=telemetry) as executor:
            await asyncio.wait_for(gather(*(executor.submit(add, n) for n in range(3))), TIMEOUT)
            page = generate_latest().decode()
    finally:
        provider.shutdown()
    labels = [line.partition("{")[0] for line in page.splitlines() if not line.startswith("#")]
    assert {
        "funcx_tasks_submitted_total",
        "funcx_tasks_settled_total",
        "funcx_tasks_open",
        "funcx_task_duration_seconds_bucket",
        "funcx_batch_size_bucket",
    } <= set(labels)
    (settled,) = [x for x in page.splitlines() if x.startswith("funcx_tasks_settled_total{")]
    assert 'funcx_outcome="succeeded"' in settled
    assert settled.endswith(" 3.0")
