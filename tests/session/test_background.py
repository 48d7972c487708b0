"""An unforeseen error in a background job is logged and ends nothing else."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable

import httpx
import pytest

from funcx_async import EventKind, FuncXClient, FuncXExecutor, SubmitUncertain
from funcx_async._session import endpoints, session
from funcx_async.local import LocalService
from tests.executor.tasks import add

TIMEOUT = 60


class Breaking(httpx.AsyncBaseTransport):
    """The way to the service, on which some requests meet a mistake of a programmer.

    Attributes:
        breaks: a pattern that the paths of these requests contain; None: no request is met.
        broke: set once one has been met.
    """

    def __init__(self) -> None:
        self._inner = httpx.AsyncHTTPTransport()
        self.breaks: str | None = None
        self.broke = asyncio.Event()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if self.breaks is not None and re.search(self.breaks, request.url.path):
            self.broke.set()
            raise ZeroDivisionError("a mistake")
        return await self._inner.handle_async_request(request)

    async def aclose(self) -> None:
        await self._inner.aclose()


@pytest.fixture
async def service() -> AsyncIterator[LocalService]:
    """A service for each test: faults must not wander."""
    async with LocalService(workers=1) as running:
        yield running


@pytest.fixture
async def transport() -> Breaking:
    return Breaking()


@pytest.fixture
async def executor(service: LocalService, transport: Breaking) -> AsyncIterator[FuncXExecutor]:
    client = FuncXClient(service.url, auth=service.token, transport=transport)
    async with client, service.executor(funcx_client=client) as opened:
        yield opened


async def test_the_endpoint_monitor_goes_on_after_an_unforeseen_error(
    service, executor, transport, monkeypatch, caplog
):
    monkeypatch.setattr(endpoints, "QUIET_SECONDS", 0.02)
    monkeypatch.setattr(endpoints, "CHECK_INTERVAL", 0.02)
    monkeypatch.setattr(session, "PAUSE_AFTER_ERROR", 0.01)
    events = executor.events()
    transport.breaks = "/status"
    with service.faults.endpoint_offline():
        future = executor.submit(add, 1)
        async with asyncio.timeout(TIMEOUT):
            await transport.broke.wait()
            transport.breaks = None
            while (await anext(events)).kind is not EventKind.ENDPOINT_OFFLINE:
                pass
        assert not future.done()
    assert await asyncio.wait_for(future, TIMEOUT) == 2
    assert "Monitoring endpoints failed unexpectedly; it goes on" in caplog.text
    assert "ZeroDivisionError: a mistake" in caplog.text


async def test_what_cannot_be_learned_of_an_endpoint_is_logged(executor, transport, caplog):
    transport.breaks = f"/endpoints/{executor.endpoint_id}$"
    assert await asyncio.wait_for(executor.submit(add, 1), TIMEOUT) == 2
    await asyncio.wait_for(transport.broke.wait(), TIMEOUT)
    await executor.shutdown()
    assert "ZeroDivisionError: a mistake" in caplog.text


@pytest.mark.parametrize("resolvable", [True, False], ids=["resolved", "given up"])
async def test_an_unforeseen_error_in_resolving_a_submit_fails_that_submit_alone(
    service, executor, transport, caplog, resolvable
):
    assert await asyncio.wait_for(executor.submit(add, 1), TIMEOUT) == 2
    submit: Callable = executor.submit
    if not resolvable:
        submit = executor.options(task_group_id=await other_group(service)).submit
    with service.faults.endpoint_offline():
        waits = executor.submit(add, 2)
        await waits.submitted()
        transport.breaks = "/taskgroup/"
        service.faults.lose_replies("submit")
        with pytest.raises(SubmitUncertain):
            await asyncio.wait_for(submit(add, 3), TIMEOUT)
        assert not waits.done()
    assert await asyncio.wait_for(waits, TIMEOUT) == 3
    assert await asyncio.wait_for(submit(add, 4), TIMEOUT) == 5
    assert "ZeroDivisionError: a mistake" in caplog.text


async def other_group(service: LocalService) -> str:
    async with service.executor() as other:
        await other.submit(add, 0)
        return str(other.task_group_id)
