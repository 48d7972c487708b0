"""Everything that an executor runs on one event loop, from its first use to its end.

One host task owns the requests; the streams of results are shared by all sessions of the loop.
However the host ends, no future stays open.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
import math
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import Any

from funcx_async._core.batcher import Route, Submission
from funcx_async._futures.future import FuncXFuture
from funcx_async._journal import Journal
from funcx_async._process import current_pid, end_at_exit
from funcx_async._results.amqp import AmqpSource
from funcx_async._results.stream import ResultStream, StreamSet
from funcx_async._results.subscribers import Subscriber
from funcx_async._session.background import keep_running
from funcx_async._session.endpoints import Endpoints
from funcx_async._session.functions import Function
from funcx_async._session.open_tasks import OpenTasks
from funcx_async._session.posting import AnyFuture, AnySubmission
from funcx_async._session.presence import Presence
from funcx_async._session.retrying import OnTerms
from funcx_async._session.submitter import Submitter
from funcx_async._session.task_groups import TaskGroups
from funcx_async._settings.options import Options
from funcx_async._settings.settings import Settings
from funcx_async.client import FuncXClient
from funcx_async.errors import ExecutorClosed, JournalError
from funcx_async.events import EventKind, Events
from funcx_async.models import Stats, TaskStatus

_MEANWHILE = "The executor was shut down meanwhile."

_log = logging.getLogger("funcx_async.executor")


class Session:
    """See the module; made on the loop's own thread.

    Args:
        options: those of the executor; read whenever they matter.
        client: asks the service.
        groups: the task groups that are submitted to.
        closes_client: whether the client ends with the session.
    """

    def __init__(
        self, options: Options, client: FuncXClient, groups: TaskGroups, *, closes_client: bool
    ) -> None:
        self._options = options
        settings = options.settings
        self.loop = asyncio.get_running_loop()
        self.pid = current_pid()
        self.journal = _opened(settings, client)
        self.tasks = OpenTasks(self.loop, self.journal, settings.max_in_flight)
        self.client = client
        self.groups = groups
        self._closes_client = closes_client
        self.events = Events()
        self.streams = StreamSet(self._subscriber(settings))
        self._submitter = self._new_submitter()
        self.on_terms = OnTerms(self)
        self._endpoints = Endpoints(client)
        self._presence = Presence(client, self.events, self.tasks.at)
        self._closing = False
        self._sealed = False
        self._host = self.loop.create_task(
            self._run(), name="funcx:executor", context=contextvars.Context()
        )
        self._host.add_done_callback(self._host_done)
        end_at_exit(self)

    def _subscriber(self, settings: Settings) -> Subscriber:
        """Return the session's part in the streams of results that it joins."""
        source = AmqpSource(
            self.client.get_result_queue_address, port=lambda: self.settings.amqp_port
        )
        # Where looking a task up takes its result, none is looked up unless results were lost.
        consumes = self.client.dialect.reading_consumes
        return Subscriber(
            owner=self,
            client=self.client,
            source=None if settings.result_transport == "polling" else source,
            events=self.events,
            count=self.count,
            journal=self.journal,
            reconcile_interval=math.inf if consumes else settings.reconcile_interval,
            polls_instead=settings.result_transport != "amqp",
        )

    def _new_submitter(self) -> Submitter:
        return Submitter(self, self.loop)

    # What the executor reads --------------------------------------------------------------------

    @property
    def settings(self) -> Settings:
        """How the executor works now."""
        return self._options.settings

    @property
    def ended(self) -> bool:
        """Whether nothing runs any more."""
        return self._host.done() or self.loop.is_closed()

    def stats(self) -> Stats:
        """What was done and is being done."""
        return Stats(
            queued=self._submitter.queued,
            batches_in_flight=self._submitter.posts,
            open=len(self.tasks),
            held=self.streams.held,
            **self.tasks.counts(),
        )

    @property
    def kept_journal(self) -> Journal:
        """The journal; ValueError if there is none."""
        if self.journal is None:
            raise ValueError("This executor has no journal: FuncXExecutor(journal=...).")
        return self.journal

    async def until_open(self) -> None:
        """Wait until the journal is open, if there is one; raises what keeps it from that."""
        if self.journal is not None:
            await self.journal.until_open()

    def wait_until_open(self) -> None:
        """Do as :meth:`until_open`, waiting in this thread."""
        if self.journal is not None:
            self.journal.wait_until_open()

    # Submitting ---------------------------------------------------------------------------------

    def submit(
        self,
        route: Route,
        function: Function,
        payload: str,
        key: str | None = None,
        future: AnyFuture | None = None,
    ) -> AnyFuture:
        """Queue a task, by this name in the journal if there is one; from any thread.

        Args:
            route: where to.
            function: what runs.
            payload: its serialized arguments.
            key: the name in the journal.
            future: awaits it; None makes one.

        Raises:
            ValueError: if the journal holds this key already.
            JournalError: if nothing can be written there any more.
            TooManyOpenTasks: if the limit is reached.
            ExecutorClosed: if the loop was closed meanwhile.
        """
        if future is None:
            future = FuncXFuture()
        self.tasks.admit(future, route.endpoint_id)
        try:
            if self.journal is not None:
                self.journal.reserve(future, key, route.endpoint_id)
            future.bind(self)
            self._submitter.enqueue(route, Submission(future, function, payload))
        except BaseException:
            self.tasks.remove(future)
            raise
        if self._sealed:  # the loop may have had its last turn before that
            future.fail(ExecutorClosed(_MEANWHILE))
        return future

    def submit_again(self, route: Route, submission: AnySubmission) -> None:
        """Queue a further try for a future that is open already; on the loop's thread."""
        if self._sealed:
            submission.ticket.fail(ExecutorClosed(_MEANWHILE))
            return
        self.count("retried")
        group = route.task_group_id or self.groups.created_id
        self._submitter.enqueue(route._replace(task_group_id=group), submission)

    def reads_source(self, endpoint_id: str) -> bool:
        """Whether an endpoint's workers read functions as source, as far as is known by now."""
        return self._endpoints.reads_source(endpoint_id)

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
        self.tasks.add(future, endpoint_id)
        future.bind(self)

    # What futures, submitter and streams ask ----------------------------------------------------

    def read(self, payload: str) -> Any:
        """Make a value out of its serialized form."""
        return self.settings.serializer.deserialize(payload)

    def opened(self, endpoint_id: str) -> None:
        """Take note that tasks are about to be sent to an endpoint."""
        if not self._sealed:  # else nobody would end what asks about the endpoint
            self._endpoints.notice(endpoint_id)
            self._presence.opened(endpoint_id)

    async def task_status(self, task_id: str) -> TaskStatus:
        """Ask the service about a task."""
        status = await self.client.get_task(task_id)
        if self.client.dialect.reading_consumes and status.result is not None:
            for stream in self.streams:
                if stream.awaits(task_id):
                    stream.receive([status.result])
        return status

    def stream(self, task_group_id: str) -> ResultStream:
        """Give the stream of a task group, joined."""
        return self.streams.join(task_group_id)

    def count(self, what: str) -> None:
        """Count a noteworthy thing."""
        self.tasks.count(what)

    def done(self, future: AnyFuture, here: asyncio.AbstractEventLoop | None) -> None:
        """Follow up on a settled future; called once for each, in any thread."""
        self.tasks.done(future, here)

    def note(self, kind: EventKind, subject: str, reason: str = "") -> None:
        """Tell whoever reads events."""
        self.events.emit(kind, subject, reason)

    # The end ------------------------------------------------------------------------------------

    def close(self, *, cancel_futures: bool = False) -> None:
        """End once all open futures are settled; those not sent yet can be cancelled."""
        self._closing = True
        if cancel_futures:
            for future in self.tasks.futures:
                future.cancel()
        self.tasks.look()

    def close_from_anywhere(self) -> None:
        """Close, called from any thread or by the garbage collector."""
        if self.ended:
            self._submitter.drop()
        elif self.pid == current_pid():
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
        self.tasks.fail_all(stream.task_group_id for stream in self.streams)
        self._submitter.drop()

    def clear_away(self) -> None:
        """Do what is left to be done where nothing runs any more."""
        self.events.end()
        self.fail_open()
        if self.journal is not None:
            self.journal.close()

    async def _run(self) -> None:
        try:
            try:
                await self.until_open()
            except (JournalError, ValueError):  # raised where the executor was used, too
                return
            async with asyncio.TaskGroup() as tasks:
                send = partial(self._submitter.send_for_ever, tasks)
                sending = tasks.create_task(
                    keep_running(send, "Sending tasks"), name="funcx:submit"
                )
                watching = tasks.create_task(
                    keep_running(self._presence.watch_for_ever, "Monitoring endpoints"),
                    name="funcx:presence",
                )
                await keep_running(self._until_over, "Following up on settled tasks")
                sending.cancel()
                watching.cancel()
                self._submitter.abandon()
        finally:
            if self.loop.is_closed():  # so this is garbage collection: nothing can be awaited
                self.clear_away()
            else:
                await self._leave()

    def _host_done(self, host: asyncio.Task[None]) -> None:
        if not self._sealed:  # it was cancelled before its first turn, so it closed nothing
            self.clear_away()

    async def _until_over(self) -> None:
        """Follow up on settled tasks, until the session is to end and none is open."""
        while self.tasks or not self._closing:
            for endpoint_id in await self.tasks.settled():
                self._presence.heard(endpoint_id)
            if not self.tasks:
                self._presence.rest()
            await self.streams.leave_idle()

    async def _leave(self) -> None:
        """Let go of everything; nothing of it is skipped because something else went wrong."""
        try:
            async with AsyncExitStack() as closing:  # the last one first
                if self._closes_client:
                    closing.push_async_callback(self.client.aclose)
                if self.journal is not None:
                    closing.push_async_callback(self.journal.aclose)
                closing.push_async_callback(self.streams.leave_all)
                closing.push_async_callback(self._endpoints.close)
                closing.callback(self.tasks.end)
                closing.callback(self.fail_open)
                closing.callback(self._submitter.leave_uncertain)
                closing.callback(self.events.end)
        except Exception:
            _log.exception("Closing the executor failed")


def _opened(settings: Settings, client: FuncXClient) -> Journal | None:
    if settings.journal is None:
        return None
    return Journal(Path(settings.journal), service_url=client.base_url, api=client.api)
