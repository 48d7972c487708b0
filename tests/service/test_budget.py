"""The request budget of the hosted service: shares, order and cancelled requests."""

from __future__ import annotations

import asyncio
from uuid import uuid4

import httpx
import pytest

from funcx_async import FuncXClient
from funcx_async._service.rest import budget_share

ROOT = "https://service.test"
LIMIT = 60.0
"""Seconds; the budget of 20 requests renews itself after 10."""


class Transport(httpx.AsyncBaseTransport):
    """Counts requests and answers them."""

    def __init__(self) -> None:
        self.paths: list[str] = []
        self._more = asyncio.Event()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.paths.append(request.url.path)
        self._more.set()
        return httpx.Response(200, json={"function_uuid": str(uuid4()), "api": "1"})

    async def seen(self, count: int) -> None:
        async with asyncio.timeout(LIMIT):
            while len(self.paths) < count:
                self._more.clear()
                await self._more.wait()


@pytest.fixture
def transport() -> Transport:
    return Transport()


@pytest.fixture
def client(transport: Transport) -> FuncXClient:
    return FuncXClient(ROOT, auth="a-token", transport=transport)


async def register(client: FuncXClient) -> None:
    await client.register_source_code("def f(): ...", "f")


async def cancel(tasks: list[asyncio.Task[object]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)


async def test_reads_leave_room_for_submits(client: FuncXClient, transport: Transport):
    reads = [asyncio.ensure_future(client.get_version()) for _ in range(60)]
    await transport.seen(15)
    async with asyncio.timeout(LIMIT):
        await register(client)
    assert len(transport.paths) == 16
    await cancel(reads)


async def test_cancelled_requests_give_their_budget_back(client: FuncXClient, transport: Transport):
    waiting = [asyncio.ensure_future(register(client)) for _ in range(19)]
    await transport.seen(19)
    reads = [asyncio.ensure_future(client.get_version()) for _ in range(60)]
    await asyncio.sleep(0)
    await cancel(reads)
    async with asyncio.timeout(LIMIT):
        await register(client)
        await asyncio.wait(waiting)
    assert len(transport.paths) == 20


async def test_a_share_limits_requests_that_run_at_once(client: FuncXClient, transport: Transport):
    with budget_share(0.25):
        reads = [asyncio.ensure_future(client.get_version()) for _ in range(40)]
    await transport.seen(5)
    async with asyncio.timeout(LIMIT):
        await client.get_version()  # with the share of reads
    assert len(transport.paths) == 6
    await cancel(reads)


async def test_a_closed_loop_leaves_no_request_in_the_queue(client: FuncXClient):
    def abandon() -> None:
        loop = asyncio.new_event_loop()
        tasks = [loop.create_task(client.get_version()) for _ in range(30)]
        loop.run_until_complete(asyncio.sleep(0))
        loop.run_until_complete(cancel(tasks))
        loop.close()

    await asyncio.to_thread(abandon)
    async with asyncio.timeout(LIMIT):
        await register(client)
