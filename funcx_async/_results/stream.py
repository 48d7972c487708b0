"""The results of one task group: one stream of them in a process, shared by its executors.

So there is one consumer for each task group: a second would take results from the first.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import AsyncExitStack
from typing import NoReturn
from weakref import WeakKeyDictionary, WeakValueDictionary

from funcx_async._core.matcher import Matcher
from funcx_async._results.acks import Acknowledger
from funcx_async._results.consumer import Consumer
from funcx_async._results.poller import Poller
from funcx_async._results.settler import AnyFuture, Settler
from funcx_async._results.subscribers import Subscriber, Subscribers
from funcx_async.client import FuncXClient
from funcx_async.models import Result

RESTART_DELAY = 1.0
"""Seconds until the stream goes on after an unforeseen error."""

IDLE_CONNECTIONS = 4
"""So many task groups without open tasks keep their connection, for the tasks to come."""

# A stream refers to its loop, so it must not be held by what the loop is the key of: those who
# have joined it hold it.
_shared: WeakKeyDictionary[
    asyncio.AbstractEventLoop, WeakValueDictionary[tuple[str, str], ResultStream]
] = WeakKeyDictionary()

_log = logging.getLogger("funcx_async.results")


def shared_stream(service_url: str, task_group_id: str) -> ResultStream:
    """Return the running loop's stream of a task group: a second would take results from it."""
    streams = _shared.setdefault(asyncio.get_running_loop(), WeakValueDictionary())
    key = (service_url, task_group_id)
    stream = streams.get(key)
    if stream is None:
        stream = streams[key] = ResultStream(service_url, task_group_id)
    return stream


