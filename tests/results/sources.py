"""A source of results that a test speaks for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from funcx_async._core.acks import Ack
from funcx_async._results.source import Deliveries
from funcx_async.models import Delivery


class Connection:
    """Deliveries that a test hands in, and acknowledgements that it looks at."""

    def __init__(self) -> None:
        self.bursts: asyncio.Queue[list[Delivery] | Exception] = asyncio.Queue()
        self.acks: asyncio.Queue[Ack] = asyncio.Queue()
        self.broken: Exception | None = None

    async def next_burst(self) -> Sequence[Delivery]:
        burst = await self.bursts.get()
        if isinstance(burst, Exception):
            raise burst
        return burst

    async def acknowledge(self, acks: Sequence[Ack]) -> None:
        if self.broken is not None:
            raise self.broken
        for ack in acks:
            self.acks.put_nowait(ack)


class Source:
    """Opens connections, or fails to."""

    def __init__(self) -> None:
        self.failures: list[Exception] = []
        self.opened: asyncio.Queue[Connection] = asyncio.Queue()
        self.tries = 0

    @asynccontextmanager
    async def open(self, task_group_id: str) -> AsyncIterator[Deliveries]:
        self.tries += 1
        if self.failures:
            raise self.failures.pop(0)
        connection = Connection()
        self.opened.put_nowait(connection)
        yield connection
