"""The results of one task group: one stream of them in a process, shared by its executors.

So there is one consumer for each task group: a second would take results from the first.
"""

from __future__ import annotations

import asyncio
import logging
from typing import NoReturn
from weakref import WeakKeyDictionary

from funcx_async.results.member import Member
from funcx_async.results.settling import Settling

AFTER_A_SLIP = 1.0
"""Seconds until it goes on, should something in here have failed."""

_shared: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[tuple[str, str], ResultStream]] = (
    WeakKeyDictionary()
)

_log = logging.getLogger(__name__)


def shared_stream(service_url: str, task_group_id: str) -> ResultStream:
    """Give the running loop's stream of a task group: a second would take results from it."""
    streams = _shared.setdefault(asyncio.get_running_loop(), {})
    key = (service_url, task_group_id)
    if key not in streams:
        streams[key] = ResultStream(service_url, task_group_id)
    return streams[key]


class ResultStream(Settling):
    """See the module; ``join`` before use, ``leave`` after.

    Args:
        service_url: the service that the group belongs to.
        task_group_id: whose results.
    """

    def __init__(self, service_url: str, task_group_id: str) -> None:
        super().__init__(task_group_id)
        self._key = (service_url, task_group_id)
        self._loop = asyncio.get_running_loop()
        self._host: asyncio.Task[None] | None = None

    def __repr__(self) -> str:
        state = "connected" if self._consumer.connected.is_set() else "not connected"
        return (
            f"<ResultStream {self.task_group_id} {state}, {len(self._matcher)} open, "
            f"{self._matcher.held} held>"
        )

    @property
    def idle(self) -> bool:
        """Whether nothing is awaited here, or kept for who asks again."""
        busy = len(self._matcher) or self._matcher.unanswered or len(self._aside)
        return not (busy or self._lookup.keeps_some)

    @property
    def held(self) -> int:
        """How many results wait for the receipt of their submit."""
        return self._matcher.held

    # Life ---------------------------------------------------------------------------------------

    def join(self, member: Member) -> None:
        """Have the stream serve this executor too."""
        self._members.add(member)
        self._reconciler.joined()
        if self._host is None:
            self._host = self._loop.create_task(
                self._run(), name=f"funcx:results:{self.task_group_id}"
            )

    async def leave(self, member: Member) -> None:
        """Take an executor out; the last one ends the stream."""
        self._members.remove(member)
        host = self._host
        if self._members or host is None:
            return
        # From here on whoever wants the group makes a stream of its own. What this one has not
        # acknowledged the broker delivers there.
        self._host = None
        if _shared[self._loop].get(self._key) is self:
            del _shared[self._loop][self._key]
        self._consumer.part()
        await self._members.journals.committed()
        await self._consumer.flush()
        host.cancel()
        await asyncio.wait([host])

    async def _run(self) -> NoReturn:
        while True:
            try:
                await self._serve()
            except* Exception:  # a slip of ours must not leave futures open for ever
                _log.exception(
                    "serving the results of the task group %s",
                    self.task_group_id,
                    extra={"task_group_id": self.task_group_id},
                )
            await asyncio.sleep(AFTER_A_SLIP)

    async def _serve(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._consumer.consume_for_ever(), name="funcx:consume")
            tasks.create_task(self._consumer.acknowledge_for_ever(), name="funcx:acknowledge")
            tasks.create_task(self._reconciler.reconcile_for_ever(), name="funcx:reconcile")
            tasks.create_task(self._aside.work_for_ever(), name="funcx:aside")
