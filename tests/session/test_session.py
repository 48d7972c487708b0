"""A session's end: whatever goes wrong there, everything is closed and nobody waits in vain."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import httpx
import pytest

from funcx_async import ExecutorClosed, FuncXClient, FuncXFuture
from funcx_async._journal import Journal
from funcx_async._service.dialects import DIALECTS
from funcx_async._session.session import Session
from funcx_async._session.task_groups import TaskGroups
from funcx_async._settings.options import Options
from funcx_async.local import LocalService

TIMEOUT = 60

TURNS_OF_LEAVING = 40
"""In fewer turns of the loop than this leaving gets to its last steps."""


class Closing(httpx.AsyncHTTPTransport):
    """A transport that tells whether it was closed, and may fail at that.

    Args:
        error: what closing raises.
    """

    def __init__(self, error: Exception | None = None) -> None:
        super().__init__()
        self.closed = False
        self._error = error

    async def aclose(self) -> None:
        await super().aclose()
        self.closed = True
        if self._error is not None:
            raise self._error


@pytest.fixture(scope="module")
async def service() -> AsyncIterator[LocalService]:
    async with LocalService(workers=1) as running:
        yield running


async def used(service: LocalService, transport: Closing, journal: Path) -> Session:
    """A session that has a journal, a stream of results, and a client that was used."""
    client = FuncXClient(service.url, auth=service.token, transport=transport)
    await client.get_version()
    session = Session(
        Options(DIALECTS["v3"], {"journal": journal}), client, TaskGroups(), closes_client=True
    )
    session.context.streams.join(str(uuid4()))
    return session


async def reopened(path: Path, service: LocalService) -> None:
    """Open a journal that another session had, whose thread may be about to close it."""
    for thread in threading.enumerate():
        if thread.name == "funcx_async journal":
            await asyncio.to_thread(thread.join, TIMEOUT)
    await Journal(path, service_url=service.url, api="v3").aclose()


async def test_one_that_is_cancelled_while_it_leaves_closes_everything(service, tmp_path):
    for turns in range(1, TURNS_OF_LEAVING):
        transport, path = Closing(), tmp_path / f"{turns}.journal"
        session = await used(service, transport, path)
        events = session.context.events.reader()
        session.close()
        for _ in range(turns):
            await asyncio.sleep(0)
        async with asyncio.timeout(TIMEOUT):
            await session.abandon()
            assert [event async for event in events] == [], turns
        assert transport.closed, turns
        await reopened(path, service)


async def test_one_that_is_cancelled_before_its_first_turn_leaves_nobody_waiting(service, tmp_path):
    path = tmp_path / "tasks.journal"
    session = await used(service, Closing(), path)
    events = session.context.events.reader()
    future: FuncXFuture[int] = FuncXFuture()
    session.context.adopt(future)
    async with asyncio.timeout(TIMEOUT):
        await session.abandon()
        assert [event async for event in events] == []
        with pytest.raises(ExecutorClosed):
            await future
    await reopened(path, service)
    await session.context.client.aclose()  # for that it had no turn


async def test_readers_of_events_and_the_journal_end_before_a_client_that_fails_to_close(
    service, tmp_path, caplog
):
    path = tmp_path / "tasks.journal"
    session = await used(service, Closing(ZeroDivisionError("a mistake")), path)
    events = session.context.events.reader()
    session.close()
    async with asyncio.timeout(TIMEOUT):
        await session.closed()
        assert [event async for event in events] == []
    assert "ZeroDivisionError: a mistake" in caplog.text
    await reopened(path, service)
