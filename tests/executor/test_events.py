"""What an application hears of its executor's connections."""

from __future__ import annotations

import asyncio
import gc
import logging
import weakref
from collections.abc import AsyncIterator

import httpx
import pytest

from funcx_async import EventKind, ExecutorClosed, ExecutorEvent, FuncXClient, FuncXFuture
from funcx_async._session import endpoints
from funcx_async._session.endpoints import EndpointMonitor
from funcx_async._session.open_tasks import OpenTasks
from funcx_async.events import KEPT, EventReader, Events
from funcx_async.local import LocalService
from tests.executor.tasks import add

TIMEOUT = 30


@pytest.fixture
async def service() -> AsyncIterator[LocalService]:
    """A service for each test: faults must not wander."""
    async with LocalService(workers=1) as running:
        yield running


async def following(events: EventReader, *kinds: EventKind) -> list[ExecutorEvent]:
    """The next events, which must be of these kinds."""
    async with asyncio.timeout(TIMEOUT):
        seen = [await anext(events) for _ in kinds]
    assert [event.kind for event in seen] == list(kinds)
    return seen


async def first(events: EventReader, kind: EventKind) -> ExecutorEvent:
    """The first event of a kind; others may come before it, in any order."""
    async with asyncio.timeout(TIMEOUT):
        while (event := await anext(events)).kind is not kind:
            pass
    return event


# The executor's -----------------------------------------------------------------------------------


async def test_a_lost_connection_and_its_return_are_told(service, executor):
    events = executor.events()
    assert await executor.submit(add, 1) == 2
    await following(events, EventKind.CONNECTED)
    with service.faults.endpoint_offline():
        future = executor.submit(add, 2)
        await future.submitted()
        service.faults.disconnect()
        lost, found = await following(events, EventKind.DISCONNECTED, EventKind.CONNECTED)
    assert lost.subject == found.subject == executor.task_group_id
    assert lost.reason
    assert await future == 3


async def test_polling_is_told_where_the_queue_is_out_of_reach(service, executor):
    events = executor.events()
    service.faults.refuse_logins(times=1_000)
    assert await asyncio.wait_for(executor.submit(add, 1), TIMEOUT) == 2
    _, polling = await following(events, EventKind.DISCONNECTED, EventKind.POLLING)
    assert polling.reason


async def test_a_service_that_takes_no_tasks_and_does_again_is_told(service, executor):
    events = executor.events()
    service.faults.refuse("submit", status=503, reason="closed for lunch")
    assert await asyncio.wait_for(executor.submit(add, 1), TIMEOUT) == 2
    away, back, _ = await following(
        events,
        EventKind.SERVICE_UNAVAILABLE,
        EventKind.SERVICE_AVAILABLE,
        EventKind.CONNECTED,
    )
    assert away.subject == back.subject == service.url
    assert "closed for lunch" in away.reason


async def test_tasks_that_wait_for_an_endpoint_that_is_offline_are_spoken_of_once(
    service, executor, caplog, monkeypatch
):
    monkeypatch.setattr(endpoints, "QUIET_SECONDS", 0.1)
    monkeypatch.setattr(endpoints, "CHECK_INTERVAL", 0.1)
    caplog.set_level(logging.INFO, "funcx_async")
    events = executor.events()
    with service.faults.endpoint_offline():
        future = executor.submit(add, 1)
        away = await first(events, EventKind.ENDPOINT_OFFLINE)
        asked = service.faults.count("endpoint_status")
        await asyncio.wait_for(service.faults.seen("endpoint_status", asked + 2), TIMEOUT)
        other = executor.submit(add, 2)
    assert await future == 2
    assert await other == 3
    assert away.subject == service.endpoint_id
    told = [record for record in caplog.records if "offline" in record.getMessage()]
    assert len(told) == 1
    assert told[0].levelno == logging.WARNING
    assert "1 task(s) wait for it" in told[0].getMessage()