class ResultStream:
    """The results of one task group; ``join`` before use, ``leave`` after.

    Args:
        service_url: the service that the group belongs to.
        task_group_id: whose results.

    Attributes:
        task_group_id: whose results.
    """

    def __init__(self, service_url: str, task_group_id: str) -> None:
        self.task_group_id = task_group_id
        self._key = (service_url, task_group_id)
        self._loop = asyncio.get_running_loop()
        self._host: asyncio.Task[None] | None = None
        self._subscribers = subscribers = Subscribers(task_group_id)
        self._matcher = matcher = Matcher[AnyFuture]()
        self._acks = acks = Acknowledger(task_group_id)
        self._settler = settler = Settler(task_group_id, subscribers, matcher, acks)
        self._consumer = Consumer(task_group_id, subscribers, matcher, settler, acks)
        self._poller = Poller(task_group_id, subscribers, matcher, settler, self._consumer)

    def __repr__(self) -> str:
        state = "connected" if self._consumer.connected.is_set() else "not connected"
        return (
            f"<ResultStream {self.task_group_id} {state}, {len(self._matcher)} open, "
            f"{self._matcher.held} held>"
        )

    # What sessions read -------------------------------------------------------------------------

    @property
    def idle(self) -> bool:
        """Whether nothing is awaited here, or kept for who asks again."""
        busy = len(self._matcher) or self._matcher.unanswered or self._settler.reads_some
        return not (busy or self._poller.keeps_some)

    @property
    def held(self) -> int:
        """How many results wait for the receipt of their submit."""
        return self._matcher.held

    @property
    def orphans(self) -> int:
        """How many results of unknown tasks came."""
        return self._settler.orphans

    @property
    def unanswered(self) -> int:
        """How many submits to the group are on the wire, or uncertain."""
        return self._matcher.unanswered

    @property
    def known_task_count(self) -> int | None:
        """How many tasks of the group came of submits here; None if some may be unknown."""
        return self._matcher.known_task_count

    @property
    def remembers_all(self) -> bool:
        """Whether no settled task has been forgotten yet."""
        return self._matcher.remembers_all

    def knows(self, task_id: str) -> bool:
        """Return whether this task is open here, or was not long ago."""
        return self._matcher.knows(task_id)

    def awaits(self, task_id: str) -> bool:
        """Return whether a future here awaits this task."""
        return self._matcher.awaits(task_id)

    # What sessions tell -------------------------------------------------------------------------

    def sending(self) -> int:
        """Count a submit that goes on the wire, and return its number."""
        return self._matcher.sending()

    def answered(self, submit: int, accepted: Collection[tuple[str, AnyFuture]] = ()) -> None:
        """Handle the answer to a submit: the tasks that were made of it."""
        self._settler.do(self._matcher.answered(submit, accepted))
        self._opened()

    def expect(self, task_id: str, future: AnyFuture) -> None:
        """Settle ``future`` with the outcome of a task."""
        self._settler.do(self._matcher.expect(task_id, future))
        self._opened()

    def forget(self, task_id: str, future: AnyFuture) -> None:
        """Await a task no longer with ``future``."""
        self._matcher.forget(task_id, future)
        if not self._matcher.awaits(task_id):
            self._settler.drop_fetch(task_id)

    def disown(self, task_ids: Collection[str] = (), *, complete: bool) -> None:
        """Count tasks that came of submits here, though nobody awaits them.

        Args:
            task_ids: their ids; their results will be duplicates.
            complete: whether no more may turn up.
        """
        self._settler.do(self._matcher.disown(task_ids, complete=complete))

    def receive(self, results: Iterable[Result]) -> None:
        """Settle what awaits these results."""
        self._settler.receive(results)

    def look_up_open(self) -> None:
        """Query all that is open soon, and again until the service answers."""
        self._settler.lookups.look_up_open()

    async def ask(self, client: FuncXClient, task_ids: Sequence[str]) -> list[Result]:
        """Query these tasks now, and return the results that are there.

        Raises:
            FuncXError: what keeps the service from answering.
        """
        return await self._poller.ask(client, task_ids)

    def _opened(self) -> None:
        if len(self._matcher):
            self._consumer.want()
        self._poller.opened()

    # Life ---------------------------------------------------------------------------------------

    def join(self, subscriber: Subscriber) -> None:
        """Serve this executor, too."""
        self._subscribers.add(subscriber)
        self._settler.lookups.due.set()  # it may want its tasks looked up sooner
        if self._host is None:
            self._host = self._loop.create_task(
                self._run(), name=f"funcx:results:{self.task_group_id}"
            )

    async def leave(self, subscriber: Subscriber) -> None:
        """Serve an executor no longer; the last one ends the stream."""
        self._subscribers.remove(subscriber)
        host = self._host
        if self._subscribers or host is None:
            return
        # From here on a session that joins the group makes another stream. What this one has not
        # acknowledged the broker delivers there.
        self._host = None
        if _shared[self._loop].get(self._key) is self:
            del _shared[self._loop][self._key]
        self._consumer.stop_taking()
        await self._subscribers.written()
        await self._acks.flush()
        host.cancel()
        await asyncio.wait([host])

    async def _run(self) -> NoReturn:
        while True:
            try:
                await self._serve()
            except* Exception:  # a bug of ours must not leave futures open forever
                _log.exception(
                    "serving the results of the task group %s",
                    self.task_group_id,
                    extra={"task_group_id": self.task_group_id},
                )
            await asyncio.sleep(RESTART_DELAY)

    async def _serve(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._consumer.consume_forever(), name="funcx:consume")
            tasks.create_task(self._acks.acknowledge_forever(), name="funcx:acknowledge")
            tasks.create_task(self._poller.poll_forever(), name="funcx:poll")
            tasks.create_task(self._settler.reader.read_forever(), name="funcx:read")


class StreamSet:
    """The streams of results that one executor has joined; used on the loop's thread.

    Args:
        subscriber: the executor's part in them.
    """

    def __init__(self, subscriber: Subscriber) -> None:
        self._subscriber = subscriber
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
        """Return the stream of a task group, joined."""
        stream = self._streams.pop(task_group_id, None)
        if stream is None:
            stream = shared_stream(self._subscriber.client.base_url, task_group_id)
            stream.join(self._subscriber)
        self._streams[task_group_id] = stream  # the last one is the one last used
        return stream

    def forget(self, task_id: str, future: AnyFuture) -> None:
        """Await a task no longer with ``future``."""
        for stream in self:
            stream.forget(task_id, future)

    async def leave(self, task_group_id: str) -> None:
        """Leave a stream if it is idle: else it would go on taking results from others."""
        if self._streams[task_group_id].idle:
            await self._streams.pop(task_group_id).leave(self._subscriber)

    async def leave_idle(self) -> None:
        """Keep few connections, however many task groups the executor has seen."""
        while len(self._streams) > IDLE_CONNECTIONS:
            idle = next((group for group, stream in self._streams.items() if stream.idle), None)
            if idle is None:
                return
            await self._streams.pop(idle).leave(self._subscriber)

    async def leave_all(self) -> None:
        """Leave every stream, also where leaving another one fails."""
        async with AsyncExitStack() as leaving:
            leaving.callback(self._streams.clear)
            for stream in self:
                leaving.push_async_callback(stream.leave, self._subscriber)
