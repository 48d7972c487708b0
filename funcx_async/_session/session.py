"""Everything that an executor runs on one event loop, from its first use to its end.

One host task owns the requests; the streams of results are shared by all sessions of the loop.
However the host ends, no future stays open.
"""

from __future__ import annotations

import asyncio
import atexit
import contextvars
import logging
import warnings
import weakref
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import AsyncExitStack
from functools import partial
from typing import Any, Final, TypeVar

from funcx_async._core.batcher import Route, Submission
from funcx_async._futures.future import FuncXFuture
from funcx_async._journal import Journal
from funcx_async._net.cancellation import is_cancelled
from funcx_async._process import current_pid
from funcx_async._results.stream import ResultStream
from funcx_async._session.batches import AnyFuture
from funcx_async._session.context import SHUT_DOWN, new_context, tell
from funcx_async._session.endpoints import EndpointMonitor
from funcx_async._session.functions import Function
from funcx_async._session.submitter import Submitter
from funcx_async._session.task_groups import TaskGroups
from funcx_async._session.task_retry import TaskRetries
from funcx_async._settings.options import Options
from funcx_async._settings.retry_policy import RetryPolicy
from funcx_async.client import FuncXClient
from funcx_async.errors import ExecutorClosed, JournalError
from funcx_async.models import Stats

T = TypeVar("T")

PAUSE_AFTER_ERROR: float = 1.0
"""Seconds until a background job goes on: an error that returns at once must not fill the loop."""

_log = logging.getLogger("funcx_async.executor")


