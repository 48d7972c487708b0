"""The consumer of a queue, by the seam of its source."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Self

import pytest

from funcx_async import FuncXFuture
from funcx_async._core.acks import Ack, AckLedger
from funcx_async._core.matcher import Matcher
from funcx_async._results.acks import Acknowledger, Tag
from funcx_async._results.consumer import FAILURES_BEFORE_POLLING, RECEIPT_TURNS, Consumer
from funcx_async._results.settler import AnyFuture, Settler
from funcx_async._results.source import Deliveries, ResultSource, SourceLost
from funcx_async._results.subscribers import Subscribers
from funcx_async.errors import ServiceUnavailable
from funcx_async.models import Delivery
from tests.results.parts import Part
from tests.results.sources import Connection, Source

TIMEOUT = 60


class Keeper(Settler):
    """A settler that keeps deliveries for a test to look at."""

    def __init__(self, subscribers: Subscribers, acks: Acknowledger) -> None:
        self.matcher: Matcher[AnyFuture] = Matcher()
        super().__init__("group", subscribers, self.matcher, acks)
        self.taken: asyncio.Queue[tuple[Delivery, Tag]] = asyncio.Queue()

    def take(self, deliveries: Sequence[Delivery], ledger: AckLedger) -> None:
        for delivery in deliveries:
            self.taken.put_nowait((delivery, (ledger, delivery.tag)))


class Taker:
    """A consumer at work, and what it says."""

    def __init__(
        self, source: ResultSource | None, polls_instead: bool = True, **options: Any
    ) -> None:
        self.part = Part(source, polls_instead=polls_instead)
        subscribers = Subscribers("group")
        subscribers.add(self.part.subscriber)
        self.acks = Acknowledger("group")
        self.settler = Keeper(subscribers, self.acks)
        self.matcher = self.settler.matcher
        self.consumer = Consumer(
            "group", subscribers, self.matcher, self.settler, self.acks, **options
        )

    async def __aenter__(self) -> Self:
        self._tasks = [
            asyncio.create_task(self.consumer.consume_forever()),
            asyncio.create_task(self.acks.acknowledge_forever()),
        ]
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.wait(self._tasks)

    def want(self) -> None:
        """Await a result."""
        self.matcher.expect("a task", FuncXFuture())
        self.consumer.want()

    async def take(self) -> tuple[Delivery, Tag]:
        return await asyncio.wait_for(self.settler.taken.get(), TIMEOUT)

    async def until_all_open_is_looked_up(self) -> None:
        await asyncio.wait_for(self.settler.lookups.due.wait(), TIMEOUT)
        assert self.settler.lookups.all_open


async def got(queue: asyncio.Queue[Connection]) -> Connection:
    return await asyncio.wait_for(queue.get(), TIMEOUT)


async def test_it_does_not_connect_before_results_are_wanted():
    source = Source()
    async with Taker(source) as taker:
        for _ in range(5):
            await asyncio.sleep(0)
        assert source.tries == 0
        taker.want()
        await got(source.opened)


async def test_deliveries_are_taken_and_acknowledged_once_done_with():
    source = Source()
    async with Taker(source) as taker:
        taker.want()
        connection = await got(source.opened)
        connection.bursts.put_nowait([Delivery(1, b"a"), Delivery(2, b"b")])
        (first, first_tag), (second, second_tag) = await taker.take(), await taker.take()
        assert (first.body, second.body) == (b"a", b"b")
        taker.acks.done_with(second_tag)
        assert await connection.acks.get() == Ack(2, multiple=False)
        taker.acks.done_with(first_tag)
        assert await connection.acks.get() == Ack(1, multiple=True)


async def test_an_answer_that_is_here_too_is_read_before_results():
    events = []
    source = Source()
    async with Taker(source) as taker:
        taker.want()
        submit = taker.matcher.sending()
        connection = await got(source.opened)

        async def read_answer() -> None:
            for _ in range(RECEIPT_TURNS - 1):
                await asyncio.sleep(0)
            events.append("answer")
            taker.matcher.answered(submit)

        connection.bursts.put_nowait([Delivery(1, b"a")])
        answer = asyncio.create_task(read_answer())
        await taker.take()
        events.append("result")
        await answer
        assert events == ["answer", "result"]


async def test_results_do_not_wait_for_an_answer_that_is_not_here():
    source = Source()
    async with Taker(source) as taker:
        taker.want()
        taker.matcher.sending()
        connection = await got(source.opened)
        connection.bursts.put_nowait([Delivery(1, b"a")])
        await taker.take()


async def test_it_connects_again_and_a_tag_of_the_old_connection_is_void():
    source = Source()
    async with Taker(source) as taker:
        taker.want()
        old = await got(source.opened)
        old.bursts.put_nowait([Delivery(1, b"a")])
        _, void = await taker.take()
        old.bursts.put_nowait(SourceLost("cut"))
        new = await got(source.opened)
        await taker.until_all_open_is_looked_up()
        new.bursts.put_nowait([Delivery(1, b"a", redelivered=True)])
        _, tag = await taker.take()
        taker.acks.done_with(void)
        await taker.acks.flush()
        assert new.acks.empty()
        taker.acks.done_with(tag)
        assert await new.acks.get() == Ack(1, multiple=True)
        assert taker.consumer.last_redelivery > 0


@pytest.mark.parametrize(
    "failure",
    [
        pytest.param(SourceLost("refused"), id="the broker"),
        pytest.param(ServiceUnavailable("no address"), id="the service"),
        pytest.param(ZeroDivisionError("a slip"), id="a slip of ours"),
    ],
)
async def test_whatever_fails_it_tries_again(failure: Exception):
    source = Source()
    source.failures = [failure]
    async with Taker(source) as taker:
        taker.want()
        await got(source.opened)
        assert source.tries == 2


async def test_after_some_failures_the_queue_counts_as_unreachable_until_it_is_found(caplog):
    source = Source()
    source.failures = [SourceLost("refused")] * FAILURES_BEFORE_POLLING
    async with Taker(source) as taker:
        assert taker.consumer.reachable
        taker.want()
        await taker.until_all_open_is_looked_up()
        assert not taker.consumer.reachable
        await got(source.opened)
        await asyncio.wait_for(taker.consumer.connected.wait(), TIMEOUT)
        assert taker.consumer.reachable
    away, back = [each.getMessage() for each in caplog.records if each.levelname == "WARNING"]
    assert "cannot be reached (refused)" in away
    assert "come again" in back


async def test_without_a_source_nothing_is_reachable():
    async with Taker(None) as taker:
        taker.want()
        await taker.until_all_open_is_looked_up()
        assert not taker.consumer.reachable


async def test_asking_whether_results_may_come_changes_nobodys_turn_to_connect():
    first, second = Part(Source()), Part(Source())
    subscribers = Subscribers("group")
    subscribers.add(first.subscriber)
    subscribers.add(second.subscriber)
    acks = Acknowledger("group")
    settler = Keeper(subscribers, acks)
    consumer = Consumer("group", subscribers, settler.matcher, settler, acks)
    assert not consumer.nothing_to_come
    assert subscribers.next_source() is first.source
    assert not consumer.nothing_to_come
    assert subscribers.next_source() is second.source


class Silence:
    """A broker behind a firewall that drops every packet."""

    @asynccontextmanager
    async def open(self, task_group_id: str) -> AsyncIterator[Deliveries]:
        await asyncio.Event().wait()
        yield Connection()


async def test_a_try_that_takes_long_counts_as_several_failures():
    async with Taker(Silence(), polling_delay=0.01) as taker:
        taker.want()
        await taker.until_all_open_is_looked_up()
        assert not taker.consumer.reachable


async def test_who_wants_the_queue_alone_is_told_and_waits_for_it(
    caplog: pytest.LogCaptureFixture,
):
    source = Source()
    source.failures = [SourceLost("refused")] * FAILURES_BEFORE_POLLING
    async with Taker(source, polls_instead=False) as taker:
        taker.want()
        await got(source.opened)
        await taker.until_all_open_is_looked_up()
        assert taker.consumer.reachable
    (told,) = [record for record in caplog.records if "cannot be reached" in record.message]
    assert "rules out polling" in told.message


@pytest.mark.parametrize("failure", [SourceLost("cut"), ZeroDivisionError("a slip")])
async def test_an_acknowledgement_that_fails_hurts_nothing(failure: Exception):
    source = Source()
    async with Taker(source) as taker:
        taker.want()
        connection = await got(source.opened)
        connection.bursts.put_nowait([Delivery(1, b"a"), Delivery(2, b"b")])
        (_, first), (_, second) = await taker.take(), await taker.take()
        connection.broken = failure
        taker.acks.done_with(first)
        await taker.acks.flush()
        connection.broken = None
        taker.acks.done_with(second)
        assert await connection.acks.get() == Ack(2, multiple=True)
