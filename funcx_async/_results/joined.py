"""The streams of results that one executor has joined."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AsyncExitStack

from funcx_async._futures.future import FuncXFuture
from funcx_async._results.member import Member
from funcx_async._results.stream import ResultStream, shared_stream

KEPT = 4
"""So many task groups without open tasks keep their connection, for the tasks to come."""


class JoinedStreams:
    """See the module; used on the loop's thread.

    Args:
        member: whose part in the streams it is.
    """

    def __init__(self, member: Member) -> None:
        self._member = member
        self._streams: dict[str, ResultStream] = {}

    def __iter__(self) -> Iterator[ResultStream]:
        return iter(tuple(self._streams.values()))

    def __contains__(self, task_group_id: str) -> bool:
        return task_group_id in self._streams

    @property
    def held(self) -> int:
        """How many results wait for the receipt of their submit."""
        return sum(stream.held for stream in self)

    def join(self, task_group_id: str) -> ResultStream:
        """Give the stream of a task group, joined."""
        stream = self._streams.pop(task_group_id, None)
        if stream is None:
            stream = shared_stream(self._member.client.base_url, task_group_id)
            stream.join(self._member)
        self._streams[task_group_id] = stream  # the last one is the one last used
        return stream

    def forget(self, task_id: str, future: FuncXFuture[object]) -> None:
        """Note that ``future`` no longer awaits a task."""
        for stream in self:
            stream.forget(task_id, future)

    async def leave(self, task_group_id: str) -> None:
        """Leave a stream if it is idle: else it would go on taking results from others."""
        if self._streams[task_group_id].idle:
            await self._streams.pop(task_group_id).leave(self._member)

    async def leave_idle(self) -> None:
        """Keep few connections, however many task groups the executor has seen."""
        while len(self._streams) > KEPT:
            idle = next((group for group, stream in self._streams.items() if stream.idle), None)
            if idle is None:
                return
            await self._streams.pop(idle).leave(self._member)

    async def leave_all(self) -> None:
        """Leave every stream, also where leaving another one fails."""
        async with AsyncExitStack() as leaving:
            leaving.callback(self._streams.clear)
            for stream in self:
                leaving.push_async_callback(stream.leave, self._member)