class Session:
    """What an executor runs on one event loop; made on the loop's own thread.

    Args:
        options: those of the executor; read whenever they matter.
        client: asks the service.
        groups: the task groups that are submitted to.
        closes_client: whether the client ends with the session.
        made_at: the line that made the executor, for warnings; None if it is not known.

    Attributes:
        context: what its parts share.
        loop: the event loop.
        pid: the process.
        retries: submits tasks with a policy again.
    """

    def __init__(
        self,
        options: Options,
        client: FuncXClient,
        groups: TaskGroups,
        *,
        closes_client: bool,
        made_at: str | None = None,
    ) -> None:
        self.context = context = new_context(options, client, groups)
        self.loop = context.loop
        self.pid = context.pid
        self._closes_client = closes_client
        self._monitor = EndpointMonitor(client, context.events, context.tasks)
        self._submitter = Submitter(context, self._monitor)
        self.retries = TaskRetries(context, self._submitter)
        self._closing = False
        self._shut_down = False
        self._made_at = made_at
        self._host = self.loop.create_task(
            self._run(), name="funcx:executor", context=contextvars.Context()
        )
        self._host.add_done_callback(self._host_done)
        if context.observer is not None:
            context.observer.began(self.current_stats)
        _end_at_exit(self)

    # What the executor reads --------------------------------------------------------------------

    @property
    def ended(self) -> bool:
        """Whether nothing runs any more."""
        return self._host.done() or self.loop.is_closed()

    def stats(self) -> Stats:
        """Return what was done and is being done."""
        return self.context.stats(self._submitter.queued, self._submitter.posts)

    def current_stats(self) -> Stats:
        """Return what is being done: nothing once the session has ended."""
        return Stats() if self.ended else self.stats()

    def reads_source(self, endpoint_id: str) -> bool:
        """Whether an endpoint's workers read functions as source, as far as is known yet."""
        return self._monitor.reads_source(endpoint_id)

    @property
    def journal(self) -> Journal:
        """The journal; ValueError if there is none."""
        if self.context.journal is None:
            raise ValueError("This executor has no journal: FuncXExecutor(journal=...).")
        return self.context.journal

    async def until_open(self) -> None:
        """Wait until the journal is open, if there is one; raises what keeps it from that."""
        if self.context.journal is not None:
            await self.context.journal.until_open()

    def wait_until_open(self) -> None:
        """Wait as :meth:`until_open` does, in this thread."""
        if self.context.journal is not None:
            self.context.journal.wait_until_open()

    # Submitting ---------------------------------------------------------------------------------

    def submit(
        self,
        route: Route,
        function: Function,
        payload: str,
        key: str | None = None,
        policy: RetryPolicy | None = None,
    ) -> AnyFuture:
        """Queue a task; from any thread.

        Args:
            route: where to.
            function: what runs.
            payload: its serialized arguments.
            key: its name in the journal, if there is one; None for a new one.
            policy: its time limit and retries; None for none.

        Raises:
            ValueError: if the journal holds this key already.
            JournalError: if nothing can be written there any more.
            TooManyOpenTasks: if the limit is reached.
            ExecutorClosed: if the loop was closed in the meantime.
        """
        context = self.context
        retrying = None
        if policy is not None:
            retrying = self.retries.future(policy, route, function, payload)
        future: AnyFuture = FuncXFuture() if retrying is None else retrying
        context.tasks.admit(future, route.endpoint_id)
        try:
            if context.journal is not None:
                request = None if retrying is None else self.retries.request_of(retrying)
                context.journal.reserve(future, key, route.endpoint_id, request)
            future.bind(context)
            future.function_name = function.name
            self._submitter.enqueue(route, Submission(future, function, payload))
        except BaseException:
            context.tasks.remove(future)
            raise
        if retrying is not None:
            self.retries.submitted(retrying)
        if context.sealed:  # the loop may have had its last turn before that
            future.fail(ExecutorClosed(SHUT_DOWN))
        if context.observer is not None:
            tell(context.observer.submitted, future, route, function.name)
        return future

    def expect(
        self,
        task_id: str,
        future: AnyFuture,
        stream: ResultStream,
        endpoint_id: str | None = None,
    ) -> None:
        """Await a task that the service has taken."""
        if endpoint_id is not None and not self.context.sealed:
            self._monitor.awaiting(endpoint_id)
        self.context.adopt(future, endpoint_id)
        future.accept(task_id, self.loop.time())
        stream.expect(task_id, future)

    # The end ------------------------------------------------------------------------------------

    def close(self, *, cancel_futures: bool = False) -> None:
        """End once all open futures are settled; those not sent yet can be cancelled."""
        self._closing = self._shut_down = True
        if cancel_futures:
            for future in self.context.tasks.futures:
                future.cancel()
        self.context.tasks.wake()

    def close_from_anywhere(self) -> None:
        """Close, called from any thread or by the garbage collector."""
        if self.ended:
            self._submitter.drop()
        elif self.pid == current_pid():
            self.loop.call_soon_threadsafe(self._close_forgotten)

    def _close_forgotten(self) -> None:
        self._closing = True
        self.context.tasks.wake()

    async def closed(self) -> None:
        """Wait for the end."""
        await asyncio.wait([self._host])

    async def abandon(self, why: str | None = None) -> None:
        """End now; open futures fail.

        Args:
            why: the message for them; by default that the event loop ended.
        """
        self._shut_down = True
        if why is not None:
            self.context.why_it_ends = why
        self._host.cancel()
        await self.closed()

    def fail_open(self) -> None:
        """Fail what is open: nothing will settle it any more."""
        self.context.fail_open()
        self._submitter.drop()

    def clear_away(self) -> None:
        """Release what is left where nothing runs any more."""
        self.context.events.end()
        self.fail_open()
        if self.context.journal is not None:
            self.context.journal.close()

    async def _run(self) -> None:
        try:
            try:
                await self.until_open()
            except (JournalError, ValueError):  # raised where the executor was used, too
                return
            async with asyncio.TaskGroup() as tasks:
                send = partial(self._submitter.send_forever, tasks)
                sending = tasks.create_task(
                    keep_running(send, "Sending tasks"), name="funcx:submit"
                )
                watching = tasks.create_task(
                    keep_running(self._monitor.watch_forever, "Monitoring endpoints"),
                    name="funcx:endpoints",
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
        if not self.context.sealed:  # cancelled before its first turn, so it closed nothing
            self.clear_away()

    async def _until_over(self) -> None:
        """Follow up on settled tasks, until the session is to end and none is open."""
        tasks = self.context.tasks
        while tasks or not self._closing:
            for endpoint_id in await tasks.settled():
                self._monitor.heard(endpoint_id)
            if not tasks:
                self._monitor.idle()
            await self.context.streams.leave_idle()

    async def _leave(self) -> None:
        """Let go of everything; nothing of it is skipped because something else went wrong."""
        context = self.context
        try:
            async with AsyncExitStack() as closing:  # the last one first
                if self._closes_client:
                    closing.push_async_callback(close_whole, context.client.aclose)
                if context.journal is not None:
                    closing.push_async_callback(context.journal.aclose)
                closing.push_async_callback(context.streams.leave_all)
                closing.push_async_callback(self._monitor.close)
                closing.callback(context.tasks.end)
                closing.callback(self.fail_open)
                closing.callback(self._submitter.leave_uncertain)
                closing.callback(context.events.end)
                closing.callback(self._warn_if_forgotten)
        except Exception:
            _log.exception("Closing the executor failed")

    def _warn_if_forgotten(self) -> None:
        """Warn that the executor was not shut down, as Python does of files."""
        if self._shut_down or (self._closing and not self.context.tasks):
            return
        label = self.context.options.label
        name = f"FuncXExecutor {label!r}" if label else "A FuncXExecutor"
        made_at = f" It was made at {self._made_at}." if self._made_at else ""
        warnings.warn(
            f"{name} was not shut down before its event loop ended: leave it with `async with`, "
            f"or await `shutdown()`.{made_at}",
            ResourceWarning,
            stacklevel=1,
        )


async def close_whole(close: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Close something to the end, even if the caller is cancelled while it is closing."""
    closing = asyncio.create_task(close())
    try:
        await asyncio.shield(closing)
    except asyncio.CancelledError:
        await closing
        raise


async def keep_running(job: Callable[[], Awaitable[T]], name: str) -> T:
    """Run a background job until it returns or is cancelled; run it again after any error.

    Args:
        job: starts the job, or goes on with it.
        name: what it does, for the log.
    """
    while True:
        try:
            return await job()
        except (Exception, asyncio.CancelledError):  # cancelled by a library, perhaps
            if is_cancelled():
                raise
            _log.exception("%s failed unexpectedly; it goes on", name)
        await asyncio.sleep(PAUSE_AFTER_ERROR)


# The end of the interpreter -----------------------------------------------------------------------
# In the asyncio REPL the loop merely stops at exit; its tasks would be destroyed while pending. A
# loop that runs in a daemon thread is frozen as it is when the interpreter ends. What sessions
# depend on may end before as well, such as a service in this process.

_open: Final[weakref.WeakSet[Session]] = weakref.WeakSet()


async def end_sessions(client: FuncXClient | None = None, why: str | None = None) -> None:
    """End the sessions of the running loop now; what is open in them fails.

    Args:
        client: whose sessions; None: all.
        why: the message for open tasks; by default that the event loop ended.
    """
    await asyncio.sleep(0)  # one that has not had its first turn yet would end without a word
    loop = asyncio.get_running_loop()
    for session in list(_open):
        if session.loop is loop and client in (None, session.context.client):
            await session.abandon(why)


def _end_at_exit(session: Session) -> None:
    """End the session before the interpreter ends, as no loop may be left to do that."""
    if not _open:
        atexit.unregister(_end_all)
        atexit.register(_end_all)
    _open.add(session)


def _end_all() -> None:
    for session in list(_open):
        if session.pid != current_pid() or session.ended:
            continue
        if session.loop.is_running():
            session.fail_open()
            continue
        # The libraries underneath warn of a connection that is given up while it is made.
        for library in ("aiormq", "aio_pika"):
            logging.getLogger(library).setLevel(logging.ERROR)
        session.loop.run_until_complete(session.abandon())
