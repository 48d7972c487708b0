"""What the parts of a session share."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from funcx_async._journal import Journal
from funcx_async._process import current_pid
from funcx_async._results.amqp import AmqpSource
from funcx_async._results.stream import StreamSet
from funcx_async._results.subscribers import Subscriber
from funcx_async._session.batches import AnyFuture
from funcx_async._session.open_tasks import OpenTasks
from funcx_async._session.task_groups import TaskGroups
from funcx_async._settings.options import Options, Settings
from funcx_async.client import FuncXClient
from funcx_async.errors import ExecutorClosed
from funcx_async.events import Counts, EventKind, Events
from funcx_async.models import Stats, TaskStatus

SHUT_DOWN = "The executor was shut down in the meantime."
"""The message of errors about tasks that an executor can no longer run."""

LOOP_ENDED = (
    "The executor's event loop ended before the task did. If it was sent, it goes on: "
    "`reload_tasks` with its task group awaits it again."
)
"""The message for tasks that are open when the event loop ends."""

_log = logging.getLogger("funcx_async.executor")


@dataclass(eq=False)
class SessionContext:
    """What the parts of a session share; its futures ask it to read and follow up.

    Attributes:
        options: those of the executor; read whenever they matter.
        client: asks the service.
        groups: the task groups that are submitted to.
        journal: where tasks are recorded; None for an executor without one.
        loop: the event loop of the session.
        tasks: the open tasks.
        events: passes on what happens to connections.
        counts: counts for the statistics.
        pid: the process of the session.
        observer: watches the session; None: nothing does.
        streams: the streams of results that the session has joined.
        sealed: whether the session runs no task any more.
        why_it_ends: the message for tasks that are open at its end.
    """

    options: Options
    client: FuncXClient
    groups: TaskGroups
    journal: Journal | None
    loop: asyncio.AbstractEventLoop
    tasks: OpenTasks
    events: Events = field(default_factory=Events)
    counts: Counts = field(default_factory=Counts)
    pid: int = field(default_factory=current_pid)
    streams: StreamSet = field(init=False)
    sealed: bool = False
    why_it_ends: str = LOOP_ENDED

    def __post_init__(self) -> None:
        client, settings = self.client, self.options.settings
        self.observer = settings.telemetry
        source = None
        if settings.result_transport != "polling":
            source = AmqpSource(
                client.get_result_queue_address,
                service_url=client.base_url,
                port=lambda: self.settings.amqp_port,
            )
        # Where looking a task up takes its result, none is looked up unless results were lost.
        consumes = client.dialect.reading_consumes
        self.streams = StreamSet(
            Subscriber(
                owner=self,
                client=client,
                source=source,
                events=self.events,
                count=self.count,
                journal=self.journal,
                reconcile_interval=math.inf if consumes else settings.reconcile_interval,
                polls_instead=settings.result_transport != "amqp",
            )
        )

    @property
    def settings(self) -> Settings:
        """How the executor works now."""
        return self.options.settings

    def count(self, what: str) -> None:
        """Count an event of the statistics, in any thread."""
        self.counts.count(what)
        if self.observer is not None:
            tell(self.observer.counted, what)

    def note(self, kind: EventKind, subject: str, reason: str = "") -> None:
        """Pass on an event."""
        self.events.emit(kind, subject, reason)

    # What futures ask ---------------------------------------------------------------------------

    def read(self, payload: str) -> Any:
        """Return the value of a serialized result."""
        return self.options.settings.serializer.deserialize(payload)

    async def task_status(self, task_id: str) -> TaskStatus:
        """Ask the service for the status of a task."""
        status = await self.client.get_task(task_id)
        if self.client.dialect.reading_consumes and status.result is not None:
            for stream in self.streams:
                if stream.awaits(task_id):
                    stream.receive([status.result])
        return status

    def done(self, future: AnyFuture, here: asyncio.AbstractEventLoop | None) -> None:
        """Follow up on a settled future; called once for each, in any thread."""
        self.tasks.done(future, here)
        if self.observer is not None:
            tell(self.observer.settled, future)

    def fail_open(self) -> None:
        """Fail every open future: nothing will settle it any more."""
        self.sealed = True
        self.tasks.fail_all([stream.task_group_id for stream in self.streams], self.why_it_ends)

    # What the parts of the session do -----------------------------------------------------------

    def adopt(self, future: AnyFuture, endpoint_id: str | None = None) -> None:
        """Count a future among those of the executor, which reads its result."""
        self.tasks.add(future, endpoint_id)
        future.bind(self)

    def refuse_if_sealed(self) -> None:
        """Raise ExecutorClosed if the session runs no task any more."""
        if self.sealed:
            raise ExecutorClosed(SHUT_DOWN)

    def stats(self, queued: int, batches_in_flight: int) -> Stats:
        """Return what was done and is being done."""
        return Stats(
            queued=queued,
            batches_in_flight=batches_in_flight,
            open=len(self.tasks),
            held=self.streams.held,
            done=self.tasks.succeeded,
            failed=self.tasks.failed,
            **self.counts.by_name(),
        )


def new_context(options: Options, client: FuncXClient, groups: TaskGroups) -> SessionContext:
    """Return the context of a session on the running loop."""
    settings, loop = options.settings, asyncio.get_running_loop()
    journal = None
    if settings.journal is not None:
        journal = Journal(Path(settings.journal), service_url=client.base_url, api=client.api)
    tasks = OpenTasks(loop, journal, settings.max_in_flight)
    return SessionContext(options, client, groups, journal, loop, tasks)


def tell(report: Callable[..., None], *about: Any) -> None:
    """Call a method of an observer; an observer that raises keeps no task from its end."""
    try:
        report(*about)
    except Exception:  # the observer's trouble is not the tasks'
        _log.exception("telling the observer of an executor")
