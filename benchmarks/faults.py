"""Faults that strike about every second, by a seed."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from uuid import UUID

import aio_pika

from benchmarks.rabbitmq import Node
from funcx_async._service.messages import encode_result
from funcx_async.local import LocalService
from funcx_async.models import Result
from tests.proxy import Proxy

Fault = Callable[[], Awaitable[None]]


class Faults:
    """What strikes a service, its broker, and the ways to both.

    Args:
        chance: where all chance comes from.
        service: the service.
        node: the broker.
        rest: the proxy before the service.
        amqp: the proxy before the broker.

    Attributes:
        struck: how often each fault struck.
        doubtful: how many answers to submits may have been kept from their client.
        group: the client's task group, once it is known.
    """

    def __init__(
        self, chance: random.Random, service: LocalService, node: Node, rest: Proxy, amqp: Proxy
    ) -> None:
        self._chance = chance
        self._service = service
        self._node = node
        self._rest = rest
        self._amqp = amqp
        self._faults: dict[Fault, int] = {
            self._refusals: 8,
            self._lost_answers: 3,
            self._truncated_answers: 2,
            self._connections_to_the_service_reset: 2,
            self._requests_broken_off: 2,
            self._answers_broken_off: 3,
            self._connections_to_the_broker_reset: 3,
            self._deliveries_broken_off: 4,
            self._half_open_broker: 2,
            self._stalled_service: 2,
            self._queues_deleted: 3,
            self._duplicates: 4,
            self._dropped_results: 4,
            self._notices_without_value: 2,
            self._disorder: 4,
            self._nonsense_and_orphans: 4,
            self._broker_killed: 1,
        }
        self.struck: Counter[str] = Counter()
        self.doubtful = 0
        self.group: str | None = None

    async def inject(self) -> None:
        """Strike until it is cancelled; then nothing is broken any more but what is on the way."""
        try:
            while True:
                await asyncio.sleep(self._chance.uniform(0.5, 1.5))
                (fault,) = self._chance.choices(
                    list(self._faults), weights=list(self._faults.values())
                )
                self.struck[fault.__name__.strip("_").replace("_", " ")] += 1
                await fault()
        finally:
            self._rest.restore()
            self._amqp.restore()
            self._amqp.reset()  # what lost bytes would stay half-open

    # Requests -----------------------------------------------------------------------------------

    async def _refusals(self) -> None:
        route = self._chance.choice(["submit", "submit", "register", "batch_status", "amqp_url"])
        status = self._chance.choice([429, 500, 502, 503, 504])
        times = self._chance.randint(1, 3)
        wait = self._chance.choice([None, 1]) if status in (429, 503) else None
        self._service.faults.refuse(route, status=status, times=times, retry_after=wait)
        self._doubt(times if route == "submit" and status >= 500 and status != 503 else 0)

    async def _lost_answers(self) -> None:
        self._service.faults.lose_replies(self._chance.choice(["submit", "batch_status"]))
        self._doubt()

    async def _truncated_answers(self) -> None:
        self._service.faults.truncate_replies(self._chance.choice(["submit", "batch_status"]))
        self._doubt()

    async def _connections_to_the_service_reset(self) -> None:
        self._doubt(self._rest.open_connections)
        self._rest.reset()

    async def _requests_broken_off(self) -> None:
        self._doubt()
        self._rest.upward.reset(after=self._chance.randrange(50_000))

    async def _answers_broken_off(self) -> None:
        self._doubt()
        end = self._chance.choice([self._rest.downward.cut, self._rest.downward.reset])
        end(after=self._chance.randrange(20_000))

    async def _stalled_service(self) -> None:
        self._doubt(self._rest.open_connections)
        self._rest.downward.stall()
        await asyncio.sleep(self._chance.uniform(0.5, 2))
        self._rest.downward.restore()

    def _doubt(self, answers: int = 1) -> None:
        self.doubtful += answers

    # The broker ---------------------------------------------------------------------------------

    async def _connections_to_the_broker_reset(self) -> None:
        self._chance.choice([self._amqp.reset, self._amqp.cut])()

    async def _deliveries_broken_off(self) -> None:
        end = self._chance.choice([self._amqp.downward.cut, self._amqp.downward.reset])
        end(after=self._chance.randrange(200_000))

    async def _half_open_broker(self) -> None:
        self._chance.choice([self._amqp.downward, self._amqp.upward]).swallow()
        await asyncio.sleep(self._chance.uniform(1, 4))
        self._amqp.restore()
        self._amqp.reset()

    async def _queues_deleted(self) -> None:
        with suppress(OSError, aio_pika.exceptions.AMQPError, asyncio.CancelledError):
            await self._service.faults.delete_queues()

    async def _broker_killed(self) -> None:
        await self._node.kill()
        await self._node.start()

    # Results ------------------------------------------------------------------------------------

    async def _duplicates(self) -> None:
        self._service.faults.duplicate_results(self._chance.randint(1, 200))

    async def _dropped_results(self) -> None:
        self._service.faults.drop_results(self._chance.randint(1, 100))

    async def _notices_without_value(self) -> None:
        self._service.faults.high_assurance_results(self._chance.randint(1, 50))

    async def _disorder(self) -> None:
        with self._service.faults.reorder_results(self._chance.randint(2, 50)):
            await asyncio.sleep(self._chance.uniform(0.5, 1.5))

    async def _nonsense_and_orphans(self) -> None:
        if self.group is None:
            return
        for _ in range(self._chance.randint(1, 10)):
            self._service.faults.publish(self.group, self._chance.randbytes(50))
            nobodys = str(UUID(bytes=self._chance.randbytes(16), version=4))
            self._service.faults.publish(
                self.group, encode_result(Result(nobodys, "00\ngARLAS4=\n"))
            )
