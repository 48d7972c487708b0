"""A session that subscribes to a stream of results, without the rest of an executor."""

from __future__ import annotations

import asyncio
import math
import os
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import httpx

from funcx_async import FuncXClient, FuncXFuture
from funcx_async._results.source import ResultSource
from funcx_async._results.stream import ResultStream
from funcx_async._results.subscribers import Subscriber
from funcx_async.events import Events
from funcx_async.models import TaskStatus
from funcx_async.serialize import FuncXSerializer


def nobody() -> FuncXClient:
    """A client whose service knows nothing."""
    transport = httpx.MockTransport(lambda request: httpx.Response(404))
    return FuncXClient("http://127.0.0.1:9", auth="t", transport=transport)


@dataclass(eq=False)
class Part:
    """The origin of futures, and its part in a stream."""

    source: ResultSource | None
    client: FuncXClient = field(default_factory=nobody)
    loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.get_running_loop)
    polls_instead: bool = False
    reconcile_interval: float = math.inf
    counts: Counter[str] = field(default_factory=Counter)
    pid: int = field(default_factory=os.getpid)

    def __post_init__(self) -> None:
        self.subscriber = Subscriber(
            owner=self,
            client=self.client,
            source=self.source,
            events=Events(),
            count=self.count,
            journal=None,
            reconcile_interval=self.reconcile_interval,
            polls_instead=self.polls_instead,
        )

    def count(self, what: str) -> None:
        self.counts[what] += 1

    def read(self, payload: str) -> Any:
        return FuncXSerializer().deserialize(payload)

    async def task_status(self, task_id: str) -> TaskStatus:
        return TaskStatus(task_id, "running")

    def fail_open(self) -> None: ...

    def done(self, future: object, here: object) -> None: ...

    def awaited(self, task_id: str, stream: ResultStream) -> FuncXFuture[Any]:
        """A future that awaits a task."""
        future: FuncXFuture[Any] = FuncXFuture(task_id)
        future.bind(self)
        future.accept(task_id, self.loop.time())
        stream.expect(task_id, future)
        return future
