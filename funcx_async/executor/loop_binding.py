"""How an executor is bound to an event loop: at first use, to one, in one process."""

from __future__ import annotations

import sys
import weakref
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from typing import Any

from funcx_async._futures.future import FuncXFuture, running_loop
from funcx_async._process import current_pid, line_of_user
from funcx_async._session.functions import Function, Functions, Registry
from funcx_async._session.session import Session
from funcx_async._session.task_groups import TaskGroups
from funcx_async._settings.options import Options, TaskSettings
from funcx_async.client import FuncXClient
from funcx_async.errors import ExecutorClosed
from funcx_async.models import Stats
from funcx_async.serialize import FuncXSerializer


class LoopBinding:
    """Queues the tasks of an executor on the event loop that first uses it.

    Once that loop is closed another one may be bound to.

    Args:
        options: those of the executor.
        client: asks the service; None: one that is made when it is needed, and closed at the end.

    Attributes:
        options: those of the executor.
        session: what runs on the loop; None before the first use.
        groups: the task groups that are submitted to.
        closed: whether the executor was shut down.
    """

    def __init__(self, options: Options, client: FuncXClient | None) -> None:
        self.options = options
        self.session: Session | None = None
        self.groups = TaskGroups(None if client is None else client.task_group_id)
        self.closed = False
        self._client = client
        self._closes_client = client is None
        self._registry = Registry()
        self._made_at = line_of_user()
        self._forgotten: weakref.finalize[..., LoopBinding] | None = None

    def __repr__(self) -> str:
        stats, label = self.stats, self.options.label
        name = f"FuncXExecutor {label!r}" if label else "FuncXExecutor"
        posts = f"{stats.batches_in_flight} batch" + ("" if stats.batches_in_flight == 1 else "es")
        return f"<{name} {stats.queued} queued, {posts} in flight, {stats.open} open>"

    @property
    def client(self) -> FuncXClient:
        """The client that asks the service: one of its own unless one was given."""
        if self._client is None:
            self._client = FuncXClient(serializer=self.options.settings.serializer)
        return self._client

    @property
    def stats(self) -> Stats:
        """What was done and is being done."""
        return Stats() if self.session is None else self.session.stats()

    @property
    def task_group_id(self) -> str | None:
        """The group of new tasks; None until it is given or created."""
        return self.options.tasks.task_group_id or self.groups.created_id

    def use_serializer(self, serializer: FuncXSerializer) -> None:
        """Write new tasks and read results in another way; so does a client of its own."""
        self.options.change(serializer=serializer)
        if self._client is not None and self._closes_client:
            self._client.serializer = serializer

    # Tasks and functions ------------------------------------------------------------------------

    def queue(
        self,
        tasks: TaskSettings,
        fn: Callable[..., Any] | Function,
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
    ) -> FuncXFuture[Any]:
        """Serialize and queue one task; raises as an executor's ``submit``.

        Args:
            tasks: the options of the task.
            fn: what runs.
            args: its positional arguments.
            kwargs: its keyword arguments.
        """
        session = self.bound()
        route = tasks.route(self.groups.created_id)
        if isinstance(fn, Function):
            function = fn
        else:
            source = session.reads_source(route.endpoint_id)
            function = self.functions(source=source).find(fn)
        payload = self.options.settings.serializer.serialize_arguments(args, kwargs)
        return session.submit(route, function, payload, tasks.key, tasks.policy)

    async def wait_for_capacity(self) -> None:
        """Wait until one more task may be open."""
        await self.bound().context.tasks.wait_for_capacity()

    def functions(self, *, source: bool = True) -> Functions:
        """Return the functions that new tasks may be of.

        Args:
            source: False for endpoints that cannot read functions as source.
        """
        settings = self.options.settings
        return self._registry.functions(settings.serializer, settings.container_id, source=source)

    # Life ---------------------------------------------------------------------------------------

    def bound(self, *, wait: bool = True) -> Session:
        """Return the session of the running loop, which is made at first use.

        Args:
            wait: whether this thread waits until the journal of a new session is open.

        Raises:
            ExecutorClosed: after ``close``.
            RuntimeError: where no event loop runs, on a second one, and after a fork.
        """
        if self.closed:
            raise ExecutorClosed("This executor was shut down: make a new one.")
        session, loop = self.session, running_loop()
        if session is not None and session.loop is loop and not session.ended:
            return session
        if session is not None and session.pid != current_pid():
            raise RuntimeError(
                "This executor belongs to the process that forked this one: make a new one here."
            )
        if session is not None and session.ended:
            session.clear_away()
            session = None
        if session is None:
            if loop is None and _under_trio():
                raise RuntimeError(
                    "FuncXExecutor runs on asyncio, and this is trio. Under trio, call "
                    "funcx_async.blocking in a thread: trio.to_thread.run_sync. With anyio's "
                    'pytest plugin, let the fixture anyio_backend return "asyncio".'
                )
            if loop is None:
                raise RuntimeError(
                    "FuncXExecutor binds to the event loop of its first use, and none runs in this "
                    "thread: use it in a coroutine first, or take funcx_async.blocking."
                )
            session = self._bind()
            if wait:
                session.wait_until_open()
        elif loop is not None and loop is not session.loop:
            raise RuntimeError(
                "This executor belongs to another event loop that is still open: make one "
                "executor for each loop."
            )
        return session

    def close(self, *, cancel_futures: bool) -> Session | None:
        """Take no more tasks; returns the session that is still to end, if there is one."""
        self.closed = True
        session = self.session
        if session is None:
            return None
        if session.ended:
            session.clear_away()
            return None
        session.close(cancel_futures=cancel_futures)
        return session

    def let_go(self) -> None:
        """Take no more tasks, and wait for none, from wherever; what is not sent is cancelled."""
        self.closed = True
        session = self.session
        if session is None:
            return
        if session.ended:
            session.clear_away()
            return
        with suppress(RuntimeError):  # the loop was closed by another thread, just now
            session.loop.call_soon_threadsafe(partial(session.close, cancel_futures=True))

    def _bind(self) -> Session:
        options, client, closes = self.options, self.client, self._closes_client
        self.groups = groups = TaskGroups(self.groups.created_id)
        self.session = session = Session(
            options, client, groups, closes_client=closes, made_at=self._made_at
        )
        if self._forgotten is not None:
            self._forgotten.detach()
        self._forgotten = weakref.finalize(self, session.close_from_anywhere)
        self._forgotten.atexit = False
        return session


def _under_trio() -> bool:
    """Whether trio runs the calling coroutine."""
    trio = sys.modules.get("trio")
    try:
        return trio is not None and trio.lowlevel.current_task() is not None
    except RuntimeError:  # not in a coroutine of trio's
        return False