async def test_an_iteration_ends_with_the_executor(service, executor):
    events = executor.events()
    seen = asyncio.create_task(collected(events))
    assert await executor.submit(add, 1) == 2
    await executor.shutdown()
    assert [event.kind for event in await asyncio.wait_for(seen, TIMEOUT)] == [EventKind.CONNECTED]
    with pytest.raises(ExecutorClosed):
        executor.events()


async def collected(events: EventReader) -> list[ExecutorEvent]:
    return [event async for event in events]


# Readers ------------------------------------------------------------------------------------------


async def test_every_reader_gets_every_event_from_its_making_on():
    events = Events()
    first = events.reader()
    events.emit(EventKind.CONNECTED, "a")
    second = events.reader()
    events.emit(EventKind.POLLING, "b", "why")
    events.end()
    assert [str(event) for event in await collected(first)] == [
        "connected: a",
        "polling: b (why)",
    ]
    assert await collected(second) == [ExecutorEvent(EventKind.POLLING, "b", "why")]


async def test_a_slow_reader_loses_the_oldest():
    events = Events()
    reader = events.reader()
    for number in range(KEPT + 5):
        events.emit(EventKind.CONNECTED, str(number))
    events.end()
    assert [event.subject for event in await collected(reader)] == [
        str(number) for number in range(5, KEPT + 5)
    ]


async def test_a_reader_that_nobody_holds_is_forgotten():
    events = Events()
    reader = events.reader()
    gone = weakref.ref(reader)
    del reader
    gc.collect()
    assert gone() is None
    events.emit(EventKind.CONNECTED, "nobody")


# Endpoints ----------------------------------------------------------------------------------------


class Endpoint:
    """An endpoint's status, as a service would tell it."""

    def __init__(self) -> None:
        self.document: dict[str, object] | None = {"status": "online"}
        self.asked = asyncio.Semaphore(0)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.release()
        if self.document is None:
            return httpx.Response(500)
        return httpx.Response(200, json=self.document)


def tasks_at(endpoint_id: str) -> OpenTasks:
    """One task that is open at this endpoint."""
    tasks = OpenTasks(asyncio.get_running_loop(), None, None)
    tasks.add(FuncXFuture(), endpoint_id)
    return tasks


async def test_an_endpoint_that_comes_back_is_told(monkeypatch):
    monkeypatch.setattr(endpoints, "QUIET_SECONDS", 0.02)
    monkeypatch.setattr(endpoints, "CHECK_INTERVAL", 0.02)
    endpoint, events = Endpoint(), Events()
    transport = httpx.MockTransport(endpoint)
    client = FuncXClient("http://127.0.0.1:9", auth="t", transport=transport)
    monitor, reader = EndpointMonitor(client, events, tasks_at("ep")), events.reader()
    watching = asyncio.create_task(monitor.watch_forever())
    monitor.awaiting("ep")
    endpoint.document = {"status": "offline", "logs": [{"last": "yesterday"}], "details": None}
    (away,) = await following(reader, EventKind.ENDPOINT_OFFLINE)
    assert away == ExecutorEvent(EventKind.ENDPOINT_OFFLINE, "ep", "last: yesterday")
    endpoint.document = None
    for _ in range(2):
        await asyncio.wait_for(endpoint.asked.acquire(), TIMEOUT)
    endpoint.document = {"status": "online"}
    await following(reader, EventKind.ENDPOINT_ONLINE)
    watching.cancel()
    await client.aclose()


async def test_an_endpoint_whose_tasks_are_settled_is_left_alone(monkeypatch):
    monkeypatch.setattr(endpoints, "QUIET_SECONDS", 0.02)
    endpoint, events = Endpoint(), Events()
    transport = httpx.MockTransport(endpoint)
    client = FuncXClient("http://127.0.0.1:9", auth="t", transport=transport)
    monitor = EndpointMonitor(client, events, tasks_at("ep"))
    watching = asyncio.create_task(monitor.watch_forever())
    monitor.awaiting("quiet")
    monitor.awaiting("ep")
    await asyncio.wait_for(endpoint.asked.acquire(), TIMEOUT)
    assert endpoint.asked.locked(), "one was asked about"
    watching.cancel()
    await client.aclose()
