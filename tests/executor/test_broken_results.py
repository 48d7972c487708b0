"""Connections to the broker that break, stall or fall silent, on real sockets and both brokers."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from uuid import uuid4

import pytest

from funcx_async._service.messages import encode_result
from funcx_async.local import LocalService
from funcx_async.models import Result
from tests import brokers
from tests.executor.wire import TIMEOUT, Wire, outcomes, until, wired

dialects = pytest.mark.parametrize("api", ["v3", "v2"])


@pytest.fixture(scope="module", params=brokers.with_rabbitmq("embedded"))
async def service(request: pytest.FixtureRequest) -> AsyncIterator[LocalService]:
    amqp_url = brokers.require() if request.param == "rabbitmq" else None
    async with LocalService(workers=1, amqp_url=amqp_url) as running:
        yield running
        await running.faults.delete_queues()


@pytest.fixture
async def wire(service: LocalService) -> AsyncIterator[Wire]:
    async with wired(service, reconcile_interval=30) as made:
        yield made


# Gone ---------------------------------------------------------------------------------------------


@dialects
async def test_results_come_when_the_broker_is_back(service: LocalService, api):
    async with wired(service, api=api) as wire:
        await wire.sums(1)
        wire.amqp.refuse()
        wire.amqp.reset()
        executed = service.faults.count("executed")
        futures = wire.submit(5)
        await asyncio.wait_for(service.faults.seen("executed", executed + 5), TIMEOUT)
        await wire.amqp.come_back()
        assert await outcomes(futures) == [1, 2, 3, 4, 5]


@pytest.mark.parametrize(
    ("api", "how", "after"),
    [
        pytest.param("v3", "cut", 0, id="v3, cut before the first frame"),
        pytest.param("v3", "reset", 300, id="v3, reset in the login"),
        pytest.param("v3", "cut", 700, id="v3, cut about the first result"),
        pytest.param("v3", "reset", 2_000, id="v3, reset in a result"),
        pytest.param("v2", "cut", 2_000, id="v2, cut in a result"),
        pytest.param("v2", "reset", 5_003, id="v2, reset in a later one"),
    ],
)
async def test_wherever_the_stream_breaks_off_each_future_gets_its_own_result(
    service: LocalService, api, how: str, after: int
):
    async with wired(service, api=api) as wire:
        getattr(wire.amqp.downward, how)(after)
        await wire.sums(20)
        await wire.amqp.seen("struck")
        assert wire.executor.stats.failed == 0


async def test_what_was_settled_but_not_acknowledged_comes_again_and_is_dropped(wire: Wire):
    await wire.sums(1)
    wire.amqp.upward.swallow()
    await wire.sums(5)
    wire.amqp.restore()
    wire.amqp.reset()
    await wire.sums(1)
    await wire.executor.shutdown()
    stats = wire.executor.stats
    assert (stats.done, stats.failed) == (7, 0)
    assert stats.duplicates in (5, 6), "the first one's acknowledgement may have been lost too"
    assert await wire.left_in_queue() == 0


# Silent -------------------------------------------------------------------------------------------


async def test_results_that_a_half_open_connection_swallows_are_looked_up(service: LocalService):
    async with wired(service, reconcile_interval=0.3) as wire:
        await wire.sums(1)
        wire.amqp.swallow()
        await wire.sums(5)
        wire.amqp.restore()
        wire.amqp.reset()
        with service.faults.endpoint_offline():
            futures = wire.submit(1)
            await until(lambda: wire.executor.stats.duplicates >= 5)
        assert await outcomes(futures) == [1]
        await wire.executor.shutdown()
        assert await wire.left_in_queue() == 0


async def test_a_broker_that_answers_nobody_is_made_up_for_by_asking(wire: Wire):
    """What a firewall that drops packets looks like."""
    wire.amqp.swallow()
    await wire.sums(5)
    assert wire.service.faults.count("batch_status") > 0


async def test_a_stalled_stream_goes_on_where_it_was(wire: Wire):
    await wire.sums(1)
    wire.amqp.downward.stall()
    executed = wire.service.faults.count("executed")
    futures = wire.submit(5)
    await asyncio.wait_for(wire.service.faults.seen("executed", executed + 5), TIMEOUT)
    assert not any(future.done() for future in futures)
    wire.amqp.restore()
    assert await outcomes(futures) == [1, 2, 3, 4, 5]
    assert wire.executor.stats.reconnects == 0


async def test_a_stream_may_be_as_slow_as_it_likes(wire: Wire):
    wire.amqp.downward.slow(11)
    await wire.sums(5)


# Away for long ------------------------------------------------------------------------------------


async def test_a_broker_that_stays_away_is_made_up_for_and_told_of_once(
    wire: Wire, caplog: pytest.LogCaptureFixture
):
    wire.amqp.refuse()
    await wire.sums(5)
    await wire.sums(5)
    told = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert len([record for record in told if "cannot be reached" in record.message]) == 1
    await wire.amqp.come_back()
    with wire.service.faults.endpoint_offline():
        futures = wire.submit(3)
        await asyncio.wait_for(wire.amqp.seen("connected"), TIMEOUT)
    assert await outcomes(futures) == [1, 2, 3]


# What else comes ----------------------------------------------------------------------------------


async def test_duplicates_disorder_and_notices_without_a_value_do_no_harm(wire: Wire):
    await wire.sums(1)
    wire.service.faults.duplicate_results(10)
    wire.service.faults.high_assurance_results(3)
    executed = wire.service.faults.count("executed")
    with wire.service.faults.reorder_results(4):
        futures = wire.submit(20)
        await asyncio.wait_for(wire.service.faults.seen("executed", executed + 20), TIMEOUT)
    assert await outcomes(futures) == list(range(1, 21))
    assert wire.executor.stats.failed == 0


async def test_nonsense_and_results_of_others_are_taken_off_the_queue(wire: Wire):
    await wire.sums(1)
    group = wire.executor.task_group_id
    assert group is not None
    for body in (b"", b"\x01{", b"\x02{}", b"\xff" * 50):
        wire.service.faults.publish(group, body)
    wire.service.faults.publish(group, encode_result(Result(str(uuid4()), "00\ngARLAS4=\n")))
    await wire.sums(3)
    await wire.executor.shutdown()
    assert (wire.executor.stats.malformed, wire.executor.stats.orphans) == (4, 1)
    assert await wire.left_in_queue() == 0


async def test_when_others_results_keep_coming_it_is_told_once_and_open_tasks_are_asked_for(
    wire: Wire, caplog: pytest.LogCaptureFixture
):
    await wire.sums(1)
    group = wire.executor.task_group_id
    assert group is not None
    wire.service.faults.drop_results(1)
    executed = wire.service.faults.count("executed")
    (future,) = wire.submit(1)
    await asyncio.wait_for(wire.service.faults.seen("executed", executed + 1), TIMEOUT)
    for _ in range(250):
        body = encode_result(Result(str(uuid4()), "00\ngARLAS4=\n"))
        wire.service.faults.publish(group, body)
    assert await outcomes([future]) == [1]
    told = [record for record in caplog.records if "another process" in record.message]
    assert len(told) == 1
