"""Everything that an executor runs on one event loop, from its first use to its end.

One host task owns the requests; the streams of results are shared by all sessions of the loop.
However the host ends, no future stays open.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
import math
import os
from collections import Counter
from pathlib import Path
from typing import Any

from funcx_async.awaiting import running_loop
from funcx_async.client import FuncXClient
from funcx_async.core.batcher import Route, Submission
from funcx_async.endpoints import Endpoints
from funcx_async.errors import ExecutorClosed, TooManyOpenTasks
from funcx_async.events import EventKind, Events
from funcx_async.functions import Function
from funcx_async.futures import FuncXFuture
from funcx_async.interpreter import end_at_exit
from funcx_async.journal import Journal
from funcx_async.models import Stats, TaskStatus
from funcx_async.posting import AnyFuture, AnySubmission
from funcx_async.presence import Presence
from funcx_async.results.amqp import AmqpSource
from funcx_async.results.joined import JoinedStreams
from funcx_async.results.source import ResultSource
from funcx_async.results.stream import ResultStream
from funcx_async.settings import Settings
from funcx_async.submitter import Submitter

_MEANWHILE = "The executor was shut down meanwhile."
_COUNTED = ("done", "failed", "batches", "reconnects", "orphans", "duplicates", "malformed")

_log = logging.getLogger(__name__)


class Session:
    """See the module; made on the loop's own thread.

    Args:
        settings: how the executor works; read whenever they matter.
        client: asks the service.
        closes_client: whether the client ends with the session.
    """

    def __init__(self, settings: Settings, client: FuncXClient, *, closes_client: bool) -> None:
        self.loop = asyncio.get_running_loop()
        self.pid = os.getpid()
        self.client = client
        self.counts: Counter[str] = Counter()
        self.settings = settings
        self.journal = _opened(settings, client)
        self._closes_client = closes_client
        self.events = Events()
        self._open: dict[AnyFuture, str | None] = {}
        self.streams = JoinedStreams(self)
        self._submitter = Submitter(self, self.loop)
        self._endpoints = Endpoints(client)
        self._presence = Presence(client, self.events)
        self._closing = False
        self._sealed = False
        self._changed = asyncio.Event()
        self._source = (
            None
            if settings.result_transport == "polling"
            else AmqpSource(client.get_result_queue_address, port=lambda: settings.amqp_port)
        )
        self._host = self.loop.create_task(
            self._run(), name="funcx:executor", context=contextvars.Context()
        )
        end_at_exit(self)

    # What the executor reads --------------------------------------------------------------------

    @property
    def ended(self) -> bool:
        """Whether nothing runs any more."""
        return self._host.done() or self.loop.is_closed()

    def stats(self) -> Stats:
        """What was done and is being done."""
        return Stats(
            queued=self._submitter.queued,
            batches_in_flight=self._submitter.posts,
            open=len(self._open),
            held=self.streams.held,
            **{name: self.counts[name] for name in _COUNTED},
        )

    @property
    def kept_journal(self) -> Journal:
        """The journal; ValueError if there is none."""
        if self.journal is None:
            raise ValueError("This executor has no journal: FuncXExecutor(journal=...).")
        return self.journal

    # Submitting ---------------------------------------------------------------------------------

    def submit(
        self, route: Route, function: Function, payload: str, key: str | None = None
    ) -> AnyFuture:
        """Queue a task, by this name in the journal if there is one; from any thread.

        Raises:
            ValueError: if the journal holds this key already.
            JournalUnusable: if nothing can be written there any more.
            TooManyOpenTasks: if the limit is reached.
            ExecutorClosed: if the loop was closed meanwhile.
        """
        limit = self.settings.max_in_flight
        if limit is not None and len(self._open) >= limit:
            raise TooManyOpenTasks(
                f"{len(self._open)} tasks are open, and max_in_flight is {limit}: await some of "
                "them first, or use amap, which waits by itself."
            )
        future: AnyFuture = FuncXFuture()
        if self.journal is not None:
            self.journal.reserve(future, key, route.endpoint_id)
        self.adopt(future, route.endpoint_id)
        submission = Submission(future, function, payload)
        if running_loop() is self.loop:
            self._enqueue(route, submission)
            return future
        try:
            self.loop.call_soon_threadsafe(self._enqueue, route, submission)
        except RuntimeError:
            self._open.pop(future, None)
            raise ExecutorClosed("The executor's event loop is closed.") from None
        if self._sealed:  # the loop may have had its last turn between the two lines above
            future.fail(ExecutorClosed(_MEANWHILE))
        return future

    def _enqueue(self, route: Route, submission: AnySubmission) -> None:
        if self._sealed:  # it was on its way from another thread while the executor ended
            submission.ticket.fail(ExecutorClosed(_MEANWHILE))
        else:
            self._endpoints.notice(route.endpoint_id)
            self._presence.opened(route.endpoint_id)
            self._submitter.enqueue(route, submission)

    def reads_source(self, endpoint_id: str) -> bool:
        """Whether an endpoint's workers read functions as source, as far as is known by now."""
        return self._endpoints.reads_source(endpoint_id)

    async def room(self) -> None:
        """Wait until one more task may be open."""
        limit = self.settings.max_in_flight
        while limit is not None and len(self._open) >= limit:
            self._changed.clear()
            await self._changed.wait()

    @property
    def open_futures(self) -> list[AnyFuture]:
        """All futures that are not settled."""
        return list(self._open)

    def refuse_if_sealed(self) -> None:
        """Raise ExecutorClosed if nothing runs any more."""
        if self._sealed:
            raise ExecutorClosed(_MEANWHILE)

    def expect(
        self,
        task_id: str,
        future: AnyFuture,
        stream: ResultStream,
        endpoint_id: str | None = None,
    ) -> None:
        """Await a task that the service has taken."""
        if endpoint_id is not None:
            self._presence.opened(endpoint_id)
        self.adopt(future, endpoint_id)
        future.accept(task_id, self.loop.time())
        stream.expect(task_id, future)

    def adopt(self, future: AnyFuture, endpoint_id: str | None = None) -> None:
        """Count a future among those of the executor, which reads its result."""
        self._open[future] = endpoint_id
        future.bind(self)

    # What futures, submitter and streams ask ----------------------------------------------------

    def read(self, payload: str) -> Any:
        """Make a value out of its serialized form."""
        return self.settings.serializer.deserialize(payload)

    def done(self, future: AnyFuture) -> None:
        """Take note that a future is settled; called once for each, in any thread."""
        endpoint_id = self._open.pop(future, None)
        if self.journal is not None:
            self.journal.done(future)
        self.counts["failed" if future.failed else "done"] += 1
        if running_loop() is self.loop:
            self._note_settled(endpoint_id)
        elif not self.loop.is_closed():
            self.loop.call_soon_threadsafe(self._note_settled, endpoint_id)

    def _note_settled(self, endpoint_id: str | None) -> None:
        if endpoint_id is not None:
            self._presence.settled(endpoint_id)
        self._changed.set()

    async def task_status(self, task_id: str) -> TaskStatus:
        """Ask the service about a task."""
        status = await self.client.get_task(task_id)
        if self.client.dialect.reading_consumes and status.result is not None:
            for stream in self.streams:
                if stream.awaits(task_id):
                    stream.receive([status.result])
        return status

    @property
    def reconcile_interval(self) -> float:
        """Seconds after which an open task is looked up; never where that takes its result."""
        consumes = self.client.dialect.reading_consumes
        return math.inf if consumes else self.settings.reconcile_interval

    @property
    def asks_instead(self) -> bool:
        """Whether results are asked for while the queue cannot be reached."""
        return self.settings.result_transport != "amqp"

    @property
    def source(self) -> ResultSource | None:
        """Connects to result queues; None if results are only asked for."""
        return self._source

    def stream(self, task_group_id: str) -> ResultStream:
        """Give the stream of a task group, joined."""
        return self.streams.join(task_group_id)

    def led(self, task_group_id: str) -> None:
        """Take note of the task group that the service made."""
        self.settings.made_group = task_group_id

    def unled(self, task_group_id: str) -> bool:
        """Take note that the service forgot a group; True if it may simply make another."""
        if self.settings.made_group != task_group_id:
            return False
        self.settings.made_group = None
        return True

    def count(self, what: str) -> None:
        """Count a noteworthy thing."""
        self.counts[what] += 1

    def note(self, kind: EventKind, subject: str, reason: str = "") -> None:
        """Tell whoever reads events."""
        self.events.emit(kind, subject, reason)

    # The end ------------------------------------------------------------------------------------

    def close(self, *, cancel_futures: bool = False) -> None:
        """End once all open futures are settled; those not sent yet can be cancelled."""
        self._closing = True
        if cancel_futures:
            for future in list(self._open):
                future.cancel()
        self._changed.set()

    def close_from_anywhere(self) -> None:
        """Close, called from any thread or by the garbage collector."""
        if not self.ended and self.pid == os.getpid():
            self.loop.call_soon_threadsafe(self.close)

    async def closed(self) -> None:
        """Wait for the end."""
        await asyncio.wait([self._host])

    async def abandon(self) -> None:
        """End now; open futures fail."""
        self._host.cancel()
        await self.closed()

    def fail_open(self) -> None:
        """Fail what is open: nobody will settle it any more."""
        self._sealed = True
        if self._open:
            groups = ", ".join(stream.task_group_id for stream in self.streams) or "none yet"
            _log.info("%d task(s) go on unawaited; task groups: %s", len(self._open), groups)
        for future in list(self._open):
            future.fail(
                ExecutorClosed(
                    "The executor's event loop ended before the task did. If it was sent, it goes "
                    "on: `reload_tasks` with its task group awaits it again.",
                    task_id=future.task_id,
                )
            )

    def clear_away(self) -> None:
        """Do what is left to be done where nothing runs any more."""
        self.fail_open()
        if self.journal is not None:
            self.journal.close()

    async def _run(self) -> None:
        try:
            async with asyncio.TaskGroup() as tasks:
                sending = tasks.create_task(
                    self._submitter.send_for_ever(tasks), name="funcx:submit"
                )
                watching = tasks.create_task(self._presence.watch_for_ever(), name="funcx:presence")
                while not (self._closing and not self._open):
                    self._changed.clear()
                    await self._changed.wait()
                    await self.streams.leave_idle()
                sending.cancel()
                watching.cancel()
                self._submitter.abandon()
        finally:
            self.fail_open()
            await self._leave()
            self.events.end()

    async def _leave(self) -> None:
        await self._endpoints.close()
        await self.streams.leave_all()
        if self.journal is not None:
            await self.journal.aclose()
        if self._closes_client:
            await self.client.aclose()


def _opened(settings: Settings, client: FuncXClient) -> Journal | None:
    if settings.journal is None:
        return None
    return Journal(Path(settings.journal), service_url=client.base_url, api=client.api)
