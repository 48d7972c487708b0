"""An executor whose connections to service and broker go through proxies."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, Literal

import aio_pika

from funcx_async import FuncXClient, FuncXExecutor, FuncXFuture, SubmitUncertain, gather
from funcx_async.local import LocalService
from tests.executor.tasks import add
from tests.proxy import Proxy

TIMEOUT = 30


class Wire:
    """The two connections of an executor, and what is at their ends.

    Attributes:
        service: the service that they lead to.
        rest: the proxy before its web routes.
        amqp: the proxy before its broker.
        executor: goes through both.
        expired: tokens that it presents first, each once, before the right one.
    """

    def __init__(
        self,
        service: LocalService,
        rest: Proxy,
        amqp: Proxy,
        executor: FuncXExecutor,
        expired: deque[str],
    ) -> None:
        self.service = service
        self.rest = rest
        self.amqp = amqp
        self.executor = executor
        self.expired = expired
        self._accepted_before = service.faults.count("accepted")

    @property
    def accepted(self) -> int:
        """How many tasks the service took since this wire was made."""
        return self.service.faults.count("accepted") - self._accepted_before

    def submit(self, count: int) -> list[FuncXFuture[int]]:
        """Submit tasks; the sum of each is its number and one."""
        return [self.executor.submit(add, number) for number in range(count)]

    async def sums(self, count: int) -> None:
        """Submit tasks, and see that each future gets its own result."""
        async with asyncio.timeout(TIMEOUT):
            assert await gather(*self.submit(count)) == list(range(1, count + 1))

    async def left_in_queue(self) -> int:
        """How many results the broker has still to deliver, with no consumer there."""
        address = await self.service.client().get_result_queue_address()
        async with await aio_pika.connect(address.connection_url) as connection:
            channel = await connection.channel()
            name = f"{address.queue_prefix}{self.executor.task_group_id}"
            queue = await channel.declare_queue(name, passive=True)
            return queue.declaration_result.message_count or 0


@asynccontextmanager
async def wired(
    service: LocalService, *, api: Literal["v2", "v3"] = "v3", timeout: float = 60, **options: Any
) -> AsyncIterator[Wire]:
    """Lead an executor to ``service`` through two proxies.

    Args:
        service: what is at the other end.
        api: the client's dialect.
        timeout: seconds that one request may take.
        **options: the executor's.
    """
    address = await service.client().get_result_queue_address()
    async with Proxy(service.url) as rest, Proxy(address.connection_url) as amqp:
        expired: deque[str] = deque()
        async with FuncXClient(
            rest.before(service.url),
            auth=lambda: expired.popleft() if expired else service.token,
            api=api,
            timeout=timeout,
        ) as client:
            executor = service.executor(funcx_client=client, amqp_port=amqp.port, **options)
            try:
                yield Wire(service, rest, amqp, executor, expired)
            finally:
                async with asyncio.timeout(TIMEOUT):
                    await executor.shutdown(cancel_futures=True)


async def outcomes(futures: Sequence[FuncXFuture[int]]) -> list[int | BaseException]:
    """Give what became of each, once all are settled."""
    async with asyncio.timeout(TIMEOUT):
        return await gather(*futures, return_exceptions=True)


def assert_own_or_uncertain(settled: Sequence[int | BaseException]) -> None:
    """See that nobody got another's result, or an error that says less than it should."""
    for number, outcome in enumerate(settled):
        assert outcome == number + 1 or isinstance(outcome, SubmitUncertain), outcome


async def turns(count: int = 20) -> None:
    """Let what is under way happen."""
    for _ in range(count):
        await asyncio.sleep(0)


async def until(condition: Callable[[], bool]) -> None:
    """Let the loop turn until something holds that nothing tells of."""
    async with asyncio.timeout(TIMEOUT):
        while not condition():
            await turns(1)
