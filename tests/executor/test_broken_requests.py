"""Connections to the service that break, stall or fall silent, on real sockets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from funcx_async import (
    AuthenticationFailed,
    FuncXClient,
    FuncXExecutor,
    ResultExpired,
    ServiceUnavailable,
    SubmitUncertain,
)
from funcx_async.local import LocalService
from tests.executor.tasks import add
from tests.executor.wire import (
    TIMEOUT,
    Wire,
    assert_own_or_uncertain,
    outcomes,
    turns,
    until,
    wired,
)

dialects = pytest.mark.parametrize("api", ["v3", "v2"])


@pytest.fixture(scope="module")
async def service() -> AsyncIterator[LocalService]:
    async with LocalService(workers=1) as running:
        yield running


@pytest.fixture
async def wire(service: LocalService) -> AsyncIterator[Wire]:
    async with wired(service) as made:
        yield made


# Not taken for certain ----------------------------------------------------------------------------


@dialects
async def test_who_is_refused_comes_again_until_the_service_is_back(service: LocalService, api):
    async with wired(service, api=api) as wire:
        wire.rest.refuse()
        futures = wire.submit(3)
        await until(lambda: wire.executor.stats.batches_in_flight == 1)
        await until(lambda: wire.executor.stats.queued == 3)
        await wire.rest.come_back()
        assert await outcomes(futures) == [1, 2, 3]
        assert wire.accepted == 3


@pytest.mark.parametrize(
    "url",
    [
        pytest.param("http://127.0.0.1:9", id="nobody listens"),
        pytest.param("http://no-such-host.invalid:9", id="no such name"),
        pytest.param("https://127.0.0.1:{port}", id="no TLS"),
    ],
)
async def test_a_service_that_stays_out_of_reach_is_unavailable(service: LocalService, url: str):
    port = service.url.rpartition(":")[2]
    async with FuncXClient(url.format(port=port), auth="t") as client:
        executor = FuncXExecutor(service.endpoint_id, funcx_client=client, retry_deadline=0.1)
        try:
            with pytest.raises(ServiceUnavailable, match="cannot be reached"):
                await asyncio.wait_for(executor.submit(add, 1), TIMEOUT)
        finally:
            await executor.shutdown()


@pytest.mark.parametrize("how", ["cut", "reset"])
async def test_a_connection_that_ended_while_idle_makes_no_task_uncertain(wire: Wire, how: str):
    await wire.sums(2)
    getattr(wire.rest, how)()
    await turns()
    await wire.sums(3)
    assert wire.accepted == 5


async def test_a_registration_is_repeated_freely(service: LocalService):
    async with wired(service) as wire:
        wire.rest.downward.reset()
        await wire.sums(3)
        await wire.rest.seen("struck")
        assert wire.accepted == 3


# Nobody can know ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("api", "how", "after"),
    [
        pytest.param("v3", "cut", 60, id="v3, cut in its head"),
        pytest.param("v2", "reset", 600, id="v2, reset in its body"),
    ],
)
async def test_a_request_that_breaks_off_is_not_sent_twice(
    service: LocalService, api, how: str, after: int, caplog: pytest.LogCaptureFixture
):
    async with wired(service, api=api) as wire:
        await wire.sums(1)
        getattr(wire.rest.upward, how)(after)
        futures = wire.submit(100)
        assert_own_or_uncertain(await outcomes(futures))
        await wire.rest.seen("struck")
        assert wire.accepted == 1, "half a request is none"
        await wire.sums(3)
    assert not [record for record in caplog.records if "ASGI" in record.message]


@pytest.mark.parametrize(
    ("api", "how", "after"),
    [
        pytest.param("v3", "cut", 0, id="v3, cut at once"),
        pytest.param("v3", "reset", 0, id="v3, reset at once"),
        pytest.param("v3", "reset", 10, id="v3, reset in its status"),
        pytest.param("v3", "cut", 100, id="v3, cut in its head"),
        pytest.param("v3", "cut", 300, id="v3, cut in its body"),
        pytest.param("v2", "reset", 0, id="v2, reset at once"),
        pytest.param("v2", "cut", 300, id="v2, cut in its body"),
    ],
)
async def test_an_answer_that_breaks_off_makes_no_task_run_twice(
    service: LocalService, api, how: str, after: int
):
    async with wired(service, api=api) as wire:
        await wire.sums(1)
        getattr(wire.rest.downward, how)(after)
        assert_own_or_uncertain(await outcomes(wire.submit(10)))
        await wire.rest.seen("struck")
        assert wire.accepted == 11
        await wire.sums(3)


@pytest.mark.parametrize("direction", ["upward", "downward"])
async def test_a_service_that_falls_silent_is_not_waited_for_without_end(
    service: LocalService, direction: str
):
    async with wired(service, timeout=3) as wire:
        await wire.sums(1)
        getattr(wire.rest, direction).swallow()
        settled = asyncio.create_task(outcomes(wire.submit(3)))
        await asyncio.wait([settled], timeout=4)  # with adoption it waits for the service
        wire.rest.restore()
        assert_own_or_uncertain(await settled)
        await wire.sums(3)


async def test_who_chose_at_least_once_is_served_however_the_answer_broke_off(
    service: LocalService,
):
    async with wired(service, on_uncertain="resubmit") as wire:
        await wire.sums(1)
        for after in (0, 50, 250):
            wire.rest.downward.reset(after)
            await wire.sums(4)
        await wire.rest.seen("struck", 3)


# Slow, and out of order ---------------------------------------------------------------------------


@dialects
async def test_results_may_overtake_an_answer_that_is_stalled_on_the_way(
    service: LocalService, api
):
    async with wired(service, api=api) as wire:
        await wire.sums(1)
        published = service.faults.count("published")
        wire.rest.downward.stall()
        futures = wire.submit(5)
        await asyncio.wait_for(service.faults.seen("published", published + 5), TIMEOUT)
        assert not any(future.done() for future in futures)
        wire.rest.restore()
        assert await outcomes(futures) == [1, 2, 3, 4, 5]


async def test_more_results_than_are_held_overtake_an_answer(service: LocalService):
    async with wired(service, batch_size=1_500) as wire:
        await wire.sums(1)
        published = service.faults.count("published")
        wire.rest.downward.stall()
        futures = wire.submit(1_500)
        await asyncio.wait_for(service.faults.seen("published", published + 1_500), TIMEOUT)
        await until(lambda: wire.executor.stats.held == 1_500)
        asked = service.faults.count("batch_status")
        wire.rest.restore()
        assert await outcomes(futures) == list(range(1, 1_501))
        assert service.faults.count("batch_status") > asked
        assert wire.executor.stats.held == 0


async def test_a_connection_may_be_as_slow_as_it_likes(wire: Wire):
    wire.rest.upward.slow(7)
    wire.rest.downward.slow(1)
    await wire.sums(5)


# Asking -------------------------------------------------------------------------------------------


async def test_a_look_at_open_tasks_is_repeated_when_its_answer_broke_off(service: LocalService):
    async with wired(service, result_transport="polling") as wire:
        with service.faults.endpoint_offline():
            (future,) = wire.submit(1)
            await future.submitted()
            wire.rest.downward.cut(after=100)
            await asyncio.wait_for(wire.rest.seen("struck"), TIMEOUT)
        assert await outcomes([future]) == [1]


async def test_a_classic_result_whose_reading_broke_off_is_lost_in_clear_words(
    service: LocalService,
):
    """A classic service gives a result once; without a queue nobody has it any more."""
    async with wired(service, api="v2", result_transport="polling") as wire:
        executed = service.faults.count("executed")
        (future,) = wire.submit(1)
        await future.submitted()
        await asyncio.wait_for(service.faults.seen("executed", executed + 1), TIMEOUT)
        wire.rest.downward.reset()
        with pytest.raises(ResultExpired):
            await asyncio.wait_for(future, TIMEOUT)


async def test_a_token_that_expired_is_renewed_and_one_that_stays_refused_fails_its_batch(
    wire: Wire,
):
    await wire.sums(1)
    wire.expired.append("expired")
    await wire.sums(3)
    wire.expired.extend(["expired", "expired as well"])
    settled = await outcomes(wire.submit(3))
    assert [type(outcome) for outcome in settled] == [AuthenticationFailed] * 3
    await wire.sums(3)
    assert wire.accepted == 7


async def test_an_uncertain_task_names_the_group_to_look_at(service: LocalService):
    async with wired(service, timeout=3, retry_deadline=0.5) as wire:
        await wire.sums(1)
        wire.rest.refuse()
        wire.rest.upward.swallow()
        (outcome,) = await outcomes(wire.submit(1))
        assert isinstance(outcome, SubmitUncertain)
        assert outcome.task_group_id == wire.executor.task_group_id
