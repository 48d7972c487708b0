"""What a result queue brings, and when."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from funcx_async._core.acks import Ack
from funcx_async._results.source import Deliveries, SourceLost
from funcx_async._service.messages import MalformedMessage, decode_result


class Arrivals:
    """When the result of which task came by a queue."""

    def __init__(self) -> None:
        self._when: dict[str, float] = {}
        self._lost: SourceLost | None = None
        self._changed = asyncio.Event()

    async def of(self, task_id: str) -> float:
        """Wait for the result of a task; when it came, on the loop's clock.

        Raises:
            SourceLost: if the queue was lost before.
        """
        while task_id not in self._when:
            if self._lost is not None:
                raise self._lost
            self._changed.clear()
            await self._changed.wait()
        return self._when[task_id]

    async def read(self, deliveries: Deliveries) -> None:
        """Take what comes, until nothing more will."""
        clock = asyncio.get_running_loop()
        try:
            while burst := await deliveries.next_burst():
                for delivery in burst:
                    with suppress(MalformedMessage):
                        result = decode_result(delivery.body)
                        self._when.setdefault(result.task_id, clock.time())
                await deliveries.acknowledge([Ack(burst[-1].tag, multiple=True)])
                self._changed.set()
        except SourceLost as error:
            self._lost = error
            self._changed.set()
